//! The map in force, an access through it, and its replacement.

use std::hint::black_box;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use guest_atomic::GuestMemoryReader;
use guest_memory::{Bytes as _, GuestAddress};
use guest_mmap::GuestMemoryMmap;

use crate::company::beside;
use crate::compare::contestant::{Memory, Space};
use crate::compare::contestants::{FacadeSpace, OurSpace, Space016, Space018};
use crate::compare::maps::{Plain, add_all};
use crate::compare::session::{Company, Session, Setting};
use crate::raw::Place;
use crate::timing::each;

/// For operations that need no address.
const NOTHING: [(); 4096] = [(); 4096];

/// The map in force of each contestant.
struct Spaces {
    v016: Space016,
    v018: Space018,
    ours: OurSpace,
    facade: FacadeSpace,
}

impl Spaces {
    fn new(maps: &Plain) -> Self {
        Self {
            v016: Space016::new(maps.v016.clone()),
            v018: Space018::new(maps.v018.clone()),
            ours: OurSpace::new(maps.ours.clone()),
            facade: FacadeSpace::new(maps.facade.clone()),
        }
    }
}

/// All of them.
pub(crate) fn all(session: &Session, maps: &Plain) {
    locked(session);
    snapshots::<Company>(session, maps);
    snapshots_and_reads::<Company>(session, maps);
    replacements(session, maps);
}

/// What an operation costs that locks the cache line: the measure of many others.
fn locked(session: &Session) {
    let Some(mut group) = session.group::<Company>("locked", "fetch_or u64") else { return };
    let word = AtomicU64::new(0);
    group.add("raw", |count| {
        each(&NOTHING, count, |()| word.fetch_or(black_box(1), Ordering::SeqCst))
    });
    group.run();
}

pub(crate) fn snapshots<S: Setting>(session: &Session, maps: &Plain) {
    let pointer = AtomicPtr::new(ptr::from_ref(maps).cast_mut());
    let load = || pointer.load(Ordering::Acquire).addr() as u64;
    let spaces = Spaces::new(maps);
    if let Some(mut group) = session.group::<S>("snapshot", "1-thread") {
        group.add("raw", |count| each(&NOTHING, count, |()| load()));
        add_all!(S, group, &spaces, |space| |count| each(&NOTHING, count, |()| space.snapshot()));
        let mut reader = spaces.ours.reader();
        group.add("cached", move |count| {
            each(&NOTHING, count, |()| ptr::from_ref(reader.memory()).addr() as u64)
        });
        group.run();
    }
    if let Some(mut group) = session.group::<S>("snapshot", "2-threads") {
        group.longer(8);
        group.add("raw", |count| {
            beside(
                || {
                    black_box(load());
                },
                || each(&NOTHING, count, |()| load()),
            )
        });
        add_all!(S, group, &spaces, |space| |count| {
            let work = || {
                black_box(space.snapshot());
            };
            beside(work, || each(&NOTHING, count, |()| space.snapshot()))
        });
        let (ours, mut reader) = (&spaces.ours, spaces.ours.reader());
        group.add("cached", move |count| {
            let mut look = || ptr::from_ref(reader.memory()).addr() as u64;
            beside(|| others(ours, None), || each(&NOTHING, count, |()| look()))
        });
        group.run();
    }
}

