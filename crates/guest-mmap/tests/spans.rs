//! Memory in a span lies here as it lies in the guest, comes and goes there, and nowhere else.

mod common;

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex};

use common::{access_at, memfd, place};
use guest_address::{GuestAddress, GuestRange};
use guest_atomic::GuestMemoryAtomic;
use guest_dirty::{ArcSlice, AtomicBitmap, DEFAULT_PAGE_SIZE, RefSlice};
use guest_memory::{
    Bytes, GuestAddressSpace, GuestMemory, GuestMemoryError, GuestMemoryRegion,
    MemoryRegionAddress, Permissions, WholeBytes, WindowMemory,
};
use guest_mmap::{
    FromRangesError, GuestMemoryMmap, GuestRegionMmap, GuestSpan, MmapRegionBuilder,
    MmapRegionError, leaked_bytes,
};
use guest_volatile::{Bitmap, NewBitmap, WithBitmapSlice};
use rstest::rstest;

const PAGE: usize = 0x1000;
const MIB: usize = 1 << 20;

fn span(start: u64, len: u64) -> GuestSpan {
    let range = GuestRange::new(GuestAddress(start), len).expect("it does not wrap");
    GuestSpan::new(range).expect("there are addresses enough")
}

fn region(span: &GuestSpan, at: u64, size: usize) -> GuestRegionMmap {
    span.map_region(GuestAddress(at), size, None).expect("it is free")
}

fn refusal<B>(result: Result<GuestRegionMmap<B>, FromRangesError>) -> MmapRegionError {
    match result.map(drop).expect_err("it is refused") {
        FromRangesError::MmapRegion(error) => error,
        error => panic!("{error:?}"),
    }
}

fn map<B: NewBitmap>(ranges: &[(u64, usize)]) -> GuestMemoryMmap<B> {
    let ranges: Vec<_> = ranges.iter().map(|&(addr, size)| (GuestAddress(addr), size)).collect();
    GuestMemoryMmap::from_ranges(&ranges).expect("the ranges make a map")
}

fn is_in_span<B: Bitmap>(region: &GuestRegionMmap<B>) -> bool {
    GuestMemoryRegion::stretch(region).is_some()
}

// What it is for

#[test]
fn a_buffer_from_boot_memory_into_plugged_memory_is_one_slice() {
    let span = span(0, 1 << 40);
    let boot = GuestMemoryMmap::from_regions(vec![region(&span, 0, 64 * MIB)]).unwrap();
    let border = GuestAddress(64 * MIB as u64 - 0x800);
    assert!(boot.get_slice(border, 0x1000).is_err());

    let plugged = boot.insert_region(Arc::new(region(&span, 64 * MIB as u64, 64 * MIB))).unwrap();
    let buffer = plugged.get_slice(border, 0x1000).unwrap();
    buffer.write_slice(&[7; 0x1000], 0).unwrap();
    for region in plugged.iter() {
        let mut bytes = [0; 0x800];
        let inside = border.0.saturating_sub(region.start_addr().0);
        region.read_slice(&mut bytes, MemoryRegionAddress(inside)).unwrap();
        assert_eq!(bytes, [7; 0x800]);
    }
    assert_eq!(plugged.get_slices(GuestAddress(0), 128 * MIB).count(), 1);
    assert!(plugged.check_range(GuestAddress(0), 128 * MIB));
    assert!(!plugged.check_range(GuestAddress(0), 128 * MIB + 1));
    assert!(boot.get_slice(border, 0x1000).is_err(), "the old map has no more than it had");
}

#[test]
fn a_stream_over_the_border_is_one_system_call() {
    // A datagram is one `read(2)` or cut off.
    let (sender, receiver) = UnixDatagram::pair().unwrap();
    let mut receiver = File::from(OwnedFd::from(receiver));
    let memory = map::<()>(&[(0, PAGE), (0x1000, PAGE)]);
    let bytes: Vec<u8> = (1..=0x200_u32).map(|at| (at % 251) as u8).collect();
    sender.send(&bytes).unwrap();
    memory.read_exact_volatile_from(GuestAddress(0xf00), &mut receiver, 0x200).unwrap();
    let mut read = vec![0; 0x200];
    memory.read_slice(&mut read, GuestAddress(0xf00)).unwrap();
    assert_eq!(read, bytes);

    memory.write_all_volatile_to(GuestAddress(0xf00), &mut receiver, 0x200).unwrap();
    assert_eq!(sender.recv(&mut vec![0; 0x400]).unwrap(), 0x200);
}

