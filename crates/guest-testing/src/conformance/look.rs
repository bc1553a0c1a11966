//! What a memory says of itself, compared with the model.

use std::fmt;

use guest_memory::{
    GuestAddress, GuestMemory, GuestMemoryRegion, IoMemory, MemoryRegionAddress, Permissions,
};

use crate::conformance::bench::Bench;
use crate::conformance::model::{End, Model, Range};
use crate::conformance::op::Op;
use crate::conformance::pieces::at_hand;
use crate::conformance::settings::Holes;

impl<M: IoMemory> Bench<'_, M> {
    /// Asks all questions about a range, and about its first address.
    pub(super) fn look(&self, op: &Op) -> Result<(), String> {
        let complete = op.len == 0 || self.model.reach(op.at, op.len).1 == End::Complete;
        for access in [Permissions::Read, Permissions::Write, Permissions::ReadWrite] {
            // Whether what is read-only may be written is asked of the slices; a map does not know.
            let decided = self.settings.holes == Holes::Stop || !self.refuses(access);
            let found = self.memory.check_range(GuestAddress(op.at), op.len, access);
            if found != complete && decided {
                return Err(format!("check_range for {access} says {found}"));
            }
            if op.len < usize::MAX {
                at_hand(self.memory, self.model, op.at, op.len, access)?;
            }
        }
        match self.memory.physical_memory() {
            Some(map) => look_at_map(map, self.model, op, complete),
            None => Ok(()),
        }
    }
}

fn equal<T: PartialEq + fmt::Debug>(what: &str, found: &T, expected: &T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{what} is {found:x?}, not {expected:x?}")) }
}

fn look_at_map<G: GuestMemory + ?Sized>(
    map: &G,
    model: &Model,
    op: &Op,
    complete: bool,
) -> Result<(), String> {
    let found: Vec<_> = map.iter().map(|region| (region.start_addr().0, region.len())).collect();
    let expected: Vec<_> = model.present().map(|r| (r.start, r.bytes.len() as u64)).collect();
    equal("num_regions", &map.num_regions(), &expected.len())?;
    equal("iter", &found, &expected)?;
    equal("last_addr", &map.last_addr().0, &model.present().map(Range::last).max().unwrap_or(0))?;

    let at = GuestAddress(op.at);
    let place = model.find(op.at).map(|(range, place)| (range.start, place as u64));
    let region = map.find_region(at).map(|region| region.start_addr().0);
    equal("find_region", &region, &place.map(|(start, _)| start))?;
    let inside = map.to_region_addr(at).map(|(region, at)| (region.start_addr().0, at.0));
    equal("to_region_addr", &inside, &place)?;
    equal("address_in_range", &map.address_in_range(at), &place.is_some())?;
    equal("check_address", &map.check_address(at).is_some(), &place.is_some())?;
    equal("check_range of the map", &map.check_range(at, op.len), &complete)?;
    let past = op.at.checked_add(op.len as u64).filter(|&addr| model.find(addr).is_some());
    equal("checked_offset", &map.checked_offset(at, op.len).map(|addr| addr.0), &past)?;

    let slice = map.get_slice(at, op.len);
    match (&slice, place) {
        (Ok(slice), Some(_)) if slice.len() == op.len && complete => {}
        (Err(_), None) => {}
        // It lies in two regions, which may be one piece of memory or not.
        (Err(_), Some((start, inside))) => {
            let range = model.ranges.iter().find(|range| range.start == start);
            let left = range.map_or(0, |range| range.bytes.len() as u64 - inside);
            if op.len as u64 <= left {
                return Err(format!("get_slice gave {slice:?}, and the range is there"));
            }
        }
        _ => return Err(format!("get_slice gave {slice:?}")),
    }
    if map.get_host_address(at).is_ok() && place.is_none() {
        return Err("get_host_address gave an address, where no memory is".into());
    }
    match map.find_region(at) {
        Some(region) => look_at_region(region, op),
        None => Ok(()),
    }
}

/// A region's answers hang together.
fn look_at_region<R: GuestMemoryRegion>(region: &R, op: &Op) -> Result<(), String> {
    let (start, len) = (region.start_addr().0, region.len());
    equal("last_addr of a region", &region.last_addr().0, &(start + (len - 1)))?;
    let inside = op.at.checked_sub(start).filter(|&inside| inside < len);
    let found = region.to_region_addr(GuestAddress(op.at)).map(|at| at.0);
    equal("to_region_addr of a region", &found, &inside)?;
    let place = MemoryRegionAddress(op.at.wrapping_sub(start));
    equal("check_address of a region", &region.check_address(place).map(|at| at.0), &inside)?;
    equal("address_in_range of a region", &region.address_in_range(place), &inside.is_some())?;
    let past = place.0.checked_add(op.len as u64).filter(|&at| at < len);
    let found = region.checked_offset(place, op.len).map(|at| at.0);
    equal("checked_offset of a region", &found, &past)?;
    let fits = place.0.checked_add(op.len as u64).is_some_and(|end| end <= len);
    let slice = region.get_slice(place, op.len).map(|slice| slice.len());
    equal("get_slice of a region", &slice.ok(), &fits.then_some(op.len))?;
    if let (Ok(host), Ok(slice)) = (region.get_host_address(place), region.get_slice(place, 1)) {
        // The addresses are compared, and never used; nor shown.
        if slice.ptr_guard().as_ptr() != host.cast_const() {
            return Err("get_host_address is not where the slice is".into());
        }
    }
    let all = region.direct_slice().map(|slice| slice.len() as u64);
    equal("the length of direct_slice", &all.unwrap_or(len), &len)
}
