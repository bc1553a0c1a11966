//! A harvest is a transaction: its bits are dropped by `commit`, and put back by everything else.

#![expect(clippy::single_range_in_vec_init, reason = "one run is a list of one range")]

use core::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use guest_dirty::{AtomicBitmap, DEFAULT_PAGE_SIZE, TakeError};
use rstest::rstest;

/// A bitmap with these pages dirty, whose last page has 0x800 bytes.
fn dirty(pages: usize, dirty: &[usize]) -> AtomicBitmap {
    let bitmap = AtomicBitmap::new(pages * 0x1000 - 0x800, DEFAULT_PAGE_SIZE);
    for page in dirty {
        bitmap.set_bit(*page);
    }
    bitmap
}

#[test]
fn a_committed_harvest_leaves_the_bitmap_clean() {
    let bitmap = dirty(200, &[0, 63, 64, 199]);
    let harvest = bitmap.take().unwrap();
    assert_eq!(harvest.to_words(), [1 | 1 << 63, 1, 0, 1 << 7]);
    assert!(harvest.words().eq([(0, 1 | 1 << 63), (1, 1), (3, 1 << 7)]));
    assert_eq!(harvest.count(), 4);
    assert!(!harvest.is_empty());
    assert_eq!(bitmap.to_words(), [0; 4]);
    harvest.commit();
    assert_eq!(bitmap.to_words(), [0; 4]);
    assert!(bitmap.take().unwrap().is_empty());
}

#[test]
fn a_dropped_harvest_puts_its_bits_back_beside_newer_ones() {
    let bitmap = dirty(200, &[0, 63, 64, 199]);
    let harvest = bitmap.take().unwrap();
    bitmap.set_bit(1);
    bitmap.set_bit(63);
    drop(harvest);
    assert!(bitmap.take().unwrap().pages().eq([0, 1, 63, 64, 199]));
}

#[test]
fn a_panic_puts_the_bits_back() {
    let bitmap = dirty(200, &[0, 63, 64, 199]);
    let result = catch_unwind(AssertUnwindSafe(|| {
        let harvest = bitmap.take().unwrap();
        let lost = harvest.pages().count();
        assert_eq!(lost, 0, "the copy of the pages fails");
        harvest.commit();
    }));
    assert!(result.is_err());
    assert!(bitmap.take().unwrap().pages().eq([0, 63, 64, 199]));
}

#[test]
fn of_two_harvests_each_bit_is_in_one() {
    let bitmap = dirty(200, &[0, 63]);
    let first = bitmap.take().unwrap();
    bitmap.set_bit(64);
    let second = bitmap.take().unwrap();
    assert!(first.pages().eq([0, 63]));
    assert!(second.pages().eq([64]));
    drop(first);
    second.commit();
    assert_eq!(bitmap.to_words(), [1 | 1 << 63, 0, 0, 0]);
}

#[test]
fn an_overrun_refuses_the_harvest_until_it_is_acknowledged() {
    let bitmap = dirty(2, &[0, 2]);
    for _ in 0..2 {
        let Err(TakeError::Overrun(overrun)) = bitmap.take() else { panic!("page 2 is not there") };
        assert_eq!(overrun.end, 0x3000);
        assert_eq!(bitmap.to_words(), [1]);
    }
    assert_eq!(bitmap.acknowledge_overrun().unwrap().end, 0x3000);
    assert!(bitmap.take().unwrap().pages().eq([0]));
}

#[test]
fn an_overrun_during_a_harvest_refuses_the_next_one() {
    let bitmap = dirty(2, &[0]);
    let harvest = bitmap.take().unwrap();
    bitmap.set_bit(2);
    harvest.commit();
    assert!(bitmap.take().is_err());
}

#[rstest]
#[case::nothing(3, &[], &[])]
#[case::the_first_page(3, &[0], &[0..0x1000])]
#[case::the_last_page_is_cut(3, &[2], &[0x2000..0x2800])]
#[case::all(3, &[0, 1, 2], &[0..0x2800])]
#[case::a_hole(3, &[0, 2], &[0..0x1000, 0x2000..0x2800])]
#[case::across_words(130, &[62, 63, 64, 65], &[0x3_e000..0x4_2000])]
#[case::up_to_a_word(130, &[63], &[0x3_f000..0x4_0000])]
#[case::from_a_word(130, &[64], &[0x4_0000..0x4_1000])]
#[case::two_words_apart(130, &[0, 129], &[0..0x1000, 0x8_1000..0x8_1800])]
fn runs_merge_adjacent_pages(
    #[case] pages: usize,
    #[case] marked: &[usize],
    #[case] runs: &[Range<usize>],
) {
    let bitmap = dirty(pages, marked);
    let harvest = bitmap.take().unwrap();
    assert_eq!(harvest.runs().collect::<Vec<_>>(), runs);
    assert!(harvest.pages().eq(marked.iter().copied()));
    assert_eq!(harvest.count(), marked.len());
}

#[rstest]
#[case::whole_words(128 * 0x1000)]
#[case::a_part_of_a_word(150 * 0x1000)]
fn a_run_over_everything_ends_with_the_memory(#[case] byte_size: usize) {
    let bitmap = AtomicBitmap::new(byte_size, DEFAULT_PAGE_SIZE);
    bitmap.set_addr_range(0, byte_size);
    let harvest = bitmap.take().unwrap();
    let mut runs = harvest.runs();
    assert_eq!(runs.next(), Some(0..byte_size));
    assert_eq!((runs.next(), runs.next()), (None, None));
}

#[test]
fn an_empty_bitmap_has_an_empty_harvest() {
    let bitmap = AtomicBitmap::default();
    let harvest = bitmap.take().unwrap();
    assert!(harvest.is_empty() && harvest.to_words().is_empty());
    assert_eq!((harvest.pages().count(), harvest.runs().count()), (0, 0));
    harvest.commit();
}

#[test]
fn get_and_reset_gives_the_words_for_good() {
    let bitmap = dirty(100, &[1, 2, 64]);
    assert_eq!(bitmap.get_and_reset(), [0b110, 1]);
    assert_eq!(bitmap.get_and_reset(), [0, 0]);
}

#[test]
fn debug_shows_how_many_pages() {
    let bitmap = dirty(100, &[1, 2, 64]);
    assert_eq!(format!("{:?}", bitmap.take().unwrap()), "Harvest { count: 3, .. }");
}
