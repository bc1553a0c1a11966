//! A write through a translation is marked by the guest address and by the device's.

#![expect(clippy::unwrap_used, reason = "the ways to write are parts of tests, in a table")]

mod common;

use std::sync::RwLock;
use std::sync::atomic::Ordering::SeqCst;

use common::{Memory, TOP, dirty_gpas, dirty_iovas, map, memory, ram};
use guest_iommu::{GuestAddress, IommuMemory, Iotlb};
use guest_memory::Permissions::{Read, ReadWrite, Write};
use guest_memory::{Bytes, GuestMemory, IoMemory, VolatileMemory, WholeBytes};
use guest_volatile::Bitmap;
use rstest::rstest;

/// The device's [0x8000, 0xa000) are guest pages 2 and 1, and there is a hole above these.
fn guest() -> Memory {
    let memory = memory(&[(0x1000, 0x2000)]);
    map(&memory, 0x8000, 0x2000, 0x1000, ReadWrite);
    map(&memory, 0x9000, 0x1000, 0x1000, ReadWrite);
    map(&memory, 0xa000, 0x3000, 0x1000, ReadWrite);
    memory
}

fn at(addr: u64) -> GuestAddress {
    GuestAddress(addr)
}

/// Something that is done to a memory.
type Way = fn(&Memory);

/// The safe ways to write to [0x8ffe, 0x9002), which is [0x2ffe, 0x3000) and [0x1000, 0x1002) to the guest.
const WRITES: [(&str, Way); 11] = [
    ("write", |memory| assert_eq!(memory.write(&[1; 4], at(0x8ffe)).unwrap(), 4)),
    ("write_slice", |memory| memory.write_slice(&[1; 4], at(0x8ffe)).unwrap()),
    ("write_whole", |memory| memory.write_whole(&[1; 4], at(0x8ffe)).unwrap()),
    ("write_obj", |memory| memory.write_obj(0x0101_0101_u32, at(0x8ffe)).unwrap()),
    ("a stream", |memory| {
        memory.read_exact_volatile_from(at(0x8ffe), &mut &[1; 4][..], 4).unwrap();
    }),
    ("short streams", |memory| {
        assert_eq!(memory.read_volatile_from(at(0x8ffe), &mut &[1; 3][..], 4).unwrap(), 3);
        assert_eq!(memory.read_volatile_from(at(0x9001), &mut &[1; 3][..], 1).unwrap(), 1);
    }),
    ("atomics", |memory| {
        memory.store(0x0101_u16, at(0x8ffe), SeqCst).unwrap();
        memory.compare_exchange(0_u16, 0x0101, at(0x9000), SeqCst, SeqCst).unwrap().unwrap();
    }),
    ("updates", |memory| {
        memory.fetch_add(0x0101_u16, at(0x8ffe), SeqCst).unwrap();
        memory.fetch_or(0x0101_u16, at(0x9000), SeqCst).unwrap();
    }),
    ("slices", |memory| {
        for slice in memory.get_slices(at(0x8ffe), 4, Write).unwrap() {
            slice.unwrap().write_obj(0x0101_u16, 0).unwrap();
        }
    }),
    ("parts of slices", |memory| {
        let low = memory.find_io_slice(at(0x8000), 0x1000, Write).unwrap();
        low.offset(0xff0).unwrap().subslice(0xe, 2).unwrap().write_slice(&[1; 2], 0).unwrap();
        let high = memory.get_slices(at(0x8800), 0x1000, Write).unwrap().nth(1).unwrap().unwrap();
        high.split_at(2).unwrap().0.get_ref::<u16>(0).unwrap().store(0x0101);
    }),
    ("pointers", |memory| {
        for slice in memory.get_slices(at(0x8ffe), 4, Write).unwrap() {
            // Whoever has the pointer may have written: all of it is marked.
            drop(slice.unwrap().host_ptr_mut());
        }
    }),
];

#[test]
fn each_way_to_write_marks_both() {
    for (name, way) in WRITES {
        let memory = guest();
        way(&memory);
        let gpas = [(0x1000, 0x1001), (0x2ffe, 0x2fff)];
        assert_eq!(dirty_gpas(memory.get_backend()), gpas, "{name}");
        assert_eq!(dirty_iovas(&memory), [(0x8ffe, 0x9001)], "{name}");
    }
}

/// What looks like a write, or comes near one.
const OTHERS: [(&str, Way); 11] = [
    ("read", |memory| memory.read_slice(&mut [0; 0x2000], at(0x8000)).unwrap()),
    ("read_obj", |memory| assert_eq!(memory.read_obj::<u64>(at(0x8ffc)).unwrap(), 0)),
    ("load", |memory| assert_eq!(memory.load::<u64>(at(0x8ff8), SeqCst).unwrap(), 0)),
    ("a stream", |memory| {
        memory.write_all_volatile_to(at(0x8000), &mut Vec::new(), 0x2000).unwrap();
    }),
    ("an exchange that fails", |memory| {
        memory.compare_exchange(1_u32, 2, at(0x8000), SeqCst, SeqCst).unwrap().unwrap_err();
    }),
    ("a check", |memory| assert!(memory.check_range(at(0x8000), 0x2000, Write))),
    ("slices", |memory| {
        assert_eq!(memory.get_slices(at(0x8000), 0x2000, Write).unwrap().count(), 2);
    }),
    ("a pointer to read", |memory| {
        let _ = memory.find_io_slice(at(0x8000), 8, Read).unwrap().host_ptr();
    }),
    ("a pointer to write to what is for reading", |memory| {
        drop(memory.find_io_slice(at(0x8000), 8, Read).unwrap().host_ptr_mut());
    }),
    ("no byte", |memory| memory.write_slice(&[], at(0x8000)).unwrap()),
    ("a write that is refused", |memory| {
        assert!(memory.write_slice(&[1; 2], at(0xafff)).is_err());
    }),
];

