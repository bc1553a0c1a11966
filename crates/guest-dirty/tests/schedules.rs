//! All schedules of the strict protocols, on the code itself. `cargo xtask ci loom` runs them.
//!
//! What a fence orders cannot be modelled so; `model.rs` stands for that.

#![cfg(loom)]

use guest_dirty::{AtomicBitmap, DEFAULT_PAGE_SIZE, SwitchedBitmap, TakeError};
use guest_volatile::Bitmap as _;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

const PAGE: usize = DEFAULT_PAGE_SIZE.get();

/// As many pages as one word has, so that there is one of the summary.
fn strict() -> Arc<AtomicBitmap> {
    Arc::new(AtomicBitmap::new_strict(64 * PAGE, DEFAULT_PAGE_SIZE))
}

/// The pages of a harvest that is committed.
fn taken(bitmap: &AtomicBitmap) -> Vec<usize> {
    let harvest = bitmap.take().expect("all marks have their page");
    let pages = harvest.pages().collect();
    harvest.commit();
    pages
}

#[test]
fn a_mark_that_has_returned_is_in_a_harvest_that_comes_after_it() {
    loom::model(|| {
        let bitmap = strict();
        let marks = [0, 0].map(|page| {
            let bitmap = Arc::clone(&bitmap);
            thread::spawn(move || bitmap.mark_dirty(page * PAGE, 1))
        });
        let during = taken(&bitmap);
        marks.into_iter().for_each(|mark| mark.join().unwrap());
        let after = taken(&bitmap);
        assert!(during == [0] || after == [0], "{during:?} {after:?}");
        assert!(taken(&bitmap).is_empty());
    });
}

/// The summary knows of a word that has no bit, as after a [`reset_bit`](AtomicBitmap::reset_bit): mark and take look at each other's. (This is
/// what `cfg(loom_planted)` breaks.)
#[test]
fn a_mark_that_finds_its_word_in_the_summary_is_not_lost() {
    loom::model(|| {
        let bitmap = strict();
        bitmap.mark_dirty(0, 1);
        bitmap.reset_bit(0);
        let mark = {
            let bitmap = Arc::clone(&bitmap);
            thread::spawn(move || bitmap.mark_dirty(0, 1))
        };
        let mut pages = taken(&bitmap);
        mark.join().unwrap();
        pages.extend(taken(&bitmap));
        assert_eq!(pages, [0]);
    });
}

#[test]
fn what_a_harvest_does_not_name_it_does_not_miss() {
    loom::model(|| {
        let bitmap = strict();
        let bytes = Arc::new(AtomicUsize::new(0));
        let writer = {
            let (bitmap, bytes) = (Arc::clone(&bitmap), Arc::clone(&bytes));
            thread::spawn(move || {
                bytes.store(1, Ordering::Relaxed);
                bitmap.mark_dirty(0, 1);
            })
        };
        // Who is told of the page sees what was written before it was marked.
        if taken(&bitmap) == [0] {
            assert_eq!(bytes.load(Ordering::Relaxed), 1);
            assert!(taken(&bitmap).is_empty());
            writer.join().unwrap();
        } else {
            writer.join().unwrap();
            assert_eq!(taken(&bitmap), [0]);
        }
    });
}

#[test]
fn marks_of_many_words_are_not_lost_either() {
    loom::model(|| {
        let bitmap = Arc::new(AtomicBitmap::new_strict(128 * PAGE, DEFAULT_PAGE_SIZE));
        let mark = {
            let bitmap = Arc::clone(&bitmap);
            thread::spawn(move || bitmap.mark_dirty(63 * PAGE, 2 * PAGE))
        };
        let mut pages = taken(&bitmap);
        mark.join().unwrap();
        pages.extend(taken(&bitmap));
        pages.sort_unstable();
        assert_eq!(pages, [63, 64]);
    });
}

#[test]
fn of_two_harvests_each_bit_is_in_one() {
    loom::model(|| {
        let bitmap = strict();
        bitmap.mark_dirty(3 * PAGE, 1);
        let other = {
            let bitmap = Arc::clone(&bitmap);
            thread::spawn(move || taken(&bitmap).len())
        };
        let here = taken(&bitmap).len();
        assert_eq!(here + other.join().unwrap(), 1);
    });
}

#[test]
fn a_harvest_that_is_dropped_leaves_its_bits_to_the_next_with_what_was_written() {
    loom::model(|| {
        let bitmap = strict();
        let bytes = Arc::new(UnsafeCell::new(0));
        let writer = {
            let (bitmap, bytes) = (Arc::clone(&bitmap), Arc::clone(&bytes));
            thread::spawn(move || {
                bytes.with_mut(|_| ());
                bitmap.mark_dirty(0, 1);
            })
        };
        let dropped = {
            let bitmap = Arc::clone(&bitmap);
            thread::spawn(move || drop(bitmap.take()))
        };
        // loom sees a race if who takes the bit is not ordered after who wrote, however it came here.
        if taken(&bitmap) == [0] {
            bytes.with(|_| ());
        }
        dropped.join().unwrap();
        writer.join().unwrap();
    });
}

#[test]
fn a_harvest_with_bits_of_a_mark_that_overran_knows_of_it() {
    loom::model(|| {
        let bitmap = strict();
        let mark = {
            let bitmap = Arc::clone(&bitmap);
            thread::spawn(move || bitmap.mark_dirty(63 * PAGE, 2 * PAGE))
        };
        match bitmap.take() {
            Ok(harvest) => assert_eq!(harvest.count(), 0),
            Err(error) => assert!(matches!(error, TakeError::Overrun(_))),
        }
        mark.join().unwrap();
        assert!(bitmap.take().is_err());
        assert!(bitmap.is_bit_set(63));
    });
}

#[test]
fn a_strict_mark_that_races_with_a_start_is_marked_or_visible_to_the_copy() {
    loom::model(|| {
        let bitmap = AtomicBitmap::new_strict(64 * PAGE, DEFAULT_PAGE_SIZE);
        let bitmap = Arc::new(SwitchedBitmap::from(bitmap));
        let bytes = Arc::new(AtomicUsize::new(0));
        let writer = {
            let (bitmap, bytes) = (Arc::clone(&bitmap), Arc::clone(&bytes));
            thread::spawn(move || {
                bytes.store(1, Ordering::Relaxed);
                bitmap.mark_dirty(0, 1);
            })
        };
        bitmap.start().unwrap();
        let copy = bytes.load(Ordering::Relaxed);
        writer.join().unwrap();
        assert!(copy == 1 || taken(bitmap.bitmap()) == [0]);
    });
}
