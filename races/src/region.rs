//! Memory on the heap that is used for something else when it goes.

use guest_memory::guest_volatile::BS;
use guest_memory::{
    Bytes, GuestAddress, GuestMemoryRegion, GuestMemoryRegionBytes, GuestMemoryResult,
    GuestRegionCollection, GuestUsize, MemoryRegionAddress, SliceRegion, VolatileSlice,
};

/// The length of a region in bytes.
pub const LEN: usize = 64;

/// A map of such regions.
pub type Map = GuestRegionCollection<Region>;

/// Memory that is written once more when it is dropped, as by the next who has it.
#[derive(Debug)]
pub struct Region {
    /// Of bytes that are leaked: what would be a fault is a race.
    memory: SliceRegion<'static>,
}

impl Region {
    /// A region at `start`, all of whose numbers are `value`.
    ///
    /// # Panics
    ///
    /// If it passes the end of the address space.
    #[must_use]
    pub fn new(start: GuestAddress, value: u64) -> Self {
        let bytes = Box::leak(vec![0; LEN].into_boxed_slice());
        let memory = SliceRegion::new(start, bytes).expect("it has bytes");
        let region = Self { memory };
        region.fill(value);
        region
    }

    /// Writes `value` to all of it.
    ///
    /// # Panics
    ///
    /// If it had fewer bytes than regions have.
    pub fn fill(&self, value: u64) {
        let bytes = value.to_ne_bytes().repeat(LEN / 8);
        self.memory.write_slice(&bytes, MemoryRegionAddress(0)).expect("it has as many");
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        self.fill(u64::MAX);
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
