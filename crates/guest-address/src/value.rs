//! The integer behind an address.

use core::fmt::Debug;
use core::ops::{Add, BitAnd, BitOr, Not, Sub};

/// The integer type that an address type is made of.
///
/// It is a trait of its own, below [`Address`](crate::Address), so that a bound can name the
/// integer (`A: AddressValue`, then `A::V`) without asking for any arithmetic.
///
/// ```
/// use guest_address::{AddressValue, GuestAddress};
///
/// fn pages<A: AddressValue<V = u64>>(bytes: A::V) -> u64 {
///     bytes.div_ceil(0x1000)
/// }
///
/// assert_eq!(pages::<GuestAddress>(0x1001), 2);
/// ```
pub trait AddressValue {
    /// The integer itself: the type of raw addresses, of lengths and of distances.
    ///
    /// An unsigned integer is meant. The bounds are those that generic code gets by with:
    /// arithmetic, bit masks, an order, and the small numbers by way of `From<u8>`.
    type V: Copy
        + PartialEq
        + Eq
        + PartialOrd
        + Ord
        + Not<Output = Self::V>
        + Add<Output = Self::V>
        + Sub<Output = Self::V>
        + BitAnd<Output = Self::V>
        + BitOr<Output = Self::V>
        + Debug
        + From<u8>;

    /// Returns the number 0.
    ///
    /// ```
    /// use guest_address::{AddressValue, GuestAddress};
    ///
    /// assert_eq!(GuestAddress::zero(), 0);
    /// ```
    #[inline(always)]
    fn zero() -> Self::V {
        Self::V::from(0)
    }

    /// Returns the number 1.
    ///
    /// ```
    /// use guest_address::{AddressValue, GuestAddress};
    ///
    /// assert_eq!(GuestAddress::one(), 1);
    /// ```
    #[inline(always)]
    fn one() -> Self::V {
        Self::V::from(1)
    }
}
