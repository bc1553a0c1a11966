//! What the standard library has to read from and write to, as sources and sinks.

#![cfg(feature = "std")]

mod common;

use std::io::Cursor;

use common::{Ram, bytes};
use rstest::rstest;

#[test]
fn a_slice_of_bytes_is_a_source_that_shrinks() {
    let mut ram = Ram::<8>::zeroed();
    let memory = ram.slice();
    let mut source = &[1, 2, 3, 4, 5, 6][..];
    assert_eq!(memory.read_volatile_from(1, &mut source, 4).expect("no failure"), 4);
    assert_eq!(memory.read_volatile_from(5, &mut source, 3).expect("no failure"), 2);
    assert_eq!(memory.read_volatile_from(7, &mut source, 1).expect("no failure"), 0);
    assert_eq!((bytes(&memory), source.len()), (vec![0, 1, 2, 3, 4, 5, 6, 0], 0));
}

#[test]
fn a_slice_of_bytes_is_a_sink_that_shrinks() {
    let mut ram = Ram::<8>::counting();
    let memory = ram.slice();
    let mut room = [0; 6];
    let mut sink = &mut room[..];
    assert_eq!(memory.write_volatile_to(0, &mut sink, 4).expect("no failure"), 4);
    assert_eq!(memory.write_volatile_to(4, &mut sink, 4).expect("no failure"), 2);
    assert_eq!(memory.write_volatile_to(6, &mut sink, 2).expect("no failure"), 0);
    assert!(sink.is_empty());
    assert_eq!(room, [1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_vector_is_a_sink_that_grows() {
    let mut ram = Ram::<8>::counting();
    let memory = ram.slice();
    let mut sink = vec![99];
    assert_eq!(memory.write_volatile_to(2, &mut sink, 99).expect("no failure"), 6);
    memory.write_all_volatile_to(0, &mut sink, 2).expect("no failure");
    assert_eq!(sink, [99, 3, 4, 5, 6, 7, 8, 1, 2]);
}

#[rstest]
#[case::at_the_start(0, 4)]
#[case::near_the_end(4, 2)]
#[case::at_the_end(6, 0)]
#[case::past_the_end(7, 0)]
#[case::far_past_the_end(u64::MAX, 0)]
fn a_cursor_goes_on_from_its_position(#[case] position: u64, #[case] moved: usize) {
    let mut ram = Ram::<8>::counting();
    let memory = ram.slice();
    let data = [11_u8, 12, 13, 14, 15, 16];
    let after = position.saturating_add(moved as u64);

    let mut source = Cursor::new(data.to_vec());
    source.set_position(position);
    assert_eq!(memory.read_volatile_from(0, &mut source, 4).expect("no failure"), moved);
    assert_eq!(source.position(), after);
    let start = data.len().min(position.try_into().unwrap_or(usize::MAX));
    assert_eq!(bytes(&memory)[..moved], data[start..start + moved]);
    assert_eq!(bytes(&memory)[moved..], [1, 2, 3, 4, 5, 6, 7, 8][moved..]);

    let (mut room, expected) = (data, bytes(&memory));
    let mut sink = Cursor::new(&mut room[..]);
    sink.set_position(position);
    assert_eq!(memory.write_volatile_to(0, &mut sink, 4).expect("no failure"), moved);
    assert_eq!(sink.position(), after);
    assert_eq!(room[start..start + moved], expected[..moved]);
    assert_eq!(room[..start], data[..start]);
}
