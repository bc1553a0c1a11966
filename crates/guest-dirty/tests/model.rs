//! All schedules of the protocols between marks and harvests, on a model of CPUs with store buffers.
//!
//! It is the protocols that are checked here, written down once more, and not the code: what the code does in real time
//! is seen by the tests `litmus` and `stress`. The model is that of x86 (total store order): a store waits in the
//! buffer of its CPU, the oldest leaves first; a locked instruction waits until the buffer is empty; the barrier for all
//! threads waits until each of them has an empty buffer once. So it shows what the order of steps and the barriers are
//! good for, and nothing of what other CPUs may reorder besides. For each step that the documentation says is
//! needed, there is a protocol without it, which must fail.

use std::collections::HashSet;

/// A place in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Place {
    /// What writer `0` or `1` writes: 0 before, 1 after.
    Bytes(usize),
    /// A word of the bitmap: bits 0 and 1 are pages.
    Word,
    /// The word's bit in the summary.
    Summary,
    /// Whether marks are wanted.
    Switch,
}

impl Place {
    fn index(self) -> usize {
        match self {
            Self::Bytes(writer) => writer,
            Self::Word => 2,
            Self::Summary => 3,
            Self::Switch => 4,
        }
    }
}

use Place::{Bytes, Summary, Switch, Word};

/// What a thread does next. A number of steps is skipped if the condition holds.
#[derive(Clone, Copy, Debug)]
enum Step {
    Store(Place, u8),
    /// Sets bits, locked.
    Or(Place, u8),
    /// Clears all bits, locked, and remembers the bits of the word.
    Take(Place),
    /// Skips if all these bits are set.
    IfSet(Place, u8, usize),
    /// Skips if no bit is set.
    IfNone(Place, usize),
    /// Skips unless this bit was taken.
    UnlessTaken(u8, usize),
    /// Reads what a writer wrote, into the copy.
    Save(usize),
    /// Goes on when the buffer of this thread is empty: the barrier for all threads does so for each.
    Barrier(usize),
    /// Goes on when this thread has ended.
    Join(usize),
}

use Step::{Barrier, IfNone, IfSet, Join, Or, Save, Store, Take, UnlessTaken};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Thread {
    at: usize,
    taken: u8,
    buffer: Vec<(Place, u8)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    memory: [u8; 5],
    copies: [u8; 2],
    threads: Vec<Thread>,
}

impl State {
    fn load(&self, thread: usize, place: Place) -> u8 {
        let own = self.threads[thread].buffer.iter().rev().find(|(stored, _)| *stored == place);
        own.map_or(self.memory[place.index()], |(_, value)| *value)
    }

    /// The state after the next step of a thread, if it can do it now.
    fn step(&self, thread: usize, programs: &[&[Step]]) -> Option<Self> {
        let step = *programs[thread].get(self.threads[thread].at)?;
        let mut next = self.clone();
        let skip = |next: &mut Self, condition: bool, count: usize| {
            next.threads[thread].at += if condition { count } else { 0 };
        };
        let alone = self.threads[thread].buffer.is_empty();
        match step {
            Store(place, value) => next.threads[thread].buffer.push((place, value)),
            Or(place, bits) if alone => next.memory[place.index()] |= bits,
            Take(place) if alone => {
                let bits = std::mem::take(&mut next.memory[place.index()]);
                if place == Word {
                    next.threads[thread].taken = bits;
                }
            }
            IfSet(place, bits, count) => {
                skip(&mut next, self.load(thread, place) & bits == bits, count);
            }
            IfNone(place, count) => skip(&mut next, self.load(thread, place) == 0, count),
            UnlessTaken(bit, count) => {
                skip(&mut next, self.threads[thread].taken & bit == 0, count);
            }
            Save(writer) => next.copies[writer] |= self.load(thread, Bytes(writer)),
            Barrier(other) if self.threads[other].buffer.is_empty() => {}
            Join(other) if self.has_ended(other, programs) => {}
            Or(..) | Take(_) | Barrier(_) | Join(_) => return None,
        }
        next.threads[thread].at += 1;
        Some(next)
    }

    /// The state after the oldest store of a thread has arrived.
    fn drain(&self, thread: usize) -> Option<Self> {
        let mut next = self.clone();
        if next.threads[thread].buffer.is_empty() {
            return None;
        }
        let (place, value) = next.threads[thread].buffer.remove(0);
        next.memory[place.index()] = value;
        Some(next)
    }

    /// Whether a thread has done its last step, and all its stores have arrived.
    fn has_ended(&self, thread: usize, programs: &[&[Step]]) -> bool {
        self.threads[thread].at == programs[thread].len() && self.threads[thread].buffer.is_empty()
    }
}

