//! Views into a bitmap carry their offset along.

use core::num::NonZeroUsize;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use guest_dirty::{ArcSlice, AtomicBitmap, BaseSlice, DEFAULT_PAGE_SIZE, RefSlice};
use guest_volatile::{Bitmap, BitmapSlice, NewBitmap};
use rstest::rstest;

fn dirty_pages(bitmap: &AtomicBitmap) -> Vec<usize> {
    (0..bitmap.len()).filter(|page| bitmap.is_bit_set(*page)).collect()
}

/// What every view at 0x1800 of a bitmap over 0x5000 bytes does.
fn carries_its_offset(view: &impl BitmapSlice, bitmap: &AtomicBitmap) {
    view.mark_dirty(0x7ff, 2);
    assert_eq!(dirty_pages(bitmap), [1, 2]);
    assert!(view.dirty_at(0) && view.dirty_at(0x17ff) && !view.dirty_at(0x1800));
    assert_eq!(view.dirty_bytes(0, 0x3000), Some(0x1800));

    let inner = view.slice_at(0x1000).slice_at(0x7ff);
    assert!(inner.dirty_at(0) && !inner.dirty_at(1));
    inner.mark_dirty(0, 0);
    assert_eq!(dirty_pages(bitmap), [1, 2]);
    inner.mark_dirty(1, 1);
    assert_eq!(dirty_pages(bitmap), [1, 2, 3]);
    assert_eq!(inner.dirty_bytes(1, 0x10), Some(0x10));
    assert_eq!(bitmap.overrun(), None);
}

#[test]
fn a_borrowed_view_carries_its_offset() {
    let bitmap = AtomicBitmap::with_len(0x5000);
    carries_its_offset(&bitmap.slice_at(0x1800), &bitmap);
}

#[test]
fn an_owned_view_carries_its_offset() {
    let bitmap = Arc::new(AtomicBitmap::with_len(0x5000));
    carries_its_offset(&ArcSlice::new(Arc::clone(&bitmap), 0x1800), &bitmap);
}

#[test]
fn a_view_through_any_pointer_carries_its_offset() {
    let bitmap = Rc::new(AtomicBitmap::with_len(0x5000));
    carries_its_offset(&BaseSlice::new(Rc::clone(&bitmap), 0x1800), &bitmap);
}

#[test]
fn a_view_of_a_view_carries_both_offsets() {
    let bitmap = AtomicBitmap::with_len(0x5000);
    let view = bitmap.slice_at(0x1000);
    carries_its_offset(&RefSlice::new(&view, 0x800), &bitmap);
}

#[test]
fn a_view_of_an_option_carries_its_offset() {
    let bitmap = Some(AtomicBitmap::with_len(0x5000));
    carries_its_offset(&bitmap.slice_at(0x1800), bitmap.as_ref().unwrap());
}

#[rstest]
#[case::the_sum_is_one_too_much(0x1000, usize::MAX - 0xfff, 1)]
#[case::the_sum_would_be_on_page_1(0x2000, usize::MAX - 0xfff, 1)]
#[case::both_are_all_there_is(usize::MAX, usize::MAX, usize::MAX)]
#[case::the_end_would_be_on_page_1(0x1000, usize::MAX - 0x1000, 0x1010)]
fn an_offset_that_overflows_reaches_no_page_and_is_an_overrun(
    #[case] base: usize,
    #[case] offset: usize,
    #[case] len: usize,
) {
    for page_size in [0x1000, 0x1001] {
        let page_size = NonZeroUsize::new(page_size).unwrap();
        let bitmap = AtomicBitmap::new(0x5000, page_size);
        let view = bitmap.slice_at(base);
        view.mark_dirty(offset, 0);
        assert_eq!(bitmap.overrun(), None);

        view.mark_dirty(offset, len);
        assert!(bitmap.acknowledge_overrun().is_some());
        view.slice_at(offset).mark_dirty(0, len);
        assert!(bitmap.acknowledge_overrun().is_some());
        assert_eq!(bitmap.to_words(), [0]);

        bitmap.set_addr_range(0, 0x5000);
        assert!(!view.dirty_at(offset));
        assert_eq!(view.dirty_bytes(offset, len), Some(0));
    }
}

#[test]
fn a_view_passes_on_what_a_bitmap_that_does_not_count_says() {
    assert_eq!(BaseSlice::new(&(), 0x1000).dirty_bytes(0, 1), None);
}

#[test]
fn a_view_asks_for_no_more_than_a_pointer() {
    // A bitmap that is neither `Debug` nor `Sync`.
    #[derive(Default)]
    struct Last(Cell<(usize, usize)>);
    impl guest_volatile::WithBitmapSlice<'_> for Last {
        type S = ();
    }
    impl Bitmap for Last {
        fn mark_dirty(&self, offset: usize, len: usize) {
            self.0.set((offset, len));
        }
        fn dirty_at(&self, _offset: usize) -> bool {
            false
        }
        fn slice_at(&self, _offset: usize) {}
    }

    let view = BaseSlice::<Rc<Last>>::default();
    let last = Rc::new(Last::default());
    BaseSlice::new(Rc::clone(&last), 0x10).mark_dirty(2, 3);
    assert_eq!(last.0.get(), (0x12, 3));
    assert_eq!(format!("{:?}", view.slice_at(0x10)), "BaseSlice { offset: 0x10, .. }");
}

#[test]
fn a_borrowed_view_is_two_words_and_copies() {
    fn copies<T: Copy>(_: &T) {}
    let bitmap = AtomicBitmap::new(0x1000, DEFAULT_PAGE_SIZE);
    copies(&bitmap.slice_at(0));
    assert_eq!(size_of::<RefSlice<'_, AtomicBitmap>>(), 2 * size_of::<usize>());
}
