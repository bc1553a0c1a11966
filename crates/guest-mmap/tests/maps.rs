//! Maps of mapped memory: made of ranges and files, accessed over borders, shown to people.

mod common;

use std::fs::File;
use std::num::NonZeroUsize;

use common::{FAR, memfd, place};
use guest_address::GuestAddress;
use guest_dirty::AtomicBitmap;
use guest_memory::{
    Bytes, FileOffset, GuestMemory, GuestMemoryError, GuestMemoryRegion, WholeBytes,
};
use guest_mmap::{GuestMemoryMmap, GuestRegionMmap, MmapRegion, MmapRegionBuilder};
use guest_volatile::{Bitmap, NewBitmap};
use nix::sys::memfd::{MFdFlags, memfd_create};
use rstest::rstest;

fn map<B: NewBitmap>(ranges: &[(u64, usize)]) -> GuestMemoryMmap<B> {
    let ranges: Vec<_> = ranges.iter().map(|&(addr, size)| (GuestAddress(addr), size)).collect();
    GuestMemoryMmap::from_ranges(&ranges).expect("the ranges make a map")
}

/// The offsets of the dirty pages in the map's regions, one after the other.
fn dirty_pages(memory: &GuestMemoryMmap<AtomicBitmap>) -> Vec<u64> {
    let of_region = |region: &GuestRegionMmap<AtomicBitmap>| {
        let start = region.start_addr().0;
        let bitmap = region.get_mmap();
        let harvest = bitmap.bitmap().take().expect("no mark is past the end");
        harvest.pages().map(|page| start + 0x1000 * page as u64).collect::<Vec<_>>()
    };
    memory.iter().flat_map(of_region).collect()
}

// 1, 8: odd lengths, odd places, neighbours, holes
#[rstest]
#[case::one(&[(0, 0x1000)])]
#[case::odd(&[(0x7, 0x1003)])]
#[case::adjacent(&[(0x7, 0x1003), (0x100a, 0x1), (0x100b, 0x2345)])]
#[case::holes(&[(0x7, 0x1003), (0x100b, 0x1), (0x5000, 0x2000)])]
#[case::far_apart(&[(0, 0x1001), (1 << 32, 0xfff), (1 << 63, 0x1000)])]
fn bytes_are_where_the_ranges_are(#[case] ranges: &[(u64, usize)]) {
    let memory = map::<()>(ranges);
    assert_eq!(memory.num_regions(), ranges.len());
    for &(start, len) in ranges {
        let end = start + len as u64;
        for addr in [start, end - 1] {
            memory.write_obj(7_u8, GuestAddress(addr)).unwrap();
            assert_eq!(memory.read_obj::<u8>(GuestAddress(addr)).unwrap(), 7);
        }
        let next_is_mapped = ranges.iter().any(|(other, _)| *other == end);
        assert_eq!(memory.read_obj::<u8>(GuestAddress(end)).is_ok(), next_is_mapped);
        // All of it at once, as far as it goes.
        let mut bytes = vec![0; len + 1];
        let count = memory.read(&mut bytes, GuestAddress(start)).unwrap();
        assert_eq!(count, len + usize::from(next_is_mapped));
    }
}

#[test]
fn an_access_ends_at_a_hole() {
    // 8
    let memory = map::<()>(&[(0x7, 0x1003), (0x100b, 0x1000)]);
    let before = GuestAddress(0x1008);
    assert_eq!(memory.write(&[1; 8], before).unwrap(), 2);
    assert_eq!(memory.read_obj::<u8>(GuestAddress(0x100b)).unwrap(), 0);
    let error = memory.read_obj::<u32>(before).unwrap_err();
    let GuestMemoryError::PartialBuffer { expected: 4, completed: 2 } = error else {
        panic!("{error:?}")
    };
    let error = memory.write(&[1; 8], GuestAddress(0x100a)).unwrap_err();
    let GuestMemoryError::InvalidGuestAddress(GuestAddress(0x100a)) = error else {
        panic!("{error:?}")
    };
    assert!(memory.write_whole(&[2; 8], before).is_err());
    assert_eq!(memory.read_obj::<u16>(before).unwrap(), 0x0101);
}

#[test]
fn an_object_may_lie_in_three_regions() {
    let memory = map::<()>(&[(0x7, 0x1003), (0x100a, 0x1), (0x100b, 0x2345)]);
    let addr = GuestAddress(0x1007);
    memory.write_obj(0x1122_3344_5566_7788_u64, addr).unwrap();
    assert_eq!(memory.read_obj::<u64>(addr).unwrap(), 0x1122_3344_5566_7788);
    assert_eq!(memory.read_obj::<u8>(GuestAddress(0x100a)).unwrap(), 0x55);
}