#[test]
fn a_guest_address_is_aligned_here_as_it_is_in_the_guest() {
    for (start, len, align) in [
        (0_u64, 1_u64 << 40, 1_usize << 30),
        (0xc_5000, 64 << 20, 2 << 20),
        (0x7000, 0x3000, 0x1000),
    ] {
        let span = span(start, len);
        for at in [start, start + len - 0x1000] {
            let region = region(&span, at, PAGE);
            let at = usize::try_from(at).unwrap();
            assert_eq!(region.as_ptr().addr() % align, at % align, "{start:#x} {len:#x}");
        }
    }
}

// By default

#[test]
fn neighbours_of_from_ranges_are_one_piece() {
    let file = memfd(2 * PAGE as u64);
    let memory = GuestMemoryMmap::<()>::from_ranges_with_files([
        (GuestAddress(0), PAGE, None),
        (GuestAddress(0x1000), 2 * PAGE, Some(place(&file, 0))),
        (GuestAddress(0x3000), 0x123, None),
        // Behind a hole, alone.
        (GuestAddress(0x8000), PAGE, None),
    ])
    .unwrap();
    assert_eq!(memory.get_slice(GuestAddress(0), 0x3123).unwrap().len(), 0x3123);
    let in_span: Vec<_> = memory.iter().map(is_in_span).collect();
    assert_eq!(in_span, [true, true, true, false]);

    memory.write_slice(&[9; 0x3123], GuestAddress(0)).unwrap();
    let mut of_file = vec![0; 2 * PAGE];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut of_file, 0).unwrap();
    assert_eq!(of_file, [9; 2 * PAGE]);
}

#[rstest]
#[case::one(&[(0, 0x1000)], 0)]
#[case::holes(&[(0, 0x1000), (0x2000, 0x1000)], 0)]
#[case::odd_border(&[(0, 0x1001), (0x1001, 0x1000)], 0)]
#[case::odd_start(&[(0x800, 0x800), (0x1000, 0x1000)], 0)]
#[case::two_pairs(&[(0, 0x1000), (0x1000, 0x1000), (0x4000, 0x1000), (0x5000, 1)], 4)]
#[case::at_the_top(&[(0xffff_ffff_ffff_e000, 0x1000), (0xffff_ffff_ffff_f000, 0x1000)], 2)]
#[case::below_the_top(&[(0xffff_ffff_ffff_d000, 0x1000), (0xffff_ffff_ffff_e000, 0x1000)], 2)]
fn only_neighbours_are_mapped_in_a_span_by_default(
    #[case] ranges: &[(u64, usize)],
    #[case] count: usize,
) {
    let memory = map::<()>(ranges);
    assert_eq!(memory.iter().filter(|region| is_in_span(region)).count(), count);
    for &(at, size) in ranges {
        memory.write_slice(&vec![7; size], GuestAddress(at)).unwrap();
    }
}

#[test]
fn ranges_that_make_no_map_are_refused_as_ever() {
    for ranges in [&[(0, 0x2000), (0x1000, 0x1000)][..], &[(0, 0x1000), (0, 0x1000)], &[]] {
        let ranges: Vec<_> = ranges.iter().map(|&(at, size)| (GuestAddress(at), size)).collect();
        let error = GuestMemoryMmap::<()>::from_ranges(&ranges).unwrap_err();
        assert!(matches!(error, FromRangesError::Collection(_)), "{error:?}");
    }
    let error =
        GuestMemoryMmap::<()>::from_ranges(&[(GuestAddress(0), 0x1000), (GuestAddress(0x1000), 0)]);
    assert!(matches!(error, Err(FromRangesError::MmapRegion(MmapRegionError::NoBytes))));
}

// What is refused

