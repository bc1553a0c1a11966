//! Marks, questions and shapes: which pages a range of bytes stands for, at every edge.

use core::num::NonZeroUsize;

use guest_dirty::{AtomicBitmap, BitmapError, DEFAULT_PAGE_SIZE, Overrun};
use guest_volatile::{Bitmap, NewBitmap};
use rstest::rstest;

fn bitmap(byte_size: usize, page_size: usize) -> AtomicBitmap {
    AtomicBitmap::new(byte_size, NonZeroUsize::new(page_size).expect("a page has a byte"))
}

fn dirty_pages(bitmap: &AtomicBitmap) -> Vec<usize> {
    (0..bitmap.len()).filter(|page| bitmap.is_bit_set(*page)).collect()
}

fn end_of(overrun: Option<Overrun>) -> Option<usize> {
    overrun.map(|overrun| overrun.end)
}

#[rstest]
#[case::nothing(0, 0x1000, 0)]
#[case::one_byte(1, 0x1000, 1)]
#[case::one_page(0x1000, 0x1000, 1)]
#[case::a_byte_more(0x1001, 0x1000, 2)]
#[case::odd_pages(100, 7, 15)]
#[case::pages_of_a_byte(64, 1, 64)]
#[case::page_larger_than_all(5, usize::MAX, 1)]
#[case::the_most_bytes(usize::MAX, usize::MAX, 1)]
#[case::the_most_bytes_in_halves(usize::MAX, 1 << (usize::BITS - 1), 2)]
fn a_length_is_rounded_up_to_pages(
    #[case] byte_size: usize,
    #[case] page_size: usize,
    #[case] pages: usize,
) {
    let bitmap = bitmap(byte_size, page_size);
    assert_eq!(bitmap.len(), pages);
    assert_eq!(bitmap.byte_size(), byte_size);
    assert_eq!(bitmap.page_size().get(), page_size);
    assert_eq!(bitmap.to_words().len(), pages.div_ceil(64));
    assert!(dirty_pages(&bitmap).is_empty());
}

#[rstest]
#[case::nothing(0x1000, 0x1000, 0, &[])]
#[case::nothing_at_the_end(0x1000, 0x5000, 0, &[])]
#[case::nothing_past_the_end(0x1000, usize::MAX, 0, &[])]
#[case::first_byte(0x1000, 0, 1, &[0])]
#[case::last_byte_of_a_page(0x1000, 0xfff, 1, &[0])]
#[case::straddling(0x1000, 0xfff, 2, &[0, 1])]
#[case::one_page(0x1000, 0x1000, 0x1000, &[1])]
#[case::a_byte_into_the_next(0x1000, 0x1000, 0x1001, &[1, 2])]
#[case::last_partial_page(0x1000, 0x4000, 0x800, &[4])]
#[case::last_byte(0x1000, 0x47ff, 1, &[4])]
#[case::rest_of_the_last_page(0x1000, 0x4800, 0x800, &[4])]
#[case::all(0x1000, 0, 0x4800, &[0, 1, 2, 3, 4])]
#[case::odd_pages(0x1001, 0x1001, 0x1001, &[1])]
#[case::odd_pages_straddling(0x1001, 0x1000, 2, &[0, 1])]
#[case::odd_pages_last_byte(0x1001, 0x47ff, 1, &[4])]
fn a_mark_sets_the_pages_that_it_touches(
    #[case] page_size: usize,
    #[case] offset: usize,
    #[case] len: usize,
    #[case] pages: &[usize],
) {
    let bitmap = bitmap(0x4800, page_size);
    bitmap.mark_dirty(offset, len);
    assert_eq!(dirty_pages(&bitmap), pages);
    assert_eq!(bitmap.overrun(), None);
}

