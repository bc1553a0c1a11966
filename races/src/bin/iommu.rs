//! Who has invalidated a translation and waited for its leases may use the page for something else.
//!
//! Devices read and write a page by their own address for it; over and over it is another page. Planted: nobody waits for the leases.

use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, Ordering};

use guest_iommu::{IommuMemory, Iotlb};
use guest_memory::{
    Bytes, GuestAddress, GuestRegionCollection, IoMemory, Permissions, SliceRegion,
};
use guest_memory_races::{beside, for_a_while, is_planted};

const PAGE: usize = 0x1000;
/// What the device knows the page by: its own part for each device.
const IOVA: u64 = 0x8000;

type Memory<'a> = IommuMemory<GuestRegionCollection<SliceRegion<'a>>, RwLock<Iotlb>, ()>;

/// Writes to its own part of the page and reads it, by single accesses.
fn by_accesses(memory: &Memory<'_>, at: GuestAddress) {
    let _ = memory.write_obj(at.0, at);
    let _ = memory.read_obj::<u64>(at);
}

/// By a slice that it keeps for a while, and cuts.
fn by_slices(memory: &Memory<'_>, at: GuestAddress) {
    let Some(slice) = memory.find_io_slice(at, 16, Permissions::ReadWrite) else { return };
    let part = slice.offset(8).expect("there are 16");
    drop(slice);
    std::thread::yield_now();
    part.write_obj(at.0, 0).expect("it is for writing");
}

/// By a lease of its own.
fn by_a_lease(memory: &Memory<'_>, at: GuestAddress) {
    let lease = memory.lease();
    by_slices(memory, at);
    std::thread::yield_now();
    drop(lease);
}

fn main() {
    let planted = is_planted();
    let mut ram = vec![0; 2 * PAGE];
    let region = SliceRegion::new(GuestAddress(0), &mut ram).expect("it has bytes");
    let ram = GuestRegionCollection::from_regions(vec![region]).expect("one is in order");
    let memory = Memory::new(ram, RwLock::new(Iotlb::new()), true, ());
    let pages = [GuestAddress(0), GuestAddress(PAGE as u64)];
    let map_others = || {
        for_a_while(|number| {
            let old = pages[usize::from(number % 2 == 0)];
            let new = pages[usize::from(number % 2 != 0)];
            let mut table = memory.iommu().write().expect("no thread panics");
            let iova = GuestAddress(IOVA);
            table.invalidate_mapping(iova, PAGE).expect("no overflow");
            if number % 3 == 0 {
                table.set_mapping(iova, new, PAGE, Permissions::ReadWrite).expect("no overflow");
            }
            drop(table);
            if !planted {
                memory.past_leases().wait();
            }
            let backend = memory.get_backend();
            backend.write_slice(&[0; PAGE], old).expect("it is there");
            if number % 3 != 0 {
                let mut table = memory.iommu().write().expect("no thread panics");
                table.set_mapping(iova, new, PAGE, Permissions::ReadWrite).expect("no overflow");
            }
        });
    };
    let device = |number: u64, does: fn(&Memory<'_>, GuestAddress)| {
        let memory = memory.clone();
        Box::new(move |stopped: &AtomicBool| {
            while !stopped.load(Ordering::Relaxed) {
                does(&memory, GuestAddress(IOVA + 0x100 * number));
            }
        })
    };
    beside(map_others, vec![device(0, by_accesses), device(1, by_slices), device(2, by_a_lease)]);
}
