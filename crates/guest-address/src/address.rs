//! The arithmetic that all address types share.

use core::ops::{BitAnd, BitOr};

use crate::value::AddressValue;

/// A location in some address space, with arithmetic that does not wrap unseen.
///
/// Holding an address tells you that someone named a location. It does not tell you that memory is
/// there, nor that there is a next address.
///
/// Addresses and integers do not mix by accident: an address plus an integer is an address, the
/// distance between two addresses is an integer, and two addresses cannot be added.
///
/// # Which of the three
///
/// | name | past the end of the space | for |
/// |---|---|---|
/// | `checked_…` | `None` | numbers that come from a guest, a front-end or a file |
/// | `overflowing_…` | wraps, and says so | counters and sequence numbers that are meant to wrap |
/// | `unchecked_…` | the caller promises that it cannot happen | sums that a check above has proved |
///
/// # Implementing it
///
/// The provided methods are right for an implementation that keeps these promises:
///
/// * [`new`](Self::new) and [`raw_value`](Self::raw_value) are inverse to each other, and addresses
///   are in the order of their raw values.
/// * `&` and `|` with an integer work on the raw value.
/// * the required arithmetic is that of the unsigned integer [`V`](AddressValue::V).
///
/// No unsafe code may rely on them: the trait is open, and safe to implement wrongly.
pub trait Address:
    AddressValue
    + Sized
    + Default
    + Copy
    + Eq
    + PartialEq
    + Ord
    + PartialOrd
    + BitAnd<<Self as AddressValue>::V, Output = Self>
    + BitOr<<Self as AddressValue>::V, Output = Self>
{
    /// Names the location with the raw value `addr`.
    ///
    /// ```
    /// use guest_address::{Address, GuestAddress};
    ///
    /// assert_eq!(GuestAddress::new(0x1000), GuestAddress(0x1000));
    /// ```
    fn new(addr: Self::V) -> Self;

    /// Returns the address as a plain integer.
    ///
    /// ```
    /// use guest_address::{Address, GuestAddress};
    ///
    /// assert_eq!(GuestAddress(0x1000).raw_value(), 0x1000);
    /// ```
    fn raw_value(&self) -> Self::V;

    /// Returns those bits of the address that are set in `mask`.
    ///
    /// ```
    /// use guest_address::{Address, GuestAddress};
    ///
    /// let offset_in_page = GuestAddress(0x1234).mask(0xfff);
    /// assert_eq!(offset_in_page, 0x234);
    /// ```
    #[inline(always)]
    fn mask(&self, mask: Self::V) -> Self::V {
        self.raw_value() & mask
    }

    /// Returns how far this address lies above `base`, or `None` if it lies below.
    ///
    /// ```
    /// use guest_address::{Address, GuestAddress};
    ///
    /// let base = GuestAddress(0x1000);
    /// assert_eq!(GuestAddress(0x1234).checked_offset_from(base), Some(0x234));
    /// assert_eq!(GuestAddress(0xfff).checked_offset_from(base), None);
    /// ```
    fn checked_offset_from(&self, base: Self) -> Option<Self::V>;

    /// Returns how far this address lies above `base`.
    ///
    /// The caller promises that it does not lie below.
    ///
    /// ```
    /// use guest_address::{Address, GuestAddress};
    ///
    /// let (base, addr) = (GuestAddress(0x1000), GuestAddress(0x1234));
    /// assert!(base <= addr);
    /// assert_eq!(addr.unchecked_offset_from(base), 0x234);
    /// ```
    ///
    /// # Panics
    ///
    /// If the promise is broken: a debug build panics, a release build wraps, as `-` does.
    #[inline(always)]
    fn unchecked_offset_from(&self, base: Self) -> Self::V {
        self.raw_value() - base.raw_value()
    }

    /// Returns the lowest multiple of `power_of_two` that is not below this address.
    ///
    /// `None` if `power_of_two` is none (0 is none), or if no such multiple exists below the end of
    /// the address space.
    ///
    /// ```
    /// use guest_address::{Address, GuestAddress};
    ///
    /// assert_eq!(GuestAddress(0x1001).checked_align_up(0x1000), Some(GuestAddress(0x2000)));
    /// assert_eq!(GuestAddress(0x2000).checked_align_up(0x1000), Some(GuestAddress(0x2000)));
    ///
    /// assert_eq!(GuestAddress(u64::MAX).checked_align_up(0x1000), None);
    /// assert_eq!(GuestAddress(0x1001).checked_align_up(0), None);
    /// assert_eq!(GuestAddress(0x1001).checked_align_up(3), None);
    /// ```
    #[inline]
    fn checked_align_up(&self, power_of_two: Self::V) -> Option<Self> {
        let low = bits_below::<Self>(power_of_two)?;
        Some(self.checked_add(low)? & !low)
    }

    /// Returns the lowest multiple of `power_of_two` that is not below this address.
    ///
    /// The caller promises that `power_of_two` is one, and that there is such a multiple below the
    /// end of the address space.
    ///
    /// ```
    /// use guest_address::{Address, GuestAddress};
    ///
    /// assert_eq!(GuestAddress(0x1001).unchecked_align_up(0x1000), GuestAddress(0x2000));
    /// ```
    ///
    /// # Panics
    ///
    /// If the promise is broken: a debug build panics, a release build returns a wrong address.
    #[inline]
    fn unchecked_align_up(&self, power_of_two: Self::V) -> Self {
        debug_assert!(
            bits_below::<Self>(power_of_two).is_some(),
            "the alignment {power_of_two:#x?} is not a power of two"
        );
        let low = power_of_two - Self::one();
        self.unchecked_add(low) & !low
    }

    /// Returns the highest multiple of `power_of_two` that is not above this address.
    ///
    /// `None` if `power_of_two` is none (0 is none). There is always such a multiple: 0 is one.
    ///
    /// ```
    /// use guest_address::{Address, GuestAddress};
    ///
    /// assert_eq!(GuestAddress(0x1fff).checked_align_down(0x1000), Some(GuestAddress(0x1000)));
    /// assert_eq!(GuestAddress(0x1fff).checked_align_down(0), None);
    /// assert_eq!(GuestAddress(0x1fff).checked_align_down(3), None);
    /// ```
    #[inline]
    fn checked_align_down(&self, power_of_two: Self::V) -> Option<Self> {
        bits_below::<Self>(power_of_two).map(|low| *self & !low)
    }

    /// Says whether this address is a multiple of `power_of_two`.
    ///
    /// `None` if `power_of_two` is none (0 is none). The answer is not a plain `bool`, because "no"
    /// would be taken for an answer about the address where the question was at fault.
    ///
    /// ```
    /// use guest_address::{Address, GuestAddress};
    ///
    /// assert_eq!(GuestAddress(0x1000).checked_is_aligned(8), Some(true));
    /// assert_eq!(GuestAddress(0x1001).checked_is_aligned(8), Some(false));
    /// assert_eq!(GuestAddress(0x1001).checked_is_aligned(0), None);
    /// assert_eq!(GuestAddress(0x1001).checked_is_aligned(3), None);
    /// ```
    #[inline]
    fn checked_is_aligned(&self, power_of_two: Self::V) -> Option<bool> {
        bits_below::<Self>(power_of_two).map(|low| self.mask(low) == Self::zero())
    }

    /// Returns the address `other` above this one, or `None` past the end of the address space.
    ///
    /// ```
    /// use guest_address::{Address, GuestAddress};
    ///
    /// assert_eq!(GuestAddress(0x1000).checked_add(0x234), Some(GuestAddress(0x1234)));
    /// assert_eq!(GuestAddress(u64::MAX).checked_add(1), None);
    /// ```
    fn checked_add(&self, other: Self::V) -> Option<Self>;

    /// Returns the address `other` above this one, wrapped if need be, and whether it wrapped.
    ///
    /// ```
    /// use guest_address::{Address, GuestAddress};
    ///
    /// assert_eq!(GuestAddress(1).overflowing_add(2), (GuestAddress(3), false));
    /// assert_eq!(GuestAddress(u64::MAX).overflowing_add(2), (GuestAddress(1), true));
    /// ```
    fn overflowing_add(&self, other: Self::V) -> (Self, bool);

    /// Returns the address `offset` above this one.
    ///
    /// The caller promises that it does not lie past the end of the address space. "Unchecked" is
    /// meant as for `+`, not as for [`u64::unchecked_add`]: breaking the promise is not undefined
    /// behaviour.
    ///
    /// ```
    /// use guest_address::{Address, GuestAddress};
    ///
    /// assert_eq!(GuestAddress(0x1000).unchecked_add(0x234), GuestAddress(0x1234));
    /// ```
    ///
    /// # Panics
    ///
    /// If the promise is broken: a debug build panics, a release build wraps, as `+` does.
    fn unchecked_add(&self, offset: Self::V) -> Self;

    /// Returns the address `other` below this one, or `None` below address 0.
    ///
    /// ```
    /// use guest_address::{Address, GuestAddress};
    ///
    /// assert_eq!(GuestAddress(0x1234).checked_sub(0x234), Some(GuestAddress(0x1000)));
    /// assert_eq!(GuestAddress(0).checked_sub(1), None);
    /// ```
    fn checked_sub(&self, other: Self::V) -> Option<Self>;

    /// Returns the address `other` below this one, wrapped if need be, and whether it wrapped.
    ///
    /// ```
    /// use guest_address::{Address, GuestAddress};
    ///
    /// assert_eq!(GuestAddress(3).overflowing_sub(2), (GuestAddress(1), false));
    /// assert_eq!(GuestAddress(0).overflowing_sub(1), (GuestAddress(u64::MAX), true));
    /// ```
    fn overflowing_sub(&self, other: Self::V) -> (Self, bool);

    /// Returns the address `other` below this one.
    ///
    /// The caller promises that it does not lie below address 0. As with
    /// [`unchecked_add`](Self::unchecked_add), breaking the promise is not undefined behaviour.
    ///
    /// ```
    /// use guest_address::{Address, GuestAddress};
    ///
    /// assert_eq!(GuestAddress(0x1234).unchecked_sub(0x234), GuestAddress(0x1000));
    /// ```
    ///
    /// # Panics
    ///
    /// If the promise is broken: a debug build panics, a release build wraps, as `-` does.
    fn unchecked_sub(&self, other: Self::V) -> Self;
}

/// Returns the bits below the one set in `power_of_two`, or `None` if it is no power of two.
#[inline(always)]
fn bits_below<A: AddressValue>(power_of_two: A::V) -> Option<A::V> {
    // Not `== 0`: this way a signed `V`, which the bounds do not rule out, cannot overflow below.
    if power_of_two < A::one() {
        return None;
    }
    let low = power_of_two - A::one();
    (power_of_two & low == A::zero()).then_some(low)
}
