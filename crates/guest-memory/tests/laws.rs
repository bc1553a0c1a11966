//! Any change of any map does what it does to a plain list of ranges, and any address is found.
//!
//! That any sequence of accesses does what it does to plain bytes is checked by `guest_testing::conformance`, in that crate's
//! `tests/backends.rs`: it stands on this one, and no crate may use one above it, tests included.

use std::collections::BTreeMap;
use std::sync::Arc;

use guest_memory::{
    Bytes, GuestAddress, GuestMemory, GuestMemoryRegion, GuestRegionCollection,
    GuestRegionCollectionError, SliceRegion,
};
use proptest::collection::vec;
use proptest::prelude::*;

type Map = GuestRegionCollection<SliceRegion<'static>>;

/// Where the addresses of a case lie. The last one leaves no room above.
const ORIGINS: [u64; 4] = [0, 0x1000, (1 << 40) - 0x40, u64::MAX - WINDOW + 1];
/// How many addresses a case is about.
const WINDOW: u64 = 0x80;

/// A change of a map. Places count from the origin.
#[derive(Clone, Debug)]
enum Change {
    Insert(u64, usize),
    /// The region that the place is in, with its right length or one byte more.
    Remove(u64, bool),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => (0..WINDOW - 24, 1_usize..=24).prop_map(|(start, len)| Change::Insert(start, len)),
        2 => (0..WINDOW, prop::bool::weighted(0.8)).prop_map(|(at, right)| Change::Remove(at, right)),
    ]
}

proptest! {
    // SEMANTICS 7.
    #[test]
    fn a_change_of_a_map_is_made_or_refused_with_its_reason(
        origin in prop::sample::select(&ORIGINS[..]),
        changes in vec(change(), 1..40),
    ) {
        let mut map = Map::new();
        // The length of each region, by its first address.
        let mut model: BTreeMap<u64, u64> = BTreeMap::new();
        for change in changes {
            match change {
                Change::Insert(place, len) => {
                    let (first, last) = (origin + place, origin + place + (len as u64 - 1));
                    let region = SliceRegion::new(GuestAddress(first), vec![0; len].leak());
                    let region = Arc::new(region.expect("below the end"));
                    let mut others = model.iter();
                    let overlaps =
                        others.any(|(start, len)| *start <= last && first <= start + (len - 1));
                    match map.insert_region(region) {
                        Ok(next) => {
                            prop_assert!(!overlaps);
                            map = next;
                            model.insert(first, len as u64);
                        }
                        Err(error) => {
                            prop_assert_eq!(error, GuestRegionCollectionError::MemoryRegionOverlap);
                            prop_assert!(overlaps);
                        }
                    }
                }
                Change::Remove(place, right) => {
                    let at = origin + place;
                    let found = model.range(..=at).next_back().map(|(start, len)| (*start, *len));
                    let (start, len) = found.unwrap_or((at, 1));
                    match map.remove_region(GuestAddress(start), len + u64::from(!right)) {
                        Ok((next, region)) => {
                            prop_assert!(right && found.is_some());
                            prop_assert_eq!(region.start_addr(), GuestAddress(start));
                            map = next;
                            model.remove(&start);
                        }
                        Err(error) => {
                            prop_assert_eq!(error, GuestRegionCollectionError::NoMemoryRegion);
                            prop_assert!(!right || found.is_none());
                        }
                    }
                }
            }
            let regions: Vec<_> = map.iter().map(|r| (r.start_addr().0, r.len())).collect();
            prop_assert_eq!(regions, model.clone().into_iter().collect::<Vec<_>>());
        }
    }

    // SEMANTICS 1: regions of any length at any address, crowded or far apart.
    #[test]
    fn an_address_is_found_wherever_regions_lie(
        starts in vec((any::<u64>(), 0_u32..64, 1_usize..40), 1..40),
        nearby in any::<u64>(),
    ) {
        // The shift brings many of them down to where the neighbours are close.
        let mut plans: Vec<(u64, usize)> =
            starts.iter().map(|&(start, shift, len)| (start >> shift, len)).collect();
        plans.sort_unstable();
        let mut next = Some(0);
        plans.retain(|&(start, len)| {
            let fits = next.is_some_and(|next| next <= start)
                && start.checked_add(len as u64 - 1).is_some();
            if fits {
                next = start.checked_add(len as u64);
            }
            fits
        });
        prop_assume!(!plans.is_empty());
        let mut ram = vec![0; plans.iter().map(|plan| plan.1).sum()];
        let mut rest = &mut ram[..];
        let mut regions = Vec::new();
        for &(start, len) in &plans {
            let (own, later) = std::mem::take(&mut rest).split_at_mut(len);
            rest = later;
            regions.push(SliceRegion::new(GuestAddress(start), own).unwrap());
        }
        let memory = GuestRegionCollection::from_regions(regions).unwrap();
        let ends = plans.iter().flat_map(|&(start, len)| {
            let last = start + (len as u64 - 1);
            [start.wrapping_sub(1), start, last, last.wrapping_add(1), start ^ (nearby >> 50)]
        });
        for addr in ends.chain([nearby, 0, u64::MAX]) {
            let expected = plans
                .iter()
                .find(|(start, len)| addr.checked_sub(*start).is_some_and(|at| at < *len as u64))
                .map(|&(start, _)| (start, addr - start));
            let found = memory.to_region_addr(GuestAddress(addr));
            prop_assert_eq!(found.map(|(region, at)| (region.start_addr().0, at.0)), expected);
            prop_assert_eq!(memory.check_range(GuestAddress(addr), 1), expected.is_some());
            prop_assert_eq!(memory.write_obj(1_u8, GuestAddress(addr)).is_ok(), expected.is_some());
        }
    }
}
