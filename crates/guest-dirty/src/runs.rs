//! Runs of set bits in a row of words.

use core::iter::FusedIterator;
use core::ops::Range;

use crate::words::BITS;

/// The longest runs of adjacent pages whose bits are set, in ascending order.
#[derive(Clone)]
pub(crate) struct Runs<'a> {
    words: &'a [u64],
    /// The first page that was not looked at.
    page: usize,
}

impl<'a> Runs<'a> {
    pub(crate) fn new(words: &'a [u64]) -> Self {
        Self { words, page: 0 }
    }

    /// Skips pages whose bits are as in `alike`, which is all 0 or all 1, and returns the first
    /// other.
    fn skip(&mut self, alike: u64) -> Option<usize> {
        let mut word = self.page / BITS;
        let mut unseen = !0 << (self.page % BITS);
        while let Some(bits) = self.words.get(word) {
            let other = (bits ^ alike) & unseen;
            if other != 0 {
                // No overflow: a bit in a word that is there is the number of a page, or that of
                // the last page plus 1.
                self.page = word * BITS + other.trailing_zeros() as usize;
                return Some(self.page);
            }
            word += 1;
            unseen = !0;
        }
        // Where this saturates, the last bit is no page's, and never set.
        self.page = self.words.len().saturating_mul(BITS);
        None
    }
}

impl Iterator for Runs<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let start = self.skip(0)?;
        let end = self.skip(!0).unwrap_or(self.page);
        Some(start..end)
    }
}

impl FusedIterator for Runs<'_> {}
