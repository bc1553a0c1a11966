//! The table of the instructions that may fault, and what each of them does then.
//!
//! As that of x86-64, which says more: two numbers of 4 bytes an entry, the distances from themselves to the instruction and to where
//! it goes on, which is a stub behind the function or a label of Rust's own. Labels are 87 to 89.

/// An instruction that may fault, and where it goes on then.
#[cfg(any(target_os = "linux", target_os = "android"))]
macro_rules! at_risk {
    ($instruction:expr, $to:literal) => {
        concat!(
            "88:\n",
            ".pushsection guest_extable,\"aR\",@progbits\n",
            ".balign 4\n",
            ".long 88b - .\n",
            ".long ",
            $to,
            " - .\n",
            ".popsection\n",
            $instruction,
        )
    };
}

/// As there, where nobody looks into a table: the label is in a comment, as an operand has to be somewhere.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
macro_rules! at_risk {
    ($instruction:expr, $to:literal) => {
        concat!($instruction, "\n// ", $to, "\n")
    };
}

/// Lines of assembly behind the function that they are in.
#[cfg(any(target_os = "linux", target_os = "android"))]
macro_rules! aside {
    ($($line:literal,)*) => {
        concat!(".subsection 1\n", $($line, "\n",)* ".subsection 0\n")
    };
}

/// As there, where nobody goes to them.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
macro_rules! aside {
    ($($line:literal,)*) => {
        concat!($("// ", $line, "\n",)*)
    };
}

/// The addresses at which the table of this binary starts and ends.
#[cfg(all(any(target_os = "linux", target_os = "android"), any(test, feature = "fault")))]
pub(crate) fn table() -> [*const u8; 2] {
    let (start, stop);
    // SAFETY: it computes two addresses that the linker provides where a section of the name is, and touches neither memory nor
    // the stack. There is one, as it has an entry of its own, for an instruction that does not fault. Hidden, so that they are those of
    // this binary, and not of another in the process that has a table, too.
    unsafe {
        core::arch::asm!(
            ".hidden __start_guest_extable",
            ".hidden __stop_guest_extable",
            at_risk!("adrp {start}, __start_guest_extable", "87f"),
            "87:",
            "add {start}, {start}, :lo12:__start_guest_extable",
            "adrp {stop}, __stop_guest_extable",
            "add {stop}, {stop}, :lo12:__stop_guest_extable",
            start = out(reg) start,
            stop = out(reg) stop,
            options(nomem, nostack, preserves_flags)
        );
    }
    [start, stop]
}
