//! The accesses on any target: volatile reads and writes of aligned words.
//!
//! Volatile, because that is what the language has for memory that others change: each access happens
//! once, in order, at its width. An address without the alignment of the width is accessed bytewise.

#![expect(unsafe_code, reason = "this is the room that touches guest bytes")]

/// Sixteen bytes on their way through two registers.
pub(crate) type Sixteen = [u64; 2];

macro_rules! accesses {
    ($($load:ident, $store:ident, $int:ty;)*) => {$(
        /// Loads one value: whole from an aligned address, bytewise from another.
        ///
        /// # Safety
        ///
        /// The bytes at `src` must be [valid](crate#valid) for reading.
        #[inline(always)]
        pub(crate) unsafe fn $load(src: *const u8) -> $int {
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

        /// Stores one value: whole to an aligned address, bytewise to another.
        ///
        /// # Safety
        ///
        /// The bytes at `dst` must be [valid](crate#valid) for writing.
        #[inline(always)]
        pub(crate) unsafe fn $store(dst: *mut u8, value: $int) {
            let word = dst.cast::<$int>();
            if word.is_aligned() {
                // SAFETY: aligned, and valid by the caller's promise.
                return unsafe { word.write_volatile(value) };
            }
            for (index, byte) in value.to_ne_bytes().into_iter().enumerate() {
                // `index` is below the size of the value, whose bytes are valid.
                let to = dst.wrapping_add(index);
                // SAFETY: as before.
                unsafe { to.write_volatile(byte) };
            }
        }
    )*};
}

accesses! {
    load1, store1, u8;
    load2, store2, u16;
    load4, store4, u32;
    load8, store8, u64;
}

/// Loads sixteen bytes as two words.
///
/// # Safety
///
/// 16 bytes at `src` must be [valid](crate#valid) for reading.
#[inline(always)]
pub(crate) unsafe fn load16(src: *const u8) -> Sixteen {
    // The upper half is a part of the 16 valid bytes.
    let upper = src.wrapping_add(8);
    // SAFETY: the lower half as well.
    let low = unsafe { load8(src) };
    // SAFETY: as before.
    [low, unsafe { load8(upper) }]
}

/// Stores sixteen bytes as two words.
///
/// # Safety
///
/// 16 bytes at `dst` must be [valid](crate#valid) for writing.
#[inline(always)]
pub(crate) unsafe fn store16(dst: *mut u8, value: Sixteen) {
    // The upper half is a part of the 16 valid bytes.
    let upper = dst.wrapping_add(8);
    // SAFETY: the lower half as well.
    unsafe { store8(dst, value[0]) };
    // SAFETY: as before.
    unsafe { store8(upper, value[1]) };
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
        let (from, to) = ($src.wrapping_add($offset), $dst.wrapping_add($offset));
        // SAFETY: it is a part of the valid source.
        let value = unsafe { $load(from) };
        // SAFETY: and of the valid target.
        unsafe { $store(to, value) };
    }};
}

/// Copies `len` bytes from the first to the last, each once. Right where `dst` does not lie inside
/// the source.
///
/// # Safety
///
/// `len` bytes at `src` must be [valid](crate#valid) for reading, `len` at `dst` for writing.
#[inline]
pub(crate) unsafe fn copy_forward(dst: *mut u8, src: *const u8, len: usize) {
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
}

/// Copies `len` bytes from the last to the first, each once. Right where `src` does not lie inside
/// the target.
///
/// # Safety
///
/// As for [`copy_forward`].
#[inline]
pub(crate) unsafe fn copy_backward(dst: *mut u8, src: *const u8, len: usize) {
    let mut left = len;
    // A single word keeps its width; anything longer goes by the byte, which is rare and short.
    macro_rules! whole {
        ($size:literal, $load:ident, $store:ident) => {
            if len == $size && both_aligned(dst, src, $size) {
                move_word!(dst, src, 0, $load, $store);
                return;
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
}
