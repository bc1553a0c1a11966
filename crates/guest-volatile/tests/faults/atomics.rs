//! Atomic operations on a page that is out of reach.

use std::fmt::Debug;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

use guest_volatile::{Access, AtomicAccess, AtomicUpdate, Error};

use crate::common::Log;
use crate::memory::{BOTH, PAGE, Pages, fault_of};

#[track_caller]
fn faults<T: Debug>(result: Result<T, Error>, access: Access) {
    assert_eq!(fault_of(result), (PAGE + 8, 0, access));
}

fn every_operation<T: AtomicAccess<A: AtomicUpdate> + Debug>() {
    for why in BOTH {
        let (pages, log) = (Pages::new(why), Log::default());
        let memory = log.watch(pages.slice());
        let (at, one) = (PAGE + 8, T::zeroed());
        for order in [Relaxed, Acquire, SeqCst] {
            faults(memory.load::<T>(at, order), Access::Read);
            faults(memory.read_only().load::<T>(at, order), Access::Read);
        }
        for order in [Relaxed, Release, SeqCst] {
            faults(memory.store(one, at, order), Access::Write);
        }
        for order in [Relaxed, Acquire, Release, AcqRel, SeqCst] {
            faults(memory.compare_exchange(one, one, at, order, Relaxed), Access::Write);
            faults(memory.fetch_add(one, at, order), Access::Write);
            faults(memory.fetch_and(one, at, order), Access::Write);
            faults(memory.fetch_or(one, at, order), Access::Write);
        }
        assert_eq!(log.take(), []);
    }
}

#[test]
fn every_atomic_operation_says_that_it_faulted_and_marks_nothing() {
    every_operation::<u8>();
    every_operation::<u16>();
    every_operation::<u32>();
    every_operation::<u64>();
    every_operation::<usize>();
    every_operation::<i8>();
    every_operation::<i16>();
    every_operation::<i32>();
    every_operation::<i64>();
    every_operation::<isize>();
}
