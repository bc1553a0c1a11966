//! The table: what is mapped, replaced, cut and invalidated, and what a lookup says of it.

mod common;

use common::{TOP, iovas, mapped};
use guest_iommu::{Error, GuestAddress, Iotlb, IotlbFails, IovaRange, MappedRange};
use guest_memory::Permissions::{self, No, Read, ReadWrite, Write};
use rstest::rstest;

fn set(iotlb: &mut Iotlb, iova: u64, gpa: u64, len: usize, perm: Permissions) {
    iotlb.set_mapping(GuestAddress(iova), GuestAddress(gpa), len, perm).expect("no overflow");
}

fn look(
    iotlb: &Iotlb,
    iova: u64,
    len: usize,
    access: Permissions,
) -> Result<Vec<MappedRange>, IotlbFails> {
    Iotlb::lookup(iotlb, GuestAddress(iova), len, access).map(Iterator::collect)
}

fn fails(misses: &[IovaRange], access_fails: &[IovaRange]) -> IotlbFails {
    IotlbFails { misses: misses.to_vec(), access_fails: access_fails.to_vec() }
}

// Line 26.

#[rstest]
#[case::in_nothing(0x5000)]
#[case::in_a_mapping(0x1800)]
#[case::at_its_start(0x1000)]
#[case::at_the_top(u64::MAX)]
#[case::at_the_bottom(0)]
fn a_length_of_0_changes_nothing(#[case] iova: u64) {
    let mut iotlb = Iotlb::new();
    set(&mut iotlb, 0x1000, 0x8000, 0x1000, Read);
    set(&mut iotlb, iova, 0x4000, 0, ReadWrite);
    set(&mut iotlb, iova, u64::MAX, 0, ReadWrite);
    iotlb.invalidate_mapping(GuestAddress(iova), 0).unwrap();
    assert_eq!(look(&iotlb, 0x1000, 0x1000, Read).unwrap(), [mapped(0x8000, 0x1000)]);
    assert_eq!(iotlb.len(), 1);
}

#[rstest]
#[case(0)]
#[case(0x1000)]
#[case(0x9000)]
#[case(u64::MAX)]
fn a_lookup_of_no_byte_finds_nothing_and_nothing_wrong(#[case] iova: u64) {
    let mut iotlb = Iotlb::new();
    set(&mut iotlb, 0x1000, 0x8000, 0x1000, No);
    assert_eq!(look(&iotlb, iova, 0, ReadWrite).unwrap(), []);
}

#[rstest]
#[case::a_page(TOP, 0x1000)]
#[case::a_byte(u64::MAX, 1)]
#[case::two_bytes(u64::MAX - 1, 2)]
#[case::all_but_the_first_byte(1, usize::MAX)]
#[cfg(target_pointer_width = "64")]
fn the_top_is_mapped_to_the_bottom_and_the_bottom_to_the_top(#[case] top: u64, #[case] len: usize) {
    let mut iotlb = Iotlb::new();
    set(&mut iotlb, top, 0, len, Read);
    assert_eq!(look(&iotlb, u64::MAX, 1, Read).unwrap(), [mapped(len as u64 - 1, 1)]);
    assert_eq!(look(&iotlb, top, len, Read).unwrap(), [mapped(0, len)]);

    iotlb.invalidate_mapping(GuestAddress(u64::MAX), 1).unwrap();
    assert_eq!(look(&iotlb, top, len, Read), Err(fails(&[iovas(u64::MAX, 1)], &[])));

    iotlb.invalidate_all();
    set(&mut iotlb, 0, top, len, Read);
    assert_eq!(look(&iotlb, 0, len, Read).unwrap(), [mapped(top, len)]);
}

#[test]
#[cfg(target_pointer_width = "64")]
fn all_2_to_the_64_addresses_may_be_mapped() {
    let mut iotlb = Iotlb::new();
    set(&mut iotlb, 0, 0, usize::MAX, Read);
    set(&mut iotlb, u64::MAX, u64::MAX, 1, Read);
    assert_eq!(iotlb.len(), 1);
    assert_eq!(look(&iotlb, 0, usize::MAX, Read).unwrap(), [mapped(0, usize::MAX)]);
    assert_eq!(look(&iotlb, 1, usize::MAX, Read).unwrap(), [mapped(1, usize::MAX)]);
    let denied = fails(&[], &[iovas(0x10, 0x20)]);
    assert_eq!(look(&iotlb, 0x10, 0x20, Write), Err(denied));
    assert!(format!("{iotlb:?}").contains("[0x0, 0xffffffffffffffff]"));
}

