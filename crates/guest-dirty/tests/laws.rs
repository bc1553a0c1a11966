//! Laws for any sequence of operations: the bitmap agrees with a plain `Vec<bool>`, a page each.

use std::fmt::Debug;
use std::num::NonZeroUsize;
use std::ops::Range;

use guest_dirty::{AtomicBitmap, BitmapError, Harvest, TakeError};
use guest_volatile::Bitmap;
use proptest::collection::vec;
use proptest::prelude::*;

/// The largest bitmap of these tests, in bytes: some words of pages, for small pages.
const MAX_BYTES: usize = 400;

/// The same for some words of the summary, each of which stands for 4096 pages.
const MANY_BYTES: usize = 13_000;

#[derive(Clone, Debug)]
enum Op {
    Mark(usize, usize),
    MarkView {
        base: usize,
        offset: usize,
        len: usize,
    },
    Clean(usize, usize),
    SetBit(usize),
    ResetBit(usize),
    Reset,
    GetAndReset,
    /// Take, mark meanwhile, and commit or drop.
    Take {
        meanwhile: Vec<(usize, usize)>,
        commit: bool,
    },
    /// As `Take`, while nobody else may mark.
    TakeMut {
        commit: bool,
    },
    Merge {
        first_page: usize,
        words: Vec<u64>,
        as_bytes: bool,
    },
    Enlarge(usize),
    EnlargeTooFar,
    Acknowledge,
    Clone,
}

/// What the bitmap should be, with the sums in `u128`, which nothing here overflows.
#[derive(Debug)]
struct Model {
    byte_size: usize,
    page_size: usize,
    dirty: Vec<bool>,
    overrun: Option<usize>,
}

impl Model {
    fn new(byte_size: usize, page_size: usize) -> Self {
        let dirty = vec![false; byte_size.div_ceil(page_size)];
        Self { byte_size, page_size, dirty, overrun: None }
    }

    /// Whether `page` has any of `len` bytes from `offset` on.
    fn touches(&self, page: usize, offset: usize, len: usize) -> bool {
        let (offset, len, page_size) = (offset as u128, len as u128, self.page_size as u128);
        let start = page as u128 * page_size;
        len > 0 && offset < start + page_size && start < offset + len
    }

    fn set(&mut self, offset: usize, len: usize, to: bool) {
        for page in 0..self.dirty.len() {
            if self.touches(page, offset, len) {
                self.dirty[page] = to;
            }
        }
    }

    fn mark(&mut self, offset: usize, len: usize) {
        self.set(offset, len, true);
        let end = offset as u128 + len as u128;
        if len > 0 && end > (self.dirty.len() * self.page_size) as u128 {
            let end = usize::try_from(end).unwrap_or(usize::MAX);
            self.overrun = self.overrun.max(Some(end));
        }
    }

    fn pages(&self) -> Vec<usize> {
        (0..self.dirty.len()).filter(|page| self.dirty[*page]).collect()
    }

    fn words(&self) -> Vec<u64> {
        let word = |bits: &[bool]| {
            (0..).zip(bits).fold(0, |word, (bit, set)| word | u64::from(*set) << bit)
        };
        self.dirty.chunks(64).map(word).collect()
    }

    /// The dirty offsets below `byte_size`, each alone.
    fn bytes(&self) -> Vec<usize> {
        (0..self.byte_size).filter(|offset| self.dirty[offset / self.page_size]).collect()
    }

    fn take(&mut self) -> Vec<bool> {
        let clean = vec![false; self.dirty.len()];
        core::mem::replace(&mut self.dirty, clean)
    }
}

