//! Writers and harvesters at the same time, in real time: no mark is lost.

use std::num::NonZeroUsize;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use guest_dirty::{AtomicBitmap, Harvest};
use guest_volatile::Bitmap;

const PAGES: usize = 200;
const PAGE_SIZE: NonZeroUsize = NonZeroUsize::new(8).expect("8 is not 0");
const TIME: Duration = Duration::from_millis(400);

/// How long it goes on: as many times longer as `STRESS` says.
fn time() -> Duration {
    let times = std::env::var("STRESS").ok().and_then(|times| times.parse().ok());
    TIME * times.unwrap_or(1)
}

/// Numbers that look random (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % end
    }
}

/// Memory of two numbers per page, one for each writer, which makes its own larger; and the copy
/// that a migration makes of it.
struct Migration {
    bitmap: AtomicBitmap,
    memory: [Vec<AtomicU64>; 2],
    copy: [Vec<AtomicU64>; 2],
    marks: AtomicU64,
    stopped: AtomicBool,
}

fn zeroes() -> Vec<AtomicU64> {
    (0..PAGES).map(|_| AtomicU64::new(0)).collect()
}

impl Migration {
    fn new(bitmap: fn(usize, NonZeroUsize) -> AtomicBitmap) -> Self {
        Self {
            bitmap: bitmap(PAGES * PAGE_SIZE.get(), PAGE_SIZE),
            memory: [zeroes(), zeroes()],
            copy: [zeroes(), zeroes()],
            marks: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
        }
    }

    /// Writes pages and marks them, one or a few at a time, until it is stopped.
    fn write(&self, memory: &[AtomicU64], mut numbers: Numbers) {
        let mut marks = 0;
        while !self.stopped.load(Ordering::Relaxed) {
            let first = numbers.below(PAGES);
            let most = if numbers.below(8) == 0 { PAGES - first } else { 1 };
            let count = 1 + numbers.below(most);
            marks += 1;
            for page in &memory[first..first + count] {
                // Relaxed, and not a locked instruction: it is the mark that has to order it.
                page.store(marks, Ordering::Relaxed);
            }
            self.bitmap.mark_dirty(first * PAGE_SIZE.get(), count * PAGE_SIZE.get());
        }
        self.marks.fetch_add(marks, Ordering::Relaxed);
    }

    /// Copies the pages of a harvest. Copies of two harvesters may cross; numbers only grow, so the
    /// later one wins.
    fn copy(&self, harvest: &Harvest<'_>) {
        for page in harvest.pages() {
            for (memory, copy) in self.memory.iter().zip(&self.copy) {
                copy[page].fetch_max(memory[page].load(Ordering::Relaxed), Ordering::Relaxed);
            }
        }
    }

    /// Harvests until it is stopped. Every third harvest fails: in the middle, without a copy of
    /// its pages.
    fn harvest(&self) -> u64 {
        let mut harvests = 0;
        while !self.stopped.load(Ordering::Relaxed) {
            let harvest = self.bitmap.take().expect("no mark is past the end");
            harvests += 1;
            if harvests % 3 != 0 {
                self.copy(&harvest);
                harvest.commit();
            }
        }
        harvests
    }

    /// Lets `harvesters` and 2 writers run for a while, makes the last harvest, and compares.
    fn run(&self, harvesters: u64) {
        let start = Barrier::new(2 + usize::try_from(harvesters).expect("few"));
        thread::scope(|scope| {
            for (seed, memory) in (1..).zip(&self.memory) {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    self.write(memory, Numbers(seed));
                });
            }
            for _ in 0..harvesters {
                scope.spawn(|| {
                    start.wait();
                    assert!(self.harvest() > 0);
                });
            }
            thread::sleep(time());
            self.stopped.store(true, Ordering::Relaxed);
        });

        let last = self.bitmap.take().expect("no mark is past the end");
        self.copy(&last);
        last.commit();
        assert!(self.bitmap.take().expect("no mark is past the end").is_empty());
        assert!(self.marks.load(Ordering::Relaxed) > 0);
        let numbers = |pages: &[Vec<AtomicU64>; 2]| {
            pages.iter().flatten().map(|n| n.load(Ordering::Relaxed)).collect::<Vec<_>>()
        };
        assert_eq!(numbers(&self.memory), numbers(&self.copy), "a page was not copied again");
    }
}

#[test]
fn a_harvester_copies_the_last_write_of_two_writers() {
    Migration::new(AtomicBitmap::new).run(1);
    Migration::new(AtomicBitmap::new_strict).run(1);
}

#[test]
fn two_harvesters_copy_the_last_write_of_two_writers() {
    Migration::new(AtomicBitmap::new).run(2);
    Migration::new(AtomicBitmap::new_strict).run(2);
}

/// Each page is marked once by one of two writers, in their own order; each mark is in one harvest.
#[test]
fn each_mark_is_harvested_exactly_once() {
    const MANY: usize = 1 << 14;
    let deadline = Instant::now() + time();
    let mut rounds = 0;
    while Instant::now() < deadline || rounds == 0 {
        let bitmap = AtomicBitmap::new(MANY, NonZeroUsize::MIN);
        let writers = AtomicU64::new(2);
        let mut harvested = vec![0_u8; MANY];
        thread::scope(|scope| {
            // Even and odd pages: the writers meet in every word.
            for parity in 0..2 {
                let (bitmap, writers) = (&bitmap, &writers);
                scope.spawn(move || {
                    for page in (parity..MANY).step_by(2) {
                        bitmap.set_bit(page);
                    }
                    writers.fetch_sub(1, Ordering::Release);
                });
            }
            let mut failed = false;
            loop {
                // Asked before the take: the take after the last writer has all that is left.
                let finished = writers.load(Ordering::Acquire) == 0;
                let harvest = bitmap.take().expect("no mark is past the end");
                failed = !failed && !finished;
                if failed {
                    drop(harvest);
                    continue;
                }
                for page in harvest.pages() {
                    harvested[page] += 1;
                }
                harvest.commit();
                if finished {
                    break;
                }
            }
        });
        assert!(harvested.iter().all(|times| *times == 1));
        rounds += 1;
    }
}

#[test]
fn merges_and_marks_lose_nothing_of_each_other() {
    const MANY: usize = 1 << 14;
    let bitmap = AtomicBitmap::new(MANY, NonZeroUsize::MIN);
    thread::scope(|scope| {
        scope.spawn(|| {
            for first_page in (0..MANY - 64).step_by(64) {
                // Bits of odd pages, across two words.
                bitmap.merge_words(first_page + 3, &[0x5555_5555_5555_5555]).expect("inside");
            }
        });
        scope.spawn(|| {
            for page in (0..MANY).step_by(2) {
                bitmap.set_bit(page);
            }
        });
    });
    let harvest = bitmap.take().expect("no mark is past the end");
    let odd = (0..MANY - 64).filter(|bit| bit % 2 == 0).map(|bit| bit + 3);
    let mut pages: Vec<_> = (0..MANY).step_by(2).chain(odd).collect();
    pages.sort_unstable();
    assert!(harvest.pages().eq(pages));
}
