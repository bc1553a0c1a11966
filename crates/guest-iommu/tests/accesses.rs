//! Access through a translation: whole or not at all, only as permitted, never past the top.

mod common;

use std::error::Error as _;
use std::sync::RwLock;
use std::sync::atomic::Ordering::SeqCst;

use common::{Memory, TOP, map, memory, ram, unmap};
use guest_iommu::{Error, GuestAddress, Iommu, IommuMemory, Iotlb, IotlbIterator};
use guest_memory::Permissions::{self, No, Read, ReadWrite, Write};
use guest_memory::{
    Bytes, GuestMemory, GuestMemoryError, GuestRegionCollection, IoMemory, IoMemorySliceIterator,
    WholeBytes,
};
use rstest::rstest;

/// The cause of an error of the IOMMU.
fn cause(error: &GuestMemoryError) -> &Error {
    assert!(matches!(error, GuestMemoryError::IommuError(_)), "{error:?}");
    error.source().and_then(|cause| cause.downcast_ref()).expect("an error of this crate")
}

/// A guest with a hole in [0x3000, 0x4000), and pages that are mapped in disorder.
///
/// The device's [0x8000, 0xb000) are guest pages 2, 1 and 4; 0xb000 is for reading, 0xc000 for writing, 0xd000 for nothing;
/// 0xe000 is mapped to the hole, and the last page there is to guest page 1.
fn guest() -> Memory {
    let memory = memory(&[(0x1000, 0x2000), (0x4000, 0x4000)]);
    map(&memory, 0x8000, 0x2000, 0x1000, ReadWrite);
    map(&memory, 0x9000, 0x1000, 0x1000, ReadWrite);
    map(&memory, 0xa000, 0x4000, 0x1000, ReadWrite);
    map(&memory, 0xb000, 0x5000, 0x1000, Read);
    map(&memory, 0xc000, 0x6000, 0x1000, Write);
    map(&memory, 0xd000, 0x7000, 0x1000, No);
    map(&memory, 0xe000, 0x3000, 0x1000, ReadWrite);
    map(&memory, TOP, 0x1000, 0x1000, ReadWrite);
    memory
}

// Line 25.

#[rstest]
#[case::by_a_byte(u64::MAX, 2)]
#[case::by_a_byte_after_a_page(TOP, 0x1001)]
#[case::by_far(u64::MAX, 0x1000)]
#[case::with_no_mapping(u64::MAX - 0x1fff, 0x4000)]
fn a_range_that_wraps_is_an_error_of_every_access(#[case] iova: u64, #[case] len: usize) {
    let memory = guest();
    // Not even if the other end is mapped, too.
    map(&memory, 0, 0x4000, 0x4000, ReadWrite);
    let (addr, mut buf) = (GuestAddress(iova), vec![7; len]);
    for access in [No, Read, Write, ReadWrite] {
        assert!(!memory.check_range(addr, len, access));
        assert!(memory.find_io_slice(addr, len, access).is_none());
        let error = memory.get_slices(addr, len, access).err().expect("it wraps");
        assert_eq!(cause(&error), &Error::Overflow { base: addr, length: len });
    }
    assert!(memory.read(&mut buf, addr).is_err());
    assert!(memory.read_slice(&mut buf, addr).is_err());
    assert!(memory.write(&buf, addr).is_err());
    assert!(memory.write_slice(&buf, addr).is_err());
    assert!(memory.write_whole(&buf, addr).is_err());
    assert!(memory.read_volatile_from(addr, &mut &buf[..], len).is_err());
    assert!(memory.read_exact_volatile_from(addr, &mut &buf[..], len).is_err());
    assert!(memory.write_volatile_to(addr, &mut Vec::new(), len).is_err());
    assert!(memory.write_all_volatile_to(addr, &mut Vec::new(), len).is_err());
    assert_eq!(buf, vec![7; len]);
    assert_eq!(common::dirty_gpas(memory.get_backend()), []);
}

