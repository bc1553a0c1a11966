//! What can go wrong with an access to a piece of volatile memory.

use core::fmt;
use core::num::NonZeroUsize;
use core::sync::atomic::Ordering;

/// What was done to memory: the half of a copy that met with something.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Access {
    /// It was read.
    Read,
    /// It was written.
    Write,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "reading",
            Self::Write => "writing",
        })
    }
}

/// Why an access to volatile memory was refused, or how far it came.
///
/// The numbers are offsets into the memory object that was asked, in bytes. Host addresses never show.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The access starts or ends past the end of the memory.
    OutOfBounds {
        /// Where the access would end; where it starts, if it could be partial and there is no byte at all.
        addr: usize,
    },
    /// The end of the access is no `usize`.
    Overflow {
        /// Where the access starts.
        base: usize,
        /// How far from there it reaches.
        offset: usize,
    },
    /// An array of this many elements has more bytes than a `usize` counts.
    TooBig {
        /// The number of elements asked for.
        nelements: usize,
        /// The size of one of them in bytes.
        size: usize,
    },
    /// The host address behind this offset lacks the alignment that the access needs.
    Misaligned {
        /// The offset of the access.
        addr: usize,
        /// The alignment it needs, in bytes.
        alignment: usize,
    },
    /// Only a part of the bytes was moved: the first `completed` of `expected`.
    PartialBuffer {
        /// How many bytes were to be moved.
        expected: usize,
        /// How many were.
        completed: usize,
    },
    /// The memory may not be read.
    NotReadable,
    /// The memory may be read, but not written.
    NotWritable,
    /// A load cannot release, a store cannot acquire.
    InvalidOrdering(Ordering),
    /// The place in a file is past the end of the largest there can be, of 2<sup>63</sup> - 1 bytes.
    InvalidFileOffset,
    /// The memory could not be reached, though it is mapped: a page fault that nothing resolved. The file behind it ends before,
    /// the page is protected or broken.
    ///
    /// The `completed` bytes before it were moved. All that were to be written are marked: an access that faults is begun again, and may
    /// have come further the first time. (Of a copy between overlapping slices that goes
    /// downwards they are the last ones, after it.) Without [`fault`](crate#features) the process ends instead, unless it is a system call that
    /// says so.
    Faulted {
        /// The offset of the first byte that could not be moved.
        addr: usize,
        /// How many bytes were moved.
        completed: usize,
        /// What was done there.
        access: Access,
    },
    /// The source or the sink of a stream failed, before any byte was moved.
    #[cfg(feature = "std")]
    IOError(std::io::Error),
    /// The source or the sink of a stream failed after it had moved the first `completed` bytes.
    #[cfg(feature = "std")]
    IOErrorAfter {
        /// How many bytes were moved.
        completed: usize,
        /// What the stream said then.
        error: std::io::Error,
    },
}

/// The result of an access to volatile memory.
pub type Result<T> = core::result::Result<T, Error>;

// Three words, with or without `std`: a feature changes no size.
const _: () = assert!(size_of::<Error>() == 3 * size_of::<usize>());

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfBounds { addr } => write!(f, "offset {addr:#x} is out of bounds"),
            Self::Overflow { base, offset } => {
                write!(f, "offset {base:#x} and {offset:#x} bytes overflow")
            }
            Self::TooBig { nelements, size } => {
                write!(f, "{nelements:#x} elements of {size:#x} bytes are too big")
            }
            Self::Misaligned { addr, alignment } => {
                write!(f, "offset {addr:#x} is not aligned to {alignment:#x} bytes on the host")
            }
            Self::PartialBuffer { expected, completed } => {
                write!(f, "moved only {completed:#x} of {expected:#x} bytes")
            }
            Self::NotReadable => f.write_str("the memory may not be read"),
            Self::NotWritable => f.write_str("the memory may not be written"),
            Self::InvalidOrdering(order) => {
                write!(f, "memory ordering {order:?} does not fit the operation")
            }
            Self::Faulted { addr, completed, access } => {
                write!(f, "{access} offset {addr:#x} faulted after {completed:#x} bytes")
            }
            Self::InvalidFileOffset => f.write_str("the place is past the end of any file"),
            // The cause is in `source`, and not repeated here.
            #[cfg(feature = "std")]
            Self::IOError(_) => f.write_str("the stream failed"),
            #[cfg(feature = "std")]
            Self::IOErrorAfter { completed, .. } => {
                write!(f, "the stream failed after {completed:#x} bytes")
            }
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            #[cfg(feature = "std")]
            Self::IOError(error) | Self::IOErrorAfter { error, .. } => Some(error),
            _ => None,
        }
    }
}

