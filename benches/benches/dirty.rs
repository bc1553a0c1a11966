//! guest-dirty: marks, harvests, and writes that are recorded.

use std::hint::black_box;
use std::num::NonZeroUsize;

use benches::{Layout, Random, beside, measure, ours};
use criterion::{BatchSize, Criterion, Throughput};
use guest_dirty::{AtomicBitmap, DEFAULT_PAGE_SIZE, HarvestBuffer, SwitchedBitmap};
use guest_memory::Bytes as _;
use guest_volatile::{Bitmap as _, NewBitmap};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;

/// The memory that is harvested.
const SIZE: usize = 64 * GIB;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    marks(&mut criterion);
    small_marks(&mut criterion);
    writes(&mut criterion);
    harvests(&mut criterion);
    questions(&mut criterion);
    criterion.final_summary();
}

/// Many pages at once, which are clean, or dirty already.
fn marks(criterion: &mut Criterion) {
    for (discipline, bitmap) in [
        ("checked-if-possible", AtomicBitmap::new(GIB, DEFAULT_PAGE_SIZE)),
        ("strict", AtomicBitmap::new_strict(GIB, DEFAULT_PAGE_SIZE)),
    ] {
        let group = format!("guest-dirty/mark_dirty/{discipline}");
        let mut group = criterion.benchmark_group(group);
        for (name, len) in [("1MiB", MIB), ("1GiB", GIB)] {
            let len = black_box(len);
            group.bench_function(format!("{name}-fresh"), |bencher| {
                let fresh = || bitmap.reset();
                bencher.iter_batched(
                    fresh,
                    |()| bitmap.mark_dirty(0, len),
                    BatchSize::PerIteration,
                );
            });
            group.bench_function(format!("{name}-dirty"), |bencher| {
                bencher.iter(|| bitmap.mark_dirty(0, len));
            });
        }
    }
}

/// A few bytes each, as after the write of an object.
fn small_marks(criterion: &mut Criterion) {
    let mut random = Random::new(1);
    let offsets: Vec<_> = (0..4096).map(|_| random.below(GIB as u64 - 8) as usize).collect();
    let bitmap = AtomicBitmap::new(GIB, DEFAULT_PAGE_SIZE);
    let odd = NonZeroUsize::new(5000).expect("5000 is not 0");
    let odd = AtomicBitmap::new(GIB, odd);
    let mut group = criterion.benchmark_group("guest-dirty/mark_dirty_random");
    measure(&mut group, "8B", &offsets, |offset| {
        bitmap.mark_dirty(offset, 8);
        0
    });
    measure(&mut group, "8B-odd-page-size", &offsets, |offset| {
        odd.mark_dirty(offset, 8);
        0
    });
    drop(group);
    let mut group = criterion.benchmark_group("guest-dirty/mark_dirty_same_page");
    for (name, company) in [("1-thread", false), ("2-threads", true)] {
        let mut mark = || {
            measure(&mut group, name, &offsets, |_| {
                bitmap.mark_dirty(0, 8);
                0
            });
        };
        if company { beside(|| bitmap.mark_dirty(0, 8), mark) } else { mark() }
    }
}

/// Through a map of memory without a bitmap, with one, and with one that is off.
fn writes(criterion: &mut Criterion) {
    writes_to::<()>(criterion, "plain");
    writes_to::<AtomicBitmap>(criterion, "recorded");
    writes_to::<SwitchedBitmap>(criterion, "switched-off");
}

fn writes_to<B: NewBitmap>(criterion: &mut Criterion, name: &str) {
    const BLOCK: usize = 4 * KIB;
    let layout = Layout::dimms(4);
    let memory = ours::map::<B>(&layout);
    let addresses = ours::touched(&memory, &layout.addresses(8), 8);
    let value = black_box(1_u64);
    let mut group = criterion.benchmark_group("guest-dirty/write_obj_u64");
    group.throughput(Throughput::Bytes(8));
    measure(&mut group, name, &addresses, |addr| {
        memory.write_obj(value, addr).expect("memory is there");
        0
    });
    drop(group);
    let addresses = ours::touched(&memory, &layout.addresses(BLOCK), BLOCK);
    let buffer = black_box(vec![1; BLOCK]);
    let mut group = criterion.benchmark_group("guest-dirty/write_slice_4KiB");
    group.throughput(Throughput::Bytes(BLOCK as u64));
    measure(&mut group, name, &addresses, |addr| {
        memory.write_slice(&buffer, addr).expect("memory is there");
        0
    });
}

