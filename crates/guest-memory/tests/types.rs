//! What the compiler knows of the types.

mod common;

use std::iter::FusedIterator;
use std::sync::Arc;

use common::{Log, Map, Region, marked, three};
use guest_memory::{
    Bytes, FileOffset, GuestAddress, GuestMemory, GuestMemoryError, GuestMemorySliceIterator,
    GuestRegionCollection, IoMemory, IoMemorySliceIterator, MS, MemoryRegionAddress, Permissions,
    SliceRegion, VolatileSlice, WholeBytes,
};

const fn goes_to_other_threads<T: Send + Sync>() {}
const fn is_fused<'a, T: FusedIterator + IoMemorySliceIterator<'a, ()>>() {}
const fn has_bytes<T: Bytes<A> + WholeBytes<A>, A>() {}
const fn is_memory<T: IoMemory + GuestMemory>() {}

const _: () = {
    goes_to_other_threads::<Map>();
    goes_to_other_threads::<Arc<Map>>();
    goes_to_other_threads::<GuestRegionCollection<SliceRegion<'static, Log>>>();
    goes_to_other_threads::<Region>();
    goes_to_other_threads::<GuestMemoryError>();
    goes_to_other_threads::<GuestMemorySliceIterator<'static, Map>>();
    goes_to_other_threads::<VolatileSlice<'static, MS<'static, Map>>>();
    goes_to_other_threads::<FileOffset>();
    goes_to_other_threads::<Permissions>();
    is_fused::<GuestMemorySliceIterator<'static, Map>>();
    has_bytes::<Map, GuestAddress>();
    has_bytes::<Region, MemoryRegionAddress>();
    has_bytes::<VolatileSlice<'static>, usize>();
    has_bytes::<VolatileSlice<'static, Log>, usize>();
    is_memory::<Map>();
};

// A map of regions that live long is a map of regions that live shorter.
#[test]
fn a_map_of_long_lived_memory_will_do_where_a_shorter_one_is_wanted() {
    fn together<'m>(
        map: &GuestRegionCollection<SliceRegion<'m>>,
        region: SliceRegion<'m>,
    ) -> GuestRegionCollection<SliceRegion<'m>> {
        map.insert_region(Arc::new(region)).unwrap()
    }
    let mut ram = [0; 8];
    let memory = together(&three(), SliceRegion::new(GuestAddress(0), &mut ram).unwrap());
    memory.write_obj(1_u64, GuestAddress(0)).unwrap();
    drop(memory);
    assert_eq!(ram, 1_u64.to_ne_bytes());
}

#[test]
fn a_map_is_read_by_many_threads() {
    let (region, _) = marked(0, 0x1000);
    let memory = GuestRegionCollection::from_regions(vec![region]).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let memory = &memory;
            scope.spawn(move || memory.write_obj(thread, GuestAddress(thread * 8)).unwrap());
        }
    });
    let all: [u64; 4] = memory.read_obj(GuestAddress(0)).unwrap();
    assert_eq!(all, [0, 1, 2, 3]);
}

#[test]
fn a_place_in_a_file_is_handed_on() {
    let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
    let place = FileOffset::new(file, 0x1000);
    let shared = FileOffset::from_arc(Arc::clone(place.arc()), 0x2000);
    assert_eq!((place.start(), shared.start()), (0x1000, 0x2000));
    assert!(Arc::ptr_eq(place.arc(), shared.clone().arc()));
    assert!(std::ptr::eq(place.file(), shared.file()));
}
