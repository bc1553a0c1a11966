//! Finds the region of a guest address, and its memory, by one load in nearly all cases, and always by halving.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use guest_address::{Address, GuestAddress, GuestRange, GuestUsize, MemoryRegionAddress};
use guest_volatile::{
    BS, OwnedList, OwnedSlice, OwnedSlices, Place, SliceOf, Stretch, VolatileSlice,
};

use super::layout::{difference, lay_out, least};
use crate::region::GuestMemoryRegion;

/// The places for each region that a table of places may have, before there is a table of steps instead.
const PLACES_PER_REGION: u64 = 8;
/// The places that it may have for however few regions.
const PLACES_MIN: u64 = 64;
/// The memory for each step that a table of steps may have: the two bytes of a step are nothing beside it.
const BYTES_PER_STEP: u64 = 128 << 10;
/// The steps that it may have for however little memory.
const STEPS_MIN: u64 = 4096;
/// The steps that it may have for however much memory. A PC's memory below its BIOS is told from that above by steps of
/// 1 MiB, so this is enough for 1 TiB.
const STEPS_MAX: u64 = 1 << 20;

/// Takes the memory of a whole region.
pub(crate) enum DirectSlice {}

impl<R: GuestMemoryRegion> SliceOf<R> for DirectSlice {
    type B = R::B;

    fn slice(region: &R) -> Option<VolatileSlice<'_, BS<'_, R::B>>> {
        region.direct_slice()
    }

    #[inline(always)]
    fn bitmap(region: &R) -> BS<'_, R::B> {
        region.bitmap()
    }

    fn stretch(region: &R) -> Option<&Stretch> {
        region.stretch()
    }
}

/// A region and its memory: empty where the region wants to be asked.
pub(super) type Slot<R> = OwnedSlice<R, DirectSlice>;

/// The slot of a region.
pub(super) fn slot<R: GuestMemoryRegion>(range: GuestRange, region: Arc<R>) -> Slot<R> {
    // A length that is no `usize` cannot be that of a slice.
    OwnedSlice::new(region, usize::try_from(range.len()).unwrap_or(usize::MAX))
}

/// The regions of a map, by address: where the memory of an address probably is, and where it certainly is.
///
/// Where all of the memory is one piece, as that of one region is, or of regions side by side in a span, one place stands for
/// all of it. Which one does not depend on the address: so the processor has the host's address before it knows
/// whether that was allowed, and a chain of accesses, each of which says where the next one is, waits for no table.
///
/// Elsewhere, and where a region is wanted, the upper bits of the address select a place, which stands for a region: directly
/// where few places tell all regions apart; and where they do not, as with a small hole below much memory, by way of a table of
/// small steps that say which place. What the place says is compared with the address, so a wrong guess costs time alone.
///
/// # Invariants
///
/// - `ranges` has the range of each region once, in the order of addresses, and they do not overlap.
/// - `slots` has a slot of each region, in the order of `ranges`; so has `regions`.
/// - `regions.place(a >> shift)` is, for each address up to the last region's end, of a region which has an address selecting
///   it, or vacant if none has: of the longest if several have. So is `slots.place(a >> shift)`, if `whole` is none.
/// - `least` is the least number that neighbours in `ranges` differ by, as [`least`] says.
/// - `whole` is the number of a place in `slots` that stands for all there is, if there is one.
/// - No slot goes on in the next if `joints` says so.
pub(super) struct Table<R> {
    slots: OwnedSlices<R, DirectSlice>,
    /// The same as `slots`, unless only that can say which region it is.
    regions: OwnedSlices<R, DirectSlice>,
    shift: u32,
    joints: Joints,
    whole: Option<usize>,
    least: u64,
    /// Not `Arc<[_]>`: to make one of a list copies the list, and nobody looks here who is in a hurry.
    ranges: Arc<Vec<GuestRange>>,
}

/// Whether slots may go on in the next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Joints {
    None,
    Some,
}

