//! Objects and runs of bytes, moved to and from guest memory by the target's instructions.

#![expect(unsafe_code, reason = "this is the room that touches guest bytes")]

use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::{read_unaligned, write_unaligned};

use crate::error::Fault;
use crate::sys::{self, Offset};

/// The largest object that is moved by inlined instructions, in bytes: eight steps of sixteen.
const INLINE_MAX: usize = 128;

/// The largest object that is moved by words of at most 8 bytes. Fields are taken out of general registers, and put
/// together in them, faster than out of wide ones: a descriptor of 16 bytes is read and used in 3.0 ns instead of 4.2,
/// made and written in 0.9 instead of 1.5.
const NARROW_MAX: usize = 32;

/// The size of a type that is moved by inlined instructions; of a larger one 0, so that steps that it does not take are instructions all the
/// same: they can reach only so far.
const fn inlined<T>() -> usize {
    if size_of::<T>() > INLINE_MAX { 0 } else { size_of::<T>() }
}

/// Of a type's bytes, how many go by words of 16.
const fn wide<T>() -> usize {
    let size = inlined::<T>();
    if size > NARROW_MAX { size / 16 * 16 } else { 0 }
}

/// The `K`th word of 16 bytes.
struct Wide<const K: usize>;

impl<const K: usize> Offset for Wide<K> {
    const BYTES: usize = K * 16;
}

/// The `K`th word of 8 bytes, which follow those of 16.
struct Narrow<T, const K: usize>(PhantomData<T>);

impl<T, const K: usize> Offset for Narrow<T, K> {
    const BYTES: usize = wide::<T>() + K * 8;
}

/// The one word of `SIZE` bytes, which follows all larger ones.
struct Last<T, const SIZE: usize>(PhantomData<T>);

impl<T, const SIZE: usize> Offset for Last<T, SIZE> {
    const BYTES: usize = inlined::<T>() / (2 * SIZE) * (2 * SIZE);
}

/// Calls a macro for each word of an object of type `T`, from its start on, with where it lies: the words of 16 bytes that go
/// into it, if it is not small, then those of 8, then one each of 4, 2 and 1.
///
/// Steps in a row, not loops: what is constant the compiler works out, and it does not unroll where it builds for size.
macro_rules! each_word {
    ($step:ident, $T:ty) => {
        each_word!($step, $T, wide; 0 1 2 3 4 5 6 7);
        each_word!($step, $T, narrow; 0 1 2 3);
        if size_of::<$T>() & 4 != 0 {
            $step!(load4, store4, Last<$T, 4>);
        }
        if size_of::<$T>() & 2 != 0 {
            $step!(load2, store2, Last<$T, 2>);
        }
        if size_of::<$T>() & 1 != 0 {
            $step!(load1, store1, Last<$T, 1>);
        }
    };
    ($step:ident, $T:ty, wide; $($k:literal)*) => {$(
        if wide::<$T>() > $k * 16 {
            $step!(load16, store16, Wide<$k>);
        }
    )*};
    ($step:ident, $T:ty, narrow; $($k:literal)*) => {$(
        if size_of::<$T>() >= wide::<$T>() + ($k + 1) * 8 {
            $step!(load8, store8, Narrow<$T, $k>);
        }
    )*};
}

const _: () = assert!(INLINE_MAX == 8 * 16 && NARROW_MAX == 4 * 8, "there are as many steps");

/// Reads an object: 1, 2, 4, 8 bytes by one load of that width (see [`sys`] for alignment). `None` where it faults;
/// [`read_again`] says where that is.
///
/// # Safety
///
/// - `size_of::<T>()` bytes at `src` must be [valid](crate#valid) for reading.
/// - Every pattern of bytes must be a `T`.
#[inline(always)]
pub(crate) unsafe fn read<T: Copy>(src: *const u8) -> Option<T> {
    let mut value = MaybeUninit::<T>::uninit();
    let own = value.as_mut_ptr().cast::<u8>();
    if size_of::<T>() > INLINE_MAX {
        // SAFETY: the source is valid by the caller's promise; the target is our own, and of that size.
        if unsafe { copy(own, src, size_of::<T>()) }.is_err() {
            return None;
        }
    } else if size_of::<T>() != 0 {
        let mut from = src;
        // The value is put together by plain stores, not by those of `sys`: so it can stay in registers.
        macro_rules! step {
            ($load:ident, $store:ident, $at:ty) => {
                // SAFETY: the word is a part of the object, whose bytes are valid by the caller's promise.
                let word = unsafe { sys::$load::<$at>(&mut from) };
                let to = own.wrapping_add(<$at>::BYTES);
                // SAFETY: and the same part of our own value.
                unsafe { write_unaligned(to.cast(), word) };
            };
        }
        each_word!(step, T);
        if sys::RECOVERS && from.is_null() {
            return None;
        }
    }
    // SAFETY: all its bytes were just written, and any bytes are a `T`.
    Some(unsafe { value.assume_init() })
}

