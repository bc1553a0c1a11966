//! Integers loaded, stored and changed in guest memory, whole and in order; and what is refused.

#![expect(unsafe_code, reason = "asks for references to atomics in the memory")]

mod common;

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};

use common::{Ram, bytes};
use guest_volatile::{AtomicAccess, AtomicInteger, AtomicUpdate, Error, Le32, VolatileMemory};
use rstest::rstest;

// SEMANTICS 16.
#[rstest]
#[case::relaxed(Relaxed, Relaxed)]
#[case::acquire_and_release(Acquire, Release)]
#[case::in_one_order(SeqCst, SeqCst)]
fn what_is_stored_is_loaded_by_every_ordering(#[case] load: Ordering, #[case] store: Ordering) {
    macro_rules! stores_and_loads {
        ($($int:ty)*) => {$(
            let mut ram = Ram::<64>::zeroed();
            let memory = ram.slice();
            let offsets = || (0..64).step_by(size_of::<$int>());
            for (value, offset) in (3..).zip(offsets()) {
                memory.store::<$int>(value, offset, store).expect("aligned");
            }
            for (expected, offset) in (3..).zip(offsets()) {
                let value = memory.load::<$int>(offset, load).expect("aligned");
                assert_eq!(value, expected);
                assert_eq!(memory.read_obj::<$int>(offset).expect("inside"), value);
            }
        )*};
    }
    stores_and_loads!(u8 u16 u32 u64 usize i8 i16 i32 i64 isize);
}

#[test]
fn a_store_touches_its_bytes_and_no_other() {
    let mut ram = Ram::<16>::counting();
    let mut model = ram.0;
    let memory = ram.slice();
    memory.store(u32::MAX, 4, Release).expect("aligned");
    model[4..8].fill(0xff);
    assert_eq!(bytes(&memory), model);
}