#[rstest]
#[case::the_same(0x4000, 0x2000)]
#[case::over_its_start(0x3000, 0x1001)]
#[case::its_last_page(0x5000, 1)]
#[case::all_around(0x2000, 0x6000)]
fn what_is_lent_is_not_lent_again(#[case] at: u64, #[case] size: usize) {
    let span = span(0, 0x1_0000);
    let taken = region(&span, 0x4000, 0x1001);
    taken.write_obj(7_u32, MemoryRegionAddress(0xffd)).unwrap();
    for file in [None, Some(place(&memfd(0x1_0000), 0))] {
        let error = refusal(span.map_region::<()>(GuestAddress(at), size, file));
        assert!(matches!(error, MmapRegionError::SpanInUse { .. }), "{error:?}");
        assert_eq!(taken.read_obj::<u32>(MemoryRegionAddress(0xffd)).unwrap(), 7);
    }
    drop(taken);
    region(&span, at, size);
}

#[rstest]
#[case::below(0x0, 0x1000)]
#[case::across_the_start(0xf000, 0x2000)]
#[case::across_the_end(0x1_f000, 0x1001)]
#[case::above(0x2_0000, 0x1000)]
#[case::far_above(0xffff_ffff_ffff_f000, 0x1000)]
fn what_is_not_inside_is_refused(#[case] at: u64, #[case] size: usize) {
    let span = span(0x1_0000, 0x1_0000);
    let error = refusal(span.map_region::<()>(GuestAddress(at), size, None));
    assert!(matches!(error, MmapRegionError::OutsideSpan { .. }), "{error:?}");
}

#[test]
fn a_span_is_of_whole_pages_and_memory_in_it_starts_at_one() {
    // 6 bytes in two pages.
    let span = span(0x1ffd, 6);
    assert_eq!(span.range(), GuestRange::new(GuestAddress(0x1ffd), 6).unwrap());
    let error = refusal(span.map_region::<()>(GuestAddress(0x1ffd), 6, None));
    assert!(
        matches!(
            error,
            MmapRegionError::UnalignedInSpan { addr: GuestAddress(0x1ffd), page_size: PAGE }
        ),
        "{error:?}"
    );
    let (lower, upper) = (region(&span, 0x1000, PAGE), region(&span, 0x2000, PAGE));
    let memory = GuestMemoryMmap::from_regions(vec![lower, upper]).unwrap();
    assert_eq!(memory.get_slice(GuestAddress(0x1000), 0x2000).unwrap().len(), 0x2000);
}

#[test]
fn more_addresses_than_a_process_has_are_refused() {
    let most = GuestRange::from_inclusive(GuestAddress(0), GuestAddress(u64::MAX - 1)).unwrap();
    assert!(matches!(GuestSpan::new(most), Err(MmapRegionError::TooBig { .. })));
    let half = GuestRange::new(GuestAddress(0), 1 << 62).unwrap();
    assert!(matches!(GuestSpan::new(half), Err(MmapRegionError::Mmap(_))));
}

#[test]
fn flags_that_are_refused_elsewhere_are_refused_in_a_span() {
    let span = span(0, 0x1_0000);
    let build = |flags| {
        let builder = MmapRegionBuilder::<()>::new(PAGE).with_mmap_flags(flags);
        builder.with_span(&span, GuestAddress(0)).build()
    };
    let anonymous = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    assert!(matches!(build(anonymous | libc::MAP_FIXED), Err(MmapRegionError::MapFixed)));
    assert!(build(anonymous | libc::MAP_GROWSDOWN).is_err());
    build(anonymous).unwrap();
    // A failure elsewhere leaves the place as it was.
    let file = place(&memfd(0x1000), 0);
    let error = refusal(span.map_region::<()>(GuestAddress(0), 0x2000, Some(file)));
    assert!(matches!(error, MmapRegionError::MappingPastEof));
    region(&span, 0, 0x2000);
}

