//! One write against one harvest, many times over: a write is in this copy of its page or in the
//! next.
//!
//! Alone in its file, so that both threads have a CPU of their own where there are two: cargo runs
//! one file after the other, the tests of a file side by side.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use guest_dirty::AtomicBitmap;

const TIME: Duration = Duration::from_millis(400);

/// A number that shares its cache line with no other, so that a store to it may be slow to arrive.
#[derive(Default)]
#[repr(align(256))]
struct Line(AtomicU64);

/// A page that is dirty already is written and marked, while it is taken and copied.
///
/// A mark that only looks, and does nothing if the bit is set, fails here in an optimized build: on
/// two x86-64 CPUs it lost up to 65 of 300000 writes. An unoptimized build is too slow between the
/// look and the copy to show it.
#[test]
fn a_write_to_a_dirty_page_is_in_this_copy_or_the_next() {
    let bitmap = AtomicBitmap::new(1, NonZeroUsize::MIN);
    let (memory, round, done) = (Line::default(), Line::default(), Line::default());
    let take = |copy: &mut u64| {
        let harvest = bitmap.take().expect("no mark is past the end");
        if !harvest.is_empty() {
            *copy = memory.0.load(Ordering::Relaxed);
        }
        harvest.commit();
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut last = 0;
            while last != u64::MAX {
                let now = round.0.load(Ordering::Acquire);
                if now == last {
                    core::hint::spin_loop();
                } else if now != u64::MAX {
                    memory.0.store(now, Ordering::Relaxed);
                    bitmap.set_bit(0);
                    done.0.store(now, Ordering::Release);
                }
                last = now;
            }
        });

        let deadline = Instant::now() + TIME;
        let (mut copy, mut lost, mut now) = (0, 0, 0);
        while Instant::now() < deadline {
            now += 1;
            bitmap.set_bit(0);
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
        assert_eq!(lost, 0, "of {now} writes to a dirty page");
    });
}
