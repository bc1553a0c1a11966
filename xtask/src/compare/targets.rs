//! The targets, row by row as `PERFORMANCE.md` has them.
//!
//! A row with several figures is several targets. Limits in nanoseconds are those that it states, whatever the machine: it was
//! written on one where a raw read takes [`READ`].

/// One thing that is to be reached.
#[derive(Debug)]
pub(super) struct Target {
    /// What the command line calls its kind.
    pub(super) group: &'static str,
    /// The row of the table.
    pub(super) row: &'static str,
    /// The target's words.
    pub(super) says: &'static str,
    pub(super) measure: Measure,
}

/// How it is judged.
#[derive(Debug)]
pub(super) enum Measure {
    /// By the cells of some rows.
    Cells(Cells),
    /// By sizes in bytes.
    Bytes { rows: &'static [&'static str], at_most: f64 },
    /// By instructions counted out of line; the numbers are those kept in the repository.
    Instructions { operations: &'static [&'static str], at_most: f64 },
    /// By what a program gains that takes ours in place of the published crate.
    Speedup { case: &'static str, at_least: f64 },
    /// Not at all.
    Not { why: &'static str },
}

/// Cells, and what is asked of them.
#[derive(Debug)]
pub(super) struct Cells {
    pub(super) rows: &'static [&'static str],
    /// Words of which a case has one; if there are none, any case is meant.
    pub(super) words: &'static [&'static str],
    /// The contestants that have to reach it, each.
    pub(super) by: &'static [&'static str],
    pub(super) figure: Figure,
    pub(super) over: Over,
    pub(super) at_most: f64,
}

/// The figure of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Figure {
    /// Time as a multiple of the raw contestant's.
    Ratio,
    /// Nanoseconds.
    Time,
    /// Nanoseconds above those of the same without a record.
    Extra,
    /// Time as a part of what one locked instruction takes.
    OfLocked,
    /// The ratio of a case as a multiple of that in the same case with another word in place of one.
    Growth { from: &'static str, to: &'static str },
}

/// How the figures of several cells are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    Median,
    Worst,
}

/// How many nanoseconds a raw read of hot memory took where the limits were set.
pub(super) const READ: f64 = 0.24;

const BOTH: &[&str] = &["ours", "facade"];
const OURS: &[&str] = &["ours"];
const CURSOR: &[&str] = &["cursor"];
const WINDOW: &[&str] = &["window"];
const SCATTERED: &[&str] = &["scattered"];
const CACHED: &[&str] = &["cached"];

const READ_OBJ: &str = "read_obj u8..u64, n=1 / 4 / 512";
const RESOLVED: &str = "same through a cursor / pinned range";
const WRITE_OBJ: &str = "write_obj u8..u64";
const DESCRIPTOR: &str = "16 B descriptor read";
const LINE: &str = "64 B read / write";
const CHASE: &str = "latency of a dependent read (chase), n=4 / 64 / 512";
const ATOMIC: &str = "atomic load / store u16, n=4";
const TRANSLATE: &str = "translate, get_slice, n=1 / 4 / 512";
const CHECK: &str = "check_range(64), n=1 / 4 / 512";
const SMALL_SLICES: &str = "read/write_slice 16..512 B vs memcpy";
const LARGE_SLICES: &str = "slice 4 KiB / 64 KiB / 1 MiB";
const ACROSS: &str = "slice spanning 2 regions, 16..256 B";
const WRITE_DIRTY: &str = "write u64 with dirty bitmap (page already dirty)";
const PAGE_DIRTY: &str = "write 4 KiB with bitmap";
const MARK: &str = "mark_dirty 1 GiB";
const HARVEST: &str = "harvest 64 GiB: 0 % / 1 % in 2 MiB clusters / 1 % random / 100 %";
const SCAN: &str = "scan by dirty_at() 64 GiB";
const SAME_PAGE: &str = "two threads writing the same page, bitmap on";
const SNAPSHOT: &str = "obtain the snapshot";
const SNAPSHOT_READ: &str = "snapshot + read_obj u32, 1 / 2 threads";
const REPLACE: &str = "replace(), 0 / 1 busy reader";
const STREAM: &str = "read/write fd, 4 KiB, 1 region";
const POSITIONAL: &str = "positional read 4 KiB (seek+read vs pread)";
const STREAM_ACROSS: &str = "fd I/O spanning 2 regions, 4 KiB";
const CHAIN_DATA: &str = "virtio chain + 4 KiB data";
const CHAIN: &str = "virtio chain, metadata only";
const QUEUE: &str = "unmodified virtio-queue crate, alone in a program (0 B / 4 KiB)";
const CREATE: &str = "create 1 / 512 regions";
const DERIVE: &str = "derive a changed map, 512 regions (clone)";
const PREFAULT: &str = "prefault 1 GiB";
const ERROR: &str = "error / Result<u32> / Result<()> size";
const METADATA: &str = "per-region metadata";

