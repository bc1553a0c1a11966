//! The `iovec`s of a list of slices, on the stack for the time of one system call.

use core::mem::MaybeUninit;

use libc::{c_int, c_void, iovec};

use crate::error::{Error, Result};
use crate::slice::VolatileSlice;

/// As many as a system call takes (`IOV_MAX` of Linux, macOS and the BSDs). They are 16 KiB.
const MOST: usize = 1024;

/// As many as a system call nearly always has, and as Linux copies without an allocation.
const FEW: usize = 8;

/// Lends `call` the `iovec`s of the slices that have bytes, the first 1024 of them, for the system to write to.
///
/// Each of them stands for bytes that are [valid](crate#valid) for writing as long as `bufs` is borrowed.
pub(crate) fn of_targets<B, R>(
    bufs: &[VolatileSlice<'_, B>],
    call: impl FnOnce(*const iovec, c_int) -> R,
) -> Result<R> {
    // Before anything is written, also of what lies past the 1024th.
    if bufs.iter().any(|buf| buf.is_read_only() && !buf.is_empty()) {
        return Err(Error::NotWritable);
    }
    on_the_stack(bufs, target, call)
}

/// As [`of_targets`], for the system to read from.
pub(crate) fn of_sources<B, R>(
    bufs: &[VolatileSlice<'_, B>],
    call: impl FnOnce(*const iovec, c_int) -> R,
) -> Result<R> {
    on_the_stack(bufs, source, call)
}

/// The bytes of `buf`, for the system to write to.
pub(crate) fn target<B>(buf: &VolatileSlice<'_, B>) -> Result<iovec> {
    let start = buf.writable(0, buf.len()).ok_or(Error::NotWritable)?;
    Ok(iovec { iov_base: start.cast(), iov_len: buf.len() })
}

/// The bytes of `buf`, for the system to read from.
pub(crate) fn source<B>(buf: &VolatileSlice<'_, B>) -> Result<iovec> {
    let start = buf.readable(0, buf.len()).ok_or(Error::NotReadable)?;
    let start: *const c_void = start.cast();
    Ok(iovec { iov_base: start.cast_mut(), iov_len: buf.len() })
}

/// Makes the `iovec`s by `place`, in as much room as there are slices.
#[inline]
fn on_the_stack<B, R>(
    bufs: &[VolatileSlice<'_, B>],
    place: fn(&VolatileSlice<'_, B>) -> Result<iovec>,
    call: impl FnOnce(*const iovec, c_int) -> R,
) -> Result<R> {
    if bufs.len() <= FEW { few(bufs, place, call) } else { many(bufs, place, call) }
}

#[inline]
fn few<B, R>(
    bufs: &[VolatileSlice<'_, B>],
    place: fn(&VolatileSlice<'_, B>) -> Result<iovec>,
    call: impl FnOnce(*const iovec, c_int) -> R,
) -> Result<R> {
    in_room_for::<FEW, _, _>(bufs, place, call)
}

/// Never inlined: what has few slices does not pay for so much stack.
#[cold]
#[inline(never)]
fn many<B, R>(
    bufs: &[VolatileSlice<'_, B>],
    place: fn(&VolatileSlice<'_, B>) -> Result<iovec>,
    call: impl FnOnce(*const iovec, c_int) -> R,
) -> Result<R> {
    in_room_for::<MOST, _, _>(bufs, place, call)
}

#[inline(always)]
fn in_room_for<const N: usize, B, R>(
    bufs: &[VolatileSlice<'_, B>],
    place: fn(&VolatileSlice<'_, B>) -> Result<iovec>,
    call: impl FnOnce(*const iovec, c_int) -> R,
) -> Result<R> {
    let mut room = [const { MaybeUninit::<iovec>::uninit() }; N];
    let mut count = 0;
    let bytes = bufs.iter().filter(|buf| !buf.is_empty());
    for (free, buf) in room.iter_mut().zip(bytes) {
        free.write(place(buf)?);
        count += 1;
    }
    // The first `count` of them are written.
    Ok(call(room.as_ptr().cast(), count))
}
