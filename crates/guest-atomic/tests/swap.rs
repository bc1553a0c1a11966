//! The map is swapped: what readers see, and what the writer sees (SEMANTICS lines 33, 34).

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::sync::{Arc, LockResult, TryLockError};
use std::thread;
use std::time::Duration;

use common::{LEN, Map, Region, SOON, counter, generation, map, publish, space};
use guest_address::GuestAddress;
use guest_atomic::{GuestMemoryAtomic, GuestMemoryExclusiveGuard, GuestMemoryLoadGuard, Retired};
use guest_memory::{Bytes, GuestAddressSpace, GuestMemory, GuestRegionCollection, SliceRegion};
use rstest::rstest;

// 33: readers

#[test]
fn a_guard_keeps_the_old_map_readable() {
    let dropped = counter();
    let space = space(&dropped);
    let before = space.memory();
    drop(publish(&space, 2, &dropped));
    assert_eq!((generation(&before), generation(&space.memory())), (1, 2));
    assert_eq!(dropped.load(Ordering::SeqCst), 0);
    drop(before);
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
}

#[test]
fn a_clone_of_a_guard_is_as_good() {
    let dropped = counter();
    let space = space(&dropped);
    let before = space.memory();
    let copy = before.clone();
    let retired = publish(&space, 2, &dropped);
    let later_copy = before.clone();
    drop(before);
    assert!(!retired.is_unused());
    drop(copy);
    assert!(!retired.is_unused());
    assert_eq!(generation(&later_copy), 1);
    drop(later_copy);
    assert!(retired.is_unused());
}

#[rstest]
#[case::as_many_as_are_cheap(8)]
#[case::one_more(9)]
#[case::many(20)]
#[case::very_many(1000)]
fn any_number_of_guards_in_one_thread_is_right(#[case] count: usize) {
    // 33
    let dropped = counter();
    let space = space(&dropped);
    let mut guards: Vec<_> = (0..count).map(|_| space.memory()).collect();
    let retired = publish(&space, 2, &dropped);
    let newer: Vec<_> = (0..count).map(|_| space.memory()).collect();
    assert!(guards.iter().all(|guard| generation(guard) == 1));
    assert!(newer.iter().all(|guard| generation(guard) == 2));
    // Whichever goes last.
    while let Some(guard) = guards.pop() {
        assert!(!retired.is_unused());
        assert_eq!(generation(&guard), 1);
    }
    assert!(retired.is_unused());
    drop(retired);
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
    drop(newer);
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
}

#[test]
fn guards_of_several_spaces_in_one_thread_do_not_mix() {
    let dropped = counter();
    let spaces: Vec<_> =
        (0..20).map(|number| GuestMemoryAtomic::new(map(number, 1, &dropped))).collect();
    let guards: Vec<_> = spaces.iter().map(GuestAddressSpace::memory).collect();
    let retired: Vec<_> = spaces.iter().map(|space| publish(space, 100, &dropped)).collect();
    for ((number, guard), retired) in (0..).zip(guards).zip(retired) {
        assert_eq!(generation(&guard), number);
        assert!(!retired.is_unused());
        drop(guard);
        assert!(retired.is_unused());
    }
}

#[test]
fn a_guard_goes_to_another_thread_and_outlives_its_own() {
    let dropped = counter();
    let space = space(&dropped);
    let guard = thread::spawn({
        let space = space.clone();
        move || space.memory()
    });
    let guard = guard.join().unwrap();
    let retired = publish(&space, 2, &dropped);
    drop(space);
    assert!(!retired.is_unused());
    assert_eq!(generation(&guard), 1);
    drop(guard);
    assert!(retired.is_unused());
}

#[test]
fn a_map_taken_out_of_a_guard_is_held_too() {
    let dropped = counter();
    let space = space(&dropped);
    let held: Arc<Map> = space.memory().into_inner();
    let retired = publish(&space, 2, &dropped);
    assert!(!retired.is_unused());
    assert_eq!(generation(&held), 1);
    drop(held);
    assert!(retired.is_unused());
}

#[test]
fn a_reader_does_not_wait_for_the_lock() {
    // 33
    let dropped = counter();
    let space = space(&dropped);
    let (locked, is_locked) = mpsc::channel();
    let (release, is_released) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let space = &space;
        scope.spawn(move || {
            let guard = space.lock().unwrap();
            locked.send(()).unwrap();
            // Until the reader is through, or will never be.
            let result = is_released.recv_timeout(SOON);
            drop(guard);
            result.expect("the reader waits for the lock");
        });
        is_locked.recv().unwrap();
        for _ in 0..20 {
            assert_eq!(generation(&space.memory()), 1);
        }
        release.send(()).unwrap();
    });
}

#[test]
fn two_handles_are_handles_to_the_same() {
    let dropped = counter();
    let space = space(&dropped);
    let other = space.clone();
    drop(publish(&space, 2, &dropped));
    assert_eq!(generation(&other.memory()), 2);
    drop(publish(&other, 3, &dropped));
    assert_eq!(generation(&space.memory()), 3);
    drop(space);
    assert_eq!(generation(&other.memory()), 3);
    drop(other);
    assert_eq!(dropped.load(Ordering::SeqCst), 3);
}

#[test]
fn a_map_that_is_shared_already_is_taken_as_it_is() {
    let dropped = counter();
    let shared = Arc::new(map(1, 1, &dropped));
    let space = GuestMemoryAtomic::from(Arc::clone(&shared));
    assert!(std::ptr::eq(&*space.memory(), &*shared));
    assert!(Arc::ptr_eq(&space.memory().into_inner(), &shared));
    // Its other owner counts as a reader.
    let retired = publish(&space, 2, &dropped);
    assert!(!retired.is_unused());
    drop(shared);
    assert!(retired.is_unused());
}