const READS: &[&str] = &["read_u8", "read_u16", "read_u32", "read_u64"];

/// All targets.
pub(super) const TARGETS: &[Target] = &[
    target("objects", READ_OBJ, "median <= 3x raw", ratio(&["read_obj"], &[], 3.0)),
    target("objects", READ_OBJ, "no cell > 4x", worst(&["read_obj"], &[], 4.0)),
    target(
        "objects",
        READ_OBJ,
        "<= 25 instructions out of line in every profile",
        Measure::Instructions { operations: READS, at_most: 25.0 },
    ),
    target("objects", READ_OBJ, "n=512 <= 1.1x of n=1", flat(&["read_obj"], "n=1", "n=512")),
    target("objects", RESOLVED, "cursor <= 1.75x", by(CURSOR, &["read_obj"], &["hot"], 1.75)),
    target("objects", RESOLVED, "pinned <= 1.75x", by(WINDOW, &["read_obj"], &["hot"], 1.75)),
    target("objects", WRITE_OBJ, "<= 3x", ratio(&["write_obj"], &[], 3.0)),
    target("objects", WRITE_OBJ, "cursor <= 1.9x", by(CURSOR, &["write_obj"], &["hot"], 1.9)),
    target("objects", DESCRIPTOR, "<= 3.7x", ratio(&["read_16"], &[], 3.7)),
    target("objects", DESCRIPTOR, "cursor <= 2.5x", by(CURSOR, &["read_16"], &["hot"], 2.5)),
    target("objects", LINE, "read <= 2.7x", ratio(&["read_64"], &[], 2.7)),
    target("objects", LINE, "write <= 1.35x", ratio(&["write_64"], &[], 1.35)),
    target("objects", CHASE, "<= 1.25x (n=4)", worst(&["chase"], &["n=4"], 1.25)),
    target("objects", CHASE, "<= 1.25x (n=64)", worst(&["chase"], &["n=64"], 1.25)),
    target("objects", CHASE, "<= 1.6x (n=512)", worst(&["chase"], &["n=512"], 1.6)),
    target("atomics", ATOMIC, "load <= 3.4x median", ratio(&["load"], &[], 3.4)),
    target("atomics", ATOMIC, "store <= 3.5x median", ratio(&["store"], &[], 3.5)),
    target("atomics", ATOMIC, "pinned: raw", by(WINDOW, &["load", "store"], &["hot"], 1.05)),
    target("lookups", TRANSLATE, "<= 0.7 ns", time(&["get_slice"], &[], 0.7)),
    target("lookups", TRANSLATE, "flat", flat(&["get_slice"], "n=1", "n=512")),
    target("lookups", CHECK, "<= 0.6 ns", time(&["check_range"], &[], 0.6)),
    target("lookups", CHECK, "flat", flat(&["check_range"], "n=1", "n=512")),
    target("slices", SMALL_SLICES, "median <= 1.25x", ratio(SLICES, SMALL, 1.25)),
    target("slices", LARGE_SLICES, "4 KiB <= 1.02x", ratio(SLICES, &["4KiB"], 1.02)),
    target("slices", LARGE_SLICES, "64 KiB <= 1.02x", ratio(SLICES, &["64KiB"], 1.02)),
    target("slices", LARGE_SLICES, "1 MiB <= 1.02x", ratio(SLICES, &["1MiB"], 1.02)),
    target("slices", ACROSS, "<= 1.0x (span)", ratio(&["read_across"], &[], 1.0)),
    target("slices", ACROSS, "<= 1.9x (table)", by(SCATTERED, &["read_across"], &[], 1.9)),
    target("dirty", WRITE_DIRTY, "<= +1.2 ns over the plain write", extra(1.2)),
    target(
        "dirty",
        WRITE_DIRTY,
        "strict: one locked op per 64 pages",
        by(&["strict"], &["mark_word"], &[], 1.5),
    ),
    target("dirty", PAGE_DIRTY, "<= 1.06x", ratio(&["write_slice_recorded"], &[], 1.06)),
    target("dirty", MARK, "<= 20 us fresh", longest(&["mark_dirty"], &["fresh"], 20_000.0)),
    target("dirty", MARK, "<= 1.1 us already dirty", longest(&["mark_dirty"], &["dirty"], 1_100.0)),
    target("harvest", HARVEST, "0 %: <= 1.1 us shared", harvest(&["clean"], 1_100.0)),
    target(
        "harvest",
        HARVEST,
        "1 % in clusters: <= 16 us shared",
        harvest(&["clusters"], 16_000.0),
    ),
    target("harvest", HARVEST, "1 % random: <= 620 us shared", harvest(&["random"], 620_000.0)),
    target("harvest", HARVEST, "100 %: <= 1280 us shared", harvest(&["all"], 1_280_000.0)),
    target(
        "harvest",
        HARVEST,
        "<= 1.0x memcpy+memset exclusive",
        by(&["exclusive"], &["harvest"], &[], 1.0),
    ),
    target("harvest", SCAN, "<= 1.1x read floor", by(&["runs"], &["scan"], &[], 1.1)),
    target("dirty", SAME_PAGE, "<= 5 ns", time(&["write_same_page"], &[], 5.0)),
    target(
        "snapshot",
        SNAPSHOT,
        "<= 2x of an acquire pointer load",
        by(CACHED, &["snapshot"], &["1-thread"], 2.0),
    ),
    target("snapshot", SNAPSHOT, "0 locked instructions", unlocked(&["snapshot"], &["1-thread"])),
    target("snapshot", SNAPSHOT, "same ns with 2 threads", threads(&["snapshot"])),
    target("snapshot", SNAPSHOT_READ, "<= 1.1 ns", cached_time(&["snapshot_read"], 1.1)),
    target("snapshot", SNAPSHOT_READ, "no slowdown with threads", threads(&["snapshot_read"])),
    target("snapshot", REPLACE, "<= 70 ns p50", longest(&["replace"], &[], 70.0)),
    target("io", STREAM, "read <= 1.05x", ratio(&["read_fd"], &[], 1.05)),
    target("io", STREAM, "write <= 1.05x", ratio(&["write_fd"], &[], 1.05)),
    target("io", POSITIONAL, "<= 1.05x", by(OURS, &["read_fd_at"], &[], 1.05)),
    target(
        "io",
        STREAM_ACROSS,
        "<= 1.05x",
        by(SCATTERED, &["read_fd_across", "write_fd_across"], &[], 1.05),
    ),
    target(
        "io",
        STREAM_ACROSS,
        "<= 0.85x (span)",
        ratio(&["read_fd_across", "write_fd_across"], &[], 0.85),
    ),
    target("virtio", CHAIN_DATA, "<= 1.05x pinned", by(WINDOW, &["chain_4k"], &[], 1.05)),
    target("virtio", CHAIN_DATA, "<= 1.2x plain", ratio(&["chain_4k"], &[], 1.2)),
    target("virtio", CHAIN, "<= 2x pinned", by(WINDOW, &["chain"], &[], 2.0)),
    target("virtio", CHAIN, "<= 5.3x plain", by(SCATTERED, &["chain"], &[], 5.3)),
    target("virtio", CHAIN, "<= 3.5x span", ratio(&["chain"], &[], 3.5)),
    target(
        "virtio",
        QUEUE,
        "0 B: >= 4.5x faster as a drop-in",
        Measure::Speedup { case: "0B", at_least: 4.5 },
    ),
    target(
        "virtio",
        QUEUE,
        "4 KiB: >= 3.5x faster as a drop-in",
        Measure::Speedup { case: "4KiB", at_least: 3.5 },
    ),
    target("maps", CREATE, "1 region <= 1.05x", ratio(&["create"], &["n=1"], 1.05)),
    target("maps", CREATE, "512 regions <= 1.05x", by(SCATTERED, &["create"], &["n=512"], 1.05)),
    target("maps", CREATE, "span, 1 region <= 2x", by(&["span"], &["create"], &["n=1"], 2.0)),
    target("maps", CREATE, "span, 512 regions <= 1.3x", ratio(&["create"], &["n=512"], 1.3)),
    target("maps", DERIVE, "<= 2 us", longest(&["derive"], &[], 2_000.0)),
    target(
        "maps",
        PREFAULT,
        "small pages, 256 MiB: <= 1.0x of raw madvise",
        by(OURS, &["prefault"], &["small"], 1.0),
    ),
    target(
        "maps",
        PREFAULT,
        "huge pages, 256 MiB: <= 1.0x of raw madvise",
        by(OURS, &["prefault"], &["huge"], 1.0),
    ),
    target(
        "sizes",
        ERROR,
        "Result<(), E> <= 2 registers, published errors (decision 0003)",
        Measure::Bytes { rows: &["error"], at_most: 16.0 },
    ),
    target(
        "sizes",
        ERROR,
        "Result<(), E>, Result<u32, E> <= 2 registers, errors of windows",
        Measure::Bytes { rows: &["window_error", "window_result_u32"], at_most: 16.0 },
    ),
    target(
        "sizes",
        METADATA,
        "1 cache line touched per access",
        Measure::Not {
            why: "a place has 32 bytes, aligned to as many, so it is in one line; which other lines an access touches is not counted",
        },
    ),
];

