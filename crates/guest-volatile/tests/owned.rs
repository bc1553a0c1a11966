//! A slice with its owner: valid for as long as it lives, wherever it goes.

#![cfg(feature = "std")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::bytes;
use common::region::{All, NoPart, Region, Upper};
use guest_volatile::{Error, OwnedSlice, SliceOf, VolatileSlice};
use rstest::rstest;

#[test]
fn it_is_valid_until_the_last_share_is_gone() {
    let gone = Arc::new(AtomicUsize::new(0));
    let region = Region::new(&gone);
    let owned = OwnedSlice::<_, All>::new(Arc::clone(&region), usize::MAX);
    drop(region);
    let other = owned.clone();
    // It may move; its memory does not.
    let moved = Box::new([owned]);
    let [owned] = *moved;
    let in_a_row = [OwnedSlice::default(), owned];
    assert_eq!(
        in_a_row[1].get(3, 4).expect("inside").read_obj::<[u8; 4]>(0).expect("4"),
        [4, 5, 6, 7]
    );
    drop(in_a_row);

    assert_eq!(gone.load(Ordering::Relaxed), 0, "one share is left");
    assert_eq!(other.get(0, 64).expect("inside").read_obj::<u8>(63).expect("inside"), 64);
    std::thread::spawn(move || {
        assert_eq!(other.get(0, 64).expect("inside").read_obj::<u8>(63).expect("inside"), 64);
    })
    .join()
    .expect("the slice went to another thread");
    assert_eq!(gone.load(Ordering::Relaxed), 1);
}

#[test]
fn its_owner_is_at_hand_and_shared() {
    let gone = Arc::default();
    let region = Region::new(&gone);
    let mut owned = OwnedSlice::<_, All>::new(Arc::clone(&region), usize::MAX);
    assert!(Arc::ptr_eq(owned.owner().expect("an owner"), &region));
    assert_eq!(Arc::strong_count(&region), 2);
    let mut region = region;
    assert!(Arc::get_mut(&mut region).is_none(), "no exclusive access while a slice lives");
    owned = OwnedSlice::empty();
    assert!(owned.owner().is_none() && Arc::get_mut(&mut region).is_some());
}

const MAX: usize = usize::MAX;

#[rstest]
#[case::all(0, 64, true)]
#[case::first(0, 1, true)]
#[case::last(63, 1, true)]
#[case::middle(7, 8, true)]
#[case::over_the_end(60, 5, false)]
#[case::at_the_end(64, 1, false)]
#[case::past_the_end(65, 1, false)]
#[case::too_much(0, 65, false)]
#[case::half_the_address_space(0, isize::MAX as usize, false)]
#[case::with_the_read_only_bit(0, isize::MAX as usize + 65, false)]
#[case::largest_offset(MAX, 1, false)]
#[case::largest_of_both(MAX, MAX, false)]
#[case::nothing(0, 0, false)]
#[case::nothing_at_the_end(64, 0, false)]
#[case::nothing_at_the_largest_offset(MAX, 0, false)]
fn some_bytes_that_lie_inside_are_given(
    #[case] offset: usize,
    #[case] count: usize,
    #[case] given: bool,
) {
    let owned = OwnedSlice::<_, All>::new(Region::new(&Arc::default()), MAX);
    let slice = owned.get(offset, count);
    let expected = given.then(|| (1..=64).skip(offset).take(count).collect::<Vec<u8>>());
    assert_eq!(slice.as_ref().map(bytes), expected);
}

#[rstest]
#[case(0, 0)]
#[case(1, 1)]
#[case(63, 63)]
#[case(64, 64)]
#[case(65, 64)]
#[case(isize::MAX as usize + 9, 64)]
#[case(MAX, 64)]
fn it_is_at_most_as_long_as_asked_for(#[case] max_len: usize, #[case] len: usize) {
    let owned = OwnedSlice::<_, All>::new(Region::new(&Arc::default()), max_len);
    assert_eq!((owned.len(), owned.is_empty()), (len, len == 0));
    assert_eq!(owned.get(0, len).is_some(), len > 0);
    assert!(owned.get(0, len + 1).is_none());
    assert!(owned.owner().is_some());
}

#[test]
fn without_a_slice_it_is_empty_and_keeps_its_owner() {
    let gone = Arc::default();
    let owned = OwnedSlice::<_, NoPart>::new(Region::new(&gone), MAX);
    assert!(owned.is_empty() && owned.owner().is_some());
    assert!(owned.get(0, 1).is_none() && owned.get(0, 0).is_none());
    drop(owned);
    assert_eq!(gone.load(Ordering::Relaxed), 1);

    let empty = OwnedSlice::<Region, All>::empty();
    assert!(empty.is_empty() && empty.owner().is_none());
    assert!(empty.get(0, 1).is_none() && empty.clone().get(0, 0).is_none());
    assert!(OwnedSlice::<Region, All>::default().is_empty());
}

// SEMANTICS 20: the bitmap's offset is carried along.
#[test]
fn writes_are_marked_where_they_are_in_the_owners_memory() {
    let owned = OwnedSlice::<_, All>::new(Region::new(&Arc::default()), MAX);
    let log = &owned.owner().expect("an owner").log;
    owned.get(8, 8).expect("inside").write_obj(1_u16, 3).expect("inside");
    let part = owned.get(32, 16).expect("inside").offset(4).expect("inside");
    part.write_obj(1_u8, 1).expect("inside");
    assert_eq!(log.take(), [(11, 2), (37, 1)]);
}

// SEMANTICS 29.
#[test]
fn a_read_only_slice_stays_so_and_is_where_it_was() {
    let owned = OwnedSlice::<_, Upper>::new(Region::new(&Arc::default()), 32);
    assert_eq!(owned.len(), 32);
    let part = owned.get(4, 8).expect("inside");
    assert!(part.is_read_only());
    assert_eq!(bytes(&part), (21..29).collect::<Vec<u8>>());
    assert!(matches!(part.write_obj(0_u8, 0), Err(Error::NotWritable)));
    assert!(matches!(part.store(0_u8, 0, Ordering::Relaxed), Err(Error::NotWritable)));
    assert!(owned.get(32, 1).is_none(), "inside the region, and past the slice");
}

#[test]
fn for_debugging_it_shows_its_owner_and_its_length() {
    struct Part;
    impl SliceOf<VolatileSlice<'static>> for Part {
        type B = ();

        fn slice<'a>(owner: &'a VolatileSlice<'static>) -> Option<VolatileSlice<'a>> {
            Some(*owner)
        }

        fn bitmap(_: &VolatileSlice<'static>) {}
    }
    let owner = VolatileSlice::from(Vec::leak(vec![0; 16]));
    let owned = OwnedSlice::<_, Part>::new(Arc::new(owner), 8);
    assert_eq!(
        format!("{owned:?}"),
        "OwnedSlice { owner: Some(VolatileSlice { len: 0x10, read_only: false, bitmap: () }), len: 0x8 }"
    );
}
