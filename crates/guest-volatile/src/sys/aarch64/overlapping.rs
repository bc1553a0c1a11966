//! Copies between ranges that overlap: from the last byte to the first, or upwards by small steps.
//!
//! Where it faults the rest is tried by the byte, so what a step loads must not be what the same step, begun before, has stored. A block
//! of several registers is for ranges that are as far from each other as it is long. Nearer ones go by single aligned stores, since
//! only those have stored nothing when they fault.

#![expect(unsafe_code, reason = "this is the room that touches guest bytes")]

use core::arch::asm;

use super::blocks::move_byte;
use super::*;
use crate::error::{Access, Fault};
use crate::sys::Start;
use crate::sys::rest::go_on_downwards;

/// The bytes of a block.
const BLOCK: usize = 64;

/// Moves a block: all loads come before the first store, which is the uppermost. Says whether it did; where it faults a part of it may have
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
            at_risk!("ldp {a}, {b}, [{src}]", "89f"),
            at_risk!("ldp {c}, {d}, [{src}, #16]", "89f"),
            at_risk!("ldp {e}, {f}, [{src}, #32]", "89f"),
            at_risk!("ldp {g}, {h}, [{src}, #48]", "89f"),
            at_risk!("stp {g}, {h}, [{dst}, #48]", "89f"),
            at_risk!("stp {e}, {f}, [{dst}, #32]", "89f"),
            at_risk!("stp {c}, {d}, [{dst}, #16]", "89f"),
            at_risk!("stp {a}, {b}, [{dst}]", "89f"),
            "87:",
            aside!("89:", "mov {src}, xzr", "b 87b",),
            src = inout(reg) src => after,
            dst = in(reg) dst,
            a = out(reg) _,
            b = out(reg) _,
            c = out(reg) _,
            d = out(reg) _,
            e = out(reg) _,
            f = out(reg) _,
            g = out(reg) _,
            h = out(reg) _,
            options(nostack, preserves_flags)
        );
    }
    !after.is_null()
}

/// Whether an address has the bit of `size`, a power of two.
fn has_bit(addr: *const u8, size: usize) -> bool {
    addr as usize & size != 0
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
    if (dst as usize).wrapping_sub(src as usize) >= BLOCK {
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
    // First the steps to where the end of the target is a multiple of 8, so that each has its alignment; in the end those of what is left.
    macro_rules! step {
        ($size:literal, $load:ident, $store:ident) => {{
            let at = left - $size;
            if move_value!(dst.wrapping_add(at), src.wrapping_add(at), $load, $store).is_err() {
                // SAFETY: the caller's promise is the same.
                return unsafe { go_on_downwards(dst, src, len, left, move_byte) };
            }
            left = at;
        }};
    }
    macro_rules! step_if_odd {
        ($size:literal, $load:ident, $store:ident) => {
            if left >= $size && has_bit(dst.wrapping_add(left), $size) {
                step!($size, $load, $store);
            }
        };
    }
    step_if_odd!(1, load1, store1);
    step_if_odd!(2, load2, store2);
    step_if_odd!(4, load4, store4);
    while left >= 8 {
        step!(8, load8, store8);
    }
    if left >= 4 {
        step!(4, load4, store4);
    }
    if left >= 2 {
        step!(2, load2, store2);
    }
    if left == 1 {
        // SAFETY: the first byte of both ranges, which are not empty.
        return unsafe { move_byte(dst, src) }.map_err(|access| Fault::new(len - left, access));
    }
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
    'steps: {
        macro_rules! step {
            ($size:literal, $load:ident, $store:ident) => {
                let (to, from) = (dst.wrapping_add(done), src.wrapping_add(done));
                if move_value!(to, from, $load, $store).is_err() {
                    break 'steps;
                }
                done += $size;
            };
        }
        macro_rules! step_if_odd {
            ($size:literal, $load:ident, $store:ident) => {
                if len - done >= $size && has_bit(dst.wrapping_add(done), $size) {
                    step!($size, $load, $store);
                }
            };
        }
        // As downwards.
        step_if_odd!(1, load1, store1);
        step_if_odd!(2, load2, store2);
        step_if_odd!(4, load4, store4);
        while len - done >= 8 {
            step!(8, load8, store8);
        }
        if len - done >= 4 {
            step!(4, load4, store4);
        }
        if len - done >= 2 {
            step!(2, load2, store2);
        }
    }
    // The last byte, or what a step that faulted has left.
    while done < len {
        // SAFETY: `done` is less than `len`, so the byte lies in both valid ranges.
        unsafe { move_byte(dst.wrapping_add(done), src.wrapping_add(done)) }
            .map_err(|access| Fault::new(done, access))?;
        done += 1;
    }
    Ok(())
}
