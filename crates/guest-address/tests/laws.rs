//! Laws for all numbers: the arithmetic agrees with that of `u128`, which nothing here overflows.

use core::ops::Range;

use guest_address::{Address, GuestAddress, GuestRange, MemoryRegionAddress};
use proptest::prelude::*;

/// One past the last address.
const END: u128 = 1 << 64;

/// The result in the model, if it is an address.
fn in_space(wide: u128) -> Option<u64> {
    u64::try_from(wide).ok()
}

/// The low 64 bits of the result in the model.
fn wrapped(wide: u128) -> u64 {
    u64::try_from(wide % END).expect("the remainder is below 2^64")
}

/// Numbers of every size, most of them near an edge: 0, a power of two, the last address.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        0..40_u64,
        (0..40_u64).prop_map(|distance| u64::MAX - distance),
        (0..64_u32, 0..5_u64).prop_map(|(bit, up)| (1_u64 << bit).saturating_add(up)),
        (0..64_u32, 0..5_u64).prop_map(|(bit, down)| (1_u64 << bit).saturating_sub(down)),
    ]
}

fn range() -> impl Strategy<Value = GuestRange> {
    (number(), number()).prop_filter_map("all of the space", |(a, b)| {
        GuestRange::from_inclusive(GuestAddress(a.min(b)), GuestAddress(a.max(b)))
    })
}

/// The range in the model: half open, as only a wider integer can say it.
fn wide(range: &GuestRange) -> Range<u128> {
    u128::from(range.start().0)..u128::from(range.last().0) + 1
}

