//! Plugging and unplugging: first the host's map, then the guest's slots.

use std::sync::{Arc, PoisonError, Weak};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use demo::Memslot;
use guest_atomic::Retired;
use guest_dirty::AtomicBitmap;
use guest_mmap::MmapRegion;

use super::machine::Machine;
use super::ram::{Memory, PLUG, PLUG_LEN, Region, Space};

/// How long readers may hold on to an old map.
const LIMIT: Duration = Duration::from_secs(10);

/// Memory that is plugged, and what tells whether it is still mapped.
pub(crate) struct Plugged {
    pub(crate) slot: Option<Memslot>,
    pub(crate) mapping: Weak<MmapRegion<AtomicBitmap>>,
    /// How long readers held on to the map without it.
    pub(crate) readers_took: Duration,
}

/// Plugs fresh memory.
pub(crate) fn plug(machine: &Machine, space: &Space) -> Result<Plugged> {
    let region = Arc::new(Region::from_range(PLUG, PLUG_LEN as usize, None)?);
    // Read, modify and write, under the lock: another writer's change cannot get lost.
    let writer = space.lock().unwrap_or_else(PoisonError::into_inner);
    let wider = writer.insert_region(Arc::clone(&region))?;
    let retired = writer.replace(wider);
    let (_, readers_took) = wait(retired)?;
    let slot = machine.plug(&region).context("the memory cannot be plugged")?;
    Ok(Plugged { slot, mapping: Arc::downgrade(&region.get_mmap()), readers_took })
}

/// Publishes a map without the plugged memory. The guest still has it, and so have readers of the old map.
pub(crate) fn withdraw(space: &Space) -> Result<Retired<Memory>> {
    let writer = space.lock().unwrap_or_else(PoisonError::into_inner);
    let (narrower, _region) = writer.remove_region(PLUG, PLUG_LEN)?;
    Ok(writer.replace(narrower))
}

/// Waits until an old map has no reader any more; gives the map, and how long it took.
pub(crate) fn wait(retired: Retired<Memory>) -> Result<(Memory, Duration)> {
    let start = Instant::now();
    let map = retired
        .wait_timeout(LIMIT)
        .map_err(|_| anyhow!("somebody holds an old map for more than {LIMIT:?}"))?;
    Ok((map, start.elapsed()))
}