#[rstest]
#[case::inside_a_word(3, 5)]
#[case::a_whole_word(64, 64)]
#[case::across_words(60, 10)]
#[case::up_to_the_end_of_a_word(1, 63)]
#[case::a_word_between(63, 66)]
#[case::many_words(5, 250)]
#[case::all(0, 256)]
fn a_mark_sets_every_page_of_many_words(#[case] first: usize, #[case] count: usize) {
    let bitmap = bitmap(256, 1);
    bitmap.set_addr_range(first, count);
    assert_eq!(dirty_pages(&bitmap), (first..first + count).collect::<Vec<_>>());

    bitmap.set_addr_range(0, 256);
    bitmap.reset_addr_range(first, count);
    let others = (0..256).filter(|page| !(first..first + count).contains(page));
    assert_eq!(dirty_pages(&bitmap), others.collect::<Vec<_>>());
}

#[rstest]
#[case::the_last_page_and_one_more(0x4000, 0x1001, &[4], 0x5001)]
#[case::all_and_more(0, 0x5001, &[0, 1, 2, 3, 4], 0x5001)]
#[case::the_byte_after_the_last_page(0x5000, 1, &[], 0x5001)]
#[case::far_away(0x10_0000, 0x10, &[], 0x10_0010)]
#[case::the_last_byte_there_can_be(usize::MAX - 1, 1, &[], usize::MAX)]
#[case::an_end_that_is_no_number(usize::MAX, 1, &[], usize::MAX)]
#[case::an_end_that_would_wrap(0x3000, usize::MAX, &[3, 4], usize::MAX)]
#[case::everything(0, usize::MAX, &[0, 1, 2, 3, 4], usize::MAX)]
fn a_mark_past_the_end_sets_what_is_there_and_leaves_an_overrun(
    #[case] offset: usize,
    #[case] len: usize,
    #[case] pages: &[usize],
    #[case] end: usize,
) {
    let bitmap = bitmap(0x4800, 0x1000);
    bitmap.mark_dirty(offset, len);
    assert_eq!(dirty_pages(&bitmap), pages);
    assert_eq!(end_of(bitmap.overrun()), Some(end));
}

#[test]
fn an_overrun_tells_of_the_farthest_mark_until_it_is_acknowledged() {
    let bitmap = bitmap(0x1000, 0x1000);
    bitmap.set_bit(1);
    bitmap.set_bit(6);
    bitmap.set_bit(3);
    assert_eq!(end_of(bitmap.overrun()), Some(0x7000));
    assert_eq!(end_of(bitmap.overrun()), Some(0x7000));
    assert_eq!(end_of(bitmap.acknowledge_overrun()), Some(0x7000));
    assert_eq!(bitmap.acknowledge_overrun(), None);

    bitmap.set_bit(usize::MAX);
    assert_eq!(end_of(bitmap.acknowledge_overrun()), Some(usize::MAX));
}

#[test]
fn what_takes_or_cleans_bits_keeps_the_overrun() {
    let mut bitmap = bitmap(0x1000, 0x1000);
    bitmap.mark_dirty(0, 0x1001);
    assert_eq!(bitmap.get_and_reset(), [1]);
    bitmap.reset();
    bitmap.reset_bit(1);
    bitmap.reset_addr_range(0, usize::MAX);
    bitmap.enlarge(0x1000).unwrap();
    assert_eq!(end_of(bitmap.clone().overrun()), Some(0x1001));
    assert_eq!(end_of(bitmap.overrun()), Some(0x1001));
}

#[test]
fn a_bitmap_over_half_of_all_bytes_and_more_has_right_ends() {
    const HALF: usize = 1 << (usize::BITS - 1);
    let bitmap = bitmap(usize::MAX, HALF);
    bitmap.mark_dirty(HALF - 1, 1);
    assert_eq!(dirty_pages(&bitmap), [0]);
    bitmap.mark_dirty(0, usize::MAX);
    assert_eq!(dirty_pages(&bitmap), [0, 1]);
    assert_eq!(bitmap.dirty_bytes(0, usize::MAX), Some(usize::MAX));
    assert_eq!(bitmap.overrun(), None);
    assert!(bitmap.take().unwrap().runs().eq(core::iter::once(0..usize::MAX)));

    // There is no byte at `usize::MAX`: its end would be no number.
    bitmap.mark_dirty(usize::MAX, 1);
    assert_eq!(end_of(bitmap.overrun()), Some(usize::MAX));
}