#[test]
fn a_file_that_cannot_be_mapped_leaves_the_place_free() {
    let span = span(0, 0x1_0000);
    let socket = UnixDatagram::pair().unwrap().0;
    let file = guest_memory::FileOffset::new(File::from(OwnedFd::from(socket)), 0);
    let error = refusal(span.map_region::<()>(GuestAddress(0), PAGE, Some(file)));
    assert!(matches!(error, MmapRegionError::Mmap(_)), "{error:?}");
    let (lower, upper) = (region(&span, 0, PAGE), region(&span, 0x1000, PAGE));
    let memory = GuestMemoryMmap::from_regions(vec![lower, upper]).unwrap();
    assert!(memory.get_slice(GuestAddress(0), 0x2000).is_ok());
}

// Protections and flags

#[test]
fn memory_that_may_only_be_read_is_not_joined_with_other() {
    let span = span(0, 0x1_0000);
    let rom = |at| {
        let builder = MmapRegionBuilder::new(PAGE).with_mmap_prot(libc::PROT_READ);
        let region = builder.with_span(&span, GuestAddress(at)).build().unwrap();
        GuestRegionMmap::new(region, GuestAddress(at)).unwrap()
    };
    let regions =
        vec![region(&span, 0, PAGE), rom(0x1000), rom(0x2000), region(&span, 0x3000, PAGE)];
    let memory = GuestMemoryMmap::<()>::from_regions(regions).unwrap();
    let lengths: Vec<_> =
        memory.get_slices(GuestAddress(0), 0x4000).map(|slice| slice.unwrap().len()).collect();
    assert_eq!(lengths, [0x1000, 0x2000, 0x1000]);
    assert!(memory.write_slice(&[1; 8], GuestAddress(0x1ffc)).is_err());
    assert!(memory.write_whole(&[1; 8], GuestAddress(0xffc)).is_err());
    let error = memory.get_slice(GuestAddress(0xffc), 8).unwrap_err();
    assert!(matches!(error, GuestMemoryError::InvalidBackendAddress));
    assert_eq!(
        access_at(memory.get_host_address(GuestAddress(0x1000)).unwrap().addr()).unwrap(),
        "r--p"
    );
}

#[rstest]
#[case::shared(libc::MAP_SHARED, "rw-s")]
#[case::reserved(libc::MAP_PRIVATE, "rw-p")]
#[case::populated(libc::MAP_PRIVATE | libc::MAP_POPULATE, "rw-p")]
fn memory_with_flags_of_its_own_lies_in_the_span(#[case] flags: i32, #[case] access: &str) {
    let span = span(0x10_0000, 0x1_0000);
    let with = |flags| {
        let builder =
            MmapRegionBuilder::<()>::new(0x3000).with_mmap_flags(flags | libc::MAP_ANONYMOUS);
        builder.with_span(&span, GuestAddress(0x10_2000)).build().unwrap()
    };
    let lower = region(&span, 0x10_0000, 0x2000);
    let own = with(flags);
    assert_eq!(own.as_ptr(), lower.as_ptr().wrapping_add(0x2000));
    assert_eq!(access_at(own.as_ptr().addr()).unwrap(), access);
    assert_eq!((own.flags(), own.owned()), (flags | libc::MAP_ANONYMOUS, true));
    let at = own.as_ptr().addr();
    drop(own);
    assert_eq!(access_at(at).unwrap(), "---p");
    with(flags).unmap().unwrap();
    assert_eq!(access_at(at).unwrap(), "---p");
    assert_eq!(access_at(lower.as_ptr().addr()).unwrap(), "rw-p");
}

// When memory goes

#[test]
fn unplugged_memory_is_without_access_and_comes_back_fresh() {
    let span = span(0, 1 << 30);
    let boot = region(&span, 0, 2 * MIB);
    let mut memory = GuestMemoryMmap::from_regions(vec![boot]).unwrap();
    let border = GuestAddress(2 * MIB as u64);
    memory = memory.insert_region(Arc::new(region(&span, border.0, MIB))).unwrap();
    memory.write_slice(&[7; 8], GuestAddress(border.0 - 4)).unwrap();
    let host = memory.get_host_address(border).unwrap().addr();
    assert_eq!(access_at(host).unwrap(), "rw-p");

    let unplugged;
    (memory, unplugged) = memory.remove_region(border, MIB as u64).unwrap();
    assert_eq!(access_at(host).unwrap(), "rw-p", "somebody has it");
    drop(unplugged);
    assert_eq!(access_at(host).unwrap(), "---p");
    assert_eq!(access_at(host - 1).unwrap(), "rw-p");
    assert_eq!(memory.read(&mut [0; 8], GuestAddress(border.0 - 4)).unwrap(), 4);
    assert!(memory.get_slice(GuestAddress(border.0 - 4), 8).is_err());

    let again = memory.insert_region(Arc::new(region(&span, border.0, MIB))).unwrap();
    let mut bytes = [1; 8];
    again.read_slice(&mut bytes, GuestAddress(border.0 - 4)).unwrap();
    assert_eq!(bytes, [7, 7, 7, 7, 0, 0, 0, 0]);
    assert_eq!(again.get_host_address(border).unwrap().addr(), host);
}

