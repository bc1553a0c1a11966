//! Maps whose regions count how many of them were dropped, and handles to them.

#![allow(dead_code, reason = "each test binary takes what it needs")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use guest_address::{GuestAddress, GuestUsize, MemoryRegionAddress};
use guest_atomic::{GuestMemoryAtomic, Retired};
use guest_memory::guest_volatile::BS;
use guest_memory::{
    ByteValued, Bytes, GuestMemoryRegion, GuestMemoryRegionBytes, GuestMemoryResult,
    GuestRegionCollection, SliceRegion, VolatileSlice,
};

/// The length of a region in bytes.
pub(crate) const LEN: u64 = 16;
/// What the bytes of a region become when it is dropped, as those of unmapped memory might.
pub(crate) const GONE: u64 = u64::MAX;

pub(crate) type Map = GuestRegionCollection<Region>;

/// Memory that tells when it is dropped.
#[derive(Debug)]
pub(crate) struct Region {
    /// Of bytes that are leaked, so that a look at dropped memory is no fault here, but finds `GONE`.
    memory: SliceRegion<'static>,
    dropped: Arc<AtomicUsize>,
}

impl Region {
    /// A region at `start`, whose first bytes say `generation`.
    pub(crate) fn new(start: u64, generation: u64, dropped: &Arc<AtomicUsize>) -> Self {
        let bytes = vec![generation; 2].leak();
        let memory = SliceRegion::new(GuestAddress(start), as_bytes(bytes)).expect("it has a byte");
        Self { memory, dropped: Arc::clone(dropped) }
    }
}

/// The bytes of `numbers`, to whose alignment the test's accesses are whole.
fn as_bytes(numbers: &'static mut [u64]) -> &'static mut [u8] {
    let pair: &'static mut [u64; 2] = numbers.try_into().expect("there are two");
    ByteValued::as_mut_slice(pair)
}

impl Drop for Region {
    fn drop(&mut self) {
        self.memory.write_obj(GONE, MemoryRegionAddress(0)).expect("it has eight bytes");
        self.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

impl GuestMemoryRegion for Region {
    type B = ();

    fn len(&self) -> GuestUsize {
        self.memory.len()
    }

    fn start_addr(&self) -> GuestAddress {
        self.memory.start_addr()
    }

    fn bitmap(&self) -> BS<'_, ()> {}

    fn get_slice(
        &self,
        offset: MemoryRegionAddress,
        count: usize,
    ) -> GuestMemoryResult<VolatileSlice<'_, ()>> {
        self.memory.get_slice(offset, count)
    }
}

impl GuestMemoryRegionBytes for Region {}

/// A map of `count` regions after one another, all of `generation`.
pub(crate) fn map(generation: u64, count: u64, dropped: &Arc<AtomicUsize>) -> Map {
    let region = |index| Region::new(index * LEN, generation, dropped);
    Map::from_regions((0..count).map(region).collect()).expect("they are in order")
}

/// What the first region of the map says.
pub(crate) fn generation(map: &Map) -> u64 {
    map.read_obj(GuestAddress(0)).expect("there is a region at 0")
}

/// How long something may take that takes no time, on a machine that has other work.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// How many regions were dropped.
pub(crate) fn counter() -> Arc<AtomicUsize> {
    Arc::default()
}

/// A handle to a map of one region, of generation 1.
pub(crate) fn space(dropped: &Arc<AtomicUsize>) -> GuestMemoryAtomic<Map> {
    GuestMemoryAtomic::new(map(1, 1, dropped))
}

/// Publishes a map of one region.
pub(crate) fn publish(
    space: &GuestMemoryAtomic<Map>,
    generation: u64,
    dropped: &Arc<AtomicUsize>,
) -> Retired<Map> {
    let guard = space.lock().expect("it never fails");
    guard.replace(map(generation, 1, dropped))
}
