//! The table of the instructions that may fault, and what each of them does then.
//!
//! An entry is two numbers of 4 bytes: how far from the number itself the instruction is, and how far from the second number the place
//! is at which it goes on. Entries stand in a section of their own, which the linker joins and puts two symbols around. An
//! instruction that is inlined many times has as many entries; nothing is done at run time to make them. `R` keeps the linker from leaving out
//! a section that nothing but these symbols refers to.
//!
//! Where it goes on is a stub behind the function (`.subsection`), or a label of Rust's own. So the way without a fault has neither a
//! jump nor an instruction more, but for the test of what the stub changed.
//!
//! Labels are 87 to 89, which no kernel has for its own.

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
        concat!($instruction, "\n## ", $to, "\n")
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
        concat!($("## ", $line, "\n",)*)
    };
}

/// The addresses at which the table of this binary starts and ends.
#[cfg(all(any(target_os = "linux", target_os = "android"), feature = "fault"))]
pub(crate) fn table() -> [*const u8; 2] {
    let (start, stop);
    // SAFETY: it computes two addresses that the linker provides where a section of the name is, and touches neither memory nor
    // the stack. There is one, as it has an entry of its own, for an instruction that does not fault. Hidden, so that they are those of
    // this binary, and not of another in the process that has a table, too.
    unsafe {
        core::arch::asm!(
            ".hidden __start_guest_extable",
            ".hidden __stop_guest_extable",
            at_risk!("lea {start}, [rip + __start_guest_extable]", "87f"),
            "87:",
            "lea {stop}, [rip + __stop_guest_extable]",
            start = out(reg) start,
            stop = out(reg) stop,
            options(nomem, nostack, preserves_flags)
        );
    }
    [start, stop]
}