/// An operation on a `u32` at an offset, and the error that it gives.
type Operation = fn(&guest_volatile::VolatileSlice<'_>, usize) -> Option<Error>;

const OPERATIONS: [Operation; 6] = [
    |memory, offset| memory.load::<u32>(offset, SeqCst).err(),
    |memory, offset| memory.store::<u32>(0, offset, SeqCst).err(),
    |memory, offset| memory.compare_exchange::<u32>(0, 0, offset, SeqCst, SeqCst).err(),
    |memory, offset| memory.fetch_add::<u32>(0, offset, SeqCst).err(),
    |memory, offset| memory.fetch_and::<u32>(0, offset, SeqCst).err(),
    |memory, offset| memory.fetch_or::<u32>(0, offset, SeqCst).err(),
];

// SEMANTICS 16: out of bounds, misaligned and a wrong ordering are three errors.
#[rstest]
#[case::odd(1)]
#[case::half(2)]
#[case::odd_and_last(59)]
fn a_misaligned_address_is_refused_as_such(#[case] offset: usize) {
    let mut ram = Ram::<64>::counting();
    let before = ram.0;
    let memory = ram.slice();
    for operation in OPERATIONS {
        let error = operation(&memory, offset);
        assert!(
            matches!(error, Some(Error::Misaligned { addr, alignment: 4 }) if addr == offset),
            "{error:?}"
        );
    }
    assert_eq!(bytes(&memory), before);
}

// SEMANTICS 16.
#[rstest]
#[case::straddling(60, 62)]
#[case::straddling_and_misaligned(61, 64)]
#[case::at_the_end(64, 64)]
#[case::past_the_end(80, 64)]
fn an_address_out_of_bounds_is_refused_as_such(#[case] offset: usize, #[case] len: usize) {
    let mut ram = Ram::<64>::counting();
    let memory = ram.slice().subslice(0, len).expect("inside");
    for operation in OPERATIONS {
        let error = operation(&memory, offset);
        let end = offset + 4;
        assert!(matches!(error, Some(Error::OutOfBounds { addr }) if addr == end), "{error:?}");
        let error = operation(&memory, usize::MAX - 3);
        assert!(
            matches!(error, Some(Error::Overflow { base, offset: 4 }) if base == usize::MAX - 3),
            "{error:?}"
        );
    }
}

// SEMANTICS 16: it is the host's address that must be aligned, not the offset.
#[test]
fn alignment_is_that_of_the_host_address() {
    let mut ram = Ram::<64>::zeroed();
    let memory = ram.slice().offset(1).expect("inside");
    assert!(matches!(memory.load::<u16>(0, Relaxed), Err(Error::Misaligned { addr: 0, .. })));
    memory.store(7_u16, 1, Relaxed).expect("aligned on the host");
    assert_eq!(ram.slice().read_obj::<u16>(2).expect("inside"), 7);
}

// SEMANTICS 16: an error, where the atomics of the standard library panic.
#[rstest]
#[case(Release)]
#[case(AcqRel)]
fn a_load_that_releases_is_an_error(#[case] order: Ordering) {
    let mut ram = Ram::<8>::zeroed();
    let memory = ram.slice();
    let refused = |error| matches!(error, Some(Error::InvalidOrdering(is)) if is == order);
    assert!(refused(memory.load::<u32>(0, order).err()));
    assert!(refused(memory.read_only().load::<u32>(0, order).err()));
    assert!(refused(memory.compare_exchange::<u32>(0, 1, 0, SeqCst, order).err()));
    assert_eq!(bytes(&memory), [0; 8]);
}

// SEMANTICS 16.
#[rstest]
#[case(Acquire)]
#[case(AcqRel)]
fn a_store_that_acquires_is_an_error(#[case] order: Ordering) {
    let mut ram = Ram::<8>::zeroed();
    let memory = ram.slice();
    let error = memory.store(1_u32, 0, order).err();
    assert!(matches!(error, Some(Error::InvalidOrdering(is)) if is == order));
    assert_eq!(bytes(&memory), [0; 8]);
}

// SEMANTICS 17.
#[rstest]
fn read_modify_writes_take_every_ordering(
    #[values(Relaxed, Acquire, Release, AcqRel, SeqCst)] order: Ordering,
) {
    let mut ram = Ram::<8>::zeroed();
    let memory = ram.slice();
    assert_eq!(memory.fetch_add(5_u32, 4, order).expect("aligned"), 0);
    assert_eq!(memory.fetch_or(8_u32, 4, order).expect("aligned"), 5);
    assert_eq!(memory.fetch_and(9_u32, 4, order).expect("aligned"), 13);
    for failure in [Relaxed, Acquire, SeqCst] {
        let exchange = memory.compare_exchange(9_u32, 9, 4, order, failure).expect("aligned");
        assert_eq!(exchange, Ok(9));
    }
    assert_eq!(memory.load::<u32>(4, Relaxed).expect("aligned"), 9);
    assert_eq!(memory.load::<u32>(0, Relaxed).expect("aligned"), 0);
}

// SEMANTICS 17.
#[test]
fn read_modify_writes_work_for_every_width() {
    macro_rules! update {
        ($($int:ty)*) => {$(
            let mut ram = Ram::<16>::zeroed();
            let memory = ram.slice();
            let offset = size_of::<$int>();
            assert_eq!(memory.fetch_add(<$int>::MAX, offset, SeqCst).expect("aligned"), 0);
            assert_eq!(memory.fetch_add(1, offset, SeqCst).expect("aligned"), <$int>::MAX);
            assert_eq!(memory.fetch_or(6, offset, SeqCst).expect("aligned"), <$int>::MIN);
            assert_eq!(memory.fetch_and(3, offset, SeqCst).expect("aligned"), <$int>::MIN | 6);
            let exchange = memory.compare_exchange::<$int>(1, 9, offset, SeqCst, SeqCst);
            assert_eq!(exchange.expect("aligned"), Err(2));
            let exchange = memory.compare_exchange::<$int>(2, 9, offset, SeqCst, SeqCst);
            assert_eq!(exchange.expect("aligned"), Ok(2));
            assert_eq!(memory.load::<$int>(offset, SeqCst).expect("aligned"), 9);
            assert_eq!(memory.load::<$int>(0, SeqCst).expect("aligned"), 0);
        )*};
    }
    update!(u8 u16 u32 u64 usize i8 i16 i32 i64 isize);
}

// SEMANTICS 17: what two threads add at the same time is all there in the end.
#[test]
fn additions_from_two_threads_are_not_lost() {
    let mut ram = Ram::<8>::zeroed();
    let memory = ram.slice();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                (0..10_000).try_for_each(|_| memory.fetch_add(1_u64, 0, Relaxed).map(drop))
            });
        }
    });
    assert_eq!(memory.load::<u64>(0, Relaxed).expect("aligned"), 20_000);
}

