//! Where there is memory: regions found by address, ranges checked, and lists that make no map.

mod common;

use std::sync::Arc;

use common::{Map, Region, all_bytes, map, region, three};
use guest_memory::{
    Bytes, GuestAddress, GuestMemory, GuestMemoryError, GuestMemoryRegion, GuestRegionCollection,
    GuestRegionCollectionError, MemoryRegionAddress, SliceRegion, WholeBytes,
};
use rstest::rstest;

const TOP: u64 = u64::MAX;

/// Addresses at which something changes: the ends of (not too many) regions and the powers of two, with their neighbours.
fn interesting(regions: &[(u64, usize)]) -> Vec<u64> {
    let some = regions.iter().step_by(regions.len() / 64 + 1).chain(regions.last());
    let ends = some.flat_map(|&(start, len)| [start, start + (len as u64 - 1)]);
    let powers = (0..64).map(|power| 1 << power);
    let around = |addr: u64| [addr.wrapping_sub(1), addr, addr.wrapping_add(1)];
    ends.chain(powers).chain([0, TOP]).flat_map(around).collect()
}

/// The region that an address is in, found by looking at all of them.
fn model_find(regions: &[(u64, usize)], addr: u64) -> Option<(u64, u64)> {
    let inside = |&(start, len): &(u64, usize)| {
        let offset = addr.checked_sub(start)?;
        (offset < len as u64).then_some((start, offset))
    };
    regions.iter().find_map(inside)
}

/// How many of the bytes from `addr` on have memory before the first that has not.
fn model_reach(regions: &[(u64, usize)], addr: u64, count: usize) -> usize {
    let mut done = 0;
    while done < count
        && let Some(here) = addr.checked_add(done as u64)
        && let Some((start, offset)) = model_find(regions, here)
        && let Some((_, len)) = regions.iter().find(|region| region.0 == start)
    {
        done += len - offset as usize;
    }
    done.min(count)
}

fn neighbours(count: u64) -> Vec<(u64, usize)> {
    (0..count).map(|number| (0x10 + number * 0x10, 0x10)).collect()
}

fn with_gaps(count: u64) -> Vec<(u64, usize)> {
    (0..count).map(|number| (number * 0x40, 0x10 + number as usize % 0x30)).collect()
}

/// Tiny regions at addresses so far apart that no table of even steps could tell them apart.
fn far_apart(count: u64) -> Vec<(u64, usize)> {
    let starts = (0..count).map(|number| number * (TOP / 600) + number * number);
    starts.map(|start| (start, 5)).collect()
}

/// As many neighbours at the top of the address space as there are, after one at its start.
fn at_both_ends(count: u64) -> Vec<(u64, usize)> {
    let uppers = (1..count).map(|number| (TOP - 0x10 * (count - number) + 1, 0x10));
    [(0, 3)].into_iter().chain(uppers).take(count as usize).collect()
}

// SEMANTICS 1.
#[rstest]
fn an_address_is_found_in_the_one_region_that_it_is_in(
    #[values(1, 2, 8, 64, 512)] count: u64,
    #[values(neighbours, with_gaps, far_apart, at_both_ends)] layout: fn(u64) -> Vec<(u64, usize)>,
) {
    let regions = layout(count);
    let memory = map(&regions);
    assert_eq!(memory.num_regions(), regions.len());
    assert_finds(&memory, &regions);
}

// SEMANTICS 1. Layouts of real machines, with a hole so small that regions are told apart only by many steps.
#[rstest]
#[case::pc(&[(0, 0xa0000), (0x10_0000, 0x100), (1 << 32, 0x100), (1 << 34, 0x100)])]
#[case::qemu(&[(0, 0xa0000), (0xc0000, 0x2000), (0xe0000, 0x1000), (1 << 32, 0x100)])]
#[case::a_hole_of_a_byte_below_much(&[(0x1000, 0xfff), (0x2000, 0x100), (0x10_0000_0000, 0x10)])]
#[case::crowded_in_one_step(&[(1 << 50, 1), ((1 << 50) + 1, 1), ((1 << 50) + 3, 9), (TOP - 7, 8)])]
#[case::short_beside_long(&[((1 << 40) - 1, 1), (1 << 40, 0x5000), ((1 << 40) + 0x5000, 2)])]
#[case::first_byte_and_last_byte(&[(0, 1), (TOP, 1)])]
#[case::the_last_two_bytes(&[(TOP - 1, 1), (TOP, 1)])]
fn small_holes_below_much_memory_are_no_trouble(#[case] regions: &[(u64, usize)]) {
    assert_finds(&map(regions), regions);
}

