//! What was done, counted.

use std::fmt;
use std::ops::AddAssign;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};

/// Counts of one queue, or the sum of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stats {
    pub(crate) reads: u64,
    pub(crate) writes: u64,
    pub(crate) flushes: u64,
    pub(crate) discards: u64,
    pub(crate) write_zeroes: u64,
    pub(crate) get_ids: u64,
    /// Requests of a type that is not served.
    pub(crate) unknown: u64,
    /// Chains that are no request: without a whole header, or without a place for the status.
    pub(crate) malformed: u64,
    /// Requests that ended with a status other than OK, of whatever type.
    pub(crate) failed: u64,
    pub(crate) bytes_read: u64,
    pub(crate) bytes_written: u64,
    /// System calls on the image.
    pub(crate) image_calls: u64,
    /// System calls that told a driver of used buffers.
    pub(crate) signals: u64,
    /// How often a driver's kick, or a queue that was turned on, woke a thread.
    pub(crate) wakeups: u64,
    /// Data buffers that lie in more than one region of the map, by the border; the published crate does not tell.
    pub(crate) crossings: u64,
    /// Maps that came into force.
    pub(crate) memory_tables: u64,
    /// Regions that a map had at most.
    pub(crate) regions_most: u64,
    /// Pages that were clean in a migration's log until we wrote to them.
    pub(crate) pages_marked: u64,
}

impl Stats {
    fn requests(&self) -> u64 {
        let Self { reads, writes, flushes, discards, write_zeroes, get_ids, unknown, .. } = self;
        reads + writes + flushes + discards + write_zeroes + get_ids + unknown
    }
}

impl AddAssign for Stats {
    fn add_assign(&mut self, other: Self) {
        self.reads += other.reads;
        self.writes += other.writes;
        self.flushes += other.flushes;
        self.discards += other.discards;
        self.write_zeroes += other.write_zeroes;
        self.get_ids += other.get_ids;
        self.unknown += other.unknown;
        self.malformed += other.malformed;
        self.failed += other.failed;
        self.bytes_read += other.bytes_read;
        self.bytes_written += other.bytes_written;
        self.image_calls += other.image_calls;
        self.signals += other.signals;
        self.wakeups += other.wakeups;
        self.crossings += other.crossings;
        self.memory_tables += other.memory_tables;
        self.regions_most = self.regions_most.max(other.regions_most);
        self.pages_marked += other.pages_marked;
    }
}

/// A name and a number a line, for programs to read.
impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cpu = cpu_time();
        let lines = [
            ("requests", self.requests()),
            ("reads", self.reads),
            ("writes", self.writes),
            ("flushes", self.flushes),
            ("discards", self.discards),
            ("write_zeroes", self.write_zeroes),
            ("get_ids", self.get_ids),
            ("unknown", self.unknown),
            ("malformed", self.malformed),
            ("failed", self.failed),
            ("bytes_read", self.bytes_read),
            ("bytes_written", self.bytes_written),
            ("image_calls", self.image_calls),
            ("signals", self.signals),
            ("wakeups", self.wakeups),
            ("crossings", self.crossings),
            ("memory_tables", self.memory_tables),
            ("regions_most", self.regions_most),
            ("pages_marked", self.pages_marked),
            ("cpu_user_us", micros(cpu.user)),
            ("cpu_system_us", micros(cpu.system)),
        ];
        lines.iter().try_for_each(|(name, number)| writeln!(f, "{name} {number}"))
    }
}

/// The processor time that the process has taken.
struct CpuTime {
    user: Duration,
    system: Duration,
}

fn cpu_time() -> CpuTime {
    let duration = |time: nix::sys::time::TimeVal| {
        let micros = time.tv_sec().saturating_mul(1_000_000).saturating_add(time.tv_usec());
        Duration::from_micros(u64::try_from(micros).unwrap_or_default())
    };
    match getrusage(UsageWho::RUSAGE_SELF) {
        Ok(usage) => {
            CpuTime { user: duration(usage.user_time()), system: duration(usage.system_time()) }
        }
        Err(_) => CpuTime { user: Duration::ZERO, system: Duration::ZERO },
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
