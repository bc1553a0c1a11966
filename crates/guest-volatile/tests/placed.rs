//! A slice at an address: what it gives is inside and where it should be, and it gives small parts but at its very end.

#![cfg(feature = "std")]

mod common;

use common::{Log, Ram, bytes};
use guest_volatile::{Error, PlacedSlice, VolatileSlice};
use rstest::rstest;

const START: u64 = 0x1000;
const LEN: usize = 64;

#[rstest]
#[case::first(0, 8, true)]
#[case::odd(3, 16, true)]
#[case::small_before_the_last_sixteen(LEN - 17, 1, true)]
#[case::sixteen_at_the_end(LEN - 16, 16, true)]
#[case::large_at_the_end(LEN - 17, 17, true)]
#[case::all(0, LEN, true)]
#[case::over_the_end(LEN - 7, 8, false)]
#[case::large_over_the_end(LEN - 17, 18, false)]
#[case::at_the_end(LEN, 1, false)]
#[case::past_the_end(LEN + 1, 1, false)]
#[case::just_below(usize::MAX, 1, false)]
#[case::just_below_and_over_the_start(usize::MAX, 8, false)]
#[case::large_just_below(usize::MAX, 32, false)]
#[case::too_much(0, LEN + 1, false)]
#[case::half_the_address_space(0, isize::MAX as usize, false)]
#[case::with_the_read_only_bit(0, isize::MAX as usize + 9, false)]
#[case::the_most(0, usize::MAX, false)]
fn parts_that_lie_inside_are_given(
    #[case] offset: usize,
    #[case] count: usize,
    #[case] given: bool,
) {
    let mut ram = Ram::<LEN>::counting();
    let placed = PlacedSlice::new(START, ram.slice());
    let at = START.wrapping_add(offset as u64);
    let expected = given.then(|| (1..=64).skip(offset).take(count).collect::<Vec<u8>>());
    assert_eq!(placed.readable(at, count).as_ref().map(bytes), expected);
    assert_eq!(placed.writable(at, count).as_ref().map(bytes), expected);
}

#[test]
fn what_is_not_given_is_only_near_the_end() {
    let mut ram = Ram::<LEN>::counting();
    let placed = PlacedSlice::new(START, ram.slice());
    for count in 1..=LEN {
        for offset in 0..=LEN - count {
            let given = placed.readable(START + offset as u64, count);
            assert!(given.is_some() || LEN - offset < 16, "{count} at {offset}");
            assert!(given.is_none_or(|part| bytes(&part)[0] == offset as u8 + 1));
        }
    }
}

#[test]
fn what_is_for_reading_is_not_written() {
    let (mut ram, log) = (Ram::<LEN>::counting(), Log::default());
    let placed = PlacedSlice::new(START, log.watch(ram.slice()));
    for count in [4, 32] {
        let part = placed.readable(START, count).expect("inside");
        assert!(part.is_read_only());
        assert!(matches!(part.write_obj(0_u8, 0), Err(Error::NotWritable)));
    }
    let placed = PlacedSlice::new(START, log.watch(ram.slice()).read_only());
    for count in [4, 32] {
        assert!(placed.writable(START, count).is_none());
        assert!(placed.readable(START, count).expect("inside").is_read_only());
    }
    assert_eq!(log.take(), []);
}

// SEMANTICS 20.
#[test]
fn writes_are_marked_where_they_are() {
    let (mut ram, log) = (Ram::<LEN>::counting(), Log::default());
    let placed = PlacedSlice::new(START, log.watch(ram.slice()));
    for count in [4, 32] {
        let part = placed.writable(START + 8, count).expect("inside");
        part.write_obj(0_u16, 1).expect("inside");
        assert_eq!(log.take(), [(9, 2)]);
    }
}

// SEMANTICS 2, 4.
#[test]
fn it_may_end_at_the_last_address_and_never_wraps() {
    let mut ram = Ram::<LEN>::counting();
    let top = PlacedSlice::new(u64::MAX - 63, ram.slice());
    assert!(top.readable(u64::MAX - 15, 16).is_some());
    assert!(top.readable(u64::MAX - 62, 63).is_some());
    assert!(top.readable(u64::MAX - 15, 17).is_none());
    assert!(top.readable(0, 1).is_none());
    // This one would pass the end: what does is cut off.
    let over = PlacedSlice::new(u64::MAX - 31, ram.slice());
    assert!(over.readable(u64::MAX - 31, 32).is_some());
    assert!(over.readable(u64::MAX - 31, 33).is_none());
    assert!(over.readable(u64::MAX - 15, 16).is_some());
    for at in 0..32 {
        assert!(over.readable(at, 1).is_none() && over.readable(at, 17).is_none());
    }
}

#[rstest]
fn where_there_is_no_memory_nothing_is_given(
    #[values(0, 1, START, 1 << 63, u64::MAX)] at: u64,
    #[values(0, 1, 8, 16, 17, usize::MAX)] count: usize,
) {
    let nowhere = PlacedSlice::<()>::nowhere();
    assert!(nowhere.readable(at, count).is_none() && nowhere.writable(at, count).is_none());
    let empty = PlacedSlice::new(START, VolatileSlice::from(&mut [][..]));
    assert!(empty.readable(at, count).is_none() && empty.writable(at, count).is_none());
    // Too short for a quick look.
    let mut ram = [0; 15];
    let short = PlacedSlice::new(at, VolatileSlice::from(&mut ram[..]));
    assert!(count > 0 && short.readable(at, count).is_none() || count == 0);
}