#[track_caller]
fn assert_finds(memory: &Map, regions: &[(u64, usize)]) {
    for addr in interesting(regions) {
        let expected = model_find(regions, addr);
        let addr = GuestAddress(addr);
        let found = memory.find_region(addr).map(|region| region.start_addr().0);
        assert_eq!(found, expected.map(|(start, _)| start), "at {addr}");
        let inside = memory.to_region_addr(addr).map(|(region, at)| (region.start_addr().0, at.0));
        assert_eq!(inside, expected, "at {addr}");
        assert_eq!(memory.address_in_range(addr), expected.is_some());
        assert_eq!(memory.check_address(addr), expected.map(|_| addr));
        for count in [1, 2, 3, 8, 0x11, 0x21] {
            let reach = model_reach(regions, addr.0, count);
            assert_eq!(memory.check_range(addr, count), reach == count, "{count} at {addr}");
            let one = expected.is_some_and(|(start, _)| {
                model_find(regions, addr.0.saturating_add(count as u64 - 1))
                    .is_some_and(|(last, _)| last == start && reach == count)
            });
            assert_eq!(memory.get_slice(addr, count).is_ok(), one, "{count} at {addr}");
            let total: usize =
                memory.get_slices(addr, count).map_while(Result::ok).map(|slice| slice.len()).sum();
            assert_eq!(total, reach, "{count} at {addr}");
            match memory.read(&mut vec![0; count], addr) {
                Ok(done) => assert_eq!(done, reach, "{count} at {addr}"),
                Err(error) => {
                    assert!(
                        matches!(error, GuestMemoryError::InvalidGuestAddress(at) if at == addr)
                    );
                    assert_eq!(reach, 0, "{count} at {addr}");
                }
            }
        }
    }
}

// SEMANTICS 1.
#[rstest]
#[case::start(0)]
#[case::somewhere(0x1000)]
#[case::end(TOP)]
fn a_map_without_regions_has_no_memory(#[case] addr: u64) {
    let (memory, addr) = (Map::new(), GuestAddress(addr));
    assert_eq!((memory.num_regions(), memory.iter().count()), (0, 0));
    assert_eq!(memory.last_addr(), GuestAddress(0));
    assert!(memory.find_region(addr).is_none());
    assert!(memory.to_region_addr(addr).is_none());
    assert!(!memory.check_range(addr, 1));
    assert!(memory.check_range(addr, 0));
    assert!(matches!(memory.read(&mut [0], addr), Err(GuestMemoryError::InvalidGuestAddress(_))));
    assert_eq!(memory.read(&mut [], addr).unwrap(), 0);
}

#[test]
fn a_map_has_the_regions_that_it_is_made_of_in_order() {
    let regions = [(0, 1), (1, 0xfff), (0x1000, 0x1000), (1 << 40, 7), (TOP - 6, 7)];
    let memory = map(&regions);
    let listed: Vec<_> =
        memory.iter().map(|region| (region.start_addr().0, region.len() as usize)).collect();
    assert_eq!(listed, regions);
    assert_eq!(memory.last_addr(), GuestAddress(TOP));
}

