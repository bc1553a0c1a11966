//! Pieces of memory, and runs of bytes to and from them: every edge, and nothing outside it.

mod common;

use common::{Ram, bytes};
use guest_volatile::{Error, Result, VolatileMemory, VolatileSlice};
use rstest::rstest;

const MAX: usize = usize::MAX;
const HALF: usize = isize::MAX as usize;

/// What happened, in a form that can be compared.
#[derive(Debug, PartialEq)]
enum Outcome<T> {
    Done(T),
    /// `OutOfBounds`, with the offset it names.
    Out(usize),
    Overflow,
    /// `PartialBuffer`, with its two counts.
    Part(usize, usize),
}

use Outcome::{Done, Out, Overflow, Part};

fn outcome<T>(result: Result<T>) -> Outcome<T> {
    match result {
        Ok(value) => Done(value),
        Err(Error::OutOfBounds { addr }) => Out(addr),
        Err(Error::Overflow { .. }) => Overflow,
        Err(Error::PartialBuffer { expected, completed }) => Part(expected, completed),
        Err(error) => panic!("unexpected: {error}"),
    }
}

// The error names the end of the range, as vm-memory's does.
#[rstest]
#[case::all(0, 16, Done(16))]
#[case::first(0, 1, Done(1))]
#[case::last(15, 1, Done(1))]
#[case::nothing_at_the_start(0, 0, Done(0))]
#[case::nothing_at_the_end(16, 0, Done(0))]
#[case::nothing_past_the_end(17, 0, Out(17))]
#[case::nothing_at_the_largest_offset(MAX, 0, Out(MAX))]
#[case::one_too_many(0, 17, Out(17))]
#[case::over_the_end(15, 2, Out(17))]
#[case::at_the_end(16, 1, Out(17))]
#[case::half_the_address_space(0, HALF, Out(HALF))]
#[case::past_half_of_it(1, HALF, Out(HALF + 1))]
#[case::with_the_read_only_bit(0, HALF + 1, Out(HALF + 1))]
#[case::with_the_read_only_bit_and_more(0, HALF + 9, Out(HALF + 9))]
#[case::all_of_it(0, MAX, Out(MAX))]
#[case::largest_offset(MAX, 1, Overflow)]
#[case::largest_of_both(MAX, MAX, Overflow)]
#[case::a_sum_of_0(HALF + 2, HALF, Overflow)]
fn a_subslice_lies_inside_or_is_refused(
    #[case] offset: usize,
    #[case] count: usize,
    #[case] expected: Outcome<usize>,
) {
    let mut ram = Ram::<16>::zeroed();
    let memory = ram.slice();
    assert_eq!(outcome(memory.subslice(offset, count).map(|part| part.len())), expected);
    assert_eq!(outcome(memory.get_slice(offset, count).map(|part| part.len())), expected);
    let read_only = memory.read_only();
    assert_eq!(outcome(read_only.subslice(offset, count).map(|part| part.len())), expected);
}

#[rstest]
#[case(0, Done((0, 16)))]
#[case(1, Done((1, 15)))]
#[case(16, Done((16, 0)))]
#[case(17, Out(17))]
#[case(MAX, Out(MAX))]
fn a_split_gives_the_first_bytes_and_the_rest(
    #[case] mid: usize,
    #[case] expected: Outcome<(usize, usize)>,
) {
    let mut ram = Ram::<16>::counting();
    let memory = ram.slice();
    let split = memory.split_at(mid);
    if let Ok((first, rest)) = &split {
        assert_eq!([bytes(first), bytes(rest)].concat(), bytes(&memory));
    }
    assert_eq!(outcome(split.map(|(first, rest)| (first.len(), rest.len()))), expected);
    let lens = match expected {
        Done((_, rest)) => Done(rest),
        Out(at) => Out(at),
        other => panic!("unexpected: {other:?}"),
    };
    assert_eq!(outcome(memory.offset(mid).map(|rest| rest.len())), lens);
}

