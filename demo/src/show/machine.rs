//! Whoever plays the guest, behind one interface.

use std::fmt;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use demo::{Boot, DirtyLog, Guest, Mailbox, Memslot, Vm, Words};
use guest_address::GuestAddress;
use guest_memory::{GuestMemory, GuestMemoryRegion};

use super::arguments::Player;
use super::ram::{Memory, Region};

/// A hypervisor's dirty log of a region.
#[derive(Debug)]
pub(crate) struct Log {
    /// The address of its first page.
    pub(crate) start: GuestAddress,
    /// Bit `n` of word `w` is that of page `64 * w + n`.
    pub(crate) words: Vec<u64>,
}

/// A machine for a guest.
#[derive(Debug)]
pub(crate) enum Machine {
    /// A virtual machine, and its slots for the regions of the first map.
    Kvm { vm: Vm, slots: Vec<Memslot> },
    /// None; a thread will do the guest's part.
    StandIn { why: String },
}

impl Machine {
    /// The best machine that there is, or the one that is wanted.
    pub(crate) fn new(player: Player) -> Result<Self> {
        Ok(match player {
            Player::Thread => Self::StandIn { why: "as asked for".to_owned() },
            Player::Best => match Vm::available() {
                Ok(()) => Self::Kvm { vm: Vm::new()?, slots: Vec::new() },
                Err(why) => Self::StandIn { why },
            },
        })
    }

    /// A name for whoever plays the guest.
    pub(crate) fn player(&self) -> &'static str {
        match self {
            Self::Kvm { .. } => "the guest",
            Self::StandIn { .. } => "the stand-in",
        }
    }

    /// What the title of a step says that is not what it should be.
    pub(crate) fn caveat(&self) -> &'static str {
        match self {
            Self::Kvm { .. } => "",
            Self::StandIn { .. } => " [no KVM: a thread stands in for the guest]",
        }
    }

    /// Gives the guest all regions of `memory`, with a dirty log for each.
    pub(crate) fn lend(&mut self, memory: &Memory) -> Result<()> {
        let Self::Kvm { vm, slots } = self else { return Ok(()) };
        for region in memory.iter() {
            let start = region.start_addr();
            let same = Region::with_arc(region.get_mmap(), start)
                .ok_or_else(|| anyhow!("the region at {start} does not fit where it is"))?;
            slots.push(vm.plug(start.0, Arc::new(same), DirtyLog::On)?);
        }
        Ok(())
    }

    /// Gives the guest one more region, without a dirty log.
    pub(crate) fn plug(&self, region: &Arc<Region>) -> Result<Option<Memslot>> {
        let Self::Kvm { vm, .. } = self else { return Ok(None) };
        Ok(Some(vm.plug(region.start_addr().0, Arc::clone(region), DirtyLog::Off)?))
    }

    /// Takes from the guest what [`plug`](Self::plug) gave.
    pub(crate) fn unplug(&self, slot: Option<Memslot>) -> Result<()> {
        match (self, slot) {
            (Self::Kvm { vm, .. }, Some(slot)) => Ok(vm.unplug(slot)?),
            _ => Ok(()),
        }
    }

    /// Starts what `boot` prepared.
    pub(crate) fn start<W>(&self, words: W, boot: &Boot, mailbox: Mailbox<W>) -> Result<Guest<W>>
    where
        W: Words + Send + 'static,
    {
        match self {
            Self::Kvm { vm, .. } => Guest::on_kvm(vm, boot, mailbox),
            Self::StandIn { .. } => Guest::stand_in(words, boot, mailbox),
        }
        .context("the guest does not start")
    }

    /// Fetches and clears the hypervisor's dirty logs, one for each region of the first map; none where there is no
    /// hypervisor.
    pub(crate) fn dirty_logs(&self) -> Result<Vec<Log>> {
        let Self::Kvm { vm, slots } = self else { return Ok(Vec::new()) };
        let log = |slot: &Memslot| {
            Ok(Log { start: GuestAddress(slot.guest_phys()), words: vm.dirty_log(slot)? })
        };
        slots.iter().map(log).collect()
    }
}

/// Who plays the guest.
impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kvm { .. } => f.write_str("a real one: a virtual CPU on /dev/kvm, in ring 3"),
            Self::StandIn { why } => {
                write!(f, "NONE: a thread plays its part, without KVM ({why})")
            }
        }
    }
}