const SLICES: &[&str] = &["read_slice", "write_slice"];
const SMALL: &[&str] = &["16B", "64B", "128B", "256B", "512B"];

const fn target(
    group: &'static str,
    row: &'static str,
    says: &'static str,
    measure: Measure,
) -> Target {
    Target { group, row, says, measure }
}

type Names = &'static [&'static str];

/// The median ratio, by our layers and by the facade.
const fn ratio(rows: Names, words: Names, at_most: f64) -> Measure {
    by(BOTH, rows, words, at_most)
}

/// The median ratio, by certain contestants.
const fn by(by: Names, rows: Names, words: Names, at_most: f64) -> Measure {
    cells(by, rows, words, Figure::Ratio, Over::Median, at_most)
}

/// The worst ratio.
const fn worst(rows: Names, words: Names, at_most: f64) -> Measure {
    cells(BOTH, rows, words, Figure::Ratio, Over::Worst, at_most)
}

/// What a ratio grows by from one case to another.
const fn flat(rows: Names, from: &'static str, to: &'static str) -> Measure {
    cells(BOTH, rows, &[], Figure::Growth { from, to }, Over::Median, 1.1)
}

/// As [`flat`], from one thread to two, by the cached reader.
const fn threads(rows: Names) -> Measure {
    let figure = Figure::Growth { from: "1-thread", to: "2-threads" };
    cells(CACHED, rows, &[], figure, Over::Median, 1.1)
}

