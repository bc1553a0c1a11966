//! Bits of words: which of them a span has, and which are set.

use core::iter::FusedIterator;

/// The number of bits in a word.
pub(crate) const BITS: usize = u64::BITS as usize;

/// Items from `first` to `last`, both included, as bits of words: bit `i` of word `w` stands for item `w * 64 + i`.
#[derive(Clone, Copy)]
pub(crate) struct Stretch {
    first: usize,
    last: usize,
}

impl Stretch {
    /// From `first` to `last`, which is not less.
    #[inline(always)]
    pub(crate) fn new(first: usize, last: usize) -> Self {
        Self { first, last }
    }

    /// The words that have any of the items, as items of their own.
    #[inline(always)]
    pub(crate) fn words(self) -> Self {
        Self { first: self.first / BITS, last: self.last / BITS }
    }

    /// The bits of the items in `word`, which has some.
    #[inline(always)]
    pub(crate) fn mask(self, word: usize) -> u64 {
        let from = if word == self.first / BITS { !0 << (self.first % BITS) } else { !0 };
        let to = if word == self.last / BITS { !0 >> (BITS - 1 - self.last % BITS) } else { !0 };
        from & to
    }

    /// Both ends, the last one included.
    #[inline(always)]
    pub(crate) fn ends(self) -> (usize, usize) {
        (self.first, self.last)
    }
}

/// The numbers of the bits that are set, in ascending order.
#[derive(Clone)]
pub(crate) struct Ones(pub(crate) u64);

impl Iterator for Ones {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let bit = self.0.trailing_zeros() as usize;
        // Without the lowest one.
        self.0 &= self.0 - 1;
        Some(bit)
    }
}

impl FusedIterator for Ones {}

/// The number of bits that are set.
///
/// Not every target counts in one instruction, and most words of a bitmap need no counting.
#[inline]
pub(crate) fn count(bits: u64) -> usize {
    match bits {
        0 => 0,
        u64::MAX => BITS,
        _ if bits.is_power_of_two() => 1,
        _ => bits.count_ones() as usize,
    }
}