#[test]
fn files_and_anonymous_memory_make_one_map() {
    let file = memfd(3 * FAR);
    let ranges = [
        (GuestAddress(0x7), 0x1003, None),
        (GuestAddress(0x100a), 0x1003, Some(place(&file, FAR))),
        (GuestAddress(0x8000), 0x1000, Some(place(&file, 2 * FAR))),
    ];
    let memory = GuestMemoryMmap::<()>::from_ranges_with_files(&ranges).unwrap();
    memory.write_slice(b"over the border", GuestAddress(0x1004)).unwrap();
    memory.write_slice(b"elsewhere", GuestAddress(0x8ff0)).unwrap();

    assert_eq!(bytes_of(&file, FAR, 9), b"he border");
    assert_eq!(bytes_of(&file, 2 * FAR + 0xff0, 9), b"elsewhere");
    let offsets: Vec<_> = memory
        .iter()
        .map(|region| region.get_mmap().file_offset().map(FileOffset::start))
        .collect();
    assert_eq!(offsets, [None, Some(FAR), Some(2 * FAR)]);
}

fn bytes_of(file: &File, start: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    std::os::unix::fs::FileExt::read_exact_at(file, &mut bytes, start).expect("they are there");
    bytes
}

#[test]
fn two_maps_of_one_file_see_each_others_bytes() {
    let file = memfd(2 * FAR);
    let map = |base| {
        let ranges = [(GuestAddress(base), 0x2_0000, Some(place(&file, 0)))];
        GuestMemoryMmap::<()>::from_ranges_with_files(ranges).unwrap()
    };
    let (vmm, device) = (map(0), map(0x7f00_0000_0003));
    vmm.write_obj(7_u64, GuestAddress(0x1_2345)).unwrap();
    assert_eq!(device.read_obj::<u64>(GuestAddress(0x7f00_0001_2348)).unwrap(), 7);
    device.write_obj(8_u64, GuestAddress(0x7f00_0001_2348)).unwrap();
    assert_eq!(vmm.read_obj::<u64>(GuestAddress(0x1_2345)).unwrap(), 8);
    assert_eq!(bytes_of(&file, 0x1_2345, 8), 8_u64.to_ne_bytes());
}

#[test]
fn private_memory_of_a_file_keeps_its_writes() {
    let file = memfd(FAR);
    let private =
        MmapRegion::<()>::build(Some(place(&file, 0)), 0x1000, libc::PROT_WRITE, libc::MAP_PRIVATE);
    let region = GuestRegionMmap::new(private.unwrap(), GuestAddress(0)).unwrap();
    let memory = GuestMemoryMmap::from_regions(vec![region]).unwrap();
    memory.write_obj(7_u8, GuestAddress(0x123)).unwrap();
    assert_eq!(memory.read_obj::<u8>(GuestAddress(0x123)).unwrap(), 7);
    assert_eq!(bytes_of(&file, 0x123, 1), [0]);
}

// 20
#[rstest]
#[case::inside_a_page(0x1100, 0x10, &[0x1000])]
#[case::over_a_page(0x1ff8, 0x10, &[0x1000, 0x2000])]
#[case::over_the_border(0x2ff8, 0x10, &[0x2000, 0x3000])]
#[case::three_regions(0x2fff, 0x1003, &[0x2000, 0x3000, 0x4000, 0x4001])]
#[case::up_to_the_border(0x2000, 0x1000, &[0x2000])]
#[case::up_to_the_end(0x4ff0, 0x100, &[0x4001])]
#[case::nothing(0x1100, 0, &[])]
fn a_write_over_borders_marks_the_pages_it_wrote(
    #[case] start: u64,
    #[case] len: usize,
    #[case] pages: &[u64],
) {
    // The pages of a region count from its start, wherever that is.
    let memory = map::<AtomicBitmap>(&[(0x1000, 0x2000), (0x3000, 0x1001), (0x4001, 0x1000)]);
    let written = memory.write(&vec![1; len], GuestAddress(start)).unwrap();
    assert_eq!(written, len.min(usize::try_from(0x5001 - start).unwrap()));
    assert_eq!(dirty_pages(&memory), pages);
    assert_eq!(dirty_pages(&memory), pages, "a harvest that is not committed puts back");

    let mut bytes = vec![0; len];
    memory.iter().for_each(|region| region.get_mmap().bitmap().reset());
    memory.read(&mut bytes, GuestAddress(start)).unwrap();
    assert!(dirty_pages(&memory).is_empty(), "reads never mark");
}

#[test]
fn a_map_derived_from_another_shares_its_bitmaps() {
    let memory = map::<AtomicBitmap>(&[(0, 0x2000), (0x2000, 0x2000)]);
    let (smaller, _) = memory.remove_region(GuestAddress(0x2000), 0x2000).unwrap();
    smaller.write_obj(7_u8, GuestAddress(0x1fff)).unwrap();
    assert_eq!(dirty_pages(&memory), [0x1000]);
}