/// Does the same to both, and compares what they answer.
fn apply(op: &Op, bitmap: &mut AtomicBitmap, model: &mut Model) -> Result<(), TestCaseError> {
    match *op {
        Op::Mark(offset, len) => {
            bitmap.mark_dirty(offset, len);
            model.mark(offset, len);
        }
        Op::MarkView { base, offset, len } => {
            bitmap.slice_at(base).slice_at(offset).mark_dirty(0, len);
            model.mark(base.saturating_add(offset), len);
        }
        Op::Clean(offset, len) => {
            bitmap.reset_addr_range(offset, len);
            model.set(offset, len, false);
        }
        Op::SetBit(page) => {
            bitmap.set_bit(page);
            model.mark(page * model.page_size, model.page_size);
        }
        Op::ResetBit(page) => {
            bitmap.reset_bit(page);
            model.set(page * model.page_size, model.page_size, false);
        }
        Op::Reset => {
            bitmap.reset();
            model.take();
        }
        Op::GetAndReset => {
            prop_assert_eq!(bitmap.get_and_reset(), model.words());
            model.take();
        }
        Op::Take { ref meanwhile, commit } => take(meanwhile, commit, bitmap, model)?,
        Op::TakeMut { commit } => match bitmap.take_mut() {
            Ok(harvest) => {
                agrees(&harvest, model)?;
                if commit {
                    harvest.commit();
                    model.take();
                }
            }
            Err(overrun) => prop_assert_eq!(Some(overrun.end), model.overrun),
        },
        Op::Merge { first_page, ref words, as_bytes } => {
            merge(first_page, words, as_bytes, bitmap, model)?;
        }
        Op::Enlarge(additional) => {
            prop_assert_eq!(bitmap.enlarge(additional), Ok(()));
            model.byte_size += additional;
            model.dirty.resize(model.byte_size.div_ceil(model.page_size), false);
        }
        Op::EnlargeTooFar => {
            let byte_size = model.byte_size;
            // What is one more than fits. An empty bitmap is never too long.
            if let Some(additional) = (usize::MAX - byte_size).checked_add(1) {
                let error = BitmapError::Overflow { byte_size, additional };
                prop_assert_eq!(bitmap.enlarge(additional), Err(error));
            }
        }
        Op::Acknowledge => {
            let overrun = bitmap.acknowledge_overrun().map(|overrun| overrun.end);
            prop_assert_eq!(overrun, model.overrun.take());
        }
        Op::Clone => *bitmap = bitmap.clone(),
    }
    Ok(())
}

/// Whether these are the longest runs of dirty bytes.
fn are_runs(runs: Vec<Range<usize>>, model: &Model) -> Result<(), TestCaseError> {
    prop_assert!(runs.iter().all(|run| run.start < run.end));
    prop_assert!(runs.is_sorted_by(|a, b| a.end < b.start), "{:?} are not apart", runs);
    prop_assert_eq!(runs.into_iter().flatten().collect::<Vec<_>>(), model.bytes());
    Ok(())
}

/// Whether the iterator gives the same by a loop, by a fold, and by a fold of what a loop has left.
fn one_by_one<I: Iterator<Item: PartialEq + Debug> + Clone>(
    all: I,
    skip: usize,
) -> Result<(), TestCaseError> {
    let fold = |all: I| {
        all.fold(Vec::new(), |mut list, one| {
            list.push(one);
            list
        })
    };
    let mut looped = Vec::new();
    for one in all.clone() {
        looped.push(one);
    }
    prop_assert_eq!(&fold(all.clone()), &looped);
    let mut rest = all;
    let skipped = rest.by_ref().take(skip).count();
    prop_assert_eq!(&fold(rest)[..], &looped[skipped..]);
    Ok(())
}

/// Whether all questions to the harvest have the answers of the model.
fn agrees(harvest: &Harvest<'_>, model: &Model) -> Result<(), TestCaseError> {
    prop_assert_eq!(model.overrun, None);
    prop_assert_eq!(harvest.to_words(), model.words());
    prop_assert_eq!(harvest.pages().collect::<Vec<_>>(), model.pages());
    prop_assert_eq!(harvest.count(), model.pages().len());
    prop_assert_eq!(harvest.is_empty(), model.pages().is_empty());

    let words = model.words().into_iter().enumerate().filter(|(_, bits)| *bits != 0);
    prop_assert!(harvest.words().eq(words));
    are_runs(harvest.runs().collect(), model)?;
    for skip in [1, 3, 70] {
        one_by_one(harvest.runs(), skip)?;
        one_by_one(harvest.words(), skip)?;
        one_by_one(harvest.pages(), skip)?;
    }
    Ok(())
}

