//! The edges of the address arithmetic: 0, the last address, and alignments that are none.

use guest_address::{Address, AddressValue, GuestAddress, GuestUsize, MemoryRegionAddress};
use rstest::rstest;

const MAX: u64 = u64::MAX;
const TOP_PAGE: u64 = 0xffff_ffff_ffff_f000;
const TOP_BIT: u64 = 1 << 63;

#[rstest]
#[case(0, 0, Some(0))]
#[case(0, MAX, Some(MAX))]
#[case(MAX, 0, Some(MAX))]
#[case(MAX, 1, None)]
#[case(MAX, MAX, None)]
#[case(TOP_PAGE, 0xfff, Some(MAX))]
#[case(TOP_PAGE, 0x1000, None)]
fn a_sum_past_the_last_address_is_none(
    #[case] addr: u64,
    #[case] offset: u64,
    #[case] sum: Option<u64>,
) {
    assert_eq!(GuestAddress(addr).checked_add(offset), sum.map(GuestAddress));
    assert_eq!(MemoryRegionAddress(addr).checked_add(offset), sum.map(MemoryRegionAddress));
    assert_eq!(GuestAddress(addr).overflowing_add(offset).1, sum.is_none());
}

#[rstest]
#[case(0, 0, Some(0))]
#[case(0, 1, None)]
#[case(0, MAX, None)]
#[case(MAX, MAX, Some(0))]
#[case(MAX - 1, MAX, None)]
#[case(0x1000, 0xfff, Some(1))]
fn a_difference_below_address_zero_is_none(
    #[case] addr: u64,
    #[case] other: u64,
    #[case] difference: Option<u64>,
) {
    assert_eq!(GuestAddress(addr).checked_sub(other), difference.map(GuestAddress));
    assert_eq!(MemoryRegionAddress(addr).checked_sub(other), difference.map(MemoryRegionAddress));
    assert_eq!(GuestAddress(addr).checked_offset_from(GuestAddress(other)), difference);
    assert_eq!(GuestAddress(addr).overflowing_sub(other).1, difference.is_none());
}

#[rstest]
#[case(0, 1, 0, Some(0))]
#[case(0, 0x1000, 0, Some(0))]
#[case(0, TOP_BIT, 0, Some(0))]
#[case(1, 0x1000, 0, Some(0x1000))]
#[case(0xfff, 0x1000, 0, Some(0x1000))]
#[case(0x1000, 0x1000, 0x1000, Some(0x1000))]
#[case(0x1001, 0x1000, 0x1000, Some(0x2000))]
#[case(0x1001, 1, 0x1001, Some(0x1001))]
#[case(1, TOP_BIT, 0, Some(TOP_BIT))]
#[case(TOP_BIT, TOP_BIT, TOP_BIT, Some(TOP_BIT))]
#[case(TOP_BIT + 1, TOP_BIT, TOP_BIT, None)]
#[case(TOP_PAGE, 0x1000, TOP_PAGE, Some(TOP_PAGE))]
#[case(TOP_PAGE + 1, 0x1000, TOP_PAGE, None)]
#[case(MAX, 1, MAX, Some(MAX))]
#[case(MAX, 2, MAX - 1, None)]
fn an_address_aligns_to_the_multiples_around_it(
    #[case] addr: u64,
    #[case] power_of_two: u64,
    #[case] down: u64,
    #[case] up: Option<u64>,
) {
    let addr = GuestAddress(addr);
    assert_eq!(addr.checked_align_down(power_of_two), Some(GuestAddress(down)));
    assert_eq!(addr.checked_align_up(power_of_two), up.map(GuestAddress));
    assert_eq!(addr.checked_is_aligned(power_of_two), Some(down == addr.0));
    if let Some(up) = up {
        assert_eq!(addr.unchecked_align_up(power_of_two), GuestAddress(up));
    }
}

