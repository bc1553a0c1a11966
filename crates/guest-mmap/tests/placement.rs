//! Pages that are asked for are there, and what came of asking is told.

use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;

use guest_address::{GuestAddress, GuestRange};
use guest_memory::{Bytes as _, FileOffset, GuestMemory as _, VolatileMemory as _};
use guest_mmap::{
    GuestMemoryMmap, GuestRegionMmap, GuestSpan, MmapRegion, MmapRegionBuilder, Placement, Wish,
};
use libc::{MAP_ANONYMOUS, MAP_PRIVATE, MAP_SHARED, PROT_NONE, PROT_READ};
use nix::sys::memfd::{MFdFlags, memfd_create};
use rstest::rstest;

const SIZE: usize = 8 << 20;
const AT: GuestAddress = GuestAddress(4 << 20);

/// A file in memory whose first and last byte are 7.
fn file() -> FileOffset {
    let file = File::from(memfd_create("placed", MFdFlags::MFD_CLOEXEC).expect("there are memfds"));
    file.set_len(SIZE as u64).expect("there is room");
    file.write_all_at(&[7], 0).expect("there is room");
    file.write_all_at(&[7], SIZE as u64 - 1).expect("there is room");
    FileOffset::new(file, 0)
}

/// A field of what the system tells of the mappings that a region is in, in KiB or as words.
fn told(region: &MmapRegion, name: &str) -> String {
    let smaps = fs::read_to_string("/proc/self/smaps").expect("there is procfs");
    let start = region.as_ptr().addr();
    let mut is_inside = false;
    for line in smaps.lines() {
        let range = line.split(' ').next().and_then(|range| range.split_once('-'));
        let range = range.and_then(|(from, to)| {
            Some((usize::from_str_radix(from, 16).ok()?, usize::from_str_radix(to, 16).ok()?))
        });
        if let Some((from, to)) = range {
            is_inside = from <= start && start < to;
        } else if let (true, Some(value)) = (is_inside, line.strip_prefix(name)) {
            return value.trim_start_matches(':').trim().to_owned();
        }
    }
    panic!("the system tells no {name}")
}

/// How many bytes of the mapping that a region is in are there.
fn resident(region: &MmapRegion, name: &str) -> usize {
    let told = told(region, name);
    told.trim_end_matches("kB").trim().parse::<usize>().expect("it is a number") << 10
}

#[derive(Clone, Copy, Debug)]
enum Of {
    PrivateAnonymous,
    SharedAnonymous,
    SharedFile,
    PrivateFile,
}

fn builder(of: Of) -> MmapRegionBuilder {
    let builder = MmapRegionBuilder::new(SIZE);
    match of {
        Of::PrivateAnonymous => builder,
        Of::SharedAnonymous => builder.with_mmap_flags(MAP_SHARED | MAP_ANONYMOUS),
        Of::SharedFile => builder.with_file_offset(file()).with_mmap_flags(MAP_SHARED),
        Of::PrivateFile => builder.with_file_offset(file()).with_mmap_flags(MAP_PRIVATE),
    }
}

fn span() -> GuestSpan {
    GuestSpan::new(GuestRange::new(GuestAddress(0), 1 << 30).expect("it does not wrap"))
        .expect("there is room")
}

#[rstest]
fn prefaulted_pages_are_there_and_others_are_not(
    #[values(Of::PrivateAnonymous, Of::SharedAnonymous, Of::SharedFile, Of::PrivateFile)] of: Of,
    #[values(true, false)] in_span: bool,
) {
    let span = span();
    let build = |wish: fn(MmapRegionBuilder) -> MmapRegionBuilder| {
        let builder = wish(builder(of));
        let builder = if in_span { builder.with_span(&span, AT) } else { builder };
        builder.build().unwrap()
    };
    let region = build(|builder| builder);
    assert_eq!((resident(&region, "Rss"), region.placement()), (0, Placement::default()));
    drop(region);

    let region = build(MmapRegionBuilder::with_prefault);
    assert_eq!(region.placement().prefault, Wish::Granted);
    assert_eq!(region.placement().transparent_huge_pages, Wish::NotAsked);
    // Where it could be one mapping with a neighbour, there is none.
    assert_eq!(resident(&region, "Rss"), SIZE);
    let byte = if region.file_offset().is_some() { 7 } else { 0 };
    for offset in [0, SIZE - 1] {
        assert_eq!(region.get_ref::<u8>(offset).unwrap().load(), byte);
    }
    let start = region.as_ptr();
    drop(region);
    if in_span {
        let again = builder(Of::PrivateAnonymous).with_span(&span, AT).build().unwrap();
        assert_eq!((again.as_ptr(), resident(&again, "Rss")), (start, 0), "the pages went");
    }
}

