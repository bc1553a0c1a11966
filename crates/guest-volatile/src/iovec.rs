//! The `iovec`s of a list of slices, on the stack for the time of one system call.

use core::mem::MaybeUninit;

use libc::{c_int, c_void, iovec, ssize_t};

use crate::error::{Error, Result};
use crate::slice::VolatileSlice;

/// As many as a system call takes (`IOV_MAX` of Linux, macOS and the BSDs). They are 16 KiB.
const MOST: usize = 1024;

/// As many as a system call nearly always has, and as Linux copies without an allocation.
const FEW: usize = 8;

/// Lends `call` the `iovec`s of the slices that have bytes, the first 1024 of them, for the system to write to, and gives what it
/// says; 0 without a call, if there are none.
///
/// Each of them stands for bytes that are [valid](crate#valid) for writing as long as `bufs` is borrowed.
#[inline]
pub(crate) fn of_targets<B>(
    bufs: &[VolatileSlice<'_, B>],
    call: impl FnOnce(*const iovec, c_int) -> Result<ssize_t>,
) -> Result<ssize_t> {
    // Before anything is written, also of what lies past the 1024th.
    if bufs.len() > MOST && bufs.iter().any(|buf| buf.is_read_only() && !buf.is_empty()) {
        return Err(Error::NotWritable);
    }
    on_the_stack(bufs, target, call)
}

/// As [`of_targets`], for the system to read from.
#[inline]
pub(crate) fn of_sources<B>(
    bufs: &[VolatileSlice<'_, B>],
    call: impl FnOnce(*const iovec, c_int) -> Result<ssize_t>,
) -> Result<ssize_t> {
    on_the_stack(bufs, source, call)
}

/// The bytes of `buf`, for the system to write to.
#[inline]
pub(crate) fn target<B>(buf: &VolatileSlice<'_, B>) -> Result<iovec> {
    let start = buf.writable(0, buf.len()).ok_or(Error::NotWritable)?;
    Ok(iovec { iov_base: start.cast(), iov_len: buf.len() })
}

/// The bytes of `buf`, for the system to read from.
#[inline]
pub(crate) fn source<B>(buf: &VolatileSlice<'_, B>) -> Result<iovec> {
    let start = buf.readable(0, buf.len()).ok_or(Error::NotReadable)?;
    let start: *const c_void = start.cast();
    Ok(iovec { iov_base: start.cast_mut(), iov_len: buf.len() })
}

/// Makes the `iovec`s by `place`, in as much room as there are slices.
#[inline]
fn on_the_stack<B>(
    bufs: &[VolatileSlice<'_, B>],
    place: impl Fn(&VolatileSlice<'_, B>) -> Result<iovec>,
    call: impl FnOnce(*const iovec, c_int) -> Result<ssize_t>,
) -> Result<ssize_t> {
    if bufs.len() > FEW {
        return many(bufs, place, call);
    }
    in_room_for::<FEW, _>(bufs, place, call)
}

/// Never inlined: what has few slices does not pay for so much stack.
#[cold]
#[inline(never)]
fn many<B>(
    bufs: &[VolatileSlice<'_, B>],
    place: impl Fn(&VolatileSlice<'_, B>) -> Result<iovec>,
    call: impl FnOnce(*const iovec, c_int) -> Result<ssize_t>,
) -> Result<ssize_t> {
    in_room_for::<MOST, _>(bufs, place, call)
}

#[inline(always)]
fn in_room_for<const N: usize, B>(
    bufs: &[VolatileSlice<'_, B>],
    place: impl Fn(&VolatileSlice<'_, B>) -> Result<iovec>,
    call: impl FnOnce(*const iovec, c_int) -> Result<ssize_t>,
) -> Result<ssize_t> {
    let mut room = [const { MaybeUninit::<iovec>::uninit() }; N];
    let mut count = 0;
    let mut free = room.iter_mut();
    for buf in bufs {
        if !buf.is_empty() {
            let Some(free) = free.next() else { break };
            free.write(place(buf)?);
            count += 1;
        }
    }
    // The first `count` of them are written.
    if count == 0 { Ok(0) } else { call(room.as_ptr().cast(), count) }
}
