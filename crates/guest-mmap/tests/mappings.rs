//! What can be mapped, what is refused, and when it is unmapped (SEMANTICS lines 3, 30, 31, 32).

#![expect(unsafe_code, reason = "makes regions of pointers, and closes nothing behind their back")]

mod common;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::ptr;

use common::{FAR, memfd, place};
use guest_address::GuestAddress;
use guest_dirty::AtomicBitmap;
use guest_memory::{FileOffset, VolatileMemory};
use guest_mmap::{
    FromRangesError, GuestMemoryMmap, GuestRegionMmap, MmapRegion, MmapRegionBuilder,
    MmapRegionError, Wish, leaked_bytes,
};
use libc::{
    MAP_ANONYMOUS, MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_GROWSDOWN, MAP_NORESERVE, MAP_PRIVATE,
    MAP_SHARED, PROT_READ, PROT_WRITE,
};
use nix::sys::memfd::{MFdFlags, memfd_create};
use rstest::rstest;

const RW: i32 = PROT_READ | PROT_WRITE;

fn is_past_eof(error: &MmapRegionError) -> bool {
    matches!(error, MmapRegionError::MappingPastEof)
}

fn is_offset_length(error: &MmapRegionError) -> bool {
    matches!(error, MmapRegionError::InvalidOffsetLength)
}

/// Whether this process maps a file of that name.
fn maps(name: &str) -> bool {
    // All of the name: other tests, at the same time, have files whose names go on where this ends.
    let end = format!("/memfd:{name} (deleted)");
    let maps = fs::read_to_string("/proc/self/maps").expect("there is procfs");
    maps.lines().any(|line| line.ends_with(&end))
}

/// As `memfd`, with a name that tells it from all others.
fn named(name: &str, len: u64) -> File {
    let file = File::from(memfd_create(name, MFdFlags::empty()).expect("the system has memfds"));
    file.set_len(len).expect("a memfd can have any length");
    file
}

// 30

#[rstest]
#[case::all_of_it(0x3000, 0, 0x3000, true)]
#[case::one_byte_more(0x3000, 0, 0x3001, false)]
#[case::of_an_odd_length(0x1003, 0, 0x1003, true)]
#[case::to_the_end_of_the_last_page(0x1003, 0, 0x2000, false)]
#[case::the_last_page(2 * FAR, FAR, 0x1_0000, true)]
#[case::from_an_offset(2 * FAR, FAR, 0x1_0001, false)]
#[case::wholly_past_the_end(FAR, FAR, 1, false)]
#[case::of_an_empty_file(0, 0, 1, false)]
fn a_mapping_must_not_pass_the_end_of_its_file(
    #[case] len: u64,
    #[case] start: u64,
    #[case] size: usize,
    #[case] fits: bool,
) {
    let file = memfd(len);
    let shared = MmapRegion::<()>::from_file(place(&file, start), size);
    let private = MmapRegion::<()>::build(Some(place(&file, start)), size, RW, MAP_PRIVATE);
    for region in [shared, private] {
        match region {
            Ok(region) => {
                assert!(fits);
                // The last byte is there, and no signal.
                assert_eq!(region.get_ref::<u8>(size - 1).unwrap().load(), 0);
            }
            Err(error) => assert!(!fits && is_past_eof(&error), "{error:?}"),
        }
    }
}

#[test]
fn a_device_without_a_size_is_no_reason_to_refuse() {
    // 30
    let zero = OpenOptions::new().read(true).write(true).open("/dev/zero").unwrap();
    let region = MmapRegion::<()>::from_file(place(&zero, 0), 0x3000).unwrap();
    region.get_ref::<u64>(0x2ff8).unwrap().store(7);
    assert_eq!(region.get_ref::<u64>(0x2ff8).unwrap().load(), 7);
}

#[test]
fn a_descriptor_without_a_size_is_not_refused_for_that() {
    // 30: a socket cannot be mapped at all, which the system says, not we.
    let (socket, _peer) = UnixStream::pair().unwrap();
    let place = FileOffset::new(File::from(OwnedFd::from(socket)), 0);
    let error = MmapRegion::<()>::from_file(place, 0x1000).unwrap_err();
    let MmapRegionError::Mmap(error) = error else { panic!("{error:?}") };
    assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
}

