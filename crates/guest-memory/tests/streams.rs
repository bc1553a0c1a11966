//! Memory filled from sources and emptied into sinks that give little at a time, are interrupted, fail, or lie.

mod common;

use std::io::{Cursor, ErrorKind};

use common::Step::{EndAfter, Fail, FailAfter, Lie, Move};
use common::{Map, Sink, Source, Step, all_bytes, counting, map, region, three};
use guest_memory::{
    Bytes, GuestAddress, GuestMemoryError as E, GuestMemoryRegion, MemoryRegionAddress,
};
use rstest::rstest;

/// The border of two regions is at 0x1000.
const BORDER: GuestAddress = GuestAddress(0xff0);

fn two() -> Map {
    map(&[(0, 0x1000), (0x1000, 0x1000)])
}

/// Two regions from a page on, filled with numbers from `addr` on.
fn two_filled_at(addr: GuestAddress, len: usize) -> Map {
    let memory = two();
    memory.write_slice(&counting(len), addr).expect("there is room");
    memory
}

/// Asserts that the memory holds the numbers from 1 to `count` at the border, and nothing else.
#[track_caller]
fn assert_filled(memory: &Map, count: usize) {
    let all = all_bytes(memory);
    let (before, rest) = all.split_at(0xff0);
    assert!(before.iter().all(|&byte| byte == 0));
    assert_eq!(rest[..count], counting(count));
    assert!(rest[count..].iter().all(|&byte| byte == 0));
}

mod read_volatile_from {
    use super::*;

    // SEMANTICS 9: never skips a guest byte.
    #[rstest]
    #[case::first_piece_short(&[Move(10), Move(100)], 10)]
    #[case::first_piece_whole_second_short(&[Move(16), Move(6), Move(100)], 22)]
    #[case::both_whole(&[Move(100), Move(100)], 32)]
    #[case::end_of_the_source(&[], 0)]
    #[case::end_after_the_first_piece(&[Move(100)], 16)]
    #[case::failure_after_the_first_piece(&[Move(100), Fail(ErrorKind::ConnectionReset)], 16)]
    #[case::would_block_after_the_first_piece(&[Move(100), Fail(ErrorKind::WouldBlock)], 16)]
    fn stops_at_a_short_read(#[case] steps: &[Step], #[case] expected: usize) {
        let memory = two();
        let mut source = Source::new(steps.iter().cloned());
        assert_eq!(memory.read_volatile_from(BORDER, &mut source, 32).unwrap(), expected);
        assert_filled(&memory, expected);
    }

    // SEMANTICS 11.
    #[test]
    fn tries_an_interrupted_read_again() {
        let memory = two();
        let interrupted = Fail(ErrorKind::Interrupted);
        let steps =
            [interrupted.clone(), interrupted.clone(), Move(16), interrupted.clone(), Move(16)];
        let mut source = Source::new(steps);
        assert_eq!(memory.read_volatile_from(BORDER, &mut source, 32).unwrap(), 32);
        assert_filled(&memory, 32);
        assert_eq!(source.asked, [16; 5]);
    }

    #[test]
    fn says_how_a_source_failed_that_gave_nothing() {
        let mut source = Source::new([Fail(ErrorKind::ConnectionReset)]);
        let failed = two().read_volatile_from(BORDER, &mut source, 32);
        assert!(
            matches!(failed, Err(E::IOError(error)) if error.kind() == ErrorKind::ConnectionReset)
        );
    }

    #[test]
    fn does_not_believe_a_count() {
        let mut source = Source::new([Lie(usize::MAX), Lie(17)]);
        assert_eq!(two().read_volatile_from(BORDER, &mut source, 32).unwrap(), 32);
    }

    // SEMANTICS 8.
    #[test]
    fn stops_at_a_hole() {
        let memory = three();
        let mut source = Source::new([Move(100), Move(100)]);
        assert_eq!(memory.read_volatile_from(GuestAddress(0x2ff8), &mut source, 32).unwrap(), 8);
        assert_eq!(source.asked, [8]);
        let nowhere = memory.read_volatile_from(GuestAddress(0x3000), &mut source, 32);
        assert!(matches!(nowhere, Err(E::InvalidGuestAddress(GuestAddress(0x3000)))));
        assert_eq!(source.asked, [8]);
    }

