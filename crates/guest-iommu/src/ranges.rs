//! Ranges of addresses as they are asked for and answered: by a start and a length.

use std::fmt;
use std::num::TryFromIntError;
use std::ops::Range;

use guest_address::{GuestAddress, GuestRange};

/// A range of a device's addresses.
///
/// It is what somebody asked for, so it may be empty, or pass the end of the address space.
///
/// ```
/// use guest_address::GuestAddress;
/// use guest_iommu::IovaRange;
///
/// let range = IovaRange { base: GuestAddress(0x1000), length: 0x20 };
/// assert_eq!(range.to_string(), "0x20 bytes at 0x1000");
/// assert_eq!(IovaRange::try_from(0x1000..0x1020), Ok(range));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IovaRange {
    /// The first address.
    pub base: GuestAddress,
    /// The number of bytes.
    pub length: usize,
}

/// A range of guest addresses that a range of a device's addresses is mapped to.
///
/// What an [`Iotlb`](crate::Iotlb) gives has at least one byte and does not pass the end of the address space. Whether there is
/// memory is for the memory to say.
///
/// ```
/// use guest_iommu::{GuestAddress, MappedRange};
///
/// let range = MappedRange { base: GuestAddress(0x1000), length: 0x20 };
/// assert_eq!(range.length, 0x20);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MappedRange {
    /// The first address.
    pub base: GuestAddress,
    /// The number of bytes.
    pub length: usize,
}

impl fmt::Display for IovaRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x} bytes at {}", self.length, self.base)
    }
}

impl TryFrom<Range<u64>> for IovaRange {
    type Error = TryFromIntError;

    /// The same addresses.
    ///
    /// # Errors
    ///
    /// If the range ends before it starts, or its length is no `usize`.
    fn try_from(range: Range<u64>) -> Result<Self, TryFromIntError> {
        let length = i128::from(range.end) - i128::from(range.start);
        Ok(Self { base: GuestAddress(range.start), length: length.try_into()? })
    }
}

/// What a start and a length mean.
pub(crate) enum Asked {
    /// No byte.
    Nothing,
    /// These bytes.
    Bytes(GuestRange),
    /// Bytes of which the last ones have no address.
    PastTheTop,
}

impl Asked {
    #[inline]
    pub(crate) fn new(base: GuestAddress, length: usize) -> Self {
        match GuestRange::new(base, length as u64) {
            Some(range) => Self::Bytes(range),
            None if length == 0 => Self::Nothing,
            None => Self::PastTheTop,
        }
    }
}

/// The length of a range that is no longer than one that was asked for, whose length is a `usize`.
#[inline]
pub(crate) fn length(range: &GuestRange) -> usize {
    usize::try_from(range.len()).unwrap_or(usize::MAX)
}