#[test]
fn a_block_device_has_an_end_too() {
    // 30: its size can be asked, though `stat(2)` says 0.
    let disks = fs::read_dir("/sys/block").into_iter().flatten().flatten().filter_map(|entry| {
        let sectors = fs::read_to_string(entry.path().join("size")).ok()?;
        let bytes = sectors.trim().parse::<u64>().ok()?.checked_mul(512)?;
        let disk = File::open(format!("/dev/{}", entry.file_name().to_str()?)).ok()?;
        Some((bytes, disk))
    });
    let map = |disk: &File, start, size| {
        MmapRegion::<()>::build(Some(place(disk, start)), size, PROT_READ, MAP_SHARED)
    };
    let mut tried = false;
    for (bytes, disk) in disks.filter(|(bytes, _)| *bytes > FAR) {
        let start = (bytes - 1) / FAR * FAR;
        let rest = usize::try_from(bytes - start).unwrap();
        let whole = map(&disk, start, rest).unwrap();
        assert!(VolatileMemory::get_slice(&whole, rest - 1, 1).unwrap().read_obj::<u8>(0).is_ok());
        assert!(is_past_eof(&map(&disk, start, rest + 1).unwrap_err()));
        tried = true;
    }
    if !tried {
        println!("skipped: no block device that may be read");
    }
}

#[test]
fn to_ask_for_the_size_moves_no_position() {
    let mut file = memfd(FAR);
    file.seek(SeekFrom::Start(3)).unwrap();
    MmapRegion::<()>::from_file(place(&file, 0), 0x1000).unwrap();
    assert_eq!(file.stream_position().unwrap(), 3);
}

// 31

#[rstest]
#[case::fixed(MAP_FIXED)]
#[case::fixed_noreplace(MAP_FIXED_NOREPLACE)]
#[case::both(MAP_FIXED | MAP_FIXED_NOREPLACE)]
fn an_address_of_its_own_choice_is_refused(
    #[case] fixed: i32,
    #[values(true, false)] of_a_file: bool,
) {
    let file = memfd(0x1000);
    let (file, flags) = match of_a_file {
        true => (Some(place(&file, 0)), MAP_SHARED),
        false => (None, MAP_PRIVATE | MAP_ANONYMOUS),
    };
    let error = MmapRegion::<()>::build(file, 0x1000, RW, flags | fixed).unwrap_err();
    assert!(matches!(error, MmapRegionError::MapFixed), "{error:?}");
}

#[rstest]
#[case::a_stack(None, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN)]
#[case::a_file_that_would_be_ignored(Some(()), MAP_PRIVATE | MAP_ANONYMOUS)]
#[case::a_shared_file_that_would_be_ignored(Some(()), MAP_SHARED | MAP_ANONYMOUS)]
fn flags_that_would_map_something_else_are_refused(
    #[case] of_a_file: Option<()>,
    #[case] flags: i32,
) {
    let file = of_a_file.map(|()| place(&memfd(0x1000), 0));
    let error = MmapRegion::<()>::build(file, 0x1000, RW, flags).unwrap_err();
    assert!(matches!(error, MmapRegionError::RefusedFlags { .. }), "{error:?}");
    assert!(error.to_string().contains(&format!("{flags:#x}")), "{error}");
}

/// Tries to get memory of `size` bytes in every way there is.
fn all_ways(size: usize) -> Vec<Result<(), MmapRegionError>> {
    let file = || place(&memfd(0x1000), 0);
    // SAFETY: it is refused.
    let raw = unsafe { MmapRegion::<()>::build_raw(ptr::null_mut(), size, RW, 0) };
    let of_ranges = |result: Result<GuestMemoryMmap<AtomicBitmap>, _>| match result {
        Err(FromRangesError::MmapRegion(error)) => Err(error),
        Err(error) => panic!("{error:?}"),
        Ok(_) => Ok(()),
    };
    let base = GuestAddress(0);
    vec![
        MmapRegion::<()>::new(size).map(drop),
        MmapRegion::<AtomicBitmap>::new(size).map(drop),
        MmapRegion::<()>::from_file(file(), size).map(drop),
        MmapRegion::<AtomicBitmap>::from_file(file(), size).map(drop),
        MmapRegion::<AtomicBitmap>::build(None, size, RW, MAP_PRIVATE | MAP_ANONYMOUS).map(drop),
        MmapRegionBuilder::<()>::new(size).build().map(drop),
        MmapRegionBuilder::<()>::new(size).with_file_offset(file()).build().map(drop),
        raw.map(drop),
        of_ranges(GuestMemoryMmap::from_ranges(&[(base, size)])),
        of_ranges(GuestMemoryMmap::from_ranges_with_files([(base, size, Some(file()))])),
    ]
}