fn take(
    meanwhile: &[(usize, usize)],
    commit: bool,
    bitmap: &AtomicBitmap,
    model: &mut Model,
) -> Result<(), TestCaseError> {
    let harvest = match bitmap.take() {
        Ok(harvest) => harvest,
        Err(TakeError::Overrun(overrun)) => {
            prop_assert_eq!(Some(overrun.end), model.overrun);
            return Ok(());
        }
        Err(error) => return Err(TestCaseError::fail(error.to_string())),
    };
    agrees(&harvest, model)?;
    let taken = model.take();
    for (offset, len) in meanwhile {
        bitmap.mark_dirty(*offset, *len);
        model.mark(*offset, *len);
    }
    prop_assert_eq!(bitmap.to_words(), model.words());
    if commit {
        harvest.commit();
    } else {
        drop(harvest);
        model.dirty.iter_mut().zip(taken).for_each(|(now, taken)| *now |= taken);
    }
    Ok(())
}

fn merge(
    first_page: usize,
    words: &[u64],
    as_bytes: bool,
    bitmap: &AtomicBitmap,
    model: &mut Model,
) -> Result<(), TestCaseError> {
    let bits = words.iter().flat_map(|word| (0..64).map(move |bit| (word >> bit) & 1 != 0));
    let pages: Vec<_> = (first_page..).zip(bits).filter(|(_, set)| *set).collect();
    let result = if as_bytes {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bitmap.merge_le_bytes(first_page, &bytes)
    } else {
        bitmap.merge_words(first_page, words)
    };
    let last = model.dirty.len();
    match pages.iter().find(|(page, _)| *page >= last) {
        Some((page, _)) => {
            prop_assert_eq!(result, Err(BitmapError::PastEnd { page: *page, pages: last }));
        }
        None => {
            prop_assert_eq!(result, Ok(()));
            pages.iter().for_each(|(page, _)| model.dirty[*page] = true);
        }
    }
    Ok(())
}

/// Offsets and lengths, most of them inside, some far out.
fn number(most: usize) -> impl Strategy<Value = usize> {
    prop_oneof![
        12 => 0..most,
        4 => 0..4_usize,
        1 => any::<usize>(),
        1 => (0..4_usize).prop_map(|distance| usize::MAX - distance),
    ]
}

/// Lengths of marks, short enough that not every mark is an overrun.
fn short(most: usize) -> impl Strategy<Value = usize> {
    prop_oneof![20 => 0..40_usize, 4 => 0..most, 1 => number(most)]
}

fn inside(most: usize) -> impl Strategy<Value = usize> {
    prop_oneof![20 => 0..most / 2, 1 => number(most)]
}

/// Words of which most have few bits.
fn words() -> impl Strategy<Value = Vec<u64>> {
    let word = prop_oneof![
        4 => Just(0),
        4 => (0..64_u32).prop_map(|bit| 1 << bit),
        1 => any::<u64>(),
    ];
    vec(word, 0..5)
}

fn op(most: usize) -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (inside(most), short(most)).prop_map(|(offset, len)| Op::Mark(offset, len)),
        2 => (inside(most), inside(most), short(most))
            .prop_map(|(base, offset, len)| Op::MarkView { base, offset, len }),
        2 => (number(most), number(most)).prop_map(|(offset, len)| Op::Clean(offset, len)),
        2 => (0..most).prop_map(Op::SetBit),
        2 => (0..most).prop_map(Op::ResetBit),
        1 => Just(Op::Reset),
        1 => Just(Op::GetAndReset),
        4 => (vec((inside(most), short(most)), 0..3), any::<bool>())
            .prop_map(|(meanwhile, commit)| Op::Take { meanwhile, commit }),
        2 => any::<bool>().prop_map(|commit| Op::TakeMut { commit }),
        3 => (0..most, words(), any::<bool>())
            .prop_map(|(first_page, words, as_bytes)| Op::Merge { first_page, words, as_bytes }),
        1 => (0..most / 4).prop_map(Op::Enlarge),
        1 => Just(Op::EnlargeTooFar),
        4 => Just(Op::Acknowledge),
        1 => Just(Op::Clone),
    ]
}