// 34: writers

#[test]
fn the_exclusive_guard_shows_the_map_in_force() {
    let dropped = counter();
    let space = space(&dropped);
    drop(publish(&space, 2, &dropped));
    let guard = space.lock().unwrap();
    assert_eq!(generation(&guard), 2);
    assert_eq!(guard.num_regions(), 1);
    assert!(std::ptr::eq(&*guard, &*space.memory()));
}

#[test]
fn a_writer_that_changes_its_mind_changes_nothing() {
    let dropped = counter();
    let space = space(&dropped);
    let before = space.memory();
    drop(space.lock().unwrap());
    assert!(std::ptr::eq(&*before, &*space.memory()));
    assert_eq!(generation(&space.lock().unwrap()), 1);
}

#[test]
fn no_update_is_lost() {
    // 34: each insert is made from the map that the other thread's last insert is in.
    const INSERTS: u64 = 200;
    let dropped = counter();
    let space = space(&dropped);
    thread::scope(|scope| {
        for writer in 0..2 {
            let (space, dropped) = (&space, &dropped);
            scope.spawn(move || {
                for number in 0..INSERTS {
                    let place = 1 + 2 * number + writer;
                    let region = Region::new(place * LEN, place, dropped);
                    let guard = space.lock().unwrap();
                    let next = guard.insert_region(Arc::new(region)).unwrap();
                    guard.replace(next);
                }
            });
        }
    });
    let memory = space.memory();
    assert_eq!(memory.num_regions() as u64, 1 + 2 * INSERTS);
    for place in 1..=2 * INSERTS {
        assert_eq!(memory.read_obj::<u64>(GuestAddress(place * LEN)).unwrap(), place);
    }
    assert_eq!(dropped.load(Ordering::SeqCst), 0);
}

#[test]
fn a_writer_waits_for_the_other() {
    let dropped = counter();
    let space = space(&dropped);
    let guard = space.lock().unwrap();
    let (done, is_done) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| {
            // It sees what the first has published.
            let guard = space.lock().unwrap();
            done.send(generation(&guard)).unwrap();
        });
        assert!(is_done.recv_timeout(Duration::from_millis(50)).is_err());
        guard.replace(map(2, 1, &dropped));
        assert_eq!(is_done.recv_timeout(SOON).unwrap(), 2);
    });
}

#[test]
fn a_panic_under_the_lock_leaves_it_usable() {
    // 34
    let dropped = counter();
    let space = space(&dropped);
    for _ in 0..2 {
        let result = catch_unwind(AssertUnwindSafe(|| {
            let _guard = space.lock().unwrap();
            panic!("under the lock");
        }));
        assert!(result.is_err());
        assert_eq!(generation(&space.memory()), 1);
        // Not once, but for good.
        drop(space.lock().unwrap());
        drop(space.lock().unwrap());
    }
    let retired = publish(&space, 2, &dropped);
    assert_eq!(generation(&space.memory()), 2);
    assert!(retired.is_unused(), "the guard that panicked has let go");
}

#[test]
fn a_panic_in_another_thread_leaves_the_lock_usable_too() {
    let dropped = counter();
    let space = space(&dropped);
    let other = space.clone();
    let result = thread::spawn(move || {
        let _guard = other.lock().unwrap();
        panic!("under the lock");
    })
    .join();
    assert!(result.is_err());
    drop(publish(&space, 2, &dropped));
    assert_eq!(generation(&space.memory()), 2);
}

// The published shapes

#[test]
fn the_published_shapes_compile() {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<GuestMemoryAtomic<Map>>();
    is_shared::<GuestMemoryLoadGuard<Map>>();
    is_shared::<Retired<Map>>();

    fn number_of_regions<A: GuestAddressSpace<M: GuestMemory>>(space: &A) -> usize {
        space.memory().num_regions()
    }
    struct Device<A: GuestAddressSpace> {
        space: A,
    }

    let dropped = counter();
    let space: GuestMemoryAtomic<Map> = GuestMemoryAtomic::new(map(1, 1, &dropped));
    let result: LockResult<GuestMemoryExclusiveGuard<'_, Map>> = space.lock();
    let guard = result.unwrap();
    guard.replace(map(2, 3, &dropped));
    assert_eq!(number_of_regions(&space), 3);
    assert_eq!(number_of_regions(&Device { space: space.clone() }.space), 3);
    let guard: GuestMemoryLoadGuard<Map> = space.memory();
    let current: &Map = &guard.clone();
    assert_eq!(number_of_regions(&current), 3);
    assert_eq!(number_of_regions(&guard.into_inner()), 3);
    assert!(format!("{space:?}").contains("Region"));

    // Who handles a poisoned lock, as any other, still can.
    let map = map(4, 1, &dropped);
    match space.lock().map_err(TryLockError::from) {
        Ok(guard) => drop(guard.replace(map)),
        Err(_) => panic!("it never fails"),
    }
}

#[test]
fn lent_memory_can_be_swapped_too() {
    let (mut low, mut high) = (vec![0_u8; 16], vec![0_u8; 16]);
    let region = |start, bytes| SliceRegion::new(GuestAddress(start), bytes).unwrap();
    let low = GuestRegionCollection::from_regions(vec![region(0, &mut low)]).unwrap();
    let space = GuestMemoryAtomic::new(low);
    let next = GuestRegionCollection::from_regions(vec![region(0x1000, &mut high)]).unwrap();
    space.lock().unwrap().replace(next);
    assert!(space.memory().write_obj(7_u8, GuestAddress(0)).is_err());
    space.memory().write_obj(7_u8, GuestAddress(0x1000)).unwrap();
    drop(space);
    assert_eq!(high[0], 7);
}
