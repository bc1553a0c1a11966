//! Memory that is mapped in a span where other memory was is had by one thread at a time.
//!
//! Threads map memory at the same two places of a span, use it, and unmap it. Planted: they use one region, as if the span
//! had lent its place to all of them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use guest_memory::{Bytes, GuestAddress, GuestRange, MemoryRegionAddress};
use guest_memory_races::{beside, for_a_while, is_planted};
use guest_mmap::{GuestRegionMmap, GuestSpan};

const PAGE: usize = 0x1000;
const PLACES: u64 = 2;

/// Writes the region and reads it again.
fn have(region: &GuestRegionMmap, value: u64) {
    let at = MemoryRegionAddress(0);
    region.write_slice(&value.to_ne_bytes().repeat(PAGE / 8), at).expect("it is there");
    let read = region.read_obj::<u64>(at).expect("it is there");
    assert!(is_planted() || read == value, "another thread has it too");
}

fn main() {
    let range = GuestRange::new(GuestAddress(0), PLACES * PAGE as u64).expect("it does not wrap");
    let span = GuestSpan::new(range).expect("a process has as many addresses");
    let of_all = span.map_region(GuestAddress(0), PAGE, None).expect("nothing is lent");
    // Otherwise its place is among those that are fought for.
    let of_all = is_planted().then_some(of_all);
    let turn = |number: u64| {
        if let Some(region) = &of_all {
            return have(region, number);
        }
        match span.map_region(GuestAddress(number % PLACES * PAGE as u64), PAGE, None) {
            Ok(region) => have(&region, number),
            // Somebody else has it.
            Err(_) => thread::yield_now(),
        }
    };
    let other = || {
        Box::new(|stopped: &AtomicBool| {
            (1_u64..).take_while(|_| !stopped.load(Ordering::Relaxed)).for_each(turn);
        })
    };
    beside(|| for_a_while(turn), vec![other(), other()]);
}
