//! One write against one harvest, many times over: a write is in this copy of its page or in the
//! next.
//!
//! Alone in its file, and one test at a time, so that both threads have a CPU of their own where there are
//! two: cargo runs one file after the other.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use guest_dirty::{AtomicBitmap, SwitchedBitmap};
use guest_volatile::Bitmap;

const TIME: Duration = Duration::from_millis(400);

/// How long it goes on: as many times longer as `STRESS` says.
fn time() -> Duration {
    let times = std::env::var("STRESS").ok().and_then(|times| times.parse().ok());
    TIME * times.unwrap_or(1)
}

/// Whoever holds it has both CPUs.
static ALONE: Mutex<()> = Mutex::new(());

/// A number that shares its cache line with no other, so that a store to it may be slow to arrive.
#[derive(Default)]
#[repr(align(256))]
struct Line(AtomicU64);

/// A page of some cache lines. Stores to them leave the CPU one after the other, each when it has got the line from the
/// CPU that reads it, so the last is late.
#[derive(Default)]
struct Page([Line; 32]);

impl Page {
    fn write(&self, now: u64) {
        for line in &self.0 {
            line.0.store(now, Ordering::Relaxed);
        }
    }

    /// The oldest of what is there, the latest line first.
    fn read(&self) -> u64 {
        self.0
            .iter()
            .rev()
            .fold(u64::MAX, |oldest, line| oldest.min(line.0.load(Ordering::Relaxed)))
    }
}

/// What a migration does with one page.
struct Litmus<P, M, T> {
    /// Before the write, with nobody around.
    prepare: P,
    /// Marks the page, after it was written.
    mark: M,
    /// Takes the bit, and says whether the page must be copied. The first time it is while the page is written.
    take: T,
}

impl<P: Fn(), M: Fn() + Sync, T: Fn() -> bool> Litmus<P, M, T> {
    /// How many writes of how many were in no copy.
    fn lost(&self, time: Duration) -> (u64, u64) {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let (memory, round, done) = (Page::default(), Line::default(), Line::default());
        let take = |copy: &mut u64| {
            if (self.take)() {
                *copy = memory.read();
            }
        };
        thread::scope(|scope| {
            let mark = &self.mark;
            let (memory, round, done) = (&memory, &round, &done);
            scope.spawn(move || {
                let mut last = 0;
                while last != u64::MAX {
                    let now = round.0.load(Ordering::Acquire);
                    if now == last {
                        core::hint::spin_loop();
                    } else if now != u64::MAX {
                        memory.write(now);
                        mark();
                        done.0.store(now, Ordering::Release);
                    }
                    last = now;
                }
            });

            let deadline = Instant::now() + time;
            let (mut copy, mut lost, mut now) = (0, 0, 0);
            while Instant::now() < deadline {
                now += 1;
                (self.prepare)();
                round.0.store(now, Ordering::Release);
                // The harvest is now before, now after, now in the middle of the write.
                for _ in 0..now % 100 {
                    core::hint::spin_loop();
                }
                take(&mut copy);
                while done.0.load(Ordering::Acquire) != now {
                    // Where there is one CPU, the writer needs it.
                    thread::yield_now();
                }
                take(&mut copy);
                lost += u64::from(copy != now);
            }
            // Before anything can panic, which would leave the writer waiting.
            round.0.store(u64::MAX, Ordering::Release);
            (lost, now)
        })
    }
}

fn take(bitmap: &AtomicBitmap) -> bool {
    let harvest = bitmap.take().expect("no mark is past the end, and the fence holds");
    let dirty = !harvest.is_empty();
    harvest.commit();
    dirty
}

/// A page that is dirty already is written and marked, while it is taken and copied.
fn to_a_dirty_page(bitmap: &AtomicBitmap) {
    let litmus = Litmus {
        prepare: || bitmap.set_bit(0),
        mark: || bitmap.mark_dirty(0, 1),
        take: || take(bitmap),
    };
    let (lost, writes) = litmus.lost(time());
    assert_eq!(lost, 0, "of {writes} writes to a dirty page");
}

#[test]
fn a_write_to_a_dirty_page_is_in_this_copy_or_the_next() {
    to_a_dirty_page(&AtomicBitmap::new(1, NonZeroUsize::MIN));
}

#[test]
fn a_write_to_a_dirty_page_is_in_this_copy_or_the_next_where_marks_are_strict() {
    to_a_dirty_page(&AtomicBitmap::new_strict(1, NonZeroUsize::MIN));
}

/// As a migration that begins while the page is written: the first copy is of everything.
#[test]
fn a_write_while_the_switch_is_turned_is_in_the_first_copy_or_the_next() {
    let bitmap = SwitchedBitmap::new(1, NonZeroUsize::MIN);
    let litmus = Litmus {
        prepare: || bitmap.stop(),
        mark: || bitmap.mark_dirty(0, 1),
        take: || {
            let begins = !bitmap.is_on();
            if begins {
                bitmap.start().expect("the fence holds");
            }
            begins || take(bitmap.bitmap())
        },
    };
    let (lost, writes) = litmus.lost(time());
    assert_eq!(lost, 0, "of {writes} writes at the turn of the switch");
}

/// What the fence is for: the same look, and a harvest that does not call it. Loses some of 100000 writes on two x86-64
/// CPUs, if they are idle, in an optimized build; otherwise there is too much time between the look and the copy.
#[test]
#[ignore = "shows that the tests above bite; needs two CPUs that are idle, and `--release`"]
fn a_look_without_a_fence_loses_writes() {
    let bitmap = AtomicBitmap::new_strict(1, NonZeroUsize::MIN);
    let litmus = Litmus {
        prepare: || bitmap.set_bit(0),
        mark: || {
            if !bitmap.is_bit_set(0) {
                bitmap.set_bit(0);
            }
        },
        take: || take(&bitmap),
    };
    let mut all = 0;
    for _ in 0..100 {
        let (lost, writes) = litmus.lost(TIME);
        if lost > 0 {
            return;
        }
        all += writes;
    }
    panic!("none of {all} was lost");
}