/// Writes an object: 1, 2, 4, 8 bytes by one store of that width (see [`sys`] for alignment). Says whether it did: not where it
/// faults; some bytes may have been written then, and [`copy`] says how far they go.
///
/// # Safety
///
/// - `size_of::<T>()` bytes at `dst` must be [valid](crate#valid) for writing.
/// - `T` must have no padding.
#[inline(always)]
#[must_use]
pub(crate) unsafe fn write<T: Copy>(dst: *mut u8, value: T) -> bool {
    let own = (&raw const value).cast::<u8>();
    if size_of::<T>() > INLINE_MAX {
        // SAFETY: the source is our own and without padding; the target is valid by the caller's promise.
        return unsafe { copy(dst, own, size_of::<T>()) }.is_ok();
    }
    macro_rules! one_word {
        ($($size:literal $put:ident,)*) => {$(
            if size_of::<T>() == $size {
                // SAFETY: the word is all of the value, which has no padding.
                let word = unsafe { read_unaligned(own.cast()) };
                // SAFETY: and all of the object, whose bytes are valid by the caller's promise.
                return unsafe { sys::$put(dst, word) };
            }
        )*};
    }
    one_word!(1 put1, 2 put2, 4 put4, 8 put8,);
    // As in `read`, by plain loads from the value.
    macro_rules! step {
        ($load:ident, $store:ident, $at:ty) => {
            let from = own.wrapping_add(<$at>::BYTES);
            // SAFETY: the word is a part of the value, which has no padding.
            let word = unsafe { read_unaligned(from.cast()) };
            // SAFETY: and the same part of the object, whose bytes are valid by the caller's promise.
            if !unsafe { sys::$store::<$at>(dst, word) } {
                return false;
            }
        };
    }
    each_word!(step, T);
    true
}

/// Where an object has the alignment of a word, so that a copy moves it whole if its other place is aligned, too.
#[repr(C, align(8))]
struct Aligned<T>(T);

/// Reads an object that faulted again, to say where. It may be there now.
///
/// # Errors
///
/// Where it faults.
///
/// # Safety
///
/// As for [`read`].
#[cold]
#[inline(never)]
pub(crate) unsafe fn read_again<T: Copy>(src: *const u8) -> Result<T, Fault> {
    let mut value = Aligned(MaybeUninit::<T>::uninit());
    // SAFETY: the source is valid by the caller's promise; the target is our own, and of that size.
    unsafe { copy(value.0.as_mut_ptr().cast(), src, size_of::<T>()) }?;
    // SAFETY: all its bytes were just written, and any bytes are a `T`.
    Ok(unsafe { value.0.assume_init() })
}

/// Writes an object that faulted again, to say where. It may be there now.
///
/// # Errors
///
/// Where it faults: what is before that has been written.
///
/// # Safety
///
/// As for [`write`].
#[cold]
#[inline(never)]
pub(crate) unsafe fn write_again<T: Copy>(dst: *mut u8, value: T) -> Result<(), Fault> {
    let value = Aligned(value);
    // SAFETY: the source is our own and without padding; the target is valid by the caller's promise.
    unsafe { copy(dst, (&raw const value.0).cast(), size_of::<T>()) }
}

/// Copies `len` bytes between ranges that do not overlap, each byte once.
///
/// # Errors
///
/// Where it faults: what lies before that was moved.
///
/// # Safety
///
/// `len` bytes at `src` must be [valid](crate#valid) for reading, `len` at `dst` for writing, and
/// `dst` must not lie inside the source.
#[inline(always)]
pub(crate) unsafe fn copy(dst: *mut u8, src: *const u8, len: usize) -> Result<(), Fault> {
    // SAFETY: the caller's promise is the same.
    unsafe { sys::copy_forward(dst, src, len) }
}

/// As [`copy`], and says no more than whether it came to the end.
///
/// # Safety
///
/// As for [`copy`].
#[inline(always)]
#[must_use]
pub(crate) unsafe fn quick_copy(dst: *mut u8, src: *const u8, len: usize) -> bool {
    // SAFETY: the caller's promise is the same.
    unsafe { sys::quick_copy_forward(dst, src, len) }
}

/// Copies `len` bytes between ranges that may overlap, each byte once: `memmove(3)`.
///
/// # Errors
///
/// Where it faults, with what was moved: upwards, what lies before that; [downwards](goes_downwards), what lies after.
///
/// # Safety
///
/// `len` bytes at `src` must be [valid](crate#valid) for reading, `len` at `dst` for writing.
#[inline]
pub(crate) unsafe fn copy_overlapping(
    dst: *mut u8,
    src: *const u8,
    len: usize,
) -> Result<(), Fault> {
    if goes_downwards(dst, src, len) {
        // SAFETY: `dst` lies inside the source, so `src` does not lie inside the target past its
        // start; the rest is the caller's promise.
        return unsafe { sys::copy_backward(dst, src, len) };
    }
    if (src as usize).wrapping_sub(dst as usize) < sys::FAR {
        // SAFETY: `dst` does not lie inside the source; the rest is the caller's promise.
        return unsafe { sys::copy_forward_near(dst, src, len) };
    }
    // SAFETY: nor does it lie near below it.
    unsafe { sys::copy_forward(dst, src, len) }
}

/// Whether [`copy_overlapping`] starts at the end: where the target starts inside the source.
#[inline]
pub(crate) fn goes_downwards(dst: *mut u8, src: *const u8, len: usize) -> bool {
    // Below the source, or past its end, the difference is at least `len`.
    (dst as usize).wrapping_sub(src as usize) < len
}

#[cfg(test)]
mod tests;
