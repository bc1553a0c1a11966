//! What is written through a map is marked, in the bitmap of its region, byte for byte.

mod common;

use std::io::ErrorKind;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

use common::{Log, Sink, Source, Step, marked};
use guest_memory::{
    Bytes, GuestAddress, GuestMemory, GuestMemoryRegion, GuestRegionCollection,
    MemoryRegionAddress, SliceRegion, VolatileMemory, WholeBytes,
};
use guest_volatile::Bitmap;
use rstest::rstest;

type Map = GuestRegionCollection<SliceRegion<'static, Log>>;
type Marks = &'static [(usize, usize)];

/// [0x1000, 0x2000) and [0x2000, 0x5000), and what writes down the writes to each.
fn two() -> (Map, Log, Log) {
    let ((lower, lower_log), (upper, upper_log)) = (marked(0x1000, 0x1000), marked(0x2000, 0x3000));
    let memory = GuestRegionCollection::from_regions(vec![lower, upper]).expect("sorted");
    (memory, lower_log, upper_log)
}

const LOWER: GuestAddress = GuestAddress(0x1010);
const UPPER: GuestAddress = GuestAddress(0x2010);
const BORDER: GuestAddress = GuestAddress(0x1ff8);

// SEMANTICS 20, 21.
#[rstest]
#[case::write(|m: &Map| { m.write(&[1; 5], LOWER).unwrap(); }, &[(0x10, 5)], &[])]
#[case::write_slice(|m: &Map| m.write_slice(&[1; 5], UPPER).unwrap(), &[], &[(0x10, 5)])]
#[case::write_whole(|m: &Map| m.write_whole(&[1; 5], UPPER).unwrap(), &[], &[(0x10, 5)])]
#[case::write_obj(|m: &Map| m.write_obj(1_u64, LOWER).unwrap(), &[(0x10, 8)], &[])]
#[case::write_odd_obj(|m: &Map| m.write_obj([1_u8; 13], LOWER).unwrap(), &[(0x10, 13)], &[])]
#[case::store(|m: &Map| m.store(1_u16, UPPER, Release).unwrap(), &[], &[(0x10, 2)])]
#[case::fetch_add(|m: &Map| { m.fetch_add(1_u32, UPPER, SeqCst).unwrap(); }, &[], &[(0x10, 4)])]
#[case::fetch_or(|m: &Map| { m.fetch_or(1_u8, UPPER, SeqCst).unwrap(); }, &[], &[(0x10, 1)])]
#[case::fetch_and(|m: &Map| { m.fetch_and(1_u64, UPPER, SeqCst).unwrap(); }, &[], &[(0x10, 8)])]
#[case::compare_exchange(|m: &Map| { m.compare_exchange(0_u32, 1, LOWER, SeqCst, SeqCst).unwrap().unwrap(); }, &[(0x10, 4)], &[])]
#[case::failed_exchange(|m: &Map| { m.compare_exchange(9_u32, 1, LOWER, SeqCst, SeqCst).unwrap().unwrap_err(); }, &[], &[])]
#[case::slice(|m: &Map| m.get_slice(UPPER, 8).unwrap().write_obj(1_u16, 6).unwrap(), &[], &[(0x16, 2)])]
#[case::slice_of_slice(|m: &Map| m.get_slice(UPPER, 8).unwrap().offset(5).unwrap().write_obj(1_u16, 1).unwrap(), &[], &[(0x16, 2)])]
#[case::reference(|m: &Map| m.get_slice(UPPER, 8).unwrap().get_ref::<u16>(4).unwrap().store(1), &[], &[(0x14, 2)])]
#[case::slices(|m: &Map| for slice in m.get_slices(BORDER, 16) { slice.unwrap().write_obj(1_u8, 3).unwrap() }, &[(0xffb, 1)], &[(3, 1)])]
#[case::region(|m: &Map| m.find_region(UPPER).unwrap().write_obj(1_u8, MemoryRegionAddress(7)).unwrap(), &[], &[(7, 1)])]
fn a_write_marks_exactly_its_bytes(
    #[case] write: fn(&Map),
    #[case] lower: Marks,
    #[case] upper: Marks,
) {
    let (memory, lower_log, upper_log) = two();
    write(&memory);
    assert_eq!((&lower_log.take()[..], &upper_log.take()[..]), (lower, upper));
}

// SEMANTICS 20.
#[rstest]
#[case::write(|m: &Map| { m.write(&[1; 16], BORDER).unwrap(); })]
#[case::write_slice(|m: &Map| m.write_slice(&[1; 16], BORDER).unwrap())]
#[case::write_whole(|m: &Map| m.write_whole(&[1; 16], BORDER).unwrap())]
#[case::write_obj(|m: &Map| m.write_obj([1_u64; 2], BORDER).unwrap())]
#[case::read_volatile_from(|m: &Map| { m.read_volatile_from(BORDER, &mut &[1; 16][..], 16).unwrap(); })]
#[case::read_exact_volatile_from(|m: &Map| m.read_exact_volatile_from(BORDER, &mut &[1; 16][..], 16).unwrap())]
fn a_write_across_two_regions_marks_both_dirty(#[case] write: fn(&Map)) {
    let (memory, lower, upper) = two();
    write(&memory);
    assert_eq!((lower.take(), upper.take()), (vec![(0xff8, 8)], vec![(0, 8)]));
}

