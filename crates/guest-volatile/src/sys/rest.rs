//! What is left of a copy that faulted, by the byte: the same for each platform with assembly, which says how it moves a byte and a run of them.

#![expect(unsafe_code, reason = "moves bytes by the platform's functions")]

use crate::error::{Access, Fault};

/// Moves one byte, or says what could not be done with it.
pub(super) type MoveByte = unsafe fn(*mut u8, *const u8) -> Result<(), Access>;

/// Moves bytes upwards, and says how many by whole blocks.
pub(super) type MoveRun = unsafe fn(*mut u8, *const u8, usize) -> usize;

/// Moves one value, or says what could not be done with it.
macro_rules! move_value {
    ($dst:expr, $src:expr, $load:ident, $store:ident) => {{
        let (to, mut from) = ($dst, $src);
        // SAFETY: the caller of the macro has checked that the bytes of the value are a part of the valid source.
        let value = unsafe { $load::<Start>(&mut from) };
        if from.is_null() {
            Err(Access::Read)
        // SAFETY: and of the valid target.
        } else if unsafe { $store::<Start>(to, value) } {
            Ok(())
        } else {
            Err(Access::Write)
        }
    }};
}

/// Goes on upwards after `done` bytes of `len`, not many before the byte that faulted: up to that byte or, if the memory is back, to the end.
/// Each `near` bytes it goes by runs again; no block has more.
///
/// # Safety
///
/// - `len` bytes at `src` must be [valid](crate#valid) for reading, `len` at `dst` for writing, and the ranges such as `run` may move.
/// - `done` must be no more than `len`.
#[cold]
#[inline(never)]
pub(super) unsafe fn go_on_upwards(
    dst: *mut u8,
    src: *const u8,
    len: usize,
    mut done: usize,
    near: usize,
    byte: MoveByte,
    run: MoveRun,
) -> Result<(), Fault> {
    loop {
        let near = len.min(done.saturating_add(near));
        while done < near {
            let (to, from) = (dst.wrapping_add(done), src.wrapping_add(done));
            // SAFETY: `done` is less than `len`, so the byte lies in both valid ranges.
            unsafe { byte(to, from) }.map_err(|access| Fault::new(done, access))?;
            done += 1;
        }
        if done == len {
            return Ok(());
        }
        let (to, from) = (dst.wrapping_add(done), src.wrapping_add(done));
        // SAFETY: what is left of both ranges is valid by the caller's promise.
        done += unsafe { run(to, from, len - done) };
    }
}

/// Goes on with a copy downwards, of which the first `left` bytes of `len` are left. The count of its fault is of the bytes above.
///
/// # Safety
///
/// - `len` bytes at `src` must be [valid](crate#valid) for reading, `len` at `dst` for writing.
/// - `left` must be no more than `len`.
#[cold]
#[inline(never)]
pub(super) unsafe fn go_on_downwards(
    dst: *mut u8,
    src: *const u8,
    len: usize,
    mut left: usize,
    byte: MoveByte,
) -> Result<(), Fault> {
    while left > 0 {
        let at = left - 1;
        // SAFETY: `at` is less than `len`, so the byte lies in both valid ranges.
        let result = unsafe { byte(dst.wrapping_add(at), src.wrapping_add(at)) };
        result.map_err(|access| Fault::new(len - left, access))?;
        left = at;
    }
    Ok(())
}
