//! The accesses on any target: volatile reads and writes of aligned words.
//!
//! Volatile, because that is what the language has for memory that others change: each access happens
//! once, in order, at its width. An address without the alignment of the width is accessed bytewise. The atomics are the standard library's.
//!
//! None of them recovers from a fault: the process gets its signal.

#![expect(unsafe_code, reason = "this is the room that touches guest bytes")]
#![allow(dead_code, reason = "for the tests it is there beside the target's own")]

use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use super::{Offset, Start};
use crate::error::Fault;

/// Whether accesses say that they faulted.
pub(crate) const RECOVERS: bool = false;

/// Whether an ordered load of an atomic is known not to write.
pub(crate) const LOADS_ONLY_READ: bool = false;

/// Nothing is too near, where nothing is begun again.
pub(crate) const FAR: usize = 0;

/// Sixteen bytes on their way through two registers.
pub(crate) type Sixteen = [u64; 2];

macro_rules! accesses {
    ($($load:ident, $store:ident, $int:ty;)*) => {$(
        /// Loads one value, `O` bytes from `src`: whole from an aligned address, bytewise from another.
        ///
        /// # Safety
        ///
        /// The bytes of the value there must be [valid](crate#valid) for reading.
        #[inline(always)]
        pub(crate) unsafe fn $load<O: Offset>(src: &mut *const u8) -> $int {
            let src = src.wrapping_add(O::BYTES);
            let word = src.cast::<$int>();
            if word.is_aligned() {
                // SAFETY: aligned, and valid by the caller's promise.
                return unsafe { word.read_volatile() };
            }
            let mut bytes = [0; size_of::<$int>()];
            for (index, byte) in bytes.iter_mut().enumerate() {
                // `index` is below the size of the value, whose bytes are valid.
                let from = src.wrapping_add(index);
                // SAFETY: as before.
                *byte = unsafe { from.read_volatile() };
            }
            <$int>::from_ne_bytes(bytes)
        }

        /// Stores one value, `O` bytes from `dst`: whole to an aligned address, bytewise to another. It does.
        ///
        /// # Safety
        ///
        /// The bytes of the value there must be [valid](crate#valid) for writing.
        #[inline(always)]
        #[must_use]
        pub(crate) unsafe fn $store<O: Offset>(dst: *mut u8, value: $int) -> bool {
            let dst = dst.wrapping_add(O::BYTES);
            let word = dst.cast::<$int>();
            if word.is_aligned() {
                // SAFETY: aligned, and valid by the caller's promise.
                unsafe { word.write_volatile(value) };
                return true;
            }
            for (index, byte) in value.to_ne_bytes().into_iter().enumerate() {
                // `index` is below the size of the value, whose bytes are valid.
                let to = dst.wrapping_add(index);
                // SAFETY: as before.
                unsafe { to.write_volatile(byte) };
            }
            true
        }
    )*};
}

accesses! {
    load1, store1, u8;
    load2, store2, u16;
    load4, store4, u32;
    load8, store8, u64;
}

macro_rules! puts {
    ($($put:ident, $store:ident, $int:ty;)*) => {$(
        /// Stores one value. It does.
        ///
        /// # Safety
        ///
        /// The bytes of the value at `dst` must be [valid](crate#valid) for writing.
        #[inline(always)]
        #[must_use]
        pub(crate) unsafe fn $put(dst: *mut u8, value: $int) -> bool {
            // SAFETY: the caller's promise is the same.
            unsafe { $store::<Start>(dst, value) }
        }
    )*};
}

puts! {
    put1, store1, u8;
    put2, store2, u16;
    put4, store4, u32;
    put8, store8, u64;
}

/// Loads sixteen bytes as two words, `O` bytes from `src`.
///
/// # Safety
///
/// These 16 bytes must be [valid](crate#valid) for reading.
#[inline(always)]
pub(crate) unsafe fn load16<O: Offset>(src: &mut *const u8) -> Sixteen {
    let mut lower = src.wrapping_add(O::BYTES);
    let mut upper = lower.wrapping_add(8);
    // SAFETY: the lower half of the 16 valid bytes.
    let low = unsafe { load8::<Start>(&mut lower) };
    // SAFETY: and the upper one.
    [low, unsafe { load8::<Start>(&mut upper) }]
}

/// Stores sixteen bytes as two words, `O` bytes from `dst`. It does.
///
/// # Safety
///
/// These 16 bytes must be [valid](crate#valid) for writing.
#[inline(always)]
#[must_use]
pub(crate) unsafe fn store16<O: Offset>(dst: *mut u8, value: Sixteen) -> bool {
    let lower = dst.wrapping_add(O::BYTES);
    let upper = lower.wrapping_add(8);
    // SAFETY: the lower half of the 16 valid bytes.
    let low = unsafe { store8::<Start>(lower, value[0]) };
    // SAFETY: and the upper one.
    low && unsafe { store8::<Start>(upper, value[1]) }
}

/// Whether both addresses are multiples of `size`, a power of two.
#[inline(always)]
fn both_aligned(dst: *mut u8, src: *const u8, size: usize) -> bool {
    (dst as usize | src as usize) & (size - 1) == 0
}

/// Moves the bytes of one word, whole where both addresses have its alignment.
macro_rules! move_word {
    ($dst:expr, $src:expr, $offset:expr, $load:ident, $store:ident) => {{
        // The caller of the macro has checked that the word lies in both ranges.
        let (mut from, to) = ($src.wrapping_add($offset), $dst.wrapping_add($offset));
        // SAFETY: it is a part of the valid source.
        let value = unsafe { $load::<Start>(&mut from) };
        // SAFETY: and of the valid target.
        let _ = unsafe { $store::<Start>(to, value) };
    }};
}

