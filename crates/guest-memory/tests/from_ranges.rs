//! Maps made of ranges, by regions that get their memory themselves.

mod common;

use std::fmt;

use common::{Region, region};
use guest_memory::{
    Bytes, FileOffset, GuestAddress, GuestMemory, GuestMemoryRegion, GuestMemoryRegionBytes,
    GuestMemoryResult, GuestRegionCollection, GuestRegionCollectionError, GuestUsize,
    MemoryRegionAddress, RegionFromRange, VolatileSlice,
};

/// A region of fresh memory that knows its file.
struct Fresh {
    memory: Region,
    file: Option<FileOffset>,
}

impl GuestMemoryRegion for Fresh {
    type B = ();

    fn len(&self) -> GuestUsize {
        self.memory.len()
    }

    fn start_addr(&self) -> GuestAddress {
        self.memory.start_addr()
    }

    fn bitmap(&self) {}

    fn file_offset(&self) -> Option<&FileOffset> {
        self.file.as_ref()
    }

    fn get_slice(
        &self,
        offset: MemoryRegionAddress,
        count: usize,
    ) -> GuestMemoryResult<VolatileSlice<'_>> {
        self.memory.get_slice(offset, count)
    }

    fn is_hugetlbfs(&self) -> Option<bool> {
        Some(self.file.is_some())
    }
}

impl GuestMemoryRegionBytes for Fresh {}

#[derive(Debug, PartialEq)]
enum Error {
    TooLong(usize),
    Map(GuestRegionCollectionError),
}

impl From<GuestRegionCollectionError> for Error {
    fn from(error: GuestRegionCollectionError) -> Self {
        Self::Map(error)
    }
}

impl RegionFromRange for Fresh {
    type Error = Error;

    fn from_range(
        addr: GuestAddress,
        size: usize,
        file: Option<FileOffset>,
    ) -> Result<Self, Error> {
        if size > 0x10000 {
            return Err(Error::TooLong(size));
        }
        Ok(Self { memory: region(addr.0, size), file })
    }
}

type Map = GuestRegionCollection<Fresh>;

impl fmt::Debug for Fresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.memory.fmt(f)
    }
}

#[test]
fn ranges_make_a_map() {
    let ranges = [(GuestAddress(0), 0x1000), (GuestAddress(0x1000), 0x1000)];
    let memory = Map::from_ranges(&ranges).unwrap();
    assert_eq!(memory.num_regions(), 2);
    memory.write_obj(1_u64, GuestAddress(0xffc)).unwrap();
    assert!(memory.iter().all(|region| region.file_offset().is_none()));
}

#[test]
fn ranges_that_make_no_map_are_refused() {
    let refused = |ranges: &[(GuestAddress, usize)]| Map::from_ranges(ranges).unwrap_err();
    assert_eq!(refused(&[]), Error::Map(GuestRegionCollectionError::NoMemoryRegion));
    let overlapping = [(GuestAddress(0), 0x1001), (GuestAddress(0x1000), 0x1000)];
    let expected = Error::Map(GuestRegionCollectionError::MemoryRegionOverlap);
    assert_eq!(refused(&overlapping), expected);
    assert_eq!(refused(&[(GuestAddress(0), 0x10001)]), Error::TooLong(0x10001));
}

// By value and by reference, as the published signature has it.
#[test]
fn each_range_may_have_a_place_in_a_file() {
    let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
    let place = FileOffset::new(file, 0x3000);
    let ranges = [(GuestAddress(0), 0x1000, None), (GuestAddress(0x2000), 0x1000, Some(place))];
    for memory in [
        Map::from_ranges_with_files(&ranges).unwrap(),
        Map::from_ranges_with_files(ranges.iter()).unwrap(),
        Map::from_ranges_with_files(ranges.clone()).unwrap(),
    ] {
        let places: Vec<_> =
            memory.iter().map(|region| region.file_offset().map(FileOffset::start)).collect();
        assert_eq!(places, [None, Some(0x3000)]);
        let expected = "\
2 regions, 8 KiB
  0x0000000000000000-0x0000000000000fff      4 KiB  memory
  0x0000000000001000-0x0000000000001fff      4 KiB  hole
  0x0000000000002000-0x0000000000002fff      4 KiB  file at 0x3000, huge pages";
        assert_eq!(memory.to_string(), expected);
    }
}