#[rstest]
#[case::shared(MAP_SHARED)]
#[case::private(MAP_PRIVATE)]
fn pages_that_are_read_only_are_there(#[case] flags: i32) {
    let builder = MmapRegionBuilder::<()>::new(SIZE).with_mmap_prot(PROT_READ);
    let builder = builder.with_file_offset(file()).with_mmap_flags(flags);
    let region = builder.with_prefault().build().unwrap();
    assert_eq!(region.placement().prefault, Wish::Granted);
    assert_eq!(resident(&region, "Rss"), SIZE);
    assert_eq!(region.get_slice(0, 1).unwrap().read_obj::<u8>(0).unwrap(), 7);
}

#[test]
fn pages_of_a_file_that_may_only_be_read_are_there() {
    let kept = file();
    let path = format!("/proc/self/fd/{}", kept.file().as_raw_fd());
    let builder = MmapRegionBuilder::<()>::new(SIZE).with_mmap_prot(PROT_READ);
    let builder = builder.with_file_offset(FileOffset::new(File::open(path).unwrap(), 0));
    let region = builder.with_prefault().build().unwrap();
    assert_eq!((region.placement().prefault, resident(&region, "Rss")), (Wish::Granted, SIZE));
}

#[test]
fn memory_without_access_has_no_pages_and_tells() {
    let builder = MmapRegionBuilder::<()>::new(SIZE).with_mmap_prot(PROT_NONE);
    let region = builder.with_prefault().build().unwrap();
    assert_eq!((region.placement().prefault, resident(&region, "Rss")), (Wish::NotGranted, 0));
}

#[rstest]
fn transparent_huge_pages_are_used_if_the_system_has_them(#[values(true, false)] in_span: bool) {
    let span = span();
    let builder = builder(Of::PrivateAnonymous).with_transparent_huge_pages().with_prefault();
    let builder = if in_span { builder.with_span(&span, AT) } else { builder };
    let region = builder.build().unwrap();
    if region.placement().transparent_huge_pages == Wish::NotGranted {
        println!("skipped: the system has no transparent huge pages");
        return;
    }
    assert!(told(&region, "VmFlags").split(' ').any(|flag| flag == "hg"));
    assert_eq!(resident(&region, "Rss"), SIZE);
    let enabled = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").unwrap();
    if in_span && !enabled.contains("[never]") {
        // They lie there as they do in the guest, at a multiple of 2 MiB, so a huge page fits everywhere.
        assert!(resident(&region, "AnonHugePages") > 0);
    }
}

#[test]
fn a_wish_holds_for_the_region_and_not_for_its_neighbours() {
    let span = span();
    let placed = builder(Of::PrivateAnonymous).with_transparent_huge_pages().with_prefault();
    let placed = placed.with_span(&span, AT).build().unwrap();
    let plain = builder(Of::PrivateAnonymous).with_span(&span, GuestAddress(AT.0 + SIZE as u64));
    let plain = plain.build().unwrap();
    assert_eq!((plain.placement(), resident(&plain, "Rss")), (Placement::default(), 0));
    assert_eq!(placed.placement().prefault, Wish::Granted);

    // They are one piece all the same.
    let at = |region, addr| GuestRegionMmap::new(region, addr).unwrap();
    let regions = vec![at(placed, AT), at(plain, GuestAddress(AT.0 + SIZE as u64))];
    let memory = GuestMemoryMmap::from_regions(regions).unwrap();
    let border = GuestAddress(AT.0 + SIZE as u64 - 4);
    assert_eq!(memory.get_slice(border, 8).unwrap().len(), 8);
    memory.write_obj(7_u64, border).unwrap();
    assert_eq!(memory.read_obj::<u64>(border).unwrap(), 7);
    let region = memory.find_region(AT).unwrap();
    assert_eq!(region.placement().prefault, Wish::Granted, "a region in a map tells it too");
}
