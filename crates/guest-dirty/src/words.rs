//! The bits, and every atomic operation on them.
//!
//! Which of these operations pair, and why in this order, is told in the crate's documentation, under
//! "Who races with whom".

use alloc::collections::TryReserveError;
use alloc::vec::Vec;

use crate::live::Live;
use crate::masks::{BITS, Ones, Stretch, count};
use crate::pages::Span;
use crate::sync::{AtomicU64, Ordering, take, value};
use crate::taken::Taken;

/// How many words of the summary are looked at together.
const CHUNK: usize = 16;

/// A row of bits, one for each page: bit `i` of word `w` is that of page `w * 64 + i`. And above it a
/// summary: bit `i` of its word `g` says that word `g * 64 + i` of the row may have bits.
///
/// # Invariants
///
/// There are as many words as the pages need, and a bit that belongs to no page is never set; the same of the
/// summary and the words. A word with bits has its bit in the summary, or a mark or a take of it is under way.
pub(crate) struct Words {
    row: Vec<AtomicU64>,
    summary: Vec<AtomicU64>,
}

impl Words {
    pub(crate) fn new(pages: usize) -> Self {
        let mut row = Vec::new();
        row.resize_with(pages.div_ceil(BITS), AtomicU64::default);
        let mut summary = Vec::new();
        summary.resize_with(row.len().div_ceil(BITS), AtomicU64::default);
        // INVARIANT: no bit is set.
        Self { row, summary }
    }

    /// Adds words for `pages` pages in all, or nothing if there is no memory for them.
    pub(crate) fn enlarge(&mut self, pages: usize) -> Result<(), TryReserveError> {
        let len = pages.div_ceil(BITS).max(self.row.len());
        let groups = len.div_ceil(BITS);
        self.row.try_reserve_exact(len - self.row.len())?;
        self.summary.try_reserve_exact(groups - self.summary.len())?;
        // INVARIANT: the new bits are not set.
        self.row.resize_with(len, AtomicU64::default);
        self.summary.resize_with(groups, AtomicU64::default);
        Ok(())
    }

    /// The number of words, without those of the summary.
    pub(crate) fn len(&self) -> usize {
        self.row.len()
    }

    /// Whether a look shows that nothing is left to do to mark `page`: its bit is set, and so is that of its word in
    /// the summary. Never for a page that is not there.
    #[inline(always)]
    pub(crate) fn has(&self, page: usize) -> bool {
        let word = page / BITS;
        // Acquire: the summary is looked at after the word, and may have been cleared before its bit was set.
        self.row.get(word).is_some_and(|bits| bit(bits.load(Ordering::Acquire), page))
            && self
                .summary
                .get(word / BITS)
                .is_some_and(|words| bit(words.load(Ordering::SeqCst), word))
    }

    /// Sets these bits of a word, as [`set`](Self::set) does, or if `looks` as [`look_and_set`](Self::look_and_set).
    ///
    /// The bits must be those of pages, by the type's invariant.
    #[inline(always)]
    pub(crate) fn set_word(&self, word: usize, bits: u64, looks: bool) {
        if !(looks && self.row[word].load(Ordering::Acquire) & bits == bits) {
            self.row[word].fetch_or(bits, Ordering::SeqCst);
        }
        let summary = &self.summary[word / BITS];
        if !bit(summary.load(Ordering::SeqCst), word) {
            summary.fetch_or(1 << (word % BITS), Ordering::SeqCst);
        }
    }

    /// Sets the bits of the pages: one locked operation a word.
    #[inline(never)]
    pub(crate) fn set(&self, pages: Stretch) {
        let (first, last) = pages.words().words().ends();
        for group in first..last + 1 {
            self.set_group(pages, group, |word, mask| {
                word.fetch_or(mask, Ordering::SeqCst);
            });
        }
    }

    /// As [`set`](Self::set), where who takes bits calls a fence: looks first, and touches nothing if all is set.
    #[inline(never)]
    pub(crate) fn look_and_set(&self, pages: Stretch) {
        let (first, last) = pages.words().words().ends();
        for group in first..last + 1 {
            if !self.has_group(pages, group) {
                self.set_group(pages, group, |word, mask| {
                    if mask == !0 {
                        // Whatever is there, this is what comes of it. It ends the chain from an older mark to the
                        // take; the fence orders these instead. (Where there is one, every CPU agrees on the order
                        // of stores, so that such a mark is ordered also if the fence has failed meanwhile.)
                        word.store(!0, Ordering::Release);
                    } else {
                        word.fetch_or(mask, Ordering::SeqCst);
                    }
                });
            }
        }
    }

