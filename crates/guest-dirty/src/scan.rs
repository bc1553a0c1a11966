//! Looking for dirty pages without taking them.

use core::ops::Range;

use crate::bitmap::AtomicBitmap;
use crate::runs::Runs;

impl AtomicBitmap {
    /// The dirty bytes, as ranges of offsets in ascending order, as [`Harvest::runs`](crate::Harvest::runs) has them, but
    /// left in the bitmap.
    ///
    /// For looking: how much is there to copy, what does a snapshot have that another has not. Words are looked at as the
    /// iterator comes to them, so marks that come meanwhile may be in it or not. To copy pages and clean them afterwards
    /// loses what is written between; that is what [`take`](Self::take) is for.
    ///
    /// ```
    /// use guest_dirty::{AtomicBitmap, DEFAULT_PAGE_SIZE};
    ///
    /// let bitmap = AtomicBitmap::new(0x4800, DEFAULT_PAGE_SIZE);
    /// for page in [0, 1, 4] {
    ///     bitmap.set_bit(page);
    /// }
    /// assert!(bitmap.dirty_runs().eq([0..0x2000, 0x4000..0x4800]));
    /// assert!(bitmap.is_bit_set(4));
    /// ```
    pub fn dirty_runs(&self) -> impl Iterator<Item = Range<usize>> + Clone {
        Runs::new(self.bits().live()).map(|run| self.pages().bytes(&run))
    }
}
