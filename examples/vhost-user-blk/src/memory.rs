//! The guest's memory as this daemon sees it: mapped from the front-end's files, with marks, and exchanged while queues run.

use std::io;

use vhost_user_backend::bitmap::{BitmapReplace as _, MemRegionBitmap as _};
// Not `GuestMemoryRegion`, whose `bitmap` gives a view; that of the mapping below gives the bitmap itself.
use vm_memory::{GuestAddress, GuestMemoryAtomic, GuestMemoryBackend as _, GuestMemoryMmap};

use crate::marks::{Log, Marks};

/// A map. It stays as it is for whoever holds it.
pub(crate) type Memory = GuestMemoryMmap<Marks>;
/// The map in force.
pub(crate) type Current = GuestMemoryAtomic<Memory>;
/// Bytes of guest memory that a descriptor names; nothing says that they are there.
pub(crate) type Range = (GuestAddress, usize);

/// Has all regions of a map log where one of the map before does: memory may come while a migration runs, and the front-end
/// does not send its log again.
///
/// # Errors
///
/// If the log has no room for a region; the map must not come into force then.
pub(crate) fn hand_on_log(before: &Memory, next: &Memory) -> io::Result<()> {
    let Some(bits) = before.iter().find_map(|region| region.bitmap().log()) else { return Ok(()) };
    for region in next.iter().filter(|region| region.bitmap().log().is_none()) {
        region.bitmap().replace(Log::new(region, bits.clone())?);
    }
    Ok(())
}

/// Ends logging in all regions.
pub(crate) fn forget_log(memory: &Memory) {
    for region in memory.iter() {
        region.bitmap().forget();
    }
}