/// Copies `len` bytes from the first to the last, each once. Right where `dst` does not lie inside
/// the source.
///
/// # Errors
///
/// None.
///
/// # Safety
///
/// `len` bytes at `src` must be [valid](crate#valid) for reading, `len` at `dst` for writing.
#[inline]
pub(crate) unsafe fn copy_forward(dst: *mut u8, src: *const u8, len: usize) -> Result<(), Fault> {
    let mut done = 0;
    macro_rules! steps {
        ($size:literal, $load:ident, $store:ident) => {
            if both_aligned(dst.wrapping_add(done), src.wrapping_add(done), $size) {
                while len - done >= $size {
                    move_word!(dst, src, done, $load, $store);
                    done += $size;
                }
            }
        };
    }
    // Up to the alignment that both share, by the word, and down again for the tail.
    if len >= 16 {
        while done < 8 && !both_aligned(dst.wrapping_add(done), src.wrapping_add(done), 8) {
            move_word!(dst, src, done, load1, store1);
            done += 1;
        }
    }
    steps!(8, load8, store8);
    steps!(4, load4, store4);
    steps!(2, load2, store2);
    steps!(1, load1, store1);
    Ok(())
}

/// As [`copy_forward`], and says whether it came to the end: it did.
///
/// # Safety
///
/// As for [`copy_forward`].
#[inline(always)]
pub(crate) unsafe fn quick_copy_forward(dst: *mut u8, src: *const u8, len: usize) -> bool {
    // SAFETY: the caller's promise is the same.
    unsafe { copy_forward(dst, src, len) }.is_ok()
}

/// As [`copy_forward`], which is right for targets near below the source as well.
pub(crate) use copy_forward as copy_forward_near;

/// Copies `len` bytes from the last to the first, each once. Right where `src` does not lie inside
/// the target.
///
/// # Errors
///
/// None.
///
/// # Safety
///
/// As for [`copy_forward`].
#[inline]
pub(crate) unsafe fn copy_backward(dst: *mut u8, src: *const u8, len: usize) -> Result<(), Fault> {
    let mut left = len;
    // A single word keeps its width; anything longer goes by the byte, which is rare and short.
    macro_rules! whole {
        ($size:literal, $load:ident, $store:ident) => {
            if len == $size && both_aligned(dst, src, $size) {
                move_word!(dst, src, 0, $load, $store);
                return Ok(());
            }
        };
    }
    whole!(8, load8, store8);
    whole!(4, load4, store4);
    whole!(2, load2, store2);
    while left > 0 {
        left -= 1;
        move_word!(dst, src, left, load1, store1);
    }
    Ok(())
}

/// One width of atomics.
macro_rules! width {
    ($name:ident, $int:ty, $atomic:ident) => {
        /// Integers of one width.
        pub(crate) mod $name {
            use super::{Ordering, $atomic};

            /// The integer as an atomic, for the time of one operation.
            ///
            /// # Safety
            ///
            /// Its bytes at `addr` must be [valid](crate#valid) for what the operation does, and aligned.
            #[inline(always)]
            unsafe fn atomic<'a>(addr: *const $int) -> &'a $atomic {
                // SAFETY: it is aligned and valid by the caller's promise, and others access it atomically, by the meaning of valid.
                unsafe { $atomic::from_ptr(addr.cast_mut()) }
            }

            /// Loads an integer.
            ///
            /// # Safety
            ///
            /// Its bytes at `src` must be [valid](crate#valid) for reading, and aligned.
            #[inline(always)]
            pub(crate) unsafe fn load(src: *const $int, order: Ordering) -> Option<$int> {
                // SAFETY: the caller's promise.
                Some(unsafe { atomic(src) }.load(order))
            }

            /// Stores an integer.
            ///
            /// # Safety
            ///
            /// Its bytes at `dst` must be [valid](crate#valid) for writing, and aligned.
            #[inline(always)]
            pub(crate) unsafe fn store(dst: *mut $int, value: $int, order: Ordering) -> bool {
                // SAFETY: the caller's promise.
                unsafe { atomic(dst) }.store(value, order);
                true
            }

            /// Stores `new` if `current` is there, and returns what was there.
            ///
            /// # Safety
            ///
            /// Its bytes at `dst` must be [valid](crate#valid) for reading and writing, and aligned.
            #[inline(always)]
            pub(crate) unsafe fn compare_exchange(
                dst: *mut $int,
                current: $int,
                new: $int,
                success: Ordering,
                failure: Ordering,
            ) -> Option<$int> {
                // SAFETY: the caller's promise.
                let atomic = unsafe { atomic(dst) };
                match atomic.compare_exchange(current, new, success, failure) {
                    Ok(before) | Err(before) => Some(before),
                }
            }

            updates! { $int; fetch_add fetch_and fetch_or }
        }
    };
}

/// Operations that the standard library has by the same name.
macro_rules! updates {
    ($int:ty; $($name:ident)*) => {$(
        /// The standard library's, of the same name.
        ///
        /// # Safety
        ///
        /// Its bytes at `dst` must be [valid](crate#valid) for reading and writing, and aligned.
        #[inline(always)]
        pub(crate) unsafe fn $name(dst: *mut $int, value: $int, order: Ordering) -> Option<$int> {
            // SAFETY: the caller's promise.
            Some(unsafe { atomic(dst) }.$name(value, order))
        }
    )*};
}

width! { one, u8, AtomicU8 }
width! { two, u16, AtomicU16 }
width! { four, u32, AtomicU32 }
width! { eight, u64, AtomicU64 }
width! { word, usize, AtomicUsize }
