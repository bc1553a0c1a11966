//! Moves bytes piece by piece, to where the range or the memory ends, and says how far it came.

use guest_address::GuestAddress;
use guest_volatile::{BS, Error as VolatileError, VolatileSlice};

use crate::error::{Error, Result};
use crate::io_memory::IoMemory;
use crate::permissions::Permissions;
use crate::slices::Pieces;

/// How far a transfer came, and what ended it before its end.
pub(crate) struct Progress {
    completed: usize,
    expected: usize,
    stopped_by: Option<Error>,
}

impl Progress {
    /// The bytes moved; an error if there are none because of one.
    pub(crate) fn partial(self) -> Result<usize> {
        match self.stopped_by {
            Some(error) if self.completed == 0 => Err(error),
            _ => Ok(self.completed),
        }
    }

    /// Nothing to say of all the bytes, or how far it came.
    pub(crate) fn whole(self) -> Result<()> {
        let Self { completed, expected, stopped_by } = self;
        match stopped_by {
            _ if completed == expected => Ok(()),
            Some(error) => Err(error.after(completed, expected)),
            None => Err(Error::PartialBuffer { expected, completed }),
        }
    }
}

/// Calls `step` for each piece of the range, with the bytes done before it, until one does less than its piece.
pub(crate) fn transfer<'a, M: IoMemory + ?Sized>(
    memory: &'a M,
    addr: GuestAddress,
    count: usize,
    access: Permissions,
    mut step: impl FnMut(
        VolatileSlice<'a, BS<'a, M::Bitmap>>,
        usize,
    ) -> core::result::Result<usize, VolatileError>,
) -> Progress {
    let mut completed = 0;
    let ended = |completed, stopped_by| Progress { completed, expected: count, stopped_by };
    if count == 0 {
        return ended(completed, None);
    }
    let mut pieces = match memory.get_slices(addr, count, access) {
        Ok(slices) => Pieces::new(slices, count),
        Err(error) => return ended(completed, Some(error)),
    };
    while let Some(piece) = pieces.next() {
        let piece = match piece {
            Ok(piece) => piece,
            Err(error) => return ended(completed, Some(error)),
        };
        let len = piece.len();
        // A stream may lie about its count.
        match step(piece, completed) {
            Ok(done) => {
                completed += done.min(len);
                if done < len {
                    break;
                }
            }
            Err(VolatileError::PartialBuffer { completed: done, .. }) => {
                return ended(completed + done.min(len), None);
            }
            #[cfg(feature = "std")]
            Err(VolatileError::IOErrorAfter { completed: done, error }) => {
                return ended(completed + done.min(len), Some(Error::IOError(error)));
            }
            // Its address shows only where nothing was moved before.
            Err(error) => return ended(completed, Some(Error::at(addr, error))),
        }
    }
    ended(completed, None)
}
