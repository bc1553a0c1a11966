//! When the last reader of an old map has gone (SEMANTICS line 35).

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{LEN, Map, SOON, counter, generation, map, publish, space};
use guest_address::GuestAddress;
use guest_atomic::{GuestMemoryAtomic, Retired};
use guest_memory::GuestAddressSpace;
use rstest::rstest;

#[test]
fn a_map_that_nobody_reads_is_unused_at_once() {
    let dropped = counter();
    let space = space(&dropped);
    drop(space.memory());
    let retired = publish(&space, 2, &dropped);
    assert!(retired.is_unused());
    assert_eq!(generation(retired.map()), 1);
    let old = retired.try_into_inner().unwrap();
    assert_eq!(generation(&old), 1);
    drop(old);
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
}

#[test]
fn a_map_that_somebody_reads_is_given_back() {
    let dropped = counter();
    let space = space(&dropped);
    let reader = space.memory();
    let retired = publish(&space, 2, &dropped);
    let retired = retired.try_into_inner().unwrap_err();
    assert_eq!(generation(retired.map()), 1);
    drop(reader);
    drop(retired.try_into_inner().unwrap());
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
}

#[rstest]
#[case::no_time(Duration::ZERO)]
#[case::some_time(Duration::from_millis(30))]
fn to_wait_ends_in_time(#[case] timeout: Duration) {
    let dropped = counter();
    let space = space(&dropped);
    let reader = space.memory();
    let retired = publish(&space, 2, &dropped);
    let start = Instant::now();
    let retired = retired.wait_timeout(timeout).unwrap_err();
    assert!(start.elapsed() >= timeout && start.elapsed() < SOON);
    assert!(!retired.is_unused());
    drop(reader);
    // Nobody is left: it takes no time, and a time that is up is no reason to refuse.
    drop(retired.wait_timeout(Duration::ZERO).unwrap());
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
}

#[rstest]
#[case::for_ever(|retired: Retired<Map>| retired.wait())]
#[case::for_long(|retired: Retired<Map>| retired.wait_timeout(SOON).unwrap())]
#[case::for_longer_than_there_is(|retired: Retired<Map>| retired.wait_timeout(Duration::MAX).unwrap())]
fn to_wait_is_to_wait_for_the_last_reader(#[case] wait: fn(Retired<Map>) -> Map) {
    let dropped = counter();
    let space = space(&dropped);
    let reads = AtomicUsize::new(0);
    let (first, second) = (space.memory(), space.memory());
    let retired = publish(&space, 2, &dropped);
    thread::scope(|scope| {
        for (guard, time) in [(first, 5), (second, 30)] {
            let reads = &reads;
            scope.spawn(move || {
                thread::sleep(Duration::from_millis(time));
                assert_eq!(generation(&guard), 1);
                // Relaxed: to let go has to order it.
                reads.fetch_add(1, Ordering::Relaxed);
                drop(guard);
            });
        }
        let old = wait(retired);
        assert_eq!(reads.load(Ordering::Relaxed), 2);
        assert_eq!(dropped.load(Ordering::SeqCst), 0);
        drop(old);
    });
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
}

#[test]
fn the_regions_that_the_next_map_has_stay() {
    let dropped = counter();
    let space = GuestMemoryAtomic::new(map(1, 2, &dropped));
    let guard = space.lock().unwrap();
    let (next, unplugged) = guard.remove_region(GuestAddress(LEN), LEN).unwrap();
    let retired = guard.replace(next);
    drop(retired.wait());
    assert_eq!(dropped.load(Ordering::SeqCst), 0, "one is held here, one in force");
    // Now nobody can reach it but by this.
    let region = Arc::into_inner(unplugged).expect("nobody else has it");
    drop(region);
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
    assert_eq!(generation(&space.memory()), 1);
}

#[test]
fn a_retired_map_that_is_dropped_goes_with_its_last_reader() {
    let dropped = counter();
    let space = space(&dropped);
    let reader = space.memory();
    drop(publish(&space, 2, &dropped));
    assert_eq!(generation(&reader), 1);
    drop(reader);
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
}
