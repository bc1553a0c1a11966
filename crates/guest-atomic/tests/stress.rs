//! Maps are swapped by the thousand under running readers, in real time (SEMANTICS lines 33 to 35).

mod common;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{GONE, LEN, Map, Region, generation, map};
use guest_address::GuestAddress;
use guest_atomic::{GuestMemoryAtomic, PinnedWindow, Retired};
use guest_memory::{Bytes, GuestAddressSpace, GuestMemory, Permissions};

const TIME: Duration = Duration::from_millis(400);
/// What a writer publishes at least, whatever the time.
const SWAPS: u64 = 2000;

/// How long it goes on: as many times longer as `STRESS` says.
fn time() -> Duration {
    let times = std::env::var("STRESS").ok().and_then(|times| times.parse().ok());
    TIME * times.unwrap_or(1)
}

/// Every region of the map says the same, and none has been dropped. Returns what they say.
fn check(map: &Map) -> u64 {
    let first = generation(map);
    assert_ne!(first, GONE, "the memory is there no longer");
    let regions = map.num_regions() as u64;
    // The number of regions tells of the generation too.
    assert_eq!(regions, 1 + first % 3);
    for index in 1..regions {
        let other = map.read_obj::<u64>(GuestAddress(index * LEN)).expect("there is a region");
        assert_eq!(other, first, "two generations in one map");
    }
    first
}

fn map_of(generation: u64, dropped: &Arc<AtomicUsize>) -> Map {
    map(generation, 1 + generation % 3, dropped)
}

/// Reads the map in force until it is told to stop, holding guards in all the ways there are.
fn read(space: &GuestMemoryAtomic<Map>, stopped: &AtomicBool) -> u64 {
    let mut latest = 0;
    let mut reads = 0;
    let mut held = VecDeque::new();
    let mut kept: Option<Arc<Map>> = None;
    while !stopped.load(Ordering::Relaxed) {
        let guard = space.memory();
        let now = check(&guard);
        assert!(now >= latest, "an older map than before");
        latest = now;
        reads += 1;
        match reads % 64 {
            0 => held.push_back(guard.clone()),
            // Now and then more guards than are cheap.
            1..=12 => held.push_back(guard),
            20 => kept = Some(guard.into_inner()),
            30 => held.clear(),
            _ => drop(guard),
        }
        if let Some(guard) = held.front() {
            check(guard);
        }
        if let Some(map) = &kept {
            check(map);
        }
    }
    reads
}

/// What became of the maps that were replaced.
#[derive(Default)]
struct Old {
    waiting: VecDeque<Retired<Map>>,
    taken: usize,
}

impl Old {
    /// Takes those that nobody reads any longer, and leaves a few to go by themselves.
    fn push(&mut self, retired: Retired<Map>, dropped: &AtomicUsize) {
        self.waiting.push_back(retired);
        for retired in std::mem::take(&mut self.waiting) {
            let unused = retired.is_unused();
            match retired.try_into_inner() {
                Ok(map) => {
                    // It is whole up to here, and is not dropped by somebody else.
                    let regions = map.num_regions();
                    check(&map);
                    let before = dropped.load(Ordering::SeqCst);
                    drop(map);
                    assert!(dropped.load(Ordering::SeqCst) >= before + regions);
                    self.taken += 1;
                }
                Err(retired) => {
                    assert!(!unused, "once unused, it stays unused");
                    // Every other one in a full list is left to its last reader.
                    if self.waiting.len() < 32 {
                        self.waiting.push_back(retired);
                    }
                }
            }
        }
    }
}

#[test]
fn readers_see_one_map_at_a_time_and_no_map_is_kept() {
    let dropped = Arc::<AtomicUsize>::default();
    let space = GuestMemoryAtomic::new(map_of(0, &dropped));
    let stopped = AtomicBool::new(false);
    let mut made = 1;
    thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let space = space.clone();
                scope.spawn(|| {
                    let space = space;
                    read(&space, &stopped)
                })
            })
            .collect();
        let mut old = Old::default();
        let start = Instant::now();
        let mut next = 1;
        while start.elapsed() < time() || next <= SWAPS {
            let map = map_of(next, &dropped);
            made += map.num_regions();
            let guard = space.lock().expect("it never fails");
            assert_eq!(check(&guard), next - 1, "nobody else publishes");
            let retired = guard.replace(map);
            assert_eq!(check(retired.map()), next - 1);
            old.push(retired, &dropped);
            next += 1;
        }
        stopped.store(true, Ordering::Relaxed);
        let reads: u64 =
            readers.into_iter().map(|reader| reader.join().expect("it found no fault")).sum();
        assert!(reads > 0 && old.taken > 0, "{reads} reads, {} taken", old.taken);
        // All guards are gone.
        assert!(old.waiting.iter().all(Retired::is_unused));
    });
    drop(space);
    assert_eq!(dropped.load(Ordering::SeqCst), made);
}