#[test]
fn what_writes_nothing_marks_nothing() {
    for (name, way) in OTHERS {
        let memory = guest();
        way(&memory);
        assert_eq!(dirty_gpas(memory.get_backend()), [], "{name}");
        assert_eq!(dirty_iovas(&memory), [], "{name}");
    }
}

#[test]
fn a_write_up_to_a_hole_marks_what_was_written() {
    let memory = guest();
    map(&memory, 0x7000, 0x2000, 0x2000, ReadWrite); // in a straight line into the hole
    assert_eq!(memory.write(&[1; 0x1800], at(0x7800)).unwrap(), 0x800);
    assert_eq!(dirty_gpas(memory.get_backend()), [(0x2800, 0x2fff)]);
    assert_eq!(dirty_iovas(&memory), [(0x7800, 0x7fff)]);
}

#[test]
fn two_addresses_of_one_page_mark_it_by_the_address_that_was_used() {
    let memory = guest();
    map(&memory, 0xb000, 0x1000, 0x1000, ReadWrite);
    memory.write_obj(1_u8, at(0xb007)).unwrap();
    memory.write_obj(1_u8, at(0x9009)).unwrap();
    assert_eq!(dirty_gpas(memory.get_backend()), [(0x1007, 0x1007), (0x1009, 0x1009)]);
    assert_eq!(dirty_iovas(&memory), [(0x9009, 0x9009), (0xb007, 0xb007)]);
}

#[test]
fn while_the_iommu_is_off_only_the_guest_address_is_marked() {
    let mut memory = guest();
    memory.set_iommu_enabled(false);
    memory.write_slice(&[1; 4], at(0x1ffe)).unwrap();
    memory.store(1_u16, at(0x2ffe), SeqCst).unwrap();
    assert_eq!(dirty_gpas(memory.get_backend()), [(0x1ffe, 0x2001), (0x2ffe, 0x2fff)]);
    assert_eq!(dirty_iovas(&memory), []);
}

#[test]
fn a_slice_that_outlives_its_translation_marks_the_page_it_writes_to() {
    let memory = guest();
    let slice = memory.find_io_slice(at(0x8000), 8, Write).unwrap();
    map(&memory, 0x8000, 0x1000, 0x1000, ReadWrite);
    slice.write_obj(1_u64, 0).unwrap();
    assert_eq!(dirty_gpas(memory.get_backend()), [(0x2000, 0x2007)]);
    assert_eq!(dirty_iovas(&memory), [(0x8000, 0x8007)]);
}

/// Line 22: what is marked past the end of the bitmap must not be lost in silence.
#[rstest]
#[case::right_after_it(0x1_0000, 0x1_0008)]
#[case::far_away(0x1234_5678_9000, 0x1234_5678_9008)]
#[case::at_the_top(TOP + 0xff8, usize::MAX)]
#[cfg(target_pointer_width = "64")]
fn a_mark_past_the_end_of_the_bitmap_is_told_at_the_harvest(#[case] iova: u64, #[case] end: usize) {
    let memory = guest();
    map(&memory, iova & !0xfff, 0x1000, 0x1000, ReadWrite);
    memory.write_obj(1_u64, at(iova)).unwrap();
    assert_eq!(memory.bitmap().overrun().unwrap().end, end);
    assert!(memory.bitmap().take().is_err());
    // By the guest address, nothing is missing.
    assert_eq!(dirty_gpas(memory.get_backend()).len(), 1);
}

#[test]
fn where_nobody_asks_for_the_devices_addresses_the_bitmap_is_nothing() {
    let memory = IommuMemory::new(ram(&[(0x1000, 0x1000)]), RwLock::new(Iotlb::new()), true, ());
    let mut table = memory.iommu().write().unwrap();
    table.set_mapping(at(0x8000), at(0x1000), 0x1000, ReadWrite).unwrap();
    drop(table);
    memory.write_obj(1_u8, at(0x8000)).unwrap();
    assert_eq!(dirty_gpas(memory.get_backend()), [(0x1000, 0x1000)]);
    assert!(!memory.bitmap().dirty_at(0x8000));
    let region = memory.get_backend().iter().next().unwrap();
    assert!(guest_memory::GuestMemoryRegion::bitmap(region).dirty_at(0));
}

#[test]
fn a_slices_view_answers_for_both() {
    let memory = guest();
    let slice = memory.find_io_slice(at(0x8000), 0x1000, Write).unwrap();
    slice.write_obj(1_u32, 0x10).unwrap();
    let view = slice.bitmap();
    assert!(view.dirty_at(0x10) && !view.dirty_at(0xf) && !view.dirty_at(0x14));
    assert_eq!(view.dirty_bytes(0, 0x1000), Some(4));
    // Marked by one of the two only.
    memory.bitmap().mark_dirty(0x8000, 1);
    assert!(view.dirty_at(0));
    assert_eq!(view.dirty_bytes(0, 0x1000), Some(5));
}
