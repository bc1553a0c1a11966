//! Memory that is mapped for reading only: every way to write it is refused, and none touches or marks a byte.

#![expect(unsafe_code, reason = "asks for references into the memory, and is refused")]

mod common;

use std::sync::atomic::{AtomicU32, Ordering};

use common::{Log, Ram, View, bytes};
use guest_volatile::{
    ByteValued, Error, ReadVolatile, Result, VolatileArrayRef, VolatileMemory, VolatileSlice,
};

type Slice<'a> = VolatileSlice<'a, View<'a>>;
const ORDER: Ordering = Ordering::SeqCst;

/// A safe way to write.
type Way = fn(&Slice<'_>) -> Result<()>;
/// One that can give no error.
type SilentWay = fn(&Slice<'_>);

const WAYS: [(&str, Way); 21] = [
    ("write", |memory| memory.write(&[1; 4], 0).map(drop)),
    ("write_in_part", |memory| memory.write(&[1; 4], 62).map(drop)),
    ("write_slice", |memory| memory.write_slice(&[1; 4], 0)),
    ("write_slice_in_part", |memory| memory.write_slice(&[1; 4], 62)),
    ("write_whole", |memory| memory.write_whole(&[1; 4], 0)),
    ("write_obj", |memory| memory.write_obj(1_u32, 0)),
    ("write_obj_of_a_byte", |memory| memory.write_obj(1_u8, 63)),
    ("write_obj_in_part", |memory| memory.write_obj(1_u32, 62)),
    ("write_obj_that_is_long", |memory| memory.write_obj([1_u8; 63], 0)),
    ("store", |memory| memory.store(1_u32, 0, ORDER)),
    ("compare_exchange", |memory| memory.compare_exchange(1_u8, 2, 0, ORDER, ORDER).map(drop)),
    ("compare_exchange_that_fails", |memory| {
        memory.compare_exchange(0_u8, 2, 0, ORDER, ORDER).map(drop)
    }),
    ("fetch_add", |memory| memory.fetch_add(1_u16, 0, ORDER).map(drop)),
    ("fetch_and", |memory| memory.fetch_and(0_u32, 0, ORDER).map(drop)),
    ("fetch_or", |memory| memory.fetch_or(1_u64, 0, ORDER).map(drop)),
    ("get_ref", |memory| memory.get_ref::<u32>(0).map(|object| object.store(1))),
    ("get_array_ref", |memory| memory.get_array_ref::<u32>(0, 2).map(|array| array.store(0, 1))),
    ("read_volatile", |memory| (&[1_u8; 4][..]).read_volatile(&mut memory.clone()).map(drop)),
    ("read_exact_volatile", |memory| (&[1_u8; 64][..]).read_exact_volatile(&mut memory.clone())),
    ("read_volatile_from", |memory| memory.read_volatile_from(0, &mut &[1_u8; 4][..], 4).map(drop)),
    ("read_exact_volatile_from", |memory| {
        memory.read_exact_volatile_from(0, &mut &[1_u8; 4][..], 4)
    }),
];

// SEMANTICS 29.
#[test]
fn every_way_to_write_is_refused_with_the_reason() {
    let (mut ram, log) = (Ram::<64>::counting(), Log::default());
    let before = ram.0;
    let memory = log.watch(ram.slice());
    let read_only = memory.read_only();
    assert!(read_only.is_read_only() && !memory.is_read_only());

    let (half, _) = read_only.split_at(64).expect("all of it");
    let parts = [
        read_only,
        // What is cut out of it is read-only as well.
        read_only.subslice(0, 64).expect("all of it"),
        read_only.offset(0).expect("all of it"),
        read_only.as_volatile_slice(),
        half,
    ];
    for (name, write) in WAYS {
        for part in &parts {
            assert!(matches!(write(part), Err(Error::NotWritable)), "{name}");
        }
        assert_eq!(bytes(&memory), before, "{name}");
        assert_eq!(log.take(), [], "{name}");
        // The same is done where it may be, so that it is not refused for another reason.
        let same = write(&memory);
        assert!(!matches!(same, Err(Error::NotWritable)), "{name}");
        memory.write_slice(&before, 0).expect("all of it");
        log.take();
    }
}

const SILENT_WAYS: [(&str, SilentWay); 6] = [
    ("copy_from", |memory| memory.copy_from(&[1_u8; 4])),
    ("copy_from of words", |memory| memory.copy_from(&[1_u32; 4])),
    ("copy_to_volatile_slice", |memory| {
        VolatileSlice::from(&mut [1; 4][..]).copy_to_volatile_slice(*memory);
    }),
    ("host_ptr_mut", |memory| assert!(memory.host_ptr_mut().is_empty())),
    ("host_ptr_mut with a count", |memory| memory.host_ptr_mut().written(4)),
    ("array of bytes", |memory| {
        let array = VolatileArrayRef::from(*memory);
        array.copy_from(&[1; 4]);
        assert!(array.is_empty());
    }),
];

// SEMANTICS 29.
#[test]
fn ways_to_write_without_an_error_do_nothing() {
    let (mut ram, log) = (Ram::<64>::counting(), Log::default());
    let before = ram.0;
    let memory = log.watch(ram.slice());
    for (name, write) in SILENT_WAYS {
        write(&memory.read_only());
        assert_eq!(bytes(&memory), before, "{name}");
        assert_eq!(log.take(), [], "{name}");
    }
}

// SEMANTICS 29.
#[test]
fn references_for_writing_are_refused() {
    let (mut ram, log) = (Ram::<64>::counting(), Log::default());
    let memory = log.watch(ram.slice()).read_only();
    // SAFETY: nobody else accesses the test's own array.
    let object = unsafe { memory.aligned_as_mut::<u32>(0) };
    assert!(matches!(object, Err(Error::NotWritable)));
    // SAFETY: nothing is stored, as nothing is given.
    let atomic = unsafe { memory.get_atomic_ref::<AtomicU32>(0) };
    assert!(matches!(atomic, Err(Error::NotWritable)));
    assert_eq!(log.take(), []);
}

#[test]
fn every_way_to_read_is_as_good_as_before() {
    let mut ram = Ram::<64>::counting();
    let before = ram.0;
    let memory = ram.slice().read_only();
    let word = u32::from_ne_bytes([1, 2, 3, 4]);

    assert_eq!(bytes(&memory), before);
    assert_eq!(memory.read_obj::<u32>(0).expect("inside"), word);
    assert_eq!(memory.copy_to(&mut [0_u32; 20]), 16);
    assert_eq!(memory.host_ptr().len(), 64);
    for order in [Ordering::Relaxed, Ordering::Acquire, Ordering::SeqCst] {
        assert_eq!(memory.load::<u32>(0, order).expect("aligned"), word);
    }
    let mut sink = Vec::new();
    memory.write_all_volatile_to(0, &mut sink, 64).expect("a sink without end");
    assert_eq!(sink, before);
    // SAFETY: nobody writes the test's own array.
    assert_eq!(*unsafe { memory.aligned_as_ref::<u32>(0) }.expect("aligned"), word);

    let mut copy = Ram::<64>::zeroed();
    memory.copy_to_volatile_slice(copy.slice());
    assert_eq!(copy.0, before);
}

// SEMANTICS 6: there is nothing to refuse in writing nothing.
#[test]
fn writing_nothing_is_no_write() {
    let mut ram = Ram::<64>::counting();
    let memory = ram.slice().read_only();
    assert_eq!(memory.write(&[], 0).expect("nothing"), 0);
    memory.write_slice(&[], 99).expect("nothing");
    memory.write_whole(&[], 99).expect("nothing");
    memory.write_obj(<[u64; 0]>::zeroed(), 99).expect("nothing");
    assert_eq!(memory.read_volatile_from(0, &mut &[1_u8][..], 0).expect("nothing"), 0);
    memory.read_exact_volatile_from(0, &mut &[1_u8][..], 0).expect("nothing");
}

#[test]
fn the_bounds_are_checked_before_the_permission() {
    let mut ram = Ram::<64>::counting();
    let memory = ram.slice().read_only();
    assert!(matches!(memory.write(&[1], 64), Err(Error::OutOfBounds { addr: 64 })));
    assert!(matches!(memory.store(1_u32, 61, ORDER), Err(Error::OutOfBounds { addr: 65 })));
    assert!(matches!(memory.write_whole(&[1; 2], 63), Err(Error::OutOfBounds { addr: 65 })));
    assert!(matches!(memory.get_ref::<u16>(63), Err(Error::OutOfBounds { addr: 65 })));
}