#[test]
fn parts_of_parts_are_where_their_offsets_add_up() {
    let mut ram = Ram::<64>::counting();
    let memory = ram.slice();
    let (_, upper) = memory.split_at(16).expect("inside");
    let part = upper.offset(8).and_then(|part| part.subslice(4, 8)).expect("inside");
    assert_eq!(bytes(&part), (29..37).collect::<Vec<u8>>());
    part.write_obj(0xff_u8, 7).expect("the last byte");
    assert!(part.write_obj(0xff_u8, 8).is_err(), "inside the memory, and past the part");
    assert_eq!(memory.read_obj::<[u8; 3]>(34).expect("inside"), [35, 0xff, 37]);
}

// SEMANTICS 6, 8: nothing can be moved anywhere, and what does not fit is moved in part.
#[rstest]
#[case::all(0, 16, Done(16))]
#[case::inside(3, 5, Done(5))]
#[case::last(15, 1, Done(1))]
#[case::over_the_end(10, 10, Done(6))]
#[case::far_over_the_end(0, 300, Done(16))]
#[case::at_the_end(16, 1, Out(16))]
#[case::at_the_largest_offset(MAX, 1, Out(MAX))]
#[case::at_half_the_address_space(HALF, 1, Out(HALF))]
#[case::nothing(0, 0, Done(0))]
#[case::nothing_at_the_end(16, 0, Done(0))]
#[case::nothing_past_the_end(17, 0, Done(0))]
#[case::nothing_at_the_largest_offset(MAX, 0, Done(0))]
fn a_run_of_bytes_is_moved_as_far_as_there_are_any(
    #[case] offset: usize,
    #[case] len: usize,
    #[case] expected: Outcome<usize>,
) {
    let mut ram = Ram::<16>::counting();
    let before = ram.0;
    let memory = ram.slice();
    let moved = if let Done(count) = expected { count } else { 0 };
    // Nothing has a place of its own; any in bounds will do to look at.
    let start = offset.min(16);
    let whole = match &expected {
        Done(count) if *count < len => Part(len, *count),
        Done(_) => Done(()),
        Out(at) => Out(*at),
        other => panic!("unexpected: {other:?}"),
    };

    let mut buf = vec![0xee; len];
    assert_eq!(outcome(memory.read(&mut buf, offset)), expected);
    assert_eq!(buf[..moved], before[start..start + moved]);
    assert!(buf[moved..].iter().all(|byte| *byte == 0xee), "past what was read: {buf:?}");

    let mut buf = vec![0xee; len];
    assert_eq!(outcome(memory.read_slice(&mut buf, offset)), whole);
    assert_eq!(buf[..moved], before[start..start + moved]);
    assert!(buf[moved..].iter().all(|byte| *byte == 0xee), "past what was read: {buf:?}");

    let mut model = before;
    model[start..start + moved].fill(0xaa);
    assert_eq!(outcome(memory.write(&vec![0xaa; len], offset)), expected);
    assert_eq!(bytes(&memory), model);

    model[start..start + moved].fill(0xbb);
    assert_eq!(outcome(memory.write_slice(&vec![0xbb; len], offset)), whole);
    assert_eq!(bytes(&memory), model);
}

#[test]
fn a_write_past_a_part_does_not_reach_what_is_behind_it() {
    let mut ram = Ram::<32>::counting();
    let before = ram.0;
    let memory = ram.slice();
    let part = memory.subslice(8, 8).expect("inside");
    assert_eq!(part.write(&[0; 32], 4).expect("in part"), 4);
    assert_eq!(bytes(&memory)[..12], before[..12]);
    assert_eq!(bytes(&memory)[12..16], [0; 4]);
    assert_eq!(bytes(&memory)[16..], before[16..]);
}