// The published walkers, which are deprecated in favour of `iter`.
#[test]
#[expect(deprecated, reason = "they are what is tested")]
fn the_walkers_see_each_region_once_with_its_number() {
    let memory = three();
    let seen = std::cell::RefCell::new(Vec::new());
    memory
        .with_regions(|number, region| {
            seen.borrow_mut().push((number, region.start_addr().0));
            Ok::<_, ()>(())
        })
        .unwrap();
    let expected = [(0, 0x1000), (1, 0x2000), (2, 0x8000)];
    assert_eq!(seen.take(), expected);

    let mut seen = Vec::new();
    let stop = memory.with_regions_mut(|number, region| {
        seen.push((number, region.start_addr().0));
        if number == 1 { Err("enough") } else { Ok(()) }
    });
    assert_eq!((stop, &seen[..]), (Err("enough"), &expected[..2]));

    let sum = memory.map_and_fold(0, |(number, region)| number as u64 + region.len(), |a, b| a + b);
    assert_eq!(sum, 0x3003);
}

mod top_of_the_address_space {
    use super::*;

    // SEMANTICS 2.
    #[test]
    fn a_region_may_end_at_the_last_byte() {
        let memory = map(&[(0x1000, 0x1000), (TOP - 0xfff, 0x1000)]);
        assert_eq!(memory.last_addr(), GuestAddress(TOP));
        assert_eq!(memory.iter().last().unwrap().last_addr(), GuestAddress(TOP));
        assert!(memory.check_range(GuestAddress(TOP - 7), 8));
        memory.write_obj(0x0102_0304_0506_0708_u64, GuestAddress(TOP - 7)).unwrap();
        assert_eq!(memory.read_obj::<u64>(GuestAddress(TOP - 7)).unwrap(), 0x0102_0304_0506_0708);
        assert_eq!(memory.get_slice(GuestAddress(TOP), 1).unwrap().len(), 1);
    }

    // SEMANTICS 2, 4.
    #[test]
    fn sixteen_bytes_from_seven_below_the_last_are_eight() {
        let memory = map(&[(0, 0x1000), (TOP - 0xfff, 0x1000)]);
        let addr = GuestAddress(TOP - 7);
        assert_eq!(memory.write(&[0xff; 16], addr).unwrap(), 8);
        assert_eq!(memory.read(&mut [0; 16], addr).unwrap(), 8);
        let partial = memory.read_slice(&mut [0; 16], addr);
        assert!(matches!(
            partial,
            Err(GuestMemoryError::PartialBuffer { expected: 16, completed: 8 })
        ));
        let partial = memory.write_obj(0_u128, addr);
        assert!(matches!(
            partial,
            Err(GuestMemoryError::PartialBuffer { expected: 16, completed: 8 })
        ));
        assert!(memory.write_whole(&[0xff; 16], addr).is_err());
        // Nothing went on at address 0.
        assert_eq!(memory.read_obj::<u64>(GuestAddress(0)).unwrap(), 0);
        assert!(!memory.check_range(addr, 9));
        assert!(!memory.check_range(addr, usize::MAX));
        assert!(memory.get_slice(addr, 9).is_err());
        assert!(memory.get_slice(addr, usize::MAX).is_err());
    }

    // SEMANTICS 4.
    #[test]
    fn the_slices_end_with_an_error_at_the_top() {
        let memory = map(&[(0, 0x10), (TOP - 0xf, 0x10)]);
        let mut slices = memory.get_slices(GuestAddress(TOP), 2);
        assert_eq!(slices.next().unwrap().unwrap().len(), 1);
        assert!(matches!(slices.next(), Some(Err(GuestMemoryError::GuestAddressOverflow))));
        assert!(slices.next().is_none());
        assert!(slices.next().is_none());
        let exact: Vec<_> = memory.get_slices(GuestAddress(TOP - 3), 4).collect();
        assert!(matches!(&exact[..], [Ok(slice)] if slice.len() == 4));
    }

    // SEMANTICS 2.
    #[rstest]
    #[case::ends_at_the_last_byte(TOP - 0xf, true)]
    #[case::passes_it_by_one(TOP - 0xe, false)]
    #[case::starts_at_it(TOP, false)]
    fn a_region_that_passes_the_last_byte_is_refused(#[case] start: u64, #[case] good: bool) {
        let mut bytes = [0; 0x10];
        assert_eq!(SliceRegion::new(GuestAddress(start), &mut bytes).is_some(), good);
    }
}