/// Does all of it to a bitmap whose marks look first, if there is a fence, to one whose marks lock, and to models.
fn agree(byte_size: usize, page_size: usize, ops: &[Op]) -> Result<(), TestCaseError> {
    let nonzero = NonZeroUsize::new(page_size).expect("a page has a byte");
    for new in [AtomicBitmap::new, AtomicBitmap::new_strict] {
        let mut bitmap = new(byte_size, nonzero);
        let mut model = Model::new(byte_size, page_size);
        for op in ops {
            apply(op, &mut bitmap, &mut model)?;
            prop_assert_eq!(bitmap.to_words(), model.words(), "after {:?}", op);
            // By the summary, which must know of every word that has bits.
            are_runs(bitmap.dirty_runs().collect(), &model)?;
            one_by_one(bitmap.dirty_runs(), 2)?;
            prop_assert_eq!(bitmap.overrun().map(|overrun| overrun.end), model.overrun);
            prop_assert_eq!(bitmap.len(), model.dirty.len());
            prop_assert_eq!(bitmap.byte_size(), model.byte_size);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(48)
    })]

    #[test]
    fn any_sequence_of_operations_on_many_pages_agrees_with_a_plain_vector(
        byte_size in 0..MANY_BYTES,
        page_size in 1..4_usize,
        ops in vec(op(MANY_BYTES), 0..25),
    ) {
        agree(byte_size, page_size, &ops)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(512)
    })]

    #[test]
    fn any_sequence_of_operations_agrees_with_a_plain_vector(
        byte_size in 0..MAX_BYTES,
        page_size in prop_oneof![Just(1_usize), Just(2), Just(4), Just(64), 1..20_usize],
        ops in vec(op(MAX_BYTES), 0..40),
    ) {
        agree(byte_size, page_size, &ops)?;
    }

    #[test]
    fn dirty_bytes_are_as_many_as_the_dirty_offsets(
        byte_size in 0..MAX_BYTES,
        page_size in 1..70_usize,
        marks in vec((0..MAX_BYTES, 0..40_usize), 0..10),
        offset in 0..MAX_BYTES,
        len in 0..2 * MAX_BYTES,
    ) {
        let nonzero = NonZeroUsize::new(page_size).expect("a page has a byte");
        let bitmap = AtomicBitmap::new(byte_size, nonzero);
        let mut model = Model::new(byte_size, page_size);
        for (offset, len) in marks {
            bitmap.mark_dirty(offset, len);
            model.mark(offset, len);
        }
        let dirty = |offset: &usize| {
            model.dirty.get(offset / page_size).copied().unwrap_or(false)
        };
        for at in 0..byte_size + 2 * page_size {
            prop_assert_eq!(bitmap.dirty_at(at), dirty(&at));
        }
        let count = (offset..offset + len).filter(dirty).count();
        prop_assert_eq!(bitmap.dirty_bytes(offset, len), Some(count));
        prop_assert_eq!(bitmap.slice_at(offset).dirty_bytes(0, len), Some(count));
    }

    #[test]
    fn bytes_and_pages_are_the_same_for_shifts_and_divisions(
        shift in 0..usize::BITS,
        offset in number(MAX_BYTES),
        len in number(MAX_BYTES),
    ) {
        // Far too many pages to have bits for, unless pages are large.
        let page_size = NonZeroUsize::new(1 << shift).expect("a power of two");
        let byte_size = (page_size.get() - 1).saturating_mul(100);
        let bitmap = AtomicBitmap::new(byte_size, page_size);
        let mut model = Model::new(0, page_size.get());
        model.dirty = vec![false; byte_size.div_ceil(page_size.get())];
        for page in 0..model.dirty.len() {
            model.dirty[page] = model.touches(page, offset, len);
        }
        bitmap.mark_dirty(offset, len);
        prop_assert_eq!(bitmap.to_words(), model.words());
    }
}
