//! Finds the region of a guest address, and its memory, by one load in nearly all cases, and always by halving.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::fmt;

use guest_address::{GuestAddress, GuestRange, MemoryRegionAddress};
use guest_volatile::{BS, OwnedSlice, SliceOf, VolatileSlice};

use crate::region::GuestMemoryRegion;

/// The slots for each region that even steps may take, before the steps are graded instead.
const SLOTS_PER_REGION: u64 = 8;
/// The slots that even steps may take for however few regions.
const SLOTS_MIN: u64 = 64;
/// Graded steps are an eighth of the power of two below them: 5 bits of 0xa0000 and 0xc0000 (a PC's memory below its BIOS,
/// and above the hole for its devices) differ, and so do 3 GiB and 4 GiB.
const GRADE: u32 = 3;

/// Takes the memory of a whole region.
pub(super) enum DirectSlice {}

impl<R: GuestMemoryRegion> SliceOf<R> for DirectSlice {
    type B = R::B;

    fn slice(region: &R) -> Option<VolatileSlice<'_, BS<'_, R::B>>> {
        region.direct_slice()
    }

    #[inline(always)]
    fn bitmap(region: &R) -> BS<'_, R::B> {
        region.bitmap()
    }
}

/// A region and its memory, or neither.
pub(super) struct Slot<R> {
    start: GuestAddress,
    /// Empty where the region wants to be asked.
    memory: OwnedSlice<R, DirectSlice>,
}

// Two to a cache line.
const _: () = assert!(size_of::<Slot<u64>>() <= 32);

impl<R> Slot<R> {
    const VACANT: Self = Self { start: GuestAddress(0), memory: OwnedSlice::empty() };

    fn region(&self) -> Option<&Arc<R>> {
        self.memory.owner()
    }

    pub(super) fn into_region(self) -> Option<Arc<R>> {
        self.region().cloned()
    }

    fn is_vacant(&self) -> bool {
        self.region().is_none()
    }

    /// How far `addr` is from the start; below the start that is far beyond every end.
    #[inline(always)]
    fn offset_of(&self, addr: GuestAddress) -> u64 {
        addr.0.wrapping_sub(self.start.0)
    }

    /// Whether the region's memory holds all the bytes, and is reached directly.
    #[inline(always)]
    fn holds(&self, addr: GuestAddress, count: usize) -> bool {
        let rest = (self.memory.len() as u64).checked_sub(self.offset_of(addr));
        rest.is_some_and(|rest| count as u64 <= rest)
    }

    /// The region and the address in it, if the memory at `addr` is reached directly.
    #[inline(always)]
    fn find_direct(&self, addr: GuestAddress) -> Option<(&R, MemoryRegionAddress)> {
        let region = self.memory.owner()?;
        let offset = self.offset_of(addr);
        let is_inside = offset < self.memory.len() as u64;
        is_inside.then_some((region, MemoryRegionAddress(offset)))
    }
}

impl<R: GuestMemoryRegion> Slot<R> {
    pub(super) fn new(range: GuestRange, region: Arc<R>) -> Self {
        // A length that is no `usize` cannot be that of a slice.
        let len = usize::try_from(range.len()).unwrap_or(usize::MAX);
        Self { start: range.start(), memory: OwnedSlice::new(region, len) }
    }

    /// The slice of the region's memory that holds all the bytes, if it is reached directly.
    #[inline(always)]
    fn find_slice(
        &self,
        addr: GuestAddress,
        count: usize,
    ) -> Option<VolatileSlice<'_, BS<'_, R::B>>> {
        self.memory.get(usize::try_from(self.offset_of(addr)).ok()?, count)
    }
}

impl<R> Clone for Slot<R> {
    fn clone(&self) -> Self {
        Self { start: self.start, memory: self.memory.clone() }
    }
}

/// The regions of a map, by address: where the memory of an address probably is, and where it certainly is.
///
/// The first is a table of slots, of which an address selects one by a few instructions. Its steps are even (the upper
/// bits of the address) where few slots tell all regions apart by that, and graded, finer at lower addresses, where
/// not: a small hole below much memory. What the slot says is compared with the address, so a wrong guess costs time alone.
///
/// # Invariants
///
/// - `all` has the range of each region once, in the order of addresses, and the ranges do not overlap.
/// - `even` is empty, or `graded` is. The other has a slot of each region, at the place that `all` tells.
/// - `even[a >> shift]` and `graded[graded_index(a)]` are, up to the last region's end, of a region which has an address
///   selecting it, or vacant if none has: of the longest if several have.
pub(super) struct Table<R> {
    even: Box<[Slot<R>]>,
    shift: u32,
    graded: Box<[Slot<R>]>,
    all: Box<[(GuestRange, usize)]>,
}

impl<R> Table<R> {
    pub(super) fn empty() -> Self {
        let (even, graded, all) = Default::default();
        Self { even, shift: 0, graded, all }
    }

    /// A table of regions that are in the order of addresses and do not overlap.
    pub(super) fn new(regions: Vec<(GuestRange, Slot<R>)>) -> Self {
        // The lowest bit that tells two neighbours apart is the highest in which the end of one differs from the start of
        // the next; they are different numbers, so there is one.
        let shift = regions
            .windows(2)
            .map(|pair| (pair[0].0.last().0 ^ pair[1].0.start().0).checked_ilog2().unwrap_or(0))
            .min()
            .unwrap_or(u64::BITS - 1);
        let top = regions.last().map_or(0, |(range, _)| range.last().0);
        if top >> shift < SLOTS_MIN.max(SLOTS_PER_REGION * regions.len() as u64) {
            // The cast is of numbers up to that of `top`.
            let (even, all) = lay_out(regions, |addr: GuestAddress| (addr.0 >> shift) as usize);
            Self { even, shift, graded: Box::default(), all }
        } else {
            let (graded, all) = lay_out(regions, graded_index);
            Self { even: Box::default(), shift, graded, all }
        }
    }

