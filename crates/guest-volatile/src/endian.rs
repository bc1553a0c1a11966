//! Integers kept in a given byte order, as devices and file formats lay them out.

#![expect(unsafe_code, reason = "an integer in either byte order is plain bytes")]

use crate::byte_valued::ByteValued;

macro_rules! endian {
    ($($name:ident, $int:ty, $to:ident, $from:ident, $order:literal;)*) => {$(
        #[doc = concat!("A `", stringify!($int), "` kept in ", $order, "-endian byte order.")]
        ///
        /// It has the integer's size and alignment, so it serves as a field of a structure in guest memory.
        #[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
        #[repr(transparent)]
        pub struct $name($int);

        impl $name {
            /// The integer, in this machine's byte order.
            #[inline(always)]
            pub fn to_native(self) -> $int {
                <$int>::$from(self.0)
            }
        }

        impl From<$int> for $name {
            #[inline(always)]
            fn from(value: $int) -> Self {
                Self(<$int>::$to(value))
            }
        }

        impl From<$name> for $int {
            #[inline(always)]
            fn from(value: $name) -> Self {
                value.to_native()
            }
        }

        impl PartialEq<$int> for $name {
            #[inline]
            fn eq(&self, other: &$int) -> bool {
                self.to_native() == *other
            }
        }

        impl PartialEq<$name> for $int {
            #[inline]
            fn eq(&self, other: &$name) -> bool {
                *self == other.to_native()
            }
        }

        // SAFETY: a transparent wrapper of an integer, which is all bytes, as any bytes are one.
        unsafe impl ByteValued for $name {}

        const _: () = assert!(size_of::<$name>() == size_of::<$int>());
        const _: () = assert!(align_of::<$name>() == align_of::<$int>());
    )*};
}

endian! {
    Le16, u16, to_le, from_le, "little";
    Le32, u32, to_le, from_le, "little";
    Le64, u64, to_le, from_le, "little";
    LeSize, usize, to_le, from_le, "little";
    Be16, u16, to_be, from_be, "big";
    Be32, u32, to_be, from_be, "big";
    Be64, u64, to_be, from_be, "big";
    BeSize, usize, to_be, from_be, "big";
}
