//! A memory map of regions, which never changes: another map is made of it.

mod layout;
mod table;
mod display;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use guest_address::{GuestAddress, GuestRange, GuestUsize, MemoryRegionAddress};
use guest_volatile::{OwnedList, VolatileSlice};

use crate::memory::{GuestMemory, MS, covers};
use crate::region::GuestMemoryRegion;
pub(crate) use table::DirectSlice;
use table::{Slot, Table, slot};

/// Why regions do not make a map.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GuestRegionCollectionError {
    /// There is no region, or not the one that was named.
    #[error("no such memory region")]
    NoMemoryRegion,
    /// Two regions have an address in common.
    #[error("memory regions overlap")]
    MemoryRegionOverlap,
    /// The regions are not in the order of their addresses.
    #[error("memory regions are not sorted")]
    UnsortedMemoryRegions,
    /// A region has no byte, or passes the end of the guest's address space.
    #[error(
        "the memory region at {start} has no byte, or passes the end of the address space: {len:#x} bytes"
    )]
    InvalidRegion {
        /// The first address of the region.
        start: GuestAddress,
        /// Its length in bytes.
        len: GuestUsize,
    },
}

/// A map of regions, sorted by address and not overlapping.
///
/// It does not change: [`insert_region`](Self::insert_region) and [`remove_region`](Self::remove_region) give another map,
/// which shares the regions with this one. To change the map under running devices, publish the other one through
/// `guest_atomic::GuestMemoryAtomic`.
///
/// A region is found, and its memory reached, by one look into a table, whatever the number of regions. The map keeps the
/// address and length that a region had when it was put in. The last 15 bytes of a region, and memory that may not be written, are
/// reached by a longer way, as what lies in two regions is. Neighbours whose memory is in one
/// [stretch](GuestMemoryRegion::stretch) are one slice to whoever asks for bytes of both. A clone shares all of it.
/// `Display` shows the map as a table for a person to read.
///
/// ```
/// # use guest_memory::*;
/// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
/// let memory = map(); // [0x1000, 0x3000) and [0x8000, 0x9000)
/// memory.write_obj(1_u32, GuestAddress(0x1000))?;
/// println!("{memory}");
/// # Ok::<(), GuestMemoryError>(())
/// ```
pub struct GuestRegionCollection<R> {
    table: Table<R>,
}

impl<R> Default for GuestRegionCollection<R> {
    fn default() -> Self {
        Self { table: Table::empty() }
    }
}

impl<R> Clone for GuestRegionCollection<R> {
    /// Another map of the same regions.
    fn clone(&self) -> Self {
        Self { table: self.table.clone() }
    }
}

impl<R: fmt::Debug> fmt::Debug for GuestRegionCollection<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.table.regions()).finish()
    }
}

impl<R: GuestMemoryRegion> GuestRegionCollection<R> {
    /// A map without regions.
    pub fn new() -> Self {
        Self::default()
    }

    /// A map of `regions`, which are in the order of their addresses.
    ///
    /// # Errors
    ///
    /// If there is none, one is empty or passes the end of the address space, two overlap, or they are not in order.
    pub fn from_regions(regions: Vec<R>) -> Result<Self, GuestRegionCollectionError> {
        Self::of(regions.into_iter().map(Arc::new))
    }

    /// A map of `regions`, which are shared and in the order of their addresses.
    ///
    /// # Errors
    ///
    /// As [`from_regions`](Self::from_regions).
    pub fn from_arc_regions(regions: Vec<Arc<R>>) -> Result<Self, GuestRegionCollectionError> {
        Self::of(regions.into_iter())
    }

    fn of(
        regions: impl ExactSizeIterator<Item = Arc<R>>,
    ) -> Result<Self, GuestRegionCollectionError> {
        let mut ranges = Vec::with_capacity(regions.len());
        let mut slots = Vec::with_capacity(regions.len());
        for region in regions {
            let (range, slot) = with_range(region)?;
            ranges.push(range);
            slots.push(slot);
        }
        if ranges.is_empty() {
            return Err(GuestRegionCollectionError::NoMemoryRegion);
        }
        for pair in ranges.windows(2) {
            let (lower, upper) = (&pair[0], &pair[1]);
            if upper.start() < lower.start() {
                return Err(GuestRegionCollectionError::UnsortedMemoryRegions);
            }
            if upper.start() <= lower.last() {
                return Err(GuestRegionCollectionError::MemoryRegionOverlap);
            }
        }
        Ok(Self { table: Table::new(ranges, slots) })
    }

