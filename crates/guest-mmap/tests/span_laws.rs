//! Any sequence of mapping and unmapping in a span, and of accesses over borders, agrees with a list of pages.

mod common;

use common::{mappings, memfd, place};
use guest_address::{GuestAddress, GuestRange};
use guest_memory::{Bytes, GuestMemory, GuestMemoryRegion};
use guest_mmap::{
    FromRangesError, GuestMemoryMmap, GuestRegionMmap, GuestSpan, MmapRegionBuilder,
    MmapRegionError, leaked_bytes,
};
use proptest::prelude::*;
use std::sync::Arc;

const PAGE: usize = 0x1000;
const PAGES: usize = 16;
const BASE: u64 = 0x4000_0000;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A region of so many pages, and bytes less than a page fewer; of a file or not.
    Map { page: usize, count: usize, less: usize, of_file: bool },
    /// The region that the page is in, if it is in one.
    Unmap { page: usize, by_hand: bool },
    /// A number to write from a byte on.
    Write { at: usize, len: usize, byte: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..PAGES, 1..6_usize, prop_oneof![Just(0), 0..PAGE], any::<bool>())
            .prop_map(|(page, count, less, of_file)| Step::Map { page, count, less, of_file }),
        2 => (0..PAGES, any::<bool>()).prop_map(|(page, by_hand)| Step::Unmap { page, by_hand }),
        3 => (0..PAGES * PAGE, 1..3 * PAGE, 1..=u8::MAX)
            .prop_map(|(at, len, byte)| Step::Write { at, len, byte }),
    ]
}

fn addr(offset: usize) -> GuestAddress {
    GuestAddress(BASE + offset as u64)
}

/// The pages of a region: start, length in bytes.
type Place = (usize, usize);

fn pages(&(start, len): &Place) -> std::ops::Range<usize> {
    start / PAGE..(start + len).div_ceil(PAGE)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_span_is_a_list_of_pages(steps in prop::collection::vec(step(), 1..40)) {
        let span = GuestSpan::new(GuestRange::new(GuestAddress(BASE), (PAGES * PAGE) as u64).unwrap()).unwrap();
        let mut places: Vec<Place> = Vec::new();
        let mut bytes: Vec<Option<u8>> = vec![None; PAGES * PAGE];
        let mut memory = GuestMemoryMmap::<()>::new();
        let mut host = None;
        for step in steps {
            match step {
                Step::Map { page, count, less, of_file } => {
                    let place_of_it = (page * PAGE, count * PAGE - less);
                    let wanted = pages(&place_of_it);
                    let file_of_it = of_file.then(|| place(&memfd((count * PAGE) as u64), 0));
                    let mapped = span.map_region(addr(place_of_it.0), place_of_it.1, file_of_it);
                    let is_inside = place_of_it.0 + place_of_it.1 <= PAGES * PAGE;
                    let is_free = places.iter().all(|other| {
                        let other = pages(other);
                        other.end <= wanted.start || wanted.end <= other.start
                    });
                    match mapped {
                        Ok(region) => {
                            prop_assert!(is_inside && is_free);
                            host.get_or_insert(region.as_ptr().addr() - place_of_it.0);
                            prop_assert_eq!(Some(region.as_ptr().addr() - place_of_it.0), host);
                            memory = memory.insert_region(Arc::new(region)).unwrap();
                            places.push(place_of_it);
                            bytes[place_of_it.0..][..place_of_it.1].fill(Some(0));
                        }
                        Err(FromRangesError::MmapRegion(MmapRegionError::OutsideSpan { .. })) => prop_assert!(!is_inside),
                        Err(FromRangesError::MmapRegion(MmapRegionError::SpanInUse { .. })) => prop_assert!(is_inside && !is_free),
                        Err(error) => prop_assert!(false, "{error:?}"),
                    }
                }
                Step::Unmap { page, by_hand } => {
                    let Some(index) = places.iter().position(|place| pages(place).contains(&page)) else { continue };
                    let (start, len) = places.swap_remove(index);
                    let region: Arc<GuestRegionMmap>;
                    (memory, region) = memory.remove_region(addr(start), len as u64).unwrap();
                    prop_assert_eq!(region.len(), len as u64);
                    if by_hand {
                        let mapping = Arc::into_inner(region).unwrap().get_mmap();
                        Arc::into_inner(mapping).unwrap().unmap().unwrap();
                    }
                    bytes[start..][..len].fill(None);
                }
                Step::Write { at, len, byte } => {
                    let there = bytes[at..].iter().take(len).take_while(|byte| byte.is_some()).count();
                    let written = memory.write(&vec![byte; len], addr(at)).unwrap_or(0);
                    prop_assert_eq!(written, there);
                    bytes[at..][..there].fill(Some(byte));
                }
            }
            // What the guest sees, in the longest slices there are: a region of odd length is followed by a hole.
            let mut at = 0;
            while at < bytes.len() {
                let count = bytes[at..].iter().take_while(|byte| byte.is_some()).count();
                if count == 0 {
                    prop_assert!(memory.get_slice(addr(at), 1).is_err());
                    at += 1;
                    at += bytes[at..].iter().take_while(|byte| byte.is_none()).count();
                    continue;
                }
                let slice = memory.get_slice(addr(at), count).unwrap();
                let mut read = vec![0; count];
                slice.read_slice(&mut read, 0).unwrap();
                let expected: Vec<u8> = bytes[at..][..count].iter().flatten().copied().collect();
                prop_assert_eq!(read, expected);
                at += count;
            }
            // What the process has.
            let mappings = mappings();
            for page in 0..PAGES {
                let Some(host) = host.map(|host| host + page * PAGE) else { break };
                let access = mappings.iter().find(|(range, _)| range.contains(&host)).map(|(_, access)| &access[..3]);
                let is_mapped = places.iter().any(|place| pages(place).contains(&page));
                prop_assert_eq!(access, Some(if is_mapped { "rw-" } else { "---" }), "page {}", page);
            }
        }
        drop((memory, span));
        prop_assert_eq!(leaked_bytes(), 0);
    }
}

