//! Slices that lie side by side in one allocation are joined, and no others.

#![expect(unsafe_code, reason = "makes a stretch of the test's own memory, and slices in it")]

mod common;

use common::{Log, bytes};
use guest_volatile::{BitmapSlice, Both, Stretch, VolatileSlice};
use rstest::rstest;

const LEN: usize = 64;

/// Memory that is never given back, with the stretch of a part of it.
struct Ram {
    addr: *mut u8,
    stretch: Stretch,
}

impl Ram {
    /// A stretch of the bytes from `from` to `to`.
    fn new(from: usize, to: usize) -> Self {
        let addr = Box::leak(Box::new([0_u8; LEN])).as_mut_ptr();
        // SAFETY: bytes of one allocation, which is never freed. The borrow of them ends here.
        let stretch = unsafe { Stretch::new(addr.wrapping_add(from), to - from) };
        Self { addr, stretch }
    }

    /// The bytes from `from` to `to`.
    fn slice(&self, from: usize, to: usize) -> VolatileSlice<'static> {
        assert!(from <= to && to <= LEN);
        // SAFETY: bytes of the allocation, which is never freed and of which there is no reference.
        unsafe { VolatileSlice::new(self.addr.wrapping_add(from), to - from) }
    }

    /// The bytes from `from` to `to`, whose writes are marked in the view of `bitmap` that starts there.
    fn marked<B: BitmapSlice>(
        &self,
        from: usize,
        to: usize,
        bitmap: B,
    ) -> VolatileSlice<'static, B> {
        let addr = self.slice(from, to).ptr_guard_mut().as_ptr();
        // SAFETY: the same bytes.
        unsafe { VolatileSlice::with_bitmap(addr, to - from, bitmap, None) }
    }
}

#[rstest]
#[case::halves((0, 32), (32, 64), true)]
#[case::single_bytes((7, 8), (8, 9), true)]
#[case::to_the_end((40, 60), (60, 64), true)]
#[case::from_the_start((0, 1), (1, 2), true)]
#[case::swapped((32, 64), (0, 32), false)]
#[case::a_hole((0, 31), (32, 64), false)]
#[case::one_byte_in_common((0, 33), (32, 64), false)]
#[case::the_same((0, 32), (0, 32), false)]
#[case::an_empty_one_below((0, 0), (0, 32), false)]
#[case::an_empty_one_above((0, 32), (32, 32), false)]
fn neighbours_are_joined(
    #[case] lower: (usize, usize),
    #[case] upper: (usize, usize),
    #[case] joins: bool,
) {
    let ram = Ram::new(0, LEN);
    let joined = ram.stretch.join(&ram.slice(lower.0, lower.1), &ram.slice(upper.0, upper.1));
    assert_eq!(joined.map(|slice| slice.len()), joins.then_some(upper.1 - lower.0));
    if let Some(joined) = joined {
        let counting: Vec<u8> = (1..=joined.len()).map(|at| at as u8).collect();
        joined.write_slice(&counting, 0).unwrap();
        assert_eq!(bytes(&ram.slice(lower.0, upper.1)), counting);
        assert!(joined.write_slice(&[0], joined.len()).is_err());
    }
}

// The addresses are adjacent, and that is not enough.
#[rstest]
#[case::inside((16, 32), (32, 48), true)]
#[case::lower_starts_below((15, 32), (32, 48), false)]
#[case::lower_is_below((8, 16), (16, 32), false)]
#[case::upper_ends_above((16, 32), (32, 49), false)]
#[case::upper_is_above((32, 48), (48, 56), false)]
#[case::both_are_above((48, 56), (56, 64), false)]
#[case::both_are_below((0, 8), (8, 16), false)]
fn what_is_not_in_the_stretch_is_not_joined(
    #[case] lower: (usize, usize),
    #[case] upper: (usize, usize),
    #[case] joins: bool,
) {
    let ram = Ram::new(16, 48);
    let joined = ram.stretch.join(&ram.slice(lower.0, lower.1), &ram.slice(upper.0, upper.1));
    assert_eq!(joined.is_some(), joins);
}

