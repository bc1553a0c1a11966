//! A real guest, in ring 3, agrees with the host about the memory they share.
//!
//! Where there is no `/dev/kvm` each test prints `skipped: no /dev/kvm` with the reason, and passes.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

extern crate alloc;

mod common;
#[path = "kvm/dirty_logs.rs"]
mod dirty_logs;

use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use core::time::Duration;
use std::thread;
use std::time::Instant;

use common::{CODE, MAILBOX, Memory, PLUG, RAM_LEN, SCRATCH, boot, image, ram, serve, write_image};
use demo::{
    Access, Checksum, Command, DirtyLog, Error, Guest, Memslot, PAGE_SIZE as PAGE, Program, State,
    Vcpu, Vm, Words, pages_in,
};
use guest_address::{GuestAddress, MemoryRegionAddress};
use guest_atomic::GuestMemoryAtomic;
use guest_dirty::AtomicBitmap;
use guest_memory::{Bytes, GuestMemory, GuestMemoryRegion};
use guest_mmap::GuestRegionMmap;

const PLUG_LEN: u64 = 2 << 20;
/// How long readers may hold an old map.
const READERS: Duration = Duration::from_secs(10);

type Region = GuestRegionMmap<AtomicBitmap>;

/// A machine with [`ram`] plugged in; or nothing, and a word about it, where there is no KVM.
fn machine() -> Option<(Vm, Memory, Memslot)> {
    if let Err(reason) = Vm::available() {
        println!("skipped: no /dev/kvm ({reason})");
        return None;
    }
    let vm = Vm::new().unwrap();
    let memory = ram();
    let slot = vm.plug(0, region(&memory, 0), DirtyLog::On).unwrap();
    Some((vm, memory, slot))
}

/// The region of `memory` that starts at `at`, as something to plug.
fn region(memory: &Memory, at: u64) -> Arc<Region> {
    let region = memory.find_region(GuestAddress(at)).unwrap();
    Arc::new(GuestRegionMmap::with_arc(region.get_mmap(), region.start_addr()).unwrap())
}

/// A machine in which the polling program runs.
fn polling() -> Option<(Vm, Memory, Memslot, Guest<Memory>)> {
    let (vm, memory, slot) = machine()?;
    let boot = boot(Program::Poll);
    let mailbox = boot.prepare(memory.clone()).unwrap();
    let guest = Guest::on_kvm(&vm, &boot, mailbox).unwrap();
    Some((vm, memory, slot, guest))
}

fn dirty_pages(vm: &Vm, slot: &Memslot) -> Vec<u64> {
    pages_in(&vm.dirty_log(slot).unwrap()).collect()
}

#[test]
fn the_guest_sums_up_its_memory_as_the_host_does() {
    let Some((vm, memory, _slot)) = machine() else { return };
    let sum = write_image(&memory);
    let boot = boot(Program::Checksum);
    let mut mailbox = boot.prepare(memory).unwrap();
    let ticket = mailbox.send(image()).unwrap();
    let mut guest = Guest::on_kvm(&vm, &boot, mailbox).unwrap();

    assert_eq!(guest.wait(ticket).unwrap(), sum);
    assert_eq!(guest.mailbox().result().unwrap(), sum);
    guest.finish().unwrap();
}

#[test]
fn the_guest_does_what_it_is_told_until_told_to_stop() {
    let Some((vm, memory, _slot, mut guest)) = polling() else { return };
    let sum = write_image(&memory);

    serve(&mut guest, &memory, sum);
    assert_eq!(guest.mailbox().state().unwrap(), State::Running);
    guest.stop().unwrap();
    assert_eq!(Words::load(&memory, MAILBOX + 0x1010).unwrap(), 2);

    // The same machine can start another guest.
    let boot = boot(Program::Poll);
    let mailbox = boot.prepare(memory.clone()).unwrap();
    let mut guest = Guest::on_kvm(&vm, &boot, mailbox).unwrap();
    assert_eq!(guest.ask(image()).unwrap(), sum);
    guest.stop().unwrap();
}

#[test]
fn an_idle_guest_shows_a_heartbeat() {
    let Some((_vm, _memory, _slot, guest)) = polling() else { return };
    let deadline = Instant::now() + Duration::from_secs(10);
    while guest.heartbeats() < 3 {
        assert!(Instant::now() < deadline, "no heartbeat");
        thread::sleep(Duration::from_millis(1));
    }
    assert!(guest.stop().unwrap().heartbeats >= 3);
}

