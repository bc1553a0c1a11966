//! The one place where KVM is told of host memory.
#![expect(
    unsafe_code,
    reason = "KVM takes the memory of a slot as a raw address, and uses it for as long as the slot is there"
)]

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kvm_bindings::{KVM_MEM_LOG_DIRTY_PAGES, kvm_userspace_memory_region};
use kvm_ioctls::VmFd;

use crate::dirty::DirtyLog;
use crate::error::{Error, Result};
use crate::lend::Lendable;

/// A range of guest physical memory that is plugged into a [`Vm`](crate::Vm).
///
/// It is a name, not an owner: dropping it leaves the memory plugged until the machine is gone.
#[derive(Debug)]
pub struct Memslot {
    number: u32,
    guest_phys: u64,
    len: usize,
}

impl Memslot {
    /// The number by which KVM knows the slot. None is used twice in a machine's life.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// First guest physical address of the slot.
    #[must_use]
    pub fn guest_phys(&self) -> u64 {
        self.guest_phys
    }

    /// Bytes of the slot.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the slot has no bytes, which KVM does not allow.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Uses up the name.
    pub(super) fn into_number(self) -> u32 {
        self.number
    }
}

/// A KVM machine and the memory that is lent to it.
///
/// # Invariants
///
/// - Every slot that the kernel has for this machine is an entry of `lent`, with the length that the
///   kernel knows; the entry owns a share of the memory.
/// - The machine's descriptor is not used to set slots but in this room. (To do so is unsafe.)
pub(super) struct Slots {
    machine: VmFd,
    lent: Mutex<Lent>,
}

#[derive(Default)]
struct Lent {
    next: u32,
    memory: BTreeMap<u32, (Arc<dyn Lendable>, usize)>,
}

impl Slots {
    /// Takes a machine that has no slots.
    pub(super) fn new(machine: VmFd) -> Self {
        // INVARIANT: a new machine has no slots, nobody else has its descriptor, and `lent` is empty.
        Self { machine, lent: Mutex::default() }
    }

    /// The machine, for calls that have nothing to do with memory.
    pub(super) fn machine(&self) -> &VmFd {
        &self.machine
    }

    /// Plugs memory at `guest_phys` and keeps a share of it.
    pub(super) fn plug(
        &self,
        guest_phys: u64,
        memory: Arc<dyn Lendable>,
        log: DirtyLog,
    ) -> Result<Memslot> {
        let (host, len) = memory.span();
        let mut lent = self.lock();
        let number = lent.next;
        let region = kvm_userspace_memory_region {
            slot: number,
            flags: match log {
                DirtyLog::On => KVM_MEM_LOG_DIRTY_PAGES,
                DirtyLog::Off => 0,
            },
            guest_phys_addr: guest_phys,
            memory_size: len as u64,
            userspace_addr: host.expose_provenance() as u64,
        };
        // INVARIANT: the entry is there before the kernel's slot, and is taken back only when the
        // kernel did not make one.
        lent.next += 1;
        lent.memory.insert(number, (memory, len));
        // SAFETY: "`userspace_addr` points to valid memory": by `Lendable`, `host..host + len` is
        // mapped, belongs to the value and may be written at any moment, for as long as the value
        // lives. It lives for as long as a guest can use the slot: `lent` owns a share, and gives it
        // up where the kernel made no slot (below), after the slot is deleted (`unplug`), or when
        // `self` is dropped; by then no guest runs, for a guest runs only in a call on a `Vcpu`, and
        // each of those owns a share of the `Vm` and so of `self`.
        // "Not overlapping": the number is new, and the kernel refuses a range that overlaps another
        // in guest memory. Host memory it may share: both slots own it.
        let plugged = unsafe { self.machine.set_user_memory_region(region) };
        if let Err(errno) = plugged {
            lent.memory.remove(&number);
            return Err(super::vm::refused("KVM_SET_USER_MEMORY_REGION", errno));
        }
        Ok(Memslot { number, guest_phys, len })
    }

    /// Unplugs the slot and lets go of its memory; afterwards no virtual CPU reaches it.
    pub(super) fn unplug(&self, number: u32) -> Result<()> {
        let mut lent = self.lock();
        if !lent.memory.contains_key(&number) {
            return Err(Error::NoSuchSlot { number });
        }
        let none = kvm_userspace_memory_region {
            slot: number,
            flags: 0,
            guest_phys_addr: 0,
            memory_size: 0,
            userspace_addr: 0,
        };
        // SAFETY: a size of zero deletes the slot: no memory is named, so there is none to be valid
        // and nothing to overlap.
        unsafe { self.machine.set_user_memory_region(none) }
            .map_err(|errno| super::vm::refused("KVM_SET_USER_MEMORY_REGION", errno))?;
        // INVARIANT: the kernel has no such slot any more: it waits for those who use it before it
        // returns.
        let gone = lent.memory.remove(&number);
        drop(lent);
        drop(gone); // runs the owner's destructor, outside of the lock
        Ok(())
    }

    /// Unplugs every slot; tells of the first refusal, but tries all.
    pub(super) fn unplug_all(&self) -> Result<()> {
        let numbers: Vec<u32> = self.lock().memory.keys().copied().collect();
        numbers.into_iter().map(|number| self.unplug(number)).fold(Ok(()), Result::and)
    }

    /// Fetches and clears the dirty log of a slot.
    pub(super) fn dirty_log(&self, number: u32) -> Result<Vec<u64>> {
        let lent = self.lock();
        let &(_, len) = lent.memory.get(&number).ok_or(Error::NoSuchSlot { number })?;
        // The kernel writes as many bits as *it* believes the slot to have, so the length must be
        // the slot's own, and must stay so during the call: by the invariant, and by the lock.
        self.machine
            .get_dirty_log(number, len)
            .map_err(|errno| super::vm::refused("KVM_GET_DIRTY_LOG", errno))
    }

    fn lock(&self) -> MutexGuard<'_, Lent> {
        // No code here panics between two changes that belong together.
        self.lent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lent = self.lock();
        let slots = lent.memory.iter().map(|(number, (_, len))| (number, len));
        f.debug_map().entries(slots).finish()
    }
}
