//! Which pages a range of bytes touches.

use core::num::NonZeroUsize;
use core::ops::Range;

use crate::discipline::BLIND;
use crate::masks::{BITS, Stretch};

/// A number of bytes, cut into pages of one size. The last page may be cut short.
///
/// # Invariants
///
/// `count` is `byte_size` divided by `page_size`, rounded up. So the first byte of each page is
/// less than `byte_size`, and its offset does not overflow.
#[derive(Clone, Copy)]
pub(crate) struct Pages {
    byte_size: usize,
    count: usize,
    page_size: NonZeroUsize,
    /// The page size is 2 to the power of this, if it is a power of 2: a shift finds the page of a
    /// byte faster than a division.
    shift: Option<u32>,
    /// Likewise, if by this shift an offset with [`BLIND`] in it has a page that is in no word of those that have the pages. Or else 0, by which
    /// that is so of every row of words that there can be: it would have 2^57 words, or 2^25 where a `usize` has 32 bits.
    looked: u8,
}

/// Pages from `first` to `last`, both included.
///
/// Holding one tells you that the [`Pages`] that made it has them all.
///
/// # Invariants
///
/// `first <= last`, and `last` is less than the number of pages.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    first: usize,
    last: usize,
}

impl Pages {
    pub(crate) fn new(byte_size: usize, page_size: NonZeroUsize) -> Self {
        let shift = page_size.is_power_of_two().then(|| page_size.trailing_zeros());
        let count = byte_size.div_ceil(page_size.get());
        let is_apart = |shift: &u32| (BLIND >> shift) / BITS >= count.div_ceil(BITS);
        let looked = shift.filter(is_apart).and_then(|shift| u8::try_from(shift).ok());
        // INVARIANT: as it says. Rounding up does not overflow: `div_ceil` adds after it has
        // divided.
        Self { byte_size, count, page_size, shift, looked: looked.unwrap_or(0) }
    }

    /// As many bytes and `additional` more in pages of the same size, if their number is a `usize`.
    pub(crate) fn enlarged(&self, additional: usize) -> Option<Self> {
        Some(Self::new(self.byte_size.checked_add(additional)?, self.page_size))
    }

    pub(crate) fn byte_size(&self) -> usize {
        self.byte_size
    }

    #[inline(always)]
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn page_size(&self) -> NonZeroUsize {
        self.page_size
    }

    /// The page of the byte at `offset`, which may be past the end.
    #[inline(always)]
    pub(crate) fn page_of(&self, offset: usize) -> usize {
        match self.shift {
            Some(shift) => offset >> shift,
            None => offset / self.page_size,
        }
    }

    /// Whether [`only`](Self::only) finds pages.
    pub(crate) fn can_be_looked_at(&self) -> bool {
        self.shift == Some(self.looked.into())
    }

    /// A page as [`only`](Self::only) finds it.
    #[inline(always)]
    fn looked(&self, offset: usize) -> usize {
        // The mask is none: it is that of the instruction.
        offset.wrapping_shr(self.looked.into())
    }

    /// The one page that has all of `len` bytes from `offset` on, if there is such a page and these pages [can be looked
    /// at](Self::can_be_looked_at); it may be past the end. Of no bytes, any page or none. Of an offset with [`BLIND`] in it,
    /// whatever the pages, none that is in a word of those that have them.
    #[inline(always)]
    pub(crate) fn only(&self, offset: usize, len: usize) -> Option<usize> {
        const HALF: usize = usize::MAX >> 1;
        let page = self.looked(offset);
        // If this wraps, then from the upper half of all numbers into the lower one, and no page that is found by a shift has bytes of both.
        let last = offset.wrapping_add(len).wrapping_sub(1);
        (len <= HALF && self.looked(last) == page).then_some(page)
    }

    /// All pages, if there are any.
    pub(crate) fn all(&self) -> Option<Span> {
        // INVARIANT: 0 is no more than the last page.
        Some(Span { first: 0, last: self.count.checked_sub(1)? })
    }

    /// The page with this number, if it is there.
    #[inline(always)]
    pub(crate) fn one(&self, page: usize) -> Option<Span> {
        // INVARIANT: by the condition.
        (page < self.count).then_some(Span { first: page, last: page })
    }

