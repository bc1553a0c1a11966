//! Marks: what a write tells the bitmap.

use guest_volatile::{Bitmap, Fence, WithBitmapSlice};

use crate::bitmap::AtomicBitmap;
use crate::masks::Stretch;
use crate::slice::RefSlice;

impl AtomicBitmap {
    /// Marks the pages of `len` bytes from `start_addr` on, after they were written. A length of 0
    /// marks nothing.
    ///
    /// Pages past the end cannot be marked; they leave an [`Overrun`](crate::Overrun) behind.
    ///
    /// ```
    /// use guest_dirty::{AtomicBitmap, DEFAULT_PAGE_SIZE};
    ///
    /// let bitmap = AtomicBitmap::new(0x3000, DEFAULT_PAGE_SIZE);
    /// bitmap.set_addr_range(0x1fff, 2);
    /// assert_eq!(bitmap.to_words(), [0b110]);
    ///
    /// bitmap.set_addr_range(0x2000, 0x2000);
    /// assert_eq!(bitmap.overrun().unwrap().end, 0x4000);
    /// assert!(bitmap.take().is_err());
    /// ```
    #[inline(always)]
    pub fn set_addr_range(&self, start_addr: usize, len: usize) {
        // After the bytes that the mark is about, and before every look.
        Fence::light();
        // One page, and nothing left to do: this is nearly always, and small enough for all who write.
        let start = self.discipline().join(start_addr);
        if let Some(page) = self.pages().only(start, len)
            && self.bits().has(page)
        {
            return;
        }
        self.mark(start_addr, len);
    }

    /// As [`set_addr_range`](Self::set_addr_range), for all that is left to do. A mark in one word calls nothing: what a call puts on
    /// the stack a locked instruction has to wait for.
    #[inline(never)]
    fn mark(&self, start_addr: usize, len: usize) {
        let Some(span) = self.pages().whole(start_addr, len) else {
            return self.mark_what_is_there(start_addr, len);
        };
        let pages = span.pages();
        let (first, last) = pages.words().ends();
        if first == last {
            self.bits().set_word(first, pages.mask(first), self.discipline().looks());
        } else {
            self.mark_words(pages);
        }
    }

    /// As [`mark`](Self::mark), for a range that is empty or not all there.
    #[cold]
    #[inline(never)]
    fn mark_what_is_there(&self, start_addr: usize, len: usize) {
        if len == 0 {
            return;
        }
        // Before the bits: a harvest that has any of them knows of the overrun, too.
        self.past_end().note(start_addr.saturating_add(len));
        if let Some(span) = self.pages().clipped(start_addr, len) {
            self.mark_words(span.pages());
        }
    }

    #[inline(never)]
    fn mark_words(&self, pages: Stretch) {
        if self.discipline().looks() {
            self.bits().look_and_set(pages);
        } else {
            self.bits().set(pages);
        }
    }

    /// Marks page `index`. A page past the end leaves an [`Overrun`](crate::Overrun) behind.
    pub fn set_bit(&self, index: usize) {
        Fence::light();
        match self.pages().one(index) {
            Some(span) => self.mark_words(span.pages()),
            None => {
                let start = index.saturating_mul(self.page_size().get());
                self.mark_what_is_there(start, self.page_size().get());
            }
        }
    }
}

impl<'a> WithBitmapSlice<'a> for AtomicBitmap {
    type S = RefSlice<'a, Self>;
}

impl Bitmap for AtomicBitmap {
    #[inline(always)]
    fn mark_dirty(&self, offset: usize, len: usize) {
        self.set_addr_range(offset, len);
    }

    #[inline]
    fn dirty_at(&self, offset: usize) -> bool {
        self.is_addr_set(offset)
    }

    #[inline]
    fn slice_at(&self, offset: usize) -> RefSlice<'_, Self> {
        RefSlice::new(self, offset)
    }

    /// Counts the bytes of the range that lie in dirty pages. It is never `None`.
    fn dirty_bytes(&self, offset: usize, len: usize) -> Option<usize> {
        let Some(span) = self.pages().clipped(offset, len) else { return Some(0) };
        let end = offset.saturating_add(len);
        // Each page is looked at once: a mark in the middle of this makes the sum old, never more
        // than `len`.
        let edge = |page| {
            if self.bits().is_set(page) { self.pages().overlap(page, offset, end) } else { 0 }
        };
        let last = if span.first() == span.last() { 0 } else { edge(span.last()) };
        // The pages in between lie in the range whole, so their bytes are no more than `len`.
        let whole = span.between().map_or(0, |span| self.bits().count(span));
        Some(edge(span.first()) + whole * self.page_size().get() + last)
    }
}
