//! The map in force, and an access through it.

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use benches::raw::Place;
use benches::{Layout, measure};
use criterion::{Criterion, Throughput};
use guest_atomic::GuestMemoryAtomic;
use guest_memory::{Bytes as _, GuestAddressSpace as _};
use vm_memory::{Bytes as _, GuestAddressSpace as _};

use crate::contest::{OURS, PUBLISHED, Pair, RAW, group};

type Maps = Pair<(), ()>;

/// For operations that need no address.
const NOTHING: [(); 1024] = [(); 1024];

pub(crate) fn bench(criterion: &mut Criterion) {
    let maps = Maps::new(Layout::dimms(4));
    snapshot(criterion, &maps);
    snapshot_and_read(criterion, &maps);
}

fn snapshot(criterion: &mut Criterion, maps: &Maps) {
    let pointer = AtomicPtr::new(ptr::from_ref(maps).cast_mut());
    let ours = GuestMemoryAtomic::new(maps.ours.clone());
    let published = vm_memory::GuestMemoryAtomic::new(maps.published.clone());
    let mut group = group(criterion, "snapshot", "4-regions");
    measure(&mut group, RAW, &NOTHING, |()| pointer.load(Ordering::Acquire).addr() as u64);
    measure(&mut group, OURS, &NOTHING, |()| ptr::from_ref(&*ours.memory()).addr() as u64);
    measure(&mut group, PUBLISHED, &NOTHING, |()| {
        ptr::from_ref(&*published.memory()).addr() as u64
    });
}

fn snapshot_and_read(criterion: &mut Criterion, maps: &Maps) {
    let (addresses, published_addresses) = maps.addresses(size_of::<u32>());
    let places = Place::<u32>::of(&maps.ours, &addresses);
    let pointer = AtomicPtr::new(ptr::from_ref(maps).cast_mut());
    let ours = GuestMemoryAtomic::new(maps.ours.clone());
    let published = vm_memory::GuestMemoryAtomic::new(maps.published.clone());
    let mut group = group(criterion, "snapshot+read_obj", "u32");
    group.throughput(Throughput::Bytes(size_of::<u32>() as u64));
    measure(&mut group, RAW, &places, |place| {
        (pointer.load(Ordering::Acquire).addr() as u64).wrapping_add(place.read().into())
    });
    measure(&mut group, OURS, &addresses, |addr| {
        ours.memory().read_obj::<u32>(addr).expect("memory is there").into()
    });
    measure(&mut group, PUBLISHED, &published_addresses, |addr| {
        published.memory().read_obj::<u32>(addr).expect("memory is there").into()
    });
}