    /// The pages of `len` bytes from `offset` on, if there are any and they are all there.
    ///
    /// Bytes whose end is no `usize` are not all there, however large the last page.
    #[inline(always)]
    pub(crate) fn whole(&self, offset: usize, len: usize) -> Option<Span> {
        let end = offset.checked_add(len)?;
        if len == 0 {
            return None;
        }
        let (first, last) = (self.page_of(offset), self.page_of(end - 1));
        // INVARIANT: `first <= last`, as `offset <= end - 1`, and `last` by the condition.
        (last < self.count).then_some(Span { first, last })
    }

    /// Those pages of `len` bytes from `offset` on that are there, if any is.
    pub(crate) fn clipped(&self, offset: usize, len: usize) -> Option<Span> {
        let last_byte = offset.saturating_add(len.checked_sub(1)?);
        let (first, last) = (self.page_of(offset), self.page_of(last_byte));
        if first >= self.count {
            return None;
        }
        // INVARIANT: `first` is no more than `last`, as `offset <= last_byte`, nor than the number
        // of the last page.
        Some(Span { first, last: last.min(self.count - 1) })
    }

    /// The bytes of a run of pages that are there, up to the last byte of the memory.
    pub(crate) fn bytes(&self, run: &Range<usize>) -> Range<usize> {
        let size = self.page_size.get();
        // The product is the offset of a page that is there. The end may be past the last byte, and
        // overflow.
        run.start * size..run.end.saturating_mul(size).min(self.byte_size)
    }

    /// How many bytes from `offset` to `end`, which is excluded, lie in `page`, which is there.
    pub(crate) fn overlap(&self, page: usize, offset: usize, end: usize) -> usize {
        let size = self.page_size.get();
        // The product is the offset of a page that is there.
        let start = page * size;
        end.min(start.saturating_add(size)).saturating_sub(offset.max(start))
    }
}

impl Span {
    #[inline(always)]
    pub(crate) fn first(self) -> usize {
        self.first
    }

    pub(crate) fn last(self) -> usize {
        self.last
    }

    /// The pages, as bits of words.
    #[inline(always)]
    pub(crate) fn pages(self) -> Stretch {
        Stretch::new(self.first, self.last)
    }

    /// The pages between the first and the last, if there are any.
    pub(crate) fn between(self) -> Option<Self> {
        // INVARIANT: if the distance is 2 or more, then first + 1 <= last - 1 < last, and nothing
        // overflows.
        (self.last - self.first >= 2).then(|| Self { first: self.first + 1, last: self.last - 1 })
    }
}

#[cfg(test)]
mod tests {
    use core::num::NonZeroUsize;

    use super::Pages;
    use crate::discipline::BLIND;
    use crate::masks::BITS;

    /// Sizes around powers of two.
    fn sizes() -> impl Iterator<Item = usize> {
        const BITS: u32 = usize::BITS;
        [0, 1, 6, 7, 12, BITS / 2, BITS - 8, BITS - 7, BITS - 6, BITS - 2, BITS - 1]
            .into_iter()
            .flat_map(|bit| [(1 << bit) - 1, 1 << bit, (1 << bit) + 1])
            .chain([usize::MAX])
    }

    #[test]
    fn an_offset_of_who_may_not_look_has_no_word() {
        for byte_size in sizes() {
            for page_size in sizes().filter_map(NonZeroUsize::new) {
                let pages = Pages::new(byte_size, page_size);
                let words = pages.count().div_ceil(BITS);
                for offset in sizes() {
                    let page = pages.only(offset | BLIND, 1).expect("one byte has one page");
                    // More words than that there are in no memory.
                    let most = (usize::MAX >> 1) / BITS;
                    assert!(
                        page / BITS >= words.min(most),
                        "{byte_size:#x} {page_size:#x} {offset:#x}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_only_page_of_bytes_is_that_of_the_first_and_of_the_last() {
        for page_size in sizes().filter_map(NonZeroUsize::new) {
            let pages = Pages::new(0x10_0000, page_size);
            for offset in sizes() {
                for len in sizes().filter(|len| *len > 0) {
                    let last = offset.checked_add(len - 1);
                    let one = last.is_some_and(|last| pages.page_of(last) == pages.page_of(offset));
                    let Some(page) = pages.only(offset, len) else { continue };
                    if pages.can_be_looked_at() {
                        assert!(one, "{page_size:#x} {offset:#x} {len:#x}");
                        assert_eq!(page, pages.page_of(offset));
                    }
                }
            }
            assert!(!pages.can_be_looked_at() || pages.only(0, 1) == Some(0));
        }
    }
}