// SEMANTICS 14.
#[rstest]
#[case::all(0, 16, Done(()))]
#[case::inside(3, 5, Done(()))]
#[case::over_the_end(10, 7, Out(17))]
#[case::at_the_end(16, 1, Out(17))]
#[case::largest_offset(MAX, 1, Overflow)]
#[case::nothing_at_the_largest_offset(MAX, 0, Done(()))]
fn a_whole_write_is_all_or_nothing(
    #[case] offset: usize,
    #[case] len: usize,
    #[case] expected: Outcome<()>,
) {
    let mut ram = Ram::<16>::counting();
    let mut model = ram.0;
    let memory = ram.slice();
    assert_eq!(outcome(memory.write_whole(&vec![0xaa; len], offset)), expected);
    if expected == Done(()) && len > 0 {
        model[offset..offset + len].fill(0xaa);
    }
    assert_eq!(bytes(&memory), model);
}

#[test]
fn an_empty_slice_gives_nothing_and_takes_nothing() {
    let memory = VolatileSlice::from(&mut [][..]);
    assert!(memory.is_empty());
    assert_eq!(outcome(memory.read(&mut [0], 0)), Out(0));
    assert_eq!(outcome(memory.write(&[0], 0)), Out(0));
    assert_eq!(outcome(memory.read_slice(&mut [], 0)), Done(()));
    assert_eq!(outcome(memory.write_slice(&[], 0)), Done(()));
    assert_eq!(outcome(memory.subslice(0, 0).map(|part| part.len())), Done(0));
    assert_eq!(memory.copy_to(&mut [0_u8; 4]), 0);
    memory.copy_from(&[1_u8; 4]);
    assert_eq!((memory.host_ptr().len(), memory.host_ptr_mut().len()), (0, 0));
}

// SEMANTICS 19.
#[rstest]
#[case::up(0, 3, 8)]
#[case::down(3, 0, 8)]
#[case::up_by_one(4, 5, 27)]
#[case::down_by_one(5, 4, 27)]
#[case::in_place(4, 4, 20)]
#[case::apart(0, 16, 16)]
#[case::long_up(0, 100, 2000)]
#[case::long_down(100, 0, 2000)]
fn slices_of_the_same_memory_are_copied_as_by_memmove(
    #[case] from: usize,
    #[case] to: usize,
    #[case] len: usize,
) {
    let mut ram = Ram::<2100>::counting();
    let mut model = ram.0;
    let memory = ram.slice();
    let source = memory.subslice(from, len).expect("inside");
    let target = memory.subslice(to, len).expect("inside");
    source.copy_to_volatile_slice(target);
    model.copy_within(from..from + len, to);
    assert_eq!(bytes(&memory), model);
}

#[rstest]
#[case::shorter_source(4, 9, 4)]
#[case::shorter_target(9, 4, 4)]
#[case::empty_source(0, 9, 0)]
#[case::empty_target(9, 0, 0)]
fn the_shorter_of_two_slices_bounds_a_copy(
    #[case] source: usize,
    #[case] target: usize,
    #[case] count: usize,
) {
    let (mut from, mut to) = (Ram::<16>::counting(), Ram::<16>::zeroed());
    let mut model = to.0;
    model[..count].copy_from_slice(&from.0[..count]);
    let (from, to) = (from.slice(), to.slice());
    let part = to.subslice(0, target).expect("inside");
    from.subslice(0, source).expect("inside").copy_to_volatile_slice(part);
    assert_eq!(bytes(&to), model);
}

// SEMANTICS 15 for runs: single words and all that is longer give the same bytes at every alignment.
#[test]
fn runs_of_every_length_and_alignment_arrive_as_they_were() {
    let mut ram = Ram::<400>::counting();
    let before = ram.0;
    let memory = ram.slice();
    for offset in 0..16 {
        for len in 0..=130 {
            let mut buf = [0; 160];
            memory.read_slice(&mut buf[..len], offset).expect("inside");
            assert_eq!(buf[..len], before[offset..offset + len]);
            assert_eq!(buf[len..], [0; 160][len..]);
            memory.write_slice(&buf[..len], offset + 200).expect("inside");
            assert_eq!(bytes(&memory)[offset + 200..][..len], buf[..len]);
            memory.write_slice(&before[200..], 200).expect("inside");
        }
    }
}
