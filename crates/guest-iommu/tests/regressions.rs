//! What vm-memory 0.18 does wrong, each by a name that says what it did.

mod common;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use common::{TOP, dirty_gpas, map, mapped, memory, unmap};
use guest_iommu::{Error, GuestAddress, Iotlb};
use guest_memory::Permissions::{Read, ReadWrite, Write};
use guest_memory::{Bytes, IoMemory};

/// It added without a check: a panic in debug builds, and a lookup of nothing, so success, in others.
#[test]
fn a_lookup_that_wraps_panicked_or_found_nothing_wrong() {
    let iotlb = Iotlb::new();
    assert!(Iotlb::lookup(&iotlb, GuestAddress(u64::MAX), 2, Read).is_err());
    assert!(Iotlb::lookup(&iotlb, GuestAddress(1), usize::MAX, Read).is_err());
}

/// `check_range` said yes, and a read moved no byte and was `Ok(0)`.
#[test]
fn a_range_that_wraps_was_accessible_and_empty() {
    let memory = memory(&[(0x1000, 0x1000)]);
    let addr = GuestAddress(u64::MAX - 7);
    assert!(!memory.check_range(addr, 16, Read));
    assert!(memory.read(&mut [0; 16], addr).is_err());
    assert!(memory.write(&[0; 16], addr).is_err());
}

/// There was nothing to take the first piece from.
#[test]
fn an_atomic_load_that_wraps_panicked() {
    use std::sync::atomic::Ordering::Relaxed;
    let memory = memory(&[(0x1000, 0x1000)]);
    assert!(memory.load::<u64>(GuestAddress(u64::MAX - 3), Relaxed).is_err());
    assert!(memory.store(0_u64, GuestAddress(u64::MAX - 3), Relaxed).is_err());
}

/// The table of half-open ranges refuses empty ones with a panic.
#[test]
fn mapping_no_bytes_panicked() {
    let mut iotlb = Iotlb::new();
    assert_eq!(iotlb.set_mapping(GuestAddress(0x1000), GuestAddress(0), 0, Read), Ok(()));
    assert!(iotlb.is_empty());
}

#[test]
fn invalidating_no_bytes_panicked() {
    let mut iotlb = Iotlb::new();
    iotlb.set_mapping(GuestAddress(0x1000), GuestAddress(0), 0x1000, Read).unwrap();
    assert_eq!(iotlb.invalidate_mapping(GuestAddress(0x1800), 0), Ok(()));
    assert_eq!(iotlb.len(), 1);
}

/// The end, 2^64, is no `u64`.
#[test]
fn the_top_page_could_not_be_mapped() {
    let memory = memory(&[(0x1000, 0x1000)]);
    map(&memory, TOP, 0x1000, 0x1000, ReadWrite);
    memory.write_obj(7_u64, GuestAddress(u64::MAX - 7)).unwrap();
    unmap(&memory, TOP, 0x1000);
    assert!(memory.read_obj::<u64>(GuestAddress(u64::MAX - 7)).is_err());
}

#[test]
fn the_top_page_could_not_be_mapped_to() {
    let memory = memory(&[(TOP, 0x1000)]);
    map(&memory, 0x8000, TOP, 0x1000, ReadWrite);
    memory.write_obj(7_u64, GuestAddress(0x8ff8)).unwrap();
    assert_eq!(memory.get_backend().read_obj::<u64>(GuestAddress(u64::MAX - 7)).unwrap(), 7);
}

/// In release builds the range wrapped, and the table panicked or mapped something else.
#[test]
fn a_mapping_that_wraps_was_not_refused() {
    let mut iotlb = Iotlb::new();
    for (iova, gpa) in [(u64::MAX, 0), (0, u64::MAX)] {
        let result = iotlb.set_mapping(GuestAddress(iova), GuestAddress(gpa), 2, Read);
        assert!(matches!(result, Err(Error::Overflow { .. })));
    }
    assert!(iotlb.is_empty());
}