// SEMANTICS 20.
#[test]
fn reads_never_mark() {
    let (memory, lower, upper) = two();
    for addr in [LOWER, UPPER, BORDER] {
        memory.read(&mut [0; 16], addr).unwrap();
        memory.read_slice(&mut [0; 16], addr).unwrap();
        memory.read_obj::<[u64; 2]>(addr).unwrap();
        memory.write_volatile_to(addr, &mut Vec::new(), 16).unwrap();
        memory.write_all_volatile_to(addr, &mut Vec::new(), 16).unwrap();
        memory.load::<u64>(addr, Acquire).unwrap();
        memory.get_slice(addr, 8).unwrap().read_obj::<u64>(0).unwrap();
    }
    assert!(lower.take().is_empty() && upper.take().is_empty());
}

// SEMANTICS 20.
#[test]
fn what_moves_nothing_marks_nothing() {
    let (memory, lower, upper) = two();
    for addr in [LOWER, UPPER, BORDER, GuestAddress(0), GuestAddress(u64::MAX)] {
        memory.write(&[], addr).unwrap();
        memory.write_slice(&[], addr).unwrap();
        memory.write_whole(&[], addr).unwrap();
        memory.write_obj([0_u64; 0], addr).unwrap();
        memory.read_volatile_from(addr, &mut &[1][..], 0).unwrap();
    }
    memory.write(&[1], GuestAddress(0x5000)).unwrap_err();
    memory.write_whole(&[1; 0x10], GuestAddress(0x4ff8)).unwrap_err();
    memory.store(1_u32, GuestAddress(0x1001), Relaxed).unwrap_err();
    memory.store(1_u32, GuestAddress(0x1ffe), Relaxed).unwrap_err();
    memory.store(1_u32, LOWER, Acquire).unwrap_err();
    memory.fetch_add(1_u32, GuestAddress(0x1001), Relaxed).unwrap_err();
    let mut failing = Source::new([Step::Fail(ErrorKind::TimedOut)]);
    memory.read_volatile_from(LOWER, &mut failing, 8).unwrap_err();
    assert_eq!(memory.read_volatile_from(LOWER, &mut Source::default(), 8).unwrap(), 0);
    assert!(lower.take().is_empty() && upper.take().is_empty());
}

// SEMANTICS 8, 20.
#[test]
fn a_partial_write_marks_its_part() {
    let (memory, lower, upper) = two();
    assert_eq!(memory.write(&[1; 16], GuestAddress(0x4ff8)).unwrap(), 8);
    memory.write_obj([1_u8; 9], GuestAddress(0x4ffc)).unwrap_err();
    assert_eq!((lower.take(), upper.take()), (vec![], vec![(0x2ff8, 8), (0x2ffc, 4)]));
}

// SEMANTICS 20: a source that gives 0x10 of 0x3000 bytes at 0xff8.
#[test]
fn a_short_read_marks_what_it_gave() {
    let (region, log) = marked(0, 0x4000);
    let memory = GuestRegionCollection::from_regions(vec![region]).unwrap();
    let mut source = Source::new([Step::Move(0x10)]);
    let done = memory.read_volatile_from(GuestAddress(0xff8), &mut source, 0x3000);
    assert_eq!(done.unwrap(), 0x10);
    assert_eq!(log.take(), [(0xff8, 0x10)]); // a byte of page 0 and a byte of page 1, and no other page
}

#[test]
fn a_stream_marks_each_read() {
    let (memory, lower, upper) = two();
    let mut source = Source::new([5, 3, 7, 1].map(Step::Move));
    memory.read_exact_volatile_from(BORDER, &mut source, 16).unwrap();
    assert_eq!((lower.take(), upper.take()), (vec![(0xff8, 5), (0xffd, 3)], vec![(0, 7), (7, 1)]));
    let mut sink = Sink::new([5, 3, 7, 1].map(Step::Move));
    memory.write_all_volatile_to(BORDER, &mut sink, 16).unwrap();
    assert!(lower.take().is_empty() && upper.take().is_empty());
}

#[test]
fn the_bitmap_of_a_region_is_seen_through_the_map() {
    let (memory, ..) = two();
    memory.write_obj(1_u32, UPPER).unwrap();
    let region = memory.find_region(UPPER).unwrap();
    assert!(region.bitmap().dirty_at(0x10) && region.bitmap().dirty_at(0x13));
    assert!(!region.bitmap().dirty_at(0xf) && !region.bitmap().dirty_at(0x14));
    assert!(memory.get_slice(UPPER, 4).unwrap().bitmap().dirty_at(3));
    assert!(!memory.get_slice(UPPER, 5).unwrap().bitmap().dirty_at(4));
}

// The bitmap goes with the region, from map to map.
#[test]
fn a_changed_map_marks_in_the_same_bitmaps() {
    let (memory, lower, upper) = two();
    let (smaller, _) = memory.remove_region(GuestAddress(0x1000), 0x1000).unwrap();
    smaller.write_obj(1_u8, UPPER).unwrap();
    memory.clone().write_obj(1_u8, LOWER).unwrap();
    assert_eq!((lower.take(), upper.take()), (vec![(0x10, 1)], vec![(0x10, 1)]));
}
