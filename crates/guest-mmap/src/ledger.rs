//! Which parts of a range are lent.

use std::collections::BTreeMap;
use std::ops::Range;

/// The ranges that are lent, none of which overlaps another or is empty.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// The end of each by its start.
    lent: BTreeMap<usize, usize>,
}

impl Ledger {
    /// Notes that `range`, which is not empty, is lent; false if a part of it is already.
    pub(crate) fn lend(&mut self, range: Range<usize>) -> bool {
        // Of those that start below its end the last reaches furthest.
        let below = self.lent.range(..range.end).next_back();
        if below.is_some_and(|(_, end)| *end > range.start) {
            return false;
        }
        self.lent.insert(range.start, range.end);
        true
    }

    /// Notes that the range that starts at `start` is lent no more.
    pub(crate) fn give_back(&mut self, start: usize) {
        self.lent.remove(&start);
    }

    /// The parts of the first `len` numbers that are not lent, from the bottom up.
    pub(crate) fn free(&self, len: usize) -> impl Iterator<Item = Range<usize>> {
        let starts = self.lent.keys().copied().chain([len]);
        let ends = [0].into_iter().chain(self.lent.values().copied());
        ends.zip(starts).filter(|(end, start)| end < start).map(|(end, start)| end..start)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LEN: usize = 24;

    proptest! {
        // Each number is lent to one at most, and what is free is what nobody has.
        #[test]
        fn agrees_with_a_list_of_numbers(steps in prop::collection::vec((0..LEN, 1..8_usize, any::<bool>()), 0..60)) {
            let mut ledger = Ledger::default();
            let mut owners: [Option<usize>; LEN] = [None; LEN];
            for (start, len, lends) in steps {
                let end = (start + len).min(LEN);
                if lends {
                    let is_free = owners[start..end].iter().all(Option::is_none);
                    prop_assert_eq!(ledger.lend(start..end), is_free);
                    if is_free {
                        owners[start..end].fill(Some(start));
                    }
                } else {
                    ledger.give_back(start);
                    owners.iter_mut().filter(|owner| **owner == Some(start)).for_each(|owner| *owner = None);
                }
                let free: Vec<usize> = ledger.free(LEN).flatten().collect();
                let expected: Vec<usize> = (0..LEN).filter(|&at| owners[at].is_none()).collect();
                prop_assert_eq!(free, expected);
                prop_assert!(ledger.free(LEN).collect::<Vec<_>>().windows(2).all(|pair| pair[0].end < pair[1].start));
            }
        }
    }
}