    /// A map of these regions and `region`.
    ///
    /// # Errors
    ///
    /// If it overlaps one of them, is empty, or passes the end of the address space.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// use std::sync::Arc;
    /// let memory = map(); // [0x1000, 0x3000) and [0x8000, 0x9000)
    /// let mut ram = [0u8; 0x1000];
    /// let region = Arc::new(SliceRegion::new(GuestAddress(0x4000), &mut ram).unwrap());
    /// let larger = memory.insert_region(region)?;
    /// assert_eq!((memory.num_regions(), larger.num_regions()), (3, 4));
    /// # Ok::<(), GuestRegionCollectionError>(())
    /// ```
    pub fn insert_region(&self, region: Arc<R>) -> Result<Self, GuestRegionCollectionError> {
        let (range, slot) = with_range(region)?;
        let table = self.table.with(range, slot);
        Ok(Self { table: table.ok_or(GuestRegionCollectionError::MemoryRegionOverlap)? })
    }

    /// The region that `addr` is in, as it is shared by the maps that have it: to put it into another map, or to lend its
    /// memory to a hypervisor for as long as that has it.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// let memory = map(); // [0x1000, 0x3000) and [0x8000, 0x9000)
    /// let region = memory.find_arc(GuestAddress(0x8010)).expect("there is memory").clone();
    /// drop(memory);
    /// assert_eq!(region.start_addr(), GuestAddress(0x8000));
    /// ```
    pub fn find_arc(&self, addr: GuestAddress) -> Option<&Arc<R>> {
        self.table.find_arc(addr)
    }

    /// The memory of the regions that the bytes lie in, in a list by itself, if it is one piece of several; and how far from its
    /// start they are.
    pub(crate) fn find_list(
        &self,
        addr: GuestAddress,
        count: usize,
    ) -> Option<(OwnedList<R, DirectSlice>, usize)> {
        self.table.find_slots(addr, count)
    }

    /// A map of these regions without the one at `base`, which has `size` bytes; and that region.
    ///
    /// # Errors
    ///
    /// If there is no such region.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// let memory = map(); // [0x1000, 0x3000) and [0x8000, 0x9000)
    /// let (smaller, region) = memory.remove_region(GuestAddress(0x8000), 0x1000)?;
    /// assert_eq!(smaller.num_regions(), 2);
    /// assert_eq!(region.start_addr(), GuestAddress(0x8000));
    /// # Ok::<(), GuestRegionCollectionError>(())
    /// ```
    pub fn remove_region(
        &self,
        base: GuestAddress,
        size: GuestUsize,
    ) -> Result<(Self, Arc<R>), GuestRegionCollectionError> {
        let (table, region) =
            self.table.without(base, size).ok_or(GuestRegionCollectionError::NoMemoryRegion)?;
        Ok((Self { table }, region))
    }
}

/// The region's slot, with the addresses that it says it has: it is not asked again.
fn with_range<R: GuestMemoryRegion>(
    region: Arc<R>,
) -> Result<(GuestRange, Slot<R>), GuestRegionCollectionError> {
    let (start, len) = (region.start_addr(), region.len());
    let range = GuestRange::new(start, len)
        .ok_or(GuestRegionCollectionError::InvalidRegion { start, len })?;
    let slot = slot(range, region);
    Ok((range, slot))
}

impl<R: GuestMemoryRegion> GuestMemory for GuestRegionCollection<R> {
    type R = R;

    fn num_regions(&self) -> usize {
        self.table.len()
    }

    #[inline]
    fn find_region(&self, addr: GuestAddress) -> Option<&R> {
        self.table.find(addr).map(|(region, _)| region)
    }

    fn iter(&self) -> impl Iterator<Item = &R> {
        self.table.regions().map(|region| &**region)
    }

    #[inline]
    fn to_region_addr(&self, addr: GuestAddress) -> Option<(&R, MemoryRegionAddress)> {
        self.table.find(addr)
    }

    #[inline(always)]
    fn check_range(&self, base: GuestAddress, len: usize) -> bool {
        self.table.holds(base, len) || covers(self, base, len)
    }

    #[inline(always)]
    fn find_slice(
        &self,
        addr: GuestAddress,
        count: usize,
    ) -> Option<VolatileSlice<'_, MS<'_, Self>>> {
        self.table.find_slice(addr, count)
    }

    #[inline]
    fn find_joined(
        &self,
        addr: GuestAddress,
        count: usize,
    ) -> Option<VolatileSlice<'_, MS<'_, Self>>> {
        self.table.find_joined(addr, count)
    }

    #[inline(always)]
    fn find_pair(
        &self,
        addr: GuestAddress,
        count: usize,
    ) -> Option<[VolatileSlice<'_, MS<'_, Self>>; 2]> {
        self.table.find_pair(addr, count)
    }
}
