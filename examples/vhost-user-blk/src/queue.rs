//! The work of one queue: chains from the available ring, through the disk, to the used ring.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use vhost_user_backend::VringT as _;
use virtio_queue::{Error as QueueError, Queue, QueueOwnedT as _, QueueT as _};

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

/// Works until the queue is empty, or is stopped, or all is over.
///
/// The lock of the queue is held for as long as a round takes: who stops the queue holds it next, and knows then that nothing
/// is in flight.
///
/// # Errors
///
/// If the queue is broken. Chains that were taken before are used up.
pub(crate) fn work(
    disk: &mut Disk,
    memory: &Memory,
    vring: &Vring,
    is_over: &AtomicBool,
) -> Result<(), Stuck> {
    let mut transfer = Transfer::new(memory);
    let result = rounds(disk, &mut transfer, vring, is_over);
    let stats = disk.stats();
    stats.wakeups += 1;
    stats.crossings += transfer.crossings();
    result
}

fn rounds(
    disk: &mut Disk,
    transfer: &mut Transfer<'_>,
    vring: &Vring,
    is_over: &AtomicBool,
) -> Result<(), Stuck> {
    loop {
        let mut state = vring.get_mut();
        let is_stopped = !state.is_enabled() || !state.get_queue().ready();
        if is_stopped || is_over.load(Ordering::Relaxed) {
            return Ok(());
        }
        let before = state.get_queue().next_used();
        let result = round(disk, transfer, state.get_queue_mut());
        // What was used up is told, also where the round ended badly.
        let is_used = state.get_queue().next_used() != before;
        let is_awaited = is_used && state.get_queue_mut().needs_notification(transfer.memory())?;
        let call = is_awaited.then(|| vring.call());
        drop(state);
        if let Some(call) = call {
            disk.stats().signals += 1;
            call.make().map_err(Stuck::Signal)?;
        }
        match result? {
            Left::Some if !is_used => return Err(Stuck::Entry),
            Left::Some => {}
            Left::None => return Ok(()),
        }
    }
}

/// What a round has left in the queue.
enum Left {
    None,
    Some,
}

/// Uses up some chains. The driver is to kick from now on if none are left.
fn round(disk: &mut Disk, transfer: &mut Transfer<'_>, queue: &mut Queue) -> Result<Left, Stuck> {
    let memory = transfer.memory();
    // Asked in each round, since the rings may have been moved. All of them are in this memory then, as long as it lasts.
    if !queue.is_valid(memory) {
        return Err(Stuck::Rings);
    }
    queue.disable_notification(memory)?;
    for _ in 0..BATCH {
        let Some(chain) = queue.iter(memory)?.next() else {
            let has_more = queue.enable_notification(memory)?;
            return Ok(if has_more { Left::Some } else { Left::None });
        };
        let head = chain.head_index();
        let len = disk.serve(transfer, chain);
        queue.add_used(memory, head, len)?;
    }
    Ok(Left::Some)
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