/// Writers and one harvester, and what is dirty at first.
struct Protocol {
    /// For each writer its steps, and the bit of the page that it writes.
    writers: Vec<(Vec<Step>, u8)>,
    harvester: Vec<Step>,
    dirty: u8,
    on: u8,
    /// Whether the harvest itself must have the bytes of writer 0; otherwise they may be left for the next one.
    at_once: bool,
}

impl Protocol {
    /// An end of some schedule at which bytes are in no copy, and named by no bit that a harvest would find.
    fn lost(&self) -> Option<State> {
        let writers = self.writers.iter().map(|(steps, _)| &steps[..]);
        let programs: Vec<_> = writers.chain([&self.harvester[..]]).collect();
        let threads = vec![Thread::default(); programs.len()];
        let summary = u8::from(self.dirty != 0);
        let first = State { memory: [0, 0, self.dirty, summary, self.on], copies: [0; 2], threads };
        let (mut seen, mut open) = (HashSet::from([first.clone()]), vec![first]);
        while let Some(state) = open.pop() {
            let nexts = (0..programs.len())
                .flat_map(|thread| [state.step(thread, &programs), state.drain(thread)])
                .flatten();
            let mut ended = true;
            for next in nexts {
                ended = false;
                if seen.insert(next.clone()) {
                    open.push(next);
                }
            }
            if ended {
                let all = (0..programs.len()).all(|thread| state.has_ended(thread, &programs));
                assert!(all, "stuck in {state:?}");
                if self.has_lost(&state) {
                    return Some(state);
                }
            }
        }
        None
    }

    fn has_lost(&self, end: &State) -> bool {
        (0..).zip(&self.writers).any(|(writer, (_, page))| {
            let found = end.memory[Word.index()] & page != 0 && end.memory[Summary.index()] != 0;
            let at_once = self.at_once && writer == 0;
            end.copies[writer] == 0 && (at_once || !found)
        })
    }
}

/// The second half of a mark: the summary.
const TELL: [Step; 2] = [IfSet(Summary, 1, 1), Or(Summary, 1)];

/// Writes, and marks by a look.
fn checked(writer: usize, page: u8) -> Vec<Step> {
    [&[Store(Bytes(writer), 1), IfSet(Word, page, 1), Or(Word, page)], &TELL[..]].concat()
}

/// Writes, and marks by a lock.
fn strict(writer: usize, page: u8) -> Vec<Step> {
    [&[Store(Bytes(writer), 1), Or(Word, page)], &TELL[..]].concat()
}

/// Writes, and marks all of the word by a store.
fn whole(writer: usize) -> Vec<Step> {
    vec![Store(Bytes(writer), 1), Store(Word, 0b11), Or(Summary, 1)]
}

const BARRIER: [Step; 2] = [Barrier(0), Barrier(1)];

/// Takes the bits that the summary knows of, calls `fence`, and copies what the two writers of pages 0 and 1, or both of page 0, have written.
fn harvest(fence: &[Step], pages: [u8; 2]) -> Vec<Step> {
    let copy = |writer: usize| [UnlessTaken(pages[writer], 1), Save(writer)];
    let steps = [&[Take(Summary), Take(Word)], fence, &copy(0), &copy(1)].concat();
    [&[IfNone(Summary, steps.len())], &steps[..]].concat()
}

/// Every start of two writers, of the same page or of two.
fn cases(
    writers: impl Fn([u8; 2]) -> [Vec<Step>; 2],
    harvester: impl Fn([u8; 2]) -> Vec<Step>,
) -> Vec<Protocol> {
    let mut cases = Vec::new();
    for pages in [[0b01, 0b01], [0b01, 0b10]] {
        for dirty in 0..4 {
            cases.push(Protocol {
                writers: writers(pages).into_iter().zip(pages).collect(),
                harvester: harvester(pages),
                dirty,
                on: 1,
                at_once: false,
            });
        }
    }
    cases
}

#[track_caller]
fn holds(cases: Vec<Protocol>) {
    for case in cases {
        let lost = case.lost();
        assert!(lost.is_none(), "from {:#b}: {lost:?}", case.dirty);
    }
}

#[track_caller]
fn fails(cases: Vec<Protocol>) {
    assert!(cases.into_iter().any(|case| case.lost().is_some()), "nothing is lost in any schedule");
}

/// The same, where the harvest comes after all of writer 0, and must have it.
fn joined(mut cases: Vec<Protocol>) -> Vec<Protocol> {
    for case in &mut cases {
        case.harvester.insert(0, Join(0));
        case.at_once = true;
    }
    cases
}

fn both(mark: fn(usize, u8) -> Vec<Step>) -> impl Fn([u8; 2]) -> [Vec<Step>; 2] {
    move |pages| [mark(0, pages[0]), mark(1, pages[1])]
}

