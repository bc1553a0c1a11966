//! The two address spaces that guest memory has: the guest's, and the inside of a region.

use core::fmt;
use core::ops::{BitAnd, BitOr};

use crate::address::Address;
use crate::value::AddressValue;

/// A guest-physical address: a location as the guest's CPUs and devices name it.
///
/// Holding one tells you that someone named this location. It does not tell you that memory is
/// there, nor that the one who named it may have it: a `GuestAddress` read from a descriptor is
/// just a number that the guest chose. The memory map says what is there.
///
/// It prints in hex: `0x1000` for `{}`, `GuestAddress(0x1000)` for `{:?}`. `{:x}` is that of `u64`,
/// flags and width included: no prefix without the `#`, and `{:#018x}` lines up.
///
/// ```
/// use guest_address::{Address, GuestAddress};
///
/// let addr = GuestAddress(0x1000);
/// assert_eq!(addr.checked_add(0x10), Some(GuestAddress(0x1010)));
/// assert_eq!(addr.to_string(), "0x1000");
/// assert_eq!(format!("{addr:?} {addr:x} {addr:#010x}"), "GuestAddress(0x1000) 1000 0x00001000");
/// ```
#[derive(Clone, Copy, Eq, PartialEq, Ord, PartialOrd, Hash, Default)]
pub struct GuestAddress(pub u64);

/// An address inside one region of guest memory: a distance in bytes from the region's start.
///
/// Holding one tells you that someone named an offset into a region. It does not tell you which
/// region, nor that the region is that long.
///
/// It is a type of its own because a location of the machine and an offset into a region are both
/// a `u64`, and taking one for the other is an access to the wrong memory:
///
/// ```
/// use guest_address::MemoryRegionAddress;
///
/// let in_region: MemoryRegionAddress = MemoryRegionAddress(0x10);
/// ```
///
/// ```compile_fail,E0308
/// use guest_address::{GuestAddress, MemoryRegionAddress};
///
/// let in_region: MemoryRegionAddress = GuestAddress(0x10);
/// ```
#[derive(Clone, Copy, Eq, PartialEq, Ord, PartialOrd, Hash, Default)]
pub struct MemoryRegionAddress(pub u64);

/// A plain number of guest bytes: a raw guest address, a length, a distance.
///
/// It is `u64` on every host, also where `usize` is smaller.
pub type GuestUsize = <GuestAddress as AddressValue>::V;

impl_address!(GuestAddress);
impl_address!(MemoryRegionAddress);

/// Implements all that a newtype over `u64` needs to be an [`Address`] that prints in hex.
macro_rules! impl_address {
    ($name:ident) => {
        impl AddressValue for $name {
            type V = u64;
        }

        impl Address for $name {
            #[inline(always)]
            fn new(addr: u64) -> Self {
                Self(addr)
            }

            #[inline(always)]
            fn raw_value(&self) -> u64 {
                self.0
            }

            #[inline(always)]
            fn checked_offset_from(&self, base: Self) -> Option<u64> {
                self.0.checked_sub(base.0)
            }

            #[inline(always)]
            fn checked_add(&self, other: u64) -> Option<Self> {
                self.0.checked_add(other).map(Self)
            }

            #[inline(always)]
            fn overflowing_add(&self, other: u64) -> (Self, bool) {
                let (sum, wrapped) = self.0.overflowing_add(other);
                (Self(sum), wrapped)
            }

            #[inline(always)]
            fn unchecked_add(&self, offset: u64) -> Self {
                Self(self.0 + offset)
            }

            #[inline(always)]
            fn checked_sub(&self, other: u64) -> Option<Self> {
                self.0.checked_sub(other).map(Self)
            }

            #[inline(always)]
            fn overflowing_sub(&self, other: u64) -> (Self, bool) {
                let (difference, wrapped) = self.0.overflowing_sub(other);
                (Self(difference), wrapped)
            }

            #[inline(always)]
            fn unchecked_sub(&self, other: u64) -> Self {
                Self(self.0 - other)
            }
        }

        impl BitAnd<u64> for $name {
            type Output = Self;

            #[inline(always)]
            fn bitand(self, mask: u64) -> Self {
                Self(self.0 & mask)
            }
        }

        impl BitOr<u64> for $name {
            type Output = Self;

            #[inline(always)]
            fn bitor(self, bits: u64) -> Self {
                Self(self.0 | bits)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:#x})"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }

        impl fmt::LowerHex for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::LowerHex::fmt(&self.0, f)
            }
        }
    };
}

// A `macro_rules!` is in scope only below its definition; this lets the story above come first.
use impl_address;