#[rstest]
#[case(u64::MAX)]
#[case(u64::MAX - 2)]
fn an_object_that_wraps_is_an_error(#[case] iova: u64) {
    let (memory, addr) = (guest(), GuestAddress(iova));
    assert!(memory.read_obj::<u32>(addr).is_err());
    assert!(memory.write_obj(1_u32, addr).is_err());
    assert!(memory.load::<u32>(addr, SeqCst).is_err());
    assert!(memory.store(1_u32, addr, SeqCst).is_err());
    assert!(memory.compare_exchange(0_u32, 1, addr, SeqCst, SeqCst).is_err());
    assert!(memory.fetch_add(1_u32, addr, SeqCst).is_err());
}

#[test]
fn the_last_bytes_there_are_can_be_accessed() {
    let memory = guest();
    let last = GuestAddress(u64::MAX - 7);
    memory.write_obj(0x1122_3344_5566_7788_u64, last).unwrap();
    assert_eq!(memory.read_obj::<u64>(last).unwrap(), 0x1122_3344_5566_7788);
    assert_eq!(memory.load::<u64>(last, SeqCst).unwrap(), 0x1122_3344_5566_7788);
    let backend = memory.get_backend();
    assert_eq!(backend.read_obj::<u64>(GuestAddress(0x1ff8)).unwrap(), 0x1122_3344_5566_7788);
    assert!(memory.check_range(GuestAddress(TOP), 0x1000, ReadWrite));
    let mut slices = memory.get_slices(GuestAddress(TOP), 0x1000, Read).unwrap();
    assert_eq!(slices.next().unwrap().unwrap().len(), 0x1000);
    assert!(slices.next().is_none());
}

#[rstest]
#[case::mapped(0x8000)]
#[case::not_mapped(0x1000)]
#[case::denied(0xd000)]
#[case::in_the_hole(0xe000)]
#[case::the_last_byte(u64::MAX)]
fn no_byte_is_accessed_with_success_everywhere(#[case] iova: u64) {
    let (memory, addr) = (guest(), GuestAddress(iova));
    for access in [No, Read, Write, ReadWrite] {
        assert!(memory.check_range(addr, 0, access));
        assert!(memory.find_io_slice(addr, 0, access).is_none());
        assert_eq!(memory.get_slices(addr, 0, access).unwrap().count(), 0);
    }
    assert_eq!(memory.read(&mut [], addr).unwrap(), 0);
    assert_eq!(memory.write(&[], addr).unwrap(), 0);
    memory.read_slice(&mut [], addr).unwrap();
    memory.write_whole(&[], addr).unwrap();
    memory.read_obj::<[u8; 0]>(addr).unwrap();
    memory.write_obj([0_u8; 0], addr).unwrap();
    assert_eq!(memory.read_volatile_from(addr, &mut &b"source"[..], 0).unwrap(), 0);
    assert_eq!(memory.write_volatile_to(addr, &mut Vec::new(), 0).unwrap(), 0);
}

// What is permitted.

#[rstest]
#[case(0x8000, [true, true, true, true])]
#[case(0xb000, [true, true, false, false])]
#[case(0xc000, [true, false, true, false])]
#[case(0xd000, [true, false, false, false])]
#[case(0x1000, [false, false, false, false])]
fn an_access_needs_its_permission(#[case] iova: u64, #[case] allowed: [bool; 4]) {
    let (memory, addr) = (guest(), GuestAddress(iova));
    for (access, allowed) in [No, Read, Write, ReadWrite].into_iter().zip(allowed) {
        assert_eq!(memory.check_range(addr, 0x1000, access), allowed, "{access}");
        assert_eq!(memory.get_slices(addr, 0x1000, access).is_ok(), allowed, "{access}");
        assert_eq!(memory.find_io_slice(addr, 0x1000, access).is_some(), allowed, "{access}");
    }
    let [_, read, write, both] = allowed;
    assert_eq!(memory.read_obj::<u32>(addr).is_ok(), read);
    assert_eq!(memory.load::<u32>(addr, SeqCst).is_ok(), read);
    assert_eq!(memory.write_all_volatile_to(addr, &mut Vec::new(), 4).is_ok(), read);
    assert_eq!(memory.write_obj(1_u32, addr).is_ok(), write);
    assert_eq!(memory.store(1_u32, addr, SeqCst).is_ok(), write);
    assert_eq!(memory.write_whole(&[1; 4], addr).is_ok(), write);
    assert_eq!(memory.read_exact_volatile_from(addr, &mut &[1; 4][..], 4).is_ok(), write);
    assert_eq!(memory.fetch_or(1_u32, addr, SeqCst).is_ok(), both);
    assert_eq!(memory.compare_exchange(1_u32, 2, addr, SeqCst, SeqCst).is_ok(), both);
}

