//! Objects of constant size: the accesses of which every descriptor costs a handful.

use std::hint::black_box;
use std::time::Instant;

use crate::compare::contestant::{Memory, Object};
use crate::compare::maps::{Plain, add_all};
use crate::compare::resolved;
use crate::compare::session::{Session, Setting};
use crate::layout::{COUNT, POOL};
use crate::random::Random;
use crate::raw::{Place, Ring};
use crate::timing::each;

/// All of them, in each other's company.
pub(crate) fn all<S: Setting>(session: &Session, maps: &Plain) {
    reads::<S>(session, maps);
    writes::<S>(session, maps);
    if maps.layout.ranges().len() == 4 {
        control::<S>(session, maps);
        read::<[u64; 2], S>(session, maps, "read_16", "16B", |[low, high]| low.wrapping_add(high));
        read::<[u64; 8], S>(session, maps, "read_64", "64B", |words| black_box(words)[0]);
        write::<[u64; 8], S>(session, maps, "write_64", "64B", [1; 8]);
        atomics::<S>(session, maps);
    }
    chase::<S>(session, maps);
}

/// The raw contestant beside itself: what two of them differ by is how far a ratio can be trusted.
fn control<S: Setting>(session: &Session, maps: &Plain) {
    let size = size_of::<u32>();
    let raw = maps.raw();
    let table = maps.touched(maps.layout.hot_addresses(size), size);
    let places: Vec<_> = table.iter().map(|addr| Place::<u32>::at(&raw, *addr)).collect();
    let Some(mut group) = session.group::<S>("control", "u32 hot") else { return };
    for name in ["raw", "again"] {
        group.add(name, |count| each(&places, count, |place| place.read().into()));
    }
    group.run();
}

/// Integers.
pub(crate) fn reads<S: Setting>(session: &Session, maps: &Plain) {
    read::<u8, S>(session, maps, "read_obj", "u8", u64::from);
    read::<u16, S>(session, maps, "read_obj", "u16", u64::from);
    read_u32::<S>(session, maps);
    read::<u64, S>(session, maps, "read_obj", "u64", |value| value);
}

pub(crate) fn read_u32<S: Setting>(session: &Session, maps: &Plain) {
    read::<u32, S>(session, maps, "read_obj", "u32", u64::from);
}

pub(crate) fn writes<S: Setting>(session: &Session, maps: &Plain) {
    write::<u8, S>(session, maps, "write_obj", "u8", 1);
    write::<u16, S>(session, maps, "write_obj", "u16", 1);
    write_u32::<S>(session, maps);
    write::<u64, S>(session, maps, "write_obj", "u64", 1);
}

pub(crate) fn write_u32<S: Setting>(session: &Session, maps: &Plain) {
    write::<u32, S>(session, maps, "write_obj", "u32", 1);
}

/// How the case of a table is called.
pub(crate) fn case(maps: &Plain, size: &str, table: &str) -> String {
    format!("{size} n={} {table}", maps.layout.ranges().len())
}

fn read<T: Object, S: Setting>(
    session: &Session,
    maps: &Plain,
    row: &'static str,
    size: &str,
    digest: impl Fn(T) -> u64 + Copy,
) {
    if !session.wants(row) {
        return;
    }
    let raw = maps.raw();
    for (name, table) in maps.tables(size_of::<T>()) {
        let places: Vec<_> = table.iter().map(|addr| Place::<T>::at(&raw, *addr)).collect();
        let Some(mut group) = session.group::<S>(row, case(maps, size, name)) else { return };
        group.add("raw", |count| each(&places, count, |place| digest(place.read())));
        add_all!(S, group, maps, |memory| |count| {
            each(&table, count, |addr| digest(memory.read::<T>(addr)))
        });
        if S::COMPANY {
            resolved::add_reads(&mut group, maps.ours.map_itself(), &table, digest);
        }
        group.run();
    }
}