#[test]
fn lent_bytes_that_happen_to_be_neighbours_are_in_no_stretch() {
    let mut ram = [0_u8; LEN];
    let (lower, upper) = ram.split_at_mut(32);
    let (lower, upper) = (VolatileSlice::from(lower), VolatileSlice::from(upper));
    let other = Ram::new(0, LEN);
    assert!(other.stretch.join(&lower, &upper).is_none());
    assert!(other.stretch.join(&other.slice(0, 32), &upper).is_none());
}

#[test]
fn what_may_be_written_is_not_joined_with_what_may_not() {
    let ram = Ram::new(0, LEN);
    let (lower, upper) = (ram.slice(0, 32), ram.slice(32, 64));
    assert!(ram.stretch.join(&lower, &upper.read_only()).is_none());
    assert!(ram.stretch.join(&lower.read_only(), &upper).is_none());
    let both = ram.stretch.join(&lower.read_only(), &upper.read_only()).unwrap();
    assert!(both.is_read_only() && both.len() == LEN);
    assert!(both.write_slice(&[0], 0).is_err());
}

#[test]
fn a_write_over_the_border_is_one_mark() {
    let (ram, log) = (Ram::new(0, LEN), Log::default());
    let watched = log.watch(ram.slice(0, LEN));
    let (lower, upper) = watched.split_at(32).unwrap();
    let joined = ram.stretch.join(&lower, &upper).unwrap();
    joined.write_slice(&[1; 10], 28).unwrap();
    joined.subslice(30, 8).unwrap().write_obj(7_u32, 4).unwrap();
    assert_eq!(log.take(), [(28, 10), (34, 4)]);
}

#[test]
fn what_is_marked_elsewhere_is_not_joined() {
    let (ram, log, other) = (Ram::new(0, LEN), Log::default(), Log::default());
    let watched = log.watch(ram.slice(0, LEN));
    let elsewhere = other.watch(ram.slice(0, LEN)).offset(32).unwrap();
    let (lower, upper) = watched.split_at(32).unwrap();
    assert!(ram.stretch.join(&lower, &elsewhere).is_none(), "another bitmap");
    // The same bitmap, as the views of two regions that both count from their start.
    let again = ram.marked(32, 64, *lower.bitmap());
    assert!(ram.stretch.join(&lower, &again).is_none(), "another offset");
    assert!(ram.stretch.join(&lower, &upper).is_some());
}

#[rstest]
#[case::both(Some(()), Some(()), true)]
#[case::neither(None, None, true)]
#[case::lower(Some(()), None, false)]
#[case::upper(None, Some(()), false)]
fn views_that_may_be_missing_go_on_if_both_are_there_or_not(
    #[case] lower: Option<()>,
    #[case] upper: Option<()>,
    #[case] joins: bool,
) {
    let ram = Ram::new(0, LEN);
    let (lower_slice, upper_slice) = (ram.marked(0, 32, lower), ram.marked(32, 64, upper));
    assert_eq!(ram.stretch.join(&lower_slice, &upper_slice).is_some(), joins);
    assert_eq!(Both((), lower).goes_on_in(&Both((), upper), 32), joins);
    assert_eq!(Both(lower, ()).goes_on_in(&Both(upper, ()), 32), joins);
}

#[test]
fn a_stretch_reaches_each_of_its_bytes_and_no_other() {
    let ram = Ram::new(16, 48);
    assert_eq!((ram.stretch.len(), ram.stretch.is_empty()), (32, false));
    assert_eq!(ram.stretch.get(0, 32), Some(ram.addr.wrapping_add(16)));
    assert_eq!(ram.stretch.get(32, 0), Some(ram.addr.wrapping_add(48)));
    for (offset, count) in [(0, 33), (1, 32), (33, 0), (usize::MAX, 1), (1, usize::MAX)] {
        assert_eq!(ram.stretch.get(offset, count), None);
    }
    // SAFETY: no byte.
    let nowhere = unsafe { Stretch::new(std::ptr::null_mut(), 16) };
    assert!(nowhere.is_empty());
}

#[test]
fn a_stretch_shows_no_host_address() {
    assert_eq!(format!("{:?}", Ram::new(0, LEN).stretch), "Stretch { len: 0x40 }");
}