// SEMANTICS 3.
#[rstest]
#[case::at_the_start(0)]
#[case::somewhere(0x1000)]
#[case::at_the_end(TOP)]
fn a_region_without_bytes_is_refused(#[case] start: u64) {
    assert!(SliceRegion::new(GuestAddress(start), &mut []).is_none());
}

// SEMANTICS 5.
#[rstest]
#[case(0x1000, 0, Some(0x1000))]
#[case(0x1000, 0xfff, Some(0x1fff))]
#[case(0x1000, 0x1000, None)]
#[case(0xfff, 0, None)]
#[case(0xfff, 1, Some(0x1000))] // the base itself need not be there
#[case(0, 0x1800, Some(0x1800))]
#[case(0x2000, usize::MAX, None)]
#[case(TOP, 1, None)]
fn a_checked_offset_is_about_the_one_byte_there(
    #[case] base: u64,
    #[case] offset: usize,
    #[case] expected: Option<u64>,
) {
    let memory = map(&[(0x1000, 0x1000)]);
    let found = memory.checked_offset(GuestAddress(base), offset);
    assert_eq!(found, expected.map(GuestAddress));
}

// SEMANTICS 5.
#[test]
fn a_checked_range_is_about_every_byte() {
    assert!(map(&[(0x1000, 0x1000)]).check_range(GuestAddress(0x1000), 0x1000));
    let memory = map(&[(0, 0x400), (0x800, 0x400), (0xc00, 0x400)]);
    for (base, len, expected) in [
        (0, 0x400, true),
        (0, 0x401, false),
        (0, 0xa00, false),
        (0x3ff, 1, true),
        (0x3ff, 2, false),
        (0x400, 1, false),
        (0x7ff, 2, false),
        (0x800, 0x800, true),
        (0x800, 0x801, false),
        (0xbff, 2, true),
        (0xbff, 0x401, true),
        (0xbff, 0x402, false),
        (0, usize::MAX, false),
        (0x800, usize::MAX, false),
        (TOP, 1, false),
        (TOP, usize::MAX, false),
        (0x5000, 0, true),
    ] {
        assert_eq!(memory.check_range(GuestAddress(base), len), expected, "{len:#x} at {base:#x}");
    }
}

// SEMANTICS 6.
#[rstest]
#[case::inside(0x1800, true)]
#[case::border(0x2000, true)]
#[case::last_byte(0x8fff, true)]
#[case::hole(0x3000, false)]
#[case::before(0, false)]
#[case::past_the_end(0x9000, false)]
#[case::top(TOP, false)]
fn nothing_is_moved_with_success_anywhere(#[case] addr: u64, #[case] mapped: bool) {
    let (memory, addr) = (three(), GuestAddress(addr));
    assert_eq!(memory.read(&mut [], addr).unwrap(), 0);
    assert_eq!(memory.write(&[], addr).unwrap(), 0);
    memory.read_slice(&mut [], addr).unwrap();
    memory.write_slice(&[], addr).unwrap();
    memory.write_whole(&[], addr).unwrap();
    memory.write_obj([0_u32; 0], addr).unwrap();
    assert!(memory.read_obj::<[u64; 0]>(addr).unwrap().is_empty());
    assert!(memory.check_range(addr, 0));
    let (mut source, mut sink) = (common::Source::default(), common::Sink::default());
    assert_eq!(memory.read_volatile_from(addr, &mut source, 0).unwrap(), 0);
    memory.read_exact_volatile_from(addr, &mut source, 0).unwrap();
    assert_eq!(memory.write_volatile_to(addr, &mut sink, 0).unwrap(), 0);
    memory.write_all_volatile_to(addr, &mut sink, 0).unwrap();
    assert!(source.asked.is_empty() && sink.offered.is_empty());
    assert_eq!(memory.get_slices(addr, 0).count(), 0);
    assert_eq!(memory.get_slices(addr, 0).stop_on_error().unwrap().count(), 0);
    assert_eq!(memory.get_slice(addr, 0).is_ok(), mapped);
    if mapped {
        assert!(memory.get_slice(addr, 0).unwrap().is_empty());
    }
}

