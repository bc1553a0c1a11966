//! What the programs share.
//!
//! Each program is one promise of ours about order: that who has waited for the readers of an old map may use its memory, that who
//! has harvested a page's mark sees the bytes of its write, and so on. In each, guest memory is accessed by plain loads and stores (the portable
//! engine's), and no place of it by two threads but in the order that the promise gives. The thread sanitizer knows the order of
//! all that happens, so it finds a promise broken also where the accesses did not meet.
//!
//! Called with the word `planted`, a program leaves out the one step that makes it right, and the sanitizer must say so:
//! otherwise it would not say anything of a mistake of ours either.

use std::env;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub mod region;

/// How long a race is on.
const TIME: Duration = Duration::from_secs(2);
/// How often a thing is done at least, whatever the time.
const TIMES: u64 = 200;

/// Whether the program is to leave out the step that makes it right.
#[must_use]
pub fn is_planted() -> bool {
    env::args().nth(1).as_deref() == Some("planted")
}

/// Does it over and over, with a number that grows, for a while.
pub fn for_a_while(mut thing: impl FnMut(u64)) {
    let start = Instant::now();
    let mut number = 0;
    while start.elapsed() < TIME || number < TIMES {
        number += 1;
        thing(number);
    }
}

/// Tells the threads to stop, also when the program has failed.
struct StopsOnDrop<'a>(&'a AtomicBool);

impl Drop for StopsOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `others`, each in a thread, until `main` has come to its end. They are asked to stop by the flag that they are given.
///
/// # Panics
///
/// If one of them does.
pub fn beside<'a>(main: impl FnOnce(), others: Vec<Box<dyn Fn(&AtomicBool) + Send + 'a>>) {
    let stopped = &AtomicBool::new(false);
    thread::scope(|scope| {
        let stop = StopsOnDrop(stopped);
        // Relaxed: what the threads know of each other, they know by the promise alone.
        let threads = others.into_iter().map(|other| scope.spawn(move || other(stopped)));
        let threads: Vec<_> = threads.collect();
        main();
        drop(stop);
        for thread in threads {
            thread.join().expect("no thread panics");
        }
    });
}