#[test]
fn no_bytes_are_refused_in_every_way() {
    // 3, 31
    for (way, result) in all_ways(0).into_iter().enumerate() {
        assert!(matches!(result, Err(MmapRegionError::NoBytes)), "way {way}: {result:?}");
    }
}

#[rstest]
#[case::one_more_than_a_pointer_can_go(isize::MAX.unsigned_abs() + 1)]
#[case::all_there_are(usize::MAX)]
fn more_bytes_than_rust_has_are_refused_in_every_way(#[case] size: usize) {
    // 31, and DESIGN invariant 5: the bitmap for so much is not asked for first.
    for (way, result) in all_ways(size).into_iter().enumerate() {
        use MmapRegionError::{InvalidOffsetLength, MappingPastEof, TooBig};
        let expected = matches!(result, Err(TooBig { .. } | InvalidOffsetLength | MappingPastEof));
        assert!(expected, "way {way}: {result:?}");
    }
}

#[test]
fn a_length_that_no_memory_has_is_an_error_before_there_is_a_bitmap() {
    // DESIGN invariant 5: a front-end can send this length. The bitmap alone would be 2^47 bytes, for which the
    // allocator aborts the process.
    let size = isize::MAX.unsigned_abs();
    let error = MmapRegion::<AtomicBitmap>::new(size).unwrap_err();
    assert!(matches!(error, MmapRegionError::Mmap(_)), "{error:?}");
    let file = place(&memfd(0x1000), 0);
    let error = MmapRegion::<AtomicBitmap>::from_file(file.clone(), size).unwrap_err();
    assert!(is_past_eof(&error), "{error:?}");
    let ranges = [(GuestAddress(0), size, Some(file))];
    assert!(GuestMemoryMmap::<AtomicBitmap>::from_ranges_with_files(ranges).is_err());
}

#[rstest]
#[case(1)]
#[case(0x800)]
#[case(FAR - 1)]
#[case(FAR + 1)]
fn an_offset_inside_a_page_is_an_error(#[case] start: u64) {
    // 31
    let error = MmapRegion::<()>::from_file(place(&memfd(3 * FAR), start), 0x1000).unwrap_err();
    let MmapRegionError::UnalignedOffset { start: told, page_size } = error else {
        panic!("{error:?}")
    };
    assert_eq!(told, start);
    assert!(page_size.is_power_of_two());
}

// 32

#[rstest]
#[case::the_sum_is_no_u64(u64::MAX, 0x1000)]
#[case::the_sum_is_2_to_the_64(0x1000_u64.wrapping_neg(), 0x1000)]
#[case::the_sum_is_no_offset(i64::MAX.unsigned_abs() - 0xfff, 0x1000)]
#[case::the_start_is_no_offset(1 << 63, 0x1000)]
#[case::a_length_that_no_memory_has(FAR, isize::MAX.unsigned_abs())]
fn an_offset_and_length_without_a_sum_are_an_error(#[case] start: u64, #[case] size: usize) {
    let error = MmapRegion::<()>::from_file(place(&memfd(FAR), start), size).unwrap_err();
    assert!(is_offset_length(&error), "{error:?}");
}

// 31: when it is unmapped

#[test]
fn the_mapping_outlives_the_callers_descriptor_and_the_files_name() {
    let path = std::env::temp_dir().join(format!("guest-mmap-{}", std::process::id()));
    let mut file = OpenOptions::new().read(true).write(true).create_new(true).open(&path).unwrap();
    file.write_all(&[7; 0x1000]).unwrap();
    let region = MmapRegion::<()>::from_file(place(&file, 0), 0x1000).unwrap();
    fs::remove_file(&path).unwrap();
    drop(file);
    assert_eq!(region.get_ref::<u8>(0xfff).unwrap().load(), 7);
    region.get_ref::<u8>(0xfff).unwrap().store(8);
    assert_eq!(region.get_ref::<u8>(0xfff).unwrap().load(), 8);
}