impl<R: GuestMemoryRegion> Table<R> {
    /// A table of regions by their ranges, which are in order and do not overlap, and their slots.
    pub(super) fn new(ranges: Vec<GuestRange>, slots: Vec<Slot<R>>) -> Self {
        let slots =
            OwnedList::new(slots, |index, lower, upper| goes_on(&ranges, index, lower, upper));
        let joints = joints(&slots, 0..ranges.len());
        let least = least(&ranges);
        Self::of(ranges, slots, joints, least)
    }

    /// This table with one region more, unless that overlaps one of these.
    pub(super) fn with(&self, range: GuestRange, slot: Slot<R>) -> Option<Self> {
        let place = self.ranges.partition_point(|other| other.start() < range.start());
        let (below, above) = self.ranges.split_at(place);
        if [below.last(), above.first()].into_iter().flatten().any(|other| other.overlaps(&range)) {
            return None;
        }
        let mut ranges = Vec::with_capacity(self.ranges.len() + 1);
        ranges.extend_from_slice(below);
        ranges.push(range);
        ranges.extend_from_slice(above);
        // The two that are neighbours no more may be those that differ the least; then all the others are looked at again.
        let parted = below.last().zip(above.first()).map(|(lower, upper)| difference(lower, upper));
        let least = if parted == Some(self.least) {
            least(&ranges)
        } else {
            let near = place.saturating_sub(1)..ranges.len().min(place + 2);
            self.least.min(least(&ranges[near]))
        };
        let follows = |index, lower: &_, upper: &_| goes_on(&ranges, index, lower, upper);
        let slots = self.slots.slices().with(place, slot, follows);
        let joints = match self.joints {
            // The new one's neighbours are the only ones that could.
            Joints::None => joints(&slots, place.saturating_sub(1)..place + 1),
            Joints::Some => Joints::Some,
        };
        Some(Self::of(ranges, slots, joints, least))
    }

    /// This table without the region at `base` that has `size` bytes, and that region; unless there is none.
    pub(super) fn without(&self, base: GuestAddress, size: GuestUsize) -> Option<(Self, Arc<R>)> {
        let place = self.ranges.binary_search_by_key(&base, GuestRange::start).ok()?;
        if self.ranges[place].len() != size {
            return None;
        }
        let region = Arc::clone(self.slots.slices().get(place)?.owner()?);
        let ranges = [&self.ranges[..place], &self.ranges[place + 1..]].concat();
        let (slots, least) = (self.slots.slices().without(place), least(&ranges));
        Some((Self::of(ranges, slots, self.joints, least), region))
    }

    /// A table of ranges that are in order and do not overlap, their slots, and what is known of both.
    fn of(
        ranges: Vec<GuestRange>,
        slots: OwnedList<R, DirectSlice>,
        joints: Joints,
        least: u64,
    ) -> Self {
        let (Some(first), Some(top)) = (ranges.first(), ranges.last()) else {
            return Self::empty();
        };
        // The lowest bit that tells two neighbours apart is the highest in which they differ.
        let shift = least.checked_ilog2().unwrap_or(0);
        let top = top.last().0;
        let is_whole = ranges.len() == 1
            || joints == Joints::Some
                && slots.joined(0, 0, usize::MAX).is_some_and(|all| {
                    // There are bytes, and ranges do not wrap.
                    all.len() as u64 - 1 == top - first.start().0
                });
        if top >> shift < PLACES_MIN.max(PLACES_PER_REGION * ranges.len() as u64) {
            // The casts are of numbers that have been compared. No place is that of two.
            let step = |addr: GuestAddress| (addr.0 >> shift) as usize;
            let places = ranges
                .iter()
                .map(|range| (step(range.start())..step(range.last()) + 1, range.start().0));
            let slots = OwnedSlices::in_order(slots, places);
            let (whole, regions) = (is_whole.then(|| step(first.start())), slots.clone());
            return Self { slots, regions, shift, joints, whole, least, ranges: Arc::new(ranges) };
        }
        // By way of a step, a place stands for one region alone.
        let all = is_whole.then(|| OwnedSlices::in_order(slots.clone(), [(0..1, first.start().0)]));
        let whole = all.is_some().then_some(0);
        let memory = ranges.iter().fold(0_u64, |sum, range| sum.saturating_add(range.len()));
        let most = (memory / BYTES_PER_STEP).clamp(STEPS_MIN, STEPS_MAX);
        // Where even the smallest steps that are allowed are too large, regions share some.
        let shift = (shift..u64::BITS).find(|shift| top >> shift < most).unwrap_or(shift);
        let steps = lay_out(&ranges, shift).into_iter();
        // A number that is too large for a step names no place.
        let steps = steps.map(|index| u16::try_from(index).unwrap_or(u16::MAX)).collect();
        let places = ranges.iter().enumerate().map(|(index, range)| Some((index, range.start().0)));
        let regions = OwnedSlices::with_steps(slots, places, steps);
        let slots = all.unwrap_or_else(|| regions.clone());
        Self { slots, regions, shift, joints, whole, least, ranges: Arc::new(ranges) }
    }