#[rstest]
#[case(Read, true)]
#[case(No, true)]
#[case(Write, false)]
#[case(ReadWrite, false)]
fn a_slice_for_an_access_that_does_not_write_is_read_only(
    #[case] access: Permissions,
    #[case] read_only: bool,
) {
    let memory = guest();
    for slice in memory.get_slices(GuestAddress(0x8800), 0x1000, access).unwrap() {
        assert_eq!(slice.unwrap().is_read_only(), read_only);
    }
    let slice = memory.find_io_slice(GuestAddress(0x8800), 8, access).unwrap();
    assert_eq!(slice.is_read_only(), read_only);
    assert_eq!(slice.write_obj(1_u8, 0).is_err(), read_only);
}

// Whole, or not at all.

#[rstest]
#[case::at_the_start(0x7f00, 0x200)]
#[case::at_the_end_of_the_part_for_writing(0xaf00, 0x200)]
#[case::by_one_byte(0x8000, 0x3001)]
fn where_one_byte_is_not_mapped_for_it_no_byte_is_written(#[case] iova: u64, #[case] len: usize) {
    let (memory, addr) = (guest(), GuestAddress(iova));
    let buf = vec![7; len];
    for error in [
        memory.write(&buf, addr).unwrap_err(),
        memory.write_slice(&buf, addr).unwrap_err(),
        memory.write_whole(&buf, addr).unwrap_err(),
        memory.read_volatile_from(addr, &mut &buf[..], len).unwrap_err(),
    ] {
        let Error::CannotResolve { iova_range, .. } = cause(&error) else { panic!("{error:?}") };
        assert_eq!(iova_range, &common::iovas(iova, len));
    }
    assert_eq!(common::dirty_gpas(memory.get_backend()), []);
    assert_eq!(common::dirty_iovas(&memory), []);
}

#[test]
fn pages_in_disorder_are_one_range_to_the_device() {
    let memory = guest();
    let bytes: Vec<u8> = (0..0x3000_u32).map(|index| (index % 251) as u8).collect();
    memory.write_slice(&bytes, GuestAddress(0x8000)).unwrap();
    let mut buf = vec![0; 0x3000];
    memory.read_slice(&mut buf, GuestAddress(0x8000)).unwrap();
    assert_eq!(buf, bytes);
    for (page, gpa) in [0x2000, 0x1000, 0x4000].into_iter().enumerate() {
        let mut buf = vec![0; 0x1000];
        memory.get_backend().read_slice(&mut buf, GuestAddress(gpa)).unwrap();
        assert_eq!(buf, bytes[page * 0x1000..][..0x1000]);
    }
    let mut sink = Vec::new();
    memory.write_all_volatile_to(GuestAddress(0x8000), &mut sink, 0x3000).unwrap();
    assert_eq!(sink, bytes);
}

#[test]
fn what_is_mapped_to_a_hole_is_accessed_up_to_the_hole() {
    let memory = memory(&[(0x1000, 0x2000), (0x4000, 0x1000)]);
    map(&memory, 0x8000, 0x2000, 0x3000, ReadWrite);
    let addr = GuestAddress(0x8000);
    assert!(!memory.check_range(addr, 0x1001, Read));
    assert!(memory.check_range(addr, 0x1000, Read));
    assert_eq!(memory.write(&[7; 0x3000], addr).unwrap(), 0x1000);
    let result = memory.write_slice(&[7; 0x3000], addr);
    let (expected, completed) = (0x3000, 0x1000);
    assert!(
        matches!(result, Err(GuestMemoryError::PartialBuffer { expected: e, completed: c }) if (e, c) == (expected, completed))
    );
    assert!(memory.write_whole(&[8; 0x1001], addr).is_err());
    assert_eq!(memory.read_obj::<u8>(addr).unwrap(), 7);

    let mut slices = memory.get_slices(addr, 0x3000, Read).unwrap();
    assert_eq!(slices.next().unwrap().unwrap().len(), 0x1000);
    let error = slices.next().unwrap().unwrap_err();
    assert!(matches!(error, GuestMemoryError::InvalidGuestAddress(GuestAddress(0x3000))));
    assert!(slices.next().is_none());
    assert!(slices.next().is_none());
    let slices = memory.get_slices(addr, 0x3000, Read).unwrap();
    assert_eq!(slices.stop_on_error().unwrap().count(), 1);
}

