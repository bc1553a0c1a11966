//! Whole accesses: who reads while another writes sees the old value or the new one, and never a mix.
//!
//! One thread flips a value between 0 and all ones, another reads it. The full length of such a run is three seconds
//! (SEMANTICS 15); by default it is 200 ms, and the environment variable `GUEST_MEMORY_TEAR_SECONDS` sets another,
//! in seconds, as `cargo xtask ci --full` does.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::Ram;
use guest_volatile::{ByteValued, VolatileMemory, VolatileSlice};
use rstest::rstest;

fn duration() -> Duration {
    match std::env::var("GUEST_MEMORY_TEAR_SECONDS") {
        Ok(seconds) => Duration::from_secs_f64(seconds.parse().expect("a number of seconds")),
        Err(_) => Duration::from_millis(200),
    }
}

/// A way to write and to read an object at offset 8 of a memory.
#[derive(Clone, Copy)]
enum Way {
    Objects,
    Runs,
    References,
    Rows,
    Copies,
    Loads,
}

impl Way {
    fn write<T: ByteValued>(self, memory: &VolatileSlice<'_>, value: T) {
        match self {
            Self::Objects | Self::Loads => memory.write_obj(value, 8),
            Self::Runs => memory.write_slice(value.as_slice(), 8),
            Self::References => memory.get_ref(8).map(|object| object.store(value)),
            // From one element before it on, so that the run is aligned to no more than an element.
            Self::Rows => memory.offset(8 - size_of::<T>()).map(|row| row.copy_from(&[value; 12])),
            Self::Copies => memory.offset(8).map(|target| {
                let mut value = value;
                value.as_bytes().copy_to_volatile_slice(target);
            }),
        }
        .expect("inside");
    }

    fn read<T: ByteValued>(self, memory: &VolatileSlice<'_>) -> T {
        let mut value = T::zeroed();
        match self {
            Self::Objects => return memory.read_obj(8).expect("inside"),
            Self::Runs => memory.read_slice(value.as_mut_slice(), 8).expect("inside"),
            Self::References => return memory.get_ref(8).expect("inside").load(),
            Self::Rows => {
                let row = memory.offset(8 - size_of::<T>()).expect("inside");
                let mut elements = [value; 12];
                assert!(row.copy_to(&mut elements) > 1);
                return elements[1];
            }
            Self::Copies => {
                let source = memory.subslice(8, size_of::<T>()).expect("inside");
                source.copy_to_volatile_slice(value.as_bytes());
            }
            Self::Loads => {
                let loaded = match size_of::<T>() {
                    1 => u64::from(memory.load::<u8>(8, Ordering::Acquire).expect("aligned")),
                    2 => u64::from(memory.load::<u16>(8, Ordering::Acquire).expect("aligned")),
                    4 => u64::from(memory.load::<u32>(8, Ordering::Acquire).expect("aligned")),
                    _ => memory.load::<u64>(8, Ordering::Acquire).expect("aligned"),
                };
                let bytes = if cfg!(target_endian = "little") {
                    loaded.to_le_bytes()[..size_of::<T>()].to_vec()
                } else {
                    loaded.to_be_bytes()[8 - size_of::<T>()..].to_vec()
                };
                value.as_mut_slice().copy_from_slice(&bytes);
            }
        }
        value
    }
}

/// On a busy machine the other thread may not run at all for a while. Then there is nothing to see, for this long at most.
const PATIENCE: Duration = Duration::from_secs(60);

/// Flips and reads for `time`, and until both values were seen; or until `stop` says of what was read that it is enough.
/// How often each of them was seen.
fn race<T: ByteValued>(
    time: Duration,
    flip: impl Fn(&VolatileSlice<'_>, bool) + Sync,
    read: impl Fn(&VolatileSlice<'_>) -> T,
    mut stop: impl FnMut(&[u8]) -> bool,
) -> [usize; 2] {
    let mut ram = Ram::<64>::zeroed();
    let memory = ram.slice();
    let over = AtomicBool::new(false);
    let mut seen = [0; 2];
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for set in [true, false].into_iter().cycle() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                flip(&memory, set);
            }
        });
        let start = Instant::now();
        while start.elapsed() < time || (seen.contains(&0) && start.elapsed() < PATIENCE) {
            for _ in 0..1000 {
                let value = read(&memory);
                seen[usize::from(value.as_slice()[0] != 0)] += 1;
                if stop(value.as_slice()) {
                    over.store(true, Ordering::Relaxed);
                    return;
                }
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    seen
}

fn is_mixed(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| *byte != bytes[0]) || ![0, 0xff].contains(&bytes[0])
}

fn is_never_mixed<T: ByteValued>(way: Way) {
    let mut ones = T::zeroed();
    ones.as_mut_slice().fill(0xff);
    let mut mix = None;
    let seen = race(
        duration(),
        |memory, set| way.write(memory, if set { ones } else { T::zeroed() }),
        |memory| way.read::<T>(memory),
        |bytes| {
            mix = is_mixed(bytes).then(|| bytes.to_vec());
            mix.is_some()
        },
    );
    assert_eq!(mix, None);
    assert!(seen[0] > 0 && seen[1] > 0, "both values were there to be seen: {seen:?}");
}

// SEMANTICS 15.
#[rstest]
#[case::objects(Way::Objects)]
#[case::runs_of_bytes(Way::Runs)]
#[case::references(Way::References)]
#[case::rows(Way::Rows)]
#[case::copies_between_slices(Way::Copies)]
#[case::loads(Way::Loads)]
fn a_whole_access_is_never_seen_as_a_mix(#[case] way: Way, #[values(1, 2, 4, 8)] size: usize) {
    match size {
        1 => is_never_mixed::<u8>(way),
        2 => is_never_mixed::<u16>(way),
        4 => is_never_mixed::<u32>(way),
        _ => is_never_mixed::<u64>(way),
    }
}

// The proof that a mix would be seen: the same race, with a value written in pieces.
#[test]
fn a_write_in_pieces_is_seen_as_a_mix() {
    let mut mixed = false;
    race(
        PATIENCE,
        |memory, set| {
            for offset in 8..16 {
                memory.write_obj(if set { 0xff_u8 } else { 0 }, offset).expect("inside");
            }
        },
        |memory| memory.read_obj::<u64>(8).expect("inside"),
        |bytes| {
            mixed = is_mixed(bytes);
            mixed
        },
    );
    assert!(mixed);
}