fn write<T: Object, S: Setting>(
    session: &Session,
    maps: &Plain,
    row: &'static str,
    size: &str,
    value: T,
) {
    if !session.wants(row) {
        return;
    }
    let raw = maps.raw();
    let value = black_box(value);
    for (name, table) in maps.tables(size_of::<T>()) {
        let places: Vec<_> = table.iter().map(|addr| Place::<T>::at(&raw, *addr)).collect();
        let Some(mut group) = session.group::<S>(row, case(maps, size, name)) else { return };
        group.add("raw", |count| {
            each(&places, count, |place| {
                place.write(value);
                0
            })
        });
        add_all!(S, group, maps, |memory| |count| {
            each(&table, count, |addr| {
                memory.write(value, addr);
                0
            })
        });
        if S::COMPANY {
            resolved::add_writes(&mut group, maps.ours.map_itself(), &table, value);
        }
        group.run();
    }
}

/// Acquire loads and release stores of an index.
pub(crate) fn atomics<S: Setting>(session: &Session, maps: &Plain) {
    let raw = maps.raw();
    let value = black_box(1_u16);
    for (name, table) in maps.tables(size_of::<u16>()) {
        let places: Vec<_> = table.iter().map(|addr| Place::<u16>::at(&raw, *addr)).collect();
        if let Some(mut group) = session.group::<S>("load", case(maps, "u16", name)) {
            group.add("raw", |count| each(&places, count, |place| place.load().into()));
            add_all!(S, group, maps, |memory| |count| {
                each(&table, count, |addr| memory.load(addr).into())
            });
            if S::COMPANY {
                resolved::add_loads(&mut group, maps.ours.map_itself(), &table);
            }
            group.run();
        }
        if let Some(mut group) = session.group::<S>("store", case(maps, "u16", name)) {
            group.add("raw", |count| {
                each(&places, count, |place| {
                    place.store(value);
                    0
                })
            });
            add_all!(S, group, maps, |memory| |count| {
                each(&table, count, |addr| {
                    memory.store(value, addr);
                    0
                })
            });
            if S::COMPANY {
                resolved::add_stores(&mut group, maps.ours.map_itself(), &table, value);
            }
            group.run();
        }
    }
}

/// Reads of which each says where the next one is: nothing can be done ahead of time.
fn chase<S: Setting>(session: &Session, maps: &Plain) {
    let tables = [("hot", maps.layout.hot_addresses(64)), ("random", maps.layout.addresses(64))];
    for (name, table) in tables {
        let Some(mut group) = session.group::<S>("chase", case(maps, "u64", name)) else { return };
        let order = ring(table);
        for hosts in maps.all() {
            for (here, next) in order.iter().zip(order.iter().cycle().skip(1)) {
                hosts.put(*here, *next);
            }
        }
        // A lap ahead, untimed: a sample of the slow has not the laps that would make the misses of the first, which the
        // other contestants are to blame for, vanish as they do in a sample of the fast.
        let lap = order.len() as u64;
        let mut raw = Ring::new(&maps.layout, &order);
        group.add("raw", move |count| {
            raw.chase(lap);
            raw.chase(count)
        });
        let start = order[0];
        add_all!(S, group, maps, |memory| {
            let mut at = start;
            move |count| {
                for _ in 0..lap {
                    at = memory.read::<u64>(at);
                }
                let start = Instant::now();
                for _ in 0..count {
                    at = memory.read::<u64>(at);
                }
                black_box(at);
                start.elapsed()
            }
        });
        group.run();
    }
}

/// Every address of the table once, in random order.
fn ring(mut table: Vec<u64>) -> Vec<u64> {
    table.sort_unstable();
    table.dedup();
    let mut random = Random::new(table.len() as u64);
    for end in (1..table.len()).rev() {
        table.swap(end, random.below(end as u64 + 1) as usize);
    }
    debug_assert!(table.len() <= COUNT.min(POOL / 64));
    table
}
