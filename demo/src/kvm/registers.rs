//! The registers of a virtual CPU that starts in ring 3 of 64-bit mode.

use kvm_bindings::{kvm_regs, kvm_segment};
use kvm_ioctls::VcpuFd;

use super::vm::refused;
use crate::boot::Boot;
use crate::error::Result;

/// Privilege level of the guest, everywhere it is asked for.
const RING: u8 = 3;

/// CR0: protected mode (bit 0) with paging (31), and what goes with it: the two bits that every CPU
/// of today keeps set (4, 5), and read-only pages that are so for all (16).
const CR0: u64 = 1 << 0 | 1 << 4 | 1 << 5 | 1 << 16 | 1 << 31;
/// CR4: page table entries of 64 bits. The programs use no floating point and no vectors.
const CR4: u64 = 1 << 5;
/// EFER: 64-bit mode enabled, and active.
const EFER: u64 = 1 << 8 | 1 << 10;
/// RFLAGS: the bit that is always set, and I/O privilege level 3, so that ring 3 may use `out`.
/// Interrupts are off.
const RFLAGS: u64 = 1 << 1 | (RING as u64) << 12;

/// Segment types of the architecture, both marked as accessed.
const CODE_READABLE: u8 = 0xb;
const DATA_WRITABLE: u8 = 0x3;

/// Sets up a new virtual CPU to enter `boot`'s program, with the mailbox's address in RDI.
///
/// The segments are loaded straight into the CPU's hidden registers. There is no table they could
/// be loaded from again, and the guest has no reason to.
pub(super) fn set(vcpu: &VcpuFd, boot: &Boot) -> Result<()> {
    let mut special = vcpu.get_sregs().map_err(|errno| refused("KVM_GET_SREGS", errno))?;
    let flat = kvm_segment {
        base: 0,
        limit: u32::MAX,
        present: 1,
        dpl: RING,
        s: 1, // not a system segment
        g: 1, // the limit counts in pages
        ..kvm_segment::default()
    };
    let selector = |index: u16| index << 3 | u16::from(RING);
    special.cs = kvm_segment { selector: selector(6), type_: CODE_READABLE, l: 1, ..flat };
    let data = kvm_segment { selector: selector(5), type_: DATA_WRITABLE, db: 1, ..flat };
    special.ss = data;
    special.ds = data;
    special.es = data;
    special.fs = data;
    special.gs = data;
    special.cr0 = CR0;
    special.cr3 = boot.page_tables;
    special.cr4 = CR4;
    special.efer = EFER;
    // No interrupt or fault can be delivered: one that occurs shuts the machine down.
    special.idt.base = 0;
    special.idt.limit = 0;
    vcpu.set_sregs(&special).map_err(|errno| refused("KVM_SET_SREGS", errno))?;

    let general =
        kvm_regs { rip: boot.code, rdi: boot.mailbox, rflags: RFLAGS, ..kvm_regs::default() };
    vcpu.set_regs(&general).map_err(|errno| refused("KVM_SET_REGS", errno))
}
