//! Which mappings have bytes of a file in common (SEMANTICS line 32).

#![expect(unsafe_code, reason = "notes files of memory given by a pointer, with any offset")]

mod common;

use std::fs::OpenOptions;
use std::os::fd::AsRawFd;

use common::{FAR, memfd, place};
use guest_dirty::AtomicBitmap;
use guest_memory::{FileOffset, VolatileMemory};
use guest_mmap::{MmapRegion, MmapRegionBuilder};
use rstest::rstest;

#[rstest]
#[case::the_same(0, 0x1_0000, 0, 0x1_0000, true)]
#[case::one_inside_the_other(0, 0x3_0000, FAR, 0x1000, true)]
#[case::by_a_byte(0, 0x1_0001, FAR, 0x1_0000, true)]
#[case::adjacent(0, 0x1_0000, FAR, 0x1_0000, false)]
#[case::apart(0, 0x1000, 2 * FAR, 0x1000, false)]
fn mappings_of_one_file_overlap_where_they_have_a_byte_in_common(
    #[case] start: u64,
    #[case] size: usize,
    #[case] other_start: u64,
    #[case] other_size: usize,
    #[case] overlap: bool,
) {
    let file = memfd(4 * FAR);
    let here = place(&file, start);
    let one = MmapRegion::<()>::from_file(here.clone(), size).unwrap();
    let of_it = |place| MmapRegion::<AtomicBitmap>::from_file(place, other_size).unwrap();
    // The same descriptor, one made by dup(2), and another file of the same bytes.
    let shared = of_it(FileOffset::from_arc(here.arc().clone(), other_start));
    let dup = of_it(place(&file, other_start));
    let other = of_it(place(&memfd(4 * FAR), other_start));
    assert_eq!((one.fds_overlap(&shared), shared.fds_overlap(&one)), (overlap, overlap));
    assert_eq!((one.fds_overlap(&dup), dup.fds_overlap(&one)), (overlap, overlap));
    assert!(!one.fds_overlap(&other) && !other.fds_overlap(&one));
    let anonymous = MmapRegion::<()>::new(size).unwrap();
    assert!(!one.fds_overlap(&anonymous) && !anonymous.fds_overlap(&one));
}

#[test]
fn a_file_that_was_opened_twice_overlaps_itself() {
    let file = memfd(FAR);
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let again = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let one = MmapRegion::<()>::from_file(place(&file, 0), 0x1000).unwrap();
    let other = MmapRegion::<()>::from_file(place(&again, 0), 0x1000).unwrap();
    assert!(one.fds_overlap(&other));
}

#[test]
fn two_descriptors_of_a_device_are_not_the_same_memory() {
    // Each mapping of /dev/zero is memory of its own; that of many drivers has one inode for all of their files.
    let zero = || OpenOptions::new().read(true).write(true).open("/dev/zero").unwrap();
    let one = MmapRegion::<()>::from_file(FileOffset::new(zero(), 0), 0x1000).unwrap();
    let other = MmapRegion::<()>::from_file(FileOffset::new(zero(), 0), 0x1000).unwrap();
    assert!(!one.fds_overlap(&other));
}

#[rstest]
#[case::the_last_offset_there_is(i64::MAX.unsigned_abs() - 0x1_ffff, true)]
#[case::past_it(u64::MAX - 0xffff, false)]
fn offsets_at_the_end_do_not_overflow(#[case] start: u64, #[case] can_be_mapped: bool) {
    let memory = MmapRegion::<()>::new(0x3_0000).unwrap();
    let file = memfd(i64::MAX.unsigned_abs());
    // A file that is only noted has any offset.
    let noted = |start, size| {
        let builder = MmapRegionBuilder::<()>::new(size).with_file_offset(place(&file, start));
        // SAFETY: the memory lives longer, and there is no reference to its bytes.
        unsafe { builder.with_raw_mmap_pointer(memory.as_ptr()) }.build().unwrap()
    };
    let one = noted(start, 0x3_0000);
    assert!(one.fds_overlap(&noted(start, 0x1000)));
    assert!(!one.fds_overlap(&noted(start - 0x1000, 0x1000)));
    assert!(!one.fds_overlap(&noted(0, 0x1000)));

    let mapped = MmapRegion::<()>::from_file(place(&file, start), 0x1_0000);
    assert_eq!(mapped.is_ok(), can_be_mapped, "{mapped:?}");
    if let Ok(mapped) = mapped {
        assert!(mapped.fds_overlap(&one));
        mapped.get_ref::<u8>(0xffff).unwrap().store(7);
    }
}
