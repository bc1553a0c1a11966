//! What this processor has for copies, asked once.
//!
//! By its own instructions: the standard library's answer needs the standard library.

#![expect(unsafe_code, reason = "asks the processor by its own instructions")]

use core::arch::asm;
use core::sync::atomic::{AtomicU8, Ordering};

/// What a copy may use.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Processor(u8);

static THIS: AtomicU8 = AtomicU8::new(0);

impl Processor {
    const ASKED: u8 = 1;
    const WIDE_REGISTERS: u8 = 1 << 1;
    const FAST_STRINGS: u8 = 1 << 2;

    /// What is known of this one: nothing, before it was asked.
    #[inline(always)]
    pub(super) fn known() -> Self {
        // Relaxed: the number says all, and whoever does not see it asks again and gets the same.
        Self(THIS.load(Ordering::Relaxed))
    }

    /// This one, asked if it was not yet.
    pub(super) fn this() -> Self {
        match Self::known() {
            Self(0) => {
                let this = ask();
                THIS.store(this.0, Ordering::Relaxed);
                this
            }
            known => known,
        }
    }

    /// Whether it has the instructions of AVX2 on registers of 32 bytes, and the system keeps those for each thread.
    #[inline(always)]
    pub(super) fn has_wide_registers(self) -> bool {
        self.0 & Self::WIDE_REGISTERS != 0
    }

    /// Whether the string instructions move large blocks, not bytes (ERMS), wherever the two ranges lie.
    ///
    /// AMD's do not. Where the target is a few bytes further into its page than the source is into its own, `rep movsb` takes
    /// 10 to 25 times as long as the registers of 32 bytes, measured on an EPYC of the third generation from 4 KiB to 2 MiB; and
    /// nowhere it takes less than they do, if not for 1 or 2 %. The GNU C library has it in its bug 30994, and does without, too.
    #[inline(always)]
    pub(super) fn has_fast_strings(self) -> bool {
        self.0 & Self::FAST_STRINGS != 0
    }
}

// The bits are of the Intel SDM, volume 2, CPUID: leaf 1, ECX, and leaf 7, EBX; and of volume 1, 13.3: XCR0.
const OSXSAVE: u32 = 1 << 27;
const AVX: u32 = 1 << 28;
const AVX2: u32 = 1 << 5;
const ERMS: u32 = 1 << 9;
/// "AuthenticAMD" as leaf 0 has it in EBX, ECX and EDX: its last four letters are in ECX.
const AMD: [u32; 3] = [letters(*b"Auth"), letters(*b"cAMD"), letters(*b"enti")];
/// The lower and the upper halves of the registers.
const XCR0_SSE_AVX: u32 = 0b110;

const fn letters(name: [u8; 4]) -> u32 {
    u32::from_le_bytes(name)
}

#[cold]
fn ask() -> Processor {
    let mut answer = Processor::ASKED;
    let [most, vendor @ ..] = cpuid(0);
    if most >= 7 {
        let [_, _, basic, _] = cpuid(1);
        let [_, extended, ..] = cpuid(7);
        let keeps = || {
            // SAFETY: OSXSAVE, without which this is not called, says that the instruction is there.
            unsafe { xcr0() }
        };
        let has_avx =
            basic & (OSXSAVE | AVX) == OSXSAVE | AVX && keeps() & XCR0_SSE_AVX == XCR0_SSE_AVX;
        if has_avx && extended & AVX2 != 0 {
            answer |= Processor::WIDE_REGISTERS;
        }
        if extended & ERMS != 0 && vendor != AMD {
            answer |= Processor::FAST_STRINGS;
        }
    }
    Processor(answer)
}

/// The registers EAX, EBX, ECX and EDX that the processor answers with for a leaf, of which sub-leaf 0.
fn cpuid(leaf: u32) -> [u32; 4] {
    let (a, b, c, d);
    // SAFETY: every x86-64 processor has the instruction. It writes four registers, of which RBX is the compiler's own and is
    // put back; it touches neither memory nor the stack.
    unsafe {
        asm!(
            "mov {b:r}, rbx",
            "cpuid",
            "xchg {b:r}, rbx",
            b = out(reg) b,
            inout("eax") leaf => a,
            inout("ecx") 0 => c,
            out("edx") d,
            options(nomem, nostack, preserves_flags)
        );
    }
    [a, b, c, d]
}

/// The lower half of the register that says which state the system keeps.
///
/// # Safety
///
/// The processor must have OSXSAVE.
unsafe fn xcr0() -> u32 {
    let low: u32;
    // SAFETY: the instruction is there by the caller's promise. It writes two registers, and touches neither memory nor the
    // stack.
    unsafe {
        asm!(
            "xgetbv",
            in("ecx") 0,
            out("eax") low,
            out("edx") _,
            options(nomem, nostack, preserves_flags)
        );
    }
    low
}

#[cfg(test)]
mod tests {
    use super::Processor;

    #[test]
    fn the_processor_has_what_the_standard_library_says() {
        let this = Processor::this();
        assert_eq!(this.has_wide_registers(), std::is_x86_feature_detected!("avx2"));
        let [_, b, c, d] = super::cpuid(0);
        let vendor = [b, d, c].map(u32::to_le_bytes).concat();
        let is_good = std::is_x86_feature_detected!("ermsb") && vendor != b"AuthenticAMD";
        assert_eq!(this.has_fast_strings(), is_good);
        assert!(Processor::known() == this && Processor::this() == this);
    }
}
