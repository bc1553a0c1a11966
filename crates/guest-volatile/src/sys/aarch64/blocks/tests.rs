//! Each way to copy is right for every length that it may get, also those that another is chosen for.

use super::*;

const GUARD: usize = 48;
const MOST: usize = 300;
const ROOM: usize = GUARD + 16 + MOST + GUARD;

/// Copies of each of these lengths, between all alignments to 16 bytes, move each byte of the range and no other.
fn copies_exactly(
    lengths: impl IntoIterator<Item = usize>,
    copy: impl Fn(*mut u8, *const u8, usize) -> usize,
) {
    let source: [u8; ROOM] = core::array::from_fn(|index| (index % 251) as u8);
    let mut target = [0xee_u8; ROOM];
    for len in lengths {
        for (from, to) in (0..256).map(|both| (GUARD + both / 16, GUARD + both % 16)) {
            let (src, dst) = (source[from..].as_ptr(), target[to..].as_mut_ptr());
            assert_eq!(copy(dst, src, len), len);
            assert_eq!(target[to..to + len], source[from..from + len], "{len} {from} {to}");
            target[to..to + len].fill(0xee);
            assert!(target == [0xee; ROOM], "around {len} {from} {to}");
        }
    }
}

#[test]
fn short_copies_in_place_are_exact() {
    // SAFETY: both ranges lie in arrays of the test's own, and the length is short.
    copies_exactly(
        0..SHORT,
        |dst, src, len| if unsafe { move_short(dst, src, len) } { len } else { 0 },
    );
}

#[test]
fn copies_by_blocks_are_exact() {
    // SAFETY: both ranges lie in arrays of the test's own.
    copies_exactly(0..=MOST, |dst, src, len| unsafe { move_long(dst, src, len) });
}

// A block loads before it stores, so that a target below the source may overlap it.
#[test]
fn blocks_are_right_for_a_target_below_an_overlapping_source() {
    let start: [u8; ROOM] = core::array::from_fn(|index| (index % 251) as u8);
    for (len, shift) in
        (0..=MOST - 100).flat_map(|len| [1, 7, 16, 31, 64, 100].map(|shift| (len, shift)))
    {
        let (mut memory, mut model) = (start, start);
        model.copy_within(GUARD + shift..GUARD + shift + len, GUARD);
        let dst = memory[GUARD..].as_mut_ptr();
        // SAFETY: both ranges lie in the test's own array.
        assert_eq!(unsafe { move_long(dst, dst.wrapping_add(shift), len) }, len);
        assert!(memory == model, "{len} bytes down by {shift}");
    }
}