#[test]
fn the_host_never_sees_half_of_what_the_guest_writes() {
    let Some((_vm, memory, _slot, mut guest)) = polling() else { return };
    let mut seen = 0_u64;
    for round in 1..=20_u64 {
        // Both halves of each word are equal, so a word of two halves from two rounds shows.
        let first = round << 32 | round;
        let fill = Command::Fill { address: SCRATCH, stores: 200_000, stride: 0, first };
        let ticket = guest.send(fill).unwrap();
        while !guest.mailbox().is_done(ticket).unwrap() {
            let word = Words::load(&memory, SCRATCH).unwrap();
            let (upper, lower) = (word >> 32, word & 0xffff_ffff);
            assert!(word == 0 || upper >= 1 && upper <= round, "half a word: {word:#x}");
            assert!(word == 0 || lower - upper < 200_000, "half a word: {word:#x}");
            seen += 1;
        }
        assert_eq!(guest.wait(ticket).unwrap(), first + 200_000);
    }
    println!("{seen} reads while the guest wrote");
    guest.stop().unwrap();
}

#[test]
fn memory_is_plugged_used_and_unplugged_while_the_guest_runs() {
    let Some((vm, memory, slot)) = machine() else { return };
    let sum = write_image(&memory);
    let map = GuestMemoryAtomic::new(memory.clone());
    let boot = boot(Program::Poll);
    let mailbox = boot.prepare(map.clone()).unwrap();
    let mut guest = Guest::on_kvm(&vm, &boot, mailbox).unwrap();
    assert_eq!(guest.ask(image()).unwrap(), sum);

    for round in 1..=3_u64 {
        // Plug: first the host's map, then the guest's.
        let extra: Arc<Region> =
            Arc::new(Region::from_range(GuestAddress(PLUG), PLUG_LEN as usize, None).unwrap());
        let mapping = Arc::downgrade(&extra.get_mmap());
        let writer = map.lock().unwrap();
        let wider = writer.insert_region(Arc::clone(&extra)).unwrap();
        writer.replace(wider).wait_timeout(READERS).unwrap();
        let plugged = vm.plug(PLUG, extra, DirtyLog::On).unwrap();

        // The guest uses what the host wrote there, and the other way round.
        let used = 5 * PAGE / 8;
        for index in 0..used {
            Words::store(&map, PLUG + 8 * index, round.wrapping_mul(index)).unwrap();
        }
        let mut expected = Checksum::new();
        (0..used).for_each(|index| expected.word(round.wrapping_mul(index)));
        let ask = Command::Checksum { address: PLUG, words: used };
        assert_eq!(guest.ask(ask).unwrap(), expected.value());
        dirty_pages(&vm, &plugged);
        let fill = Command::Fill { address: PLUG, stores: 5, stride: PAGE, first: round };
        guest.ask(fill).unwrap();
        assert_eq!(Words::load(&map, PLUG + 4 * PAGE).unwrap(), round + 4);
        assert_eq!(dirty_pages(&vm, &plugged), [0, 1, 2, 3, 4]);

        // Unplug: first the host's map, then, when nobody uses the old one, the guest's. Then nothing
        // holds the memory any more.
        let writer = map.lock().unwrap();
        let (narrower, gone) = writer.remove_region(GuestAddress(PLUG), PLUG_LEN).unwrap();
        let old = writer.replace(narrower).wait_timeout(READERS).unwrap();
        vm.unplug(plugged).unwrap();
        drop((old, gone));
        assert!(mapping.upgrade().is_none(), "someone holds the unplugged memory");
        assert!(Words::load(&map, PLUG).is_err());

        // The guest goes on with what it has.
        assert_eq!(guest.ask(image()).unwrap(), sum);
        assert!(dirty_pages(&vm, &slot).contains(&(MAILBOX / PAGE + 1)));
    }
    guest.stop().unwrap();
}

#[test]
fn a_touch_of_a_hole_ends_the_guest_with_the_address() {
    let write = Command::Fill { address: PLUG, stores: 1, stride: 8, first: 0 };
    let read = Command::Checksum { address: PLUG + 16, words: 1 };
    for (command, address, kind) in [(write, PLUG, Access::Write), (read, PLUG + 16, Access::Read)]
    {
        let Some((_vm, _memory, _slot, mut guest)) = polling() else { return };
        let error = guest.ask(command).unwrap_err();
        let Error::Hole { at, access } = error else { panic!("unexpected: {error:?}") };
        assert_eq!((at, access), (address, kind));
    }
}

#[test]
fn memory_unplugged_under_the_guests_hands_becomes_a_hole() {
    let Some((vm, memory, _slot, mut guest)) = polling() else { return };
    let extra = Arc::new(Region::from_range(GuestAddress(PLUG), PLUG_LEN as usize, None).unwrap());
    let plugged = vm.plug(PLUG, Arc::clone(&extra), DirtyLog::On).unwrap();
    let endless = Command::Fill { address: PLUG, stores: u64::MAX, stride: 0, first: 1 };
    let ticket = guest.send(endless).unwrap();
    let last = || extra.load::<u64>(MemoryRegionAddress(0), Ordering::Acquire).unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while last() == 0 {
        assert!(Instant::now() < deadline, "the guest does not write");
        thread::yield_now();
    }

    vm.unplug(plugged).unwrap();
    // From here on nothing changes any more, whatever the guest does.
    let frozen = last();
    let error = guest.wait(ticket).unwrap_err();
    assert!(matches!(error, Error::Hole { at: PLUG, access: Access::Write }), "{error:?}");
    assert_eq!(last(), frozen);
    assert_eq!(Arc::strong_count(&extra), 1);
    assert!(Words::load(&memory, MAILBOX).is_ok());
}

