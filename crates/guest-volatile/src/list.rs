//! Lists of slices, filled and emptied as one run of bytes.

use crate::bitmap::BitmapSlice;
use crate::error::Result;
use crate::slice::{VolatileSlice, complete};

impl<B: BitmapSlice> VolatileSlice<'_, B> {
    /// Leaves out the first `count` bytes of the slices of `bufs`, seen as one run: whole slices fall off the list, the
    /// next one gets shorter. Slices without bytes fall off as well, so the first one left has some. Of a list with fewer bytes nothing is
    /// left.
    ///
    /// As `std::io::IoSlice::advance_slices`, for whoever goes on after a short transfer.
    ///
    /// ```
    /// use guest_volatile::VolatileSlice;
    /// let (mut low, mut high) = ([0u8; 4], [0u8; 4]);
    /// let mut list = [VolatileSlice::from(&mut low[..]), VolatileSlice::from(&mut high[..])];
    /// let mut rest = &mut list[..];
    /// VolatileSlice::advance_slices(&mut rest, 5);
    /// assert_eq!((rest.len(), rest[0].len()), (1, 3));
    /// ```
    pub fn advance_slices(bufs: &mut &mut [Self], mut count: usize) {
        let mut whole = 0;
        for buf in bufs.iter() {
            match count.checked_sub(buf.len()) {
                Some(left) => count = left,
                None => break,
            }
            whole += 1;
        }
        *bufs = core::mem::take(bufs).split_at_mut(whole).1;
        if let Some(first) = bufs.first_mut()
            && let Some(rest) = first.part(count, first.len() - count)
        {
            *first = rest;
        }
    }
}

/// The number of bytes of all slices; `usize::MAX` if they are more, which takes slices that overlap.
#[inline]
pub(crate) fn total<B>(bufs: &[VolatileSlice<'_, B>]) -> usize {
    bufs.iter().fold(0, |sum, buf| sum.saturating_add(buf.len()))
}

/// Marks the first `count` bytes of the list dirty, or as many as there are.
#[cfg(feature = "rawfd")]
#[inline]
pub(crate) fn mark_first<B: BitmapSlice>(bufs: &[VolatileSlice<'_, B>], mut count: usize) {
    for buf in bufs {
        if count == 0 {
            break;
        }
        let part = count.min(buf.len());
        buf.bitmap().mark_dirty(0, part);
        count -= part;
    }
}

/// Calls `transfer` until it is not interrupted.
#[inline(always)]
pub(crate) fn retry<T>(mut transfer: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        match transfer() {
            Err(error) if error.is_interrupted() => {}
            result => return result,
        }
    }
}

/// Calls `transfer` once for each slice that has bytes, with the bytes done before it, up to the first that it does not do
/// all of. Interruptions are tried again.
pub(crate) fn one_by_one<'a, B: BitmapSlice>(
    bufs: &[VolatileSlice<'a, B>],
    mut transfer: impl FnMut(&VolatileSlice<'a, B>, usize) -> Result<usize>,
) -> Result<usize> {
    let mut completed = 0_usize;
    for buf in bufs.iter().filter(|buf| !buf.is_empty()) {
        match retry(|| transfer(buf, completed)) {
            // A stream may lie about its count; nothing here relies on it.
            Ok(count) => {
                completed = completed.saturating_add(count.min(buf.len()));
                if count < buf.len() {
                    break;
                }
            }
            Err(error) => return Err(error.after(completed, buf.len())),
        }
    }
    Ok(completed)
}

/// Calls `transfer` on what is left of `bufs`, which starts with a slice that has bytes, and the bytes done before, until nothing
/// is left, over short transfers and interruptions.
#[inline(always)]
pub(crate) fn all_of<'a, B: BitmapSlice>(
    bufs: &mut [VolatileSlice<'a, B>],
    mut transfer: impl FnMut(&[VolatileSlice<'a, B>], usize) -> Result<usize>,
) -> Result<()> {
    let expected = total(bufs);
    // Nearly always the first call does all, and there is no account to keep.
    let first = match &*bufs {
        [first, ..] if !first.is_empty() => match transfer(bufs, 0) {
            Ok(count) if count >= expected => return Ok(()),
            outcome => Some(outcome),
        },
        _ => None,
    };
    go_on(bufs, expected, first, transfer)
}

/// As [`all_of`], of `expected` bytes, after the first call if there was one.
#[cold]
#[inline(never)]
fn go_on<'a, B: BitmapSlice>(
    mut bufs: &mut [VolatileSlice<'a, B>],
    expected: usize,
    mut first: Option<Result<usize>>,
    mut transfer: impl FnMut(&[VolatileSlice<'a, B>], usize) -> Result<usize>,
) -> Result<()> {
    let mut completed = 0;
    // Leaves out slices without bytes at the start.
    VolatileSlice::advance_slices(&mut bufs, 0);
    while completed < expected {
        let left = expected - completed;
        match retry(|| first.take().unwrap_or_else(|| transfer(bufs, completed))) {
            Ok(0) => break,
            // A stream may lie about its count; nothing here relies on it.
            Ok(count) => {
                let count = count.min(left);
                completed += count;
                VolatileSlice::advance_slices(&mut bufs, count);
            }
            Err(error) => return Err(error.after(completed, left)),
        }
    }
    complete(expected, completed)
}
