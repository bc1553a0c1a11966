//! Objects and runs of bytes, moved to and from guest memory by the target's instructions.

#![expect(unsafe_code, reason = "this is the room that touches guest bytes")]

use core::mem::MaybeUninit;
use core::ptr::{read_unaligned, write_unaligned};

use crate::sys;

/// The largest object that is moved by inlined instructions, in bytes: eight steps of sixteen.
const INLINE_MAX: usize = 128;

/// The largest object that is moved by words of at most 8 bytes. Fields are taken out of general registers, and put
/// together in them, faster than out of wide ones: a descriptor of 16 bytes is read and used in 3.0 ns instead of 4.2,
/// made and written in 0.9 instead of 1.5.
const NARROW_MAX: usize = 32;

/// Reads an object: 1, 2, 4, 8 bytes by one load of that width (see [`sys`] for alignment).
///
/// # Safety
///
/// - `size_of::<T>()` bytes at `src` must be [valid](crate#valid) for reading.
/// - Every pattern of bytes must be a `T`.
#[inline(always)]
pub(crate) unsafe fn read<T: Copy>(src: *const u8) -> T {
    let size = size_of::<T>();
    let mut value = MaybeUninit::<T>::uninit();
    let own = value.as_mut_ptr().cast::<u8>();
    if size > INLINE_MAX {
        // SAFETY: the source is valid by the caller's promise; the target is our own, and of that size.
        unsafe { copy(own, src, size) };
    } else {
        // The value is put together by plain stores, not by those of `sys`: so it can stay in registers.
        let mut done = 0;
        // Steps in a row, not loops: what is constant the compiler works out, and it does not unroll where it builds for size.
        macro_rules! words {
            ($($bytes:literal $load:ident,)*) => {$(
                if size - done >= $bytes {
                    let (from, to) = (src.wrapping_add(done), own.wrapping_add(done));
                    // SAFETY: by the condition the word is a part of the object, whose bytes are valid by the caller's
                    // promise.
                    let word = unsafe { sys::$load(from) };
                    // SAFETY: and the same part of our own value.
                    unsafe { write_unaligned(to.cast(), word) };
                    done += $bytes;
                }
            )*};
        }
        if size > NARROW_MAX {
            words!(16 load16, 16 load16, 16 load16, 16 load16,);
            words!(16 load16, 16 load16, 16 load16, 16 load16,);
        }
        words!(8 load8, 8 load8, 8 load8, 8 load8, 4 load4, 2 load2, 1 load1,);
        debug_assert!(done == size, "the steps are enough for the largest object");
    }
    // SAFETY: all its bytes were just written, and any bytes are a `T`.
    unsafe { value.assume_init() }
}

/// Writes an object: 1, 2, 4, 8 bytes by one store of that width (see [`sys`] for alignment).
///
/// # Safety
///
/// - `size_of::<T>()` bytes at `dst` must be [valid](crate#valid) for writing.
/// - `T` must have no padding.
#[inline(always)]
pub(crate) unsafe fn write<T: Copy>(dst: *mut u8, value: T) {
    let size = size_of::<T>();
    let own = (&raw const value).cast::<u8>();
    if size > INLINE_MAX {
        // SAFETY: the source is our own and without padding; the target is valid by the caller's promise.
        return unsafe { copy(dst, own, size) };
    }
    // As in `read`, by plain loads from the value, and steps in a row.
    let mut done = 0;
    macro_rules! words {
        ($($bytes:literal $store:ident,)*) => {$(
            if size - done >= $bytes {
                let (from, to) = (own.wrapping_add(done), dst.wrapping_add(done));
                // SAFETY: by the condition the word is a part of the value, which has no padding.
                let word = unsafe { read_unaligned(from.cast()) };
                // SAFETY: and the same part of the object, whose bytes are valid by the caller's promise.
                unsafe { sys::$store(to, word) };
                done += $bytes;
            }
        )*};
    }
    if size > NARROW_MAX {
        words!(16 store16, 16 store16, 16 store16, 16 store16,);
        words!(16 store16, 16 store16, 16 store16, 16 store16,);
    }
    words!(8 store8, 8 store8, 8 store8, 8 store8, 4 store4, 2 store2, 1 store1,);
    debug_assert!(done == size, "the steps are enough for the largest object");
}

/// Copies `len` bytes between ranges that do not overlap, each byte once.
///
/// # Safety
///
/// `len` bytes at `src` must be [valid](crate#valid) for reading, `len` at `dst` for writing, and
/// `dst` must not lie inside the source.
#[inline(always)]
pub(crate) unsafe fn copy(dst: *mut u8, src: *const u8, len: usize) {
    // SAFETY: the caller's promise is the same.
    unsafe { sys::copy_forward(dst, src, len) };
}

/// Copies `len` bytes between ranges that may overlap, each byte once: `memmove(3)`.
///
/// # Safety
///
/// `len` bytes at `src` must be [valid](crate#valid) for reading, `len` at `dst` for writing.
#[inline]
pub(crate) unsafe fn copy_overlapping(dst: *mut u8, src: *const u8, len: usize) {
    // Below the source, or past its end (then the difference is at least `len`): upwards is right.
    if (dst as usize).wrapping_sub(src as usize) >= len {
        // SAFETY: `dst` does not lie inside the source; the rest is the caller's promise.
        unsafe { sys::copy_forward(dst, src, len) };
    } else {
        // SAFETY: `dst` lies inside the source, so `src` does not lie inside the target past its
        // start; the rest is the caller's promise.
        unsafe { sys::copy_backward(dst, src, len) };
    }
}

#[cfg(test)]
mod tests;
