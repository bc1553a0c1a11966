//! Small accesses are whole, through the map and in real time (SEMANTICS line 15).
//!
//! One thread flips a value between no bits and all bits, another must never see a mix. `GUEST_MEMORY_TEAR_SECONDS`
//! gives each pair so many seconds (the full length is 3), instead of the fifth of one.

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use guest_address::GuestAddress;
use guest_memory::{ByteValued, Bytes, GuestMemory, VolatileMemory};
use guest_mmap::GuestMemoryMmap;
use rstest::rstest;

const BASE: u64 = 0x1_0000;
/// Where the first region ends. Aligned on the host, as are the regions' starts.
const BORDER: u64 = BASE + 0x1000;

type Memory = GuestMemoryMmap<()>;

fn memory() -> Memory {
    GuestMemoryMmap::from_ranges(&[(GuestAddress(BASE), 0x1000), (GuestAddress(BORDER), 0x1000)])
        .expect("the ranges make a map")
}

fn time() -> Duration {
    let seconds = std::env::var("GUEST_MEMORY_TEAR_SECONDS").ok();
    let seconds = seconds.map(|text| text.parse().expect("a number of seconds"));
    seconds.map_or(Duration::from_millis(200), Duration::from_secs_f64)
}

/// An integer that can have no bits and all bits.
trait Flip: ByteValued + PartialEq + Debug + Send + Sync {
    const NONE: Self;
    const ALL: Self;
}

impl Flip for u8 {
    const NONE: Self = 0;
    const ALL: Self = !0;
}

impl Flip for u16 {
    const NONE: Self = 0;
    const ALL: Self = !0;
}

impl Flip for u32 {
    const NONE: Self = 0;
    const ALL: Self = !0;
}

impl Flip for u64 {
    const NONE: Self = 0;
    const ALL: Self = !0;
}

/// How a value is written and read.
#[derive(Clone, Copy)]
struct Path<T> {
    write: fn(&Memory, T, GuestAddress),
    read: fn(&Memory, GuestAddress) -> T,
}

/// Room for a value at its start, and bytes behind it.
#[repr(align(8))]
struct Buffer([u8; 16]);

fn object<T: Flip>() -> Path<T> {
    Path {
        write: |memory, value, addr| memory.write_obj(value, addr).expect("there is memory"),
        read: |memory, addr| memory.read_obj(addr).expect("there is memory"),
    }
}

fn slice<T: Flip>() -> Path<T> {
    Path {
        // A value is aligned as its own bytes have to be.
        write: |memory, value, addr| {
            memory.write_slice(value.as_slice(), addr).expect("there is memory");
        },
        read: |memory, addr| {
            let mut value = T::NONE;
            memory.read_slice(value.as_mut_slice(), addr).expect("there is memory");
            value
        },
    }
}

fn partial<T: Flip>() -> Path<T> {
    Path {
        write: |memory, value, addr| {
            let count = memory.write(value.as_slice(), addr).expect("there is memory");
            assert_eq!(count, size_of::<T>());
        },
        read: |memory, addr| {
            let mut value = T::NONE;
            let count = memory.read(value.as_mut_slice(), addr).expect("there is memory");
            assert_eq!(count, size_of::<T>());
            value
        },
    }
}

fn reference<T: Flip>() -> Path<T> {
    Path {
        write: |memory, value, addr| {
            let slice = memory.get_slice(addr, size_of::<T>()).expect("there is memory");
            slice.get_ref::<T>(0).expect("it holds one").store(value);
        },
        read: |memory, addr| {
            let slice = memory.get_slice(addr, size_of::<T>()).expect("there is memory");
            slice.get_ref::<T>(0).expect("it holds one").load()
        },
    }
}

/// The value is the head of an object whose other half lies in the next region.
fn head<T: Flip>() -> Path<T> {
    Path {
        write: |memory, value, addr| {
            let mut object = Buffer([7; 16]);
            object.0[..size_of::<T>()].copy_from_slice(value.as_slice());
            memory.write_slice(&object.0[..2 * size_of::<T>()], addr).expect("there is memory");
        },
        read: |memory, addr| {
            let mut object = Buffer([7; 16]);
            let bytes = &mut object.0[..2 * size_of::<T>()];
            memory.read_slice(bytes, addr).expect("there is memory");
            let mut value = T::NONE;
            value.as_mut_slice().copy_from_slice(&object.0[..size_of::<T>()]);
            value
        },
    }
}

/// Writes and reads by `path` from two threads, at the last place for the value before the border.
fn never_torn<T: Flip>(path: Path<T>) {
    let memory = memory();
    let addr = GuestAddress(BORDER - size_of::<T>() as u64);
    let stopped = AtomicBool::new(false);
    let (none, all) = thread::scope(|scope| {
        scope.spawn(|| {
            while !stopped.load(Ordering::Relaxed) {
                (path.write)(&memory, T::ALL, addr);
                (path.write)(&memory, T::NONE, addr);
            }
        });
        let start = Instant::now();
        let (mut none, mut all) = (0_u64, 0_u64);
        // Who never sees the writer proves nothing, but on a busy machine it may take a while to.
        while start.elapsed() < time()
            || (none == 0 || all == 0) && start.elapsed() < Duration::from_secs(20)
        {
            for _ in 0..1000 {
                match (path.read)(&memory, addr) {
                    value if value == T::NONE => none += 1,
                    value if value == T::ALL => all += 1,
                    mix => {
                        stopped.store(true, Ordering::Relaxed);
                        panic!("{mix:x?} after {} reads", none + all);
                    }
                }
            }
        }
        stopped.store(true, Ordering::Relaxed);
        (none, all)
    });
    assert!(none > 0 && all > 0, "{none} and {all}");
}

#[rstest]
#[case::object(object())]
#[case::slice(slice())]
#[case::partial(partial())]
#[case::reference(reference())]
#[case::head(head())]
fn a_u8_is_whole(#[case] path: Path<u8>) {
    never_torn(path);
}

#[rstest]
#[case::object(object())]
#[case::slice(slice())]
#[case::partial(partial())]
#[case::reference(reference())]
#[case::head(head())]
fn a_u16_is_whole(#[case] path: Path<u16>) {
    never_torn(path);
}

#[rstest]
#[case::object(object())]
#[case::slice(slice())]
#[case::partial(partial())]
#[case::reference(reference())]
#[case::head(head())]
fn a_u32_is_whole(#[case] path: Path<u32>) {
    never_torn(path);
}

#[rstest]
#[case::object(object())]
#[case::slice(slice())]
#[case::partial(partial())]
#[case::reference(reference())]
#[case::head(head())]
fn a_u64_is_whole(#[case] path: Path<u64>) {
    never_torn(path);
}
