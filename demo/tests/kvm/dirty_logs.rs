//! Who wrote which page: the hypervisor's log has the guest's writes, our bitmap the host's.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::collections::BTreeSet;
use std::thread;

use demo::{Command, Guest, PAGE_SIZE as PAGE, Program, Words, pages_in};
use guest_address::GuestAddress;
use guest_atomic::GuestMemoryAtomic;
use guest_dirty::Harvest;
use guest_memory::{Bytes, GuestAddressSpace, GuestMemory, GuestMemoryRegion};
use guest_volatile::Bitmap;

use crate::common::{MAILBOX, RAM_LEN, SCRATCH, boot, image, write_image};
use crate::{dirty_pages, machine, polling};

/// Writes to each page of the scratch area.
const TOUCH_SCRATCH: Command =
    Command::Fill { address: SCRATCH, stores: 64, stride: PAGE, first: 1 };

#[test]
fn a_guest_in_ring_3_writes_while_the_host_reads_and_the_dirty_logs_agree() {
    const ROUNDS: u64 = 50;
    /// Every second word of eight pages; the host has the words between.
    const WORDS: u64 = 8 * 256;
    // A word is 0 or names its place and, in both halves, the round in which it was written.
    let word = |round: u64, index: u64| round << 48 | round << 16 | index;
    let fill = |round| Command::Fill {
        address: SCRATCH,
        stores: WORDS,
        stride: 16,
        first: word(round, 0),
    };

    let Some((vm, memory, slot)) = machine() else { return };
    let map = GuestMemoryAtomic::new(memory.clone());
    let boot = boot(Program::Poll);
    let mailbox = boot.prepare(map.clone()).unwrap();
    let mut guest = Guest::on_kvm(&vm, &boot, mailbox).unwrap();
    // A first touch may count as dirty. It goes to words that are not compared.
    guest.ask(Command::Fill { address: SCRATCH + 8, stores: 64, stride: PAGE, first: 0 }).unwrap();
    vm.dirty_log(&slot).unwrap();
    let mapping = memory.find_region(GuestAddress(0)).unwrap().get_mmap();
    let bitmap = mapping.bitmap();
    bitmap.take().unwrap().commit();

    // The host writes one page that the guest writes, too, and two that it does not.
    let host_writes = [SCRATCH + 3 * PAGE + 8, SCRATCH + 20 * PAGE, SCRATCH + 23 * PAGE + 0xff8];
    let (stop, passes) = (AtomicBool::new(false), AtomicU64::new(0));
    let changes = thread::scope(|scope| {
        let stop_at_the_end = StopOnDrop(&stop);
        let reader = scope.spawn(|| {
            let mut changes = 0_u64;
            let mut seen = vec![0_u64; WORDS as usize];
            while !stop.load(Ordering::Relaxed) {
                let memory = map.memory();
                for (index, seen) in (0..).zip(&mut seen) {
                    let found: u64 = memory.read_obj(GuestAddress(SCRATCH + 16 * index)).unwrap();
                    let round = found >> 48;
                    assert!(
                        found == 0 || round <= ROUNDS && found == word(round, index),
                        "half a word at {index}: {found:#x}"
                    );
                    assert!(found >= *seen, "back from {seen:#x} to {found:#x}");
                    changes += u64::from(found != *seen);
                    *seen = found;
                }
                passes.fetch_add(1, Ordering::Relaxed);
            }
            changes
        });
        let another_pass = || {
            let before = passes.load(Ordering::Relaxed);
            while passes.load(Ordering::Relaxed) == before && !reader.is_finished() {
                thread::yield_now();
            }
        };
        for round in 1..=ROUNDS {
            // The reader is in the middle of the next one when the guest begins.
            another_pass();
            let ticket = guest.send(fill(round)).unwrap();
            for at in host_writes {
                Words::store(&map, at, round).unwrap();
            }
            guest.wait(ticket).unwrap();
        }
        drop(stop_at_the_end);
        reader.join().unwrap()
    });
    println!("{} passes, {changes} words seen to change", passes.into_inner());
    assert!(changes > WORDS, "the reader saw {changes} changes of {WORDS} words");

    // KVM's log has the guest's pages and no other.
    let log = vm.dirty_log(&slot).unwrap();
    let reply_page = MAILBOX / PAGE + 1;
    let guests: BTreeSet<u64> =
        (0..8).map(|page| SCRATCH / PAGE + page).chain([reply_page]).collect();
    assert_eq!(pages_in(&log).collect::<BTreeSet<_>>(), guests);

    // Our bitmap has the host's.
    let named = |harvest: &Harvest<'_>| -> BTreeSet<u64> {
        harvest.pages().map(|page| page as u64).collect()
    };
    let request_page = MAILBOX / PAGE;
    let hosts: BTreeSet<u64> =
        host_writes.into_iter().map(|at| at / PAGE).chain([request_page]).collect();
    let harvest = bitmap.take().unwrap();
    assert_eq!(named(&harvest), hosts);
    drop(harvest); // back into the bitmap

    // Merged it has both.
    bitmap.merge_words(0, &log).unwrap();
    let harvest = bitmap.take().unwrap();
    assert_eq!(named(&harvest), &guests | &hosts);
    harvest.commit();
    guest.stop().unwrap();
}

