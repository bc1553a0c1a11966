//! What the tests share: maps of memory, and streams that behave badly.

#![allow(dead_code, unused_imports, reason = "each test takes what it needs")]

mod disk;
mod marked;
mod streams;

use guest_memory::{
    Bytes, GuestAddress, GuestMemory, GuestMemoryRegion, GuestRegionCollection, SliceRegion,
};

pub(crate) use disk::Disk;
pub(crate) use marked::{Log, marked};
pub(crate) use streams::{Sink, Source, Step};

/// A region of somebody else's memory for as long as the test runs.
pub(crate) type Region = SliceRegion<'static>;
pub(crate) type Map = GuestRegionCollection<Region>;

/// `len` bytes of zeros that start at a page, and are never given back.
pub(crate) fn pages(len: usize) -> &'static mut [u8] {
    let bytes = vec![0; len + 0x1000].leak();
    let start = bytes.as_ptr().align_offset(0x1000);
    &mut bytes[start..start + len]
}

/// A region of `len` bytes at `start`.
pub(crate) fn region(start: u64, len: usize) -> Region {
    SliceRegion::new(GuestAddress(start), pages(len)).expect("not empty, and below the end")
}

/// A map of regions, each a start and a length in bytes.
pub(crate) fn map(regions: &[(u64, usize)]) -> Map {
    let regions = regions.iter().map(|&(start, len)| region(start, len)).collect();
    GuestRegionCollection::from_regions(regions).expect("sorted, and not overlapping")
}

/// Two regions that are neighbours, and one behind a hole: [0x1000, 0x3000) and [0x8000, 0x9000).
pub(crate) fn three() -> Map {
    map(&[(0x1000, 0x1000), (0x2000, 0x1000), (0x8000, 0x1000)])
}

/// All bytes of all regions, one region after the other.
pub(crate) fn all_bytes<M: GuestMemory>(memory: &M) -> Vec<u8> {
    let mut all = Vec::new();
    for region in memory.iter() {
        let mut bytes = vec![0; usize::try_from(region.len()).expect("regions of tests are short")];
        memory.read_slice(&mut bytes, region.start_addr()).expect("the region is there");
        all.extend(bytes);
    }
    all
}

/// `len` bytes that differ from their neighbours.
pub(crate) fn counting(len: usize) -> Vec<u8> {
    (1..=len).map(|number| (number % 251) as u8).collect()
}
