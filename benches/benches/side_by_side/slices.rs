//! Runs of bytes, whose length the compiler does not know.

use std::hint::black_box;

use benches::raw::Copies;
use benches::{Layout, measure};
use criterion::{Criterion, Throughput};
use guest_memory::Bytes as _;
use vm_memory::Bytes as _;

use crate::contest::{OURS, PUBLISHED, Pair, RAW, group};

type Maps = Pair<(), ()>;

const READS: [(&str, usize); 5] =
    [("16B", 16), ("256B", 256), ("4KiB", 4 << 10), ("64KiB", 64 << 10), ("1MiB", 1 << 20)];
const WRITES: [(&str, usize); 3] = [("16B", 16), ("256B", 256), ("4KiB", 4 << 10)];

pub(crate) fn bench(criterion: &mut Criterion) {
    let maps = Maps::new(Layout::dimms(4));
    for (name, size) in READS {
        read_slice(criterion, &maps, name, size);
    }
    for (name, size) in WRITES {
        write_slice(criterion, &maps, name, size);
    }
    read_across(criterion, &maps);
}

fn read_slice(criterion: &mut Criterion, maps: &Maps, name: &str, size: usize) {
    let (ours, published) = maps.addresses(size);
    let mut copies = Copies::of(&maps.ours, &ours, size);
    let mut buffer = vec![0; size];
    let mut group = group(criterion, "read_slice", name);
    group.throughput(Throughput::Bytes(size as u64));
    group.bench_function(RAW, |bencher| bencher.iter_custom(|count| copies.read(count)));
    measure(&mut group, OURS, &ours, |addr| {
        maps.ours.read_slice(&mut buffer, addr).expect("memory is there");
        black_box(buffer.as_ptr());
        0
    });
    measure(&mut group, PUBLISHED, &published, |addr| {
        maps.published.read_slice(&mut buffer, addr).expect("memory is there");
        black_box(buffer.as_ptr());
        0
    });
}

fn write_slice(criterion: &mut Criterion, maps: &Maps, name: &str, size: usize) {
    let (ours, published) = maps.addresses(size);
    let mut copies = Copies::of(&maps.ours, &ours, size);
    let buffer = black_box(vec![1; size]);
    let mut group = group(criterion, "write_slice", name);
    group.throughput(Throughput::Bytes(size as u64));
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

/// A half from one region, a half from the next.
fn read_across(criterion: &mut Criterion, maps: &Maps) {
    const SIZE: usize = 256;
    let (ours, published) = maps.borders(SIZE);
    let mut buffer = vec![0; SIZE];
    let mut group = group(criterion, "read_slice_across", "256B");
    group.throughput(Throughput::Bytes(SIZE as u64));
    measure(&mut group, OURS, &ours, |addr| {
        maps.ours.read_slice(&mut buffer, addr).expect("memory is there");
        black_box(buffer.as_ptr());
        0
    });
    measure(&mut group, PUBLISHED, &published, |addr| {
        maps.published.read_slice(&mut buffer, addr).expect("memory is there");
        black_box(buffer.as_ptr());
        0
    });
}
