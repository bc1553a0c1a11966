//! Moves the bytes of a range by as few calls as its pieces allow: one where they fit into one list.

use alloc::vec::Vec;
use core::slice::from_mut;

use guest_address::GuestAddress;
use guest_volatile::{BS, BitmapSlice, Error as VolatileError, VolatileSlice};

use crate::error::Error;
use crate::io_memory::IoMemory;
use crate::permissions::Permissions;
use crate::slices::{IoMemorySliceIterator, Pieces};
use crate::transfer::Progress;

/// The pieces of one list at most: what a system call takes (`IOV_MAX`). A range of more goes in several.
const MOST: usize = 1024;

type Outcome<T> = Result<T, VolatileError>;

/// The one slice of all the bytes, if it is at hand and permits the access: nothing stands in its way then.
#[inline(always)]
pub(crate) fn at_hand<M: IoMemory + ?Sized>(
    memory: &M,
    addr: GuestAddress,
    count: usize,
    access: Permissions,
) -> Option<VolatileSlice<'_, BS<'_, M::Bitmap>>> {
    let slice = memory.find_io_slice(addr, count, access)?;
    if access.has_write() && slice.is_read_only() {
        return None;
    }
    // A memory of somebody else's making may give another length than was asked for.
    if slice.len() == count { Some(slice) } else { None }
}

/// The slice of all the bytes, if they lie in several regions that are one piece.
#[inline(always)]
pub(crate) fn over_borders<M: IoMemory + ?Sized>(
    memory: &M,
    addr: GuestAddress,
    count: usize,
    access: Permissions,
) -> Option<VolatileSlice<'_, BS<'_, M::Bitmap>>> {
    let joined = memory.find_io_joined(addr, count, access)?;
    let is_denied = access.has_write() && joined.is_read_only();
    (joined.len() == count && !is_denied).then_some(joined)
}

/// The two slices of all the bytes, if they lie in two regions and are at hand.
#[inline(always)]
pub(crate) fn two_at_hand<M: IoMemory + ?Sized>(
    memory: &M,
    addr: GuestAddress,
    count: usize,
    access: Permissions,
) -> Option<[VolatileSlice<'_, BS<'_, M::Bitmap>>; 2]> {
    let [lower, upper] = memory.find_io_pair(addr, count, access)?;
    let is_denied = access.has_write() && (lower.is_read_only() || upper.is_read_only());
    // A memory of somebody else's making may give other lengths than were asked for.
    (lower.len().checked_add(upper.len()) == Some(count) && !is_denied).then_some([lower, upper])
}

/// Calls `step` with the pieces of the range, in lists as long as can be, with the bytes of the list and those done before
/// it, until one does less than its list. Pieces that the access is not good for are not in any list.
///
/// The first way, of one or two pieces, keeps the count in a register: what goes through memory here is paid for by every
/// transfer.
#[inline(always)]
pub(crate) fn transfer_lists<'a, M: IoMemory + ?Sized>(
    memory: &'a M,
    addr: GuestAddress,
    count: usize,
    access: Permissions,
    mut step: impl FnMut(&mut [VolatileSlice<'a, BS<'a, M::Bitmap>>], usize, usize) -> Outcome<usize>,
) -> Moved {
    let (mut one, mut two);
    let list = if let Some(slice) = at_hand(memory, addr, count, access) {
        one = slice;
        from_mut(&mut one)
    } else if let Some(slice) = over_borders(memory, addr, count, access) {
        one = slice;
        from_mut(&mut one)
    } else if let Some(slices) = two_at_hand(memory, addr, count, access) {
        two = slices;
        &mut two[..]
    } else {
        return Moved { expected: count, how: Err(in_lists(memory, addr, count, access, step)) };
    };
    let how = match step(list, count, 0) {
        // A stream may lie about its count.
        Ok(done) => Ok(done.min(count)),
        Err(error) => Err(failed(addr, count, access, error)),
    };
    Moved { expected: count, how }
}

/// What came of a transfer: a count and no error, or the long story.
pub(crate) struct Moved {
    expected: usize,
    how: Result<usize, Progress>,
}

impl Moved {
    /// The bytes moved; an error if there are none because of one.
    #[inline(always)]
    pub(crate) fn partial(self) -> crate::error::Result<usize> {
        match self.how {
            Ok(done) => Ok(done),
            Err(progress) => progress.partial(),
        }
    }

    /// Nothing to say of all the bytes, or how far it came.
    #[inline(always)]
    pub(crate) fn whole(self) -> crate::error::Result<()> {
        match self.how {
            Ok(done) if done == self.expected => Ok(()),
            Ok(completed) => Err(Error::PartialBuffer { expected: self.expected, completed }),
            Err(progress) => progress.whole(),
        }
    }
}