#[test]
fn several_writers_lose_no_update_under_readers() {
    const WRITERS: u64 = 3;
    const INSERTS: u64 = 100;
    let dropped = Arc::<AtomicUsize>::default();
    let space = GuestMemoryAtomic::new(map(7, 1, &dropped));
    let left = AtomicU64::new(WRITERS);
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (space, left, dropped) = (&space, &left, &dropped);
            scope.spawn(move || {
                for number in 0..INSERTS {
                    let start = (1 + number * WRITERS + writer) * LEN;
                    let guard = space.lock().expect("it never fails");
                    let region = Arc::new(Region::new(start, 7, dropped));
                    let next = guard.insert_region(region).expect("the place is free");
                    let count = next.num_regions();
                    // Plug and unplug: the region that another thread has added stays.
                    let (without, _) = next.remove_region(GuestAddress(start), LEN).expect("there");
                    assert_eq!(without.num_regions(), count - 1);
                    guard.replace(next);
                }
                left.fetch_sub(1, Ordering::Relaxed);
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                let mut most = 0;
                while left.load(Ordering::Relaxed) > 0 {
                    let memory = space.memory();
                    let regions = memory.num_regions();
                    assert!(regions >= most, "an update was lost");
                    most = regions;
                    for region in memory.iter() {
                        let addr = guest_address::MemoryRegionAddress(0);
                        assert_eq!(region.read_obj::<u64>(addr).expect("there is memory"), 7);
                    }
                }
            });
        }
    });
    assert_eq!(space.memory().num_regions() as u64, 1 + WRITERS * INSERTS);
    assert_eq!(dropped.load(Ordering::SeqCst), 0);
}

#[test]
fn to_wait_under_running_readers_comes_to_an_end() {
    // 35: readers come and go all the time, but not to the old map.
    let dropped = Arc::<AtomicUsize>::default();
    let space = GuestMemoryAtomic::new(map_of(0, &dropped));
    let stopped = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stopped.load(Ordering::Relaxed) {
                    check(&space.memory());
                }
            });
        }
        let start = Instant::now();
        let mut next = 1;
        let mut gone = 0;
        while start.elapsed() < time() / 2 || next <= 100 {
            let retired = space.lock().expect("it never fails").replace(map_of(next, &dropped));
            let old = retired.wait();
            gone += old.num_regions();
            assert_eq!(check(&old), next - 1);
            drop(old);
            assert_eq!(dropped.load(Ordering::SeqCst), gone);
            next += 1;
        }
        stopped.store(true, Ordering::Relaxed);
    });
}

/// Reads with a reader that keeps its map until it is told to stop; beside it guards and windows, none of which may be ahead of
/// what the reader gives next.
fn read_kept(space: &GuestMemoryAtomic<Map>, published: &AtomicU64, stopped: &AtomicBool) -> u64 {
    let mut reader = space.reader();
    let mut windows: VecDeque<(u64, PinnedWindow<Map>)> = VecDeque::new();
    let (mut latest, mut told, mut reads) = (0, None, 0_u64);
    while !stopped.load(Ordering::Relaxed) {
        reads += 1;
        // What this thread knows to be in force, or to have been, by three ways.
        match reads % 4 {
            0 => latest = latest.max(published.load(Ordering::Acquire)),
            1 => latest = latest.max(check(&space.memory())),
            2 => {
                let window = space.window(GuestAddress(0), 8, Permissions::Read).expect("memory");
                latest = latest.max(window.read_obj(0).expect("it is there"));
            }
            _ => {}
        }
        if reads % 3 == 0 {
            if let Some(memory) = reader.refresh() {
                let now = check(memory);
                assert_ne!(told, Some(now), "it tells once");
                told = Some(now);
                latest = latest.max(now);
            } else {
                assert!(told.is_some_and(|told| told >= latest), "a new map was not told of");
            }
        }
        let now = check(reader.memory());
        assert!(now >= latest, "an older map than this thread knows of");
        latest = now;
        let window = reader.window(GuestAddress(0), 8, Permissions::Read).expect("memory");
        windows.push_back((now, window));
        for (made, window) in &windows {
            assert_eq!(window.read_obj(0), Ok(*made), "its memory went, or changed");
            // Once a newer map is known of, an old window says so; and those of the newest do not go out by themselves.
            assert!(*made == latest || !window.is_current());
        }
        if windows.len() > 8 {
            windows.pop_front();
        }
        if reads % 64 == 0 {
            windows.clear();
            reader.detach();
            told = None;
        }
    }
    reads
}

#[test]
fn kept_maps_and_windows_are_never_older_than_what_is_known() {
    let dropped = Arc::<AtomicUsize>::default();
    let space = GuestMemoryAtomic::new(map_of(0, &dropped));
    let (stopped, published) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut made = 1;
    thread::scope(|scope| {
        let readers: Vec<_> =
            (0..3).map(|_| scope.spawn(|| read_kept(&space, &published, &stopped))).collect();
        let mut old = Old::default();
        let start = Instant::now();
        let mut next = 1;
        while start.elapsed() < time() || next <= SWAPS {
            let map = map_of(next, &dropped);
            made += map.num_regions();
            let window = space.window(GuestAddress(0), 8, Permissions::Read).expect("memory");
            assert!(window.is_current(), "nobody else publishes");
            let retired = space.lock().expect("it never fails").replace(map);
            assert!(!window.is_current());
            published.store(next, Ordering::Release);
            assert!(!retired.is_unused(), "the window has it");
            drop(window);
            old.push(retired, &dropped);
            next += 1;
        }
        stopped.store(true, Ordering::Relaxed);
        for reader in readers {
            assert!(reader.join().expect("it found no fault") > 0);
        }
        assert!(old.waiting.iter().all(Retired::is_unused));
    });
    drop(space);
    assert_eq!(dropped.load(Ordering::SeqCst), made);
}
