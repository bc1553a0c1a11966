//! Types whose values are just bytes, so that a guest can write any of them.

#![expect(unsafe_code, reason = "sees plain objects as bytes, and bytes as objects")]

use core::mem::MaybeUninit;

use crate::slice::VolatileSlice;

/// A type that any bytes are a value of, and any value of which is all bytes.
///
/// Guest memory holds whatever the guest put there. A type may be read from it only if no pattern of
/// bytes is invalid for it, and written only if it has no padding, which would leak bytes of ours.
///
/// Implemented for all integers, for arrays of any length, and for the [endian](crate::Le32) types. A
/// struct of such fields gets it without `unsafe` by the feature `zerocopy` and
/// [`byte_valued!`](crate::byte_valued), which checks both conditions when it is compiled.
///
/// ```
/// let mut ram = [2u8; 77];
/// let memory = guest_volatile::VolatileSlice::from(&mut ram[..]);
/// assert_eq!(memory.read_obj::<[u8; 77]>(0)?, [2; 77]);
/// # Ok::<(), guest_volatile::Error>(())
/// ```
///
/// A type that some bytes are no value of is none:
///
/// ```compile_fail,E0277
/// let mut ram = [2u8; 77];
/// let memory = guest_volatile::VolatileSlice::from(&mut ram[..]);
/// memory.read_obj::<bool>(0)?; // 2 is neither true nor false
/// # Ok::<(), guest_volatile::Error>(())
/// ```
///
/// # Safety
///
/// - Every pattern of `size_of::<Self>()` bytes must be a valid value.
/// - The type must have no padding and no interior mutability, and hold no reference or pointer.
pub unsafe trait ByteValued: Copy + Send + Sync {
    /// The value that `data` is, or `None` unless size and alignment fit exactly.
    ///
    /// ```
    /// use guest_volatile::ByteValued;
    /// let word = 0x0403_0201_u32.to_le();
    /// assert_eq!(u32::from_slice(word.as_slice()), Some(&word));
    /// assert_eq!(u32::from_slice(&[1, 2, 3]), None);
    /// ```
    #[inline]
    fn from_slice(data: &[u8]) -> Option<&Self> {
        let value = data.as_ptr().cast::<Self>();
        if data.len() != size_of::<Self>() || !value.is_aligned() {
            return None;
        }
        // SAFETY: size and alignment were checked, any bytes are a value, and the borrow is that of `data`.
        Some(unsafe { &*value })
    }

    /// The value that `data` is, to change it, or `None` unless size and alignment fit exactly.
    ///
    /// ```
    /// use guest_volatile::ByteValued;
    /// let mut data = [0u8; 2];
    /// *<[u8; 2]>::from_mut_slice(&mut data).unwrap() = [1, 2];
    /// assert_eq!(data, [1, 2]);
    /// ```
    #[inline]
    fn from_mut_slice(data: &mut [u8]) -> Option<&mut Self> {
        let value = data.as_mut_ptr().cast::<Self>();
        if data.len() != size_of::<Self>() || !value.is_aligned() {
            return None;
        }
        // SAFETY: size and alignment were checked, any bytes are a value and any value is bytes, and the
        // borrow is that of `data`.
        Some(unsafe { &mut *value })
    }

    /// The bytes of this value, in memory order.
    ///
    /// ```
    /// use guest_volatile::ByteValued;
    /// assert_eq!(0x0201_u16.to_le().as_slice(), [1, 2]);
    /// ```
    #[inline]
    fn as_slice(&self) -> &[u8] {
        let bytes = (&raw const *self).cast::<u8>();
        // SAFETY: a value without padding is `size_of` initialized bytes; the borrow is that of `self`.
        unsafe { core::slice::from_raw_parts(bytes, size_of::<Self>()) }
    }

    /// The bytes of this value, in memory order, to change them.
    ///
    /// ```
    /// use guest_volatile::ByteValued;
    /// let mut value = 0_u16;
    /// value.as_mut_slice().copy_from_slice(&[1, 2]);
    /// assert_eq!(value.to_le(), 0x0201);
    /// ```
    #[inline]
    fn as_mut_slice(&mut self) -> &mut [u8] {
        let bytes = (&raw mut *self).cast::<u8>();
        // SAFETY: a value without padding is `size_of` initialized bytes, any of which may become any
        // other; the borrow is that of `self`.
        unsafe { core::slice::from_raw_parts_mut(bytes, size_of::<Self>()) }
    }

