//! A second thread that is busy with the same thing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Calls `body` while another thread does `work` over and over; it is at it when `body` begins.
pub fn beside<T>(work: impl Fn() + Sync, body: impl FnOnce() -> T) -> T {
    /// Tells the other thread to stop, also when `body` panics.
    struct Stop<'a>(&'a AtomicBool);

    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    let stopped = AtomicBool::new(false);
    let started = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            started.store(true, Ordering::Relaxed);
            while !stopped.load(Ordering::Relaxed) {
                work();
            }
        });
        let _stop = Stop(&stopped);
        while !started.load(Ordering::Relaxed) {
            thread::yield_now();
        }
        body()
    })
}
