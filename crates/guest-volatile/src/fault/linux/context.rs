//! Where the kernel keeps the address of the instruction that a signal interrupted, which is also where the thread goes on.

use libc::ucontext_t;

/// The address.
#[cfg(target_arch = "x86_64")]
pub(super) fn instruction(context: &ucontext_t) -> usize {
    context.uc_mcontext.gregs[libc::REG_RIP as usize].cast_unsigned() as usize
}

/// The address.
#[cfg(target_arch = "aarch64")]
pub(super) fn instruction(context: &ucontext_t) -> usize {
    context.uc_mcontext.pc as usize
}

/// Has the thread go on elsewhere.
#[cfg(target_arch = "x86_64")]
pub(super) fn go_on_at(context: &mut ucontext_t, address: usize) {
    context.uc_mcontext.gregs[libc::REG_RIP as usize] = (address as u64).cast_signed();
}

/// Has the thread go on elsewhere.
#[cfg(target_arch = "aarch64")]
pub(super) fn go_on_at(context: &mut ucontext_t, address: usize) {
    context.uc_mcontext.pc = address as u64;
}
