//! The record by itself: marks, harvests, questions.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::compare::contestant::Record;
use crate::compare::contestants::{FacadeRecord, OurRecord, Record016, Record018};
use crate::compare::session::{Company, Group, Session};
use crate::random::Random;

const PAGE: usize = 4096;
const GIB: usize = 1 << 30;

/// The memory that is harvested.
const SIZE: usize = 64 * GIB;

/// The record of each contestant, of the same pages.
struct Records {
    v016: Record016,
    v018: Record018,
    ours: OurRecord,
    facade: FacadeRecord,
    /// A bit a page, as the raw contestant has them.
    words: Vec<u64>,
}

impl Records {
    /// For so many bytes, of which these runs of pages are dirty.
    fn new(len: usize, dirty: &[(usize, usize)]) -> Self {
        let mut words = vec![0; len / PAGE / 64];
        for page in dirty.iter().flat_map(|&(first, count)| first..first + count) {
            words[page / 64] |= 1 << (page % 64);
        }
        Self {
            v016: record(len, dirty),
            v018: record(len, dirty),
            ours: record(len, dirty),
            facade: record(len, dirty),
            words,
        }
    }
}

fn record<R: Record>(len: usize, dirty: &[(usize, usize)]) -> R {
    let record = R::new(len);
    for &(first, count) in dirty {
        record.mark(first * PAGE, count * PAGE);
    }
    record
}

/// Adds an operation to a group, once for each record.
macro_rules! add_records {
    ($group:expr, $records:expr, |$record:ident| $body:expr) => {{
        let records = $records;
        let $record = &records.v016;
        $group.add("0.16", $body);
        let $record = &records.v018;
        $group.add("0.18", $body);
        let $record = &records.ours;
        $group.add("ours", $body);
        let $record = &records.facade;
        $group.add("facade", $body);
    }};
}

/// All of them.
pub(crate) fn all(session: &Session) {
    marks(session);
    strict_marks(session);
    harvests(session);
    scan(session);
}

/// As many pages as a word has bits, where every mark locks.
fn strict_marks(session: &Session) {
    const LEN: usize = 64 * PAGE;
    let Some(mut group) = session.group::<Company>("mark_word", "256KiB") else { return };
    let word = AtomicU64::new(0);
    group.add("raw", move |count| {
        let start = Instant::now();
        (0..count).for_each(|_| {
            word.fetch_or(black_box(!0), Ordering::SeqCst);
        });
        start.elapsed()
    });
    let record = OurRecord::strict(GIB);
    let len = black_box(LEN);
    group.add("strict", move |count| {
        let start = Instant::now();
        (0..count).for_each(|_| record.mark(0, len));
        start.elapsed()
    });
    group.run();
}

/// A gibibyte at once. The raw contestant sets bytes without telling any other CPU.
fn marks(session: &Session) {
    if !session.wants("mark_dirty") {
        return;
    }
    let records = Records::new(GIB, &[]);
    let len = black_box(GIB);
    if let Some(mut group) = session.group::<Company>("mark_dirty", "1GiB fresh") {
        add_raw_marks(&mut group);
        add_records!(group, &records, |record| move |count| {
            times(count, || record.reset(), || record.mark(0, len))
        });
        group.run();
    }
    if let Some(mut group) = session.group::<Company>("mark_dirty", "1GiB dirty") {
        add_raw_marks(&mut group);
        add_records!(group, &records, |record| {
            record.mark(0, len);
            move |count| times(count, || (), || record.mark(0, len))
        });
        group.run();
    }
}

fn add_raw_marks(group: &mut Group<'_>) {
    let mut words = vec![0_u64; GIB / PAGE / 64];
    group.add("raw", move |count| {
        times(
            count,
            || (),
            || {
                words.fill(!0);
                black_box(words.as_ptr());
            },
        )
    });
}

/// The raw contestant copies the words and clears them, as if nobody marked meanwhile; it has a place for the copy, as
/// ours has from one harvest to the next; the published call allocates one.
fn harvests(session: &Session) {
    if !session.wants("harvest") {
        return;
    }
    for (name, dirty) in shares() {
        let records = Records::new(SIZE, &dirty);
        let Some(mut group) = session.group::<Company>("harvest", format!("64GiB {name}")) else {
            return;
        };
        let (mut words, mut taken) = (records.words.clone(), records.words.clone());
        group.add("raw", move |count| {
            times(
                count,
                || (),
                || {
                    taken.copy_from_slice(&words);
                    words.fill(0);
                    black_box(taken.as_ptr());
                },
            )
        });
        let dirty = &dirty;
        add_records!(group, &records, |record| {
            let mut buffer = Default::default();
            move |count| {
                let mark = || {
                    dirty.iter().for_each(|&(page, count)| record.mark(page * PAGE, count * PAGE));
                };
                times(count, mark, || record.take(&mut buffer))
            }
        });
        let mut alone: OurRecord = record(SIZE, &[]);
        let mut buffer = Default::default();
        group.add("exclusive", move |count| {
            let mut took = Duration::ZERO;
            for _ in 0..count {
                dirty.iter().for_each(|&(page, count)| alone.mark(page * PAGE, count * PAGE));
                let start = Instant::now();
                alone.take_mut(&mut buffer);
                took += start.elapsed();
            }
            took
        });
        group.run();
    }
}

/// The runs of dirty pages of which the table tells.
fn shares() -> [(&'static str, Vec<(usize, usize)>); 4] {
    const PAGES: usize = SIZE / PAGE;
    const CLUSTER: usize = 512;
    let mut random = Random::new(1);
    let mut some = |count: usize, len: usize| {
        let places = (PAGES / len) as u64;
        (0..count).map(|_| (random.below(places) as usize * len, len)).collect()
    };
    [
        ("clean", Vec::new()),
        ("1% clusters", some(PAGES / CLUSTER / 100, CLUSTER)),
        ("1% random", some(PAGES / 100, 1)),
        ("all", vec![(0, PAGES)]),
    ]
}

/// Which pages are dirty, without taking them. The raw contestant reads the words.
fn scan(session: &Session) {
    if !session.wants("scan") {
        return;
    }
    let records = Records::new(SIZE, &shares()[1].1);
    let Some(mut group) = session.group::<Company>("scan", "64GiB 1% clusters") else { return };
    let words = &records.words;
    group.add("raw", move |count| {
        times(
            count,
            || (),
            || {
                black_box(black_box(words).iter().fold(0, |all, word| all | word));
            },
        )
    });
    let ours = &records.ours;
    group.add("runs", move |count| {
        times(
            count,
            || (),
            || {
                black_box(ours.count_dirty());
            },
        )
    });
    add_records!(group, &records, |record| move |count| {
        times(
            count,
            || (),
            || {
                let pages = (0..SIZE).step_by(PAGE);
                black_box(pages.filter(|offset| record.is_dirty(*offset)).count());
            },
        )
    });
    group.run();
}

/// How long so many operations take together, each after a preparation that is not counted.
fn times(count: u64, mut prepare: impl FnMut(), mut operation: impl FnMut()) -> Duration {
    let mut took = Duration::ZERO;
    for _ in 0..count {
        prepare();
        let start = Instant::now();
        operation();
        took += start.elapsed();
    }
    took
}
