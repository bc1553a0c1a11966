//! Copies upwards of any length: by pairs of registers, in blocks of 64 bytes.
//!
//! Each is one piece of assembly. Each byte is loaded once and stored once, so what is left after the last whole block goes by halves: a block that
//! overlaps the one before, as `memcpy(3)` has it, would fetch a guest's bytes twice. All loads of a block come before its stores, so that a
//! target below the source may overlap it.
//!
//! Where one of them faults it is at its end at once, and says how far it came by whole blocks; [`go_on`] finds the very byte.

#![expect(unsafe_code, reason = "this is the room that touches guest bytes")]

use core::arch::asm;

use super::{load1, load2, load4, load8, store1, store2, store4, store8};
use crate::error::{Access, Fault};
use crate::sys::Start;
use crate::sys::rest::go_on_upwards;

/// Fewer bytes than this are moved in place: a call, and its return, take as long as the copy.
const SHORT: usize = 128;

/// The bytes of a block.
const BLOCK: usize = 64;

/// An instruction after whose fault all is over.
macro_rules! guest {
    ($instruction:literal) => {
        at_risk!($instruction, "89f")
    };
}

/// Moves 64 bytes, by all the registers.
macro_rules! block {
    () => {
        concat!(
            guest!("ldp {a}, {b}, [{src}]\n"),
            guest!("ldp {c}, {d}, [{src}, #16]\n"),
            guest!("ldp {e}, {f}, [{src}, #32]\n"),
            guest!("ldp {g}, {h}, [{src}, #48]\n"),
            guest!("stp {a}, {b}, [{dst}]\n"),
            guest!("stp {c}, {d}, [{dst}, #16]\n"),
            guest!("stp {e}, {f}, [{dst}, #32]\n"),
            guest!("stp {g}, {h}, [{dst}, #48]\n"),
            "add {src}, {src}, #64\n",
            "add {dst}, {dst}, #64\n",
        )
    };
}

/// Moves the bytes of one bit of the length if it is set, by one load and one store; `$next` is where the next bit is.
macro_rules! bit {
    ($bit:literal, $next:literal, $load:literal, $store:literal, $bytes:literal) => {
        concat!(
            "tbz {len}, #",
            $bit,
            ", ",
            $next,
            "f\n",
            guest!($load),
            "\n",
            guest!($store),
            "\nadd {src}, {src}, #",
            $bytes,
            "\nadd {dst}, {dst}, #",
            $bytes,
            "\n",
            $next,
            ":\n",
        )
    };
}

/// Copies `len` bytes from the first to the last, each once. Right where `dst` does not lie inside
/// the source, nor begins less than [`FAR`](super::FAR) below it.
///
/// # Errors
///
/// Where it faults: its count is of the bytes below, which were moved.
///
/// # Safety
///
/// `len` bytes at `src` must be [valid](crate#valid) for reading, `len` at `dst` for writing.
#[inline(always)]
pub(crate) unsafe fn copy_forward(dst: *mut u8, src: *const u8, len: usize) -> Result<(), Fault> {
    if len >= SHORT {
        // SAFETY: the caller's promise is the same.
        return unsafe { copy_long(dst, src, len) };
    }
    // SAFETY: the caller's promise, and `len` is short.
    if unsafe { move_short(dst, src, len) } {
        Ok(())
    } else {
        // SAFETY: the caller's promise.
        unsafe { go_on(dst, src, len, 0) }
    }
}

/// As [`copy_forward`], and says no more than whether it came to the end.
///
/// # Safety
///
/// As for [`copy_forward`].
#[inline(always)]
pub(crate) unsafe fn quick_copy_forward(dst: *mut u8, src: *const u8, len: usize) -> bool {
    if len >= SHORT {
        // SAFETY: the caller's promise is the same.
        return unsafe { copy_long(dst, src, len) }.is_ok();
    }
    // SAFETY: the caller's promise, and `len` is short.
    unsafe { move_short(dst, src, len) }
}

/// As [`copy_forward`], for what is not short.
///
/// # Safety
///
/// As for [`copy_forward`].
#[inline(never)]
unsafe fn copy_long(dst: *mut u8, src: *const u8, len: usize) -> Result<(), Fault> {
    // SAFETY: the caller's promise is the same.
    let done = unsafe { move_long(dst, src, len) };
    if done == len {
        return Ok(());
    }
    // SAFETY: the caller's promise, and no more was done than there is.
    unsafe { go_on(dst, src, len, done) }
}

