//! The accesses on x86-64: single instructions, as inline assembly.
//!
//! Assembly, because the bytes race with the guest: what the compiler cannot look into it cannot tear,
//! fetch twice, or take for a data race. x86-64 does an aligned access of 1, 2, 4 or 8 bytes whole
//! (Intel SDM volume 3, 9.1.1; AMD APM volume 2, 7.3.2), and unaligned ones in one instruction as well.

#![expect(unsafe_code, reason = "this is the room that touches guest bytes")]

use core::arch::asm;
use core::arch::x86_64::__m128i;

mod processor;
mod blocks;

pub(crate) use blocks::copy_forward;

/// Sixteen bytes on their way through a register.
pub(crate) type Sixteen = __m128i;

/// Loads one byte.
///
/// # Safety
///
/// The byte at `src` must be [valid](crate#valid) for reading.
#[inline(always)]
pub(crate) unsafe fn load1(src: *const u8) -> u8 {
    // Wider than the byte: a register of 8 bits would keep, and wait for, what the rest of it held before.
    let value: u32;
    // SAFETY: the instruction reads the byte at `src`, valid by the caller's promise, and touches
    // neither the stack nor the flags.
    unsafe {
        asm!(
            "movzx {value:e}, byte ptr [{src}]",
            src = in(reg) src,
            value = lateout(reg) value,
            options(nostack, preserves_flags, readonly)
        );
    }
    value as u8
}

macro_rules! loads {
    ($($load:ident, $value:ty, $register:ident, $instruction:literal;)*) => {$(
        /// Loads one value from an address of any alignment.
        ///
        /// # Safety
        ///
        /// The bytes at `src` must be [valid](crate#valid) for reading.
        #[inline(always)]
        pub(crate) unsafe fn $load(src: *const u8) -> $value {
            let value: $value;
            // SAFETY: the instruction reads the bytes of one value at `src`, valid by the caller's
            // promise, and touches neither the stack nor the flags.
            unsafe {
                asm!(
                    $instruction,
                    src = in(reg) src,
                    value = lateout($register) value,
                    options(nostack, preserves_flags, readonly)
                );
            }
            value
        }
    )*};
}

loads! {
    load2, u16, reg, "movzx {value:e}, word ptr [{src}]";
    load4, u32, reg, "mov {value:e}, dword ptr [{src}]";
    load8, u64, reg, "mov {value}, qword ptr [{src}]";
    load16, Sixteen, xmm_reg, "movups {value}, [{src}]";
}

macro_rules! stores {
    ($($store:ident, $value:ty, $register:ident, $instruction:literal;)*) => {$(
        /// Stores one value to an address of any alignment.
        ///
        /// # Safety
        ///
        /// The bytes at `dst` must be [valid](crate#valid) for writing.
        #[inline(always)]
        pub(crate) unsafe fn $store(dst: *mut u8, value: $value) {
            // SAFETY: the instruction writes the bytes of one value at `dst`, valid by the caller's
            // promise, and touches neither the stack nor the flags.
            unsafe {
                asm!(
                    $instruction,
                    dst = in(reg) dst,
                    value = in($register) value,
                    options(nostack, preserves_flags)
                );
            }
        }
    )*};
}

stores! {
    store1, u8, reg_byte, "mov byte ptr [{dst}], {value}";
    store2, u16, reg, "mov word ptr [{dst}], {value:x}";
    store4, u32, reg, "mov dword ptr [{dst}], {value:e}";
    store8, u64, reg, "mov qword ptr [{dst}], {value}";
    store16, Sixteen, xmm_reg, "movups [{dst}], {value}";
}

/// Moves 64 bytes: all loads come before the first store.
///
/// # Safety
///
/// 64 bytes at `src` must be [valid](crate#valid) for reading, 64 at `dst` for writing.
#[inline(always)]
unsafe fn move64(dst: *mut u8, src: *const u8) {
    // SAFETY: the instructions read 64 bytes at `src` and write 64 at `dst`, both valid by the caller's
    // promise; the registers they use are declared.
    unsafe {
        asm!(
            "movups {a}, [{src}]",
            "movups {b}, [{src} + 16]",
            "movups {c}, [{src} + 32]",
            "movups {d}, [{src} + 48]",
            "movups [{dst}], {a}",
            "movups [{dst} + 16], {b}",
            "movups [{dst} + 32], {c}",
            "movups [{dst} + 48], {d}",
            src = in(reg) src,
            dst = in(reg) dst,
            a = out(xmm_reg) _,
            b = out(xmm_reg) _,
            c = out(xmm_reg) _,
            d = out(xmm_reg) _,
            options(nostack, preserves_flags)
        );
    }
}

/// Copies `len` bytes from the last to the first, each once. Right where `src` does not lie inside
/// the target.
///
/// # Safety
///
/// As for [`copy_forward`].
#[inline(never)]
pub(crate) unsafe fn copy_backward(dst: *mut u8, src: *const u8, len: usize) {
    let mut left = len;
    while left >= 64 {
        left -= 64;
        // `left + 64 <= len`.
        let (from, to) = (src.wrapping_add(left), dst.wrapping_add(left));
        // SAFETY: these 64 bytes are a part of the valid ranges.
        unsafe { move64(to, from) };
    }
    macro_rules! steps {
        ($size:literal, $load:ident, $store:ident) => {
            while left >= $size {
                left -= $size;
                // `left + $size <= len`.
                let (from, to) = (src.wrapping_add(left), dst.wrapping_add(left));
                // SAFETY: these bytes are a part of the valid source.
                let value = unsafe { $load(from) };
                // SAFETY: and these of the valid target.
                unsafe { $store(to, value) };
            }
        };
    }
    steps!(16, load16, store16);
    steps!(8, load8, store8);
    steps!(4, load4, store4);
    steps!(2, load2, store2);
    steps!(1, load1, store1);
}
