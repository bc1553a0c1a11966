//! Objects, rows of them, and references to them: of every size, at every alignment, at every edge.

#![expect(unsafe_code, reason = "asks for plain references into the memory")]

mod common;

use std::sync::atomic::AtomicU32;

use common::{Ram, bytes};
use guest_volatile::{
    ByteValued, Error, VolatileArrayRef, VolatileMemory, VolatileRef, VolatileSlice,
};
use rstest::rstest;

const MAX: usize = usize::MAX;

/// A structure as devices lay them out, without padding.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
struct Descriptor {
    addr: u64,
    len: u32,
    flags: u16,
    next: u16,
}

// SAFETY: integers one after the other, without padding.
unsafe impl ByteValued for Descriptor {}

// SEMANTICS 18: at any address.
#[test]
fn an_object_is_written_and_read_at_every_alignment() {
    let descriptor = Descriptor { addr: 0x0102_0304_0506_0708, len: 9, flags: 10, next: 11 };
    for offset in 0..16 {
        let mut ram = Ram::<40>::counting();
        let mut model = ram.0;
        let memory = ram.slice();
        memory.write_obj(descriptor, offset).expect("inside");
        model[offset..offset + 16].copy_from_slice(descriptor.as_slice());
        assert_eq!(bytes(&memory), model);
        assert_eq!(memory.read_obj::<Descriptor>(offset).expect("inside"), descriptor);
        let object = memory.get_ref::<Descriptor>(offset).expect("inside");
        assert_eq!(object.load(), descriptor);
        object.store(Descriptor { len: 12, ..descriptor });
        assert_eq!(memory.read_obj::<u32>(offset + 8).expect("inside"), 12);
    }
}

// SEMANTICS 8.
#[rstest]
#[case::whole(48, None)]
#[case::last_byte_missing(49, Some(15))]
#[case::one_byte_there(63, Some(1))]
fn an_object_over_the_end_is_read_and_written_in_part(
    #[case] offset: usize,
    #[case] part: Option<usize>,
) {
    let mut ram = Ram::<64>::counting();
    let mut model = ram.0;
    let memory = ram.slice();
    let expected = |error| matches!(error, Error::PartialBuffer { expected: 16, completed } if Some(completed) == part);
    assert!(memory.read_obj::<Descriptor>(offset).map_or_else(expected, |_| part.is_none()));
    let object = <[u8; 16]>::zeroed();
    assert!(memory.write_obj(object, offset).map_or_else(expected, |()| part.is_none()));
    model[offset..][..part.unwrap_or(16)].fill(0);
    assert_eq!(bytes(&memory), model);
}

#[rstest]
#[case(64)]
#[case(65)]
#[case(MAX - 7)]
#[case(MAX)]
fn an_object_without_a_byte_inside_is_out_of_bounds(#[case] offset: usize) {
    let mut ram = Ram::<64>::counting();
    let before = ram.0;
    let memory = ram.slice();
    let refused = |error| matches!(error, Some(Error::OutOfBounds { addr }) if addr == offset);
    assert!(refused(memory.read_obj::<u64>(offset).err()));
    assert!(refused(memory.read_obj::<u8>(offset).err()));
    assert!(refused(memory.write_obj(0_u64, offset).err()));
    assert!(refused(memory.write_obj([0_u8; 200], offset).err()));
    assert_eq!(bytes(&memory), before);
}

#[test]
fn long_objects_are_moved_whole() {
    let mut ram = Ram::<5000>::counting();
    let before = ram.0;
    let memory = ram.slice();
    let object = memory.read_obj::<[u32; 1024]>(5).expect("inside");
    assert_eq!(ByteValued::as_slice(&object), &before[5..4101]);
    memory.write_obj(object, 901).expect("inside");
    assert_eq!(bytes(&memory)[901..4997], before[5..4101]);
    assert_eq!(bytes(&memory)[..901], before[..901]);
    assert_eq!(bytes(&memory)[4997..], before[4997..]);
}

/// Copies to and from the memory by elements of type `T`, at two alignments.
fn copies_elements<T: ByteValued + PartialEq + std::fmt::Debug>() {
    const COUNT: usize = 5;
    let size = size_of::<T>();
    for offset in [0, 1] {
        let mut ram = Ram::<128>::counting();
        let before = ram.0;
        let memory = ram.slice();
        // Room for three elements and a half.
        let part = memory.subslice(offset, size * 3 + size / 2).expect("inside");
        let whole = if size == 0 { COUNT } else { 3 };

        let mut elements = [T::zeroed(); COUNT];
        assert_eq!(part.copy_to(&mut elements), whole);
        for (index, element) in elements.iter().enumerate() {
            let expected = if index < whole {
                &before[offset + index * size..][..size]
            } else {
                &[0; 16][..size]
            };
            assert_eq!(element.as_slice(), expected, "{index}");
        }
        assert_eq!(part.copy_to(&mut elements[..2]), 2);
        assert_eq!(part.copy_to(&mut elements[..0]), 0);

        let mut model = before;
        model[offset..][..size * 3].fill(0);
        part.copy_from(&[T::zeroed(); COUNT]);
        assert_eq!(bytes(&memory), model, "what is left of an element is not written");
        part.copy_from(&elements[..2]);
        model[offset..][..size * 2].copy_from_slice(&before[offset..][..size * 2]);
        assert_eq!(bytes(&memory), model);
    }
}

