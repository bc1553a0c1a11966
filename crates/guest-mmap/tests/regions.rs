//! Mapped memory at a place in the guest's address space.

mod common;

use std::sync::Arc;

use common::{FAR, memfd, place};
use guest_address::{GuestAddress, MemoryRegionAddress};
use guest_dirty::AtomicBitmap;
use guest_memory::{
    Bytes, GuestMemory, GuestMemoryError, GuestMemoryRegion, GuestRegionCollectionError,
    VolatileMemory,
};
use guest_mmap::{
    FromRangesError, GuestMemoryMmap, GuestRegionMmap, MmapRegion, MmapRegionBuilder,
};
use guest_volatile::Bitmap;
use rstest::rstest;

fn mapping(size: usize) -> MmapRegion {
    MmapRegion::new(size).expect("there is memory")
}

/// The address so many bytes below 2^64.
fn below_the_top(distance: u64) -> GuestAddress {
    GuestAddress(distance.wrapping_neg())
}

// 2
#[rstest]
#[case::at_0(GuestAddress(0), 0x1000, Some(GuestAddress(0xfff)))]
#[case::a_byte(GuestAddress(7), 1, Some(GuestAddress(7)))]
#[case::the_last_page(below_the_top(0x1000), 0x1000, Some(GuestAddress(u64::MAX)))]
#[case::the_last_byte(GuestAddress(u64::MAX), 1, Some(GuestAddress(u64::MAX)))]
#[case::a_byte_beyond(below_the_top(0x1000), 0x1001, None)]
#[case::far_beyond(GuestAddress(u64::MAX), 0x1000, None)]
fn a_region_may_end_at_the_last_address_and_not_beyond(
    #[case] start: GuestAddress,
    #[case] size: usize,
    #[case] last: Option<GuestAddress>,
) {
    let region = GuestRegionMmap::new(mapping(size), start);
    assert_eq!(region.as_ref().map(GuestMemoryRegion::last_addr), last);
    let shared = GuestRegionMmap::with_arc(Arc::new(mapping(size)), start);
    assert_eq!(shared.as_ref().map(GuestMemoryRegion::last_addr), last);
    let ranged = GuestRegionMmap::<()>::from_range(start, size, None);
    match last {
        Some(last) => assert_eq!(ranged.unwrap().last_addr(), last),
        None => assert!(matches!(ranged.unwrap_err(), FromRangesError::InvalidGuestRegion)),
    }
}

#[test]
fn the_last_bytes_of_the_address_space_are_memory() {
    // 2, 4
    let memory: GuestMemoryMmap =
        GuestMemoryMmap::from_ranges(&[(below_the_top(0x1000), 0x1000)]).unwrap();
    let top = below_the_top(8);
    memory.write_obj(0x1122_3344_5566_7788_u64, top).unwrap();
    assert_eq!(memory.read_obj::<u64>(top).unwrap(), 0x1122_3344_5566_7788);
    assert_eq!(memory.read(&mut [0; 16], top).unwrap(), 8);
    let error = memory.read_slice(&mut [0; 16], top).unwrap_err();
    let GuestMemoryError::PartialBuffer { expected: 16, completed: 8 } = error else {
        panic!("{error:?}")
    };
}

#[test]
fn one_mapping_may_be_at_two_places() {
    let mapping = Arc::new(mapping(0x1000));
    let at = |start| GuestRegionMmap::with_arc(Arc::clone(&mapping), GuestAddress(start)).unwrap();
    let memory = GuestMemoryMmap::from_regions(vec![at(0x1000), at(0x9003)]).unwrap();
    memory.write_obj(0x1234_5678_u32, GuestAddress(0x1ffc)).unwrap();
    assert_eq!(memory.read_obj::<u32>(GuestAddress(0x9fff)).unwrap(), 0x1234_5678);
}

#[test]
fn the_mapping_of_a_region_outlives_it() {
    let region = GuestRegionMmap::new(mapping(0x1000), GuestAddress(0x1000)).unwrap();
    region.write_obj(7_u64, MemoryRegionAddress(0xff8)).unwrap();
    let mapping = region.get_mmap();
    drop(region);
    assert_eq!(mapping.get_ref::<u64>(0xff8).unwrap().load(), 7);
    // Now it is the last, and tells how it is unmapped.
    Arc::into_inner(mapping).unwrap().unmap().unwrap();
}

// 1
#[rstest]
#[case::the_first_byte(0, true)]
#[case::the_last_byte(0x1002, true)]
#[case::one_past_the_end(0x1003, false)]
#[case::past_every_region(u64::MAX, false)]
fn a_host_address_is_that_of_a_byte_inside(#[case] offset: u64, #[case] inside: bool) {
    let region = GuestRegionMmap::new(mapping(0x1003), GuestAddress(0x7)).unwrap();
    match region.get_host_address(MemoryRegionAddress(offset)) {
        Ok(addr) => {
            assert!(inside);
            let offset = usize::try_from(offset).unwrap();
            assert_eq!(addr, region.as_ptr().wrapping_add(offset));
        }
        Err(GuestMemoryError::InvalidBackendAddress) => assert!(!inside),
        Err(error) => panic!("{error:?}"),
    }
    let memory = GuestMemoryMmap::from_regions(vec![region]).unwrap();
    let addr = GuestAddress(offset.saturating_add(7));
    assert_eq!(memory.get_host_address(addr).is_ok(), inside);
}