// SEMANTICS 6, for a region by itself.
#[rstest]
#[case::inside(0x10)]
#[case::end(0x1000)]
#[case::past_the_end(0x1001)]
#[case::top(TOP)]
fn nothing_is_moved_with_success_anywhere_in_a_region(#[case] addr: u64) {
    let (region, addr) = (region(0x1000, 0x1000), MemoryRegionAddress(addr));
    assert_eq!(region.read(&mut [], addr).unwrap(), 0);
    assert_eq!(region.write(&[], addr).unwrap(), 0);
    region.read_slice(&mut [], addr).unwrap();
    region.write_slice(&[], addr).unwrap();
    region.write_whole(&[], addr).unwrap();
    region.write_obj([0_u8; 0], addr).unwrap();
    region.read_obj::<[u8; 0]>(addr).unwrap();
    let (mut source, mut sink) = (common::Source::default(), common::Sink::default());
    assert_eq!(region.read_volatile_from(addr, &mut source, 0).unwrap(), 0);
    region.read_exact_volatile_from(addr, &mut source, 0).unwrap();
    assert_eq!(region.write_volatile_to(addr, &mut sink, 0).unwrap(), 0);
    region.write_all_volatile_to(addr, &mut sink, 0).unwrap();
}

mod addresses_inside_a_region {
    use super::*;

    #[rstest]
    #[case(0, true)]
    #[case(0xfff, true)]
    #[case(0x1000, false)]
    #[case(TOP, false)]
    fn are_below_its_length(#[case] addr: u64, #[case] inside: bool) {
        let (region, addr) = (region(0x1000, 0x1000), MemoryRegionAddress(addr));
        assert_eq!(region.address_in_range(addr), inside);
        assert_eq!(region.check_address(addr).is_some(), inside);
        assert_eq!(region.get_host_address(addr).is_ok(), inside);
        assert_eq!(region.get_slice(addr, 1).is_ok(), inside);
    }

    #[rstest]
    #[case(0x800, 0x7ff, Some(0xfff))]
    #[case(0x800, 0x800, None)]
    #[case(0x1800, usize::MAX, None)]
    #[case(TOP, 1, None)]
    fn have_checked_offsets(
        #[case] base: u64,
        #[case] offset: usize,
        #[case] expected: Option<u64>,
    ) {
        let found = region(0x1000, 0x1000).checked_offset(MemoryRegionAddress(base), offset);
        assert_eq!(found, expected.map(MemoryRegionAddress));
    }

    #[rstest]
    #[case(0xfff, None)]
    #[case(0x1000, Some(0))]
    #[case(0x1fff, Some(0xfff))]
    #[case(0x2000, None)]
    fn come_from_guest_addresses(#[case] addr: u64, #[case] expected: Option<u64>) {
        let found = region(0x1000, 0x1000).to_region_addr(GuestAddress(addr));
        assert_eq!(found, expected.map(MemoryRegionAddress));
    }

    #[test]
    fn have_host_addresses_that_go_along() {
        let memory = three();
        let host = |addr| memory.get_host_address(GuestAddress(addr)).unwrap();
        assert_eq!(host(0x1000).wrapping_add(0x123), host(0x1123));
        assert!(host(0x2000).is_aligned());
        let missing = memory.get_host_address(GuestAddress(0x3000));
        assert!(matches!(missing, Err(GuestMemoryError::InvalidGuestAddress(_))));
    }
}

mod lists_of_regions {
    use super::*;
    use GuestRegionCollectionError as E;

