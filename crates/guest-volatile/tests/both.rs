//! Two bitmaps as one: what is marked is marked in both.

mod common;

use common::{Log, Ram, bytes};
use guest_volatile::{Bitmap, Both, Error, VolatileMemory};

const NOTHING: Vec<(usize, usize)> = Vec::new();

#[test]
fn a_write_is_marked_in_both_at_their_own_offsets() {
    let (mut ram, first, second) = (Ram::<64>::zeroed(), Log::default(), Log::default());
    let memory = first.watch(ram.slice()).also_marking(second.slice_at(0x1000));
    memory.write_slice(&[1; 4], 8).unwrap();
    assert_eq!(first.take(), [(8, 4)]);
    assert_eq!(second.take(), [(0x1008, 4)]);
}

#[test]
fn parts_and_references_carry_both_along() {
    let (mut ram, first, second) = (Ram::<64>::zeroed(), Log::default(), Log::default());
    let memory = first.watch(ram.slice()).also_marking(second.slice_at(0x1000));
    memory.subslice(16, 16).unwrap().offset(8).unwrap().write_obj(1_u16, 2).unwrap();
    memory.get_ref::<u32>(40).unwrap().store(1);
    assert_eq!(first.take(), [(26, 2), (40, 4)]);
    assert_eq!(second.take(), [(0x101a, 2), (0x1028, 4)]);
    drop(memory.subslice(4, 2).unwrap().host_ptr_mut());
    assert_eq!((first.take(), second.take()), (vec![(4, 2)], vec![(0x1004, 2)]));
}

#[test]
fn the_bytes_stay_the_same_and_read_only_stays_read_only() {
    let (mut ram, first, second) = (Ram::<64>::counting(), Log::default(), Log::default());
    let memory = first.watch(ram.slice()).read_only().also_marking(second.slice_at(0));
    assert!(memory.is_read_only());
    assert_eq!(memory.len(), 64);
    assert!(matches!(memory.write_obj(0_u8, 0), Err(Error::NotWritable)));
    assert_eq!(bytes(&memory), Ram::<64>::counting().0);
    assert_eq!((first.take(), second.take()), (NOTHING, NOTHING));
}

/// A bitmap that says what it is told to say.
#[derive(Clone, Debug)]
struct Says(bool, Option<usize>);

impl guest_volatile::WithBitmapSlice<'_> for Says {
    type S = Self;
}

impl guest_volatile::BitmapSlice for Says {}

impl Bitmap for Says {
    fn mark_dirty(&self, _offset: usize, _len: usize) {}

    fn dirty_at(&self, _offset: usize) -> bool {
        self.0
    }

    fn slice_at(&self, _offset: usize) -> Self {
        self.clone()
    }

    fn dirty_bytes(&self, _offset: usize, _len: usize) -> Option<usize> {
        self.1
    }
}

#[test]
fn it_is_dirty_where_either_is_and_counts_what_the_higher_count_is() {
    for (first, second) in [(false, false), (false, true), (true, false), (true, true)] {
        assert_eq!(Both(Says(first, None), Says(second, None)).dirty_at(0), first || second);
    }
    for (first, second, counted) in [
        (None, None, None),
        (Some(1), None, Some(1)),
        (None, Some(2), Some(2)),
        (Some(3), Some(2), Some(3)),
    ] {
        assert_eq!(Both(Says(false, first), Says(false, second)).dirty_bytes(0, 8), counted);
    }
}
