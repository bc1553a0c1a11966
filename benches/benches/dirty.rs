//! guest-dirty: marks, harvests, and writes that are recorded.

use std::hint::black_box;
use std::num::NonZeroUsize;

use benches::{Layout, Random, beside, measure, ours};
use criterion::{BatchSize, Criterion, Throughput};
use guest_dirty::{AtomicBitmap, DEFAULT_PAGE_SIZE};
use guest_memory::Bytes as _;
use guest_volatile::Bitmap as _;

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

/// Many pages at once, which are dirty already.
fn marks(criterion: &mut Criterion) {
    let bitmap = AtomicBitmap::new(GIB, DEFAULT_PAGE_SIZE);
    let mut group = criterion.benchmark_group("guest-dirty/mark_dirty");
    for (name, len) in [("1MiB", MIB), ("1GiB", GIB)] {
        let len = black_box(len);
        group.bench_function(name, |bencher| bencher.iter(|| bitmap.mark_dirty(0, len)));
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

/// Through a map of memory with bitmaps.
fn writes(criterion: &mut Criterion) {
    const BLOCK: usize = 4 * KIB;
    let layout = Layout::dimms(4);
    let memory = ours::map::<AtomicBitmap>(&layout);
    let addresses = ours::touched(&memory, &layout.addresses(8), 8);
    let value = black_box(1_u64);
    let mut group = criterion.benchmark_group("guest-dirty/write_obj");
    group.throughput(Throughput::Bytes(8));
    measure(&mut group, "u64", &addresses, |addr| {
        memory.write_obj(value, addr).expect("memory is there");
        0
    });
    drop(group);
    let addresses = ours::touched(&memory, &layout.addresses(BLOCK), BLOCK);
    let buffer = black_box(vec![1; BLOCK]);
    let mut group = criterion.benchmark_group("guest-dirty/write_slice");
    group.throughput(Throughput::Bytes(BLOCK as u64));
    measure(&mut group, "4KiB", &addresses, |addr| {
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

fn harvests(criterion: &mut Criterion) {
    let all = AtomicBitmap::new(SIZE, DEFAULT_PAGE_SIZE);
    all.mark_dirty(0, SIZE);
    let mut group = criterion.benchmark_group("guest-dirty/take");
    for (name, bitmap) in [
        ("64GiB-clean", dirty(0, 1)),
        ("64GiB-1%-2MiB", dirty(1, 512)),
        ("64GiB-1%-random", dirty(1, 1)),
        ("64GiB-all", all),
    ] {
        let take = |bitmap: &mut AtomicBitmap| {
            let harvest = bitmap.take().expect("all marks have their page");
            black_box(harvest.words());
            harvest.commit();
        };
        group.bench_function(name, |bencher| {
            bencher.iter_batched_ref(|| bitmap.clone(), take, BatchSize::PerIteration);
        });
    }
}

/// What is dirty, without taking it out of the bitmap; and the bits of a hypervisor.
fn questions(criterion: &mut Criterion) {
    let bitmap = dirty(1, 1);
    let mut group = criterion.benchmark_group("guest-dirty/dirty_bytes");
    group.bench_function("64GiB", |bencher| bencher.iter(|| bitmap.dirty_bytes(0, SIZE)));
    drop(group);
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