    // SEMANTICS 7.
    #[rstest]
    #[case::none(&[], E::NoMemoryRegion)]
    #[case::unsorted(&[(0x2000, 0x10), (0x1000, 0x10)], E::UnsortedMemoryRegions)]
    #[case::unsorted_and_overlapping(&[(0x1008, 0x10), (0x1000, 0x10)], E::UnsortedMemoryRegions)]
    #[case::unsorted_at_the_end(&[(0, 1), (5, 1), (4, 1)], E::UnsortedMemoryRegions)]
    #[case::overlapping_by_a_byte(&[(0x1000, 0x11), (0x1010, 0x10)], E::MemoryRegionOverlap)]
    #[case::inside_another(&[(0x1000, 0x100), (0x1010, 0x10)], E::MemoryRegionOverlap)]
    #[case::same_start(&[(0x1000, 0x10), (0x1000, 0x10)], E::MemoryRegionOverlap)]
    #[case::overlapping_at_the_top(&[(TOP - 0xf, 0x10), (TOP, 1)], E::MemoryRegionOverlap)]
    fn that_make_no_map_are_refused_with_the_reason(
        #[case] regions: &[(u64, usize)],
        #[case] expected: E,
    ) {
        let regions: Vec<Region> = regions.iter().map(|&(start, len)| region(start, len)).collect();
        let arcs: Vec<_> = regions
            .iter()
            .map(|r| region(r.start_addr().0, r.len() as usize))
            .map(Arc::new)
            .collect();
        assert_eq!(GuestRegionCollection::from_regions(regions).unwrap_err(), expected);
        assert_eq!(GuestRegionCollection::from_arc_regions(arcs).unwrap_err(), expected);
    }

    #[test]
    fn with_the_same_region_twice_are_refused() {
        let region = Arc::new(region(0x1000, 0x1000));
        let list = vec![region.clone(), region.clone()];
        let refused = GuestRegionCollection::from_arc_regions(list).unwrap_err();
        assert_eq!(refused, E::MemoryRegionOverlap);
        let memory = GuestRegionCollection::from_arc_regions(vec![region.clone()]).unwrap();
        assert_eq!(memory.insert_region(region).unwrap_err(), E::MemoryRegionOverlap);
    }
}

mod changed_maps {
    use super::*;
    use GuestRegionCollectionError as E;

    #[rstest]
    #[case::below(0, 0x1000)]
    #[case::below_with_a_gap(0x500, 1)]
    #[case::between(0x3000, 0x5000)]
    #[case::between_with_gaps(0x4000, 0x1000)]
    #[case::above(0x9000, 0x10)]
    #[case::far_above(1 << 50, 0x10)]
    #[case::at_the_top(TOP - 0xf, 0x10)]
    fn a_region_is_put_where_there_is_room(#[case] start: u64, #[case] len: usize) {
        let memory = three();
        memory.write_obj(7_u32, GuestAddress(0x8000)).unwrap();
        let larger = memory.insert_region(Arc::new(region(start, len))).unwrap();
        let mut expected = vec![(0x1000, 0x1000), (0x2000, 0x1000), (0x8000, 0x1000), (start, len)];
        expected.sort_unstable();
        assert_finds(&larger, &expected);
        // The old map is what it was, and both have the same bytes.
        assert_finds(&memory, &[(0x1000, 0x1000), (0x2000, 0x1000), (0x8000, 0x1000)]);
        larger.write_obj(8_u32, GuestAddress(0x1ffe)).unwrap();
        assert_eq!(larger.read_obj::<u32>(GuestAddress(0x8000)).unwrap(), 7);
        assert_eq!(memory.read_obj::<u32>(GuestAddress(0x1ffe)).unwrap(), 8);

        let (again, removed) = larger.remove_region(GuestAddress(start), len as u64).unwrap();
        assert_eq!((removed.start_addr(), removed.len()), (GuestAddress(start), len as u64));
        assert_finds(&again, &[(0x1000, 0x1000), (0x2000, 0x1000), (0x8000, 0x1000)]);
        assert_eq!(all_bytes(&again), all_bytes(&memory));
    }