/// What came of the one step that was to move all bytes.
#[cold]
#[inline(never)]
fn failed(addr: GuestAddress, count: usize, access: Permissions, error: VolatileError) -> Progress {
    let mut progress = Progress::new(addr, count, access);
    let _ = progress.count(Err(error), count);
    progress
}

/// As [`transfer_lists`], without a short way.
#[cold]
#[inline(never)]
fn in_lists<'a, M: IoMemory + ?Sized>(
    memory: &'a M,
    addr: GuestAddress,
    count: usize,
    access: Permissions,
    mut step: impl FnMut(&mut [VolatileSlice<'a, BS<'a, M::Bitmap>>], usize, usize) -> Outcome<usize>,
) -> Progress {
    let mut progress = Progress::new(addr, count, access);
    if count == 0 {
        return progress;
    }
    let slices = match memory.get_slices(addr, count, access) {
        Ok(slices) => Pieces::new(slices, count),
        Err(error) => return progress.stopped(error),
    };
    let mut pieces = Permitted::new(slices, addr, access);
    while pieces.found < count
        && let Some(first) = pieces.next()
    {
        let before = progress.completed();
        let mut run = |list: &mut [VolatileSlice<'a, _>], end: usize| {
            let len = end - before;
            progress.count(step(list, len, before), len)
        };
        // One or two pieces are nearly all there is; only three are worth an allocation.
        let flow = match pieces.next() {
            None => run(&mut [first], pieces.found),
            Some(second) if pieces.found == count => run(&mut [first, second], count),
            Some(second) => match pieces.next() {
                None => run(&mut [first, second], pieces.found),
                Some(third) => {
                    let mut list = Vec::from([first, second, third]);
                    while list.len() < MOST
                        && let Some(piece) = pieces.next()
                    {
                        list.push(piece);
                    }
                    run(&mut list, pieces.found)
                }
            },
        };
        if flow.is_break() {
            return progress;
        }
    }
    match pieces.stopped_by() {
        Some(error) => progress.stopped(error),
        None => progress,
    }
}

/// The pieces of a range up to the first that is not there, or that the access is not good for.
pub(crate) struct Permitted<I> {
    pieces: Pieces<I>,
    addr: GuestAddress,
    access: Permissions,
    /// The bytes of the pieces that were given.
    found: usize,
    /// Why there was no further one.
    stopped_by: Option<Error>,
}

impl<I> Permitted<I> {
    /// Of the range that starts at `addr`.
    pub(crate) fn new(pieces: Pieces<I>, addr: GuestAddress, access: Permissions) -> Self {
        Self { pieces, addr, access, found: 0, stopped_by: None }
    }

    /// Why there was no further piece, if it was not the end of the range.
    pub(crate) fn stopped_by(self) -> Option<Error> {
        self.stopped_by
    }

    #[inline]
    pub(crate) fn next<'a, B: BitmapSlice>(&mut self) -> Option<VolatileSlice<'a, B>>
    where
        I: IoMemorySliceIterator<'a, B>,
    {
        if self.stopped_by.is_some() {
            return None;
        }
        let piece = self.pieces.next()?.and_then(|piece| {
            if !(self.access.has_write() && piece.is_read_only()) {
                return Ok(piece);
            }
            // Below the end of the range: no overflow.
            let addr = GuestAddress(self.addr.0.wrapping_add(self.found as u64));
            Err(Error::AccessDenied { addr, access: Permissions::Write })
        });
        match piece {
            Ok(piece) => {
                self.found += piece.len();
                Some(piece)
            }
            Err(error) => {
                self.stopped_by = Some(error);
                None
            }
        }
    }
}

/// Adds the pieces of one range, which has bytes, to the list. If one is not there, or the access is not good for it, that is the error.
#[cold]
#[inline(never)]
pub(crate) fn gather_pieces<'a, M: IoMemory + ?Sized>(
    memory: &'a M,
    addr: GuestAddress,
    count: usize,
    access: Permissions,
    list: &mut impl Extend<VolatileSlice<'a, BS<'a, M::Bitmap>>>,
) -> Result<(), Error> {
    let slices = memory.get_slices(addr, count, access)?;
    let mut pieces = Permitted::new(Pieces::new(slices, count), addr, access);
    while let Some(piece) = pieces.next() {
        list.extend([piece]);
    }
    match pieces.stopped_by() {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// Calls `transfer` until it is not interrupted.
#[inline(always)]
pub(crate) fn uninterrupted(mut transfer: impl FnMut() -> Outcome<usize>) -> Outcome<usize> {
    loop {
        let outcome = transfer();
        if !outcome.as_ref().is_err_and(VolatileError::is_interrupted) {
            return outcome;
        }
    }
}