/// The distance from source to target, modulo 2^64, is the same on both sides of the top.
#[test]
fn neighbours_mapped_to_the_last_page_and_to_page_0_were_one_piece_that_wraps() {
    let memory = memory(&[(0, 0x1000), (TOP, 0x1000)]);
    map(&memory, 0x8000, TOP, 0x1000, ReadWrite);
    map(&memory, 0x9000, 0, 0x1000, ReadWrite);
    let iotlb = memory.iommu().read().unwrap();
    let pieces = Iotlb::lookup(&*iotlb, GuestAddress(0x8000), 0x2000, Read).unwrap();
    assert_eq!(pieces.collect::<Vec<_>>(), [mapped(TOP, 0x1000), mapped(0, 0x1000)]);
    drop(iotlb);
    assert!(memory.check_range(GuestAddress(0x8ff8), 0x10, Write));
    memory.write_slice(&[7; 0x10], GuestAddress(0x8ff8)).unwrap();
    assert_eq!(memory.read_obj::<[u8; 0x10]>(GuestAddress(0x8ff8)).unwrap(), [7; 0x10]);
    assert_eq!(memory.get_backend().read_obj::<u8>(GuestAddress(7)).unwrap(), 7);
}

/// The other way round: from the last page to page 0 of the device's addresses nothing goes on.
#[test]
fn the_last_page_and_page_0_are_no_neighbours() {
    let memory = memory(&[(0x1000, 0x2000)]);
    map(&memory, TOP, 0x1000, 0x1000, ReadWrite);
    map(&memory, 0, 0x2000, 0x1000, ReadWrite);
    assert!(!memory.check_range(GuestAddress(TOP), 0x1001, Read));
    assert_eq!(memory.iommu().read().unwrap().len(), 2);
}

/// A slice iterator held the table's lock while the device worked on a slice. A second access of the same thread then hung as
/// soon as another thread waited to invalidate.
#[test]
fn an_access_while_walking_slices_hung_behind_an_invalidation() {
    let (done, finished) = mpsc::channel();
    thread::spawn(move || {
        let memory = memory(&[(0x1000, 0x3000)]);
        map(&memory, 0x8000, 0x2000, 0x1000, ReadWrite);
        map(&memory, 0x9000, 0x1000, 0x1000, ReadWrite);
        map(&memory, 0xa000, 0x3000, 0x1000, ReadWrite);
        thread::scope(|scope| {
            let slices = memory.get_slices(GuestAddress(0x8000), 0x2000, Read).unwrap();
            for (index, slice) in slices.enumerate() {
                let slice = slice.unwrap();
                if index == 0 {
                    let handler = scope.spawn(|| unmap(&memory, 0x8000, 0x1000));
                    handler.join().unwrap();
                }
                memory.write_obj(slice.len() as u64, GuestAddress(0xa000)).unwrap();
            }
        });
        done.send(()).unwrap();
    });
    finished.recv_timeout(Duration::from_secs(30)).expect("it hangs");
}

/// A device could write through a slice that it had got for reading.
#[test]
fn a_slice_for_reading_could_be_written() {
    let memory = memory(&[(0x1000, 0x1000)]);
    map(&memory, 0x8000, 0x1000, 0x1000, Read);
    let mut slices = memory.get_slices(GuestAddress(0x8000), 8, Read).unwrap();
    let slice = slices.next().unwrap().unwrap();
    assert!(slice.write_obj(7_u64, 0).is_err());
    assert_eq!(slice.read_obj::<u64>(0).unwrap(), 0);
}

/// Writes were marked by the device's address only, and past the end of that bitmap nowhere: a migration lost the page.
#[test]
fn a_page_written_above_the_end_of_the_bitmap_was_lost() {
    let memory = memory(&[(0x1000, 0x1000)]);
    map(&memory, 0x1_0000_0000, 0x1000, 0x1000, ReadWrite);
    memory.write_obj(7_u8, GuestAddress(0x1_0000_0000)).unwrap();
    assert_eq!(dirty_gpas(memory.get_backend()), [(0x1000, 0x1000)]);
    assert!(memory.bitmap().take().is_err());
}
