//! Every safe way to write marks exactly the bytes it wrote, when they are in place; nothing else marks.

#![expect(unsafe_code, reason = "asks for references into the memory")]
#![expect(clippy::unit_arg, reason = "a table of acts reads best as one expression each")]

mod common;

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use common::{Log, Mark, Ram, View, bytes};
use guest_volatile::{
    Bitmap, ByteValued, Error, ReadVolatile, VolatileArrayRef, VolatileMemory, VolatileSlice,
    WriteVolatile,
};
use rstest::rstest;

type Slice<'a> = VolatileSlice<'a, View<'a>>;
type Act = fn(&Slice<'_>) -> Result<(), Error>;

/// Where the memory that is acted on lies in the one that the log is about.
const BASE: usize = 0x100;
const LEN: usize = 0x100;

/// What `act` marks, as offsets into the memory it is given; each mark with the bytes that were in place then.
fn marks_of(act: Act) -> Vec<Mark> {
    let (mut ram, log) = (Ram::<0x300>::zeroed(), Log::default());
    let memory = log.watch(ram.slice());
    let part = memory.subslice(BASE, LEN).expect("inside");
    act(&part).expect("the act succeeds");
    let mut marks = log.take_marks();
    for mark in &mut marks {
        let now = memory.subslice(mark.start, mark.bytes.len()).expect("inside");
        assert_eq!(bytes(&now), mark.bytes, "nothing was written after the mark");
        mark.start -= BASE;
    }
    let marked = |at: usize| {
        marks.iter().any(|mark| (mark.start..mark.start + mark.bytes.len()).contains(&(at - BASE)))
    };
    for (at, byte) in bytes(&memory).iter().enumerate() {
        assert!(*byte == 0 || marked(at), "{at:#x} was written and not marked");
    }
    marks
}

/// The acts, and the run of bytes that each writes and marks at once.
const WRITES: [(&str, Act, usize, &[u8]); 27] = [
    ("write", |memory| memory.write(&[1, 2, 3], 5).map(drop), 5, &[1, 2, 3]),
    ("write to the end", |memory| memory.write(&[1; 9], LEN - 2).map(drop), LEN - 2, &[1; 2]),
    ("write_slice", |memory| memory.write_slice(&[1; 33], 7), 7, &[1; 33]),
    ("write_slice of a word", |memory| memory.write_slice(&[1; 8], 8), 8, &[1; 8]),
    ("write_whole", |memory| memory.write_whole(&[1; 200], 3), 3, &[1; 200]),
    ("write_obj of 1", |memory| memory.write_obj(1_u8, 9), 9, &[1; 1]),
    ("write_obj of 2", |memory| memory.write_obj(0x0101_u16, 9), 9, &[1; 2]),
    ("write_obj of 4", |memory| memory.write_obj([1_u8; 4], 9), 9, &[1; 4]),
    ("write_obj of 8", |memory| memory.write_obj([1_u8; 8], 8), 8, &[1; 8]),
    ("write_obj of 12", |memory| memory.write_obj([1_u8; 12], 8), 8, &[1; 12]),
    ("write_obj of 200", |memory| memory.write_obj([1_u8; 200], 8), 8, &[1; 200]),
    ("copy_from of 1", |memory| done(memory.copy_from(&[1_u8; 5])), 0, &[1; 5]),
    ("copy_from of 2", |memory| done(memory.copy_from(&[0x0101_u16; 3])), 0, &[1; 6]),
    ("copy_from of 3", |memory| done(memory.copy_from(&[[1_u8; 3]; 99])), 0, &[1; 255]),
    ("copy_from of 16", |memory| done(memory.copy_from(&[[1_u8; 16]; 99])), 0, &[1; LEN]),
    ("store", |memory| memory.store(0x0101_u16, 6, SeqCst), 6, &[1; 2]),
    (
        "compare_exchange",
        |memory| memory.compare_exchange(0_u8, 1, 6, SeqCst, Relaxed).map(drop),
        6,
        &[1],
    ),
    ("fetch_add", |memory| memory.fetch_add(0x0101_0101_u32, 8, Relaxed).map(drop), 8, &[1; 4]),
    ("fetch_or", |memory| memory.fetch_or(1_u8, 8, Relaxed).map(drop), 8, &[1]),
    // It changes nothing, but it stores.
    ("fetch_and", |memory| memory.fetch_and(1_u64, 8, Relaxed).map(drop), 8, &[0; 8]),
    ("reference", |memory| memory.get_ref(3).map(|object| object.store([1_u8; 3])), 3, &[1; 3]),
    (
        "row by index",
        |memory| memory.get_array_ref(3, 4).map(|row| row.store(2, [1_u8; 3])),
        9,
        &[1; 3],
    ),
    (
        "row",
        |memory| memory.get_array_ref(3, 4).map(|row| row.copy_from(&[0x0101_u16; 3])),
        3,
        &[1; 6],
    ),
    (
        "row of all bytes",
        |memory| done(VolatileArrayRef::from(*memory).store(LEN - 1, 1)),
        LEN - 1,
        &[1],
    ),
    (
        "copy_to_volatile_slice",
        |memory| {
            done(VolatileSlice::from(&mut [1; 20][..]).copy_to_volatile_slice(memory.offset(4)?))
        },
        4,
        &[1; 20],
    ),
    (
        "read_volatile_from",
        |memory| memory.read_volatile_from(4, &mut &[1; 10][..], 32).map(drop),
        4,
        &[1; 10],
    ),
    (
        "read_exact_volatile",
        |memory| (&[1; 10][..]).read_exact_volatile(&mut memory.subslice(4, 10)?),
        4,
        &[1; 10],
    ),
];

/// The end of an act that cannot fail, and of what it gave.
fn done<T>(_given: T) -> Result<(), Error> {
    Ok(())
}

// SEMANTICS 20, 21.
#[test]
fn every_safe_write_marks_exactly_its_bytes_when_they_are_in_place() {
    for (name, act, start, bytes) in WRITES {
        assert_eq!(marks_of(act), [Mark { start, bytes: bytes.to_vec() }], "{name}");
    }
}

// SEMANTICS 21: a guard marks when it goes; all of its range, or what its user says.
#[rstest]
#[case::dropped(|memory: &Slice<'_>| done(memory.subslice(4, 8)?.host_ptr_mut()), Some((4, 8)))]
#[case::some(|memory: &Slice<'_>| done(memory.subslice(4, 8)?.host_ptr_mut().written(3)), Some((4, 3)))]
#[case::none(|memory: &Slice<'_>| done(memory.subslice(4, 8)?.host_ptr_mut().written(0)), None)]
#[case::too_much(|memory: &Slice<'_>| done(memory.subslice(4, 8)?.host_ptr_mut().written(99)), Some((4, 8)))]
#[case::of_a_reference(|memory: &Slice<'_>| done(memory.get_ref::<u32>(4)?.host_ptr_mut()), Some((4, 4)))]
#[case::of_a_row(|memory: &Slice<'_>| done(memory.get_array_ref::<u32>(4, 3)?.host_ptr_mut()), Some((4, 12)))]
fn a_guard_for_writing_marks_when_it_is_dropped(
    #[case] act: Act,
    #[case] mark: Option<(usize, usize)>,
) {
    let marks = marks_of(act).into_iter().map(|mark| (mark.start, mark.bytes.len()));
    assert_eq!(marks.collect::<Vec<_>>(), mark.into_iter().collect::<Vec<_>>());
}

// SEMANTICS 21: not before.
#[test]
fn a_guard_for_writing_marks_what_was_written_through_it() {
    let (mut ram, log) = (Ram::<64>::zeroed(), Log::default());
    let memory = log.watch(ram.slice());
    let guard = memory.subslice(8, 4).expect("inside").host_ptr_mut();
    assert_eq!(guard.len(), 4);
    // SAFETY: the guard's four bytes are those of the test's own array.
    unsafe { guard.as_ptr().write_bytes(7, 4) };
    assert_eq!(log.take(), []);
    drop(guard);
    assert_eq!(log.take_marks(), [Mark { start: 8, bytes: vec![7; 4] }]);
}

// SEMANTICS 20: what was moved before the end is marked, and no more.
#[test]
fn a_partial_write_marks_its_part() {
    let (mut ram, log) = (Ram::<64>::zeroed(), Log::default());
    let memory = log.watch(ram.slice());
    assert!(memory.write_slice(&[1; 9], 60).is_err());
    assert_eq!(log.take_marks(), [Mark { start: 60, bytes: vec![1; 4] }]);
    assert!(memory.write_obj(u64::MAX, 61).is_err());
    assert_eq!(log.take_marks(), [Mark { start: 61, bytes: vec![0xff; 3] }]);
    let error = memory.read_exact_volatile_from(60, &mut &[2; 3][..], 4).expect_err("too few");
    assert!(matches!(error, Error::PartialBuffer { completed: 3, .. }));
    assert_eq!(log.take_marks(), [Mark { start: 60, bytes: vec![2; 3] }]);
}

/// Acts that write nothing: they read, ask, fail, or are about no byte.
const OTHERS: [(&str, Act); 22] = [
    ("read", |memory| memory.read(&mut [0; 9], 3).map(drop)),
    ("read_slice", |memory| memory.read_slice(&mut [0; 99], 3)),
    ("read_obj", |memory| memory.read_obj::<u64>(8).map(drop)),
    ("copy_to", |memory| done(memory.copy_to(&mut [0_u32; 9]))),
    ("load", |memory| memory.load::<u32>(8, SeqCst).map(drop)),
    ("reference", |memory| memory.get_ref::<u32>(8).and_then(|object| done(object.load()))),
    ("row", |memory| memory.get_array_ref::<u32>(8, 2).and_then(|row| done(row.load(1)))),
    ("copy to a row", |memory| {
        memory.get_array_ref(8, 2).and_then(|row| done(row.copy_to(&mut [0_u32])))
    }),
    ("parts", |memory| memory.split_at(8)?.1.subslice(1, 2)?.offset(1).map(drop)),
    ("guard for reading", |memory| done(memory.host_ptr())),
    ("write_volatile_to", |memory| memory.write_volatile_to(3, &mut Vec::new(), 9).map(drop)),
    ("write_all_volatile", |memory| Vec::new().write_all_volatile(memory)),
    ("copied from", |memory| {
        done(memory.copy_to_volatile_slice(VolatileSlice::from(&mut [0; 9][..])))
    }),
    ("exchange that fails", |memory| {
        let exchange = memory.compare_exchange(1_u32, 2, 8, SeqCst, SeqCst)?;
        assert_eq!(exchange, Err(0));
        Ok(())
    }),
    ("refused stores", |memory| {
        assert!(memory.store(1_u32, 9, SeqCst).is_err(), "misaligned");
        assert!(memory.store(1_u32, LEN, SeqCst).is_err(), "past the end");
        assert!(memory.fetch_add(1_u32, LEN - 2, SeqCst).is_err(), "over the end");
        Ok(())
    }),
    ("refused writes", |memory| {
        assert!(memory.write(&[1], LEN).is_err());
        assert!(memory.write_obj(1_u8, LEN).is_err());
        assert!(memory.write_whole(&[1; 2], LEN - 1).is_err());
        Ok(())
    }),
    ("nothing written", |memory| {
        memory.write(&[], 8)?;
        memory.write_slice(&[], 8)?;
        memory.write_whole(&[], 8)
    }),
    ("objects without bytes", |memory| {
        memory.write_obj(<[u64; 0]>::zeroed(), 8)?;
        memory.get_ref::<[u64; 0]>(8)?.store([]);
        done(memory.copy_from(&[<[u64; 0]>::zeroed(); 3]))
    }),
    ("nothing copied", |memory| {
        memory.copy_from::<u32>(&[]);
        done(VolatileSlice::from(&mut [][..]).copy_to_volatile_slice(*memory))
    }),
    ("guard of nothing", |memory| done(memory.subslice(8, 0)?.host_ptr_mut())),
    ("nothing read from a source", |memory| {
        memory.read_volatile_from(8, &mut &[1; 8][..], 0)?;
        memory.read_exact_volatile_from(8, &mut &[1; 8][..], 0)
    }),
    ("source at its end", |memory| memory.read_volatile_from(8, &mut &[][..], 9).map(drop)),
];

// SEMANTICS 17, 20.
#[test]
fn reads_failures_and_writes_of_nothing_mark_nothing() {
    for (name, act) in OTHERS {
        assert_eq!(marks_of(act), [], "{name}");
    }
}

// SEMANTICS 20: 0x10 of 0x3000 bytes at 0xff8 touch pages 0 and 1, and no other.
#[test]
fn a_short_source_marks_what_it_gave() {
    let (mut ram, log) = (vec![0; 0x4000], Log::default());
    let memory = log.watch(VolatileSlice::from(&mut ram[..]));
    let moved = memory.read_volatile_from(0xff8, &mut &[1; 0x10][..], 0x3000).expect("a source");
    assert_eq!((moved, log.take()), (0x10, vec![(0xff8, 0x10)]));
}

// SEMANTICS 20.
#[test]
fn parts_carry_the_bitmaps_offset_along() {
    let (mut ram, log) = (Ram::<0x100>::zeroed(), Log::default());
    let memory = log.watch(ram.slice());
    let (low, high) = memory.split_at(0x40).expect("inside");
    let part = high.offset(0x10).and_then(|part| part.subslice(0x08, 0x20)).expect("inside");
    low.write_obj(1_u8, 3).expect("inside");
    high.write_obj(1_u8, 3).expect("inside");
    part.write_obj(1_u8, 3).expect("inside");
    part.get_array_ref::<u16>(4, 4).expect("inside").ref_at(2).store(1);
    part.get_ref::<u16>(4).expect("inside").to_slice().write_obj(1_u8, 1).expect("inside");
    part.as_volatile_slice().get_slice(7, 1).expect("inside").copy_from(&[1_u8]);
    assert_eq!(log.take(), [(3, 1), (0x43, 1), (0x5b, 1), (0x60, 2), (0x5d, 1), (0x5f, 1)]);
    part.bitmap().mark_dirty(0, 1);
    assert!(memory.bitmap().dirty_at(0x58) && part.bitmap().dirty_at(0));
    assert!(!part.bitmap().dirty_at(1));
}

// SEMANTICS 21: those for whom marking is a duty of the caller.
#[test]
fn a_plain_reference_marks_when_it_is_given_and_an_atomic_never() {
    let (mut ram, log) = (Ram::<64>::zeroed(), Log::default());
    let memory = log.watch(ram.slice());
    // SAFETY: nobody else accesses the test's own array, and nobody harvests the log.
    *unsafe { memory.aligned_as_mut::<u32>(4) }.expect("aligned") = 1;
    assert_eq!(log.take(), [(4, 4)]);
    // SAFETY: as before.
    assert!(unsafe { memory.aligned_as_mut::<u32>(5) }.is_err());
    // SAFETY: nobody writes the test's own array meanwhile.
    assert_eq!(*unsafe { memory.aligned_as_ref::<u32>(4) }.expect("aligned"), 1);
    // SAFETY: no store goes through it.
    assert!(unsafe { memory.get_atomic_ref::<AtomicU32>(4) }.is_ok());
    assert_eq!(log.take(), []);
}

#[test]
fn a_bitmap_that_may_be_missing_marks_if_it_is_there() {
    let (mut ram, log) = (Ram::<64>::zeroed(), Log::default());
    let plain = ram.slice();
    for bitmap in [None, Some(log.slice_at(0x100))] {
        let addr = plain.host_ptr_mut().as_ptr();
        let there = bitmap.is_some();
        // SAFETY: the bytes are those of a slice that lives as long.
        let memory = unsafe { VolatileSlice::with_bitmap(addr, 64, bitmap, None) };
        memory.offset(8).expect("inside").write_obj(1_u16, 2).expect("inside");
        assert_eq!(memory.bitmap().dirty_at(10), there);
        assert_eq!(memory.bitmap().dirty_bytes(0, 64), None, "it does not count");
        assert_eq!(log.take(), if there { vec![(0x10a, 2)] } else { vec![] });
    }
}