#[test]
fn a_fault_of_the_guest_is_an_error() {
    let Some((_vm, _memory, _slot, mut guest)) = polling() else { return };
    // Behind what the page tables map.
    let command = Command::Checksum { address: 2 << 30, words: 1 };
    let error = guest.ask(command).unwrap_err();
    let Error::Shutdown { instruction, fault } = error else { panic!("unexpected: {error:?}") };
    assert!((CODE..CODE + PAGE).contains(&instruction), "at {instruction:#x}");
    assert_eq!(fault, 2 << 30);
}

#[test]
fn a_guest_that_does_not_listen_is_stopped() {
    let Some((vm, memory, _slot)) = machine() else { return };
    let boot = boot(Program::Poll);
    let mailbox = boot.prepare(memory.clone()).unwrap();
    // jmp to itself
    Words::store(&memory, CODE, 0xfeeb).unwrap();
    let limit = Duration::from_millis(50);
    let guest = Guest::on_kvm(&vm, &boot, mailbox).unwrap().with_limit(limit);
    let start = Instant::now();
    let error = guest.stop().unwrap_err();
    assert!(matches!(error, Error::Stuck { .. }), "unexpected: {error:?}");
    assert!(start.elapsed() < Duration::from_secs(20), "took {:?}", start.elapsed());

    // The virtual CPU has come back and let go: nothing but these two holds the RAM's mapping.
    let mapping = memory.find_region(GuestAddress(0)).unwrap().get_mmap();
    assert_eq!(Arc::strong_count(&mapping), 2);
}

#[test]
fn a_guest_with_endless_work_is_silent_then_stopped() {
    let Some((_vm, _memory, _slot, guest)) = polling() else { return };
    let mut guest = guest.with_limit(Duration::from_millis(50));
    let command = Command::Fill { address: SCRATCH, stores: u64::MAX, stride: 0, first: 0 };
    let error = guest.ask(command).unwrap_err();
    assert!(matches!(error, Error::Silent { ticket: 1, .. }), "unexpected: {error:?}");
    let error = guest.finish().unwrap_err();
    assert!(matches!(error, Error::Stuck { .. }), "unexpected: {error:?}");
}

#[test]
fn a_machine_keeps_plugged_memory_alive_and_only_that() {
    let Some((vm, memory, slot)) = machine() else { return };
    let mapping = Arc::downgrade(&memory.find_region(GuestAddress(0)).unwrap().get_mmap());
    drop(memory);
    assert!(mapping.upgrade().is_some());
    vm.unplug(slot).unwrap();
    assert!(mapping.upgrade().is_none());

    let memory = ram();
    let mapping = Arc::downgrade(&memory.find_region(GuestAddress(0)).unwrap().get_mmap());
    vm.plug(0, region(&memory, 0), DirtyLog::Off).unwrap();
    drop(memory);
    {
        let _vcpu = {
            let last_handle = vm;
            Vcpu::new(&last_handle, &boot(Program::Poll)).unwrap()
        };
        assert!(mapping.upgrade().is_some(), "a virtual CPU could still reach it");
    }
    assert!(mapping.upgrade().is_none());
}

#[test]
fn what_kvm_refuses_is_an_error_and_is_not_kept() {
    let Some((vm, _memory, slot)) = machine() else { return };
    // Over the RAM's last page, and at no page's start.
    let extra: Arc<Region> =
        Arc::new(Region::from_range(GuestAddress(0), 2 * PAGE as usize, None).unwrap());
    for at in [RAM_LEN - PAGE, PLUG + 8] {
        let error = vm.plug(at, Arc::clone(&extra), DirtyLog::Off).unwrap_err();
        assert!(
            matches!(error, Error::Kvm { call: "KVM_SET_USER_MEMORY_REGION", .. }),
            "unexpected: {error:?}"
        );
        assert_eq!(Arc::strong_count(&extra), 1);
    }

    // No log where none was asked for, and none of a slot that is gone.
    let silent = vm.plug(PLUG, extra, DirtyLog::Off).unwrap();
    let error = vm.dirty_log(&silent).unwrap_err();
    assert!(matches!(error, Error::Kvm { call: "KVM_GET_DIRTY_LOG", .. }), "unexpected: {error:?}");
    vm.unplug_all().unwrap();
    let error = vm.dirty_log(&slot).unwrap_err();
    assert!(matches!(error, Error::NoSuchSlot { number: 0 }), "unexpected: {error:?}");
    let error = vm.unplug(slot).unwrap_err();
    assert!(matches!(error, Error::NoSuchSlot { number: 0 }), "unexpected: {error:?}");
}
