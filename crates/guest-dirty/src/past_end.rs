//! Marks past the end of the bitmap, of which one word knows.

use crate::error::Overrun;
use crate::sync::{AtomicUsize, Ordering};

/// The end of the farthest mark past the end, or 0: no mark ends at 0.
#[derive(Default)]
pub(crate) struct PastEnd(AtomicUsize);

impl PastEnd {
    /// There was a mark to `end`. To be called before the bits of the mark are set.
    pub(crate) fn note(&self, end: usize) {
        self.0.fetch_max(end, Ordering::Release);
    }

    pub(crate) fn get(&self) -> Option<Overrun> {
        overrun_to(self.0.load(Ordering::Acquire))
    }

    /// As [`get`](Self::get), and forgets it.
    pub(crate) fn take(&self) -> Option<Overrun> {
        overrun_to(self.0.swap(0, Ordering::AcqRel))
    }
}

impl Clone for PastEnd {
    fn clone(&self) -> Self {
        Self(AtomicUsize::new(self.0.load(Ordering::Acquire)))
    }
}

fn overrun_to(end: usize) -> Option<Overrun> {
    (end != 0).then_some(Overrun { end })
}