/// A bitmap of [`SIZE`] bytes of which so many percent are dirty, in clusters of so many pages.
fn dirty(percent: usize, cluster: usize) -> AtomicBitmap {
    let bitmap = AtomicBitmap::new(SIZE, DEFAULT_PAGE_SIZE);
    let clusters = bitmap.len() / cluster;
    let len = cluster * DEFAULT_PAGE_SIZE.get();
    let mut random = Random::new(1);
    for _ in 0..clusters * percent / 100 {
        bitmap.mark_dirty(random.below(clusters as u64) as usize * len, len);
    }
    bitmap
}

/// Each with the buffer of the one before. `alone` is by the only reference, and `floor` what it would be to copy the
/// words of a bitmap and clear them, as if nobody marked meanwhile.
fn harvests(criterion: &mut Criterion) {
    for (name, original) in shares() {
        let mut group = criterion.benchmark_group(format!("guest-dirty/harvest/{name}"));
        let mut buffer = HarvestBuffer::default();
        group.bench_function("shared", |bencher| {
            let take = |bitmap: &mut AtomicBitmap| {
                let harvest = bitmap.take_with(core::mem::take(&mut buffer));
                let harvest = black_box(harvest.expect("all marks have their page"));
                buffer = harvest.commit_into_buffer();
            };
            bencher.iter_batched_ref(|| original.clone(), take, BatchSize::PerIteration);
        });
        group.bench_function("alone", |bencher| {
            let take = |bitmap: &mut AtomicBitmap| {
                let harvest = bitmap.take_mut_with(core::mem::take(&mut buffer));
                let harvest = black_box(harvest.expect("all marks have their page"));
                buffer = harvest.commit_into_buffer();
            };
            bencher.iter_batched_ref(|| original.clone(), take, BatchSize::PerIteration);
        });
        let mut words = original.to_words();
        let mut copy = words.clone();
        group.bench_function("floor", |bencher| {
            bencher.iter(|| {
                copy.copy_from_slice(black_box(&words));
                words.fill(0);
                black_box((&copy, &words));
            });
        });
    }
}

/// Bitmaps of [`SIZE`] bytes, and how much of them is dirty.
fn shares() -> [(&'static str, AtomicBitmap); 4] {
    let all = AtomicBitmap::new(SIZE, DEFAULT_PAGE_SIZE);
    all.mark_dirty(0, SIZE);
    [
        ("64GiB-clean", dirty(0, 1)),
        ("64GiB-1%-2MiB", dirty(1, 512)),
        ("64GiB-1%-random", dirty(1, 1)),
        ("64GiB-all", all),
    ]
}

/// What is dirty, without taking it out of the bitmap; and the bits of a hypervisor.
fn questions(criterion: &mut Criterion) {
    let bitmap = dirty(1, 1);
    let mut group = criterion.benchmark_group("guest-dirty/dirty_bytes");
    group.bench_function("64GiB", |bencher| bencher.iter(|| bitmap.dirty_bytes(0, SIZE)));
    drop(group);
    for (name, bitmap) in shares() {
        let mut group = criterion.benchmark_group(format!("guest-dirty/scan/{name}"));
        group.bench_function("runs", |bencher| bencher.iter(|| bitmap.dirty_runs().count()));
        let words = bitmap.to_words();
        group.bench_function("floor", |bencher| {
            bencher.iter(|| black_box(&words).iter().fold(0, |any, word| any | word));
        });
    }
    let mut group = criterion.benchmark_group("guest-dirty/runs");
    let taken = bitmap.clone();
    let harvest = taken.take().expect("all marks have their page");
    group.bench_function("64GiB-1%-random", |bencher| bencher.iter(|| harvest.runs().count()));
    drop(group);
    let log = bitmap.to_words();
    let log = &log[..GIB / DEFAULT_PAGE_SIZE / 64];
    let mut group = criterion.benchmark_group("guest-dirty/merge_words");
    group.bench_function("1GiB", |bencher| bencher.iter(|| bitmap.merge_words(0, log)));
}
