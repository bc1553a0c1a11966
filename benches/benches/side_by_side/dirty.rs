//! Writes that are recorded, and the record.

use std::hint::black_box;
use std::num::NonZeroUsize;

use benches::raw::{Copies, Place};
use benches::{Layout, Random, measure};
use criterion::{BatchSize, Criterion, Throughput};
use guest_dirty::{AtomicBitmap, DEFAULT_PAGE_SIZE};
use guest_memory::Bytes as _;
use guest_volatile::Bitmap as _;
use vm_memory::Bytes as _;
use vm_memory::bitmap::{AtomicBitmap as PublishedBitmap, Bitmap as _};

use crate::contest::{OURS, PUBLISHED, Pair, RAW, group};

type Maps = Pair<AtomicBitmap, PublishedBitmap>;

const GIB: usize = 1 << 30;
const PAGE_SIZE: NonZeroUsize = DEFAULT_PAGE_SIZE;

pub(crate) fn bench(criterion: &mut Criterion) {
    let maps = Maps::new(Layout::dimms(4));
    write_obj(criterion, &maps);
    write_slice(criterion, &maps);
    mark_dirty(criterion);
    harvest(criterion);
}

/// The pages are dirty already. The raw contestant records nothing.
fn write_obj(criterion: &mut Criterion, maps: &Maps) {
    let (ours, published) = maps.addresses(size_of::<u64>());
    let places = Place::<u64>::of(&maps.ours, &ours);
    let value = black_box(1_u64);
    let mut group = group(criterion, "write_obj_recorded", "u64");
    group.throughput(Throughput::Bytes(size_of::<u64>() as u64));
    measure(&mut group, RAW, &places, |place| {
        place.write(value);
        0
    });
    measure(&mut group, OURS, &ours, |addr| {
        maps.ours.write_obj(value, addr).expect("memory is there");
        0
    });
    measure(&mut group, PUBLISHED, &published, |addr| {
        maps.published.write_obj(value, addr).expect("memory is there");
        0
    });
}

/// As [`write_obj`], of a page's length.
fn write_slice(criterion: &mut Criterion, maps: &Maps) {
    const SIZE: usize = 4096;
    let (ours, published) = maps.addresses(SIZE);
    let mut copies = Copies::of(&maps.ours, &ours, SIZE);
    let buffer = black_box(vec![1; SIZE]);
    let mut group = group(criterion, "write_slice_recorded", "4KiB");
    group.throughput(Throughput::Bytes(SIZE as u64));
    group.bench_function(RAW, |bencher| bencher.iter_custom(|count| copies.write(count)));
    measure(&mut group, OURS, &ours, |addr| {
        maps.ours.write_slice(&buffer, addr).expect("memory is there");
        black_box(addr);
        0
    });
    measure(&mut group, PUBLISHED, &published, |addr| {
        maps.published.write_slice(&buffer, addr).expect("memory is there");
        black_box(addr);
        0
    });
}

/// The raw contestant sets bytes without telling any other CPU.
fn mark_dirty(criterion: &mut Criterion) {
    let ours = AtomicBitmap::new(GIB, PAGE_SIZE);
    let published = PublishedBitmap::new(GIB, PAGE_SIZE);
    let mut raw = vec![0_u64; words(GIB)];
    let mut group = group(criterion, "mark_dirty", "1GiB");
    group.bench_function(RAW, |bencher| {
        bencher.iter(|| {
            raw.fill(!0);
            black_box(raw.as_ptr());
        });
    });
    group.bench_function(OURS, |bencher| bencher.iter(|| ours.mark_dirty(0, GIB)));
    group.bench_function(PUBLISHED, |bencher| bencher.iter(|| published.mark_dirty(0, GIB)));
}

/// The raw contestant copies the words and clears them, as if nobody marked meanwhile; it has a place for the copy, where
/// the others allocate one.
fn harvest(criterion: &mut Criterion) {
    const SIZE: usize = 64 * GIB;
    let pages = SIZE / PAGE_SIZE.get();
    let mut random = Random::new(1);
    let shares = [
        ("64GiB-clean", Vec::new()),
        (
            "64GiB-1%-random",
            (0..pages / 100).map(|_| random.below(pages as u64) as usize).collect(),
        ),
        ("64GiB-all", (0..pages).collect()),
    ];
    for (name, dirty) in shares {
        let ours = AtomicBitmap::new(SIZE, PAGE_SIZE);
        let published = PublishedBitmap::new(SIZE, PAGE_SIZE);
        let mut raw = vec![0_u64; words(SIZE)];
        let mut taken = raw.clone();
        for page in dirty {
            ours.set_bit(page);
            published.set_bit(page);
            raw[page / 64] |= 1 << (page % 64);
        }
        let mut group = group(criterion, "harvest", name);
        group.bench_function(RAW, |bencher| {
            let take = |words: &mut Vec<u64>| {
                taken.copy_from_slice(words);
                words.fill(0);
                black_box(taken.as_ptr());
            };
            bencher.iter_batched_ref(|| raw.clone(), take, BatchSize::PerIteration);
        });
        group.bench_function(OURS, |bencher| {
            let take = |bitmap: &mut AtomicBitmap| {
                let harvest = bitmap.take().expect("all marks have their page");
                black_box(&harvest);
                harvest.commit();
            };
            bencher.iter_batched_ref(|| ours.clone(), take, BatchSize::PerIteration);
        });
        group.bench_function(PUBLISHED, |bencher| {
            let take = |bitmap: &mut PublishedBitmap| {
                black_box(bitmap.get_and_reset());
            };
            bencher.iter_batched_ref(|| published.clone(), take, BatchSize::PerIteration);
        });
    }
}

/// How many words hold the bits of so many bytes.
fn words(size: usize) -> usize {
    size.div_ceil(PAGE_SIZE.get()).div_ceil(64)
}