/// An integer of the caller's own, kept in guest memory by an atomic of another type.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(transparent)]
struct Index(u16);

// SAFETY: a transparent wrapper of an integer.
unsafe impl guest_volatile::ByteValued for Index {}

impl From<u16> for Index {
    fn from(value: u16) -> Self {
        assert_ne!(value, 13, "a conversion of the caller's that panics");
        Self(value)
    }
}

impl From<Index> for u16 {
    fn from(index: Index) -> Self {
        index.0
    }
}

impl AtomicAccess for Index {
    type A = AtomicU16;
}

#[test]
fn types_that_convert_to_an_atomics_integer_are_accessed_as_it() {
    let mut ram = Ram::<8>::zeroed();
    let memory = ram.slice();
    memory.store(Index(7), 2, Release).expect("aligned");
    assert_eq!(memory.load::<Index>(2, Acquire).expect("aligned"), Index(7));
    assert_eq!(memory.fetch_add(Index(1), 2, AcqRel).expect("aligned"), Index(7));
    let exchange = memory.compare_exchange(Index(8), Index(9), 2, SeqCst, SeqCst);
    assert_eq!(exchange.expect("aligned"), Ok(Index(8)));
}

// SEMANTICS 21: the conversion runs when the store is marked, so its panic leaves no store unmarked.
#[test]
fn a_store_is_marked_even_if_the_callers_conversion_panics() {
    let (mut ram, log) = (Ram::<8>::zeroed(), common::Log::default());
    let memory = log.watch(ram.slice());
    memory.write_obj(13_u16, 2).expect("inside");
    assert_eq!(log.take(), [(2, 2)]);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = memory.fetch_add(Index(1), 2, Relaxed);
    }));
    assert!(panicked.is_err());
    assert_eq!(memory.read_obj::<u16>(2).expect("inside"), 14);
    assert_eq!(log.take(), [(2, 2)]);
}

// SEMANTICS 18.
#[test]
fn a_reference_to_an_atomic_must_be_aligned_and_inside() {
    let mut ram = Ram::<64>::counting();
    let memory = ram.slice();
    // SAFETY: there is no bitmap to be told of a store.
    unsafe { memory.get_atomic_ref::<AtomicU32>(4) }.expect("aligned").store(7, Relaxed);
    // SAFETY: as before.
    let refused = unsafe { memory.get_atomic_ref::<AtomicU32>(5) };
    assert!(matches!(refused, Err(Error::Misaligned { addr: 5, alignment: 4 })));
    // SAFETY: as before.
    let refused = unsafe { memory.get_atomic_ref::<AtomicU64>(60) };
    assert!(matches!(refused, Err(Error::OutOfBounds { addr: 68 })));
    assert_eq!(memory.read_obj::<u32>(4).expect("inside"), 7);
}

#[test]
fn the_atomics_traits_are_the_standard_librarys_operations() {
    fn update<A: AtomicUpdate<V = u32>>(atomic: &A) -> [u32; 4] {
        atomic.store(6, Release);
        let added = atomic.fetch_add(1, Relaxed);
        let cleared = atomic.fetch_and(3, Relaxed);
        let set = atomic.fetch_or(4, Relaxed);
        assert_eq!(atomic.compare_exchange(7, 1, SeqCst, Relaxed), Ok(7));
        [added, cleared, set, atomic.load(Acquire)]
    }
    assert_eq!(update(&<AtomicU32 as AtomicInteger>::new(0)), [6, 7, 3, 1]);
}

#[test]
fn objects_that_are_no_atomics_are_read_beside_them() {
    let mut ram = Ram::<8>::zeroed();
    let memory = ram.slice();
    memory.store(0x0102_0304_u32.to_le(), 4, Release).expect("aligned");
    assert_eq!(memory.read_obj::<Le32>(4).expect("inside").to_native(), 0x0102_0304);
}