    /// Whether all bits of those of the pages that are in `group`, which has some, are set, and known to the summary.
    #[inline(always)]
    fn has_group(&self, pages: Stretch, group: usize) -> bool {
        let words = pages.words();
        let (first, last) = group_of(words, group);
        let known = |mask: u64| self.summary[group].load(Ordering::SeqCst) & mask == mask;
        let (head, tail) = (pages.mask(first), pages.mask(last));
        let row = &self.row[first..last + 1];
        let has = |word: usize, mask: u64| self.row[word].load(Ordering::Acquire) & mask == mask;
        if !(has(first, head) && has(last, tail)) {
            return false;
        }
        // Of a whole group it is known how long the loop is, and it becomes none.
        let inner = match <&[AtomicU64; BITS]>::try_from(row) {
            Ok(whole) if head & tail == !0 => all_of(whole),
            _ => all_of(row.get(1..row.len() - 1).unwrap_or_default()),
        };
        inner == !0 && known(words.mask(group))
    }

    /// Sets the bits of those of the pages that are in `group`, which has some, each word by `set`.
    #[inline(always)]
    fn set_group(&self, pages: Stretch, group: usize, set: impl Fn(&AtomicU64, u64)) {
        let words = pages.words();
        let (first, last) = group_of(words, group);
        for (word, bits) in (first..).zip(&self.row[first..last + 1]) {
            set(bits, pages.mask(word));
        }
        // Without a look: it is one for 64 words, and orders itself after all of them.
        self.summary[group].fetch_or(words.mask(group), Ordering::SeqCst);
    }

    /// Sets these bits of a word, in any way that marks are set. If there are none, the word need not be there.
    ///
    /// The bits must be those of pages, by the type's invariant.
    pub(crate) fn set_in(&self, word: usize, bits: u64) {
        if bits != 0 {
            self.set_word(word, bits, false);
        }
    }

    /// Whether the bit of the page is set; never for a page that is not there.
    pub(crate) fn is_set(&self, page: usize) -> bool {
        self.row.get(page / BITS).is_some_and(|word| bit(word.load(Ordering::Acquire), page))
    }

    /// How many of the pages have their bits set.
    pub(crate) fn count(&self, span: Span) -> usize {
        let pages = span.pages();
        let (first, last) = pages.words().ends();
        let edge = |word: usize| count(self.row[word].load(Ordering::Acquire) & pages.mask(word));
        if first == last {
            return edge(first);
        }
        let whole = if last - first > 1 {
            // No overflow: it is less than the last.
            self.live_in(Stretch::new(first + 1, last - 1))
                .fold(0, |sum, (_, bits)| sum + count(bits))
        } else {
            0
        };
        edge(first) + whole + edge(last)
    }

    /// Moves all bits into `taken`, which is empty.
    pub(crate) fn take(&self, taken: &mut Taken) {
        let (chunks, rest) = self.summary.as_chunks::<CHUNK>();
        for (chunk, summaries) in chunks.iter().enumerate() {
            // Words without a bit are left in peace: their cache lines stay with those who mark. A mark that these
            // loads miss comes after the take.
            if any_of(summaries) != 0 {
                self.take_groups(chunk * CHUNK, summaries, taken);
            }
        }
        self.take_groups(chunks.len() * CHUNK, rest, taken);
    }

    /// Moves the bits of some groups into `taken`, which has those of groups before `first`.
    #[inline(never)]
    fn take_groups(&self, first: usize, summaries: &[AtomicU64], taken: &mut Taken) {
        for (group, summary) in (first..).zip(summaries) {
            if summary.load(Ordering::Relaxed) == 0 {
                continue;
            }
            if taken.is_empty() {
                taken.reserve_words(self.estimate(group));
            }
            taken.reserve();
            // Before its words: who sets a bit after its word was looked at sees this, and sets it again.
            let words = Ones(summary.swap(0, Ordering::SeqCst));
            taken.add(group, words.map(|word| (word, self.take_word(group * BITS + word))));
        }
    }

    /// How many words from `group` on are in the summary.
    fn estimate(&self, group: usize) -> usize {
        self.summary[group..].iter().map(|words| count(words.load(Ordering::Relaxed))).sum()
    }

    /// Moves the bits of the pages into `taken`, which is empty. The summary stays as it is.
    pub(crate) fn take_of(&self, span: Span, taken: &mut Taken) {
        let pages = span.pages();
        let words = pages.words();
        let (first, last) = words.words().ends();
        for group in first..last + 1 {
            let some = self.summary[group].load(Ordering::Acquire) & words.mask(group);
            if some == 0 {
                continue;
            }
            taken.reserve();
            taken.add(
                group,
                Ones(some).map(|word| {
                    let mask = pages.mask(group * BITS + word);
                    let bits = &self.row[group * BITS + word];
                    (word, bits.fetch_and(!mask, Ordering::AcqRel) & mask)
                }),
            );
        }
    }

