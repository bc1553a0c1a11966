//! Going through the words that have bits, without taking them.

use core::iter::FusedIterator;

use crate::masks::{BITS, Ones, Stretch};
use crate::sync::{AtomicU64, Ordering};

/// The words that have bits, with their numbers, in ascending order, looked at while one goes along. Some may be 0, if
/// somebody takes them meanwhile, or in a [`fold`](Iterator::fold).
#[derive(Clone)]
pub(crate) struct Live<'a> {
    row: &'a [AtomicU64],
    /// The words of the summary from `group` on.
    summary: &'a [AtomicU64],
    words: Stretch,
    /// The next group to look at.
    group: usize,
    /// Words to look at of the group before `group`.
    ones: Ones,
}

impl<'a> Live<'a> {
    /// Those of the words of `row` that have bits. `summary` has the words of the summary that know of them.
    pub(crate) fn new(row: &'a [AtomicU64], summary: &'a [AtomicU64], words: Stretch) -> Self {
        let (group, _) = words.words().ends();
        Self { row, summary, words, group, ones: Ones(0) }
    }

    pub(crate) fn none() -> Self {
        Self::new(&[], &[], Stretch::new(0, 0))
    }
}

impl Iterator for Live<'_> {
    type Item = (usize, u64);

    #[inline]
    fn next(&mut self) -> Option<(usize, u64)> {
        loop {
            for one in &mut self.ones {
                let word = (self.group - 1) * BITS + one;
                let bits = self.row[word].load(Ordering::Acquire);
                if bits != 0 {
                    return Some((word, bits));
                }
            }
            let clean = self.summary.iter().take_while(|words| words.load(Ordering::Relaxed) == 0);
            let clean = clean.count();
            let (summary, rest) = self.summary.get(clean..)?.split_first()?;
            self.group += clean;
            self.ones = Ones(summary.load(Ordering::Acquire) & self.words.mask(self.group));
            self.summary = rest;
            self.group += 1;
        }
    }

    #[inline]
    fn fold<T, F: FnMut(T, (usize, u64)) -> T>(self, init: T, mut f: F) -> T {
        let (row, words) = (self.row, self.words);
        let mut of_group = |mut sum, group: usize, ones: Ones| {
            if ones.0 == !0 {
                // Without a search for the next one, in which the loop would spend most of its time.
                for (word, bits) in (group * BITS..).zip(&row[group * BITS..][..BITS]) {
                    sum = f(sum, (word, bits.load(Ordering::Acquire)));
                }
                return sum;
            }
            ones.fold(sum, |sum, one| {
                let word = group * BITS + one;
                f(sum, (word, row[word].load(Ordering::Acquire)))
            })
        };
        let mut sum = init;
        if self.ones.0 != 0 {
            sum = of_group(sum, self.group - 1, self.ones);
        }
        for (group, summary) in (self.group..).zip(self.summary) {
            let ones = summary.load(Ordering::Acquire);
            if ones != 0 {
                sum = of_group(sum, group, Ones(ones & words.mask(group)));
            }
        }
        sum
    }
}

impl FusedIterator for Live<'_> {}
