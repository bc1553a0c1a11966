//! What can go wrong with a bitmap.

use core::fmt;

use guest_volatile::FenceError;

/// Why a bitmap was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BitmapError {
    /// The new length in bytes is no `usize`.
    Overflow {
        /// The length in bytes that the bitmap has.
        byte_size: usize,
        /// How many bytes were to be added.
        additional: usize,
    },
    /// There is no memory for the bits.
    OutOfMemory {
        /// How many pages the bitmap was to have.
        pages: usize,
    },
    /// A foreign bitmap has a bit for a page that is not there.
    PastEnd {
        /// The first such page.
        page: usize,
        /// How many pages the bitmap has.
        pages: usize,
    },
}

// Three words: it travels in registers and through a small return slot.
const _: () = assert!(size_of::<BitmapError>() <= 3 * size_of::<usize>());

impl fmt::Display for BitmapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overflow { byte_size, additional } => {
                write!(f, "a bitmap over {byte_size:#x} and {additional:#x} more bytes overflows")
            }
            Self::OutOfMemory { pages } => {
                write!(f, "no memory for a bitmap of {pages:#x} pages")
            }
            Self::PastEnd { page, pages } => {
                write!(f, "page {page:#x} is past the end of a bitmap of {pages:#x} pages")
            }
        }
    }
}

impl core::error::Error for BitmapError {}

/// Bytes were marked that the bitmap has no page for: some writes are not recorded.
///
/// Holding one tells you that the bitmap is shorter than what its writers take it for, so what was
/// harvested so far may be too little. It does not tell you which writers, or how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "pages were written that no harvest will ever name"]
pub struct Overrun {
    /// One past the last byte that was marked; `usize::MAX` if that is no `usize`.
    ///
    /// It is the farthest of all marks past the end. A bitmap over this many bytes would have held
    /// them.
    pub end: usize,
}

impl fmt::Display for Overrun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "writes up to offset {:#x} were marked past the end of the bitmap", self.end)
    }
}

impl core::error::Error for Overrun {}

/// Why there is no harvest. All bits are in the bitmap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TakeError {
    /// Bytes were marked that the bitmap has no page for.
    Overrun(Overrun),
    /// What writers left to the fence is not known to be in memory, as the fence failed.
    ///
    /// Marks are [strict](crate::Marking::Strict) from now on. Harvests go on when a later one has its fence, or after
    /// [`settle`](crate::AtomicBitmap::settle).
    Unfenced(FenceError),
}

impl fmt::Display for TakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Overrun(_) => "the bitmap is too short for what was marked",
            Self::Unfenced(_) => "no barrier between the marks and the harvest",
        })
    }
}

impl core::error::Error for TakeError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Overrun(overrun) => Some(overrun),
            Self::Unfenced(error) => Some(error),
        }
    }
}

impl From<Overrun> for TakeError {
    fn from(overrun: Overrun) -> Self {
        Self::Overrun(overrun)
    }
}

impl From<FenceError> for TakeError {
    fn from(error: FenceError) -> Self {
        Self::Unfenced(error)
    }
}
