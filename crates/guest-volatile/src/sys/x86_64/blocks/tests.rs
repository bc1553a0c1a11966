//! Each way to copy is right for every length that it may get, also those that this processor would not choose.

use super::*;

/// A copy that says how far it came, or whether it came to the end: of memory that `copies_exactly` gives, that is the test's own.
macro_rules! count {
    ($copy:ident) => {
        // SAFETY: the tests call what may be called on this processor, on two arrays of their own.
        |dst, src, len| unsafe { $copy(dst, src, len) }
    };
    ($copy:ident to the end if $done:path) => {
        // SAFETY: as above.
        |dst, src, len| if $done(&unsafe { $copy(dst, src, len) }) { len } else { 0 }
    };
}

const GUARD: usize = 48;
const MOST: usize = 600;
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
    copies_exactly(0..SHORT, count!(move_short to the end if bool::clone));
}

#[test]
fn copies_by_narrow_registers_are_exact() {
    copies_exactly(0..=MOST, count!(move_narrow));
}

#[test]
fn copies_by_wide_registers_are_exact() {
    if Processor::this().has_wide_registers() {
        copies_exactly(0..=MOST, count!(move_wide));
    }
}

#[test]
fn copies_by_the_string_instruction_are_exact() {
    copies_exactly(0..=MOST, count!(move_string));
}

#[test]
fn long_copies_are_exact_before_the_processor_was_asked_and_after() {
    copies_exactly(SHORT..=MOST, count!(copy_long to the end if Result::is_ok));
    copies_exactly(SHORT..=MOST, count!(copy_blocks to the end if Result::is_ok));
}

// A round of wide registers loads before it stores, so that a target below the source may overlap it.
#[test]
fn each_way_is_right_for_a_target_below_an_overlapping_source() {
    let ways: [unsafe fn(*mut u8, *const u8, usize) -> usize; 3] =
        [move_narrow, move_wide, move_string];
    let start: [u8; ROOM] = core::array::from_fn(|index| (index % 251) as u8);
    for copy in ways {
        if copy as usize == ways[1] as usize && !Processor::this().has_wide_registers() {
            continue;
        }
        for (len, shift) in
            (0..=300).flat_map(|len| [1, 7, 16, 31, 64, 100].map(|shift| (len, shift)))
        {
            let (mut memory, mut model) = (start, start);
            model.copy_within(GUARD + shift..GUARD + shift + len, GUARD);
            let dst = memory[GUARD..].as_mut_ptr();
            // SAFETY: both ranges lie in the test's own array.
            assert_eq!(unsafe { copy(dst, dst.wrapping_add(shift), len) }, len);
            assert!(memory == model, "{len} bytes down by {shift}");
        }
    }
}
