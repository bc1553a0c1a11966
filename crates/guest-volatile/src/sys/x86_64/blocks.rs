//! Copies upwards of any length: by registers, or by the string instruction.
//!
//! Each is one piece of assembly whose registers say how far it is: RSI and RDI move on after the bytes below them were moved.
//! Each byte is loaded once and stored once, so what is left after the last whole block goes by halves: a block that overlaps
//! the one before, as `memcpy(3)` has it, would fetch a guest's bytes twice.

#![expect(unsafe_code, reason = "this is the room that touches guest bytes")]

use core::arch::asm;

use super::processor::Processor;

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

/// Moves 16 bytes if bit 4 of AL says so, by a register.
macro_rules! sixteen {
    ($move:literal, $register:literal) => {
        concat!(
            "test al, 16\n jz 4f\n",
            $move,
            " ",
            $register,
            ", [rsi]\n",
            $move,
            " [rdi], ",
            $register,
            "\n",
            "add rsi, 16\n add rdi, 16\n",
            "4:",
        )
    };
}

/// Moves as many bytes as the lower four bits of AL say, those of each bit by one load and one store; then it is at label 9.
macro_rules! rest {
    () => {
        concat!(
            "test al, 15\n jz 9f\n",
            "test al, 8\n jz 5f\n",
            "mov rcx, qword ptr [rsi]\n mov qword ptr [rdi], rcx\n",
            "add rsi, 8\n add rdi, 8\n",
            "5:\n",
            "test al, 4\n jz 6f\n",
            "mov ecx, dword ptr [rsi]\n mov dword ptr [rdi], ecx\n",
            "add rsi, 4\n add rdi, 4\n",
            "6:\n",
            "test al, 2\n jz 7f\n",
            "movzx ecx, word ptr [rsi]\n mov word ptr [rdi], cx\n",
            "add rsi, 2\n add rdi, 2\n",
            "7:\n",
            "test al, 1\n jz 9f\n",
            "movzx ecx, byte ptr [rsi]\n mov byte ptr [rdi], cl\n",
            "9:",
        )
    };
}

/// Copies `len` bytes from the first to the last, each once. Right where `dst` does not lie inside
/// the source.
///
/// # Safety
///
/// `len` bytes at `src` must be [valid](crate#valid) for reading, `len` at `dst` for writing.
#[inline(always)]
pub(crate) unsafe fn copy_forward(dst: *mut u8, src: *const u8, len: usize) {
    if len < SHORT {
        // SAFETY: the caller's promise, and `len` is short.
        unsafe { move_short(dst, src, len) };
    } else {
        // SAFETY: the caller's promise is the same.
        unsafe { copy_blocks(dst, src, len) };
    }
}

/// As [`copy_forward`], for what is not short.
///
/// # Safety
///
/// As for [`copy_forward`].
#[inline(never)]
unsafe fn copy_blocks(dst: *mut u8, src: *const u8, len: usize) {
    if len < STRING_FROM_WIDE && Processor::known().has_wide_registers() {
        // SAFETY: the caller's promise, and the processor has the instructions.
        unsafe { move_wide(dst, src, len) };
    } else {
        // SAFETY: the caller's promise is the same.
        unsafe { copy_long(dst, src, len) };
    }
}

/// As [`copy_forward`], for what is long, or too long for this processor, or the first that is not short.
///
/// # Safety
///
/// As for [`copy_forward`].
#[inline(never)]
unsafe fn copy_long(dst: *mut u8, src: *const u8, len: usize) {
    let processor = Processor::this();
    let wide = processor.has_wide_registers();
    if processor.has_fast_strings() && len >= if wide { STRING_FROM_WIDE } else { STRING_FROM } {
        // SAFETY: the caller's promise is the same.
        unsafe { move_string(dst, src, len) };
    } else if wide {
        // SAFETY: the caller's promise, and the processor has the instructions.
        unsafe { move_wide(dst, src, len) };
    } else {
        // SAFETY: the caller's promise is the same.
        unsafe { move_narrow(dst, src, len) };
    }
}

/// Moves `len` bytes upwards, of each power of two in `len` as many.
///
/// # Safety
///
/// - `len` bytes at `src` must be [valid](crate#valid) for reading, `len` at `dst` for writing.
/// - `len` must be less than 128.
#[inline(always)]
unsafe fn move_short(dst: *mut u8, src: *const u8, len: usize) {
    const { assert!(SHORT == 128, "a block is moved once") };
    // SAFETY: it reads `len` bytes at `src` and writes as many at `dst`, which are valid by the caller's promise: for each bit
    // of `len` as many, of which the highest is 64. It declares the registers that it changes, and touches no stack.
    unsafe {
        asm!(
            "cmp eax, 16",
            "jb 4f",
            "test al, 64",
            "jz 2f",
            "movups {a}, [rsi]",
            "movups {b}, [rsi + 16]",
            "movups {c}, [rsi + 32]",
            "movups {d}, [rsi + 48]",
            "movups [rdi], {a}",
            "movups [rdi + 16], {b}",
            "movups [rdi + 32], {c}",
            "movups [rdi + 48], {d}",
            "add rsi, 64",
            "add rdi, 64",
            "and eax, 63",
            "jz 9f",
            "2:",
            "test al, 32",
            "jz 3f",
            "movups {a}, [rsi]",
            "movups {b}, [rsi + 16]",
            "movups [rdi], {a}",
            "movups [rdi + 16], {b}",
            "add rsi, 32",
            "add rdi, 32",
            "3:",
            sixteen!("movups", "{a}"),
            rest!(),
            inout("rsi") src => _,
            inout("rdi") dst => _,
            inout("rax") len => _,
            out("rcx") _,
            a = out(xmm_reg) _,
            b = out(xmm_reg) _,
            c = out(xmm_reg) _,
            d = out(xmm_reg) _,
            options(nostack)
        );
    }
}