/// Goes on with a copy that faulted after `done` bytes, not many before the byte that did: up to that byte or, if the memory is back, to the end.
///
/// What the block that faulted has stored is stored again, from where it came from: that is out of the way of a block.
///
/// # Safety
///
/// As for [`copy_forward`]; `done` must be no more than `len`.
#[cold]
#[inline(never)]
unsafe fn go_on(dst: *mut u8, src: *const u8, len: usize, done: usize) -> Result<(), Fault> {
    const { assert!(super::FAR >= BLOCK && SHORT >= BLOCK, "no block reads what it wrote") };
    // SAFETY: the caller's promise is the same.
    if let Some(result) = unsafe { move_word(dst, src, len) } {
        return result.map_err(|access| Fault::new(0, access));
    }
    // What the largest block has, to be past the one that stopped.
    let near = SHORT;
    // SAFETY: the caller's promise is the same.
    unsafe { go_on_upwards(dst, src, len, done, near, move_byte, move_long) }
}

/// Moves one byte, or says what could not be done with it.
///
/// # Safety
///
/// The byte at `src` must be [valid](crate#valid) for reading, that at `dst` for writing.
pub(super) unsafe fn move_byte(dst: *mut u8, src: *const u8) -> Result<(), Access> {
    move_value!(dst, src, load1, store1)
}

/// Moves 2, 4 or 8 bytes that are aligned, which are moved whole or not at all; `None` of others.
///
/// # Safety
///
/// As for [`copy_forward`].
unsafe fn move_word(dst: *mut u8, src: *const u8, len: usize) -> Option<Result<(), Access>> {
    let is_aligned = |size: usize| (dst as usize | src as usize).is_multiple_of(size);
    match len {
        2 if is_aligned(2) => Some(move_value!(dst, src, load2, store2)),
        4 if is_aligned(4) => Some(move_value!(dst, src, load4, store4)),
        8 if is_aligned(8) => Some(move_value!(dst, src, load8, store8)),
        _ => None,
    }
}

/// Moves `len` bytes upwards, of each power of two in `len` as many, and says whether it did.
///
/// # Safety
///
/// - `len` bytes at `src` must be [valid](crate#valid) for reading, `len` at `dst` for writing.
/// - `len` must be less than 128.
#[inline(always)]
unsafe fn move_short(dst: *mut u8, src: *const u8, len: usize) -> bool {
    const { assert!(SHORT == 2 * BLOCK, "a block is moved once") };
    let rest: usize;
    // SAFETY: it reads `len` bytes at `src` and writes as many at `dst`, which are valid by the caller's promise: for each bit
    // of `len` as many, of which the highest is 64. It declares the registers that it changes, and touches neither the stack nor the flags.
    unsafe {
        asm!(
            "tbz {len}, #6, 2f",
            block!(),
            "2:",
            "tbz {len}, #5, 3f",
            guest!("ldp {a}, {b}, [{src}]"),
            guest!("ldp {c}, {d}, [{src}, #16]"),
            guest!("stp {a}, {b}, [{dst}]"),
            guest!("stp {c}, {d}, [{dst}, #16]"),
            "add {src}, {src}, #32",
            "add {dst}, {dst}, #32",
            "3:",
            bit!(4, 4, "ldp {a}, {b}, [{src}]", "stp {a}, {b}, [{dst}]", 16),
            bit!(3, 5, "ldr {a}, [{src}]", "str {a}, [{dst}]", 8),
            bit!(2, 6, "ldr {a:w}, [{src}]", "str {a:w}, [{dst}]", 4),
            bit!(1, 7, "ldrh {a:w}, [{src}]", "strh {a:w}, [{dst}]", 2),
            "tbz {len}, #0, 9f",
            guest!("ldrb {a:w}, [{src}]"),
            guest!("strb {a:w}, [{dst}]"),
            "9:",
            aside!("89:", "mov {len}, #-1", "b 9b",),
            src = inout(reg) src => _,
            dst = inout(reg) dst => _,
            len = inout(reg) len => rest,
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
    // `len` itself, or the sign.
    rest != usize::MAX
}

/// Moves `len` bytes upwards, in blocks of 64, and returns how many of them by whole blocks.
///
/// # Safety
///
/// `len` bytes at `src` must be [valid](crate#valid) for reading, `len` at `dst` for writing.
#[inline(always)]
unsafe fn move_long(dst: *mut u8, src: *const u8, len: usize) -> usize {
    let (blocks, rest) = (len / BLOCK, len % BLOCK);
    let (mut from, mut to) = (src, dst);
    if blocks != 0 {
        let left: usize;
        // SAFETY: it reads 64 bytes at `src` and writes as many at `dst`, as often as they go into `len`, so they are valid by
        // the caller's promise. It declares the registers that it changes, and touches neither the stack nor the flags.
        unsafe {
            asm!(
                "2:",
                block!(),
                "sub {blocks}, {blocks}, #1",
                "cbnz {blocks}, 2b",
                // With blocks left.
                "89:",
                src = inout(reg) from,
                dst = inout(reg) to,
                blocks = inout(reg) blocks => left,
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
        if left != 0 {
            return (blocks - left) * BLOCK;
        }
    }
    // SAFETY: the blocks moved both addresses on to what is left, which is less than 64 bytes and valid by the caller's promise.
    if unsafe { move_short(to, from, rest) } { len } else { blocks * BLOCK }
}

#[cfg(test)]
mod tests;