    // SEMANTICS 7.
    #[rstest]
    #[case::by_its_last_byte(0, 0x1001)]
    #[case::by_its_first_byte(0x8fff, 2)]
    #[case::same(0x2000, 0x1000)]
    #[case::same_start(0x1000, 1)]
    #[case::inside(0x1800, 1)]
    #[case::around(0, 0x10000)]
    #[case::in_the_gap_and_beyond(0x3000, 0x5001)]
    fn a_region_that_overlaps_is_refused(#[case] start: u64, #[case] len: usize) {
        let memory = three();
        let refused = memory.insert_region(Arc::new(region(start, len))).unwrap_err();
        assert_eq!(refused, E::MemoryRegionOverlap);
        assert_finds(&memory, &[(0x1000, 0x1000), (0x2000, 0x1000), (0x8000, 0x1000)]);
    }

    // SEMANTICS 7.
    #[rstest]
    #[case::wrong_size(0x1000, 0x2000)]
    #[case::no_size(0x1000, 0)]
    #[case::inside(0x1800, 0x800)]
    #[case::hole(0x3000, 0x1000)]
    #[case::above(0x9000, 0x1000)]
    #[case::size_of_another(0x0, 0x1000)]
    fn a_region_that_is_not_there_is_not_removed(#[case] base: u64, #[case] size: u64) {
        let memory = three();
        let refused = memory.remove_region(GuestAddress(base), size).unwrap_err();
        assert_eq!(refused, E::NoMemoryRegion);
        assert_finds(&memory, &[(0x1000, 0x1000), (0x2000, 0x1000), (0x8000, 0x1000)]);
    }

    #[test]
    fn the_last_region_may_go_and_another_come() {
        let memory = map(&[(0x1000, 0x1000)]);
        let (empty, region) = memory.remove_region(GuestAddress(0x1000), 0x1000).unwrap();
        assert_eq!(empty.num_regions(), 0);
        assert!(empty.find_region(GuestAddress(0x1000)).is_none());
        let refused = empty.remove_region(GuestAddress(0x1000), 0x1000).unwrap_err();
        assert_eq!(refused, E::NoMemoryRegion);
        assert_finds(&empty.insert_region(region).unwrap(), &[(0x1000, 0x1000)]);
        assert_finds(
            &Map::default().insert_region(Arc::new(self::region(5, 6))).unwrap(),
            &[(5, 6)],
        );
    }

    #[test]
    fn a_clone_shares_the_regions() {
        let memory = map(&[(0, 0xa0000), (0x10_0000, 0x100), (1 << 32, 0x100)]);
        let clone = memory.clone();
        clone.write_obj(9_u8, GuestAddress(1 << 32)).unwrap();
        assert_eq!(memory.read_obj::<u8>(GuestAddress(1 << 32)).unwrap(), 9);
        let same = |(a, b): (&Region, &Region)| std::ptr::eq(a, b);
        assert!(memory.iter().zip(clone.iter()).all(same));
    }

    #[rstest]
    #[case::even_steps(&[(0x1000, 0x1000), (0x2000, 0x1000)])]
    #[case::graded_steps(&[(0x1000, 0xfff), (0x2000, 0x1000), (1 << 40, 0x10)])]
    fn a_region_is_given_out_as_it_is_shared(#[case] regions: &[(u64, usize)]) {
        let memory = map(regions);
        for &(start, len) in regions {
            let last = GuestAddress(start + len as u64 - 1);
            let shared = memory.find_arc(last).unwrap();
            assert!(std::ptr::eq(&**shared, memory.find_region(last).unwrap()));
            assert!(memory.insert_region(shared.clone()).is_err());
        }
        assert!(memory.find_arc(GuestAddress(0)).is_none());
        assert!(memory.find_arc(GuestAddress(TOP)).is_none());
    }

    #[test]
    fn a_region_lives_as_long_as_the_last_map_that_has_it() {
        let region = Arc::new(region(0x1000, 0x1000));
        let memory = GuestRegionCollection::from_arc_regions(vec![region.clone()]).unwrap();
        let (empty, removed) = memory.remove_region(GuestAddress(0x1000), 0x1000).unwrap();
        drop((removed, empty));
        assert!(Arc::strong_count(&region) > 1);
        memory.write_obj(1_u8, GuestAddress(0x1000)).unwrap();
        drop(memory);
        assert_eq!(Arc::strong_count(&region), 1);
    }
}
