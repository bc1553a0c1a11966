//! Slices of many owners: what a place answers is right, and valid as long as they are, wherever they go.

#![cfg(feature = "std")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::Log;
use guest_volatile::{BS, Bitmap, OwnedSlice, OwnedSlices, SliceOf, VolatileSlice};
use rstest::rstest;

/// Memory that is its own, with a log of what was written to it; it counts itself out when it goes.
#[derive(Debug)]
struct Region {
    memory: VolatileSlice<'static>,
    read_only: bool,
    log: Log,
    gone: Arc<AtomicUsize>,
}

impl Region {
    /// A region of `len` bytes of `byte`.
    fn new(byte: u8, len: usize, read_only: bool) -> Arc<Self> {
        let memory = VolatileSlice::from(Vec::leak(vec![byte; len]));
        Arc::new(Self { memory, read_only, log: Log::default(), gone: Arc::default() })
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        self.gone.fetch_add(1, Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct All;

impl SliceOf<Region> for All {
    type B = Log;

    fn slice(owner: &Region) -> Option<VolatileSlice<'_, BS<'_, Log>>> {
        let slice = owner.log.watch(owner.memory);
        Some(if owner.read_only { slice.read_only() } else { slice })
    }

    fn bitmap(owner: &Region) -> BS<'_, Log> {
        owner.log.slice_at(0)
    }
}

type Slices = OwnedSlices<Region, All>;

fn slice(region: &Arc<Region>) -> OwnedSlice<Region, All> {
    OwnedSlice::new(Arc::clone(region), usize::MAX)
}

/// A slice of 64 bytes at `start`.
fn one(start: u64) -> (Arc<Region>, Slices) {
    let region = Region::new(1, 64, false);
    let slices = OwnedSlices::new(vec![slice(&region)].into(), [Some((0, start))]);
    (region, slices)
}

#[rstest]
#[case::at_0(0)]
#[case::in_the_middle(0x1000)]
#[case::at_the_top(u64::MAX - 63)]
fn a_place_answers_for_bytes_inside_and_for_no_other(#[case] start: u64) {
    let (_region, slices) = one(start);
    let place = slices.place(0).unwrap();
    for offset in (0..80).chain((u64::MAX - 80)..=u64::MAX) {
        let addr = start.wrapping_add(offset);
        for count in (0..=80).chain([isize::MAX as usize, usize::MAX - 1, usize::MAX]) {
            let end = offset.checked_add(count as u64);
            // All that lies inside, but for what starts less than 16 bytes before the end.
            let answers = end.is_some_and(|end| end <= 64) && offset <= 48;
            assert_eq!(place.holds(addr, count), answers, "{offset:#x} {count}");
            let got = place.get(addr, count).map(|slice| slice.len());
            assert_eq!(got, (answers && count > 0).then_some(count), "{offset:#x} {count}");
        }
        let owner = place.owner(addr).map(|(_, offset)| offset);
        assert_eq!(owner, (offset <= 48).then_some(offset));
    }
}

#[test]
fn a_place_reaches_the_bytes_of_its_slice_and_marks_them() {
    let regions = [1, 2, 3].map(|byte| Region::new(byte, 64, false));
    let places = [Some((2, 0x300)), None, Some((0, 0x100)), Some((0, 0x1100)), Some((1, 0x200))];
    let slices = Slices::new(regions.iter().map(slice).collect::<Vec<_>>().into(), places);
    assert_eq!((slices.places(), slices.steps(), slices.slices().len()), (5, 0, 3));
    for (number, place) in places.into_iter().enumerate() {
        let at = slices.place(number).unwrap();
        let Some((index, start)) = place else {
            assert!((0..0x100).all(|addr| at.get(addr, 1).is_none() && !at.holds(addr, 0)));
            continue;
        };
        let piece = at.get(start + 16, 8).unwrap();
        assert_eq!(piece.read_obj::<[u8; 8]>(0).unwrap(), [index as u8 + 1; 8]);
        piece.write_obj(0x77_u8, 7).unwrap();
        assert_eq!(regions[index].memory.read_obj::<u8>(23).unwrap(), 0x77);
        assert_eq!(regions[index].log.take(), [(23, 1)]);
        assert!(std::ptr::eq(at.owner(start).unwrap().0, &*regions[index]));
        piece.write_obj(index as u8 + 1, 7).unwrap();
        regions[index].log.take();
    }
    assert!(slices.place(5).is_none() && slices.place(usize::MAX).is_none());
}

#[test]
fn steps_name_places_and_those_that_name_none_are_vacant() {
    let regions = [1, 2].map(|byte| Region::new(byte, 64, false));
    let places = [Some((0, 0x100)), Some((1, 0x200))];
    let steps = vec![1, 1, 0, 2, 3, u16::MAX, 0];
    let slices =
        Slices::with_steps(regions.iter().map(slice).collect::<Vec<_>>().into(), places, steps);
    assert_eq!((slices.places(), slices.steps()), (3, 7));
    let found = |step| {
        let place = slices.place(step).unwrap();
        let bytes = [0x100, 0x200].map(|addr| place.get(addr, 1));
        bytes.map(|piece| piece.map(|piece| piece.read_obj::<u8>(0).unwrap()))
    };
    for (step, expected) in [[None, Some(2)], [None, Some(2)], [Some(1), None]].iter().enumerate() {
        assert_eq!(found(step), *expected);
    }
    assert!((3..6).all(|step| found(step) == [None, None]));
    assert_eq!(found(6), [Some(1), None]);
    assert!(slices.place(7).is_none());
}

#[test]
fn more_places_than_a_step_can_tell_are_left_out() {
    let region = Region::new(1, 64, false);
    let places = (0..70_000).map(|number| Some((0, number * 64)));
    let steps = vec![0, u16::MAX - 1, u16::MAX];
    let slices = Slices::with_steps(vec![slice(&region)].into(), places, steps);
    assert_eq!(slices.places(), 0x1_0000);
    let holds = |step, addr| slices.place(step).unwrap().holds(addr, 8);
    assert!(holds(0, 0) && holds(1, 64 * 0xfffe));
    assert!(!holds(2, 64 * 0xfffe) && !holds(2, 64 * 0xffff));
}

#[rstest]
#[case::read_only(64, true)]
#[case::shorter_than_16_bytes(15, false)]
#[case::empty(0, false)]
fn a_slice_that_is_not_for_places_is_still_in_the_list(
    #[case] len: usize,
    #[case] read_only: bool,
) {
    let region = Region::new(1, len, read_only);
    let slices = Slices::new(vec![slice(&region)].into(), [Some((0, 0))]);
    let place = slices.place(0).unwrap();
    assert!((0..70).all(|addr| place.get(addr, 1).is_none() && place.owner(addr).is_none()));
    assert_eq!(slices.slices().get(0).unwrap().len(), len);
}

#[test]
fn sixteen_bytes_are_enough_for_a_place() {
    let region = Region::new(1, 16, false);
    let slices = Slices::new(vec![slice(&region)].into(), [Some((0, 0))]);
    let place = slices.place(0).unwrap();
    assert_eq!(place.get(0, 16).unwrap().len(), 16);
    assert!(place.get(0, 17).is_none() && place.get(1, 1).is_none());
}

#[test]
fn an_owner_lives_as_long_as_the_last_clone() {
    let (region, slices) = one(0);
    let gone = Arc::clone(&region.gone);
    drop(region);
    let clone = slices.clone();
    drop(slices);
    // Moved, too.
    let boxed = Box::new(clone);
    assert_eq!(gone.load(Ordering::Relaxed), 0);
    assert_eq!(boxed.place(0).unwrap().get(0, 8).unwrap().read_obj::<u8>(0).unwrap(), 1);
    drop(boxed);
    assert_eq!(gone.load(Ordering::Relaxed), 1);
}

#[test]
fn slices_in_order_have_their_places_with_gaps_and_what_an_earlier_one_has_stays_its_own() {
    let regions = [1, 2, 3].map(|byte| Region::new(byte, 64, false));
    let slices: Vec<_> = regions.iter().map(slice).collect();
    let slices = Slices::in_order(slices.into(), [(1..4, 0x100), (3..6, 0x200), (8..9, 0x300)]);
    let first_byte = |number, addr| {
        let piece = slices.place(number).unwrap().get(addr, 1);
        piece.map_or(0, |piece| piece.read_obj::<u8>(0).unwrap())
    };
    let found = (0..slices.places()).map(|number| {
        [0x100, 0x200, 0x300].iter().map(|addr| first_byte(number, *addr)).sum::<u8>()
    });
    assert_eq!(found.collect::<Vec<_>>(), [0, 1, 1, 1, 2, 2, 0, 0, 3]);
}

#[test]
fn none_have_no_place() {
    let slices = Slices::default();
    assert!(slices.slices().is_empty() && slices.place(0).is_none());
    assert!(
        Slices::with_steps(Vec::new().into(), [], vec![0]).place(0).unwrap().get(0, 1).is_none()
    );
}

#[test]
#[should_panic(expected = "index out of bounds")]
fn a_place_of_no_slice_is_refused() {
    Slices::new(Vec::new().into(), [Some((0, 0))]);
}

#[test]
fn they_can_be_used_by_many_threads() {
    fn check<T: Send + Sync>(_: &T) {}
    let (_region, slices) = one(0);
    check(&slices);
    std::thread::scope(|scope| {
        scope.spawn(|| assert!(slices.place(0).unwrap().holds(0, 8)));
    });
    assert_eq!(format!("{slices:?}").split(", places").nth(1), Some(": 1, steps: 0 }"));
}
