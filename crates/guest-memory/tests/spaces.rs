//! Handles that hand out a map, and what a map permits.

mod common;

use std::rc::Rc;
use std::sync::Arc;

use common::{Map, three};
use guest_memory::{Bytes, GuestAddress, GuestAddressSpace, GuestMemory, IoMemory, Permissions};
use rstest::rstest;

/// A device, which knows nothing of the handle but that it is one.
fn device<S: GuestAddressSpace>(space: &S) -> usize
where
    S::M: GuestMemory,
{
    let guard = space.memory();
    let again = guard.clone();
    guard.write_obj(7_u32, GuestAddress(0x1000)).expect("there is room");
    assert_eq!(again.read_obj::<u32>(GuestAddress(0x1000)).expect("it was written"), 7);
    space.clone().memory().num_regions()
}

#[test]
fn a_reference_an_rc_and_an_arc_hand_out_their_map() {
    assert_eq!(device(&&three()), 3);
    assert_eq!(device(&Rc::new(three())), 3);
    assert_eq!(device(&Arc::new(three())), 3);
}

#[test]
fn the_map_that_is_handed_out_is_the_same_one() {
    let (map, rc, arc) = (three(), Rc::new(three()), Arc::new(three()));
    assert!(std::ptr::eq((&map).memory(), &map));
    assert!(Rc::ptr_eq(&rc.memory(), &rc));
    assert!(Arc::ptr_eq(&arc.memory(), &arc));
}

#[test]
fn a_guard_keeps_its_map_alive() {
    let space = Arc::new(three());
    let guard = space.memory();
    drop(space);
    assert!(guard.find_region(GuestAddress(0x1000)).is_some());
}

// A handle on any memory, not only on a map.
#[test]
fn a_handle_asks_for_a_memory_alone() {
    fn reads<S: GuestAddressSpace>(space: &S) -> bool {
        IoMemory::check_range(&*space.memory(), GuestAddress(0x1000), 4, Permissions::Read)
    }
    assert!(reads(&&three()));
    let shared: Arc<Map> = Arc::default();
    assert!(!reads(&shared));
}

const ALL: [Permissions; 4] =
    [Permissions::No, Permissions::Read, Permissions::Write, Permissions::ReadWrite];

/// Whether reading and whether writing is among them.
fn parts(permissions: Permissions) -> (bool, bool) {
    match permissions {
        Permissions::No => (false, false),
        Permissions::Read => (true, false),
        Permissions::Write => (false, true),
        Permissions::ReadWrite => (true, true),
    }
}

#[rstest]
fn permissions_are_two_bits(#[values(0, 1, 2, 3)] left: usize, #[values(0, 1, 2, 3)] right: usize) {
    let (left, right) = (ALL[left], ALL[right]);
    let ((left_reads, left_writes), (right_reads, right_writes)) = (parts(left), parts(right));
    assert_eq!(parts(left | right), (left_reads || right_reads, left_writes || right_writes));
    assert_eq!(parts(left & right), (left_reads && right_reads, left_writes && right_writes));
    let allowed = (left_reads || !right_reads) && (left_writes || !right_writes);
    assert_eq!(left.allow(right), allowed);
    assert_eq!(left.has_write(), left_writes);
}

#[test]
fn permissions_have_the_published_numbers_and_names() {
    assert_eq!(ALL.map(|permissions| permissions as u8), [0, 1, 2, 3]);
    let names = ALL.map(|permissions| permissions.to_string());
    assert_eq!(names, ["none", "read", "write", "read and write"]);
}