    /// The bytes from `addr` on, `count` or to the end of the last region that they go on in, if they go on from one region in
    /// another.
    #[inline]
    pub(super) fn find_joined(
        &self,
        addr: GuestAddress,
        count: usize,
    ) -> Option<VolatileSlice<'_, BS<'_, R::B>>> {
        if self.joints == Joints::None {
            return None;
        }
        let (index, range) = self.find_range(addr)?;
        let offset = usize::try_from(addr.checked_offset_from(range.start())?).ok()?;
        self.slots.slices().joined(index, offset, count)
    }

    /// The two slices that the bytes lie in, if they lie in two regions, the first of which is followed by the second.
    #[inline(always)]
    pub(super) fn find_pair(
        &self,
        addr: GuestAddress,
        count: usize,
    ) -> Option<[VolatileSlice<'_, BS<'_, R::B>>; 2]> {
        let last = addr.checked_add((count as u64).checked_sub(1)?)?;
        // The last byte's place says where its region starts, and that is the border: nobody has to look for it.
        let place = self.likely(last)?;
        let (_, inside) = place.owner(last.0)?;
        let rest = usize::try_from(inside).ok()?.checked_add(1)?;
        let first = count.checked_sub(rest)?;
        let upper = place.get(last.0.wrapping_sub(inside), rest)?;
        let lower = match self.likely(addr).and_then(|place| place.get(addr.0, first)) {
            Some(lower) => lower,
            // Less than a place answers for, this close to the end.
            None => {
                let (range, slot) = self.find_slot(addr)?;
                let offset = usize::try_from(addr.checked_offset_from(range.start())?).ok()?;
                slot.get(offset, first)?
            }
        };
        Some([lower, upper])
    }

    /// The slots that the bytes lie in, if they go on from one in another, and how far from the start of the first they are.
    pub(super) fn find_slots(
        &self,
        addr: GuestAddress,
        count: usize,
    ) -> Option<(OwnedList<R, DirectSlice>, usize)> {
        let last = addr.checked_add((count as u64).checked_sub(1)?)?;
        // What does not go on to the end needs no list.
        self.find_joined(addr, count).filter(|joined| joined.len() == count)?;
        let ((index, range), (end, _)) = (self.find_range(addr)?, self.find_range(last)?);
        let ranges = self.ranges.get(index..=end)?;
        let slots: Vec<_> =
            (index..=end).filter_map(|index| self.slots.slices().get(index)).cloned().collect();
        let follows = |index, lower: &_, upper: &_| goes_on(ranges, index, lower, upper);
        let offset = usize::try_from(addr.checked_offset_from(range.start())?).ok()?;
        let list = OwnedList::new(slots, follows);
        let is_whole = list.joined(0, offset, count)?.len() == count;
        is_whole.then_some((list, offset))
    }
}

/// Whether one of the slots of these numbers goes on in the next.
fn joints<R: GuestMemoryRegion>(
    slots: &OwnedList<R, DirectSlice>,
    mut numbers: Range<usize>,
) -> Joints {
    if numbers.any(|index| slots.joined(index, 0, 1).is_some()) {
        Joints::Some
    } else {
        Joints::None
    }
}

/// Whether the slot of the range of that number may go on in the next one's: the ranges do, and each slot is all of its range.
fn goes_on<R>(ranges: &[GuestRange], index: usize, lower: &Slot<R>, upper: &Slot<R>) -> bool {
    let is_whole = |range: &GuestRange, slot: &Slot<R>| slot.len() as u64 == range.len();
    let (here, next) = (&ranges[index], &ranges[index + 1]);
    here.is_followed_by(next) && is_whole(here, lower) && is_whole(next, upper)
}