    /// The slot of the region that `addr` is most likely in.
    #[inline(always)]
    fn likely(&self, addr: GuestAddress) -> Option<&Slot<R>> {
        match self.even.get(usize::try_from(addr.0 >> self.shift).ok()?) {
            Some(slot) => Some(slot),
            None => self.graded.get(graded_index(addr)),
        }
    }

    /// Whether all of the bytes certainly have memory, which one look tells in nearly all cases.
    #[inline(always)]
    pub(super) fn holds(&self, addr: GuestAddress, count: usize) -> bool {
        self.likely(addr).is_some_and(|slot| slot.holds(addr, count))
    }

    /// The region that `addr` is in, and the address in it.
    #[inline(always)]
    pub(super) fn find(&self, addr: GuestAddress) -> Option<(&R, MemoryRegionAddress)> {
        match self.likely(addr).and_then(|slot| slot.find_direct(addr)) {
            Some(found) => Some(found),
            None => self.search(addr),
        }
    }

    #[inline(never)]
    fn search(&self, addr: GuestAddress) -> Option<(&R, MemoryRegionAddress)> {
        let slot = self.find_slot(addr)?;
        Some((slot.region()?, MemoryRegionAddress(slot.offset_of(addr))))
    }

    /// The slot of the region that `addr` is in.
    fn find_slot(&self, addr: GuestAddress) -> Option<&Slot<R>> {
        let above = self.all.partition_point(|(range, _)| range.start() <= addr);
        let (range, place) = self.all.get(above.checked_sub(1)?)?;
        if range.contains(addr) { self.at(*place) } else { None }
    }

    /// The region that `addr` is in, as it is shared.
    pub(super) fn find_arc(&self, addr: GuestAddress) -> Option<&Arc<R>> {
        self.find_slot(addr)?.region()
    }

    fn at(&self, place: usize) -> Option<&Slot<R>> {
        self.even.get(place).or_else(|| self.graded.get(place))
    }

    /// The number of regions.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// The regions, in the order of addresses.
    pub(super) fn regions(&self) -> impl Iterator<Item = &Arc<R>> {
        self.all.iter().filter_map(|(_, place)| self.at(*place)?.region())
    }

    /// The regions' slots with their ranges, in the order of addresses.
    pub(super) fn to_vec(&self) -> Vec<(GuestRange, Slot<R>)> {
        let with_range = |(range, place): &(_, usize)| Some((*range, self.at(*place)?.clone()));
        // With room for one more, which is what a map is copied for.
        let mut regions = Vec::with_capacity(self.all.len() + 1);
        regions.extend(self.all.iter().filter_map(with_range));
        regions
    }
}

impl<R: GuestMemoryRegion> Table<R> {
    /// The slice that holds all the bytes, if it is at hand.
    #[inline(always)]
    pub(super) fn find_slice(
        &self,
        addr: GuestAddress,
        count: usize,
    ) -> Option<VolatileSlice<'_, BS<'_, R::B>>> {
        self.likely(addr)?.find_slice(addr, count)
    }
}

/// The slot of an address in graded steps. A higher address has the same or a higher one.
#[inline(always)]
fn graded_index(addr: GuestAddress) -> usize {
    // The bit that is or-ed in makes the first steps one byte long, and the logarithm at least the grade.
    let shift = (addr.0 | 1 << GRADE).ilog2() - GRADE;
    // The cast is of a number of `GRADE + 1` bits.
    (addr.0 >> shift) as usize + ((shift as usize) << GRADE)
}

/// The slots up to the last that an address in the regions selects, and then those of regions that got none, with the places
/// of all. `index` never falls as the address rises.
#[expect(clippy::type_complexity, reason = "the two fields of a table")]
fn lay_out<R>(
    mut regions: Vec<(GuestRange, Slot<R>)>,
    index: impl Fn(GuestAddress) -> usize,
) -> (Box<[Slot<R>]>, Box<[(GuestRange, usize)]>) {
    let end = regions.last().map_or(0, |(top, _)| index(top.last()) + 1);
    let mut slots = Vec::new();
    slots.resize(end, Slot::VACANT);
    regions.sort_by_key(|(range, _)| Reverse(range.len()));
    let mut all = Vec::with_capacity(regions.len());
    for (range, slot) in regions {
        // INVARIANT: those before were no shorter, so they keep the slots that they share with this one.
        let (first, last) = (index(range.start()), index(range.last()));
        let place = (first..=last).find(|&place| slots[place].is_vacant()).unwrap_or(slots.len());
        match slots.get_mut(place) {
            Some(vacant) => *vacant = slot,
            None => slots.push(slot),
        }
        for more in place + 1..=last {
            if slots[more].is_vacant() {
                slots[more] = slots[place].clone();
            }
        }
        all.push((range, place));
    }
    all.sort_by_key(|(range, _)| range.start());
    (slots.into(), all.into())
}

impl<R> Clone for Table<R> {
    fn clone(&self) -> Self {
        let (even, graded, all) = (self.even.clone(), self.graded.clone(), self.all.clone());
        Self { even, shift: self.shift, graded, all }
    }
}

impl<R> fmt::Debug for Table<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("even", &self.even.len())
            .field("shift", &self.shift)
            .field("graded", &self.graded.len())
            .field("all", &self.all.len())
            .finish()
    }
}

#[cfg(test)]
mod tests;
