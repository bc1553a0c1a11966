//! guest-mmap: memory from the operating system, and streams over descriptors.

use std::fs::File;
use std::hint::black_box;
use std::io::{Read as _, Write as _};

use benches::{Layout, measure, ours};
use criterion::{Criterion, Throughput};
use guest_dirty::AtomicBitmap;
use guest_memory::{Bytes as _, GuestAddress, GuestMemory as _};
use guest_mmap::{GuestMemoryMmap, MmapRegion};

/// The size of what goes through a descriptor: a block of a disk.
const BLOCK: usize = 4 << 10;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    maps(&mut criterion);
    let layout = Layout::dimms(4);
    let memory = ours::map::<()>(&layout);
    host_addresses(&mut criterion, &memory, &layout);
    reads(&mut criterion, &memory, &layout);
    writes(&mut criterion, &memory, &layout);
    criterion.final_summary();
}

/// Mapped and unmapped again; no byte is accessed.
fn maps(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("guest-mmap/region");
    group.bench_function("128MiB", |bencher| bencher.iter(|| MmapRegion::<()>::new(128 << 20)));
    group.bench_function("128MiB-bitmap", |bencher| {
        bencher.iter(|| MmapRegion::<AtomicBitmap>::new(128 << 20));
    });
    drop(group);
    let mut group = criterion.benchmark_group("guest-mmap/from_ranges");
    for count in [1, 512] {
        let layout = Layout::dimms(count);
        let name = format!("{count}-regions");
        group.bench_function(name, |bencher| bencher.iter(|| ours::map::<()>(&layout)));
    }
}

fn host_addresses(criterion: &mut Criterion, memory: &GuestMemoryMmap, layout: &Layout) {
    let addresses = ours::touched(memory, &layout.addresses(1), 1);
    let mut group = criterion.benchmark_group("guest-mmap/get_host_address");
    measure(&mut group, "4-regions", &addresses, |addr| {
        memory.get_host_address(addr).expect("memory is there").addr() as u64
    });
}

/// From a device that gives zeros, so that what is measured is the call and not the file system.
fn reads(criterion: &mut Criterion, memory: &GuestMemoryMmap, layout: &Layout) {
    let mut zeros = File::open("/dev/zero").expect("there is /dev/zero");
    let mut buffer = black_box(vec![0; BLOCK]);
    let mut group = criterion.benchmark_group("guest-mmap/read_exact_volatile_from");
    group.throughput(Throughput::Bytes(BLOCK as u64));
    group.bench_function("4KiB-raw", |bencher| {
        bencher.iter(|| zeros.read_exact(&mut buffer).expect("zeros never end"));
    });
    for (name, addresses) in tables(memory, layout) {
        measure(&mut group, name, &addresses, |addr| {
            memory.read_exact_volatile_from(addr, &mut zeros, BLOCK).expect("zeros never end");
            0
        });
    }
}

/// To a device that takes everything.
fn writes(criterion: &mut Criterion, memory: &GuestMemoryMmap, layout: &Layout) {
    let mut null = File::options().write(true).open("/dev/null").expect("there is /dev/null");
    let buffer = black_box(vec![0; BLOCK]);
    let mut group = criterion.benchmark_group("guest-mmap/write_all_volatile_to");
    group.throughput(Throughput::Bytes(BLOCK as u64));
    group.bench_function("4KiB-raw", |bencher| {
        bencher.iter(|| null.write_all(&buffer).expect("it takes everything"));
    });
    for (name, addresses) in tables(memory, layout) {
        measure(&mut group, name, &addresses, |addr| {
            memory.write_all_volatile_to(addr, &mut null, BLOCK).expect("it takes everything");
            0
        });
    }
}

/// Addresses of blocks in one region, and of blocks across two.
fn tables(memory: &GuestMemoryMmap, layout: &Layout) -> [(&'static str, Vec<GuestAddress>); 2] {
    [
        ("4KiB", ours::touched(memory, &layout.addresses(BLOCK), BLOCK)),
        ("4KiB-across", ours::touched(memory, &layout.borders(BLOCK), BLOCK)),
    ]
}
