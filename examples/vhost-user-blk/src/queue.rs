//! The work of one queue: chains from the available ring, through the disk, to the used ring.

use std::fmt;

use vhost_user_backend::VringT as _;
use virtio_queue::{Error as QueueError, QueueOwnedT as _, QueueT as _};

use crate::disk::Disk;
use crate::memory::Memory;
use crate::transfer::Transfer;
use crate::vring::Vring;

/// Chains that are used up before the driver is told, at most: it goes on with them while we go on with others.
const BATCH: u32 = 16;

/// Why a queue cannot be worked on; it is tried again when the driver kicks.
#[derive(Debug)]
pub(crate) enum Stuck {
    Queue(QueueError),
    /// Some part of its rings is not in memory.
    Rings,
    /// The available ring says that it has more, which cannot be read.
    Entry,
    Signal(std::io::Error),
}

/// Works until the queue is empty, or is stopped.
///
/// The lock of the queue is held for as long as a round takes: who stops the queue holds it next, and knows then that nothing
/// is in flight.
///
/// # Errors
///
/// If the queue is broken. Chains that were taken before are used up.
pub(crate) fn work(disk: &mut Disk, memory: &Memory, vring: &Vring) -> Result<(), Stuck> {
    let mut transfer = Transfer::new(memory);
    let result = rounds(disk, &mut transfer, vring);
    let stats = disk.stats();
    stats.wakeups += 1;
    stats.crossings += transfer.crossings();
    result
}

fn rounds(disk: &mut Disk, transfer: &mut Transfer<'_>, vring: &Vring) -> Result<(), Stuck> {
    let memory = transfer.memory();
    loop {
        let mut state = vring.get_mut();
        if !state.is_enabled() || !state.get_queue().ready() {
            return Ok(());
        }
        let queue = state.get_queue_mut();
        // Asked in each round, since the rings may have been moved. All of them are in this memory then, as long as the round lasts.
        if !queue.is_valid(memory) {
            return Err(Stuck::Rings);
        }
        queue.disable_notification(memory)?;
        let mut used = 0;
        while used < BATCH {
            let Some(chain) = queue.iter(memory)?.next() else { break };
            let head = chain.head_index();
            let len = disk.serve(transfer, chain);
            queue.add_used(memory, head, len)?;
            used += 1;
        }
        let goes_on = used == BATCH || queue.enable_notification(memory)?;
        let is_awaited = used > 0 && queue.needs_notification(memory)?;
        drop(state);
        if is_awaited {
            disk.stats().signals += 1;
            vring.signal_used_queue().map_err(Stuck::Signal)?;
        }
        if !goes_on {
            return Ok(());
        }
        if used == 0 {
            return Err(Stuck::Entry);
        }
    }
}

impl From<QueueError> for Stuck {
    fn from(error: QueueError) -> Self {
        Self::Queue(error)
    }
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Queue(error) => write!(f, "{error}"),
            Self::Rings => f.write_str("its rings are not in guest memory"),
            Self::Entry => f.write_str("an entry of its available ring cannot be read"),
            Self::Signal(error) => write!(f, "the driver cannot be told: {error}"),
        }
    }
}
