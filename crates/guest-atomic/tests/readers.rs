//! Readers that keep the map, and windows that are pinned to one: what they see, what they hold, and what they tell.

mod common;

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use common::{LEN, Map, counter, generation, map, publish, space};
use guest_address::GuestAddress;
use guest_atomic::{GuestMemoryAtomic, GuestMemoryReader, PinnedWindow};
use guest_memory::{GuestAddressSpace, GuestMemory, GuestMemoryError, Permissions, WindowError};

const FIRST: GuestAddress = GuestAddress(0);

fn window(space: &GuestMemoryAtomic<Map>) -> PinnedWindow<Map> {
    space.window(FIRST, 8, Permissions::ReadWrite).expect("there is a region")
}

// 33: readers

#[test]
fn a_reader_sees_the_map_in_force() {
    let dropped = counter();
    let space = space(&dropped);
    let mut reader = space.reader();
    assert_eq!(generation(reader.memory()), 1);
    drop(publish(&space, 2, &dropped));
    assert_eq!(generation(reader.memory()), 2);
    assert!(std::ptr::eq(reader.memory(), &*space.memory()));
    drop(publish(&space, 3, &dropped));
    drop(publish(&space, 4, &dropped));
    assert_eq!(generation(reader.memory()), 4);
}

#[test]
fn a_reader_keeps_one_map_as_long_as_it_is_borrowed() {
    let dropped = counter();
    let space = space(&dropped);
    let mut reader = space.reader();
    let memory = reader.memory();
    drop(publish(&space, 2, &dropped));
    assert_eq!(generation(memory), 1);
    assert_eq!(generation(reader.memory()), 2);
}

#[test]
fn a_reader_tells_of_each_new_map_once() {
    let dropped = counter();
    let space = space(&dropped);
    let mut reader = space.reader();
    assert_eq!(reader.refresh().map(generation), Some(1), "the first is new too");
    assert!(reader.refresh().is_none());
    drop(publish(&space, 2, &dropped));
    assert_eq!(reader.refresh().map(generation), Some(2));
    assert!(reader.refresh().is_none() && reader.refresh().is_none());
    drop(publish(&space, 3, &dropped));
    drop(publish(&space, 4, &dropped));
    assert_eq!(reader.refresh().map(generation), Some(4));
    assert!(reader.refresh().is_none());
}

#[test]
fn a_reader_tells_of_a_map_that_it_has_used_already() {
    let dropped = counter();
    let space = space(&dropped);
    let mut reader = space.reader();
    reader.refresh();
    drop(publish(&space, 2, &dropped));
    assert_eq!(generation(reader.memory()), 2);
    assert_eq!(reader.refresh().map(generation), Some(2));
    assert!(reader.refresh().is_none());
}

#[test]
fn a_reader_knows_whether_its_map_is_in_force() {
    let dropped = counter();
    let space = space(&dropped);
    let mut reader = space.reader();
    assert!(!reader.is_current(), "it has none");
    reader.memory();
    assert!(reader.is_current());
    drop(publish(&space, 2, &dropped));
    assert!(!reader.is_current());
    reader.memory();
    assert!(reader.is_current());
    reader.detach();
    assert!(!reader.is_current());
}

#[test]
fn a_map_is_an_address_space_for_devices() {
    fn number_of_regions<A: GuestAddressSpace<M: GuestMemory>>(space: &A) -> usize {
        space.memory().num_regions()
    }
    let dropped = counter();
    let mut reader = GuestMemoryAtomic::new(map(1, 3, &dropped)).reader();
    assert_eq!(number_of_regions(&reader.memory()), 3);
}

#[test]
fn a_copy_of_a_reader_is_another_reader() {
    let dropped = counter();
    let space = space(&dropped);
    let mut reader = space.reader();
    reader.refresh();
    let mut copy = reader.clone();
    drop(space);
    assert!(!copy.is_current(), "it holds nothing yet");
    assert_eq!(copy.refresh().map(generation), Some(1));
    assert!(reader.refresh().is_none());
    let read = std::thread::spawn(move || generation(copy.memory()));
    assert_eq!(read.join().unwrap(), 1);
    drop(reader);
    assert_eq!(dropped.load(SeqCst), 1);
}

// 35: what they hold

#[test]
fn a_sleeping_reader_holds_an_old_map_until_it_looks_again() {
    let dropped = counter();
    let space = space(&dropped);
    let mut reader = space.reader();
    reader.memory();
    let retired = publish(&space, 2, &dropped);
    assert!(!retired.is_unused());
    let retired = retired.try_into_inner().unwrap_err();
    reader.memory();
    assert!(retired.is_unused());
    drop(retired);
    assert_eq!(dropped.load(SeqCst), 1);
}

#[test]
fn a_detached_reader_holds_no_map_and_comes_back() {
    let dropped = counter();
    let space = space(&dropped);
    let mut reader = space.reader();
    reader.refresh();
    let retired = publish(&space, 2, &dropped);
    assert!(!retired.is_unused());
    reader.detach();
    assert!(retired.is_unused());
    drop(retired.try_into_inner().unwrap());
    assert_eq!(dropped.load(SeqCst), 1);
    drop(publish(&space, 3, &dropped).wait());
    assert_eq!(reader.refresh().map(generation), Some(3));
    // Also where nothing has changed: who detached has dropped what was found in the map.
    reader.detach();
    assert_eq!(reader.refresh().map(generation), Some(3));
    assert!(reader.refresh().is_none());
}