impl<R> Table<R> {
    pub(super) fn empty() -> Self {
        Self {
            slots: OwnedSlices::default(),
            regions: OwnedSlices::default(),
            shift: 0,
            joints: Joints::None,
            whole: None,
            least: u64::MAX,
            ranges: Arc::default(),
        }
    }

    /// The place of the region that `addr` is most likely in.
    #[inline(always)]
    fn likely(&self, addr: GuestAddress) -> Option<Place<'_, R, DirectSlice>> {
        self.regions.place(usize::try_from(addr.0 >> self.shift).ok()?)
    }

    /// The place that most likely has the memory of `addr`: that of all there is, if it is one piece.
    ///
    /// Of what is one piece, a place says the first region and no other, so who wants a region asks [`likely`](Self::likely).
    #[inline(always)]
    fn memory(&self, addr: GuestAddress) -> Option<Place<'_, R, DirectSlice>> {
        // Of the same slices in both cases, so that what follows is compiled once.
        match self.whole {
            Some(number) => self.slots.place(number),
            None => self.slots.place(usize::try_from(addr.0 >> self.shift).ok()?),
        }
    }

    /// Whether all of the bytes certainly have memory, which one look tells in nearly all cases.
    #[inline(always)]
    pub(super) fn holds(&self, addr: GuestAddress, count: usize) -> bool {
        self.memory(addr).is_some_and(|place| place.holds(addr.0, count))
    }

    /// The region that `addr` is in, and the address in it.
    #[inline(always)]
    pub(super) fn find(&self, addr: GuestAddress) -> Option<(&R, MemoryRegionAddress)> {
        match self.likely(addr).and_then(|place| place.owner(addr.0)) {
            Some((region, offset)) => Some((region, MemoryRegionAddress(offset))),
            None => self.search(addr),
        }
    }

    #[cold]
    #[inline(never)]
    fn search(&self, addr: GuestAddress) -> Option<(&R, MemoryRegionAddress)> {
        let (range, slot) = self.find_slot(addr)?;
        // The address is in the range: no overflow.
        Some((slot.owner()?, MemoryRegionAddress(addr.0.wrapping_sub(range.start().0))))
    }

    /// The range and slot of the region that `addr` is in.
    fn find_slot(&self, addr: GuestAddress) -> Option<(GuestRange, &Slot<R>)> {
        let (index, range) = self.find_range(addr)?;
        Some((range, self.slots.slices().get(index)?))
    }

    /// The number and range of the region that `addr` is in.
    fn find_range(&self, addr: GuestAddress) -> Option<(usize, GuestRange)> {
        let above = self.ranges.partition_point(|range| range.start() <= addr);
        let index = above.checked_sub(1)?;
        let range = *self.ranges.get(index)?;
        range.contains(addr).then_some((index, range))
    }

    /// The region that `addr` is in, as it is shared.
    pub(super) fn find_arc(&self, addr: GuestAddress) -> Option<&Arc<R>> {
        self.find_slot(addr)?.1.owner()
    }

    /// The number of regions.
    pub(super) fn len(&self) -> usize {
        self.ranges.len()
    }

    /// The regions, in the order of addresses.
    pub(super) fn regions(&self) -> impl Iterator<Item = &Arc<R>> {
        self.slots.slices().iter().filter_map(OwnedSlice::owner)
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
        self.memory(addr)?.get(addr.0, count)
    }
}

impl<R> Clone for Table<R> {
    /// The same table, shared.
    fn clone(&self) -> Self {
        Self {
            slots: self.slots.clone(),
            regions: self.regions.clone(),
            shift: self.shift,
            joints: self.joints,
            whole: self.whole,
            least: self.least,
            ranges: Arc::clone(&self.ranges),
        }
    }
}

impl<R> fmt::Debug for Table<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("shift", &self.shift)
            .field("joints", &self.joints)
            .field("whole", &self.whole)
            .field("ranges", &self.ranges)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