#[rstest]
#[case::the_source(u64::MAX, 0x1000, 2, u64::MAX)]
#[case::the_source_by_a_byte(TOP, 0x1000, 0x1001, TOP)]
#[case::the_source_by_far(0x1000, 0, usize::MAX, 0x1000)]
#[case::the_target(0x1000, u64::MAX, 2, u64::MAX)]
#[case::the_target_by_a_byte(0x1000, TOP, 0x1001, TOP)]
#[case::both(u64::MAX, u64::MAX, 2, u64::MAX)]
#[cfg(target_pointer_width = "64")]
fn a_mapping_that_passes_the_top_is_refused_and_changes_nothing(
    #[case] iova: u64,
    #[case] gpa: u64,
    #[case] length: usize,
    #[case] at_fault: u64,
) {
    let mut iotlb = Iotlb::new();
    set(&mut iotlb, iova, 0x8000, 1, Write);
    let result = iotlb.set_mapping(GuestAddress(iova), GuestAddress(gpa), length, ReadWrite);
    assert_eq!(result, Err(Error::Overflow { base: GuestAddress(at_fault), length }));
    assert_eq!(look(&iotlb, iova, 1, Write).unwrap(), [mapped(0x8000, 1)]);
    assert_eq!(iotlb.len(), 1);
}

#[rstest]
#[case::by_a_byte(TOP, 0x1001)]
#[case::by_far(TOP, usize::MAX)]
#[case::in_the_middle_of_a_mapping(TOP + 0x800, 0x801)]
fn an_invalidation_that_passes_the_top_is_an_error_and_forgets_all_up_to_the_top(
    #[case] iova: u64,
    #[case] length: usize,
) {
    let mut iotlb = Iotlb::new();
    set(&mut iotlb, TOP - 0x1000, 0x8000, 0x2000, Read);
    let result = iotlb.invalidate_mapping(GuestAddress(iova), length);
    assert_eq!(result, Err(Error::Overflow { base: GuestAddress(iova), length }));
    let rest = (iova - (TOP - 0x1000)) as usize;
    assert_eq!(look(&iotlb, TOP - 0x1000, rest, Read).unwrap(), [mapped(0x8000, rest)]);
    assert!(look(&iotlb, iova, 1, Read).is_err());
    assert!(look(&iotlb, u64::MAX, 1, Read).is_err());
}

// Line 28.

/// Over [0x1000, 0x4000), mapped to 0x8000.
#[rstest]
#[case::the_start(0x0, 0x2000, &[(0x2000, 0x2000)])]
#[case::the_middle(0x2000, 0x1000, &[(0x1000, 0x1000), (0x3000, 0x1000)])]
#[case::the_end(0x3000, 0x8000, &[(0x1000, 0x2000)])]
#[case::one_byte(0x2000, 1, &[(0x1000, 0x1000), (0x2001, 0x1fff)])]
#[case::the_first_byte(0x1000, 1, &[(0x1001, 0x2fff)])]
#[case::the_last_byte(0x3fff, 1, &[(0x1000, 0x2fff)])]
#[case::all(0x1000, 0x3000, &[])]
#[case::more(0x0, 0x10000, &[])]
#[case::below(0x0, 0x1000, &[(0x1000, 0x3000)])]
#[case::above(0x4000, 0x1000, &[(0x1000, 0x3000)])]
fn an_invalidation_takes_out_its_part_and_leaves_the_others(
    #[case] iova: u64,
    #[case] length: usize,
    #[case] left: &[(u64, usize)],
) {
    let mut iotlb = Iotlb::new();
    set(&mut iotlb, 0x1000, 0x8000, 0x3000, Read);
    iotlb.invalidate_mapping(GuestAddress(iova), length).unwrap();
    assert_eq!(iotlb.len(), left.len());
    for &(start, len) in left {
        assert_eq!(look(&iotlb, start, len, Read).unwrap(), [mapped(start + 0x7000, len)]);
    }
    let mapped_bytes: usize = left.iter().map(|(_, len)| len).sum();
    let missed: usize = look(&iotlb, 0x1000, 0x3000, Read)
        .map_or_else(|fails| fails.misses.iter().map(|miss| miss.length).sum(), |_| 0);
    assert_eq!(mapped_bytes + missed, 0x3000);
}