fn snapshots_and_reads<S: Setting>(session: &Session, maps: &Plain) {
    if !session.wants("snapshot_read") {
        return;
    }
    let size = size_of::<u32>();
    let table = maps.touched(maps.layout.hot_addresses(size), size);
    let pointer = AtomicPtr::new(ptr::from_ref(maps).cast_mut());
    let load = || pointer.load(Ordering::Acquire).addr() as u64;
    let raw = maps.raw();
    let places: Vec<_> = table.iter().map(|addr| Place::<u32>::at(&raw, *addr)).collect();
    let read = |place: Place<'_, u32>| load().wrapping_add(place.read().into());
    let spaces = Spaces::new(maps);
    if let Some(mut group) = session.group::<S>("snapshot_read", "u32 hot 1-thread") {
        group.add("raw", |count| each(&places, count, read));
        add_all!(S, group, &spaces, |space| |count| {
            each(&table, count, |addr| space.snapshot_and_read(addr).into())
        });
        let (table, mut reader) = (&table, spaces.ours.reader());
        group.add("cached", move |count| each(table, count, |addr| read_by(&mut reader, addr)));
        group.run();
    }
    if let Some(mut group) = session.group::<S>("snapshot_read", "u32 hot 2-threads") {
        group.longer(8);
        group.add("raw", |count| {
            let work = || {
                black_box(load());
            };
            beside(work, || each(&places, count, read))
        });
        let other = table[0];
        add_all!(S, group, &spaces, |space| |count| {
            let work = || {
                black_box(space.snapshot_and_read(other));
            };
            beside(work, || each(&table, count, |addr| space.snapshot_and_read(addr).into()))
        });
        let (table, ours, mut reader) = (&table, &spaces.ours, spaces.ours.reader());
        group.add("cached", move |count| {
            let work = || others(ours, Some(other));
            beside(work, || each(table, count, |addr| read_by(&mut reader, addr)))
        });
        group.run();
    }
}

/// A read through a reader that keeps the map.
#[inline(always)]
fn read_by(reader: &mut GuestMemoryReader<GuestMemoryMmap>, addr: u64) -> u64 {
    reader.memory().read_obj::<u32>(GuestAddress(addr)).expect("memory is there").into()
}

/// Many looks at the map by a reader of its own, each with a read if there is an address.
fn others(space: &OurSpace, addr: Option<u64>) {
    let mut reader = space.reader();
    for _ in 0..NOTHING.len() {
        match addr {
            Some(addr) => black_box(read_by(&mut reader, addr)),
            None => black_box(ptr::from_ref(reader.memory()).addr() as u64),
        };
    }
}

/// The next maps are made before; what is given back of the old ones is dropped after. The published crates give nothing
/// back, so the drop is in theirs.
fn replacements(session: &Session, maps: &Plain) {
    if !session.wants("replace") {
        return;
    }
    for (case, readers) in [("0-readers", false), ("1-reader", true)] {
        let Some(mut group) = session.group::<Company>("replace", case) else { return };
        group.longer(8);
        let pointer = AtomicPtr::new(ptr::from_ref(maps).cast_mut());
        group.add("raw", move |count| {
            let value = pointer.load(Ordering::Relaxed);
            each(&NOTHING, count, |()| pointer.swap(value, Ordering::AcqRel).addr() as u64)
        });
        let (v016, v018) = (&maps.v016, &maps.v018);
        group.add("0.16", |count| replace::<_, Space016>(v016, readers, count));
        group.add("0.18", |count| replace::<_, Space018>(v018, readers, count));
        group.add("ours", |count| replace::<_, OurSpace>(&maps.ours, readers, count));
        group.add("facade", |count| replace::<_, FacadeSpace>(&maps.facade, readers, count));
        group.run();
    }
}

/// So many replacements, in batches, so that looking at the clock takes none of the time.
fn replace<M: Memory + Clone, S: Space<M>>(memory: &M, readers: bool, count: u64) -> Duration {
    const BATCH: u64 = 64;
    let space = S::new(memory.clone());
    let mut took = Duration::ZERO;
    let mut left = count;
    let mut old = Vec::with_capacity(BATCH as usize);
    let mut replace = || {
        while left > 0 {
            let now = left.min(BATCH);
            let next: Vec<_> = (0..now).map(|_| memory.clone()).collect();
            let start = Instant::now();
            old.extend(next.into_iter().map(|next| space.replace(next)));
            took += start.elapsed();
            old.clear();
            left -= now;
        }
    };
    if readers {
        beside(
            || {
                black_box(space.snapshot());
            },
            replace,
        );
    } else {
        replace();
    }
    took
}