#[rstest]
fn an_alignment_that_is_no_power_of_two_has_no_answer(
    #[values(0, 1, 0x1000, TOP_BIT, MAX)] addr: u64,
    #[values(0, 3, 6, 0x1001, TOP_BIT + 1, MAX)] alignment: u64,
) {
    assert_eq!(GuestAddress(addr).checked_align_up(alignment), None);
    assert_eq!(GuestAddress(addr).checked_align_down(alignment), None);
    assert_eq!(GuestAddress(addr).checked_is_aligned(alignment), None);
    assert_eq!(MemoryRegionAddress(addr).checked_align_up(alignment), None);
}

// The tests' own build says which half is at work: run them with `--release` for the other.
#[rstest]
#[case::add(|| GuestAddress(MAX).unchecked_add(2).0, 1)]
#[case::sub(|| GuestAddress(0).unchecked_sub(1).0, MAX)]
#[case::offset(|| GuestAddress(1).unchecked_offset_from(GuestAddress(2)), MAX)]
#[case::align_past_the_end(|| GuestAddress(MAX).unchecked_align_up(0x1000).0, 0)]
#[case::align_to_0(|| GuestAddress(0x1001).unchecked_align_up(0).0, 0)]
#[case::align_to_3(|| GuestAddress(0x1001).unchecked_align_up(3).0, 0x1001)]
fn a_broken_promise_panics_in_debug_and_is_a_wrong_number_in_release(
    #[case] broken: fn() -> u64,
    #[case] wrong: u64,
) {
    let outcome = std::panic::catch_unwind(broken);
    if cfg!(debug_assertions) {
        assert!(outcome.is_err());
    } else {
        assert_eq!(outcome.unwrap(), wrong);
    }
}

#[test]
fn bit_operations_work_on_the_raw_value() {
    assert_eq!(GuestAddress(0x1234) & 0xff0, GuestAddress(0x230));
    assert_eq!(GuestAddress(0x1200) | 0x34, GuestAddress(0x1234));
    assert_eq!(GuestAddress(0x1234).mask(!0xfff), 0x1000);
    assert_eq!(MemoryRegionAddress(0x1234) & 0xff0, MemoryRegionAddress(0x230));
    assert_eq!(MemoryRegionAddress(0x1200) | 0x34, MemoryRegionAddress(0x1234));
}

#[test]
fn the_default_address_is_zero() {
    assert_eq!(GuestAddress::default(), GuestAddress(0));
    assert_eq!(MemoryRegionAddress::default(), MemoryRegionAddress(0));
}

#[test]
fn a_guest_size_is_64_bits_on_every_host() {
    let size: GuestUsize = u64::MAX;
    assert_eq!(GuestAddress(size).raw_value(), size);
    assert_eq!(size_of::<GuestAddress>(), 8);
}

#[rstest]
#[case(0, "0x0", "0", "0x0000000000000000")]
#[case(0x1000, "0x1000", "1000", "0x0000000000001000")]
#[case(MAX, "0xffffffffffffffff", "ffffffffffffffff", "0xffffffffffffffff")]
fn addresses_print_in_hex(
    #[case] addr: u64,
    #[case] display: &str,
    #[case] bare: &str,
    #[case] wide: &str,
) {
    let (guest, region) = (GuestAddress(addr), MemoryRegionAddress(addr));
    assert_eq!((guest.to_string(), region.to_string()), (display.into(), display.into()));
    assert_eq!(format!("{guest:x} {region:x}"), format!("{bare} {bare}"));
    assert_eq!(format!("{guest:#018x} {region:#018x}"), format!("{wide} {wide}"));
    assert_eq!(format!("{guest:?}"), format!("GuestAddress({display})"));
    assert_eq!(format!("{region:?}"), format!("MemoryRegionAddress({display})"));
}

#[test]
fn generic_code_needs_only_the_traits() {
    fn next_page<A: Address>(addr: A, page_size: A::V) -> Option<A> {
        addr.checked_add(A::one())?.checked_align_up(page_size)
    }

    assert_eq!(next_page(GuestAddress(0x1000), 0x1000), Some(GuestAddress(0x2000)));
    assert_eq!(next_page(MemoryRegionAddress(MAX), 0x1000), None);
    assert_eq!(GuestAddress::zero(), 0);
}