#[test]
fn an_error_ends_the_slices_though_more_is_mapped() {
    let memory = guest();
    map(&memory, 0xf000, 0x1000, 0x1000, ReadWrite);
    let mut slices = memory.get_slices(GuestAddress(0xe000), 0x2000, Read).unwrap();
    assert!(slices.next().unwrap().is_err());
    assert!(slices.next().is_none());
}

#[test]
fn an_atomic_access_needs_one_piece_and_alignment() {
    let memory = guest();
    let split = GuestAddress(0x8ffe);
    assert!(matches!(
        memory.load::<u32>(split, SeqCst),
        Err(GuestMemoryError::NotContiguous { addr: GuestAddress(0x8ffe), len: 4 })
    ));
    assert!(matches!(
        memory.load::<u32>(GuestAddress(0x8ffa), SeqCst),
        Err(GuestMemoryError::Misaligned { addr: GuestAddress(0x8ffa), alignment: 4 })
    ));
    let error = memory.load::<u32>(GuestAddress(0x1000), SeqCst).unwrap_err();
    assert!(matches!(cause(&error), Error::CannotResolve { .. }));
    memory.write_obj(0x1234_5678_u32, split).unwrap(); // in two pieces
    assert_eq!(memory.read_obj::<u32>(split).unwrap(), 0x1234_5678);
}

// The switch, the memory behind, and the IOMMU.

#[test]
fn while_the_iommu_is_off_it_is_the_memory_behind_it() {
    let mut memory = guest();
    assert!(memory.physical_memory().is_none());
    memory.set_iommu_enabled(false);
    assert!(std::ptr::eq(memory.physical_memory().unwrap(), memory.get_backend()));
    let addr = GuestAddress(0x1ff8);
    for access in [No, Read, Write, ReadWrite] {
        assert!(memory.check_range(addr, 0x10, access));
        assert!(!memory.check_range(addr, 0x2000, access));
        let slice = memory.find_io_slice(addr, 0x10, access).unwrap();
        assert!(!slice.is_read_only());
        assert_eq!(memory.get_slices(addr, 0x10, access).unwrap().count(), 1);
    }
    memory.write_obj(7_u64, addr).unwrap();
    assert_eq!(memory.get_backend().read_obj::<u64>(addr).unwrap(), 7);
    assert_eq!(memory.write(&[1; 0x2000], GuestAddress(0x2000)).unwrap(), 0x1000);
    assert!(memory.read_obj::<u8>(GuestAddress(0x8000)).is_err());
    assert!(memory.read_obj::<u16>(GuestAddress(u64::MAX)).is_err());
    assert!(memory.past_leases().are_over());
}

#[test]
fn a_clone_shares_the_iommu_and_the_bitmap_but_not_the_switch() {
    let memory = guest();
    let mut clone = memory.clone();
    clone.set_iommu_enabled(false);
    assert!(memory.get_iommu_enabled());
    clone.set_iommu_enabled(true);
    unmap(&memory, 0x8000, 0x1000);
    assert!(clone.read_obj::<u8>(GuestAddress(0x8000)).is_err());
    clone.write_obj(1_u8, GuestAddress(0x9000)).unwrap();
    assert_eq!(common::dirty_iovas(&memory), [(0x9000, 0x9000)]);

    let other = memory.with_replaced_backend(ram(&[(0x1000, 0x1000)]));
    assert!(other.get_iommu_enabled());
    assert_eq!(other.read_obj::<u8>(GuestAddress(0x9000)).unwrap(), 0); // another page 1
    assert_eq!(clone.read_obj::<u8>(GuestAddress(0x9000)).unwrap(), 1);
    other.write_obj(1_u8, GuestAddress(0x9001)).unwrap();
    assert_eq!(common::dirty_iovas(&memory), [(0x9000, 0x9001)]);
}

