//! Neighbours whose memory is in one piece: what a slice over their borders is taken from.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ptr;

use guest_address::{Address, GuestAddress, GuestRange};
use guest_volatile::{BS, OwnedSlice, SliceOf, VolatileSlice};

use crate::collection::table::Slot;
use crate::region::GuestMemoryRegion;

/// Regions, each the neighbour of the one before, that are kept together.
struct Regions<R> {
    first: Arc<R>,
    rest: Box<[Arc<R>]>,
}

/// Takes the memory of a whole run.
enum Whole {}

impl<R: GuestMemoryRegion> SliceOf<Regions<R>> for Whole {
    type B = R::B;

    fn slice(run: &Regions<R>) -> Option<VolatileSlice<'_, BS<'_, R::B>>> {
        let stretch = run.first.stretch()?;
        let mut regions = run.rest.iter();
        regions.try_fold(run.first.direct_slice()?, |whole, region| {
            stretch.join(&whole, &region.direct_slice()?)
        })
    }

    /// What is marked in the first region's view, past its end, is marked in those of the others: they go on in each other, or
    /// there would be no slice.
    #[inline(always)]
    fn bitmap(run: &Regions<R>) -> BS<'_, R::B> {
        run.first.bitmap()
    }
}

/// A run of regions: the address of its first byte, and its memory.
struct Run<R> {
    start: GuestAddress,
    memory: OwnedSlice<Regions<R>, Whole>,
}

impl<R> Clone for Run<R> {
    fn clone(&self) -> Self {
        Self { start: self.start, memory: self.memory.clone() }
    }
}

/// The runs of a map that have more than one region.
///
/// An access asks the table of regions first, which answers nearly always. Where a range leaves its region, or a table's slot,
/// this knows whether it goes on in the next.
///
/// # Invariants
///
/// In the order of addresses. The memory of a run is as long as its regions are by
/// their ranges, or empty.
pub(super) struct Runs<R> {
    runs: Box<[Run<R>]>,
}

impl<R> Runs<R> {
    pub(super) fn none() -> Self {
        Self { runs: Box::default() }
    }
}

impl<R: GuestMemoryRegion> Runs<R> {
    /// The runs of regions that are in the order of addresses.
    pub(super) fn of(regions: &[(GuestRange, Slot<R>)]) -> Self {
        let runs = regions.chunk_by(|lower, upper| is_one_piece(lower, upper)).filter_map(run_of);
        Self { runs: runs.collect() }
    }

    /// The runs once the region at `place` has been added to these regions.
    pub(super) fn with(&self, regions: &[(GuestRange, Slot<R>)], place: usize) -> Self {
        // Only neighbours matter, and regions that are not in a span are not asked again.
        let around = place.saturating_sub(1)..(place + 2).min(regions.len());
        let joins = regions[around].windows(2).any(|pair| is_one_piece(&pair[0], &pair[1]));
        if joins { Self::of(regions) } else { self.clone() }
    }

    /// The runs once a region has been taken away, so that these are left.
    pub(super) fn without(&self, regions: &[(GuestRange, Slot<R>)]) -> Self {
        if self.runs.is_empty() { Self::none() } else { Self::of(regions) }
    }

    /// The slice from `addr` to the end of its run, or `count` bytes of it, if it is in one.
    #[inline]
    pub(super) fn find(
        &self,
        addr: GuestAddress,
        count: usize,
    ) -> Option<VolatileSlice<'_, BS<'_, R::B>>> {
        let above = self.runs.partition_point(|run| run.start <= addr);
        let Run { start, memory } = self.runs.get(above.checked_sub(1)?)?;
        let offset = usize::try_from(addr.checked_offset_from(*start)?).ok()?;
        let rest = memory.len().checked_sub(offset)?;
        memory.get(offset, count.min(rest))
    }
}

/// Whether the memory of two neighbours in the list is one piece.
fn is_one_piece<R: GuestMemoryRegion>(
    (lower, lower_slot): &(GuestRange, Slot<R>),
    (upper, upper_slot): &(GuestRange, Slot<R>),
) -> bool {
    let joined = || {
        let stretch = lower_slot.owner()?.stretch()?;
        if !ptr::eq(stretch, upper_slot.owner()?.stretch()?) {
            return None;
        }
        let here = whole_of(lower, lower_slot)?;
        stretch.join(&here, &whole_of(upper, upper_slot)?)
    };
    lower.is_followed_by(upper) && joined().is_some()
}

/// All of the region's memory, if it is at hand and as long as the range.
fn whole_of<'a, R: GuestMemoryRegion>(
    range: &GuestRange,
    slot: &'a Slot<R>,
) -> Option<VolatileSlice<'a, BS<'a, R::B>>> {
    let slice = slot.owner()?.direct_slice()?;
    (slice.len() as u64 == range.len()).then_some(slice)
}

/// The run of more than one region that are one piece.
fn run_of<R: GuestMemoryRegion>(regions: &[(GuestRange, Slot<R>)]) -> Option<Run<R>> {
    let ((range, first), rest) = regions.split_first()?;
    if rest.is_empty() {
        return None;
    }
    let rest = rest.iter().map(|(_, slot)| slot.owner().cloned()).collect::<Option<Vec<_>>>()?;
    let kept = Regions { first: Arc::clone(first.owner()?), rest: rest.into() };
    // Below the top by the range's own word: no overflow.
    let below_the_last = regions.last()?.0.last().0 - range.start().0;
    let len = usize::try_from(below_the_last).ok()?.checked_add(1)?;
    // INVARIANT: the slice is of each region's whole range, or there is none.
    Some(Run { start: range.start(), memory: OwnedSlice::new(Arc::new(kept), len) })
}

impl<R> Clone for Runs<R> {
    fn clone(&self) -> Self {
        Self { runs: self.runs.clone() }
    }
}

impl<R> fmt::Debug for Runs<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lengths = self.runs.iter().map(|run| run.memory.len());
        f.debug_list().entries(lengths).finish()
    }
}
