//! guest-volatile: access to one slice of volatile memory, by offset.

use std::hint::black_box;
use std::sync::atomic::Ordering;

use benches::raw::Copies;
use benches::{Layout, POOL, measure, ours};
use criterion::{Criterion, Throughput};
use guest_address::GuestAddress;
use guest_memory::GuestMemory;
use guest_mmap::GuestMemoryMmap;
use guest_volatile::{ByteValued, VolatileSlice};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let layout = Layout::dimms(1);
    let memory = ours::map::<()>(&layout);
    let len = layout.ranges()[0].1;
    let slice = memory.get_slice(GuestAddress(0), len).expect("it is one region");
    objects(&mut criterion, &memory, slice);
    atomics(&mut criterion, &memory, slice);
    copies(&mut criterion, &memory, slice);
    arrays(&mut criterion, slice);
    pieces(&mut criterion, &memory, slice);
    streams(&mut criterion, &memory, slice);
    criterion.final_summary();
}

/// Offsets with `size` bytes at each that were written before. The region begins at 0.
fn offsets(memory: &GuestMemoryMmap, size: usize) -> Vec<usize> {
    let table = ours::touched(memory, &Layout::dimms(1).addresses(size), size);
    table.into_iter().map(|addr| addr.0 as usize).collect()
}

fn objects(criterion: &mut Criterion, memory: &GuestMemoryMmap, slice: VolatileSlice<'_>) {
    object::<u32>(criterion, memory, slice, "u32", 1, u64::from);
    object::<[u64; 2]>(criterion, memory, slice, "16B", [1; 2], |[a, b]| a.wrapping_add(b));
    object::<[u64; 8]>(criterion, memory, slice, "64B", [1; 8], |all| {
        all.into_iter().fold(0, u64::wrapping_add)
    });
}

fn object<T: ByteValued>(
    criterion: &mut Criterion,
    memory: &GuestMemoryMmap,
    slice: VolatileSlice<'_>,
    size: &str,
    value: T,
    digest: impl Fn(T) -> u64,
) {
    let offsets = offsets(memory, size_of::<T>());
    let value = black_box(value);
    let bytes = Throughput::Bytes(size_of::<T>() as u64);
    let mut group = criterion.benchmark_group("guest-volatile/read_obj");
    group.throughput(bytes.clone());
    measure(&mut group, size, &offsets, |offset| {
        digest(slice.read_obj(offset).expect("it lies inside"))
    });
    drop(group);
    let mut group = criterion.benchmark_group("guest-volatile/write_obj");
    group.throughput(bytes);
    measure(&mut group, size, &offsets, |offset| {
        slice.write_obj(value, offset).expect("it lies inside");
        0
    });
}

fn atomics(criterion: &mut Criterion, memory: &GuestMemoryMmap, slice: VolatileSlice<'_>) {
    let offsets = offsets(memory, size_of::<u16>());
    let value = black_box(1_u16);
    let mut group = criterion.benchmark_group("guest-volatile/load");
    measure(&mut group, "u16", &offsets, |offset| {
        slice.load::<u16>(offset, Ordering::Acquire).expect("it lies inside").into()
    });
    drop(group);
    let mut group = criterion.benchmark_group("guest-volatile/store");
    measure(&mut group, "u16", &offsets, |offset| {
        slice.store(value, offset, Ordering::Release).expect("it lies inside");
        0
    });
    drop(group);
    let mut group = criterion.benchmark_group("guest-volatile/fetch_or");
    measure(&mut group, "u16", &offsets, |offset| {
        slice.fetch_or(value, offset, Ordering::Relaxed).expect("it lies inside").into()
    });
}

/// Runs of bytes; reads beside `memcpy(3)`. They recover from faults: what that costs is the difference.
fn copies(criterion: &mut Criterion, memory: &GuestMemoryMmap, slice: VolatileSlice<'_>) {
    for (name, size) in [("64B", 64), ("100B", 100), ("4KiB", 4 << 10), ("1MiB", 1 << 20)] {
        let offsets = offsets(memory, size);
        let addresses: Vec<_> = offsets.iter().map(|&at| GuestAddress(at as u64)).collect();
        let mut memcpy = Copies::of(memory, &addresses, size);
        let mut buffer = black_box(vec![1; size]);
        let bytes = Throughput::Bytes(size as u64);
        let mut group = criterion.benchmark_group("guest-volatile/memcpy");
        group.throughput(bytes.clone());
        group.bench_function(name, |bencher| bencher.iter_custom(|count| memcpy.read(count)));
        drop(group);
        let mut group = criterion.benchmark_group("guest-volatile/read_slice");
        group.throughput(bytes.clone());
        measure(&mut group, name, &offsets, |offset| {
            slice.read_slice(&mut buffer, offset).expect("it lies inside");
            black_box(buffer.as_ptr());
            0
        });
        drop(group);
        let mut group = criterion.benchmark_group("guest-volatile/write_slice");
        group.throughput(bytes);
        measure(&mut group, name, &offsets, |offset| {
            slice.write_slice(&buffer, offset).expect("it lies inside");
            black_box(offset);
            0
        });
    }
}

/// Elements that are each moved whole.
fn arrays(criterion: &mut Criterion, slice: VolatileSlice<'_>) {
    let mut elements = black_box([0_u16; 256]);
    let part = slice.subslice(0, size_of_val(&elements)).expect("it lies inside");
    let bytes = Throughput::Bytes(part.len() as u64);
    let mut group = criterion.benchmark_group("guest-volatile/copy_to");
    group.throughput(bytes.clone());
    group.bench_function("256xu16", |bencher| {
        bencher.iter(|| {
            part.copy_to(&mut elements);
            black_box(elements.as_ptr());
        });
    });
    drop(group);
    let mut group = criterion.benchmark_group("guest-volatile/copy_from");
    group.throughput(bytes);
    group.bench_function("256xu16", |bencher| bencher.iter(|| part.copy_from(&elements)));
}

fn pieces(criterion: &mut Criterion, memory: &GuestMemoryMmap, slice: VolatileSlice<'_>) {
    let offsets = offsets(memory, 64);
    let mut group = criterion.benchmark_group("guest-volatile/subslice");
    measure(&mut group, "64B", &offsets, |offset| {
        let part = slice.subslice(offset, 64).expect("it lies inside");
        part.host_ptr().as_ptr().addr() as u64
    });
    drop(group);
    // An overlap, so that the copy has to look which way to go.
    let (lower, upper) = (slice.subslice(0, POOL), slice.subslice(64, POOL));
    let (lower, upper) = (lower.expect("it lies inside"), upper.expect("it lies inside"));
    let mut group = criterion.benchmark_group("guest-volatile/copy_to_volatile_slice");
    group.throughput(Throughput::Bytes(POOL as u64));
    group.bench_function("128KiB-overlap", |bencher| {
        bencher.iter(|| lower.copy_to_volatile_slice(upper));
    });
}

fn streams(criterion: &mut Criterion, memory: &GuestMemoryMmap, slice: VolatileSlice<'_>) {
    const SIZE: usize = 4 << 10;
    let offsets = offsets(memory, SIZE);
    let source = black_box(vec![1; SIZE]);
    let mut group = criterion.benchmark_group("guest-volatile/read_exact_volatile_from");
    group.throughput(Throughput::Bytes(SIZE as u64));
    measure(&mut group, "4KiB", &offsets, |offset| {
        slice.read_exact_volatile_from(offset, &mut &source[..], SIZE).expect("it lies inside");
        0
    });
}
