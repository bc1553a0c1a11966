//! A memory of somebody else's that gives other slices than it was asked for: safe code, and no harm.

#![forbid(unsafe_code)]

use guest_volatile::{Error, Result, VolatileMemory, VolatileSlice};
use rstest::rstest;

/// Gives a slice of `answer(count)` bytes where it is asked for `count`.
struct Liar<'a> {
    memory: VolatileSlice<'a>,
    answer: fn(usize) -> usize,
}

impl VolatileMemory for Liar<'_> {
    type B = ();

    fn len(&self) -> usize {
        self.memory.len() * 1000
    }

    fn get_slice(&self, _offset: usize, count: usize) -> Result<VolatileSlice<'_>> {
        self.memory.subslice(0, (self.answer)(count))
    }
}

// SEMANTICS 37 (RUSTSEC-2023-0056).
#[rstest]
#[case::nothing(|_| 0)]
#[case::one_byte(|_| 1)]
#[case::one_byte_too_few(|count| count - 1)]
#[case::half(|count| count / 2)]
fn a_slice_that_is_too_short_is_refused_by_every_typed_access(#[case] answer: fn(usize) -> usize) {
    let mut ram = [0; 64];
    let liar = Liar { memory: VolatileSlice::from(&mut ram[..]), answer };
    let refused = |error: Option<Error>| matches!(error, Some(Error::OutOfBounds { .. }));
    for offset in [0, 1, 60, 4000, usize::MAX] {
        assert!(refused(liar.get_ref::<u16>(offset).err()));
        assert!(refused(liar.get_ref::<u64>(offset).err()));
        assert!(refused(liar.get_ref::<[u8; 48]>(offset).err()));
        assert!(refused(liar.get_array_ref::<u32>(offset, 4).err()));
        assert!(refused(liar.get_array_ref::<u8>(offset, 64).err()));
    }
}

// SEMANTICS 37: what is too much of a slice is left alone.
#[test]
fn of_a_slice_that_is_too_long_only_the_start_is_used() {
    let mut ram = [0; 64];
    let memory = VolatileSlice::from(&mut ram[..]);
    let bytes = || memory.read_obj::<[u8; 64]>(0).expect("inside");
    let liar = Liar { memory, answer: |_| 64 };
    let object = liar.get_ref::<u32>(4000).expect("as long as it must be");
    object.store(u32::MAX);
    assert_eq!((object.len(), object.to_slice().len(), object.host_ptr_mut().len()), (4, 4, 4));
    assert_eq!(bytes()[..4], [0xff; 4]);
    assert_eq!(bytes()[4..], [0; 60]);

    let row = liar.get_array_ref::<u16>(4000, 3).expect("as long as it must be");
    row.copy_from(&[0x0101; 9]);
    assert_eq!((row.len(), row.to_slice().len(), row.host_ptr_mut().len()), (3, 6, 6));
    assert_eq!(bytes()[..6], [1; 6]);
    assert_eq!(bytes()[6..], [0; 58]);
}

#[test]
#[should_panic(expected = "the memory refuses itself")]
fn a_memory_that_lies_about_its_length_refuses_itself() {
    let mut ram = [0; 64];
    Liar { memory: VolatileSlice::from(&mut ram[..]), answer: |count| count }.as_volatile_slice();
}
