//! Moves bytes piece by piece, to where the range or the memory ends, and says how far it came.

use core::ops::ControlFlow;

use guest_address::GuestAddress;
use guest_volatile::{Access, BS, Error as VolatileError, VolatileSlice};

use crate::error::{Error, Result};
use crate::io_memory::IoMemory;
use crate::permissions::Permissions;
use crate::slices::Pieces;

/// How far a transfer came, and what ended it before its end.
pub(crate) struct Progress {
    addr: GuestAddress,
    access: Permissions,
    completed: usize,
    expected: usize,
    stopped_by: Option<Error>,
}

impl Progress {
    /// Of `count` bytes from `addr` on, none yet, to which `access` is made.
    #[inline(always)]
    pub(crate) fn new(addr: GuestAddress, count: usize, access: Permissions) -> Self {
        Self { addr, access, completed: 0, expected: count, stopped_by: None }
    }

    /// The bytes moved.
    #[inline(always)]
    pub(crate) fn completed(&self) -> usize {
        self.completed
    }

    /// The same, ended by `error` before a byte more was moved.
    pub(crate) fn stopped(self, error: Error) -> Self {
        Self { stopped_by: Some(error), ..self }
    }

    /// Counts what came of a step that was to move `len` bytes, and breaks where it did not move all of them.
    #[inline(always)]
    pub(crate) fn count(
        &mut self,
        outcome: core::result::Result<usize, VolatileError>,
        len: usize,
    ) -> ControlFlow<()> {
        match outcome {
            Ok(done) => {
                // A stream may lie about its count.
                self.completed += done.min(len);
                if done < len { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            }
            Err(error) => {
                self.fail(error, len);
                ControlFlow::Break(())
            }
        }
    }

    /// Counts what a step moved of `len` bytes before it failed.
    #[cold]
    fn fail(&mut self, error: VolatileError, len: usize) {
        let (done, stopped_by) = match error {
            VolatileError::PartialBuffer { completed, .. } => (completed, None),
            #[cfg(feature = "std")]
            VolatileError::IOErrorAfter { completed, error } => {
                (completed, Some(Error::IOError(error)))
            }
            // Of the memory: what faulted on the other side, in a source or a sink that is memory too, has no guest address.
            VolatileError::Faulted { completed, access, .. }
                if self.access.has_write() == (access == Access::Write) =>
            {
                let done = self.completed.saturating_add(completed.min(len));
                let addr = GuestAddress(self.addr.0.wrapping_add(done as u64));
                (completed, Some(Error::faulted(addr, done, access)))
            }
            VolatileError::Faulted { completed, .. } => (completed, Some(Error::Volatile(error))),
            // Its address shows only where nothing was moved before.
            error => (0, Some(Error::at(self.addr, error))),
        };
        self.completed += done.min(len);
        self.stopped_by = stopped_by;
    }

    /// All of `count` bytes.
    #[inline(always)]
    pub(crate) fn all(addr: GuestAddress, count: usize, access: Permissions) -> Self {
        Self { addr, access, completed: count, expected: count, stopped_by: None }
    }

    /// The bytes moved; an error if there are none because of one.
    #[inline(always)]
    pub(crate) fn partial(self) -> Result<usize> {
        match self.stopped_by {
            Some(error) if self.completed == 0 => Err(error),
            _ => Ok(self.completed),
        }
    }

    /// Nothing to say of all the bytes, or how far it came.
    #[inline(always)]
    pub(crate) fn whole(self) -> Result<()> {
        let Self { completed, expected, stopped_by, .. } = self;
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
    let mut progress = Progress::new(addr, count, access);
    if count == 0 {
        return progress;
    }
    let mut pieces = match memory.get_slices(addr, count, access) {
        Ok(slices) => Pieces::new(slices, count),
        Err(error) => return progress.stopped(error),
    };
    while let Some(piece) = pieces.next() {
        let piece = match piece {
            Ok(piece) => piece,
            Err(error) => return progress.stopped(error),
        };
        let len = piece.len();
        if progress.count(step(piece, progress.completed), len).is_break() {
            break;
        }
    }
    progress
}