// SEMANTICS 39 for the first.
#[test]
fn elements_of_every_size_are_copied_as_far_as_both_sides_go() {
    copies_elements::<[u8; 0]>();
    copies_elements::<u8>();
    copies_elements::<u16>();
    copies_elements::<[u8; 3]>();
    copies_elements::<u32>();
    copies_elements::<u64>();
    copies_elements::<Descriptor>();
}

// SEMANTICS 6, 39: no panic, and no byte that is asked for.
#[rstest]
#[case::in_the_middle(8, true)]
#[case::at_the_end(16, true)]
#[case::past_the_end(17, false)]
#[case::at_the_largest_offset(MAX, false)]
fn objects_without_bytes_are_moved_anywhere_and_placed_inside(
    #[case] offset: usize,
    #[case] inside: bool,
) {
    type Nothing = [u64; 0];
    let mut ram = Ram::<16>::counting();
    let before = ram.0;
    let memory = ram.slice();
    let nothing: Nothing = memory.read_obj(offset).expect("nothing");
    assert!(nothing.is_empty());
    memory.write_obj::<Nothing>([], offset).expect("nothing");

    let object = memory.get_ref::<Nothing>(offset);
    assert_eq!(object.is_ok(), inside);
    if let Ok(object) = object {
        object.store([]);
        assert!(object.load().is_empty());
        assert_eq!((object.len(), object.to_slice().len()), (0, 0));
    }
    let row = memory.get_array_ref::<Nothing>(offset, MAX);
    assert_eq!(row.is_ok(), inside);
    if let Ok(row) = row {
        assert_eq!((row.len(), row.element_size(), row.to_slice().len()), (MAX, 0, 0));
        row.store(MAX - 1, []);
        assert!(row.load(0).is_empty());
        assert_eq!(row.copy_to(&mut [[]; 7]), 7);
        row.copy_from(&[[]; 7]);
        assert_eq!((row.host_ptr().len(), row.host_ptr_mut().len()), (0, 0));
    }
    assert_eq!(bytes(&memory), before);
}

#[rstest]
#[case::all(0, 8, Ok(()))]
#[case::some(3, 6, Ok(()))]
#[case::none_at_the_end(16, 0, Ok(()))]
#[case::one_too_many(0, 9, Err("offset 0x12 is out of bounds"))]
#[case::over_the_end(15, 1, Err("offset 0x11 is out of bounds"))]
#[case::whose_end_is_no_number(4, MAX / 2, Err("offset 0x4 and 0xfffffffffffffffe bytes overflow"))]
#[case::whose_size_is_no_number(0, MAX / 2 + 1, Err("0x8000000000000000 elements of 0x2 bytes are too big"))]
#[case::whose_size_wraps_to_little(0, MAX / 2 + 2, Err("0x8000000000000001 elements of 0x2 bytes are too big"))]
fn a_row_lies_inside_or_is_refused(
    #[case] offset: usize,
    #[case] n: usize,
    #[case] expected: Result<(), &str>,
) {
    let mut ram = Ram::<16>::counting();
    let memory = ram.slice();
    match (memory.get_array_ref::<u16>(offset, n), expected) {
        (Ok(row), Ok(())) => {
            assert_eq!((row.len(), row.is_empty()), (n, n == 0));
            assert_eq!(row.to_slice().len(), 2 * n);
        }
        (Err(error), Err(text)) => assert_eq!(error.to_string(), text),
        (got, expected) => panic!("{got:?} instead of {expected:?}"),
    }
}

// SEMANTICS 39: the guard's length counts bytes.
#[test]
fn a_row_gives_its_objects_by_index() {
    let mut ram = Ram::<64>::zeroed();
    let memory = ram.slice();
    let row = memory.get_array_ref::<u16>(3, 10).expect("inside");
    for index in 0..10 {
        row.store(index, index as u16 + 0x100);
    }
    for index in 0..10 {
        assert_eq!(row.load(index), index as u16 + 0x100);
        assert_eq!(row.ref_at(index).load(), index as u16 + 0x100);
        assert_eq!(memory.read_obj::<u16>(3 + 2 * index).expect("inside"), row.load(index));
    }
    assert_eq!((row.host_ptr().len(), row.host_ptr_mut().len()), (20, 20));
    assert_eq!(row.host_ptr().as_ptr(), memory.host_ptr().as_ptr().wrapping_add(3));
    let object = row.ref_at(1);
    assert_eq!((object.host_ptr().len(), object.host_ptr_mut().len()), (2, 2));
    assert_eq!(object.host_ptr().as_ptr(), memory.host_ptr().as_ptr().wrapping_add(5));
    // Around the row nothing has changed.
    assert_eq!(
        (bytes(&memory)[..3].to_vec(), bytes(&memory)[23..].to_vec()),
        (vec![0; 3], vec![0; 41])
    );
}

