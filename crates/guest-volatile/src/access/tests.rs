//! Objects of every size are moved whole, and overlapping runs as if through a buffer between them.

#![expect(unsafe_code, reason = "calls the engine on memory of the test")]

use core::array;

use super::{copy_overlapping, read, write};

const ROOM: usize = 2600;
/// Far enough from both ends to shift a run by this much.
const START: usize = 100;

fn counting() -> [u8; ROOM] {
    array::from_fn(|index| (index % 251) as u8)
}

// SEMANTICS 19.
#[test]
fn overlapping_copies_are_those_of_memmove() {
    let before = counting();
    for len in (0..=140).chain([255, 256, 1000, 1024, 2048]) {
        for start in (START - 70)..=(START + 70) {
            let (mut memory, mut model) = (before, before);
            model.copy_within(START..START + len, start);
            let base = memory.as_mut_ptr();
            let (src, dst) = (base.wrapping_add(START), base.wrapping_add(start));
            // SAFETY: both ranges lie in the test's own array.
            unsafe { copy_overlapping(dst, src, len) }.unwrap();
            assert!(memory == model, "{len} bytes from {START} to {start}");
        }
    }
}

#[test]
fn a_copy_to_its_own_place_changes_nothing() {
    let mut memory = counting();
    let base = memory.as_mut_ptr();
    // SAFETY: the range is the test's own array.
    unsafe { copy_overlapping(base, base, ROOM) }.unwrap();
    assert!(memory == counting());
}

/// Reads and writes an object of `N` bytes at an odd and an even address.
fn object<const N: usize>() {
    for offset in [START, START + 1] {
        let source = counting();
        // SAFETY: the object lies in the test's own array.
        let value = unsafe { read::<[u8; N]>(source.as_ptr().wrapping_add(offset)) }.unwrap();
        assert_eq!(value, source[offset..offset + N]);

        let mut target = [0xee; ROOM];
        // SAFETY: as before.
        assert!(unsafe { write(target.as_mut_ptr().wrapping_add(offset), value) });
        let mut model = [0xee; ROOM];
        model[offset..offset + N].copy_from_slice(&value);
        assert!(target == model, "an object of {N} bytes at {offset}");
    }
}

macro_rules! objects {
    ($($size:literal)*) => { $(object::<$size>();)* };
}

#[test]
fn objects_of_every_size_are_read_and_written_exactly() {
    objects!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 23 24 25 28 30 31);
    // Around the largest that goes by narrow words, and the largest that goes inline.
    objects!(32 33 34 35 36 40 47 48 49 63 64 65 77 100 126 127 128 129 130 144 255 256 1024 1100);
}
