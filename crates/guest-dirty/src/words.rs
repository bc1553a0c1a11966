//! The bits, and every atomic operation on them.
//!
//! Which of these operations pair is told in the crate's documentation, under "Who races with
//! whom".

use alloc::collections::TryReserveError;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::pages::Span;

/// The number of bits in a word.
pub(crate) const BITS: usize = u64::BITS as usize;

/// A row of bits, one for each page: bit `i` of word `w` is that of page `w * 64 + i`.
///
/// # Invariants
///
/// There are as many words as the pages need, and a bit that belongs to no page is never set.
pub(crate) struct Words(Vec<AtomicU64>);

impl Words {
    pub(crate) fn new(pages: usize) -> Self {
        let mut words = Vec::new();
        words.resize_with(pages.div_ceil(BITS), AtomicU64::default);
        // INVARIANT: no bit is set.
        Self(words)
    }

    /// Adds words for `pages` pages in all, or nothing if there is no memory for them.
    pub(crate) fn enlarge(&mut self, pages: usize) -> Result<(), TryReserveError> {
        let len = pages.div_ceil(BITS).max(self.0.len());
        self.0.try_reserve_exact(len - self.0.len())?;
        // INVARIANT: the new bits are not set.
        self.0.resize_with(len, AtomicU64::default);
        Ok(())
    }

    /// Sets the bits of the pages: one locked operation a word.
    #[inline(always)]
    pub(crate) fn set(&self, span: Span) {
        let (word, mask) = (span.first() / BITS, first_mask(span));
        if word == span.last() / BITS {
            // Why not look first, and skip the locked operation if the bits are set? The bytes of
            // the write may still be on their way to memory when the bits are looked at. A
            // harvester that takes the bits right after the look then copies the page without these
            // bytes, and no bit is left to say so. A full fence here would cost as much as the
            // locked operation; only one on the harvester's side alone (`membarrier(2)`) would make
            // it pay.
            self.0[word].fetch_or(mask & last_mask(span), Ordering::Release);
        } else {
            self.set_words(span);
        }
    }

    #[inline(never)]
    fn set_words(&self, span: Span) {
        for (word, mask) in masks(span) {
            self.0[word].fetch_or(mask, Ordering::Release);
        }
    }

    /// Sets these bits of a word. If there are none, the word need not be there.
    ///
    /// The bits must be those of pages, by the type's invariant.
    pub(crate) fn set_in(&self, word: usize, bits: u64) {
        if bits != 0 {
            self.0[word].fetch_or(bits, Ordering::Release);
        }
    }

    /// Clears the bits of the pages.
    pub(crate) fn clear(&self, span: Span) {
        for (word, mask) in masks(span) {
            self.0[word].fetch_and(!mask, Ordering::AcqRel);
        }
    }

    /// Whether the bit of the page is set; never for a page that is not there. If it is, the write
    /// that it stands for is visible.
    pub(crate) fn is_set(&self, page: usize) -> bool {
        let bits = self.0.get(page / BITS).map_or(0, |word| word.load(Ordering::Acquire));
        (bits >> (page % BITS)) & 1 != 0
    }

    /// How many of the pages have their bits set.
    pub(crate) fn count(&self, span: Span) -> usize {
        masks(span)
            .map(|(word, mask)| (self.0[word].load(Ordering::Acquire) & mask).count_ones() as usize)
            .sum()
    }

    /// As many words, without bits, for [`take`](Self::take).
    pub(crate) fn empty(&self) -> Vec<u64> {
        vec![0; self.0.len()]
    }

    /// Moves all bits into `taken`, word by word.
    pub(crate) fn take(&self, taken: &mut [u64]) {
        for (word, taken) in self.0.iter().zip(taken) {
            // A clean word is left in peace: its cache line stays with those who mark. A mark that
            // this load misses comes after the take.
            if word.load(Ordering::Relaxed) != 0 {
                *taken = word.swap(0, Ordering::AcqRel);
            }
        }
    }

    /// Sets the bits that were taken from here.
    pub(crate) fn put_back(&self, taken: &[u64]) {
        for (word, &bits) in taken.iter().enumerate() {
            // By the type's invariant they were those of pages, and still are: there are never
            // less.
            self.set_in(word, bits);
        }
    }

    /// Clears all bits.
    pub(crate) fn clear_all(&self) {
        for word in &self.0 {
            if word.load(Ordering::Relaxed) != 0 {
                word.swap(0, Ordering::AcqRel);
            }
        }
    }

    /// The bits of now, each word at its own moment.
    pub(crate) fn look(&self) -> Vec<u64> {
        self.0.iter().map(|word| word.load(Ordering::Acquire)).collect()
    }
}

impl Clone for Words {
    fn clone(&self) -> Self {
        // INVARIANT: the same number of words, with the same bits.
        Self(self.look().into_iter().map(AtomicU64::new).collect())
    }
}

/// The bits from that of the first page on, in its word.
#[inline(always)]
fn first_mask(span: Span) -> u64 {
    !0 << (span.first() % BITS)
}

/// The bits up to that of the last page, in its word.
#[inline(always)]
fn last_mask(span: Span) -> u64 {
    !0 >> (BITS - 1 - span.last() % BITS)
}

/// The words that have bits of the pages, each with those bits.
fn masks(span: Span) -> impl Iterator<Item = (usize, u64)> {
    let (first, last) = (span.first() / BITS, span.last() / BITS);
    // No overflow: it is the number of a word. A range that includes its end is slower.
    (first..last + 1).map(move |word| {
        let from = if word == first { first_mask(span) } else { !0 };
        let to = if word == last { last_mask(span) } else { !0 };
        (word, from & to)
    })
}
