//! Why there is no barrier.

use core::fmt;

/// Why there is no heavy half of a [`Fence`](crate::Fence).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FenceError {
    /// This build has none, by its features or its target.
    Unsupported,
    /// The kernel, or a filter of system calls, refused it.
    Refused {
        /// What `errno` was.
        errno: i32,
    },
}

const _: () = assert!(size_of::<FenceError>() <= size_of::<usize>());

impl fmt::Display for FenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported => f.write_str("this build has no membarrier"),
            Self::Refused { errno } => write!(f, "membarrier failed with errno {errno}"),
        }
    }
}

impl core::error::Error for FenceError {}
