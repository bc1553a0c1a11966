//! Copies between ranges that overlap: from the last byte to the first, or upwards by small steps.
//!
//! Where it faults the rest is tried by the byte, so what a step loads must not be what the same step, begun before, has stored. A block
//! of several registers is for ranges that are as far from each other as it is long, and so is a register of 16 bytes; nearer ones go by 8: a
//! store of so many that faults has stored nothing, which is not said of wider ones (Intel SDM volume 3, "Guaranteed Atomic Operations").

#![expect(unsafe_code, reason = "this is the room that touches guest bytes")]

use core::arch::asm;

use super::blocks::move_byte;
use super::*;
use crate::error::{Access, Fault};
use crate::sys::Start;
use crate::sys::rest::go_on_downwards;

/// The bytes of a block.
const BLOCK: usize = 64;

/// Moves a block: all loads come before the first store, which is the uppermost. Says whether it did; where it faults some of its upper end may have
/// been stored.
///
/// # Safety
///
/// 64 bytes at `src` must be [valid](crate#valid) for reading, 64 at `dst` for writing.
#[inline(always)]
unsafe fn move_block(dst: *mut u8, src: *const u8) -> bool {
    let after: *const u8;
    // SAFETY: the instructions read 64 bytes at `src` and write 64 at `dst`, both valid by the caller's
    // promise; the registers they use are declared.
    unsafe {
        asm!(
            at_risk!("movups {a}, [{src}]", "89f"),
            at_risk!("movups {b}, [{src} + 16]", "89f"),
            at_risk!("movups {c}, [{src} + 32]", "89f"),
            at_risk!("movups {d}, [{src} + 48]", "89f"),
            at_risk!("movups [{dst} + 48], {d}", "89f"),
            at_risk!("movups [{dst} + 32], {c}", "89f"),
            at_risk!("movups [{dst} + 16], {b}", "89f"),
            at_risk!("movups [{dst}], {a}", "89f"),
            "87:",
            aside!("89:", "mov {src:e}, 0", "jmp 87b",),
            src = inout(reg) src => after,
            dst = in(reg) dst,
            a = out(xmm_reg) _,
            b = out(xmm_reg) _,
            c = out(xmm_reg) _,
            d = out(xmm_reg) _,
            options(nostack, preserves_flags)
        );
    }
    !after.is_null()
}

/// Copies `len` bytes from the last to the first, each once. Right where `src` does not lie inside
/// the target.
///
/// # Errors
///
/// Where it faults: its count is of the bytes above, which were moved.
///
/// # Safety
///
/// As for [`copy_forward`].
#[inline(never)]
pub(crate) unsafe fn copy_backward(dst: *mut u8, src: *const u8, len: usize) -> Result<(), Fault> {
    let mut left = len;
    let distance = (dst as usize).wrapping_sub(src as usize);
    if distance >= BLOCK {
        while left >= BLOCK {
            // No more than `len`, as for all the steps.
            let (from, to) = (src.wrapping_add(left - BLOCK), dst.wrapping_add(left - BLOCK));
            // SAFETY: these 64 bytes are a part of the valid ranges.
            if !unsafe { move_block(to, from) } {
                // SAFETY: the caller's promise is the same.
                return unsafe { go_on_downwards(dst, src, len, left, move_byte) };
            }
            left -= BLOCK;
        }
    }
    macro_rules! steps {
        ($size:literal, $load:ident, $store:ident) => {
            while left >= $size {
                let at = left - $size;
                if move_value!(dst.wrapping_add(at), src.wrapping_add(at), $load, $store).is_err() {
                    // SAFETY: the caller's promise is the same.
                    return unsafe { go_on_downwards(dst, src, len, left, move_byte) };
                }
                left = at;
            }
        };
    }
    if distance >= 16 {
        steps!(16, load16, store16);
    }
    steps!(8, load8, store8);
    steps!(4, load4, store4);
    steps!(2, load2, store2);
    steps!(1, load1, store1);
    Ok(())
}

/// As [`copy_forward`], right also where the target begins less than [`FAR`] below the source.
///
/// # Errors
///
/// Where it faults: its count is of the bytes below, which were moved.
///
/// # Safety
///
/// As for [`copy_forward`].
#[inline(never)]
pub(crate) unsafe fn copy_forward_near(
    dst: *mut u8,
    src: *const u8,
    len: usize,
) -> Result<(), Fault> {
    let mut done = 0;
    macro_rules! steps {
        ($size:literal, $load:ident, $store:ident) => {
            while len - done >= $size
                && move_value!(dst.wrapping_add(done), src.wrapping_add(done), $load, $store)
                    .is_ok()
            {
                done += $size;
            }
        };
    }
    if (src as usize).wrapping_sub(dst as usize) >= 16 {
        steps!(16, load16, store16);
    }
    steps!(8, load8, store8);
    steps!(4, load4, store4);
    steps!(2, load2, store2);
    // A wider step that faulted is done by narrower ones, as far as they come.
    while done < len {
        // SAFETY: `done` is less than `len`, so the byte lies in both valid ranges.
        unsafe { move_byte(dst.wrapping_add(done), src.wrapping_add(done)) }
            .map_err(|access| Fault::new(done, access))?;
        done += 1;
    }
    Ok(())
}