#[rstest]
#[case::a_page(0x1000)]
#[case::of_an_odd_length(0x1003)]
#[case::less_than_a_page(1)]
fn a_region_is_unmapped_when_it_is_dropped(#[case] size: usize) {
    // None of these names is a part of another, so that the tests may run at once.
    let name = format!("dropped-{size:#x}-bytes");
    let region = MmapRegion::<()>::from_file(place(&named(&name, 0x2000), 0), size).unwrap();
    assert!(region.owned());
    assert!(maps(&name));
    drop(region);
    assert!(!maps(&name));
    assert_eq!(leaked_bytes(), 0);
}

#[test]
fn to_unmap_tells_how_it_went() {
    let name = "unmapped-by-hand";
    let region = MmapRegion::<()>::from_file(place(&named(name, 0x2000), 0), 0x1003).unwrap();
    assert!(maps(name));
    region.unmap().unwrap();
    assert!(!maps(name));
    assert_eq!(leaked_bytes(), 0);
}

#[rstest]
#[case::by_drop(drop::<MmapRegion>)]
#[case::by_hand(|region: MmapRegion| region.unmap().unwrap())]
fn memory_given_by_a_pointer_stays_mapped(#[case] end: fn(MmapRegion)) {
    let owner = MmapRegion::<()>::new(0x2000).unwrap();
    // SAFETY: the owner lives longer, and there is no reference to its bytes.
    let guest = unsafe { MmapRegion::build_raw(owner.as_ptr(), 0x2000, RW, MAP_PRIVATE) }.unwrap();
    assert!(owner.owned() && !guest.owned());
    assert_eq!((guest.as_ptr(), guest.size()), (owner.as_ptr(), 0x2000));
    assert_eq!((guest.prot(), guest.flags()), (RW, MAP_PRIVATE));
    guest.get_ref::<u32>(0x1ffc).unwrap().store(7);
    end(guest);
    assert_eq!(owner.get_ref::<u32>(0x1ffc).unwrap().load(), 7);
}

#[test]
fn a_region_is_unmapped_with_its_last_user() {
    let name = "shared-by-arc";
    let region = MmapRegion::<()>::from_file(place(&named(name, 0x1000), 0), 0x1000).unwrap();
    let region = GuestRegionMmap::new(region, GuestAddress(0x1000)).unwrap();
    let memory = GuestMemoryMmap::from_regions(vec![region]).unwrap();
    let copy = memory.clone();
    drop(memory);
    let (empty, region) = copy.remove_region(GuestAddress(0x1000), 0x1000).unwrap();
    drop((copy, empty));
    let mapping = region.get_mmap();
    drop(region);
    assert!(maps(name));
    drop(mapping);
    assert!(!maps(name));
}

// Pointers

#[test]
fn a_pointer_that_is_no_page_is_refused() {
    let page = MmapRegion::<()>::new(0x2000).unwrap();
    for addr in [ptr::null_mut(), page.as_ptr().wrapping_add(1), page.as_ptr().wrapping_add(0x800)]
    {
        // SAFETY: it is refused.
        let error = unsafe { MmapRegion::<()>::build_raw(addr, 0x1000, RW, 0) }.unwrap_err();
        assert!(matches!(error, MmapRegionError::InvalidPointer), "{error:?}");
    }
}

#[test]
fn the_file_of_memory_given_by_a_pointer_is_only_noted() {
    // As in 0.18: the caller has mapped it, and knows.
    let owner = MmapRegion::<()>::new(0x1000).unwrap();
    let builder = MmapRegionBuilder::<()>::new(0x1000).with_file_offset(place(&memfd(0), 3));
    // SAFETY: the owner lives longer, and there is no reference to its bytes.
    let region = unsafe { builder.with_raw_mmap_pointer(owner.as_ptr()) }.build().unwrap();
    assert_eq!(region.file_offset().unwrap().start(), 3);
}

