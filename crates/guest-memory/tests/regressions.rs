//! What vm-memory 0.17 and 0.18 did, and what must not come back.

mod common;

use std::sync::atomic::Ordering::{Acquire, Release, SeqCst};

use common::Step::Move;
use common::{Source, all_bytes, counting, map, marked, region};
use guest_memory::{
    Bytes, GuestAddress, GuestMemory, GuestMemoryError as E, GuestMemoryRegion,
    GuestRegionCollection, Permissions, SliceRegion, WholeBytes, WindowError, WindowMemory,
};

// SEMANTICS 9. It went on at the start of the next region, and left the bytes between as they were.
#[test]
fn a_short_read_before_a_border_skipped_bytes() {
    let memory = map(&[(0, 0x1000), (0x1000, 0x1000)]);
    let mut source = Source::new([Move(10), Move(22)]);
    let done = memory.read_volatile_from(GuestAddress(0xff0), &mut source, 32).unwrap();
    assert_eq!(done, 10);
    let all = all_bytes(&memory);
    assert_eq!(all[0xff0..0xff0 + done], counting(done));
    assert!(all[0xff0 + done..].iter().all(|&byte| byte == 0));
}

// SEMANTICS 9. The four bytes that a socket had ready, then eight more.
#[test]
fn a_socket_that_gave_four_and_then_eight_bytes_left_a_hole() {
    let memory = map(&[(0, 0x1000), (0x1000, 0x1000)]);
    let mut source = Source::new([Move(4), Move(4), Move(4)]);
    memory.read_exact_volatile_from(GuestAddress(0xff8), &mut source, 12).unwrap();
    assert_eq!(memory.read_obj::<[u8; 12]>(GuestAddress(0xff8)).unwrap()[..], counting(12));
}

// SEMANTICS 10.
#[test]
fn an_exact_read_failed_at_the_first_short_read() {
    let memory = map(&[(0, 0x1000)]);
    let mut source = Source::new([Move(10), Move(22)]);
    memory.read_exact_volatile_from(GuestAddress(0), &mut source, 32).unwrap();
    assert_eq!(memory.read_obj::<[u8; 32]>(GuestAddress(0)).unwrap()[..], counting(32));
}

// SEMANTICS 3.
#[test]
fn a_region_without_bytes_made_the_first_lookup_panic() {
    assert!(SliceRegion::new(GuestAddress(0x1000), &mut []).is_none());
}

// SEMANTICS 2.
#[test]
fn the_last_page_of_the_address_space_was_refused() {
    let memory = map(&[(u64::MAX - 0xfff, 0x1000)]);
    assert_eq!(memory.last_addr(), GuestAddress(u64::MAX));
    memory.write_obj(1_u64, GuestAddress(u64::MAX - 7)).unwrap();
}

// SEMANTICS 16. 0.18 asserts.
#[test]
fn an_ordering_that_is_not_one_for_the_access_made_it_panic() {
    let memory = map(&[(0, 0x1000)]);
    assert!(memory.load::<u32>(GuestAddress(0), Release).is_err());
    assert!(memory.store(1_u32, GuestAddress(0), Acquire).is_err());
}

// SEMANTICS 16, 36. All were `InvalidBackendAddress`.
#[test]
fn an_atomic_that_straddles_and_one_that_is_misaligned_failed_alike() {
    let memory = map(&[(0, 0x1000), (0x1000, 0x1000)]);
    let straddling = memory.load::<u64>(GuestAddress(0xffc), SeqCst).unwrap_err();
    let misaligned = memory.load::<u64>(GuestAddress(0x1004), SeqCst).unwrap_err();
    assert!(matches!(straddling, E::NotContiguous { .. }));
    assert!(matches!(misaligned, E::Misaligned { .. }));
}

