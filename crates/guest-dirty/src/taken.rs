//! Words of bits that were taken out of a bitmap: those that have any.

use alloc::vec;
use alloc::vec::Vec;
use core::iter::FusedIterator;
use core::slice;

use crate::masks::{BITS, Ones, count};

/// Some words of a bitmap, in ascending order, without most of those that have no bit.
///
/// They come in groups of 64, as the summary of the bitmap has them: of each group the words that
/// are there, and a mask that tells which they are. So few words take little space, and many no
/// more than they would in a row.
///
/// # Invariants
///
/// `groups` have ascending numbers, and together as many bits in their masks as `words` has items.
#[derive(Clone, Default)]
pub(crate) struct Taken {
    groups: Vec<(usize, u64)>,
    words: Vec<u64>,
}

impl Taken {
    /// Forgets the words, and keeps the room for them.
    pub(crate) fn clear(&mut self) {
        // INVARIANT: none of both.
        self.groups.clear();
        self.words.clear();
    }

    /// Makes room for so many words, so that they need not move later.
    pub(crate) fn reserve_words(&mut self, count: usize) {
        // And for one group, which may turn out to have more than were expected.
        self.words.reserve_exact(if count == 0 { 0 } else { count + BITS });
    }

    /// Makes room for one more group, so that adding it needs no memory.
    pub(crate) fn reserve(&mut self) {
        self.groups.reserve(1);
        self.words.reserve(BITS);
    }

    /// Adds those `words` that have bits, each with its number in `group`, which comes after all groups so far.
    #[inline]
    pub(crate) fn add(&mut self, group: usize, words: impl Iterator<Item = (usize, u64)>) {
        let mut mask = 0;
        for (word, bits) in words {
            if bits != 0 {
                mask |= 1 << word;
                self.words.push(bits);
            }
        }
        if mask != 0 {
            // INVARIANT: a word for each bit.
            self.groups.push((group, mask));
        }
    }

    /// Adds all 64 words of `group`, which comes after all groups so far.
    #[inline]
    pub(crate) fn add_whole(&mut self, group: usize, words: impl ExactSizeIterator<Item = u64>) {
        debug_assert_eq!(words.len(), BITS);
        self.words.extend(words);
        // INVARIANT: a word for each bit.
        self.groups.push((group, !0));
    }

    /// The words, each with its number.
    pub(crate) fn iter(&self) -> TakenWords<'_> {
        TakenWords { groups: self.groups.iter(), group: 0, ones: Ones(0), words: self.words.iter() }
    }

    /// All `len` words of the bitmap in a row.
    pub(crate) fn in_a_row(&self, len: usize) -> Vec<u64> {
        let mut row = vec![0; len];
        for (word, bits) in self.iter() {
            row[word] = bits;
        }
        row
    }

    /// Whether no bit is set.
    pub(crate) fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }
}

/// The words, each with its number in the bitmap, in ascending order. Some may be 0.
#[derive(Clone)]
pub(crate) struct TakenWords<'a> {
    groups: slice::Iter<'a, (usize, u64)>,
    /// The number of the group that `ones` are left of.
    group: usize,
    ones: Ones,
    words: slice::Iter<'a, u64>,
}

impl Iterator for TakenWords<'_> {
    type Item = (usize, u64);

    #[inline]
    fn next(&mut self) -> Option<(usize, u64)> {
        // By the invariant the words are as many as the bits, so both end together.
        let bits = *self.words.next()?;
        loop {
            if let Some(one) = self.ones.next() {
                return Some((self.group * BITS + one, bits));
            }
            let (group, mask) = *self.groups.next()?;
            (self.group, self.ones) = (group, Ones(mask));
        }
    }

    #[inline]
    fn fold<T, F: FnMut(T, (usize, u64)) -> T>(mut self, init: T, mut f: F) -> T {
        let mut sum = init;
        for one in self.ones {
            let Some(bits) = self.words.next() else { return sum };
            sum = f(sum, (self.group * BITS + one, *bits));
        }
        let mut words = self.words.as_slice();
        for (group, mask) in self.groups {
            // By the invariant the words are as many as the bits.
            let (of_group, rest) = words.split_at(count(*mask));
            if *mask == !0 {
                sum = (group * BITS..)
                    .zip(of_group)
                    .fold(sum, |sum, (word, bits)| f(sum, (word, *bits)));
            } else {
                let numbered = Ones(*mask).zip(of_group);
                sum = numbered.fold(sum, |sum, (one, bits)| f(sum, (group * BITS + one, *bits)));
            }
            words = rest;
        }
        sum
    }
}

impl FusedIterator for TakenWords<'_> {}