fn with_fence(pages: [u8; 2]) -> Vec<Step> {
    harvest(&BARRIER, pages)
}

fn without_fence(pages: [u8; 2]) -> Vec<Step> {
    harvest(&[], pages)
}

#[test]
fn checked_marks_and_a_harvest_with_a_fence_lose_nothing() {
    holds(cases(both(checked), with_fence));
    holds(cases(both(checked), |pages| harvest(&[Barrier(1), Barrier(0)], pages)));
    holds(joined(cases(both(checked), with_fence)));
}

#[test]
fn strict_marks_need_no_fence() {
    holds(cases(both(strict), without_fence));
    holds(joined(cases(both(strict), without_fence)));
}

#[test]
fn strict_and_checked_marks_mix_under_a_fence() {
    holds(cases(|pages| [checked(0, pages[0]), strict(1, pages[1])], with_fence));
}

#[test]
fn whole_words_may_be_stored_under_a_fence() {
    holds(cases(|pages| [whole(0), checked(1, pages[1])], with_fence));
    holds(cases(|pages| [checked(0, pages[0]), whole(1)], with_fence));
    holds(joined(cases(|pages| [checked(0, pages[0]), whole(1)], with_fence)));
}

#[test]
fn checked_marks_without_a_fence_lose_bytes() {
    fails(cases(both(checked), without_fence));
}

#[test]
fn a_fence_for_one_of_two_writers_is_not_enough() {
    fails(cases(both(checked), |pages| harvest(&[Barrier(0)], pages)));
}

#[test]
fn a_fence_before_the_bits_are_cleared_loses_bytes() {
    fails(cases(both(checked), |pages| [&BARRIER, &without_fence(pages)[..]].concat()));
}

#[test]
fn a_look_before_the_write_loses_bytes() {
    let hasty = |writer, page| {
        let mut steps = checked(writer, page);
        let write = steps.remove(0);
        steps.push(write);
        steps
    };
    fails(cases(move |pages| [hasty(0, pages[0]), hasty(1, pages[1])], with_fence));
}

#[test]
fn a_mark_that_tells_the_summary_first_is_lost_to_later_harvests() {
    let backwards =
        |writer, page| [&[Store(Bytes(writer), 1)], &TELL[..], &[Or(Word, page)]].concat();
    fails(cases(move |pages| [backwards(0, pages[0]), backwards(1, pages[1])], with_fence));
}

#[test]
fn a_take_that_clears_the_words_first_hides_marks() {
    let backwards = |pages: [u8; 2]| {
        let mut steps = with_fence(pages);
        steps.swap(1, 2);
        steps
    };
    fails(cases(both(checked), backwards));
    fails(cases(both(strict), backwards));
}

#[test]
fn a_mark_that_relies_on_others_for_the_summary_may_miss_the_harvest_after_it() {
    // It skips both, if it sees the bit set.
    let trusting = |writer, page| {
        [&[Store(Bytes(writer), 1), IfSet(Word, page, 3), Or(Word, page)], &TELL[..]].concat()
    };
    let writers = move |pages: [u8; 2]| [trusting(0, pages[0]), trusting(1, pages[1])];
    // It is not lost for good.
    holds(cases(writers, with_fence));
    fails(joined(cases(writers, with_fence)));
}

#[test]
fn a_stored_word_needs_a_locked_summary() {
    let unlocked = |writer| [&[Store(Bytes(writer), 1), Store(Word, 0b11)], &TELL[..]].concat();
    fails(cases(|pages| [unlocked(0), checked(1, pages[1])], with_fence));
}

/// Begins a migration: `fence`, and a copy of everything, whatever is marked.
fn start(fence: &[Step]) -> Vec<Step> {
    [&[Take(Summary), Take(Word), Or(Switch, 1)], fence, &[Save(0), Save(1)]].concat()
}

/// A writer who marks only if the switch is on.
fn switched(writer: usize, page: u8) -> Vec<Step> {
    let mark = checked(writer, page);
    let (write, mark) = mark.split_at(1);
    // Skips all of the mark, if the switch is off.
    [write, &[IfNone(Switch, mark.len())], mark].concat()
}

fn starting(fence: &[Step]) -> Vec<Protocol> {
    let mut cases = cases(both(switched), |_| start(fence));
    cases.iter_mut().for_each(|case| case.on = 0);
    cases
}

#[test]
fn a_switch_that_is_turned_under_a_fence_loses_nothing() {
    holds(starting(&BARRIER));
}

#[test]
fn a_switch_that_is_turned_without_a_fence_loses_bytes() {
    fails(starting(&[]));
}
