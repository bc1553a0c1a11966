//! Memory that was hot-unplugged is mapped until the last who may reach it has let go, and not longer, in real time (SEMANTICS
//! lines 33 and 35).
//!
//! Each map has a file of its own, by whose name `/proc/self/maps` tells whether its memory is still there. A reader that came too late
//! would die of a signal, and the test with it.

#![cfg(target_os = "linux")]

mod common;

use std::collections::VecDeque;
use std::fs::{self, File};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::place;
use guest_address::GuestAddress;
use guest_atomic::{GuestMemoryAtomic, PinnedWindow, Retired};
use guest_memory::{Bytes, GuestAddressSpace, GuestWindow, Permissions, WindowMemory};
use guest_mmap::{GuestMemoryMmap, GuestRegionMmap, leaked_bytes};
use nix::sys::memfd::{MFdFlags, memfd_create};

const PAGE: usize = 0x1000;
const TIME: Duration = Duration::from_millis(400);

type Space = GuestMemoryAtomic<GuestMemoryMmap>;

/// What a thread does until it is stopped.
type Reader<'a> = &'a (dyn Fn(&Space, &AtomicBool) + Sync);

/// How long it goes on: as many times longer as `STRESS` says.
fn time() -> Duration {
    let times = std::env::var("STRESS").ok().and_then(|times| times.parse().ok());
    TIME * times.unwrap_or(1)
}

/// A map of one region, whose first number is `generation`, and its last.
fn map(test: &str, generation: u64) -> GuestMemoryMmap {
    let name = name(test, generation);
    let file = File::from(memfd_create(&*name, MFdFlags::empty()).expect("the system has memfds"));
    file.set_len(PAGE as u64).expect("a memfd can have any length");
    let region = GuestRegionMmap::from_range(GuestAddress(0), PAGE, Some(place(&file, 0)));
    let map = GuestMemoryMmap::from_regions(vec![region.expect("the file is there")]);
    let map = map.expect("one region is in order");
    for at in [0, PAGE as u64 - 8] {
        map.write_obj(generation, GuestAddress(at)).expect("it is inside");
    }
    map
}

fn name(test: &str, generation: u64) -> String {
    format!("{test}-{generation}")
}

/// Whether memory of that map is there.
fn is_mapped(test: &str, generation: u64) -> bool {
    let end = format!("/memfd:{} (deleted)", name(test, generation));
    let maps = fs::read_to_string("/proc/self/maps").expect("there is procfs");
    maps.lines().any(|line| line.ends_with(&end))
}

/// The generation of the map, from both ends of its memory.
fn read(map: &GuestMemoryMmap) -> u64 {
    let ends = [0, PAGE as u64 - 8].map(|at| map.read_obj(GuestAddress(at)).expect("it is inside"));
    assert_eq!(ends[0], ends[1], "memory of two maps");
    ends[0]
}

/// Reads by guards, a few of which it keeps.
fn by_guards(space: &Space, stopped: &AtomicBool) {
    let mut held = VecDeque::new();
    while !stopped.load(Ordering::Relaxed) {
        let guard = space.memory();
        held.push_back((read(&guard), guard));
        if held.len() > 10 {
            held.drain(..8);
        }
        held.iter().for_each(|(generation, guard)| assert_eq!(read(guard), *generation));
    }
}

/// Reads by a kept map, and sleeps without it.
fn by_a_reader_that_sleeps(space: &Space, stopped: &AtomicBool) {
    let mut reader = space.reader();
    while !stopped.load(Ordering::Relaxed) {
        for _ in 0..50 {
            let kept = read(reader.memory());
            thread::yield_now();
            assert!(read(reader.memory()) >= kept);
        }
        reader.detach();
        thread::sleep(Duration::from_micros(200));
    }
}