/// Moves `len` bytes upwards, in blocks of 64 by registers of 16.
///
/// # Safety
///
/// `len` bytes at `src` must be [valid](crate#valid) for reading, `len` at `dst` for writing.
#[inline(always)]
unsafe fn move_narrow(dst: *mut u8, src: *const u8, len: usize) {
    let (blocks, rest) = (len / 64, len % 64);
    let (mut src, mut dst) = (src, dst);
    if blocks != 0 {
        // SAFETY: it reads 64 bytes at `src` and writes as many at `dst`, as often as they go into `len`, so they are valid by
        // the caller's promise. It declares the registers that it changes, and touches no stack.
        unsafe {
            asm!(
                "2:",
                "movups {a}, [rsi]",
                "movups {b}, [rsi + 16]",
                "movups {c}, [rsi + 32]",
                "movups {d}, [rsi + 48]",
                "movups [rdi], {a}",
                "movups [rdi + 16], {b}",
                "movups [rdi + 32], {c}",
                "movups [rdi + 48], {d}",
                "add rsi, 64",
                "add rdi, 64",
                "dec {blocks}",
                "jnz 2b",
                inout("rsi") src,
                inout("rdi") dst,
                blocks = inout(reg) blocks => _,
                a = out(xmm_reg) _,
                b = out(xmm_reg) _,
                c = out(xmm_reg) _,
                d = out(xmm_reg) _,
                options(nostack)
            );
        }
    }
    // SAFETY: the blocks moved both addresses on to what is left, which is less than 64 bytes and valid by the caller's promise.
    unsafe { move_short(dst, src, rest) };
}

/// Moves `len` bytes upwards, in blocks of 128 by registers of 32.
///
/// # Safety
///
/// - `len` bytes at `src` must be [valid](crate#valid) for reading, `len` at `dst` for writing.
/// - The processor must have wide registers.
#[inline(always)]
unsafe fn move_wide(dst: *mut u8, src: *const u8, len: usize) {
    // SAFETY: it reads `len` bytes at `src` and writes as many at `dst`, which are valid by the caller's promise: the blocks of
    // 128 that there are in `len`, and for each lower bit of it as many. The instructions are there by the caller's promise. It
    // declares the registers that it changes, clears the upper halves of the wide ones, and touches no stack.
    unsafe {
        asm!(
            "mov rax, rdx",
            "shr rdx, 7",
            "jz 3f",
            "2:",
            "vmovdqu ymm0, [rsi]",
            "vmovdqu ymm1, [rsi + 32]",
            "vmovdqu ymm2, [rsi + 64]",
            "vmovdqu ymm3, [rsi + 96]",
            "vmovdqu [rdi], ymm0",
            "vmovdqu [rdi + 32], ymm1",
            "vmovdqu [rdi + 64], ymm2",
            "vmovdqu [rdi + 96], ymm3",
            "sub rsi, -128",
            "sub rdi, -128",
            "dec rdx",
            "jnz 2b",
            "and eax, 127",
            "jz 9f",
            "3:",
            "test al, 64",
            "jz 3f",
            "vmovdqu ymm0, [rsi]",
            "vmovdqu ymm1, [rsi + 32]",
            "vmovdqu [rdi], ymm0",
            "vmovdqu [rdi + 32], ymm1",
            "add rsi, 64",
            "add rdi, 64",
            "3:",
            "test al, 32",
            "jz 3f",
            "vmovdqu ymm0, [rsi]",
            "vmovdqu [rdi], ymm0",
            "add rsi, 32",
            "add rdi, 32",
            "3:",
            sixteen!("vmovdqu", "xmm0"),
            rest!(),
            "vzeroupper",
            // Those in which a C function has its arguments, and two that it need not save.
            inout("rsi") src => _,
            inout("rdi") dst => _,
            inout("rdx") len => _,
            out("rax") _,
            out("rcx") _,
            // All that `vzeroupper` changes; the names of the whole registers need AVX when this is compiled.
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
            out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
            out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
            out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
            options(nostack)
        );
    }
}

/// Moves `len` bytes upwards with the string instruction.
///
/// # Safety
///
/// `len` bytes at `src` must be [valid](crate#valid) for reading, `len` at `dst` for writing.
#[inline(always)]
unsafe fn move_string(dst: *mut u8, src: *const u8, len: usize) {
    // SAFETY: the instruction reads `len` bytes at `src` and writes `len` at `dst`, upwards since the
    // direction flag is clear on entry to assembly (the Reference, "Rules for inline assembly");
    // both are valid by the caller's promise.
    unsafe {
        asm!(
            "rep movsb",
            inout("rcx") len => _,
            inout("rdi") dst => _,
            inout("rsi") src => _,
            options(nostack, preserves_flags)
        );
    }
}

#[cfg(test)]
mod tests;
