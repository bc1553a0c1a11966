//! The edges of a range: the empty one, the last byte of the address space, neighbours.

use std::collections::HashSet;

use guest_address::{GuestAddress, GuestRange};
use rstest::rstest;

const MAX: u64 = u64::MAX;
const TOP_PAGE: u64 = 0xffff_ffff_ffff_f000;

/// The range `[start, last]`.
fn range((start, last): (u64, u64)) -> GuestRange {
    GuestRange::from_inclusive(GuestAddress(start), GuestAddress(last)).expect("ends in order")
}

#[rstest]
#[case(0, 1, Some(0))]
#[case(0, MAX, Some(MAX - 1))]
#[case(1, MAX, Some(MAX))]
#[case(2, MAX, None)]
#[case(0x1000, 0x1000, Some(0x1fff))]
#[case(TOP_PAGE, 0x1000, Some(MAX))]
#[case(TOP_PAGE, 0x1001, None)]
#[case(MAX, 1, Some(MAX))]
#[case(MAX, 2, None)]
#[case(0, 0, None)]
#[case(0x1000, 0, None)]
#[case(MAX, 0, None)]
fn a_range_may_end_at_the_last_byte_but_not_wrap(
    #[case] start: u64,
    #[case] len: u64,
    #[case] last: Option<u64>,
) {
    let made = GuestRange::new(GuestAddress(start), len);
    assert_eq!(made.map(|range| range.last().0), last);
    if let Some(made) = made {
        assert_eq!((made.start(), made.len()), (GuestAddress(start), len));
    }
}

#[rstest]
#[case(0, 0, Some(1))]
#[case(MAX, MAX, Some(1))]
#[case(1, MAX, Some(MAX))]
#[case(0, MAX - 1, Some(MAX))]
#[case::of_2_to_the_64_bytes(0, MAX, None)]
#[case(1, 0, None)]
#[case(MAX, 0, None)]
fn inclusive_ends_make_a_range_whose_length_is_a_u64(
    #[case] start: u64,
    #[case] last: u64,
    #[case] len: Option<u64>,
) {
    let made = GuestRange::from_inclusive(GuestAddress(start), GuestAddress(last));
    assert_eq!(made.map(|range| range.len()), len);
}

#[rstest]
#[case::before((0x1000, 0x1fff), 0xfff, None)]
#[case::first((0x1000, 0x1fff), 0x1000, Some(0))]
#[case::last((0x1000, 0x1fff), 0x1fff, Some(0xfff))]
#[case::after((0x1000, 0x1fff), 0x2000, None)]
#[case::zero((0, 0), 0, Some(0))]
#[case::not_zero((0, 0), 1, None)]
#[case::top((TOP_PAGE, MAX), MAX, Some(0xfff))]
#[case::far_below_the_top((TOP_PAGE, MAX), 0, None)]
fn an_offset_is_that_of_a_byte_in_the_range(
    #[case] ends: (u64, u64),
    #[case] addr: u64,
    #[case] offset: Option<u64>,
) {
    assert_eq!(range(ends).offset_of(GuestAddress(addr)), offset);
    assert_eq!(range(ends).contains(GuestAddress(addr)), offset.is_some());
}

#[rstest]
#[case::same((10, 19), (10, 19), Some((10, 19)))]
#[case::inside((10, 19), (12, 13), Some((12, 13)))]
#[case::one_byte_in_common((10, 19), (19, 30), Some((19, 19)))]
#[case::neighbours((10, 19), (20, 30), None)]
#[case::apart((10, 19), (21, 30), None)]
#[case::at_both_ends_of_the_space((0, 0), (MAX, MAX), None)]
#[case::nearly_all_of_the_space((0, MAX - 1), (1, MAX), Some((1, MAX - 1)))]
fn an_intersection_is_what_both_have(
    #[case] a: (u64, u64),
    #[case] b: (u64, u64),
    #[case] both: Option<(u64, u64)>,
) {
    let (a, b, both) = (range(a), range(b), both.map(range));
    assert_eq!((a.intersection(&b), b.intersection(&a)), (both, both));
    assert_eq!((a.overlaps(&b), b.overlaps(&a)), (both.is_some(), both.is_some()));
    assert_eq!((a.contains_range(&b), b.contains_range(&a)), (both == Some(b), both == Some(a)));
}

#[rstest]
#[case::neighbours((10, 19), (20, 30), true)]
#[case::neighbours_the_other_way((20, 30), (10, 19), false)]
#[case::one_byte_in_common((10, 19), (19, 30), false)]
#[case::one_byte_between((10, 19), (21, 30), false)]
#[case::up_to_the_last_byte((0, MAX - 1), (MAX, MAX), true)]
#[case::nothing_follows_the_last_byte((TOP_PAGE, MAX), (0, 10), false)]
fn a_range_is_followed_by_the_one_that_starts_right_after(
    #[case] a: (u64, u64),
    #[case] b: (u64, u64),
    #[case] followed: bool,
) {
    assert_eq!(range(a).is_followed_by(&range(b)), followed);
}

#[test]
fn ranges_are_ordered_by_start_then_by_last_byte() {
    let mut ranges = [range((5, 9)), range((2, 30)), range((5, 6)), range((2, 3))];
    ranges.sort();
    assert_eq!(ranges, [range((2, 3)), range((2, 30)), range((5, 6)), range((5, 9))]);
}

#[test]
fn equal_ranges_are_one_key() {
    let keys = HashSet::from([range((2, 3)), range((2, 3)), range((2, 4))]);
    assert_eq!(keys.len(), 2);
}

#[rstest]
#[case((0, 0), "[0x0000000000000000, 0x0000000000000000]")]
#[case((0x1000, 0x1fff), "[0x0000000000001000, 0x0000000000001fff]")]
#[case((TOP_PAGE, MAX), "[0xfffffffffffff000, 0xffffffffffffffff]")]
fn a_range_prints_both_ends_in_hex(#[case] ends: (u64, u64), #[case] text: &str) {
    assert_eq!(range(ends).to_string(), text);
}

#[test]
fn a_range_is_debugged_in_hex() {
    assert_eq!(
        format!("{:?}", range((0x1000, 0x1fff))),
        "GuestRange { start: GuestAddress(0x1000), last: GuestAddress(0x1fff) }"
    );
}
