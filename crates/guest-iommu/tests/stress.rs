//! Devices access memory while its translations are changed under them, and nobody reaches a page that was taken away.

mod common;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use common::{Memory, map, memory, unmap};
use guest_iommu::GuestAddress;
use guest_memory::Permissions::{ReadWrite, Write};
use guest_memory::{Bytes, IoMemory};

const IOVA: GuestAddress = GuestAddress(0x8000);
const PAGES: [u64; 2] = [0x1000, 0x2000];
const DEVICES: usize = 2;
const TIME: Duration = Duration::from_secs(1);

/// How long it goes on: as many times longer as `STRESS` says.
fn time() -> Duration {
    let times = std::env::var("STRESS").ok().and_then(|times| times.parse().ok());
    TIME * times.unwrap_or(1)
}

/// One race at a time: there are few CPUs, and the more threads, the rarer they meet.
static ONE: Mutex<()> = Mutex::new(());

/// Tells the devices to stop, also when the test has failed.
struct StopsOnDrop<'a>(&'a AtomicBool);

impl Drop for StopsOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What a device does with the page, over and over.
type Device = fn(&Memory, u64) -> bool;

/// By single accesses.
fn writes_objects(memory: &Memory, value: u64) -> bool {
    memory.write_obj(value, IOVA).is_ok()
}

/// By a slice that it keeps for a while.
fn keeps_a_slice(memory: &Memory, value: u64) -> bool {
    let Some(slice) = memory.find_io_slice(IOVA, 0x100, Write) else { return false };
    thread::yield_now();
    let part = slice.subslice(0x80, 8).expect("it is inside");
    drop(slice);
    thread::yield_now();
    part.write_obj(value, 0).is_ok()
}

/// By a range of two pieces.
fn writes_two_pieces(memory: &Memory, value: u64) -> bool {
    let bytes = [value.to_ne_bytes(); 0x20].concat();
    memory.write_slice(&bytes, GuestAddress(IOVA.0 + 0xf80)).is_ok()
}

/// By a slice at every moment: the next is there before the last is gone.
fn hands_over(memory: &Memory, value: u64) -> bool {
    let mut slice = memory.find_io_slice(IOVA, 8, Write);
    for _ in 0..10 {
        let next = memory.find_io_slice(IOVA, 8, Write);
        if let Some(slice) = std::mem::replace(&mut slice, next) {
            slice.write_obj(value, 0).expect("it is for writing");
        }
    }
    slice.is_some()
}

/// Runs the devices, and takes one of two pages away from them over and over.
fn nobody_reaches_a_page_that_was_taken_away(device: Device, unmaps: bool) {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let memory = memory(&[(0x1000, 0x3000)]);
    map(&memory, IOVA.0 + 0x1000, 0x3000, 0x1000, ReadWrite);
    map(&memory, IOVA.0, PAGES[0], 0x1000, ReadWrite);
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let turns = thread::scope(|scope| {
        let _stop = StopsOnDrop(&stop);
        for number in 0..DEVICES {
            let (memory, stop, done) = (&memory, &stop, &done);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let did = device(memory, !(number as u64));
                    done.fetch_add(u64::from(did), Ordering::Relaxed);
                }
            });
        }
        let (start, mut turns) = (Instant::now(), 0);
        while start.elapsed() < time() {
            let (old, new) = (PAGES[turns % 2], PAGES[(turns + 1) % 2]);
            if unmaps {
                unmap(&memory, IOVA.0, 0x1000);
            } else {
                map(&memory, IOVA.0, new, 0x1000, ReadWrite);
            }
            memory.past_leases().wait_timeout(Duration::from_secs(30)).expect("no hang");
            // The guest uses the page for something else now.
            let backend = memory.get_backend();
            backend.write_slice(&[0; 0x1000], GuestAddress(old)).expect("it is there");
            for _ in 0..2 {
                thread::yield_now();
                let mut page = [1; 0x1000];
                backend.read_slice(&mut page, GuestAddress(old)).expect("it is there");
                assert!(page == [0; 0x1000], "turn {turns}: a device wrote to {old:#x}");
            }
            map(&memory, IOVA.0, new, 0x1000, ReadWrite);
            // Some access comes first, or there would be nothing to race with.
            let before = done.load(Ordering::Relaxed);
            while done.load(Ordering::Relaxed) == before && start.elapsed() < time() {
                thread::yield_now();
            }
            turns += 1;
        }
        turns
    });
    assert!(turns > 1, "not even one page was taken away");
    assert!(memory.past_leases().are_over());
}

#[test]
fn not_by_single_accesses() {
    nobody_reaches_a_page_that_was_taken_away(writes_objects, false);
}

#[test]
fn not_by_slices_that_are_kept_for_a_while() {
    nobody_reaches_a_page_that_was_taken_away(keeps_a_slice, true);
}

#[test]
fn not_by_ranges_of_two_pieces() {
    nobody_reaches_a_page_that_was_taken_away(writes_two_pieces, false);
}

#[test]
fn not_by_slices_that_are_handed_over_and_nobody_waits_for_ever() {
    nobody_reaches_a_page_that_was_taken_away(hands_over, true);
}

#[test]
fn many_threads_that_wait_all_come_back() {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let memory = memory(&[(0x1000, 0x3000)]);
    map(&memory, IOVA.0, PAGES[0], 0x1000, ReadWrite);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stop = StopsOnDrop(&stop);
        for _ in 0..DEVICES {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    hands_over(&memory, 1);
                }
            });
        }
        let waiters: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let past = memory.past_leases();
                        past.wait_timeout(Duration::from_secs(30)).expect("no hang");
                        assert!(past.are_over());
                    }
                })
            })
            .collect();
        let came_back = waiters.into_iter().map(|waiter| waiter.join().is_ok());
        let came_back: Vec<_> = came_back.collect();
        assert_eq!(came_back, [true; 4]);
    });
}