#[test]
fn the_dirty_log_names_exactly_the_pages_that_the_guest_wrote() {
    let Some((vm, memory, slot, mut guest)) = polling() else { return };
    let reply_page = MAILBOX / PAGE + 1;
    // The guest touches all it will use: the first read of a page may count as dirty.
    write_image(&memory);
    guest.ask(image()).unwrap();
    guest.ask(TOUCH_SCRATCH).unwrap();
    let first = dirty_pages(&vm, &slot);
    assert!(first.contains(&reply_page), "not even the reply is dirty: {first:x?}");

    // Reading alone leaves nothing but the reply.
    guest.ask(image()).unwrap();
    assert_eq!(dirty_pages(&vm, &slot), [reply_page]);

    // Every third page, first bytes and last bytes in turn.
    let fill = |address| Command::Fill { address, stores: 10, stride: 3 * PAGE, first: 1 };
    guest.ask(fill(SCRATCH)).unwrap();
    let expected: Vec<u64> = core::iter::once(reply_page)
        .chain((0..10).map(|index| SCRATCH / PAGE + 3 * index))
        .collect();
    assert_eq!(dirty_pages(&vm, &slot), expected);
    guest.ask(fill(SCRATCH + PAGE - 8)).unwrap();
    assert_eq!(dirty_pages(&vm, &slot), expected);

    // Fetched means cleared.
    assert_eq!(dirty_pages(&vm, &slot), [0_u64; 0]);
    guest.stop().unwrap();
}

#[test]
fn the_hosts_bitmap_and_the_hypervisors_log_together_name_all_writes() {
    let Some((vm, memory, slot, mut guest)) = polling() else { return };
    guest.ask(TOUCH_SCRATCH).unwrap();
    vm.dirty_log(&slot).unwrap();
    let region = memory.find_region(GuestAddress(0)).unwrap();
    region.get_mmap().bitmap().reset();

    // The guest takes even pages, the host odd ones.
    let fill = Command::Fill { address: SCRATCH, stores: 8, stride: 2 * PAGE, first: 1 };
    let ticket = guest.send(fill).unwrap();
    for index in 0..8 {
        let at = SCRATCH + (2 * index + 1) * PAGE;
        Words::store(&memory, at, index).unwrap();
    }
    guest.wait(ticket).unwrap();

    let guests = dirty_pages(&vm, &slot);
    let hosts: Vec<u64> = (0..RAM_LEN / PAGE)
        .filter(|page| region.bitmap().dirty_at((page * PAGE) as usize))
        .collect();
    let scratch = |odd: u64| (0..8).map(move |index| SCRATCH / PAGE + 2 * index + odd);
    let request_page = MAILBOX / PAGE;
    let expected: Vec<u64> = core::iter::once(request_page + 1).chain(scratch(0)).collect();
    assert_eq!(guests, expected);
    let expected: Vec<u64> = core::iter::once(request_page).chain(scratch(1)).collect();
    assert_eq!(hosts, expected);
    guest.stop().unwrap();
}

/// Tells a thread to stop, also where a test panics.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