#[test]
fn pages_past_the_end_are_clean_and_can_be_cleaned() {
    let bitmap = bitmap(0x4800, 0x1000);
    bitmap.mark_dirty(0, usize::MAX);
    assert!(!bitmap.is_bit_set(5) && !bitmap.is_bit_set(64) && !bitmap.is_bit_set(usize::MAX));
    assert!(!bitmap.is_addr_set(0x5000) && !bitmap.is_addr_set(usize::MAX));
    assert!(!bitmap.dirty_at(0x5000) && bitmap.dirty_at(0x4fff));
    bitmap.reset_bit(5);
    bitmap.reset_bit(usize::MAX);
    bitmap.reset_addr_range(0x5000, usize::MAX);
    assert_eq!(bitmap.to_words(), [0b1_1111]);
    bitmap.reset_addr_range(0x4000, usize::MAX);
    assert_eq!(bitmap.to_words(), [0b1111]);
}

#[test]
fn single_pages_are_set_and_cleaned() {
    let bitmap = bitmap(0x10_0000, 0x1000);
    for page in [0, 63, 64, 255] {
        bitmap.set_bit(page);
        assert!(bitmap.is_bit_set(page) && bitmap.is_addr_set(page * 0x1000 + 0xfff));
    }
    bitmap.reset_bit(63);
    assert_eq!(dirty_pages(&bitmap), [0, 64, 255]);
    bitmap.reset_addr_range(0, 0);
    assert_eq!(dirty_pages(&bitmap), [0, 64, 255]);
    bitmap.reset();
    assert!(dirty_pages(&bitmap).is_empty());
}

#[rstest]
#[case::nothing(0x1000, 0, 0)]
#[case::within_a_dirty_page(0x1010, 0x20, 0x20)]
#[case::a_dirty_page(0x1000, 0x1000, 0x1000)]
#[case::a_clean_page(0, 0x1000, 0)]
#[case::from_clean_to_dirty(0xff0, 0x20, 0x10)]
#[case::from_dirty_to_clean(0x2ff0, 0x20, 0x10)]
#[case::both_edges(0x1800, 0x2c00, 0x1c00)]
#[case::all(0, 0x4800, 0x2800)]
#[case::past_the_end(0x4000, 0x10_0000, 0x1000)]
#[case::nothing_there(0x5000, 0x1000, 0)]
#[case::the_end_of_all(usize::MAX, usize::MAX, 0)]
fn dirty_bytes_are_those_of_the_range_in_dirty_pages(
    #[case] offset: usize,
    #[case] len: usize,
    #[case] dirty: usize,
) {
    let bitmap = bitmap(0x4800, 0x1000);
    for page in [1, 2, 4] {
        bitmap.set_bit(page);
    }
    assert_eq!(bitmap.dirty_bytes(offset, len), Some(dirty));
}

#[rstest]
#[case::by_nothing(0x1800, 0, 0x1800, 2)]
#[case::within_the_last_page(0x1800, 0x800, 0x2000, 2)]
#[case::a_byte_over_it(0x1800, 0x801, 0x2001, 3)]
#[case::to_another_word(0x4_0000, 0x1000, 0x4_1000, 65)]
#[case::from_nothing(0, 0x10_0000, 0x10_0000, 256)]
fn enlarge_adds_bytes_and_rounds_the_sum(
    #[case] old: usize,
    #[case] additional: usize,
    #[case] new: usize,
    #[case] pages: usize,
) {
    let mut bitmap = bitmap(old, 0x1000);
    bitmap.mark_dirty(0, old);
    let dirty = dirty_pages(&bitmap);
    bitmap.enlarge(additional).unwrap();
    assert_eq!((bitmap.byte_size(), bitmap.len()), (new, pages));
    assert_eq!(dirty_pages(&bitmap), dirty);
    bitmap.mark_dirty(0, new);
    assert_eq!(dirty_pages(&bitmap).len(), pages);
    assert_eq!(bitmap.overrun(), None);
}