// Display

fn region(at: u64, builder: MmapRegionBuilder) -> GuestRegionMmap {
    let mapping = builder.build().expect("it can be mapped");
    GuestRegionMmap::new(mapping, GuestAddress(at)).expect("it is inside")
}

fn line_of(builder: MmapRegionBuilder) -> String {
    let memory = GuestMemoryMmap::from_regions(vec![region(0, builder)]).expect("one region");
    let text = memory.to_string();
    let (_, backing) = text.rsplit_once("1 MiB  ").expect("the length, and then the backing");
    backing.to_owned()
}

#[rstest]
#[case::anonymous(|builder| builder, "anonymous, private")]
#[case::shared(
    |builder: MmapRegionBuilder| builder.with_mmap_flags(libc::MAP_SHARED | libc::MAP_ANONYMOUS),
    "anonymous, shared"
)]
#[case::read_only(
    |builder: MmapRegionBuilder| builder.with_mmap_prot(libc::PROT_READ),
    "anonymous, private, read-only"
)]
#[case::no_access(
    |builder: MmapRegionBuilder| builder.with_mmap_prot(libc::PROT_NONE),
    "anonymous, private, no access"
)]
#[case::huge_pages(
    |builder: MmapRegionBuilder| builder.with_hugetlbfs(true),
    "anonymous, private, huge pages"
)]
#[case::file(
    |builder: MmapRegionBuilder| builder.with_file_offset(place(&memfd(2 << 20), FAR)),
    "file /memfd:guest (deleted) at 0x10000, shared"
)]
#[case::shared_and_validated(
    |builder: MmapRegionBuilder| {
        builder
            .with_file_offset(place(&memfd(1 << 20), 0))
            .with_mmap_flags(libc::MAP_SHARED_VALIDATE)
    },
    "file /memfd:guest (deleted) at 0x0, shared"
)]
#[case::private_file(
    |builder: MmapRegionBuilder| {
        builder
            .with_file_offset(place(&memfd(1 << 20), 0))
            .with_mmap_flags(libc::MAP_PRIVATE)
            .with_mmap_prot(libc::PROT_READ)
    },
    "file /memfd:guest (deleted) at 0x0, private, read-only"
)]
fn a_line_tells_what_the_memory_is(
    #[case] wish: fn(MmapRegionBuilder) -> MmapRegionBuilder,
    #[case] told: &str,
) {
    assert_eq!(line_of(wish(MmapRegionBuilder::new(1 << 20))), told);
}

#[test]
fn a_files_name_stays_on_its_line() {
    // A peer that sends a descriptor names it as it likes.
    let name = "x\n0x0-0xff 1 B  anonymous\x1b[2J";
    let file = File::from(memfd_create(name, MFdFlags::empty()).unwrap());
    file.set_len(1 << 20).unwrap();
    let line = line_of(MmapRegionBuilder::new(1 << 20).with_file_offset(FileOffset::new(file, 0)));
    assert!(!line.contains(char::is_control), "{line:?}");
    assert!(line.starts_with("file /memfd:x\\n0x0"), "{line}");
}

#[test]
fn a_map_is_a_table() {
    let memory = map::<AtomicBitmap>(&[(0, 0x8_0000), (0x10_0000, 0x1003), (0x10_1003, 0x1000)]);
    memory.write_obj(1_u8, GuestAddress(0x123)).unwrap();
    memory.write_obj(1_u16, GuestAddress(0x10_1002)).unwrap();
    let table = "\
3 regions, 532483 B
  0x0000000000000000-0x000000000007ffff    512 KiB  anonymous, private, 0.8 % dirty
  0x0000000000080000-0x00000000000fffff    512 KiB  hole
  0x0000000000100000-0x0000000000101002     4099 B  anonymous, private, 0.1 % dirty
  0x0000000000101003-0x0000000000102002      4 KiB  anonymous, private, 100.0 % dirty";
    assert_eq!(memory.to_string(), table);
}

#[test]
fn a_bitmap_that_records_nothing_shows_no_share() {
    assert!(!map::<()>(&[(0, 0x1000)]).to_string().contains("dirty"));
}

#[test]
fn a_page_of_the_callers_size_is_what_the_share_counts() {
    let bitmap = AtomicBitmap::new(0x1000, NonZeroUsize::new(0x400).unwrap());
    bitmap.mark_dirty(0x400, 1);
    let mapping = MmapRegionBuilder::new_with_bitmap(0x1000, bitmap).build().unwrap();
    let region = GuestRegionMmap::new(mapping, GuestAddress(0)).unwrap();
    let memory = GuestMemoryMmap::from_regions(vec![region]).unwrap();
    assert!(memory.to_string().ends_with("25.0 % dirty"), "{memory}");
}