impl Error {
    /// Whether the operation was interrupted before it moved anything, and may just be tried again.
    pub fn is_interrupted(&self) -> bool {
        match self {
            #[cfg(feature = "std")]
            Self::IOError(error) => error.kind() == std::io::ErrorKind::Interrupted,
            _ => false,
        }
    }

    /// The same error of a part that starts at `offset`.
    #[cold]
    pub(crate) fn further(self, offset: usize) -> Self {
        match self {
            Self::Faulted { addr, completed, access } => {
                Self::Faulted { addr: addr.saturating_add(offset), completed, access }
            }
            other => other,
        }
    }

    /// The bytes that were moved before it, if any; of an access, which may be partial, to a part that starts at `offset`.
    #[cold]
    pub(crate) fn or_part(self, offset: usize) -> Result<usize> {
        match self {
            Self::Faulted { completed, .. } if completed != 0 => Ok(completed),
            other => Err(other.further(offset)),
        }
    }

    /// The same error, with the count of bytes that were moved before it, when `left` more were to come. An error that has
    /// no place for a count gives way to it.
    pub(crate) fn after(self, completed: usize, left: usize) -> Self {
        let expected = completed.saturating_add(left);
        // The second count is what the stream says, which may lie.
        let with = |more: usize| completed.saturating_add(more.min(left));
        match self {
            #[cfg(feature = "std")]
            Self::IOErrorAfter { completed: more, error } => {
                Self::IOErrorAfter { completed: with(more), error }
            }
            Self::PartialBuffer { completed: more, .. } => {
                Self::PartialBuffer { expected, completed: with(more) }
            }
            // Its offset is counted from where the rest starts, as its bytes are.
            Self::Faulted { addr, completed: more, access } => {
                let addr = completed.saturating_add(addr);
                Self::Faulted { addr, completed: with(more), access }
            }
            error if completed == 0 => error,
            #[cfg(feature = "std")]
            Self::IOError(error) => Self::IOErrorAfter { completed, error },
            _ => Self::PartialBuffer { expected, completed },
        }
    }
}

/// Where an access faulted: after how many bytes, and which side of it.
///
/// One word, and never 0, so that a result with it is one register.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Fault(NonZeroUsize);

const _: () = assert!(size_of::<core::result::Result<(), Fault>>() == size_of::<usize>());

impl Fault {
    /// `completed` is less than the length of a valid range.
    pub(crate) const fn new(completed: usize, access: Access) -> Self {
        let side = match access {
            Access::Read => 1,
            Access::Write => 2,
        };
        // No overflow, for a number that is less than `isize::MAX`; of another, which no range has, the top is lost.
        match NonZeroUsize::new(completed.wrapping_mul(2).wrapping_add(side)) {
            Some(both) => Self(both),
            None => Self(NonZeroUsize::MAX),
        }
    }

    /// How many bytes were moved before it.
    pub(crate) const fn completed(self) -> usize {
        (self.0.get() - 1) / 2
    }

    /// The side of the copy that faulted.
    pub(crate) const fn access(self) -> Access {
        if self.0.get() % 2 == 1 { Access::Read } else { Access::Write }
    }

    /// As the error of an access that starts at `offset`.
    pub(crate) const fn at(self, offset: usize) -> Error {
        // No overflow: all of the access lies inside.
        let (completed, access) = (self.completed(), self.access());
        Error::Faulted { addr: offset.wrapping_add(completed), completed, access }
    }
}

/// Why a window refused an access. It did nothing then, unless it [`Faulted`](Self::Faulted).
///
/// One byte, so that a result with it stays in registers. Who made the access knows its offset and size; that is why they
/// are not here.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum WindowError {
    /// The access starts or ends past the end of the window.
    OutOfBounds,
    /// The window may be read, but not written.
    NotWritable,
    /// The host address behind the offset is not aligned to the size of the integer.
    Misaligned,
    /// A load cannot release, a store cannot acquire.
    InvalidOrdering,
    /// The memory could not be reached, though it is mapped; see [`Error::Faulted`]. What lies before the byte at which it faulted may
    /// have been moved, and is marked then; how much that is the same access says of the window's slice.
    Faulted,
}

const _: () = assert!(size_of::<core::result::Result<(), WindowError>>() == 1);
const _: () = assert!(size_of::<core::result::Result<u32, WindowError>>() == 8);

impl fmt::Display for WindowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutOfBounds => "the access is out of the window's bounds",
            Self::NotWritable => "the window may not be written",
            Self::Misaligned => "the access is not aligned on the host",
            Self::InvalidOrdering => "the memory ordering does not fit the operation",
            Self::Faulted => "the memory of the window faulted",
        })
    }
}

impl core::error::Error for WindowError {}