    /// The bytes of this value, as volatile memory.
    ///
    /// ```
    /// use guest_volatile::ByteValued;
    /// let mut value = 0_u16;
    /// value.as_bytes().write_obj(1_u8, 0)?;
    /// assert_eq!(value.to_le(), 1);
    /// # Ok::<(), guest_volatile::Error>(())
    /// ```
    #[inline]
    fn as_bytes(&mut self) -> VolatileSlice<'_> {
        VolatileSlice::from(self.as_mut_slice())
    }

    /// The value whose bytes are all zero.
    ///
    /// ```
    /// use guest_volatile::ByteValued;
    /// assert_eq!(<[u16; 2]>::zeroed(), [0, 0]);
    /// ```
    #[inline]
    fn zeroed() -> Self {
        // SAFETY: any bytes are a value, all zeros too.
        unsafe { MaybeUninit::zeroed().assume_init() }
    }

    /// Writes the bytes of this value to `writer`.
    ///
    /// ```
    /// use guest_volatile::ByteValued;
    /// let mut file = Vec::new();
    /// 0x0201_u16.to_le().write_all_to(&mut file)?;
    /// assert_eq!(file, [1, 2]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Write::write_all`](std::io::Write::write_all).
    #[cfg(feature = "std")]
    fn write_all_to<W: std::io::Write>(&self, mut writer: W) -> Result<(), std::io::Error> {
        writer.write_all(self.as_slice())
    }

    /// Reads the bytes of a value from `reader`.
    ///
    /// ```
    /// use guest_volatile::ByteValued;
    /// assert_eq!(u16::read_exact_from(&[1, 2, 3][..])?.to_le(), 0x0201);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Read::read_exact`](std::io::Read::read_exact).
    #[cfg(feature = "std")]
    fn read_exact_from<R: std::io::Read>(mut reader: R) -> Result<Self, std::io::Error> {
        let mut value = Self::zeroed();
        reader.read_exact(value.as_mut_slice())?;
        Ok(value)
    }
}

macro_rules! integers {
    ($($int:ty)*) => {$(
        // SAFETY: an integer is all bytes, and any bytes are an integer.
        unsafe impl ByteValued for $int {}
    )*};
}

integers!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize);

// SAFETY: an array is its elements one after the other, without padding between them.
unsafe impl<T: ByteValued, const N: usize> ByteValued for [T; N] {}

/// Implements [`ByteValued`] for types that zerocopy has proven to be plain bytes.
///
/// The type derives zerocopy's `FromBytes` (any bytes are a value), `IntoBytes` (no padding) and
/// `Immutable`; the derives refuse a type that is not so, and this macro a type without the derives.
///
/// ```
/// use guest_volatile::{VolatileSlice, byte_valued};
/// use zerocopy::{FromBytes, Immutable, IntoBytes};
///
/// #[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
/// #[repr(C)]
/// struct Descriptor {
///     addr: u64,
///     len: u32,
///     flags: u16,
///     next: u16,
/// }
/// byte_valued!(Descriptor);
///
/// let mut ram = [0u8; 16];
/// let descriptor: Descriptor = VolatileSlice::from(&mut ram[..]).read_obj(0)?;
/// assert_eq!(descriptor.len, 0);
/// # Ok::<(), guest_volatile::Error>(())
/// ```
///
/// With padding it does not compile:
///
/// ```compile_fail
/// use guest_volatile::byte_valued;
/// use zerocopy::{FromBytes, Immutable, IntoBytes};
///
/// #[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
/// #[repr(C)]
/// struct Padded {
///     addr: u64,
///     len: u32,
/// }
/// byte_valued!(Padded);
/// ```
///
/// Nor without the derives:
///
/// ```compile_fail,E0277
/// #[derive(Clone, Copy)]
/// #[repr(C)]
/// struct Unproven(u64);
/// guest_volatile::byte_valued!(Unproven);
/// ```
#[cfg(feature = "zerocopy")]
#[macro_export]
macro_rules! byte_valued {
    ($($type:ty),+ $(,)?) => {$(
        const _: () = $crate::__private::plain_bytes::<$type>();
        // SAFETY: `plain_bytes` compiles only for types that zerocopy has proven to be without padding and
        // interior mutability, and valid for any bytes; which excludes references.
        unsafe impl $crate::ByteValued for $type {}
    )+};
}

/// What [`byte_valued!`](crate::byte_valued) expands to. Not for use by hand.
#[cfg(feature = "zerocopy")]
#[doc(hidden)]
pub mod __private {
    /// Compiles only for types that are plain bytes.
    pub const fn plain_bytes<T>()
    where
        T: zerocopy::FromBytes + zerocopy::IntoBytes + zerocopy::Immutable,
    {
    }
}
