//! Bits of other makers get in by the word, all of them or none.

use guest_dirty::{AtomicBitmap, BitmapError, DEFAULT_PAGE_SIZE};
use rstest::rstest;

/// A bitmap of 200 pages, of which page 5 is dirty.
fn bitmap() -> AtomicBitmap {
    let bitmap = AtomicBitmap::new(200 * 0x1000, DEFAULT_PAGE_SIZE);
    bitmap.set_bit(5);
    bitmap
}

fn dirty_pages(bitmap: &AtomicBitmap) -> Vec<usize> {
    (0..bitmap.len()).filter(|page| bitmap.is_bit_set(*page)).collect()
}

#[rstest]
#[case::nothing(0, &[], &[])]
#[case::clean_words(0, &[0, 0], &[])]
#[case::the_same_bit(0, &[1 << 5], &[])]
#[case::at_the_start(0, &[0b11, 1 << 63], &[0, 1, 127])]
#[case::at_a_word(64, &[0b11, 1 << 63], &[64, 65, 191])]
#[case::between_words(60, &[0b1_0001, 1 << 63], &[60, 64, 187])]
#[case::one_page_off(1, &[1 << 63, 1 << 63], &[64, 128])]
#[case::the_last_page(0, &[0, 0, 0, 1 << 7], &[199])]
#[case::the_last_page_alone(199, &[1], &[199])]
#[case::clean_words_past_the_end(192, &[0, 0, 0, 0], &[])]
#[case::nothing_far_past_the_end(usize::MAX, &[0, 0], &[])]
fn bits_are_added_from_the_first_page_on(
    #[case] first_page: usize,
    #[case] words: &[u64],
    #[case] pages: &[usize],
) {
    let mut expected = [pages, &[5]].concat();
    expected.sort_unstable();

    let by_word = bitmap();
    by_word.merge_words(first_page, words).unwrap();
    assert_eq!(dirty_pages(&by_word), expected);

    let by_byte = bitmap();
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    by_byte.merge_le_bytes(first_page, &bytes).unwrap();
    assert_eq!(dirty_pages(&by_byte), expected);
}

#[rstest]
#[case::the_page_after_the_last(0, &[1, 0, 0, 1 << 8], 200)]
#[case::the_first_of_them(0, &[1, 0, 0, 0b11 << 20], 212)]
#[case::one_that_is_there_before_it(0, &[0, 0, 0, 0b11 << 7], 200)]
#[case::a_whole_word_past(0, &[1, 0, 0, 0, 1], 256)]
#[case::between_words(150, &[1 << 49 | 1 << 50], 200)]
#[case::the_word_after(150, &[1, 1], 214)]
#[case::at_the_end(200, &[1], 200)]
#[case::past_the_end(300, &[0b100], 302)]
#[case::a_page_that_is_no_number(usize::MAX, &[0, 1], usize::MAX)]
fn a_bit_past_the_end_is_named_and_nothing_is_merged(
    #[case] first_page: usize,
    #[case] words: &[u64],
    #[case] page: usize,
) {
    let bitmap = bitmap();
    let result = bitmap.merge_words(first_page, words);
    assert_eq!(result, Err(BitmapError::PastEnd { page, pages: 200 }));
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    assert_eq!(bitmap.merge_le_bytes(first_page, &bytes), result);
    assert_eq!(dirty_pages(&bitmap), [5]);
    assert_eq!(bitmap.overrun(), None);
}

#[rstest]
#[case::one(&[0b10], &[1])]
#[case::seven(&[0, 0, 0, 0, 0, 0, 0x80], &[55])]
#[case::nine(&[1, 0, 0, 0, 0, 0, 0, 0, 1], &[0, 64])]
fn a_log_of_any_number_of_bytes_is_merged(#[case] bytes: &[u8], #[case] pages: &[usize]) {
    let bitmap = AtomicBitmap::new(200 * 0x1000, DEFAULT_PAGE_SIZE);
    bitmap.merge_le_bytes(0, bytes).unwrap();
    assert_eq!(dirty_pages(&bitmap), pages);
}

#[test]
fn words_go_out_as_they_come_in() {
    let log = [0x8000_0000_0000_0001, 0, u64::MAX, 0xff];
    let bitmap = AtomicBitmap::new(200 * 0x1000, DEFAULT_PAGE_SIZE);
    bitmap.merge_words(0, &log).unwrap();
    assert_eq!(bitmap.to_words(), log);
    assert_eq!(bitmap.to_words(), log);

    let harvest = bitmap.take().unwrap();
    let other = AtomicBitmap::new(200 * 0x1000, DEFAULT_PAGE_SIZE);
    other.merge_words(0, &harvest.to_words()).unwrap();
    assert_eq!(other.to_words(), log);
}