fn wide_intersection(a: &GuestRange, b: &GuestRange) -> Range<u128> {
    let (a, b) = (wide(a), wide(b));
    a.start.max(b.start)..a.end.min(b.end)
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(4096)
    })]

    #[test]
    fn additions_agree_with_the_sum(a in number(), b in number()) {
        let addr = GuestAddress(a);
        let sum = u128::from(a) + u128::from(b);

        prop_assert_eq!(addr.checked_add(b), in_space(sum).map(GuestAddress));
        prop_assert_eq!(addr.overflowing_add(b), (GuestAddress(wrapped(sum)), sum >= END));
        if let Some(sum) = in_space(sum) {
            prop_assert_eq!(addr.unchecked_add(b), GuestAddress(sum));
        }
    }

    #[test]
    fn subtractions_agree_with_the_difference(a in number(), b in number()) {
        let addr = GuestAddress(a);
        let difference = u128::from(a).checked_sub(u128::from(b)).and_then(in_space);

        prop_assert_eq!(addr.checked_sub(b), difference.map(GuestAddress));
        prop_assert_eq!(addr.checked_offset_from(GuestAddress(b)), difference);
        let around = GuestAddress(wrapped(END + u128::from(a) - u128::from(b)));
        prop_assert_eq!(addr.overflowing_sub(b), (around, b > a));
        if let Some(difference) = difference {
            prop_assert_eq!(addr.unchecked_sub(b), GuestAddress(difference));
            prop_assert_eq!(addr.unchecked_offset_from(GuestAddress(b)), difference);
        }
    }

    #[test]
    fn alignment_agrees_with_division(a in number(), bit in 0..64_u32) {
        let (addr, power_of_two) = (GuestAddress(a), 1_u64 << bit);
        let unit = u128::from(power_of_two);
        let up = u128::from(a).div_ceil(unit) * unit;
        let down = u128::from(a) / unit * unit;

        prop_assert_eq!(addr.checked_align_up(power_of_two), in_space(up).map(GuestAddress));
        prop_assert_eq!(addr.checked_align_down(power_of_two), in_space(down).map(GuestAddress));
        prop_assert_eq!(addr.checked_is_aligned(power_of_two), Some(down == u128::from(a)));
        if let Some(up) = in_space(up) {
            prop_assert_eq!(addr.unchecked_align_up(power_of_two), GuestAddress(up));
        }
    }

    #[test]
    fn alignment_has_an_answer_only_for_powers_of_two(a in number(), alignment in number()) {
        let addr = GuestAddress(a);
        let is_power = alignment.is_power_of_two();

        prop_assert!(is_power || addr.checked_align_up(alignment).is_none());
        prop_assert_eq!(addr.checked_align_down(alignment).is_some(), is_power);
        prop_assert_eq!(addr.checked_is_aligned(alignment).is_some(), is_power);
    }

    #[test]
    fn both_address_types_calculate_alike(a in number(), b in number()) {
        let (guest, region) = (GuestAddress(a), MemoryRegionAddress(a));

        prop_assert_eq!(guest.checked_add(b).map(|x| x.0), region.checked_add(b).map(|x| x.0));
        prop_assert_eq!(guest.checked_sub(b).map(|x| x.0), region.checked_sub(b).map(|x| x.0));
        prop_assert_eq!(guest.overflowing_add(b).0.0, region.overflowing_add(b).0.0);
        prop_assert_eq!(guest.overflowing_sub(b).0.0, region.overflowing_sub(b).0.0);
        prop_assert_eq!(
            guest.checked_align_up(b).map(|x| x.0),
            region.checked_align_up(b).map(|x| x.0)
        );
        prop_assert_eq!(guest.mask(b), region.mask(b));
        prop_assert_eq!((guest & b).0, (region & b).0);
        prop_assert_eq!((guest | b).0, (region | b).0);
    }

    #[test]
    fn a_range_exists_exactly_if_it_is_not_empty_and_fits(start in number(), len in number()) {
        let end = u128::from(start) + u128::from(len);

        match GuestRange::new(GuestAddress(start), len) {
            Some(range) => {
                prop_assert_eq!(wide(&range), u128::from(start)..end);
                prop_assert_eq!(range.len(), len);
                prop_assert_eq!(
                    GuestRange::from_inclusive(range.start(), range.last()),
                    Some(range)
                );
            }
            None => prop_assert!(len == 0 || end > END),
        }
    }

    #[test]
    fn inclusive_ends_make_a_range_exactly_if_in_order_and_countable(
        start in number(),
        last in number(),
    ) {
        let made = GuestRange::from_inclusive(GuestAddress(start), GuestAddress(last));

        prop_assert_eq!(made.is_some(), start <= last && (start, last) != (0, u64::MAX));
        if let Some(range) = made {
            prop_assert_eq!(u128::from(range.len()), u128::from(last) - u128::from(start) + 1);
            prop_assert_eq!(GuestRange::new(GuestAddress(start), range.len()), Some(range));
        }
    }

    #[test]
    fn the_bytes_of_a_range_are_those_with_an_offset(range in range(), addr in number()) {
        let is_inside = wide(&range).contains(&u128::from(addr));
        let offset = is_inside.then(|| addr - range.start().0);

        prop_assert_eq!(range.contains(GuestAddress(addr)), is_inside);
        prop_assert_eq!(range.offset_of(GuestAddress(addr)), offset);
    }

    #[test]
    fn two_ranges_relate_as_their_intervals_do(a in range(), b in range()) {
        let both = wide_intersection(&a, &b);

        prop_assert_eq!(a.overlaps(&b), !both.is_empty());
        prop_assert_eq!(a.contains_range(&b), both == wide(&b));
        prop_assert_eq!(a.is_followed_by(&b), wide(&a).end == wide(&b).start);
        match a.intersection(&b) {
            Some(common) => prop_assert_eq!(wide(&common), both),
            None => prop_assert!(both.is_empty()),
        }
    }

    #[test]
    fn a_range_followed_by_another_shares_nothing_with_it(range in range(), cut in number()) {
        let Some(cut) = range.offset_of(GuestAddress(cut)).filter(|&cut| cut > 0) else {
            return Ok(());
        };
        let low = GuestRange::new(range.start(), cut).unwrap();
        let high = GuestRange::new(low.last().unchecked_add(1), range.len() - cut).unwrap();

        prop_assert!(low.is_followed_by(&high) && !high.is_followed_by(&low));
        prop_assert!(range.contains_range(&low) && range.contains_range(&high));
        prop_assert!(!low.overlaps(&high));
        prop_assert_eq!((low.start(), high.last()), (range.start(), range.last()));
    }
}
