//! The asymmetric barrier: who gets one, and that it orders.

#![cfg(all(
    feature = "fence",
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]

use std::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use guest_volatile::{Fence, FenceError};

/// What a kernel without the system call says.
const ENOSYS: i32 = 38;
const TIME: Duration = Duration::from_millis(300);

/// The fence of this process, unless the machine that runs the tests has none.
fn fence() -> Option<Fence> {
    match Fence::register() {
        Ok(fence) => Some(fence),
        Err(FenceError::Refused { errno }) => {
            assert_eq!(errno, ENOSYS, "the kernel has membarrier, and refuses it");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn whoever_has_registered_may_call_it_in_any_thread_and_again() {
    let Some(fence) = fence() else { return };
    assert_eq!(fence.heavy(), Ok(()));
    thread::scope(|scope| {
        scope.spawn(|| assert_eq!(fence.heavy(), Ok(())));
    });
    assert!(Fence::register().is_ok());
    assert_eq!(fence.heavy(), Ok(()));
}

#[test]
fn errors_name_the_call() {
    assert_eq!(FenceError::Unsupported.to_string(), "this build has no membarrier");
    assert_eq!(FenceError::Refused { errno: 1 }.to_string(), "membarrier failed with errno 1");
}

/// A number alone in its cache lines, so that a store to it may be slow to arrive.
#[derive(Default)]
#[repr(align(256))]
struct Line(AtomicU64);

/// Dekker's pattern: each writes one and reads the other, round after round. Without the heavy half both miss
/// each other some times in ten thousand rounds on two x86-64 CPUs.
#[test]
fn of_two_threads_at_least_one_sees_the_other() {
    let Some(fence) = fence() else { return };
    let (frequent, rare) = (Line::default(), Line::default());
    let (round, seen) = (Line::default(), Line::default());
    const STOP: u64 = u64::MAX;
    const PENDING: u64 = u64::MAX;
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut last = 0;
            loop {
                let now = round.0.load(SeqCst);
                if now == STOP {
                    break;
                }
                if now == last {
                    core::hint::spin_loop();
                    continue;
                }
                frequent.0.store(now, Relaxed);
                Fence::light();
                seen.0.store(rare.0.load(Relaxed), SeqCst);
                last = now;
            }
        });
        let deadline = Instant::now() + TIME;
        let (mut now, mut missed) = (0, 0);
        while Instant::now() < deadline {
            now += 1;
            seen.0.store(PENDING, SeqCst);
            round.0.store(now, SeqCst);
            for _ in 0..now % 100 {
                core::hint::spin_loop();
            }
            rare.0.store(now, Relaxed);
            let ordered = fence.heavy();
            let written = frequent.0.load(Relaxed);
            while seen.0.load(SeqCst) == PENDING {
                thread::yield_now();
            }
            missed += u64::from(written != now && seen.0.load(SeqCst) != now);
            if ordered.is_err() {
                missed = u64::MAX;
                break;
            }
        }
        round.0.store(STOP, SeqCst);
        assert_eq!(missed, 0, "of {now} rounds");
    });
}
