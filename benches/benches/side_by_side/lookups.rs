//! Where an address lies, without access.

use std::ptr;

use benches::{Layout, measure};
use criterion::Criterion;
use guest_memory::GuestMemory as _;
use vm_memory::GuestMemoryBackend as _;

use crate::contest::{OURS, PUBLISHED, Pair, group};

type Maps = Pair<(), ()>;

/// The length of the ranges that are asked for.
const LEN: usize = 64;

pub(crate) fn bench(criterion: &mut Criterion) {
    let layouts = [
        ("1-region", Layout::dimms(1)),
        ("4-regions", Layout::dimms(4)),
        ("512-regions", Layout::dimms(512)),
    ];
    for (size, layout) in layouts {
        let maps = Maps::new(layout);
        find_region(criterion, &maps, size);
        get_slice(criterion, &maps, size);
        check_range(criterion, &maps, size);
    }
}

fn find_region(criterion: &mut Criterion, maps: &Maps, size: &str) {
    let (ours, published) = maps.addresses(LEN);
    let mut group = group(criterion, "find_region", size);
    measure(&mut group, OURS, &ours, |addr| {
        ptr::from_ref(maps.ours.find_region(addr).expect("memory is there")).addr() as u64
    });
    measure(&mut group, PUBLISHED, &published, |addr| {
        ptr::from_ref(maps.published.find_region(addr).expect("memory is there")).addr() as u64
    });
}

fn get_slice(criterion: &mut Criterion, maps: &Maps, size: &str) {
    let (ours, published) = maps.addresses(LEN);
    let mut group = group(criterion, "get_slice", size);
    measure(&mut group, OURS, &ours, |addr| {
        let slice = maps.ours.get_slice(addr, LEN).expect("memory is there");
        slice.host_ptr().as_ptr().addr() as u64
    });
    measure(&mut group, PUBLISHED, &published, |addr| {
        let slice = maps.published.get_slice(addr, LEN).expect("memory is there");
        slice.ptr_guard().as_ptr().addr() as u64
    });
}

fn check_range(criterion: &mut Criterion, maps: &Maps, size: &str) {
    let (ours, published) = maps.addresses(LEN);
    let mut group = group(criterion, "check_range", size);
    measure(&mut group, OURS, &ours, |addr| maps.ours.check_range(addr, LEN).into());
    measure(&mut group, PUBLISHED, &published, |addr| maps.published.check_range(addr, LEN).into());
}
