//! A virtual machine: memory that can be plugged, and virtual CPUs that run in it.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::error::Error as _;
use core::sync::atomic::{AtomicU64, Ordering};
use std::io;

use kvm_ioctls::{Cap, Kvm, VcpuFd};

use super::slots::{Memslot, Slots};
use crate::dirty::DirtyLog;
use crate::error::{Error, Result};
use crate::lend::Lendable;

/// The only version of the interface that there ever was, as the kernel's documentation has it.
const API_VERSION: i32 = 12;

/// A virtual machine. Clones are the same machine.
///
/// It, and each [`Vcpu`](crate::Vcpu) of it, keeps the plugged memory alive.
#[derive(Clone, Debug)]
pub struct Vm {
    machine: Arc<Machine>,
}

#[derive(Debug)]
struct Machine {
    slots: Slots,
    vcpus: AtomicU64,
}

impl Vm {
    /// Whether machines can be made here; if not, why, for a person to read.
    ///
    /// # Errors
    ///
    /// The reason.
    pub fn available() -> core::result::Result<(), String> {
        match Self::new() {
            Ok(_) => Ok(()),
            Err(error) => Err(match error.source() {
                Some(cause) => format!("{error}: {cause}"),
                None => format!("{error}"),
            }),
        }
    }

    /// Makes a machine without memory.
    ///
    /// # Errors
    ///
    /// When `/dev/kvm` is not there, may not be opened, or lacks something.
    pub fn new() -> Result<Self> {
        let kvm = Kvm::new().map_err(|errno| refused("opening /dev/kvm", errno))?;
        if kvm.get_api_version() != API_VERSION {
            return Err(Error::Unfit { lack: "speaks another version of the interface" });
        }
        if !kvm.check_extension(Cap::UserMemory) {
            return Err(Error::Unfit { lack: "does not take memory from its user" });
        }
        let machine = kvm.create_vm().map_err(|errno| refused("KVM_CREATE_VM", errno))?;
        let slots = Slots::new(machine);
        Ok(Self { machine: Arc::new(Machine { slots, vcpus: AtomicU64::new(0) }) })
    }

    /// Plugs memory in at guest physical address `guest_phys`, at any time: a guest that runs sees
    /// it with its next access.
    ///
    /// The machine keeps a share of the memory until it is unplugged.
    ///
    /// # Errors
    ///
    /// [`Error::Kvm`] when addresses or length are not multiples of 4 KiB, or the range overlaps
    /// another.
    pub fn plug<M: Lendable>(
        &self,
        guest_phys: u64,
        memory: Arc<M>,
        log: DirtyLog,
    ) -> Result<Memslot> {
        self.machine.slots.plug(guest_phys, memory, log)
    }

    /// Unplugs memory, at any time, and gives up the machine's share of it.
    ///
    /// When it returns, no virtual CPU reaches the memory any more. A guest that tries ends with
    /// [`Exit::Hole`](crate::Exit::Hole). The slot's dirty log is lost: fetch it before.
    ///
    /// # Errors
    ///
    /// When the slot is not plugged, or KVM refuses. In that case the machine keeps its share.
    pub fn unplug(&self, slot: Memslot) -> Result<()> {
        self.machine.slots.unplug(slot.into_number())
    }

    /// Unplugs all memory: what a guest that does not listen cannot survive.
    ///
    /// The instruction it fetches next is not there any more, so that its virtual CPU leaves KVM
    /// within a millisecond, without a signal to its thread.
    ///
    /// # Errors
    ///
    /// When KVM refuses to unplug one; the others are unplugged all the same.
    pub fn unplug_all(&self) -> Result<()> {
        self.machine.slots.unplug_all()
    }

    /// Fetches the log of the pages that the guest dirtied since the last time, and clears it.
    ///
    /// Bit `n` of word `w` stands for the slot's page `64 * w + n`; see [`pages_in`](crate::pages_in).
    ///
    /// # What it says, and what not
    ///
    /// The log names every page that the guest wrote, and *may* name others: KVM counts a page as dirty
    /// as soon as it has mapped it writable, which it also does when the guest first reads it, or
    /// runs code from it. After a fetch the page stays mapped, but read-only, and from then
    /// on only a write counts. So for a log that is exact let the guest touch what it will use, fetch,
    /// let it work, and fetch again. Unplugging any slot makes KVM forget all mappings, and the next read
    /// counts as the first.
    ///
    /// What the *host* writes to its own mapping never appears here.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchSlot`] after [`unplug_all`](Vm::unplug_all); [`Error::Kvm`] when the slot was
    /// plugged with [`DirtyLog::Off`].
    pub fn dirty_log(&self, slot: &Memslot) -> Result<Vec<u64>> {
        self.machine.slots.dirty_log(slot.number())
    }

    /// A virtual CPU with a number that none had before.
    pub(super) fn create_vcpu(&self) -> Result<VcpuFd> {
        let id = self.machine.vcpus.fetch_add(1, Ordering::Relaxed);
        let machine = self.machine.slots.machine();
        machine.create_vcpu(id).map_err(|errno| refused("KVM_CREATE_VCPU", errno))
    }
}

/// The error for a call that the kernel refused.
pub(super) fn refused(call: &'static str, errno: kvm_ioctls::Error) -> Error {
    Error::Kvm { call, source: io::Error::from_raw_os_error(errno.errno()) }
}