    // SEMANTICS 13: not in chunks.
    #[test]
    fn reads_once_for_each_region() {
        let memory = map(&[(0, 1 << 20), (1 << 20, 0x3000)]);
        let mut source = Source::new([Move(1 << 20), Move(0x3000)]);
        let done = memory.read_volatile_from(GuestAddress(0), &mut source, (1 << 20) + 0x3000);
        assert_eq!(done.unwrap(), (1 << 20) + 0x3000);
        assert_eq!(source.asked, [1 << 20, 0x3000]);
    }
}

mod read_exact_volatile_from {
    use super::*;

    // SEMANTICS 10.
    #[rstest]
    #[case::ten_and_the_rest(&[Move(10), Move(100), Move(100)])]
    #[case::byte_by_byte(&[const { Move(1) }; 32])]
    #[case::interrupted(&[Fail(ErrorKind::Interrupted), Move(10), Fail(ErrorKind::Interrupted), Move(6), Fail(ErrorKind::Interrupted), Move(22)])]
    fn goes_on_over_short_reads(#[case] steps: &[Step]) {
        let memory = two();
        let mut source = Source::new(steps.iter().cloned());
        memory.read_exact_volatile_from(BORDER, &mut source, 32).unwrap();
        assert_filled(&memory, 32);
    }

    // SEMANTICS 10.
    #[rstest]
    #[case::at_once(&[], 0)]
    #[case::in_the_first_piece(&[Move(3), Move(7)], 10)]
    #[case::between_the_pieces(&[Move(16)], 16)]
    #[case::in_the_second_piece(&[Move(10), Move(10), Move(5)], 21)]
    fn tells_how_far_it_came_before_the_source_ended(
        #[case] steps: &[Step],
        #[case] expected: usize,
    ) {
        let memory = two();
        let mut source = Source::new(steps.iter().cloned());
        let ended = memory.read_exact_volatile_from(BORDER, &mut source, 32).unwrap_err();
        assert!(
            matches!(ended, E::PartialBuffer { expected: 32, completed } if completed == expected),
            "{ended}"
        );
        assert_filled(&memory, expected);
    }

    // SEMANTICS 11.
    #[rstest]
    #[case::in_the_first_piece(&[Move(10), Fail(ErrorKind::TimedOut)], 10)]
    #[case::between_the_pieces(&[Move(16), Fail(ErrorKind::TimedOut)], 16)]
    #[case::in_the_second_piece(&[Move(16), Move(1), Fail(ErrorKind::TimedOut)], 17)]
    fn keeps_the_count_and_the_cause_of_a_failure(#[case] steps: &[Step], #[case] expected: usize) {
        let memory = two();
        let mut source = Source::new(steps.iter().cloned());
        match memory.read_exact_volatile_from(BORDER, &mut source, 32) {
            Err(E::IOErrorAfter { completed, error }) => {
                assert_eq!((completed, error.kind()), (expected, ErrorKind::TimedOut));
            }
            other => panic!("{other:?}"),
        }
        assert_filled(&memory, expected);
    }

    #[test]
    fn fails_without_a_count_where_there_is_none() {
        let mut source = Source::new([Fail(ErrorKind::TimedOut)]);
        let failed = two().read_exact_volatile_from(BORDER, &mut source, 32);
        assert!(matches!(failed, Err(E::IOError(_))));
    }

    #[rstest]
    #[case::more_than_the_piece(&[FailAfter(usize::MAX)], 16)]
    #[case::more_than_is_left_of_it(&[Move(10), FailAfter(7)], 16)]
    #[case::a_part_of_the_second(&[Move(16), Move(1), FailAfter(2)], 19)]
    fn does_not_believe_a_count_in_an_error(#[case] steps: &[Step], #[case] expected: usize) {
        let mut source = Source::new(steps.iter().cloned());
        let failed = two().read_exact_volatile_from(BORDER, &mut source, 32);
        assert!(matches!(failed, Err(E::IOErrorAfter { completed, .. }) if completed == expected));
        for step in [FailAfter(usize::MAX), EndAfter(usize::MAX)] {
            let mut source = Source::new([step.clone()]);
            assert_eq!(two().read_volatile_from(BORDER, &mut source, 32).unwrap(), 16);
            let mut sink = Sink::new([step]);
            assert_eq!(two().write_volatile_to(BORDER, &mut sink, 32).unwrap(), 16);
        }
    }