/// Lets an `enlarge` fail, and returns its error.
fn failing_enlarge(byte_size: usize, page_size: usize, additional: usize) -> BitmapError {
    let mut bitmap = bitmap(byte_size, page_size);
    bitmap.mark_dirty(byte_size - 1, 1);
    let (pages, words) = (bitmap.len(), bitmap.to_words());
    let error = bitmap.enlarge(additional).expect_err("it is too much");
    assert_eq!((bitmap.byte_size(), bitmap.len()), (byte_size, pages));
    assert_eq!(bitmap.to_words(), words);
    error
}

#[test]
fn an_enlarge_that_overflows_changes_nothing() {
    let additional = usize::MAX - 0x17ff;
    let error = failing_enlarge(0x1800, 0x1000, additional);
    assert_eq!(error, BitmapError::Overflow { byte_size: 0x1800, additional });
}

#[test]
#[cfg(target_pointer_width = "64")] // elsewhere it may succeed
fn an_enlarge_without_memory_changes_nothing() {
    let error = failing_enlarge(0x1800, 1, 1 << 62);
    assert_eq!(error, BitmapError::OutOfMemory { pages: (1 << 62) + 0x1800 });
}

#[test]
fn a_clone_has_the_bits_of_then() {
    let bitmap = bitmap(0x4800, 0x1000);
    bitmap.set_bit(3);
    let clone = bitmap.clone();
    bitmap.set_bit(4);
    clone.set_bit(0);
    assert_eq!(dirty_pages(&bitmap), [3, 4]);
    assert_eq!(dirty_pages(&clone), [0, 3]);
}

#[test]
fn the_default_is_over_nothing_and_with_len_is_in_pages_of_4_kib() {
    assert_eq!(AtomicBitmap::default().len(), 0);
    assert_eq!(AtomicBitmap::default().dirty_bytes(0, 1), Some(0));
    let bitmap = AtomicBitmap::with_len(0x2001);
    assert_eq!((bitmap.len(), bitmap.page_size()), (3, DEFAULT_PAGE_SIZE));
}

#[test]
fn debug_shows_the_shape_and_counts() {
    let bitmap = bitmap(0x10_0800, 0x1000);
    bitmap.mark_dirty(0, 0x8_0000);
    bitmap.set_bit(0x200);
    assert_eq!(
        format!("{bitmap:?}"),
        "AtomicBitmap { byte_size: 0x100800, page_size: 0x1000, pages: 257, dirty: 128, \
         overrun: Some(Overrun { end: 2101248 }) }"
    );
}

#[test]
fn errors_say_what_is_wrong_in_hex() {
    let bitmap = bitmap(0x1000, 0x1000);
    bitmap.set_bit(0x1f);
    let overrun = bitmap.overrun().unwrap();
    let errors: [(&dyn core::error::Error, &str); 4] = [
        (&overrun, "writes up to offset 0x20000 were marked past the end of the bitmap"),
        (
            &BitmapError::Overflow { byte_size: 0x10, additional: 0x20 },
            "a bitmap over 0x10 and 0x20 more bytes overflows",
        ),
        (&BitmapError::OutOfMemory { pages: 0x10 }, "no memory for a bitmap of 0x10 pages"),
        (
            &BitmapError::PastEnd { page: 0x10, pages: 0xa },
            "page 0x10 is past the end of a bitmap of 0xa pages",
        ),
    ];
    for (error, text) in errors {
        assert_eq!(error.to_string(), text);
        assert!(error.source().is_none());
    }
}

#[test]
fn a_bitmap_and_its_harvest_may_go_to_other_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    let bitmap = bitmap(0x1000, 0x1000);
    shared(&bitmap);
    shared(&bitmap.take().unwrap());
    shared(&bitmap.slice_at(0));
}