#[test]
fn a_later_mapping_replaces_what_it_overlaps() {
    let mut iotlb = Iotlb::new();
    set(&mut iotlb, 0x1000, 0x8000, 0x3000, Read);
    set(&mut iotlb, 0x2000, 0x20000, 0x1000, Read);
    assert_eq!(
        look(&iotlb, 0x1000, 0x3000, Read).unwrap(),
        [mapped(0x8000, 0x1000), mapped(0x20000, 0x1000), mapped(0xa000, 0x1000)]
    );
    set(&mut iotlb, 0x1800, 0x30000, 0x2000, ReadWrite);
    assert_eq!(
        look(&iotlb, 0x1000, 0x3000, Read).unwrap(),
        [mapped(0x8000, 0x800), mapped(0x30000, 0x2000), mapped(0xa800, 0x800)]
    );
    set(&mut iotlb, 0x0, 0x0, 0x10000, Read);
    assert_eq!(look(&iotlb, 0x1000, 0x3000, Read).unwrap(), [mapped(0x1000, 0x3000)]);
    assert_eq!(iotlb.len(), 1);
}

#[test]
fn a_later_mapping_replaces_the_permissions_too() {
    let mut iotlb = Iotlb::new();
    set(&mut iotlb, 0x1000, 0x8000, 0x1000, ReadWrite);
    set(&mut iotlb, 0x1000, 0x8000, 0x1000, Read);
    assert_eq!(look(&iotlb, 0x1000, 1, Write), Err(fails(&[], &[iovas(0x1000, 1)])));
}

#[rstest]
#[case::on_in_a_straight_line(0x9000, Read, 1)]
#[case::to_the_same_page_again(0x8000, Read, 2)]
#[case::with_other_permissions(0x9000, ReadWrite, 2)]
#[case::a_byte_off(0x9001, Read, 2)]
#[case::to_the_page_before(0x7000, Read, 2)]
fn neighbours_are_one_piece_if_they_go_on_in_a_straight_line(
    #[case] gpa: u64,
    #[case] perm: Permissions,
    #[case] pieces: usize,
) {
    let mut iotlb = Iotlb::new();
    set(&mut iotlb, 0x1000, 0x8000, 0x1000, Read);
    set(&mut iotlb, 0x2000, gpa, 0x1000, perm);
    let found = look(&iotlb, 0x1000, 0x2000, Read).unwrap();
    match pieces {
        1 => assert_eq!(found, [mapped(0x8000, 0x2000)]),
        _ => assert_eq!(found, [mapped(0x8000, 0x1000), mapped(gpa, 0x1000)]),
    }
    assert_eq!(iotlb.len(), pieces);
}

#[rstest]
// [0x1000, 0x2000) is for reading, [0x3000, 0x4000) for writing, [0x4000, 0x5000) for nothing; the rest is a hole.
#[case::a_hole(0x2400, 0x100, Read, &[(0x2400, 0x100)], &[])]
#[case::from_a_hole(0x800, 0x1000, Read, &[(0x800, 0x800)], &[])]
#[case::into_a_hole(0x1800, 0x1000, Read, &[(0x2000, 0x800)], &[])]
#[case::over_a_hole(0x1800, 0x2000, No, &[(0x2000, 0x1000)], &[])]
#[case::over_a_hole_to_what_is_denied(0x1800, 0x2000, Read, &[(0x2000, 0x1000)], &[(0x3000, 0x800)])]
#[case::denied(0x1400, 0x100, Write, &[], &[(0x1400, 0x100)])]
#[case::denied_up_to_its_end(0x3800, 0x900, Write, &[], &[(0x4000, 0x100)])]
#[case::denied_both(0x3800, 0x1000, ReadWrite, &[], &[(0x3800, 0x800), (0x4000, 0x800)])]
#[case::everything(
    0, 0x8000, ReadWrite,
    &[(0, 0x1000), (0x2000, 0x1000), (0x5000, 0x3000)],
    &[(0x1000, 0x1000), (0x3000, 0x1000), (0x4000, 0x1000)]
)]
#[case::the_top(u64::MAX, 1, Read, &[(u64::MAX, 1)], &[])]
fn what_fails_is_reported_clipped_to_the_request(
    #[case] iova: u64,
    #[case] length: usize,
    #[case] access: Permissions,
    #[case] misses: &[(u64, usize)],
    #[case] access_fails: &[(u64, usize)],
) {
    let mut iotlb = Iotlb::new();
    set(&mut iotlb, 0x1000, 0x8000, 0x1000, Read);
    set(&mut iotlb, 0x3000, 0x8000, 0x1000, Write);
    set(&mut iotlb, 0x4000, 0x9000, 0x1000, No);
    let ranges = |list: &[(u64, usize)]| -> Vec<_> {
        list.iter().map(|&(base, length)| iovas(base, length)).collect()
    };
    let expected = fails(&ranges(misses), &ranges(access_fails));
    assert_eq!(look(&iotlb, iova, length, access), Err(expected));
}

