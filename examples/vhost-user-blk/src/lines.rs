//! Errors and news on stderr, a line each, and never more of them than a person can read.
//!
//! The crates below log what a guest or front-end does wrong, as often as it does it. So that neither can fill a disk with
//! lines, only the first few of a second are written.

use std::io::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use log::{LevelFilter, Log, Metadata, Record};

/// Lines a second that are written at most.
const MOST: u32 = 20;

/// Sends everything that is logged in this process to stderr.
pub(crate) fn start() {
    static LINES: Lines = Lines(Mutex::new(Second { start: None, told: 0, left_out: 0 }));
    if log::set_logger(&LINES).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
    // A panic would print several lines, and advice for whoever has the sources.
    std::panic::set_hook(Box::new(|panic| log::error!("bug: {panic}")));
}

struct Lines(Mutex<Second>);

/// The second that runs.
struct Second {
    start: Option<Instant>,
    told: u32,
    left_out: u64,
}

impl Second {
    /// Whether one more line may be written, and how many were left out in a second that has gone by.
    fn admits(&mut self, now: Instant) -> (bool, u64) {
        let runs = |start| now.saturating_duration_since(start) < Duration::from_secs(1);
        let mut left_out = 0;
        if !self.start.is_some_and(runs) {
            left_out = self.left_out;
            *self = Self { start: Some(now), told: 0, left_out: 0 };
        }
        if self.told == MOST {
            self.left_out += 1;
            return (false, left_out);
        }
        self.told += 1;
        (true, left_out)
    }
}

impl Log for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        let mut second = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (admitted, left_out) = second.admits(Instant::now());
        // Nobody is left to be told that stderr is closed.
        let mut stderr = std::io::stderr().lock();
        if left_out > 0 {
            let _ = writeln!(stderr, "vhost-user-blk: warn: {left_out} lines were left out");
        }
        if admitted {
            let text = record.args().to_string().replace('\n', " ");
            let level = record.level().as_str().to_ascii_lowercase();
            let _ = writeln!(stderr, "vhost-user-blk: {level}: {text}");
        }
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{MOST, Second};

    #[test]
    fn a_flood_of_lines_is_cut_and_counted() {
        let mut second = Second { start: None, told: 0, left_out: 0 };
        let now = Instant::now();
        for _ in 0..MOST {
            assert_eq!(second.admits(now), (true, 0));
        }
        assert_eq!(second.admits(now), (false, 0));
        assert_eq!(second.admits(now), (false, 0));
        assert_eq!(second.admits(now + Duration::from_secs(1)), (true, 2));
    }
}
