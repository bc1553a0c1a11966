//! The lease: what holds one, how old it is, and how one waits for it.

mod common;

use std::sync::mpsc;
use std::sync::{Mutex, RwLock, RwLockReadGuard};
use std::thread;
use std::time::Duration;

use common::{Memory, map, memory, ram, unmap};
use guest_iommu::{Error, GuestAddress, Iommu, IommuMemory, Iotlb, IotlbIterator, PastLeases};
use guest_memory::Permissions::{self, Read, ReadWrite, Write};
use guest_memory::{Bytes, IoMemory};
use rstest::rstest;

const IOVA: GuestAddress = GuestAddress(0x8000);

/// The device's pages 8 and 9 are guest pages 2 and 1.
fn guest() -> Memory {
    let memory = memory(&[(0x1000, 0x2000)]);
    map(&memory, 0x8000, 0x2000, 0x1000, ReadWrite);
    map(&memory, 0x9000, 0x1000, 0x1000, ReadWrite);
    memory
}

/// Says that what is made holds a lease until it is dropped.
fn holds<T>(memory: &Memory, what: &str, make: impl FnOnce() -> T) {
    let held = make();
    let past = memory.past_leases();
    assert!(!past.are_over(), "{what}");
    assert!(past.wait_timeout(Duration::ZERO).is_err(), "{what}");
    drop(held);
    assert!(past.are_over(), "{what}");
    past.wait();
}

#[test]
fn all_that_leads_to_translated_memory_holds_a_lease() {
    let memory = guest();
    let slice = || memory.find_io_slice(IOVA, 0x10, ReadWrite).unwrap();
    let slices = || memory.get_slices(IOVA, 0x2000, Write).unwrap();
    holds(&memory, "a slice", slice);
    holds(&memory, "a slice to read", || memory.find_io_slice(IOVA, 0x10, Read).unwrap());
    holds(&memory, "a copy", || slice().clone());
    holds(&memory, "a part", || slice().subslice(4, 4).unwrap());
    holds(&memory, "a part of a part", || slice().offset(4).unwrap().split_at(2).unwrap().1);
    holds(&memory, "an empty part", || slice().subslice(4, 0).unwrap());
    holds(&memory, "a slice for reading only", || slice().read_only());
    holds(&memory, "a pointer to write", || slice().host_ptr_mut());
    holds(&memory, "slices to come", slices);
    holds(&memory, "the first of two slices", || slices().next().unwrap().unwrap());
    holds(&memory, "the second of two slices", || slices().nth(1).unwrap().unwrap());
    holds(&memory, "a lease", || memory.lease());
    holds(&memory, "a lease's copy", || memory.lease().clone());
}

#[test]
fn what_is_over_or_refused_holds_none() {
    let memory = guest();
    memory.write_slice(&[1; 0x2000], IOVA).unwrap();
    memory.read_obj::<u64>(GuestAddress(0x8ffc)).unwrap();
    assert!(memory.read_obj::<u64>(GuestAddress(0x9ffc)).is_err());
    assert!(memory.get_slices(IOVA, 0x2001, Read).is_err());
    assert!(memory.find_io_slice(IOVA, 0x1001, Read).is_none());
    assert!(memory.check_range(IOVA, 0x2000, Read));
    memory.past_leases().wait();
}

#[test]
fn a_slice_goes_on_to_be_of_the_memory_that_it_was_translated_to() {
    let memory = guest();
    let slice = memory.find_io_slice(IOVA, 8, ReadWrite).unwrap();
    unmap(&memory, 0x8000, 0x1000);
    assert!(memory.read_obj::<u64>(IOVA).is_err());
    slice.write_obj(7_u64, 0).unwrap();
    map(&memory, 0x8000, 0x1000, 0x1000, ReadWrite);
    assert_eq!(memory.read_obj::<u64>(IOVA).unwrap(), 0);
    assert_eq!(slice.read_obj::<u64>(0).unwrap(), 7);
    assert_eq!(memory.get_backend().read_obj::<u64>(GuestAddress(0x2000)).unwrap(), 7);
}

#[test]
fn new_slices_keep_nobody_waiting() {
    let memory = guest();
    let mut slice = memory.find_io_slice(IOVA, 8, Read).unwrap();
    for _ in 0..1000 {
        let past = memory.past_leases();
        assert!(!past.are_over());
        // There is a slice at every moment, but no old one.
        slice = memory.find_io_slice(IOVA, 8, Read).unwrap();
        assert!(past.are_over());
    }
    drop(slice);
}

#[test]
fn what_was_asked_for_and_forgotten_is_still_waited_for_by_the_next() {
    let memory = guest();
    let old = memory.lease();
    drop(memory.past_leases());
    let newer = memory.lease();
    for _ in 0..10 {
        drop(memory.past_leases());
    }
    let past = memory.past_leases();
    drop(newer);
    assert!(!past.are_over());
    drop(old);
    assert!(past.are_over());
}