#[test]
fn memory_given_by_a_pointer_is_shown_as_such() {
    let owner = MmapRegion::<()>::new(0x1000).unwrap();
    // SAFETY: the owner lives longer, and there is no reference to its bytes.
    let guest = unsafe { MmapRegion::<()>::build_raw(owner.as_ptr(), 0x1000, PROT_READ, 0) };
    let region = GuestRegionMmap::new(guest.unwrap(), GuestAddress(0)).unwrap();
    let memory = GuestMemoryMmap::from_regions(vec![region]).unwrap();
    assert!(memory.to_string().ends_with("given by pointer, read-only"), "{memory}");
}

// What a region says of itself

#[test]
fn a_region_tells_how_it_was_mapped() {
    let file = memfd(3 * FAR);
    let region =
        MmapRegion::<()>::build(Some(place(&file, FAR)), 0x1003, PROT_READ, MAP_PRIVATE).unwrap();
    assert_eq!(region.size(), 0x1003);
    assert_eq!(VolatileMemory::len(&region), 0x1003);
    assert_eq!((region.prot(), region.flags()), (PROT_READ, MAP_PRIVATE));
    assert_eq!(region.file_offset().unwrap().start(), FAR);
    assert_eq!(region.is_hugetlbfs(), None);

    let region = MmapRegion::<()>::new(0x1000).unwrap();
    assert_eq!(region.flags(), MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
    assert!(region.file_offset().is_none());
    let region = MmapRegion::<()>::from_file(place(&file, 0), 0x1000).unwrap();
    assert_eq!(region.flags(), MAP_SHARED | MAP_NORESERVE);
}

#[test]
fn what_is_noted_of_huge_pages_is_told() {
    let builder = MmapRegionBuilder::<()>::new(0x1000).with_hugetlbfs(true);
    let mut region = builder.build().unwrap();
    assert_eq!(region.is_hugetlbfs(), Some(true));
    region.set_hugetlbfs(false);
    assert_eq!(region.is_hugetlbfs(), Some(false));
}

#[test]
fn no_text_tells_a_host_address() {
    // 36
    let region = MmapRegion::<()>::new(0x1000).unwrap();
    let addr = format!("{:x}", region.as_ptr() as usize);
    assert!(!format!("{region:?}").contains(&addr));
    let region = GuestRegionMmap::new(region, GuestAddress(0)).unwrap();
    let memory = GuestMemoryMmap::from_regions(vec![region]).unwrap();
    assert!(!format!("{memory:?}").contains(&addr));
    assert!(!format!("{memory}").contains(&addr));
    // SAFETY: it is never built.
    let builder = unsafe {
        MmapRegionBuilder::<()>::new(0x1000).with_raw_mmap_pointer(0x1234_5000 as *mut u8)
    };
    assert!(!format!("{builder:?}").contains("12345"));
}

#[test]
fn errors_keep_their_cause() {
    // 36
    use std::error::Error;
    let error = MmapRegion::<()>::new(isize::MAX.unsigned_abs()).unwrap_err();
    let error = FromRangesError::from(error);
    let mmap = error.source().unwrap();
    let system = mmap.source().unwrap().downcast_ref::<io::Error>().unwrap();
    assert_eq!(system.raw_os_error(), Some(libc::ENOMEM));
    assert!(!mmap.to_string().contains(&system.to_string()));
    fn is_static<E: Error + Send + Sync + 'static>() {}
    is_static::<MmapRegionError>();
    is_static::<FromRangesError>();
}

#[test]
fn pages_of_given_memory_are_there_if_they_are_asked_for() {
    let owner = MmapRegionBuilder::<()>::new(0x4000).build().unwrap();
    let builder = MmapRegionBuilder::<()>::new(0x2000).with_prefault();
    // SAFETY: the owner outlives the region, is writable, and has more bytes.
    let region = unsafe { builder.with_raw_mmap_pointer(owner.as_ptr()) }.build().unwrap();
    assert_eq!((region.owned(), region.placement().prefault), (false, Wish::Granted));
    let is_there = |page: usize| {
        let (mut there, addr) = (0, owner.as_ptr().wrapping_add(page * 0x1000));
        // SAFETY: the page is of the owner's mapping, and the answer has room for one.
        let told = unsafe { libc::mincore(addr.cast(), 1, &raw mut there) };
        assert_eq!(told, 0);
        there & 1 == 1
    };
    assert_eq!([0, 1, 2, 3].map(is_there), [true, true, false, false]);
}
