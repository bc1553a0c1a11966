//! All schedules of a map that is replaced under readers, on the code itself. `cargo xtask ci loom` runs them.
//!
//! arc-swap has a stand-in here, and an `Arc` counts as it does: what is gone through is the address beside them, which readers
//! look at without an order.

#![cfg(loom)]

use guest_atomic::GuestMemoryAtomic;
use guest_memory::{
    GuestAddress, GuestAddressSpace as _, GuestMemory as _, GuestRegionCollection, Permissions,
    SliceRegion,
};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

type Map = GuestRegionCollection<SliceRegion<'static>>;

/// The map that is the `n`th in force: it has as many regions.
fn map(n: usize) -> Map {
    let region = |i: usize| SliceRegion::new(GuestAddress(i as u64 * 16), vec![0; 16].leak());
    let regions = (0..n).map(|i| region(i).expect("it has bytes")).collect();
    Map::from_regions(regions).expect("they lie apart")
}

fn replace(space: &GuestMemoryAtomic<Map>, n: usize) -> guest_atomic::Retired<Map> {
    space.lock().expect("it is not poisoned").replace(map(n))
}

/// This is what `cfg(loom_planted)` breaks.
#[test]
fn who_has_seen_a_newer_map_is_not_told_that_an_older_one_is_in_force() {
    loom::model(|| {
        let space = GuestMemoryAtomic::new(map(1));
        let mut reader = space.reader();
        let window = space.window(GuestAddress(0), 8, Permissions::Read).expect("it is there");
        assert_eq!(reader.memory().num_regions(), 1);
        let writer = {
            let space = space.clone();
            thread::spawn(move || drop(replace(&space, 2)))
        };
        if space.memory().num_regions() == 2 {
            assert!(!reader.is_current() && !window.is_current());
            assert_eq!(reader.memory().num_regions(), 2);
        }
        writer.join().unwrap();
    });
}

#[test]
fn who_was_told_of_a_replacement_finds_the_new_map() {
    loom::model(|| {
        let space = GuestMemoryAtomic::new(map(1));
        let mut reader = space.reader();
        reader.memory();
        let told = Arc::new(AtomicUsize::new(0));
        let writer = {
            let (space, told) = (space.clone(), Arc::clone(&told));
            thread::spawn(move || {
                let retired = replace(&space, 2);
                told.store(1, Ordering::Release);
                retired
            })
        };
        if told.load(Ordering::Acquire) == 1 {
            assert_eq!(reader.memory().num_regions(), 2);
        }
        let retired = writer.join().unwrap();
        assert!(reader.refresh().is_some());
        assert!(retired.is_unused());
    });
}

#[test]
fn a_reader_never_goes_back() {
    loom::model(|| {
        let space = GuestMemoryAtomic::new(map(1));
        let mut reader = space.reader();
        reader.refresh();
        let writer = {
            let space = space.clone();
            thread::spawn(move || {
                drop(replace(&space, 2));
                drop(replace(&space, 3));
            })
        };
        let mut last = 1;
        for _ in 0..2 {
            // What `memory` came upon, `refresh` tells of.
            let now = reader.memory().num_regions();
            let told = reader.refresh().map(|map| map.num_regions());
            assert!(now >= last && told.is_none_or(|told| told >= now), "{last} {now} {told:?}");
            assert!(now == last || told.is_some());
            last = told.unwrap_or(now);
        }
        writer.join().unwrap();
        assert_eq!(reader.memory().num_regions(), 3);
    });
}

#[test]
fn after_all_have_detached_a_replaced_map_is_unused() {
    loom::model(|| {
        let space = GuestMemoryAtomic::new(map(1));
        let device = {
            let mut reader = space.reader();
            thread::spawn(move || {
                let seen = reader.memory().num_regions();
                reader.detach();
                assert!(!reader.is_current());
                seen
            })
        };
        let retired = replace(&space, 2);
        assert!(device.join().unwrap() <= 2);
        assert!(retired.is_unused());
    });
}
