//! A bitmap that is turned on and off, as the bitmap of memory and by itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use guest_dirty::{AtomicBitmap, DEFAULT_PAGE_SIZE, SwitchedBitmap};
use guest_volatile::{Bitmap, Fence, NewBitmap};
use rstest::rstest;

fn checked() -> AtomicBitmap {
    AtomicBitmap::new(0x10_0000, DEFAULT_PAGE_SIZE)
}

fn strict() -> AtomicBitmap {
    AtomicBitmap::new_strict(0x10_0000, DEFAULT_PAGE_SIZE)
}

fn taken(bitmap: &SwitchedBitmap) -> Vec<usize> {
    let harvest = bitmap.bitmap().take().expect("all marks have their page");
    let pages = harvest.pages().collect();
    harvest.commit();
    pages
}

#[rstest]
#[case::checked(checked())]
#[case::strict(strict())]
fn what_is_marked_while_it_is_off_is_not_seen(#[case] bitmap: AtomicBitmap) {
    let bitmap = SwitchedBitmap::from(bitmap);
    assert!(!bitmap.is_on());
    bitmap.mark_dirty(0x1000, 0x2000);
    assert!(!bitmap.dirty_at(0x1000));
    assert_eq!(bitmap.dirty_bytes(0, 0x10_0000), Some(0));

    bitmap.start().unwrap();
    assert!(bitmap.is_on() && !bitmap.dirty_at(0x1000));
    assert!(taken(&bitmap).is_empty());

    bitmap.mark_dirty(0x1fff, 2);
    assert!(bitmap.dirty_at(0x1000) && bitmap.dirty_at(0x2fff));
    assert_eq!(bitmap.dirty_bytes(0, 0x10_0000), Some(0x2000));
    assert_eq!(taken(&bitmap), [1, 2]);
}

#[rstest]
#[case::checked(checked())]
#[case::strict(strict())]
fn what_is_left_after_a_stop_is_for_a_last_harvest_and_goes_at_the_next_start(
    #[case] bitmap: AtomicBitmap,
) {
    let bitmap = SwitchedBitmap::from(bitmap);
    bitmap.start().unwrap();
    bitmap.mark_dirty(0x1000, 1);
    bitmap.stop();
    assert!(!bitmap.is_on() && !bitmap.dirty_at(0x1000));
    assert_eq!(taken(&bitmap), [1]);

    bitmap.start().unwrap();
    bitmap.mark_dirty(0x2000, 1);
    bitmap.stop();
    bitmap.start().unwrap();
    assert!(taken(&bitmap).is_empty());

    // To start what is on is to start anew.
    bitmap.mark_dirty(0x3000, 1);
    bitmap.start().unwrap();
    assert!(bitmap.is_on() && taken(&bitmap).is_empty());
}

#[rstest]
#[case::checked(checked())]
#[case::strict(strict())]
fn views_follow_the_switch(#[case] bitmap: AtomicBitmap) {
    let bitmap = SwitchedBitmap::from(bitmap);
    let view = bitmap.slice_at(0x1800);
    view.mark_dirty(0, 1);
    bitmap.start().unwrap();
    view.slice_at(0x700).mark_dirty(0x100, 1);
    assert!(!view.dirty_at(0) && view.dirty_at(0x800));
    assert_eq!(taken(&bitmap), [2]);
}

#[test]
fn many_are_started_at_once() {
    let bitmaps = [checked(), strict(), checked()].map(SwitchedBitmap::from);
    SwitchedBitmap::start_all(&bitmaps).unwrap();
    for (page, bitmap) in bitmaps.iter().enumerate() {
        bitmap.mark_dirty(page * 0x1000, 1);
        assert_eq!(taken(bitmap), [page]);
    }
    SwitchedBitmap::start_all([]).unwrap();
}

#[test]
fn marks_past_the_end_are_told_while_it_is_on() {
    let bitmap = SwitchedBitmap::with_len(0x1000);
    bitmap.start().unwrap();
    bitmap.mark_dirty(0x1000, 1);
    assert!(bitmap.bitmap().take().is_err());
}

#[test]
fn the_default_is_over_nothing_and_debug_shows_the_switch() {
    let bitmap = SwitchedBitmap::default();
    let text = format!("{bitmap:?}");
    assert!(text.starts_with("SwitchedBitmap { on: false, bitmap: "), "{text}");
    assert_eq!(bitmap.bitmap().len(), 0);
    let text = format!("{bitmap:?}");
    assert!(text.starts_with("SwitchedBitmap { on: false, bitmap: Some(AtomicBitmap {"), "{text}");
}

#[test]
fn what_was_never_started_has_no_bits_unless_marks_are_strict() {
    let bitmap = SwitchedBitmap::new(0x10_0000, DEFAULT_PAGE_SIZE);
    bitmap.mark_dirty(0x1000, 8);
    bitmap.stop();
    let is_there = !format!("{bitmap:?}").contains("bitmap: None");
    assert_eq!(is_there, Fence::register().is_err());
    assert!(!bitmap.dirty_at(0x1000));
    assert_eq!(bitmap.dirty_bytes(0, 0x10_0000), Some(0));

    // To ask for the bitmap is not to turn it on.
    assert_eq!((bitmap.bitmap().byte_size(), bitmap.bitmap().len()), (0x10_0000, 0x100));
    bitmap.mark_dirty(0x2000, 8);
    assert!(!bitmap.is_on() && !bitmap.dirty_at(0x2000));

    bitmap.start().unwrap();
    assert!(taken(&bitmap).is_empty());
    bitmap.mark_dirty(0x3000, 8);
    assert_eq!(taken(&bitmap), [3]);
}

#[test]
fn a_write_that_races_with_the_first_start_is_copied_or_marked() {
    for round in 0..300 {
        let bitmap = SwitchedBitmap::new(0x1000, DEFAULT_PAGE_SIZE);
        let (bytes, writes) = (AtomicU64::new(0), AtomicU64::new(0));
        let copy = thread::scope(|scope| {
            scope.spawn(|| {
                for value in 1..=50 + round % 50 {
                    bytes.store(value, Ordering::Relaxed);
                    bitmap.mark_dirty(0, 8);
                    writes.store(value, Ordering::Relaxed);
                }
            });
            // Anywhere between the first write and the last.
            while writes.load(Ordering::Relaxed) < round % 50 {
                core::hint::spin_loop();
            }
            bitmap.start().unwrap();
            bytes.load(Ordering::Relaxed)
        });
        let last = bytes.load(Ordering::Relaxed);
        assert!(copy == last || bitmap.dirty_at(0), "round {round}: {copy} of {last}");
    }
}

#[test]
fn who_starts_at_the_same_time_starts_the_same_bits() {
    for _ in 0..200 {
        let bitmap = SwitchedBitmap::new(0x10_0000, DEFAULT_PAGE_SIZE);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| bitmap.start().unwrap());
            }
        });
        bitmap.mark_dirty(0x5000, 1);
        assert_eq!(taken(&bitmap), [5]);
    }
}
