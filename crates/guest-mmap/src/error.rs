//! Why memory could not be mapped.

use guest_address::GuestAddress;

/// Why a mapping was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The offset in the file and the length have no sum that is an offset in a file.
    #[error("the offset and the length of the mapping overflow")]
    InvalidOffsetLength,
    /// The given pointer is null or not aligned to a page.
    #[error("the given pointer is null or not aligned to a page")]
    InvalidPointer,
    /// `MAP_FIXED` or `MAP_FIXED_NOREPLACE` was asked for: the mapping might replace another.
    #[error("a mapping at a fixed address is refused")]
    MapFixed,
    /// Flags by which something else would be mapped than what was asked for: `MAP_GROWSDOWN`, a mapping that changes its
    /// length, or `MAP_ANONYMOUS` together with a file, which would be ignored.
    #[error("flags {flags:#x} would map something else")]
    RefusedFlags {
        /// The flags asked for.
        flags: i32,
    },
    /// The mapping overlaps another of the same file.
    #[error("the mapping overlaps another of the same file")]
    MappingOverlap,
    /// The file is shorter than the end of the mapping.
    #[error("the mapping passes the end of the file")]
    MappingPastEof,
    /// The offset in the file is not a multiple of the page size.
    #[error("file offset {start:#x} is not aligned to a page of {page_size:#x} bytes")]
    UnalignedOffset {
        /// The offset asked for.
        start: u64,
        /// The size of a page.
        page_size: u64,
    },
    /// A mapping of no bytes was asked for.
    #[error("a mapping of no bytes is refused")]
    NoBytes,
    /// A mapping of more than `isize::MAX` bytes was asked for.
    #[error("a mapping of {size:#x} bytes is too big")]
    TooBig {
        /// The length asked for.
        size: usize,
    },
    /// The memory would not lie in the span.
    #[error("{size:#x} bytes at guest address {addr} are not in the span")]
    OutsideSpan {
        /// Where it would start.
        addr: GuestAddress,
        /// The length asked for.
        size: usize,
    },
    /// The span has memory there: of a region that lives, if only in an old map, or that could not be unmapped.
    #[error("a part of {size:#x} bytes at guest address {addr} is mapped in the span")]
    SpanInUse {
        /// Where it would start.
        addr: GuestAddress,
        /// The length asked for.
        size: usize,
    },
    /// Memory in a span starts at a page, in the guest and in this process.
    #[error("guest address {addr} is not aligned to a page of {page_size:#x} bytes")]
    UnalignedInSpan {
        /// Where it would start.
        addr: GuestAddress,
        /// The size of a page, which may be a huge one.
        page_size: usize,
    },
    /// The system refused to map, move or unmap.
    #[error("the operating system refused the mapping")]
    Mmap(#[source] std::io::Error),
    /// The system knows of transparent huge pages, and failed to note that these bytes may be of them.
    #[error("the operating system refused transparent huge pages")]
    HugePages(#[source] std::io::Error),
    /// The pages could not all be had: there is no more memory, or the file cannot give them.
    #[error("the pages of the mapping could not be prefaulted")]
    Prefault(#[source] std::io::Error),
}

/// The result of mapping memory.
pub type Result<T> = core::result::Result<T, Error>;
