//! What can go wrong with a translation.

use guest_address::GuestAddress;

use crate::ranges::IovaRange;

/// Why a device's addresses were not translated, or a mapping was not made.
///
/// Addresses and lengths show in hex.
///
/// ```
/// use guest_iommu::{Error, GuestAddress, IovaRange};
///
/// let iova_range = IovaRange { base: GuestAddress(0x1000), length: 0x20 };
/// let error = Error::CannotResolve { iova_range, reason: "not mapped".into() };
/// assert_eq!(error.to_string(), "cannot translate 0x20 bytes at 0x1000: not mapped");
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Some of the addresses are not mapped, or may not be accessed so.
    #[error("cannot translate {iova_range}: {reason}")]
    CannotResolve {
        /// What could not be translated.
        iova_range: IovaRange,
        /// Why, for a person to read.
        reason: String,
    },
    /// The addresses are mapped, but not to one piece, where one piece is needed.
    #[error("{iova_range} are not mapped to one piece, only {continuous_length:#x} bytes are")]
    Fragmented {
        /// What was to be translated.
        iova_range: IovaRange,
        /// How many bytes from its start are mapped to one piece.
        continuous_length: usize,
    },
    /// The IOMMU cannot translate, or did so wrongly.
    #[error("the iommu does not work as it should: {reason}")]
    IommuMisconfigured {
        /// Why, for a person to read.
        reason: String,
    },
    /// A range passes the end of the address space.
    #[error("{length:#x} bytes at {base} pass the end of the address space")]
    Overflow {
        /// Where the range starts: a device's address, or the guest address that one is mapped to.
        base: GuestAddress,
        /// Its length in bytes.
        length: usize,
    },
}

// Small enough to return through a slot on the stack. The strings are made where there is an error only.
const _: () = assert!(size_of::<Error>() <= 6 * size_of::<u64>());