    // SEMANTICS 8.
    #[test]
    fn tells_how_far_it_came_before_a_hole() {
        let mut source = Source::new([Move(5), Move(100), Move(100)]);
        let partial = three().read_exact_volatile_from(GuestAddress(0x2ff8), &mut source, 32);
        assert!(matches!(partial, Err(E::PartialBuffer { expected: 32, completed: 8 })));
        assert_eq!(source.asked, [8, 3]);
    }
}

mod write_volatile_to {
    use super::*;

    // SEMANTICS 9, 12.
    #[rstest]
    #[case::first_piece_short(&[Move(10), Move(100)], 10)]
    #[case::first_piece_whole_second_short(&[Move(16), Move(6), Move(100)], 22)]
    #[case::both_whole(&[Move(100), Move(100)], 32)]
    #[case::full_at_once(&[], 0)]
    #[case::interrupted(&[Fail(ErrorKind::Interrupted), Move(16), Fail(ErrorKind::Interrupted), Move(16)], 32)]
    #[case::failure_after_the_first_piece(&[Move(100), Fail(ErrorKind::BrokenPipe)], 16)]
    fn stops_at_a_short_write(#[case] steps: &[Step], #[case] expected: usize) {
        let memory = two_filled_at(BORDER, 32);
        let mut sink = Sink::new(steps.iter().cloned());
        assert_eq!(memory.write_volatile_to(BORDER, &mut sink, 32).unwrap(), expected);
        assert_eq!(sink.taken, counting(expected));
    }

    #[test]
    fn says_how_a_sink_failed_that_took_nothing() {
        let mut sink = Sink::new([Fail(ErrorKind::BrokenPipe)]);
        let failed = two().write_volatile_to(BORDER, &mut sink, 32);
        assert!(matches!(failed, Err(E::IOError(error)) if error.kind() == ErrorKind::BrokenPipe));
    }

    #[test]
    fn does_not_believe_a_count() {
        let mut sink = Sink::new([Lie(usize::MAX), Lie(17)]);
        assert_eq!(two().write_volatile_to(BORDER, &mut sink, 32).unwrap(), 32);
    }

    // SEMANTICS 8.
    #[test]
    fn stops_at_a_hole() {
        let (memory, mut sink) = (three(), Sink::new([Move(100), Move(100)]));
        assert_eq!(memory.write_volatile_to(GuestAddress(0x2ff8), &mut sink, 32).unwrap(), 8);
        let nowhere = memory.write_volatile_to(GuestAddress(0x3000), &mut sink, 32);
        assert!(matches!(nowhere, Err(E::InvalidGuestAddress(GuestAddress(0x3000)))));
        assert_eq!(sink.offered, [8]);
    }

    // SEMANTICS 13.
    #[test]
    fn writes_once_for_each_region() {
        let memory = map(&[(0, 1 << 20), (1 << 20, 0x3000)]);
        let mut sink = Sink::new([Move(1 << 20), Move(0x3000)]);
        let done = memory.write_volatile_to(GuestAddress(0), &mut sink, usize::MAX);
        assert_eq!(done.unwrap(), (1 << 20) + 0x3000);
        assert_eq!(sink.offered, [1 << 20, 0x3000]);
    }
}

mod write_all_volatile_to {
    use super::*;

    // SEMANTICS 10, 12: each byte is taken once, in its turn.
    #[rstest]
    #[case::ten_and_the_rest(&[Move(10), Move(100), Move(100)])]
    #[case::byte_by_byte(&[const { Move(1) }; 32])]
    #[case::interrupted(&[Fail(ErrorKind::Interrupted), Move(15), Fail(ErrorKind::Interrupted), Move(2), Move(16)])]
    fn goes_on_over_short_writes(#[case] steps: &[Step]) {
        let memory = two_filled_at(BORDER, 32);
        let mut sink = Sink::new(steps.iter().cloned());
        memory.write_all_volatile_to(BORDER, &mut sink, 32).unwrap();
        assert_eq!(sink.taken, counting(32));
    }