#[test]
fn a_span_goes_with_the_last_of_its_regions() {
    let span = span(0, 0x1_0000);
    let (lower, upper) = (region(&span, 0, PAGE), region(&span, 0x1000, PAGE));
    let host = lower.as_ptr().addr();
    drop((span, lower));
    assert_eq!(access_at(host).unwrap(), "---p");
    assert_eq!(access_at(host + PAGE).unwrap(), "rw-p");
    upper.write_obj(7_u8, MemoryRegionAddress(0)).unwrap();
    drop(upper);
    let left = access_at(host + 2 * PAGE);
    assert!(left.is_none(), "{left:?}");
    assert_eq!(leaked_bytes(), 0);
}

#[test]
fn memory_is_plugged_and_unplugged_a_thousand_times() {
    let span = span(0, 1 << 30);
    let file = memfd(MIB as u64);
    let count = || std::fs::read_to_string("/proc/self/maps").unwrap().lines().count();
    let base = region(&span, 0, MIB);
    let host = base.as_ptr().addr();
    let mut memory = GuestMemoryMmap::from_regions(vec![base]).unwrap();
    let before = count();
    for round in 0..1000_usize {
        let file = (round % 3 == 0).then(|| place(&file, 0));
        let plugged = span.map_region(GuestAddress(MIB as u64), MIB, file).unwrap();
        memory = memory.insert_region(Arc::new(plugged)).unwrap();
        let slice = memory.get_slice(GuestAddress(MIB as u64 - 8), 16).unwrap();
        slice.write_obj(round as u64, 8).unwrap();
        assert_eq!(memory.read_obj::<u64>(GuestAddress(MIB as u64)).unwrap(), round as u64);
        memory = memory.remove_region(GuestAddress(MIB as u64), MIB as u64).unwrap().0;
    }
    assert_eq!(access_at(host + MIB).unwrap(), "---p");
    // Others map too, meanwhile, but not a thousand times.
    assert!(count() < before + 100, "{before} {}", count());
    assert_eq!(leaked_bytes(), 0);
}

// Running devices

