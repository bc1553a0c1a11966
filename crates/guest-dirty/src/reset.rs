//! Cleaning pages without a harvest.

use alloc::vec::Vec;

use crate::bitmap::AtomicBitmap;
use crate::taken::Taken;

impl AtomicBitmap {
    /// Cleans all pages that `len` bytes from `start_addr` on touch, though other bytes of them may
    /// be dirty.
    ///
    /// What lies past the end is not there to be cleaned. To copy pages and then have them clean is
    /// what [`take`](Self::take) is for; here, a mark between the copy and the cleaning is lost.
    ///
    /// Where marks are [`Checked`](crate::Marking::Checked) this calls the fence, if any page was dirty. If that fails, nothing is
    /// cleaned.
    pub fn reset_addr_range(&self, start_addr: usize, len: usize) {
        if let Some(span) = self.pages().clipped(start_addr, len) {
            self.clean(|taken| self.bits().take_of(span, taken));
        }
    }

    /// Clears the bits that `take` takes, unless what their marks were about may still be on its way.
    fn clean(&self, take: impl FnOnce(&mut Taken)) -> Taken {
        let mut taken = Taken::default();
        take(&mut taken);
        // Without a bit that was cleared, nobody's look is out of date.
        if !taken.is_empty() && self.discipline().fence().is_err() {
            self.bits().put_back(&taken);
        }
        taken
    }

    /// Cleans page `index`, if it is there, as [`reset_addr_range`](Self::reset_addr_range) does.
    pub fn reset_bit(&self, index: usize) {
        if let Some(span) = self.pages().one(index) {
            self.clean(|taken| self.bits().take_of(span, taken));
        }
    }

    /// Takes all bits, for good: bit `i` of word `w` is that of page `w * 64 + i`.
    ///
    /// If the pages cannot be copied after this, nobody knows any longer that they are dirty, and
    /// nothing is said here of an [`Overrun`](crate::Overrun), which stays for [`overrun`](Self::overrun) to show.
    /// Nor if a fence failed, where marks are [`Checked`](crate::Marking::Checked): the bits are returned, and stay. [`take`](Self::take)
    /// has none of these faults.
    pub fn get_and_reset(&self) -> Vec<u64> {
        self.clean(|taken| self.bits().take(taken)).in_a_row(self.bits().len())
    }

    /// Cleans all pages, as [`reset_addr_range`](Self::reset_addr_range) does. An [`Overrun`](crate::Overrun) stays.
    pub fn reset(&self) {
        self.clean(|taken| self.bits().take(taken));
    }
}