    // SEMANTICS 12: what is offered again is what was not taken.
    #[test]
    fn offers_a_slow_sink_only_what_it_has_not_taken() {
        let memory = two_filled_at(BORDER, 32);
        let mut sink = Sink::new([const { Move(1) }; 32]);
        memory.write_all_volatile_to(BORDER, &mut sink, 32).unwrap();
        let expected: Vec<usize> = (1..=16).rev().chain((1..=16).rev()).collect();
        assert_eq!(sink.offered, expected);
    }

    // SEMANTICS 10, 11.
    #[test]
    fn tells_how_far_it_came() {
        let memory = two_filled_at(BORDER, 32);
        let mut full = Sink::new([Move(16), Move(4)]);
        let partial = memory.write_all_volatile_to(BORDER, &mut full, 32);
        assert!(matches!(partial, Err(E::PartialBuffer { expected: 32, completed: 20 })));
        let mut broken = Sink::new([Move(16), Move(4), Fail(ErrorKind::BrokenPipe)]);
        let failed = memory.write_all_volatile_to(BORDER, &mut broken, 32);
        assert!(matches!(
            failed,
            Err(E::IOErrorAfter { completed: 20, error }) if error.kind() == ErrorKind::BrokenPipe
        ));
        assert_eq!((full.taken, broken.taken), (counting(20), counting(20)));
    }
}

// The sources and sinks that come with guest-volatile.
#[test]
fn slices_vectors_and_cursors_are_streams() {
    let memory = two();
    let data = counting(32);
    memory.read_exact_volatile_from(BORDER, &mut &data[..], 32).unwrap();
    let mut vector = Vec::new();
    memory.write_all_volatile_to(BORDER, &mut vector, 32).unwrap();
    assert_eq!(vector, data);

    let mut cursor = Cursor::new(&data[..20]);
    cursor.set_position(4);
    assert_eq!(memory.read_volatile_from(BORDER, &mut cursor, 32).unwrap(), 16);
    assert_eq!(
        memory.read_obj::<[u8; 17]>(BORDER).unwrap()[..],
        [&data[4..20], &data[16..17]].concat()
    );

    let mut room = [0; 20];
    let partial = memory.write_all_volatile_to(BORDER, &mut &mut room[..], 32);
    assert!(matches!(partial, Err(E::PartialBuffer { expected: 32, completed: 20 })));
    assert_eq!(room[..16], data[4..20]);
}

// A region by itself, and the same names on a slice.
#[test]
fn a_region_and_a_slice_stream_the_same_way() {
    let region = region(0x1000, 0x20);
    let addr = MemoryRegionAddress(0x10);
    let mut source = Source::new([Move(10), Fail(ErrorKind::Interrupted), Move(100)]);
    region.read_exact_volatile_from(addr, &mut source, 16).unwrap();
    let mut sink = Sink::new([const { Move(3) }; 6]);
    region.write_all_volatile_to(addr, &mut sink, 16).unwrap();
    assert_eq!(sink.taken, counting(16));
    assert_eq!(region.read_volatile_from(addr, &mut &[7; 40][..], 40).unwrap(), 16);
    assert_eq!(region.write_volatile_to(addr, &mut Vec::new(), 40).unwrap(), 16);
    assert!(region.read_exact_volatile_from(addr, &mut &[7; 40][..], 17).is_err());

    let slice = region.as_volatile_slice().unwrap();
    assert_eq!(Bytes::read_volatile_from(&slice, 0x1c, &mut &[8; 40][..], 40).unwrap(), 4);
    Bytes::read_exact_volatile_from(&slice, 0, &mut &[9; 40][..], 0x20).unwrap();
    assert_eq!(Bytes::write_volatile_to(&slice, 0x1c, &mut Vec::new(), 40).unwrap(), 4);
    let mut all = Vec::new();
    Bytes::write_all_volatile_to(&slice, 0, &mut all, 0x20).unwrap();
    assert_eq!(all, [9; 0x20]);
}
