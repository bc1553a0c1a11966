//! One door per target to the instructions that touch guest bytes.
//!
//! Each platform's room has the same functions. `load*` and `store*` are one access of their width, where the
//! address is aligned to it or the target does unaligned accesses whole, and a register is as wide.
//! `copy_forward` and `copy_backward` move each byte exactly once, and a length of 1, 2, 4 or 8 bytes with
//! both addresses aligned to it by one such load and store. The compiler can neither tear, repeat,
//! merge nor leave out any of them.

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

// The other cases; and for the tests everywhere, so that the fallback is tried where people develop.
#[cfg(any(
    test,
    not(target_arch = "x86_64"),
    not(target_pointer_width = "64"),
    not(target_feature = "sse2"),
    guest_volatile_portable
))]
mod portable;
#[cfg(any(
    not(target_arch = "x86_64"),
    not(target_pointer_width = "64"),
    not(target_feature = "sse2"),
    guest_volatile_portable
))]
pub(crate) use portable::*;

#[cfg(test)]
mod tests;