/// Reads by windows, those that keep the map and those that keep the region alone, of which `oldest` is made known.
fn by_windows(space: &Space, stopped: &AtomicBool, oldest: &AtomicU64) {
    let mut pinned: VecDeque<(u64, PinnedWindow<_>)> = VecDeque::new();
    let mut of_region: VecDeque<(u64, GuestWindow<_>)> = VecDeque::new();
    while !stopped.load(Ordering::Relaxed) {
        let window = space.window(GuestAddress(0), 8, Permissions::Read).expect("it is there");
        pinned.push_back((window.read_obj(0).expect("it is inside"), window));
        let map = space.memory();
        let at = GuestAddress(PAGE as u64 - 8);
        let window = map.window(at, 8, Permissions::ReadWrite).expect("it is there");
        let generation = window.read_obj(0).expect("it is inside");
        of_region.push_back((generation, window));
        drop(map);
        thread::yield_now();
        for (generation, window) in &pinned {
            assert_eq!(window.read_obj(0), Ok(*generation));
        }
        for (generation, window) in &of_region {
            window.write_obj(*generation, 0).expect("it is for writing");
            assert_eq!(window.read_obj(0), Ok(*generation));
        }
        if pinned.len() > 4 {
            pinned.pop_front();
            of_region.pop_front();
        }
        if let Some((first, _)) = of_region.front() {
            // Those before it are unmapped.
            oldest.store(*first, Ordering::Release);
        }
    }
}

/// Replaces maps under these threads, and looks what is mapped. `left` says from which generation on memory may still be had
/// by somebody who has no map.
fn replace(test: &str, space: &Space, left: impl Fn() -> u64) {
    let mut waiting: VecDeque<(u64, Retired<GuestMemoryMmap>)> = VecDeque::new();
    let (start, mut next, mut went) = (Instant::now(), 1, 0);
    while start.elapsed() < time() || next < 100 || went == 0 {
        let retired = space.lock().expect("it never fails").replace(map(test, next));
        waiting.push_back((next - 1, retired));
        // Some are waited for, and the others are asked until they are unused.
        if next % 5 == 0 {
            let (generation, retired) = waiting.pop_back().expect("it was just put there");
            went += 1;
            went_with(test, generation, retired.wait(), &left);
        }
        for (generation, retired) in std::mem::take(&mut waiting) {
            assert!(is_mapped(test, generation), "it is here, as is the map");
            assert_eq!(read(retired.map()), generation);
            match retired.try_into_inner() {
                Ok(old) => {
                    went += 1;
                    went_with(test, generation, old, &left);
                }
                Err(retired) => waiting.push_back((generation, retired)),
            }
        }
        next += 1;
    }
}

/// The last map that has this memory goes, and the memory with it.
fn went_with(test: &str, generation: u64, old: GuestMemoryMmap, left: impl Fn() -> u64) {
    assert!(is_mapped(test, generation), "the map is here");
    drop(old);
    // Asked before the look: what may be had later only grows.
    let may_be_had = left() <= generation;
    assert!(may_be_had || !is_mapped(test, generation), "{generation} is mapped for nobody");
}

/// Tells the readers to stop, also when the test has failed.
struct StopsOnDrop<'a>(&'a AtomicBool);

impl Drop for StopsOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs the readers beside the writer, and sees that no memory is left but that of the last map.
fn race(test: &str, readers: &[Reader<'_>], left: impl Fn() -> u64) {
    let space = Space::new(map(test, 0));
    let stopped = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stop = StopsOnDrop(&stopped);
        for reader in readers {
            scope.spawn(|| reader(&space, &stopped));
        }
        replace(test, &space, left);
    });
    let last = read(&space.memory());
    assert!((0..last).all(|old| !is_mapped(test, old)));
    assert!(is_mapped(test, last));
    drop(space);
    assert!(!is_mapped(test, last));
    assert_eq!(leaked_bytes(), 0);
}

#[test]
fn memory_goes_with_the_last_guard_or_kept_map() {
    race(
        "guards",
        &[&by_guards, &by_guards, &by_a_reader_that_sleeps, &by_a_reader_that_sleeps],
        // Nobody has memory without a map.
        || u64::MAX,
    );
}

#[test]
fn memory_goes_with_the_last_window_on_its_map_or_region() {
    let oldest = AtomicU64::new(0);
    let windows = |space: &Space, stopped: &AtomicBool| by_windows(space, stopped, &oldest);
    race("windows", &[&windows, &by_guards], || oldest.load(Ordering::Acquire));
    assert!(oldest.load(Ordering::Acquire) > 0, "windows came to newer maps");
}