    #[inline(always)]
    fn take_word(&self, word: usize) -> u64 {
        let word = &self.row[word];
        if word.load(Ordering::SeqCst) == 0 { 0 } else { word.swap(0, Ordering::SeqCst) }
    }

    /// Moves all bits into `taken`, which is empty, with nobody around: no operation here is locked.
    pub(crate) fn take_alone(&mut self, taken: &mut Taken) {
        let groups =
            self.summary.iter_mut().filter_map(|words| (value(words) != 0).then_some(BITS));
        taken.reserve_words(groups.sum());
        for (chunk, summaries) in self.summary.chunks_mut(CHUNK).enumerate() {
            if summaries.iter_mut().fold(0, |any, words| any | value(words)) == 0 {
                continue;
            }
            for (group, summary) in (chunk * CHUNK..).zip(summaries) {
                let words = take(summary);
                if words == 0 {
                    continue;
                }
                taken.reserve();
                let end = self.row.len().min((group + 1) * BITS);
                let row = &mut self.row[group * BITS..end];
                if row.len() == BITS {
                    // To move all 64 is faster than to choose.
                    taken.add_whole(group, row.iter_mut().map(take));
                } else {
                    taken.add(group, Ones(words).map(|word| (word, take(&mut row[word]))));
                }
            }
        }
    }

    /// Sets the bits that were taken from here.
    pub(crate) fn put_back(&self, taken: &Taken) {
        for (word, bits) in taken.iter() {
            // By the type's invariant they were those of pages, and still are: there are never
            // less.
            self.set_in(word, bits);
        }
    }

    /// The words that have bits, each at its own moment.
    pub(crate) fn live(&self) -> Live<'_> {
        match self.row.len().checked_sub(1) {
            Some(last) => self.live_in(Stretch::new(0, last)),
            // Of no words there is no last one.
            None => Live::none(),
        }
    }

    /// Those of the words that have bits.
    fn live_in(&self, words: Stretch) -> Live<'_> {
        let (first, last) = words.words().ends();
        Live::new(&self.row, &self.summary[first..last + 1], words)
    }

    /// The bits of now, each word at its own moment.
    pub(crate) fn look(&self) -> Vec<u64> {
        self.row.iter().map(|word| word.load(Ordering::Acquire)).collect()
    }
}

impl Clone for Words {
    fn clone(&self) -> Self {
        let row = self.look();
        let summary = row.chunks(BITS).map(|group| {
            let has = group.iter().rev().fold(0, |has, word| has << 1 | u64::from(*word != 0));
            AtomicU64::new(has)
        });
        // INVARIANT: the same number of words, with the same bits, and a summary made of them.
        Self { summary: summary.collect(), row: row.into_iter().map(AtomicU64::new).collect() }
    }
}

/// The bits that all of the words have, each at its own moment.
#[inline(always)]
fn all_of(words: &[AtomicU64]) -> u64 {
    let look = |word: &AtomicU64| word.load(Ordering::Acquire);
    let (eights, rest) = words.as_chunks::<8>();
    let rest = rest.iter().fold(!0, |all, word| all & look(word));
    // Four at a time, which need not wait for each other, under every profile.
    let [a, b, c, d] = eights.iter().fold([rest, !0, !0, !0], |[a, b, c, d], e| {
        [
            a & look(&e[0]) & look(&e[4]),
            b & look(&e[1]) & look(&e[5]),
            c & look(&e[2]) & look(&e[6]),
            d & look(&e[3]) & look(&e[7]),
        ]
    });
    a & b & c & d
}

/// The bits that any of the words has, each at its own moment. Written out, since a loop stays one where code is optimized for size.
#[inline(always)]
fn any_of(words: &[AtomicU64; CHUNK]) -> u64 {
    let four = |i: usize| {
        let look = |i: usize| words[i].load(Ordering::Relaxed);
        look(i) | look(i + 1) | look(i + 2) | look(i + 3)
    };
    const { assert!(CHUNK == 16) };
    four(0) | four(4) | four(8) | four(12)
}

/// Those of the words that are in `group`, which has some: the first, and the last.
#[inline(always)]
fn group_of(words: Stretch, group: usize) -> (usize, usize) {
    let (first, last) = words.ends();
    (first.max(group * BITS), last.min(group * BITS + (BITS - 1)))
}

/// The bit of the item with this number in the word that has it.
#[inline(always)]
fn bit(word: u64, item: usize) -> bool {
    (word >> (item % BITS)) & 1 != 0
}