#[test]
fn readers_of_the_old_map_go_on_while_memory_is_unplugged() {
    const TOP: GuestAddress = GuestAddress(MIB as u64);
    let span = span(0, 1 << 30);
    let boot = GuestMemoryMmap::from_regions(vec![region(&span, 0, MIB)]).unwrap();
    let shared = GuestMemoryAtomic::new(boot);
    let stop = AtomicBool::new(false);
    let (seen_joined, seen_alone) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let memory = shared.memory();
                    match memory.get_slice(GuestAddress(TOP.0 - 8), 16) {
                        // The map that it is from is held: it is there, whatever becomes of the region elsewhere.
                        Ok(slice) => {
                            seen_joined.store(true, Ordering::Relaxed);
                            std::thread::yield_now();
                            slice.write_obj([1_u64, 2], 0).unwrap();
                            assert_eq!(slice.read_obj::<[u64; 2]>(0).unwrap(), [1, 2]);
                        }
                        Err(_) => seen_alone.store(true, Ordering::Relaxed),
                    }
                }
            });
        }
        let seen_both =
            || seen_joined.load(Ordering::Relaxed) && seen_alone.load(Ordering::Relaxed);
        let (mut plugged, mut waited) = (0, 0);
        while plugged < 200 || !seen_both() {
            match span.map_region(TOP, MIB, None) {
                Ok(region) => {
                    let lock = shared.lock().unwrap();
                    let larger = lock.insert_region(Arc::new(region)).unwrap();
                    drop(lock.replace(larger));
                    std::thread::yield_now();
                    let lock = shared.lock().unwrap();
                    let smaller = lock.remove_region(TOP, MIB as u64).unwrap().0;
                    drop(lock.replace(smaller));
                    plugged += 1;
                }
                // An old map still has it.
                Err(FromRangesError::MmapRegion(MmapRegionError::SpanInUse { .. })) => {
                    waited += 1;
                    std::thread::yield_now();
                }
                Err(error) => panic!("{error:?} after {plugged} and {waited}"),
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    region(&span, TOP.0, MIB);
}

#[test]
fn threads_map_in_one_span_and_elsewhere() {
    const THREADS: u64 = 4;
    let span = span(0, THREADS * 0x1_0000);
    let (start, file) = (Barrier::new(THREADS as usize), memfd(0x1_0000));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (span, start, file) = (&span, &start, &file);
            scope.spawn(move || {
                start.wait();
                for round in 0..200_u64 {
                    // Its own place, and one that all of them want.
                    let own = span.map_region::<()>(
                        GuestAddress(thread * 0x1_0000),
                        0x8000,
                        (round % 2 == 0).then(|| place(file, 0)),
                    );
                    let own = own.unwrap();
                    let wanted = span.map_region::<()>(GuestAddress(0x8000), 0x8000, None);
                    let elsewhere = guest_mmap::MmapRegion::<()>::new(0x8000).unwrap();
                    let at = MemoryRegionAddress(8 * thread);
                    own.write_obj(round, at).unwrap();
                    if let Ok(wanted) = wanted {
                        let at = MemoryRegionAddress(0);
                        assert_eq!(wanted.read_obj::<u64>(at).unwrap(), 0, "it is fresh");
                        wanted.write_obj(!0_u64, at).unwrap();
                    }
                    assert_eq!(own.read_obj::<u64>(at).unwrap(), round);
                    drop((own, elsewhere));
                }
            });
        }
    });
    region(&span, 0, usize::try_from(THREADS).unwrap() * 0x1_0000);
    assert_eq!(leaked_bytes(), 0);
}

// Dirty tracking

#[test]
fn regions_with_views_of_one_bitmap_are_one_slice() {
    let bitmap = Arc::new(AtomicBitmap::new(0x4000, DEFAULT_PAGE_SIZE));
    let span = span(0, 0x1_0000);
    let region = |at: usize, size, offset| {
        let view = ArcSlice::new(bitmap.clone(), offset);
        let builder = MmapRegionBuilder::new_with_bitmap(size, view);
        let region = builder.with_span(&span, GuestAddress(at as u64)).build().unwrap();
        Arc::new(GuestRegionMmap::new(region, GuestAddress(at as u64)).unwrap())
    };
    let mut memory = GuestMemoryMmap::new();
    memory = memory.insert_region(region(0, 0x1000, 0)).unwrap();
    memory = memory.insert_region(region(0x1000, 0x3000, 0x1000)).unwrap();
    let pages = || {
        let harvest = bitmap.take().unwrap();
        let pages: Vec<_> = harvest.pages().collect();
        harvest.commit();
        pages
    };

    let slice = memory.get_slice(GuestAddress(0xff8), 0x2010).unwrap();
    slice.write_obj(7_u8, 0).unwrap();
    assert_eq!(pages(), [0]);
    slice.write_obj(7_u8, 8).unwrap();
    assert_eq!(pages(), [1]);
    slice.subslice(0x2000, 0x10).unwrap().write_slice(&[1; 0x10], 0).unwrap();
    assert_eq!(pages(), [2, 3]);
    memory.write_slice(&[1; 16], GuestAddress(0xff8)).unwrap();
    assert_eq!(pages(), [0, 1]);
    let window = memory.window(GuestAddress(0xff8), 0x2010, Permissions::ReadWrite).unwrap();
    window.write_obj([1_u8; 16], 0).unwrap();
    assert_eq!(pages(), [0, 1]);
    window.part(0x2000, 0x10).unwrap().store(1_u64, 8, Ordering::Relaxed).unwrap();
    assert_eq!(pages(), [3]);
    drop(window);
    // Small ones, each in one region.
    for (at, page) in [(0xff0, 0), (0x1000, 1), (0x2ff8, 2), (0x3ff8, 3)] {
        memory.write_obj(1_u64, GuestAddress(at)).unwrap();
        assert_eq!(pages(), [page], "{at:#x}");
    }

    // One that counts from elsewhere stays apart, and its marks are right too.
    memory = memory.remove_region(GuestAddress(0x1000), 0x3000).unwrap().0;
    memory = memory.insert_region(region(0x1000, 0x1000, 0x3000)).unwrap();
    assert!(memory.get_slice(GuestAddress(0xff8), 0x10).is_err());
    memory.write_slice(&[1; 16], GuestAddress(0xff8)).unwrap();
    assert_eq!(pages(), [0, 3]);
}