#[test]
fn who_asked_first_is_not_kept_waiting_by_who_asks_later() {
    let memory = guest();
    let old = memory.lease();
    let first = memory.past_leases();
    let newer = memory.lease();
    let second = memory.past_leases();
    drop(old);
    assert!(first.are_over() && !second.are_over());
    drop(newer);
    assert!(second.are_over() && first.are_over());
}

#[test]
fn the_leases_of_clones_and_of_replaced_memories_count() {
    let memory = guest();
    let (clone, other) = (memory.clone(), memory.with_replaced_backend(ram(&[(0x2000, 0x1000)])));
    holds(&memory, "a clone's slice", || clone.find_io_slice(IOVA, 8, Read).unwrap());
    holds(&memory, "another memory's slice", || other.find_io_slice(IOVA, 8, Read).unwrap());
    let past = clone.past_leases();
    drop((memory, clone, other));
    assert!(past.are_over());
}

#[test]
fn waiting_returns_when_another_thread_lets_go() {
    let memory = guest();
    let slice = memory.find_io_slice(IOVA, 8, Write).unwrap();
    unmap(&memory, 0x8000, 0x1000);
    let past = memory.past_leases();
    thread::scope(|scope| {
        let device = scope.spawn(|| {
            thread::sleep(Duration::from_millis(20));
            slice.write_obj(7_u64, 0).unwrap();
            drop(slice);
        });
        past.clone().wait();
        // What it did with its slice has been done before.
        assert_eq!(memory.get_backend().read_obj::<u64>(GuestAddress(0x2000)).unwrap(), 7);
        device.join().unwrap();
    });
    assert_eq!(past.wait_timeout(Duration::ZERO), Ok(()));
}

/// An IOMMU that waits for a mapping until there is one.
#[derive(Debug)]
struct Waits {
    iotlb: RwLock<Iotlb>,
    asked: Mutex<mpsc::Sender<GuestAddress>>,
    answered: Mutex<mpsc::Receiver<()>>,
}

impl Iommu for Waits {
    type IotlbGuard<'a> = RwLockReadGuard<'a, Iotlb>;

    fn translate(
        &self,
        iova: GuestAddress,
        length: usize,
        access: Permissions,
    ) -> Result<IotlbIterator<Self::IotlbGuard<'_>>, Error> {
        let table = || self.iotlb.read().expect("nobody panics who has the lock");
        if let Ok(mapped) = Iotlb::lookup(table(), iova, length, access) {
            return Ok(mapped);
        }
        self.asked.lock().expect("one device").send(iova).expect("the handler listens");
        self.answered.lock().expect("one device").recv().expect("the handler answers");
        Iotlb::lookup(table(), iova, length, access)
            .map_err(|fails| fails.cannot_resolve(iova, length))
    }
}

type Waiting = IommuMemory<common::Ram, Waits, ()>;

#[rstest]
#[case::an_access(|memory: &Waiting| memory.read_obj::<u64>(IOVA).is_ok())]
#[case::one_slice(|memory: &Waiting| memory.find_io_slice(IOVA, 8, Read).is_some())]
#[case::slices(|memory: &Waiting| memory.get_slices(IOVA, 8, Read).is_ok())]
#[case::a_check(|memory: &Waiting| memory.check_range(IOVA, 8, Read))]
fn who_waits_for_a_mapping_keeps_nobody_waiting_for_leases(#[case] way: fn(&Waiting) -> bool) {
    let (asked, asks) = mpsc::channel();
    let (answers, answered) = mpsc::channel();
    let iommu = Waits {
        iotlb: RwLock::default(),
        asked: Mutex::new(asked),
        answered: Mutex::new(answered),
    };
    let memory = IommuMemory::new(ram(&[(0x1000, 0x1000)]), iommu, true, ());
    thread::scope(|scope| {
        let device = scope.spawn(|| way(&memory));
        // One thread hears invalidations and brings mappings. It must get by the first to come to the second.
        assert_eq!(asks.recv().unwrap(), IOVA);
        memory.iommu().iotlb.write().unwrap().invalidate_all();
        let over = memory.past_leases().wait_timeout(Duration::from_secs(10));
        let mut iotlb = memory.iommu().iotlb.write().unwrap();
        iotlb.set_mapping(IOVA, GuestAddress(0x1000), 0x1000, ReadWrite).unwrap();
        drop(iotlb);
        answers.send(()).unwrap();
        assert!(device.join().unwrap());
        assert_eq!(over, Ok(()));
    });
}

#[test]
fn tickets_and_slices_may_cross_threads() {
    fn crosses<T: Send + Sync>(_: &T) {}
    let memory = guest();
    crosses::<PastLeases>(&memory.past_leases());
    crosses(&memory.lease());
    crosses(&memory.find_io_slice(IOVA, 8, Read).unwrap());
    crosses(&memory.get_slices(IOVA, 8, Read).unwrap());
    crosses(&memory);
}