/// The median time.
const fn time(rows: Names, words: Names, at_most: f64) -> Measure {
    cells(BOTH, rows, words, Figure::Time, Over::Median, at_most)
}

/// The median time by the cached reader.
const fn cached_time(rows: Names, at_most: f64) -> Measure {
    cells(CACHED, rows, &[], Figure::Time, Over::Median, at_most)
}

/// Less time than a half of what one locked instruction takes, by the cached reader: so there is none in it.
const fn unlocked(rows: Names, words: Names) -> Measure {
    cells(CACHED, rows, words, Figure::OfLocked, Over::Worst, 0.5)
}

/// The worst time.
const fn longest(rows: Names, words: Names, at_most: f64) -> Measure {
    cells(BOTH, rows, words, Figure::Time, Over::Worst, at_most)
}

/// The worst time of a harvest, by our layers: the published call gives a new list of all words, which is a thing of its own.
const fn harvest(words: Names, at_most: f64) -> Measure {
    cells(OURS, &["harvest"], words, Figure::Time, Over::Worst, at_most)
}

/// What a record costs a write.
const fn extra(at_most: f64) -> Measure {
    cells(BOTH, &["write_obj_recorded"], &[], Figure::Extra, Over::Median, at_most)
}

const fn cells(
    by: Names,
    rows: Names,
    words: Names,
    figure: Figure,
    over: Over,
    at_most: f64,
) -> Measure {
    Measure::Cells(Cells { rows, words, by, figure, over, at_most })
}

impl Target {
    /// Whether a word of the command line means it.
    pub(super) fn matches(&self, filter: &str) -> bool {
        let rows = self.rows();
        self.group == filter || self.row.contains(filter) || rows.contains(&filter)
    }

    /// The rows that the programs have to measure.
    pub(super) fn rows(&self) -> &'static [&'static str] {
        match &self.measure {
            Measure::Cells(cells) => cells.rows,
            Measure::Bytes { rows, .. } => rows,
            Measure::Instructions { .. } | Measure::Speedup { .. } | Measure::Not { .. } => &[],
        }
    }
}

impl Cells {
    /// Whether a case is among those meant.
    pub(super) fn has(&self, case: &str) -> bool {
        self.words.is_empty() || case.split(' ').any(|word| self.words.contains(&word))
    }
}
