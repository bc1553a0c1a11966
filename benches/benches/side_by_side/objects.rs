//! Objects of constant size: the accesses of which every descriptor costs a handful.

use std::hint::black_box;
use std::sync::atomic::Ordering;

use benches::raw::Place;
use benches::{Layout, measure};
use criterion::{Criterion, Throughput};
use guest_memory::Bytes as _;
use vm_memory::Bytes as _;

use crate::contest::{OURS, PUBLISHED, Pair, RAW, group};

type Maps = Pair<(), ()>;

/// What both crates read and write.
trait Object: guest_memory::ByteValued + vm_memory::ByteValued {}

impl<T: guest_memory::ByteValued + vm_memory::ByteValued> Object for T {}

pub(crate) fn bench(criterion: &mut Criterion) {
    let four = Maps::new(Layout::dimms(4));
    read_obj::<u8>(criterion, &four, "u8", u64::from);
    read_obj::<u32>(criterion, &four, "u32", u64::from);
    read_obj::<u64>(criterion, &four, "u64", u64::from);
    read_obj::<[u64; 2]>(criterion, &four, "16B", sum);
    write_obj::<u8>(criterion, &four, "u8", 1);
    write_obj::<u32>(criterion, &four, "u32", 1);
    write_obj::<u64>(criterion, &four, "u64", 1);
    load(criterion, &four);
    store(criterion, &four);
    let layouts = [
        ("u32-1-region", Layout::dimms(1)),
        ("u32-512-regions", Layout::dimms(512)),
        ("u32-pc", Layout::pc()),
    ];
    for (size, layout) in layouts {
        read_obj::<u32>(criterion, &Maps::new(layout), size, u64::from);
    }
}

/// Uses all of a descriptor.
fn sum([low, high]: [u64; 2]) -> u64 {
    low.wrapping_add(high)
}

fn read_obj<T: Object>(
    criterion: &mut Criterion,
    maps: &Maps,
    size: &str,
    digest: impl Fn(T) -> u64,
) {
    let (ours, published) = maps.addresses(size_of::<T>());
    let places = Place::<T>::of(&maps.ours, &ours);
    let mut group = group(criterion, "read_obj", size);
    group.throughput(Throughput::Bytes(size_of::<T>() as u64));
    measure(&mut group, RAW, &places, |place| digest(place.read()));
    measure(&mut group, OURS, &ours, |addr| {
        digest(maps.ours.read_obj(addr).expect("memory is there"))
    });
    measure(&mut group, PUBLISHED, &published, |addr| {
        digest(maps.published.read_obj(addr).expect("memory is there"))
    });
}

fn write_obj<T: Object>(criterion: &mut Criterion, maps: &Maps, size: &str, value: T) {
    let (ours, published) = maps.addresses(size_of::<T>());
    let places = Place::<T>::of(&maps.ours, &ours);
    let value = black_box(value);
    let mut group = group(criterion, "write_obj", size);
    group.throughput(Throughput::Bytes(size_of::<T>() as u64));
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

fn load(criterion: &mut Criterion, maps: &Maps) {
    let (ours, published) = maps.addresses(size_of::<u16>());
    let places = Place::<u16>::of(&maps.ours, &ours);
    let mut group = group(criterion, "load", "u16");
    group.throughput(Throughput::Bytes(size_of::<u16>() as u64));
    measure(&mut group, RAW, &places, |place| place.load().into());
    measure(&mut group, OURS, &ours, |addr| {
        maps.ours.load::<u16>(addr, Ordering::Acquire).expect("memory is there").into()
    });
    measure(&mut group, PUBLISHED, &published, |addr| {
        maps.published.load::<u16>(addr, Ordering::Acquire).expect("memory is there").into()
    });
}

fn store(criterion: &mut Criterion, maps: &Maps) {
    let (ours, published) = maps.addresses(size_of::<u16>());
    let places = Place::<u16>::of(&maps.ours, &ours);
    let value = black_box(1_u16);
    let mut group = group(criterion, "store", "u16");
    group.throughput(Throughput::Bytes(size_of::<u16>() as u64));
    measure(&mut group, RAW, &places, |place| {
        place.store(value);
        0
    });
    measure(&mut group, OURS, &ours, |addr| {
        maps.ours.store(value, addr, Ordering::Release).expect("memory is there");
        0
    });
    measure(&mut group, PUBLISHED, &published, |addr| {
        maps.published.store(value, addr, Ordering::Release).expect("memory is there");
        0
    });
}
