//! Who has waited for the readers of a map that was replaced may use its memory.
//!
//! Readers read by guards, by kept maps and by windows, and detach; a map's memory is written before it is published, and again when its
//! last reader has gone: by who has waited, or by the reader itself. Planted: the writer does not wait.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use guest_atomic::GuestMemoryAtomic;
use guest_memory::{Bytes, GuestAddress, GuestAddressSpace, GuestMemory, Permissions};
use guest_memory_races::region::{LEN, Map, Region};
use guest_memory_races::{beside, for_a_while, is_planted};

type Space = GuestMemoryAtomic<Map>;

/// The first address of a region.
fn start(index: u64) -> GuestAddress {
    GuestAddress(index * LEN as u64)
}

/// A map of two regions that say `value`.
fn map(value: u64) -> Map {
    let regions = (0..2).map(|index| Region::new(start(index), value)).collect();
    Map::from_regions(regions).expect("they are in order")
}

/// What both regions of the map say, by one access to each.
fn read(map: &Map) -> u64 {
    let values = [0, 1].map(|index| map.read_obj::<u64>(start(index)).expect("it is there"));
    assert_eq!(values[0], values[1], "two maps at once");
    // Over the border, by the general path.
    let at = GuestAddress(start(1).0 - 8);
    assert_eq!(map.read_obj::<[u64; 2]>(at).expect("both are there"), values);
    values[0]
}

fn by_guards(space: &Space, stopped: &AtomicBool) {
    let (mut latest, mut held) = (0, Vec::new());
    while !stopped.load(Ordering::Relaxed) {
        let guard = space.memory();
        let now = read(&guard);
        assert!(now >= latest, "an older map than before");
        latest = now;
        // More than are cheap, and clones.
        held.push(guard.clone());
        held.push(guard);
        if held.len() > 12 {
            held.iter().for_each(|guard| assert!(read(guard) <= now));
            held.clear();
        }
    }
}

fn by_a_kept_map(space: &Space, stopped: &AtomicBool) {
    let (mut reader, mut latest) = (space.reader(), 0);
    for number in 0_u64.. {
        if stopped.load(Ordering::Relaxed) {
            break;
        }
        let now = read(reader.memory());
        assert!(now >= latest, "an older map than before");
        latest = now;
        if number % 16 == 0 {
            reader.detach();
        }
    }
}

fn by_windows(space: &Space, stopped: &AtomicBool) {
    let mut reader = space.reader();
    let window = || space.window(start(0), 8, Permissions::Read).expect("it is there");
    let mut kept = window();
    let mut value = kept.read_obj::<u64>(0).expect("it is there");
    while !stopped.load(Ordering::Relaxed) {
        assert_eq!(kept.read_obj(0), Ok(value), "its memory went");
        if !kept.is_current() {
            kept = window();
            value = kept.read_obj(0).expect("it is there");
        }
        // A window of the region alone: the region lives on, not the map.
        let region = reader.memory().iter().next().expect("there are two");
        assert!(region.read_obj::<u64>(guest_memory::MemoryRegionAddress(0)).is_ok());
    }
}

fn main() {
    let planted = is_planted();
    let space = Space::new(map(0));
    let replace_all = || {
        for_a_while(|number| {
            let retired = space.lock().expect("it never fails").replace(map(number));
            if planted {
                retired.map().iter().for_each(|region| region.fill(number));
                return;
            }
            match number % 3 {
                // It goes with its last reader, who writes its memory.
                0 => drop(retired),
                1 => {
                    let old = retired.wait();
                    old.iter().for_each(|region| region.fill(number));
                }
                // `is_unused` ends in a fence, of which the sanitizer knows nothing; `try_into_inner` it understands.
                _ => {
                    let mut retired = retired;
                    let old = loop {
                        match retired.try_into_inner() {
                            Ok(old) => break old,
                            Err(used) => retired = used,
                        }
                        thread::yield_now();
                    };
                    old.iter().for_each(|region| region.fill(number));
                }
            }
        });
    };
    beside(
        replace_all,
        vec![
            Box::new(|stopped| by_guards(&space, stopped)),
            Box::new(|stopped| by_guards(&space, stopped)),
            Box::new(|stopped| by_a_kept_map(&space, stopped)),
            Box::new(|stopped| by_windows(&space, stopped)),
        ],
    );
}
