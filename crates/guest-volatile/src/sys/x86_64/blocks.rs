//! Copies upwards of any length: by registers, or by the string instruction.
//!
//! Each is one piece of assembly whose registers say how far it is: RSI and RDI move on after the bytes below them were moved.
//! Each byte is loaded once and stored once, so what is left after the last whole block goes by halves: a block that overlaps
//! the one before, as `memcpy(3)` has it, would fetch a guest's bytes twice.
//!
//! Where one of them faults it is at its end at once, and says how far it came by whole blocks; [`go_on`] finds the very byte.

#![expect(unsafe_code, reason = "this is the room that touches guest bytes")]

use core::arch::asm;

use super::processor::Processor;
use super::{load1, load2, load4, load8, store1, store2, store4, store8};
use crate::error::{Access, Fault};
use crate::sys::Start;
use crate::sys::rest::go_on_upwards;

/// Fewer bytes than this are moved in place: a call, and its return, take as long as the copy.
const SHORT: usize = 128;

/// From this many bytes on the string instruction wins over the registers of 16 bytes.
///
/// On an Emerald Rapids Xeon, in the first-level cache, they take the same time at about 900 bytes where the target is
/// not aligned, 1000 where the source is not, and 1100 where both are; at 4096 the loop takes 1.5 to 2.7 times as long.
const STRING_FROM: usize = 1024;

/// From this many bytes on the string instruction wins over the registers of 32 bytes, or is as good, where it is
/// [fast](Processor::has_fast_strings).
///
/// On an EPYC of the third generation, where it is not, the loop takes 0.6 to 1.0 times as long from 4096 to 262144 bytes, in a
/// cache or not, and 0.04 where the two ranges lie badly. One of the fifth pays for that: 0.7 to 0.8 times as long up to
/// 4096, but 1.3 times at 65536.
const STRING_FROM_WIDE: usize = 8192;

/// An instruction after whose fault all is over.
macro_rules! guest {
    ($instruction:literal) => {
        at_risk!($instruction, "89f")
    };
}

/// Moves 16 bytes if bit 4 of AL says so, by a register.
macro_rules! sixteen {
    ($load:literal, $store:literal) => {
        concat!(
            "test al, 16\n jz 4f\n",
            guest!($load),
            "\n",
            guest!($store),
            "\n",
            "add rsi, 16\n add rdi, 16\n",
            "4:",
        )
    };
}