#[test]
fn no_access_at_all_needs_a_mapping_only() {
    let mut iotlb = Iotlb::new();
    set(&mut iotlb, 0x1000, 0x8000, 0x1000, No);
    assert!(look(&iotlb, 0x1000, 0x1000, No).is_ok());
    assert!(look(&iotlb, 0x1000, 0x1001, No).is_err());
}

// The rest of the table's promises.

#[test]
fn an_iterator_over_another_table_than_was_looked_up_ends_early() {
    use std::cell::Cell;
    use std::ops::Deref;

    /// One table when it is looked up, and none afterwards.
    struct Fickle<'a>(&'a Iotlb, Iotlb, Cell<usize>);
    impl Deref for Fickle<'_> {
        type Target = Iotlb;
        fn deref(&self) -> &Iotlb {
            let left = self.2.get();
            self.2.set(left.saturating_sub(1));
            if left > 0 { self.0 } else { &self.1 }
        }
    }

    let mut iotlb = Iotlb::new();
    set(&mut iotlb, 0x1000, 0x8000, 0x1000, Read);
    set(&mut iotlb, 0x2000, 0x8000, 0x1000, Read);
    for looks in 0..8 {
        let fickle = Fickle(&iotlb, Iotlb::new(), Cell::new(looks));
        if let Ok(mut pieces) = Iotlb::lookup(fickle, GuestAddress(0x1000), 0x2000, Read) {
            assert!(pieces.by_ref().count() <= 2);
            assert_eq!(pieces.next(), None);
        }
    }
}

#[rstest]
#[case(0x1000..0x1020, Some(0x20))]
#[case(0x1000..0x1000, Some(0))]
#[case(0..u64::MAX, usize::try_from(u64::MAX).ok())]
#[case(std::ops::Range { start: 0x1000, end: 0xfff }, None)]
#[case(std::ops::Range { start: u64::MAX, end: 0 }, None)]
fn a_range_that_ends_before_it_starts_is_no_range(
    #[case] range: std::ops::Range<u64>,
    #[case] length: Option<usize>,
) {
    let expected = length.map(|length| iovas(range.start, length));
    assert_eq!(IovaRange::try_from(range).ok(), expected);
}

#[rstest]
#[case::one_miss(
    0x4000,
    0x10,
    Read,
    "cannot translate 0x10 bytes at 0x4000: 0x10 bytes at 0x4000 are not mapped"
)]
#[case::one_denied(
    0x1000,
    0x10,
    Write,
    "cannot translate 0x10 bytes at 0x1000: 0x10 bytes at 0x1000 are not mapped for the access"
)]
#[case::several(
    0,
    0x4000,
    Write,
    "cannot translate 0x4000 bytes at 0x0: 0x1000 bytes at 0x0 are not mapped, and 0x2 other ranges"
)]
fn an_error_says_what_and_why_in_hex(
    #[case] iova: u64,
    #[case] length: usize,
    #[case] access: Permissions,
    #[case] text: &str,
) {
    let mut iotlb = Iotlb::new();
    set(&mut iotlb, 0x1000, 0x8000, 0x1000, Read);
    let fails = look(&iotlb, iova, length, access).unwrap_err();
    assert_eq!(fails.cannot_resolve(GuestAddress(iova), length).to_string(), text);
}

#[test]
fn it_shows_its_entries_in_hex() {
    let mut iotlb = Iotlb::new();
    set(&mut iotlb, 0x1000, 0x8000, 0x1000, Read);
    assert_eq!(format!("{iotlb:?}"), "Iotlb {[0x1000, 0x1fff]: 0x8000 (read)}");
}

#[test]
fn errors_and_tables_may_cross_threads() {
    fn crosses<T: Send + Sync + 'static>() {}
    crosses::<Error>();
    crosses::<Iotlb>();
    crosses::<IotlbFails>();
}