#[rstest]
#[case::all(0, 0x1003, true)]
#[case::nothing_at_the_end(0x1003, 0, true)]
#[case::nothing_beyond(0x1004, 0, false)]
#[case::a_byte_too_many(0, 0x1004, false)]
#[case::the_sum_overflows(u64::MAX, 1, false)]
#[case::the_count_overflows(1, usize::MAX, false)]
fn a_slice_lies_inside(#[case] offset: u64, #[case] count: usize, #[case] inside: bool) {
    let region = GuestRegionMmap::new(mapping(0x1003), GuestAddress(0)).unwrap();
    let slice = GuestMemoryRegion::get_slice(&region, MemoryRegionAddress(offset), count);
    assert_eq!(slice.ok().map(|slice| slice.len()), inside.then_some(count));
}

#[test]
fn a_region_tells_of_its_file_and_its_pages() {
    let file = memfd(3 * FAR);
    let region =
        GuestRegionMmap::<()>::from_range(GuestAddress(0x1000), 0x1003, Some(place(&file, FAR)));
    let region = region.unwrap();
    assert_eq!(GuestMemoryRegion::file_offset(&region).unwrap().start(), FAR);
    assert_eq!(GuestMemoryRegion::is_hugetlbfs(&region), None);
    assert_eq!((GuestMemoryRegion::len(&region), region.size()), (0x1003, 0x1003));
    assert_eq!(region.start_addr(), GuestAddress(0x1000));

    let noted = MmapRegionBuilder::<()>::new(0x1000).with_hugetlbfs(true).build().unwrap();
    let noted = GuestRegionMmap::new(noted, GuestAddress(0)).unwrap();
    assert_eq!(GuestMemoryRegion::is_hugetlbfs(&noted), Some(true));
    assert!(GuestMemoryRegion::file_offset(&noted).is_none());
}

#[test]
fn the_regions_bitmap_is_that_of_its_mapping() {
    // 20
    let mapping = MmapRegion::<AtomicBitmap>::new(0x3000).unwrap();
    let region = GuestRegionMmap::new(mapping, GuestAddress(0x8000)).unwrap();
    region.write_obj(7_u8, MemoryRegionAddress(0x1234)).unwrap();
    let by_region = GuestMemoryRegion::bitmap(&region);
    let by_mapping = region.get_mmap();
    for (offset, dirty) in [(0xfff, false), (0x1000, true), (0x1fff, true), (0x2000, false)] {
        assert_eq!(by_region.dirty_at(offset), dirty);
        assert_eq!(by_mapping.bitmap().dirty_at(offset), dirty);
    }
}

#[test]
fn a_bitmap_of_the_callers_is_the_one_that_is_marked() {
    use std::num::NonZeroUsize;
    let bitmap = AtomicBitmap::new(0x3000, NonZeroUsize::new(0x100).unwrap());
    let region = MmapRegionBuilder::new_with_bitmap(0x3000, bitmap).build().unwrap();
    region.get_ref::<u16>(0x1ff).unwrap().store(7);
    let pages: Vec<_> = region.bitmap().take().unwrap().pages().collect();
    assert_eq!(pages, [1, 2]);
}

// 7
#[rstest]
#[case::none(&[], GuestRegionCollectionError::NoMemoryRegion)]
#[case::overlapping_by_a_byte(
    &[(0, 0x1001), (0x1000, 0x1000)],
    GuestRegionCollectionError::MemoryRegionOverlap
)]
#[case::twice(&[(0, 0x1000), (0, 0x1000)], GuestRegionCollectionError::MemoryRegionOverlap)]
#[case::unsorted(
    &[(0x1000, 0x1000), (0, 0x1000)],
    GuestRegionCollectionError::UnsortedMemoryRegions
)]
fn ranges_that_make_no_map_are_refused(
    #[case] ranges: &[(u64, usize)],
    #[case] fault: GuestRegionCollectionError,
) {
    let ranges: Vec<_> = ranges.iter().map(|&(addr, size)| (GuestAddress(addr), size)).collect();
    let error = GuestMemoryMmap::<()>::from_ranges(&ranges).unwrap_err();
    let FromRangesError::Collection(error) = error else { panic!("{error:?}") };
    assert_eq!(error, fault);
}

#[test]
fn regions_go_to_other_threads() {
    fn is_shared<T: Send + Sync + 'static>() {}
    is_shared::<MmapRegion>();
    is_shared::<MmapRegion<AtomicBitmap>>();
    is_shared::<GuestRegionMmap<AtomicBitmap>>();
    is_shared::<GuestMemoryMmap<AtomicBitmap>>();
}