/// Moves as many bytes as the lower four bits of AL say, those of each bit by one load and one store; then it is at label 9. There
/// it is as well after a fault, with the sign in RAX.
macro_rules! rest {
    () => {
        concat!(
            "test al, 15\n jz 9f\n",
            "test al, 8\n jz 5f\n",
            guest!("mov rcx, qword ptr [rsi]\n"),
            guest!("mov qword ptr [rdi], rcx\n"),
            "add rsi, 8\n add rdi, 8\n",
            "5:\n",
            "test al, 4\n jz 6f\n",
            guest!("mov ecx, dword ptr [rsi]\n"),
            guest!("mov dword ptr [rdi], ecx\n"),
            "add rsi, 4\n add rdi, 4\n",
            "6:\n",
            "test al, 2\n jz 7f\n",
            guest!("movzx ecx, word ptr [rsi]\n"),
            guest!("mov word ptr [rdi], cx\n"),
            "add rsi, 2\n add rdi, 2\n",
            "7:\n",
            "test al, 1\n jz 9f\n",
            guest!("movzx ecx, byte ptr [rsi]\n"),
            guest!("mov byte ptr [rdi], cl\n"),
            "9:\n",
            aside!("89:", "mov rax, -1", "jmp 9b",),
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
        return unsafe { copy_blocks(dst, src, len) };
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
        return unsafe { copy_blocks(dst, src, len) }.is_ok();
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
unsafe fn copy_blocks(dst: *mut u8, src: *const u8, len: usize) -> Result<(), Fault> {
    if len < STRING_FROM_WIDE && Processor::known().has_wide_registers() {
        // SAFETY: the caller's promise, and the processor has the instructions.
        let done = unsafe { move_wide(dst, src, len) };
        if done == len {
            return Ok(());
        }
        // SAFETY: the caller's promise, and no more was done than there is.
        unsafe { go_on(dst, src, len, done) }
    } else {
        // SAFETY: the caller's promise is the same.
        unsafe { copy_long(dst, src, len) }
    }
}

/// As [`copy_forward`], for what is long, or too long for this processor, or the first that is not short.
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

/// Moves bytes upwards in the way that is best for `len` and this processor, and returns how many of them by whole blocks.
///
/// # Safety
///
/// As for [`copy_forward`].
#[inline(always)]
unsafe fn move_long(dst: *mut u8, src: *const u8, len: usize) -> usize {
    let processor = Processor::this();
    let wide = processor.has_wide_registers();
    if processor.has_fast_strings() && len >= if wide { STRING_FROM_WIDE } else { STRING_FROM } {
        // SAFETY: the caller's promise is the same.
        unsafe { move_string(dst, src, len) }
    } else if wide {
        // SAFETY: the caller's promise, and the processor has the instructions.
        unsafe { move_wide(dst, src, len) }
    } else {
        // SAFETY: the caller's promise is the same.
        unsafe { move_narrow(dst, src, len) }
    }
}

/// Goes on with a copy that faulted after `done` bytes, not many before the byte that did: up to that byte or, if the memory is back, to the end.
///
/// # Safety
///
/// As for [`copy_forward`]; `done` must be no more than `len`.
#[cold]
#[inline(never)]
unsafe fn go_on(dst: *mut u8, src: *const u8, len: usize, done: usize) -> Result<(), Fault> {
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
    const { assert!(SHORT == 128, "a block is moved once") };
    let rest: usize;
    // SAFETY: it reads `len` bytes at `src` and writes as many at `dst`, which are valid by the caller's promise: for each bit
    // of `len` as many, of which the highest is 64. It declares the registers that it changes, and touches no stack.
    unsafe {
        asm!(
            "cmp eax, 16",
            "jb 4f",
            "test al, 64",
            "jz 2f",
            guest!("movups {a}, [rsi]"),
            guest!("movups {b}, [rsi + 16]"),
            guest!("movups {c}, [rsi + 32]"),
            guest!("movups {d}, [rsi + 48]"),
            guest!("movups [rdi], {a}"),
            guest!("movups [rdi + 16], {b}"),
            guest!("movups [rdi + 32], {c}"),
            guest!("movups [rdi + 48], {d}"),
            "add rsi, 64",
            "add rdi, 64",
            "and eax, 63",
            "jz 9f",
            "2:",
            "test al, 32",
            "jz 3f",
            guest!("movups {a}, [rsi]"),
            guest!("movups {b}, [rsi + 16]"),
            guest!("movups [rdi], {a}"),
            guest!("movups [rdi + 16], {b}"),
            "add rsi, 32",
            "add rdi, 32",
            "3:",
            sixteen!("movups {a}, [rsi]", "movups [rdi], {a}"),
            rest!(),
            inout("rsi") src => _,
            inout("rdi") dst => _,
            inout("rax") len => rest,
            out("rcx") _,
            a = out(xmm_reg) _,
            b = out(xmm_reg) _,
            c = out(xmm_reg) _,
            d = out(xmm_reg) _,
            options(nostack)
        );
    }
    // A part of `len`, or the sign.
    rest != usize::MAX
}

/// Moves `len` bytes upwards, in blocks of 64 by registers of 16, and returns how many of them by whole blocks.
///
/// # Safety
///
/// `len` bytes at `src` must be [valid](crate#valid) for reading, `len` at `dst` for writing.
#[inline(always)]
unsafe fn move_narrow(dst: *mut u8, src: *const u8, len: usize) -> usize {
    let (blocks, rest) = (len / 64, len % 64);
    let (mut from, mut to) = (src, dst);
    if blocks != 0 {
        let left: usize;
        // SAFETY: it reads 64 bytes at `src` and writes as many at `dst`, as often as they go into `len`, so they are valid by
        // the caller's promise. It declares the registers that it changes, and touches no stack.
        unsafe {
            asm!(
                "2:",
                guest!("movups {a}, [rsi]"),
                guest!("movups {b}, [rsi + 16]"),
                guest!("movups {c}, [rsi + 32]"),
                guest!("movups {d}, [rsi + 48]"),
                guest!("movups [rdi], {a}"),
                guest!("movups [rdi + 16], {b}"),
                guest!("movups [rdi + 32], {c}"),
                guest!("movups [rdi + 48], {d}"),
                "add rsi, 64",
                "add rdi, 64",
                "dec {blocks}",
                "jnz 2b",
                // With blocks left.
                "89:",
                inout("rsi") from,
                inout("rdi") to,
                blocks = inout(reg) blocks => left,
                a = out(xmm_reg) _,
                b = out(xmm_reg) _,
                c = out(xmm_reg) _,
                d = out(xmm_reg) _,
                options(nostack)
            );
        }
        if left != 0 {
            return (blocks - left) * 64;
        }
    }
    // SAFETY: the blocks moved both addresses on to what is left, which is less than 64 bytes and valid by the caller's promise.
    if unsafe { move_short(to, from, rest) } { len } else { blocks * 64 }
}

/// Moves `len` bytes upwards, in blocks of 128 by registers of 32, and returns how many of them by whole blocks.
///
/// # Safety
///
/// - `len` bytes at `src` must be [valid](crate#valid) for reading, `len` at `dst` for writing.
/// - The processor must have wide registers.
#[inline(always)]
unsafe fn move_wide(dst: *mut u8, src: *const u8, len: usize) -> usize {
    let (rest, end): (usize, *const u8);
    // SAFETY: it reads `len` bytes at `src` and writes as many at `dst`, which are valid by the caller's promise: the blocks of
    // 128 that there are in `len`, and for each lower bit of it as many. The instructions are there by the caller's promise. It
    // declares the registers that it changes, clears the upper halves of the wide ones, and touches no stack.
    unsafe {
        asm!(
            "mov rax, rdx",
            "shr rdx, 7",
            "jz 3f",
            "2:",
            guest!("vmovdqu ymm0, [rsi]"),
            guest!("vmovdqu ymm1, [rsi + 32]"),
            guest!("vmovdqu ymm2, [rsi + 64]"),
            guest!("vmovdqu ymm3, [rsi + 96]"),
            guest!("vmovdqu [rdi], ymm0"),
            guest!("vmovdqu [rdi + 32], ymm1"),
            guest!("vmovdqu [rdi + 64], ymm2"),
            guest!("vmovdqu [rdi + 96], ymm3"),
            "sub rsi, -128",
            "sub rdi, -128",
            "dec rdx",
            "jnz 2b",
            "and eax, 127",
            "jz 9f",
            "3:",
            "test al, 64",
            "jz 3f",
            guest!("vmovdqu ymm0, [rsi]"),
            guest!("vmovdqu ymm1, [rsi + 32]"),
            guest!("vmovdqu [rdi], ymm0"),
            guest!("vmovdqu [rdi + 32], ymm1"),
            "add rsi, 64",
            "add rdi, 64",
            "3:",
            "test al, 32",
            "jz 3f",
            guest!("vmovdqu ymm0, [rsi]"),
            guest!("vmovdqu [rdi], ymm0"),
            "add rsi, 32",
            "add rdi, 32",
            "3:",
            sixteen!("vmovdqu xmm0, [rsi]", "vmovdqu [rdi], xmm0"),
            rest!(),
            "vzeroupper",
            // Those in which a C function has its arguments, and two that it need not save.
            inout("rsi") src => end,
            inout("rdi") dst => _,
            inout("rdx") len => _,
            out("rax") rest,
            out("rcx") _,
            // All that `vzeroupper` changes; the names of the whole registers need AVX when this is compiled.
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
            out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
            out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
            out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
            options(nostack)
        );
    }
    // A part of `len`, or the sign.
    if rest == usize::MAX { moved(src, end) } else { len }
}

/// Moves `len` bytes upwards with the string instruction, and returns how many.
///
/// # Safety
///
/// `len` bytes at `src` must be [valid](crate#valid) for reading, `len` at `dst` for writing.
#[inline(always)]
unsafe fn move_string(dst: *mut u8, src: *const u8, len: usize) -> usize {
    let left: usize;
    // SAFETY: the instruction reads `len` bytes at `src` and writes `len` at `dst`, upwards since the
    // direction flag is clear on entry to assembly (the Reference, "Rules for inline assembly");
    // both are valid by the caller's promise.
    unsafe {
        asm!(
            // Its registers count the bytes, also where it faults (Intel SDM volume 2, REP).
            guest!("rep movsb"),
            "89:",
            inout("rcx") len => left,
            inout("rdi") dst => _,
            inout("rsi") src => _,
            options(nostack, preserves_flags)
        );
    }
    len - left
}

/// How far a copy from `start` came, of which the next byte to be read is at `end`.
fn moved(start: *const u8, end: *const u8) -> usize {
    (end as usize).wrapping_sub(start as usize)
}

#[cfg(test)]
mod tests;
#[cfg(all(test, feature = "fault", any(target_os = "linux", target_os = "android")))]
mod stops;