/// Writes down each mark.
#[derive(Default)]
struct Marks(Mutex<Vec<(usize, usize)>>);

impl<'a> WithBitmapSlice<'a> for Marks {
    type S = RefSlice<'a, Self>;
}

impl Bitmap for Marks {
    fn mark_dirty(&self, offset: usize, len: usize) {
        self.0.lock().expect("nobody panics with it").push((offset, len));
    }

    fn dirty_at(&self, offset: usize) -> bool {
        let marks = self.0.lock().expect("nobody panics with it");
        marks.iter().any(|&(start, len)| (start..start + len).contains(&offset))
    }

    fn slice_at(&self, offset: usize) -> RefSlice<'_, Self> {
        RefSlice::new(self, offset)
    }
}

#[rstest]
#[case::over_a_border(0x1ff8, 16, &[(0x1ff8, 16)])]
#[case::over_two(0xff8, 0x1010, &[(0xff8, 0x1010)])]
#[case::into_a_hole(0x2ff8, 16, &[(0x2ff8, 8)])]
#[case::over_a_border_into_a_hole(0x1ff8, 0x1010, &[(0x1ff8, 0x1008)])]
fn each_byte_is_written_and_marked_once(
    #[case] at: u64,
    #[case] len: usize,
    #[case] marked: &[(usize, usize)],
) {
    let (marks, span) = (Arc::new(Marks::default()), span(0, 0x1_0000));
    let region = |at: usize| {
        let builder = MmapRegionBuilder::new_with_bitmap(PAGE, ArcSlice::new(marks.clone(), at));
        let region = builder.with_span(&span, GuestAddress(at as u64)).build().unwrap();
        GuestRegionMmap::new(region, GuestAddress(at as u64)).unwrap()
    };
    let memory =
        GuestMemoryMmap::from_regions((0..3).map(|page| region(page * PAGE)).collect()).unwrap();
    memory.write(&vec![1; len], GuestAddress(at)).unwrap();
    assert_eq!(std::mem::take(&mut *marks.0.lock().unwrap()), marked);
    let whole = memory.write_slice(&vec![1; len], GuestAddress(at));
    assert_eq!(whole.is_ok(), marked == [(usize::try_from(at).unwrap(), len)]);
    assert_eq!(*marks.0.lock().unwrap(), marked);
}

#[test]
fn regions_with_bitmaps_of_their_own_stay_apart() {
    let memory = map::<AtomicBitmap>(&[(0, PAGE), (0x1000, PAGE)]);
    assert!(memory.iter().all(is_in_span));
    assert!(memory.get_slice(GuestAddress(0xff8), 0x10).is_err());
    memory.write_slice(&[1; 16], GuestAddress(0xff8)).unwrap();
    let dirty: Vec<_> = memory.iter().map(|region| region.bitmap().dirty_bytes(0, PAGE)).collect();
    assert_eq!(dirty, [Some(PAGE), Some(PAGE)]);
}

#[test]
fn a_span_shows_no_host_address() {
    let span = span(0x1000, 0x3000);
    let region = region(&span, 0x1000, PAGE);
    let text = format!("{span:?} {region:?}");
    let host = format!("{:x}", region.as_ptr().addr());
    assert!(!text.contains(&host) && text.contains("GuestSpan"), "{text}");
}