#[test]
fn a_reader_that_was_never_used_holds_nothing() {
    let dropped = counter();
    let space = space(&dropped);
    let reader = space.reader();
    assert!(publish(&space, 2, &dropped).is_unused());
    drop(reader);
}

#[test]
fn a_reader_outlives_its_space() {
    let dropped = counter();
    let space = space(&dropped);
    let mut reader = space.reader();
    drop(space);
    assert_eq!(generation(reader.memory()), 1);
    reader.detach();
    assert_eq!(generation(reader.memory()), 1);
    drop(reader);
    assert_eq!(dropped.load(SeqCst), 1);
}

// Windows

#[test]
fn a_window_tells_when_its_map_is_out() {
    let dropped = counter();
    let space = space(&dropped);
    let old = window(&space);
    assert!(old.is_current() && old.clone().is_current());
    drop(space.lock().unwrap());
    assert!(old.is_current(), "a writer that changes its mind changes nothing");
    drop(publish(&space, 2, &dropped));
    let new = window(&space);
    assert!(!old.is_current() && new.is_current());
    drop(publish(&space, 3, &dropped));
    assert!(!old.is_current() && !new.is_current() && !new.clone().is_current());
    assert_eq!((old.read_obj::<u64>(0), new.read_obj::<u64>(0)), (Ok(1), Ok(2)));
    assert_eq!(generation(old.memory()), 1);
}

#[test]
fn a_window_counts_as_a_user_of_its_map() {
    // 35
    let dropped = counter();
    let space = space(&dropped);
    let window = window(&space);
    let part = window.part(4, 4).unwrap();
    let retired = publish(&space, 2, &dropped);
    assert!(!retired.is_unused());
    drop(window);
    assert!(!retired.is_unused(), "a part of it is there");
    assert!(!part.is_current());
    part.write_obj(7_u32, 0).unwrap();
    drop(retired);
    assert_eq!(dropped.load(SeqCst), 0);
    drop(part);
    assert_eq!(dropped.load(SeqCst), 1);
}

#[test]
fn a_window_on_a_region_that_the_next_map_has_is_out_too() {
    // It is about the map: whoever keeps windows makes all of them anew.
    let dropped = counter();
    let space = GuestMemoryAtomic::new(map(1, 2, &dropped));
    let window = window(&space);
    let guard = space.lock().unwrap();
    let (next, unplugged) = guard.remove_region(GuestAddress(LEN), LEN).unwrap();
    let retired = guard.replace(next);
    assert!(!window.is_current());
    window.write_obj(7_u64, 0).unwrap();
    assert_eq!(generation(&space.memory()), 7, "the same region");
    // The window is in the way of the other region, though it is not on it.
    assert!(!retired.is_unused());
    drop(window);
    assert!(retired.is_unused());
    drop((retired, unplugged));
    assert_eq!(dropped.load(SeqCst), 1);
}

#[test]
fn windows_of_a_reader_are_of_one_map_until_it_looks_again() {
    let dropped = counter();
    let space = space(&dropped);
    let mut reader = space.reader();
    let open = |reader: &mut GuestMemoryReader<Map>| reader.window(FIRST, 8, Permissions::Read);
    let first = open(&mut reader).unwrap();
    drop(publish(&space, 2, &dropped));
    let second = open(&mut reader).unwrap();
    assert_eq!((first.read_obj::<u64>(0), second.read_obj::<u64>(0)), (Ok(1), Ok(1)));
    assert!(!first.is_current() && !second.is_current());
    assert_eq!(reader.refresh().map(generation), Some(2), "and it tells that they are out");
    let third = open(&mut reader).unwrap();
    assert!(third.is_current());
    assert_eq!(third.read_obj::<u64>(0), Ok(2));
    assert_eq!(third.write_obj(0_u64, 0), Err(WindowError::NotWritable));
}

#[test]
fn what_is_no_window_is_an_error() {
    let dropped = counter();
    let space = GuestMemoryAtomic::new(map(1, 2, &dropped));
    let error = |addr, len| space.window(GuestAddress(addr), len, Permissions::Read).unwrap_err();
    assert!(matches!(error(2 * LEN, 1), GuestMemoryError::InvalidGuestAddress(_)));
    assert!(matches!(error(LEN - 1, 2), GuestMemoryError::NotContiguous { .. }));
    // And holds nothing.
    let retired = publish(&space, 2, &dropped);
    assert!(retired.is_unused());
}

#[test]
fn the_types_go_to_other_threads() {
    fn is_shared<T: Send + Sync + 'static>() {}
    is_shared::<GuestMemoryReader<Map>>();
    is_shared::<PinnedWindow<Map>>();
    let dropped = counter();
    let space = space(&dropped);
    let window = window(&space);
    let mut reader = space.reader();
    reader.memory();
    assert!(format!("{window:?}").contains("is_current: true"));
    assert!(format!("{reader:?}").contains("is_current: true"));
    std::thread::spawn(move || assert_eq!(window.read_obj::<u64>(0), Ok(1))).join().unwrap();
    assert!(Arc::strong_count(&space.memory().into_inner()) > 1);
}
