//! What can go wrong with an access to guest memory.

use alloc::boxed::Box;

use guest_address::GuestAddress;
use guest_volatile::{Access, Error as VolatileError, WindowError};

use crate::permissions::Permissions;

/// Why an access to guest memory was refused, or how far it came.
///
/// Guest addresses and lengths show in hex; host addresses never show.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no memory at this guest address.
    #[error("no memory at guest address {0}")]
    InvalidGuestAddress(GuestAddress),
    /// The source or the sink of a stream failed, before any byte was moved.
    #[cfg(feature = "std")]
    #[error("the stream failed")]
    IOError(#[source] std::io::Error),
    /// The source or the sink of a stream failed after the first `completed` bytes were moved.
    #[cfg(feature = "std")]
    #[error("the stream failed after {completed:#x} bytes")]
    IOErrorAfter {
        /// How many bytes were moved.
        completed: usize,
        /// What the stream said then.
        #[source]
        error: std::io::Error,
    },
    /// Only a part of the bytes was moved: the first `completed` of `expected`.
    #[error("moved only {completed:#x} of {expected:#x} bytes")]
    PartialBuffer {
        /// How many bytes were to be moved.
        expected: usize,
        /// How many were.
        completed: usize,
    },
    /// The range starts in a region, which does not give all of it in one slice: it ends before, or gives less than it says it
    /// has.
    #[error("the range does not lie in the memory that one region gives")]
    InvalidBackendAddress,
    /// The region's memory has no address in this process.
    #[error("the region has no memory in this process")]
    HostAddressNotAvailable,
    /// A callback said that it moved more bytes than there were.
    #[error("the callback moved more bytes than there were")]
    CallbackOutOfRange,
    /// The range passes the end of the guest's address space.
    #[error("the range passes the end of the guest's address space")]
    GuestAddressOverflow,
    /// An access that must be one, such as a load, starts in memory, but does not lie in one piece of it.
    #[error("{len:#x} bytes at guest address {addr} do not lie in one piece")]
    NotContiguous {
        /// Where the range starts.
        addr: GuestAddress,
        /// How many bytes it has.
        len: usize,
    },
    /// The host address behind a guest address lacks the alignment that the access needs.
    #[error("guest address {addr} is not aligned to {alignment:#x} bytes on the host")]
    Misaligned {
        /// The guest address of the access.
        addr: GuestAddress,
        /// The alignment it needs, in bytes.
        alignment: usize,
    },
    /// The memory is there, and may not be accessed so.
    #[error("the memory at guest address {addr} does not permit the access: {access}")]
    AccessDenied {
        /// The guest address of the access.
        addr: GuestAddress,
        /// What was wanted.
        access: Permissions,
    },
    /// The memory is mapped, and could not be reached to read it: its file ends before, the page is broken or protected.
    ///
    /// The bytes of the access that lie before it were moved. Without [`fault`](guest_volatile#features) the process ends instead,
    /// unless it is a system call that says so.
    #[error("reading guest address {addr} faulted after {completed:#x} bytes")]
    ReadFaulted {
        /// The first byte that could not be read.
        addr: GuestAddress,
        /// How many bytes were moved.
        completed: usize,
    },
    /// The memory is mapped, and could not be reached to write it: as [`ReadFaulted`](Self::ReadFaulted). The bytes that were
    /// to be written are marked, since it may have come further at first: an access that faults is begun again.
    #[error("writing guest address {addr} faulted after {completed:#x} bytes")]
    WriteFaulted {
        /// The first byte that could not be written.
        addr: GuestAddress,
        /// How many bytes were moved.
        completed: usize,
    },
    /// An address of a device could not be translated to a guest address; the IOMMU layer says why.
    #[error("the device's address could not be translated")]
    IommuError(#[source] Box<dyn core::error::Error + Send + Sync>),
    /// An access inside one piece of memory was refused; its numbers are offsets in that piece.
    #[error(transparent)]
    Volatile(VolatileError),
    /// An access to a window was refused, and did nothing.
    #[error(transparent)]
    Window(#[from] WindowError),
}

/// The result of an access to guest memory.
pub type Result<T> = core::result::Result<T, Error>;

// Three words, with or without `std`: a feature changes no size.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Error>() == 3 * size_of::<usize>());

impl From<VolatileError> for Error {
    fn from(error: VolatileError) -> Self {
        match error {
            VolatileError::PartialBuffer { expected, completed } => {
                Self::PartialBuffer { expected, completed }
            }
            #[cfg(feature = "std")]
            VolatileError::IOError(error) => Self::IOError(error),
            #[cfg(feature = "std")]
            VolatileError::IOErrorAfter { completed, error } => {
                Self::IOErrorAfter { completed, error }
            }
            other => Self::Volatile(other),
        }
    }
}

impl Error {
    /// The error of an access that faulted at `addr`.
    pub(crate) fn faulted(addr: GuestAddress, completed: usize, access: Access) -> Self {
        match access {
            Access::Read => Self::ReadFaulted { addr, completed },
            Access::Write => Self::WriteFaulted { addr, completed },
        }
    }

    /// The error of an access to one piece of memory at `addr`.
    #[cold]
    pub(crate) fn at(addr: GuestAddress, error: VolatileError) -> Self {
        match error {
            VolatileError::Misaligned { alignment, .. } => Self::Misaligned { addr, alignment },
            VolatileError::NotReadable => Self::AccessDenied { addr, access: Permissions::Read },
            VolatileError::NotWritable => Self::AccessDenied { addr, access: Permissions::Write },
            VolatileError::Faulted { addr: offset, completed, access } => {
                // No overflow: it is the address of a byte of the memory.
                let addr = GuestAddress(addr.0.wrapping_add(offset as u64));
                Self::faulted(addr, completed, access)
            }
            other => other.into(),
        }
    }

    /// The same error of a region, with the guest address of the access where it has none.
    #[cold]
    pub(crate) fn located(self, addr: GuestAddress) -> Self {
        match self {
            Self::Volatile(error) => Self::at(addr, error),
            other => other,
        }
    }

    /// The same error, with the count of bytes that were moved before it, out of `expected`.
    pub(crate) fn after(self, completed: usize, expected: usize) -> Self {
        match self {
            Self::ReadFaulted { addr, .. } => Self::ReadFaulted { addr, completed },
            Self::WriteFaulted { addr, .. } => Self::WriteFaulted { addr, completed },
            error if completed == 0 => error,
            #[cfg(feature = "std")]
            Self::IOError(error) => Self::IOErrorAfter { completed, error },
            Self::Volatile(VolatileError::Faulted { addr, access, .. }) => {
                Self::Volatile(VolatileError::Faulted { addr, completed, access })
            }
            _ => Self::PartialBuffer { expected, completed },
        }
    }
}