#[rstest]
#[case(10)]
#[case(MAX)]
#[should_panic(expected = "of 10 objects")]
fn an_index_past_the_end_of_a_row_panics(#[case] index: usize) {
    Ram::<64>::zeroed().slice().get_array_ref::<u16>(0, 10).expect("inside").load(index);
}

#[test]
fn a_row_copies_as_far_as_both_sides_go() {
    let (mut ram, mut other) = (Ram::<16>::counting(), Ram::<16>::zeroed());
    let memory = ram.slice();
    let row = memory.get_array_ref::<u32>(4, 2).expect("inside");
    let mut buf = [0; 3];
    assert_eq!(row.copy_to(&mut buf), 2);
    assert_eq!(ByteValued::as_slice(&buf), [5, 6, 7, 8, 9, 10, 11, 12, 0, 0, 0, 0]);
    row.copy_to_volatile_slice(other.slice());
    assert_eq!(other.0[..8], [5, 6, 7, 8, 9, 10, 11, 12]);
    assert_eq!(other.0[8..], [0; 8]);
    row.copy_from(&[0, 0, 1]);
    assert_eq!(bytes(&memory), [1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 13, 14, 15, 16]);

    let all = VolatileArrayRef::from(memory);
    assert_eq!((all.len(), all.load(15)), (16, 16));
}

// SEMANTICS 18.
#[rstest]
#[case::aligned(4, None)]
#[case::last(12, None)]
#[case::odd(5, Some("offset 0x5 is not aligned to 0x4 bytes on the host"))]
#[case::half(2, Some("offset 0x2 is not aligned to 0x4 bytes on the host"))]
#[case::over_the_end(13, Some("offset 0x11 is out of bounds"))]
#[case::past_the_end(20, Some("offset 0x18 is out of bounds"))]
fn a_plain_reference_must_be_aligned_and_inside(
    #[case] offset: usize,
    #[case] refusal: Option<&str>,
) {
    let mut ram = Ram::<16>::counting();
    let memory = ram.slice();
    let expected = refusal.map(str::to_string);
    // SAFETY: nobody else accesses the test's own array.
    let object = unsafe { memory.aligned_as_mut::<u32>(offset) };
    assert_eq!(object.map(|object| *object = 7).err().map(|error| error.to_string()), expected);
    // SAFETY: nobody writes it any more.
    let object = unsafe { memory.aligned_as_ref::<u32>(offset) };
    if let Ok(object) = &object {
        assert_eq!(**object, 7);
    }
    assert_eq!(object.err().map(|error| error.to_string()), expected);
}

/// A memory that gives a slice of `len` bytes, whatever it is asked for.
struct Liar<'a> {
    memory: VolatileSlice<'a>,
    len: usize,
}

impl VolatileMemory for Liar<'_> {
    type B = ();

    fn len(&self) -> usize {
        self.memory.len()
    }

    fn get_slice(&self, _: usize, _: usize) -> guest_volatile::Result<VolatileSlice<'_>> {
        self.memory.subslice(0, self.len)
    }
}

// SEMANTICS 37. The typed accesses of safe code are in `lying_memory.rs`.
#[rstest]
#[case::nothing(0, false)]
#[case::too_little(3, false)]
#[case::enough(4, true)]
#[case::too_much(16, true)]
fn a_plain_reference_is_refused_if_the_memory_gives_too_little(
    #[case] len: usize,
    #[case] enough: bool,
) {
    let mut ram = Ram::<16>::counting();
    let liar = Liar { memory: ram.slice(), len };
    // SAFETY: nobody else accesses the test's own array.
    assert_eq!(unsafe { liar.aligned_as_ref::<u32>(0) }.is_ok(), enough);
    // SAFETY: as before.
    assert_eq!(unsafe { liar.aligned_as_mut::<u32>(0) }.is_ok(), enough);
    // SAFETY: as before, and there is no bitmap.
    assert_eq!(unsafe { liar.get_atomic_ref::<AtomicU32>(0) }.is_ok(), enough);
}

#[test]
fn references_and_rows_of_raw_memory_are_those_of_a_slice() {
    let mut words = [1_u32, 2, 3];
    let addr = words.as_mut_ptr().cast::<u8>();
    // SAFETY: the array is the test's own, mapped, and accessed by nobody else.
    let object = unsafe { VolatileRef::<u32>::new(addr) };
    // SAFETY: as before.
    let row = unsafe { VolatileArrayRef::<u32>::new(addr, 3) };
    object.store(7);
    assert_eq!((object.load(), row.load(0), row.load(2)), (7, 7, 3));
    assert_eq!(bytes(&object.to_slice()), 7_u32.to_ne_bytes());
}

#[test]
fn an_end_is_inside_or_at_the_end() {
    let mut ram = Ram::<16>::zeroed();
    let memory = ram.slice();
    assert_eq!(memory.compute_end_offset(16, 0).expect("at the end"), 16);
    assert!(matches!(memory.compute_end_offset(9, 8), Err(Error::OutOfBounds { addr: 17 })));
    let refused = memory.compute_end_offset(MAX, 8);
    assert!(matches!(refused, Err(Error::Overflow { base: MAX, offset: 8 })));
}
