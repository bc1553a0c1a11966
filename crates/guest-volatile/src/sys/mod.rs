//! One door per target to the instructions that touch guest bytes.
//!
//! Each platform's room has the same functions. `load*` and `store*` are one access of their width, where the
//! address is aligned to it or the target does unaligned accesses whole, and a register is as wide.
//! `copy_forward` and `copy_backward` move each byte exactly once, and a length of 1, 2, 4 or 8 bytes with
//! both addresses aligned to it by one such load and store. The `atomic_*` are the instructions of atomics. The compiler can neither
//! tear, repeat, merge nor leave out any of them.
//!
//! All of them may fault, and say so, where the platform's room has [`RECOVERS`]: then somebody has to be there who takes the signal, which is
//! the public room `fault`. An access that faulted is begun again to see how far it comes, so bytes before that may be accessed twice; of
//! what was read twice the first is thrown away.

/// Where in an object a word of it lies: a constant, so that it is a part of the instruction.
pub(crate) trait Offset {
    /// In bytes, from the object's start.
    const BYTES: usize;
}

/// At the start.
pub(crate) struct Start;

impl Offset for Start {
    const BYTES: usize = 0;
}

// For the platforms with assembly, below.
#[cfg(all(
    any(
        all(target_arch = "x86_64", target_feature = "sse2"),
        all(target_arch = "aarch64", not(target_os = "none"))
    ),
    target_pointer_width = "64",
    not(guest_volatile_portable)
))]
#[macro_use]
mod rest;

// With registers of 16 bytes, which a kernel's target has not, and pointers that fill a register.
#[cfg(all(
    target_arch = "x86_64",
    target_pointer_width = "64",
    target_feature = "sse2",
    not(guest_volatile_portable)
))]
mod x86_64;
#[cfg(all(
    target_arch = "x86_64",
    target_pointer_width = "64",
    target_feature = "sse2",
    not(guest_volatile_portable)
))]
pub(crate) use x86_64::*;

// With an operating system, which has the processor do unaligned accesses; a kernel's target may forbid them.
#[cfg(all(
    target_arch = "aarch64",
    target_pointer_width = "64",
    not(target_os = "none"),
    not(guest_volatile_portable)
))]
mod aarch64;
#[cfg(all(
    target_arch = "aarch64",
    target_pointer_width = "64",
    not(target_os = "none"),
    not(guest_volatile_portable)
))]
pub(crate) use aarch64::*;

// The other cases; and for the tests everywhere, so that the fallback is tried where people develop.
#[cfg(any(
    test,
    not(any(
        all(target_arch = "x86_64", target_feature = "sse2"),
        all(target_arch = "aarch64", not(target_os = "none"))
    )),
    not(target_pointer_width = "64"),
    guest_volatile_portable
))]
mod portable;
#[cfg(any(
    not(any(
        all(target_arch = "x86_64", target_feature = "sse2"),
        all(target_arch = "aarch64", not(target_os = "none"))
    )),
    not(target_pointer_width = "64"),
    guest_volatile_portable
))]
pub(crate) use portable::*;

#[cfg(test)]
mod tests;
