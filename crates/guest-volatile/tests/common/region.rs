//! An owner of memory, and projections of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use guest_volatile::{BS, Bitmap, SliceOf, VolatileSlice};

use super::Log;

/// Memory that is its own, with a log of what was written to it; it counts itself out when it goes.
pub(crate) struct Region {
    memory: VolatileSlice<'static>,
    pub(crate) log: Log,
    gone: Arc<AtomicUsize>,
}

impl Region {
    pub(crate) const LEN: usize = 64;

    /// A region whose bytes count from 1.
    pub(crate) fn new(gone: &Arc<AtomicUsize>) -> Arc<Self> {
        let ram: Vec<u8> = (1..=Self::LEN as u8).collect();
        // It is for the test's whole life; what is left to see is that the owner is.
        let memory = VolatileSlice::from(Vec::leak(ram));
        Arc::new(Self { memory, log: Log::default(), gone: Arc::clone(gone) })
    }

    /// The region's bytes from `offset` on, watched by its log.
    fn slice(&self, offset: usize) -> VolatileSlice<'_, BS<'_, Log>> {
        self.log.watch(self.memory).offset(offset).expect("inside")
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // A slice that is read after this reads something else.
        self.memory.copy_from(&[0xdd_u8; Self::LEN]);
        self.gone.fetch_add(1, Ordering::Relaxed);
    }
}

/// All of the region.
#[derive(Debug)]
pub(crate) struct All;

impl SliceOf<Region> for All {
    type B = Log;

    fn slice(owner: &Region) -> Option<VolatileSlice<'_, BS<'_, Log>>> {
        Some(owner.slice(0))
    }

    fn bitmap(owner: &Region) -> BS<'_, Log> {
        owner.log.slice_at(0)
    }
}

/// The region from 16 on, for reading only.
pub(crate) struct Upper;

impl SliceOf<Region> for Upper {
    type B = Log;

    fn slice(owner: &Region) -> Option<VolatileSlice<'_, BS<'_, Log>>> {
        Some(owner.slice(16).read_only())
    }

    fn bitmap(owner: &Region) -> BS<'_, Log> {
        owner.log.slice_at(16)
    }
}

/// No part of the region.
pub(crate) struct NoPart;

impl SliceOf<Region> for NoPart {
    type B = Log;

    fn slice(_: &Region) -> Option<VolatileSlice<'_, BS<'_, Log>>> {
        None
    }

    fn bitmap(owner: &Region) -> BS<'_, Log> {
        owner.log.slice_at(0)
    }
}