#[test]
fn the_default_is_no_memory_and_no_iommu() {
    type Nothing =
        IommuMemory<GuestRegionCollection<guest_memory::SliceRegion<'static>>, RwLock<Iotlb>>;
    let memory = Nothing::default();
    assert!(!memory.get_iommu_enabled());
    assert_eq!(memory.get_backend().num_regions(), 0);
    assert!(format!("{memory:?}").starts_with("IommuMemory"));
}

/// An IOMMU that translates another range than it was asked for.
#[derive(Debug)]
struct Astray {
    iotlb: Iotlb,
    iova: u64,
    length: usize,
}

impl Iommu for Astray {
    type IotlbGuard<'a> = &'a Iotlb;

    fn translate(
        &self,
        _iova: GuestAddress,
        _length: usize,
        access: Permissions,
    ) -> Result<IotlbIterator<&Iotlb>, Error> {
        Iotlb::lookup(&self.iotlb, GuestAddress(self.iova), self.length, access)
            .map_err(|fails| fails.cannot_resolve(GuestAddress(self.iova), self.length))
    }
}

#[rstest]
#[case::less(0x8000, 0x10, false)]
#[case::nothing(0x8000, 0, false)]
#[case::more(0x8000, 0x30, false)]
#[case::more_in_two_pieces(0x8fe0, 0x30, false)]
#[case::as_much(0x8000, 0x20, true)]
fn an_iommu_that_translates_another_length_is_found_out(
    #[case] iova: u64,
    #[case] length: usize,
    #[case] fits: bool,
) {
    let mut iotlb = Iotlb::new();
    iotlb.set_mapping(GuestAddress(0x8000), GuestAddress(0x1000), 0x1000, ReadWrite).unwrap();
    iotlb.set_mapping(GuestAddress(0x9000), GuestAddress(0x1000), 0x1000, ReadWrite).unwrap();
    let memory =
        IommuMemory::new(ram(&[(0x1000, 0x1000)]), Astray { iotlb, iova, length }, true, ());
    let addr = GuestAddress(0x8000);
    assert_eq!(memory.check_range(addr, 0x20, Read), fits);
    assert_eq!(memory.find_io_slice(addr, 0x20, Read).is_some(), fits);
    assert_eq!(memory.write_slice(&[1; 0x20], addr).is_ok(), fits);
    match memory.get_slices(addr, 0x20, Read) {
        Ok(_) => assert!(fits),
        Err(error) => assert!(matches!(cause(&error), Error::IommuMisconfigured { .. })),
    }
}

#[test]
fn a_guard_of_the_table_is_let_go_before_memory_is_touched() {
    let memory = guest();
    // A write lock taken by a thread that has slices would hang here if they held the table.
    let mut slices = memory.get_slices(GuestAddress(0x8000), 0x3000, Read).unwrap();
    let first = slices.next().unwrap().unwrap();
    unmap(&memory, 0x8000, 0x3000);
    let second = slices.next().unwrap().unwrap();
    assert_eq!((first.len(), second.len()), (0x1000, 0x1000));
    let one = memory.find_io_slice(GuestAddress(0xb000), 8, Read).unwrap();
    unmap(&memory, 0xb000, 0x1000);
    assert_eq!(one.read_obj::<u64>(0).unwrap(), 0);
}

#[test]
fn a_panic_of_whoever_changed_the_table_leaves_it_usable() {
    let memory = guest();
    let panicked = std::thread::scope(|scope| {
        let handler = scope.spawn(|| {
            let _table = memory.iommu().write();
            panic!("as it should");
        });
        handler.join().is_err()
    });
    assert!(panicked && memory.iommu().is_poisoned());
    memory.write_obj(1_u8, GuestAddress(0x8000)).unwrap();
}