// SEMANTICS 14. The part that fitted was written, over what was there.
#[test]
fn a_write_that_did_not_fit_clobbered_what_did() {
    let memory = map(&[(0, 0x1000)]);
    memory.write_obj(7_u64, GuestAddress(0xff8)).unwrap();
    assert!(memory.write_whole(&[0xff; 16], GuestAddress(0xff8)).is_err());
    assert_eq!(memory.read_obj::<u64>(GuestAddress(0xff8)).unwrap(), 7);
}

// SEMANTICS 21. A store through `get_atomic_ref` marked nothing; there was no other read-modify-write.
#[test]
fn an_atomic_change_was_not_marked() {
    let (region, log) = marked(0, 0x1000);
    let memory = GuestRegionCollection::from_regions(vec![region]).unwrap();
    memory.fetch_or(1_u32, GuestAddress(0x10), SeqCst).unwrap();
    memory.compare_exchange(1_u32, 2, GuestAddress(0x10), SeqCst, SeqCst).unwrap().unwrap();
    assert_eq!(log.take(), [(0x10, 4), (0x10, 4)]);
}

// In the first version of this crate: what wants to be asked could not be reached by atomics.
#[test]
fn an_atomic_in_a_region_without_a_direct_slice_was_not_contiguous() {
    struct AskMe(SliceRegion<'static>);

    impl GuestMemoryRegion for AskMe {
        type B = ();
        fn len(&self) -> u64 {
            self.0.len()
        }
        fn start_addr(&self) -> GuestAddress {
            self.0.start_addr()
        }
        fn bitmap(&self) {}
        fn get_slice(
            &self,
            offset: guest_memory::MemoryRegionAddress,
            count: usize,
        ) -> guest_memory::GuestMemoryResult<guest_memory::VolatileSlice<'_>> {
            self.0.get_slice(offset, count)
        }
        fn direct_slice(&self) -> Option<guest_memory::VolatileSlice<'_>> {
            None
        }
    }
    impl guest_memory::GuestMemoryRegionBytes for AskMe {}

    let regions = vec![AskMe(region(0x1000, 0x1000))];
    let memory = GuestRegionCollection::from_regions(regions).unwrap();
    memory.store(7_u32, GuestAddress(0x1000), Release).unwrap();
    assert_eq!(memory.load::<u32>(GuestAddress(0x1000), Acquire).unwrap(), 7);
    assert_eq!(memory.fetch_add(1_u32, GuestAddress(0x1000), SeqCst).unwrap(), 7);
}

// Firecracker's rings: the queue's size was checked, the rings were mapped, and then the guest wrote another size.
#[test]
fn a_queue_whose_size_was_raised_after_the_check_reached_past_its_rings() {
    const MAX_SIZE: u16 = 256;
    let memory = map(&[(0, 0x4000)]);
    // The configuration that the guest can write at any time, the descriptor table, and what lies behind it.
    let (size_at, table_at) = (GuestAddress(0x10), GuestAddress(0x1000));
    memory.write_obj(16_u16, size_at).unwrap();
    memory.write_slice(&[0xaa; 0x1000], GuestAddress(0x1000 + 16 * 16)).unwrap();

    let size: u16 = memory.read_obj(size_at).unwrap();
    assert!(size <= MAX_SIZE);
    let table = memory.window(table_at, 16 * usize::from(size), Permissions::ReadWrite).unwrap();

    memory.write_obj(u16::MAX, size_at).unwrap();
    let raised: u16 = memory.read_obj(size_at).unwrap();
    for index in 0..raised {
        let offset = 16 * usize::from(index);
        let inside = index < size;
        assert_eq!(table.read_obj::<[u8; 16]>(offset).is_ok(), inside, "{index}");
        let result = table.write_obj([0_u8; 16], offset);
        assert_eq!(result, if inside { Ok(()) } else { Err(WindowError::OutOfBounds) }, "{index}");
    }
    let mut behind = [0; 0x1000];
    memory.read_slice(&mut behind, GuestAddress(0x1000 + 16 * 16)).unwrap();
    assert_eq!(behind, [0xaa; 0x1000]);
}
