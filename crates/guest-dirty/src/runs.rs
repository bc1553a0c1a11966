//! Runs of set bits in words.

use core::iter::FusedIterator;
use core::ops::Range;

use crate::masks::BITS;

/// The longest runs of adjacent pages whose bits are set, in ascending order.
///
/// `W` gives words and their numbers, in ascending order; those that it does not give have no bits.
#[derive(Clone)]
pub(crate) struct Runs<W> {
    words: W,
    /// The first page of the word that `bits` are left of.
    base: usize,
    bits: u64,
}

impl<W: Iterator<Item = (usize, u64)>> Runs<W> {
    pub(crate) fn new(words: W) -> Self {
        Self { words, base: 0, bits: 0 }
    }

    /// Goes on to the next word, and says whether there is one.
    #[inline]
    fn advance(&mut self) -> bool {
        match self.words.next() {
            Some((word, bits)) => {
                // No overflow: a word has the bit of a page.
                (self.base, self.bits) = (word * BITS, bits);
                true
            }
            None => {
                self.bits = 0;
                false
            }
        }
    }
}

impl<W: Iterator<Item = (usize, u64)>> Iterator for Runs<W> {
    type Item = Range<usize>;

    #[inline]
    fn next(&mut self) -> Option<Range<usize>> {
        while self.bits == 0 {
            if !self.advance() {
                return None;
            }
        }
        let first = self.bits.trailing_zeros();
        let start = self.base + first as usize;
        // To add 1 at its lowest bit turns the lowest run into the bit after it, which is none if the run reaches the end.
        let (above, reaches_end) = self.bits.overflowing_add(1 << first);
        if !reaches_end {
            self.bits &= above;
            return Some(start..self.base + above.trailing_zeros() as usize);
        }
        loop {
            // Where this saturates, the last bit is no page's, and never set.
            let end = self.base.saturating_add(BITS);
            if !self.advance() || self.base != end {
                return Some(start..end);
            }
            if self.bits != !0 {
                // Bits of the run that goes on here: none, if the word begins with a page that is clean.
                let rest = self.bits.trailing_ones();
                self.bits &= !0 << rest;
                return Some(start..end + rest as usize);
            }
        }
    }

    /// As a loop over [`next`](Self::next) does; faster, as what is kept between two runs stays in registers.
    #[inline]
    fn fold<T, F: FnMut(T, Self::Item) -> T>(self, init: T, mut f: F) -> T {
        // A run that reaches the end of the words so far; empty, if there is none.
        let mut open = 0..0;
        let mut step = |mut sum: T, (word, mut bits): (usize, u64)| {
            // No overflow: a word has the bit of a page.
            let base = word * BITS;
            if !open.is_empty() {
                if open.end == base {
                    if bits == !0 {
                        open.end = base.saturating_add(BITS);
                        return sum;
                    }
                    let rest = bits.trailing_ones();
                    bits &= !0 << rest;
                    open.end = base + rest as usize;
                }
                sum = f(sum, core::mem::replace(&mut open, 0..0));
            }
            while bits != 0 {
                let first = bits.trailing_zeros();
                let start = base + first as usize;
                let (above, reaches_end) = bits.overflowing_add(1 << first);
                if reaches_end {
                    open = start..base.saturating_add(BITS);
                    break;
                }
                bits &= above;
                sum = f(sum, start..base + above.trailing_zeros() as usize);
            }
            sum
        };
        let sum = step(init, (self.base / BITS, self.bits));
        let sum = self.words.fold(sum, &mut step);
        if open.is_empty() { sum } else { f(sum, open) }
    }
}

impl<W: FusedIterator<Item = (usize, u64)>> FusedIterator for Runs<W> {}