/// What memory a page has.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    InSpan,
    ReadOnlyInSpan,
    /// Mapped wherever the system likes.
    Elsewhere,
}

#[derive(Clone, Debug)]
enum Change {
    Plug { page: usize, count: usize, kind: Kind },
    Unplug { page: usize },
}

fn change() -> impl Strategy<Value = Change> {
    let kind = prop_oneof![
        6 => Just(Kind::InSpan),
        1 => Just(Kind::ReadOnlyInSpan),
        1 => Just(Kind::Elsewhere),
    ];
    prop_oneof![
        3 => (0..PAGES, 1..6_usize, kind)
            .prop_map(|(page, count, kind)| Change::Plug { page, count, kind }),
        1 => (0..PAGES).prop_map(|page| Change::Unplug { page }),
    ]
}

/// An access: how far from a page's border it starts, its length, and whether it writes.
type Access = (usize, i64, usize, bool);

fn access() -> impl Strategy<Value = Access> {
    let len = prop_oneof![Just(1_usize), Just(2), Just(4), Just(8), Just(16), 1..2 * PAGE];
    (0..=PAGES, -20..20_i64, len, any::<bool>())
}

/// A region of the model: where it starts, its pages, and their kind.
type Plugged = (usize, usize, Kind);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    // Whether the map is one piece, several, or only partly in the span, and wherever it lies, up to the last page there is.
    #[test]
    fn accesses_to_a_map_in_a_span_agree_with_plain_bytes(
        base in prop_oneof![Just(0), Just(BASE), Just(u64::MAX - (PAGES * PAGE) as u64 + 1)],
        rounds in prop::collection::vec((change(), prop::collection::vec(access(), 1..24)), 1..16),
    ) {
        let range = GuestRange::new(GuestAddress(base), (PAGES * PAGE) as u64).unwrap();
        let span = GuestSpan::new(range).unwrap();
        let mut plugged: Vec<Plugged> = Vec::new();
        let mut bytes = vec![0_u8; PAGES * PAGE];
        let mut memory = GuestMemoryMmap::<()>::new();
        for (number, (change, accesses)) in rounds.into_iter().enumerate() {
            match change {
                Change::Plug { page, count, kind } => {
                    let is_free = plugged.iter().all(|&(start, len, _)| page + count <= start || start + len <= page);
                    if page + count > PAGES || !is_free {
                        continue;
                    }
                    let at = GuestAddress(base + (page * PAGE) as u64);
                    let builder = MmapRegionBuilder::<()>::new(count * PAGE);
                    let builder = match kind {
                        Kind::InSpan => builder.with_span(&span, at),
                        Kind::ReadOnlyInSpan => builder.with_mmap_prot(libc::PROT_READ).with_span(&span, at),
                        Kind::Elsewhere => builder,
                    };
                    let region = GuestRegionMmap::new(builder.build().unwrap(), at).unwrap();
                    memory = memory.insert_region(Arc::new(region)).unwrap();
                    plugged.push((page, count, kind));
                    bytes[page * PAGE..][..count * PAGE].fill(0);
                }
                Change::Unplug { page } => {
                    let index = plugged.iter().position(|&(start, len, _)| (start..start + len).contains(&page));
                    let Some((start, len, _)) = index.map(|index| plugged.swap_remove(index)) else { continue };
                    let at = GuestAddress(base + (start * PAGE) as u64);
                    memory = memory.remove_region(at, (len * PAGE) as u64).unwrap().0;
                }
            }
            let kind_at = |offset: usize| {
                let page = offset / PAGE;
                plugged.iter().find(|&&(start, len, _)| (start..start + len).contains(&page))
            };
            for (page, distance, len, writes) in accesses {
                let at = GuestAddress(base.wrapping_add((page * PAGE) as u64).wrapping_add_signed(distance));
                let offset = usize::try_from(at.0.wrapping_sub(base)).unwrap();
                let allowed = |index: usize| {
                    let kind = offset.checked_add(index).and_then(kind_at).map(|&(_, _, kind)| kind);
                    kind.is_some_and(|kind| !writes || kind != Kind::ReadOnlyInSpan)
                };
                let done = (0..len).take_while(|&index| allowed(index)).count();
                let there = (0..len).take_while(|&index| offset.checked_add(index).and_then(kind_at).is_some()).count();
                let expected_region = kind_at(offset).map(|&(start, ..)| base + (start * PAGE) as u64);
                let region = memory.find_region(at).map(|region| region.start_addr().0);
                prop_assert_eq!(region, expected_region, "{}", at);
                prop_assert_eq!(memory.check_range(at, len), there == len, "{} {:#x}", at, len);
                let fill = number as u8 + 1;
                if writes {
                    let outcome = match len {
                        1 => memory.write_obj(fill, at).map(|()| 1),
                        2 => memory.write_obj([fill; 2], at).map(|()| 2),
                        4 => memory.write_obj([fill; 4], at).map(|()| 4),
                        8 => memory.write_obj([fill; 8], at).map(|()| 8),
                        16 => memory.write_obj([fill; 16], at).map(|()| 16),
                        _ => memory.write(&vec![fill; len], at),
                    };
                    if len <= 16 && len.is_power_of_two() {
                        prop_assert_eq!(outcome.is_ok(), done == len, "{} {:#x}", at, len);
                    } else {
                        prop_assert_eq!(outcome.unwrap_or(0), done, "{} {:#x}", at, len);
                    }
                    bytes[offset.min(PAGES * PAGE)..][..done].fill(fill);
                } else {
                    let mut seen = vec![0xee; len];
                    let outcome = match len {
                        8 => memory.read_obj::<[u8; 8]>(at).map(|object| seen.copy_from_slice(&object)),
                        16 => memory.read_obj::<[u8; 16]>(at).map(|object| seen.copy_from_slice(&object)),
                        _ => memory.read_slice(&mut seen, at),
                    };
                    prop_assert_eq!(outcome.is_ok(), done == len, "{} {:#x}", at, len);
                    if outcome.is_ok() {
                        prop_assert_eq!(&seen[..], &bytes[offset..][..len], "{} {:#x}", at, len);
                    }
                }
            }
        }
        drop((memory, span));
        prop_assert_eq!(leaked_bytes(), 0);
    }
}
