//! Rings that are nowhere, and counts that cannot be.

use crate::daemon::Daemon;
use crate::ram::{Ram, Region};
use crate::ring::{Ring, SIZE};
use crate::session::{EVENT_IDX, FEATURES, Session, greet, serves_the_next};
use crate::wire::{self, longs, words};

/// A session in which no ring has been started.
fn without_rings(daemon: &Daemon) -> Session {
    Session::with(daemon, FEATURES | EVENT_IDX, Ram::new(), vec![])
}

fn addresses(index: u32, descriptors: u64, used: u64, available: u64) -> Vec<u8> {
    [words(&[index, 0]), longs(&[descriptors, used, available, 0])].concat()
}

#[test]
fn rings_outside_of_every_region_are_refused() {
    let daemon = Daemon::start(&[]);
    let user = Ram::new().user(0x1000);
    let outside = [0, 0x1000, user + 0x800_0000, u64::MAX - 15];
    for wrong in outside {
        for which in 0..3 {
            let session = without_rings(&daemon);
            let mut all = [user, user + 0x1000, user + 0x2000];
            all[which] = wrong;
            let body = addresses(0, all[0], all[1], all[2]);
            assert!(!session.link.order(wire::SET_VRING_ADDR, &body, &[]), "{wrong:#x}");
            assert!(session.link.is_closed());
        }
    }
    daemon.says("the front-end is dropped");
    serves_the_next(&daemon);
}

#[test]
fn rings_before_any_memory_are_refused() {
    let daemon = Daemon::start(&[]);
    let link = daemon.connect();
    greet(&link, FEATURES);
    assert!(!link.order(wire::SET_VRING_ADDR, &addresses(0, 0x1000, 0x2000, 0x3000), &[]));
    assert!(link.is_closed());
    serves_the_next(&daemon);
}

#[test]
fn rings_that_run_out_of_memory_in_the_middle_are_not_worked_on() {
    // Each starts in the last region, and ends behind it.
    let end = 0x50_0000;
    for (descriptors, available, used) in
        [(end - 0x200, 0x2000, 0x3000), (0x1000, end - 0x10, 0x3000), (0x1000, 0x2000, end - 0x10)]
    {
        let daemon = Daemon::start(&[]);
        let mut session = without_rings(&daemon);
        let mut ring = Ring::at(descriptors, available, used);
        ring.added = 60;
        session.ram.write(available + 2, &60_u16.to_le_bytes());
        session.rings.push(ring);
        assert!(session.start_ring(0, 0));
        session.rings[0].kick();
        daemon.says("queue 0 is stuck: its rings are not in guest memory");
        drop(session);
        serves_the_next(&daemon);
    }
}

#[test]
fn misaligned_rings_are_refused() {
    let daemon = Daemon::start(&[]);
    let user = Ram::new().user(0x1000);
    for (descriptors, used, available) in [(8, 0, 0), (0, 2, 0), (0, 0, 1)] {
        let session = without_rings(&daemon);
        let body =
            addresses(0, user + descriptors, user + 0x1000 + used, user + 0x2000 + available);
        assert!(!session.link.order(wire::SET_VRING_ADDR, &body, &[]));
    }
    serves_the_next(&daemon);
}

#[test]
fn a_region_at_an_odd_address_makes_no_queue_hang() {
    // Rings that are aligned for the guest are not so for the host here.
    let daemon = Daemon::start(&[]);
    let mut ram = Ram::new();
    ram.regions[2].guest += 1;
    ram.regions[2].user += 1;
    ram.regions[2].len -= 0x1000;
    let mut session = Session::with(&daemon, FEATURES, ram, vec![]);
    let ring = Ring::at(0x40_1000, 0x40_2000, 0x40_3000);
    session.rings.push(ring);
    if session.start_ring(0, 0) {
        let Session { ram, rings, .. } = &mut session;
        rings[0].add(ram, 0);
        rings[0].publish(ram);
        rings[0].kick();
        daemon.says("queue 0 is stuck");
    } else {
        daemon.says("the front-end is dropped");
    }
    drop(session);
    serves_the_next(&daemon);
}

#[test]
fn an_entry_that_lies_in_two_regions_makes_no_queue_hang() {
    // The whole ring is in memory, and its index is read; its first entry is not one load.
    let daemon = Daemon::start(&[]);
    let mut ram = Ram::new();
    ram.regions[2] = Region::new(0x40_0000, 0x2005, 0x20_0000);
    ram.regions.push(Region::new(0x40_2005, 0x1000, 0x21_0000));
    let mut session = Session::with(&daemon, FEATURES, ram, vec![]);
    session.rings.push(Ring::at(0x1000, 0x40_2000, 0x3000));
    assert!(session.start_ring(0, 0));
    let Session { ram, rings, .. } = &mut session;
    rings[0].add(ram, 0);
    rings[0].publish(ram);
    rings[0].kick();
    daemon.says("queue 0 is stuck: an entry of its available ring cannot be read");
    drop(session);
    serves_the_next(&daemon);
}

#[test]
fn an_available_index_too_far_ahead_is_stuck() {
    for ahead in [SIZE + 1, 0x8000, u16::MAX] {
        let daemon = Daemon::start(&[]);
        let mut session = Session::new(&daemon);
        session.rings[0].added = ahead;
        session.rings[0].publish(&session.ram);
        session.rings[0].kick();
        daemon.says("queue 0 is stuck: invalid available ring index");
        drop(session);
        serves_the_next(&daemon);
    }
}

#[test]
fn sizes_and_queues_that_are_not_offered_are_refused() {
    let daemon = Daemon::start(&[]);
    for size in [0, 1025, 0x1_0000, u32::MAX] {
        let session = without_rings(&daemon);
        assert!(!session.link.order(wire::SET_VRING_NUM, &words(&[0, size]), &[]), "{size}");
    }
    for queue in [1, 0x100, u32::MAX] {
        for code in [wire::SET_VRING_NUM, wire::SET_VRING_BASE, wire::SET_VRING_ENABLE] {
            let session = without_rings(&daemon);
            assert!(!session.link.order(code, &words(&[queue, 1]), &[]), "{code} {queue}");
        }
    }
    serves_the_next(&daemon);
}

#[test]
fn a_size_that_is_no_power_of_two_leaves_the_queue_as_it_was() {
    let daemon = Daemon::start(&[]);
    let mut session = Session::new(&daemon);
    let _ = session.link.order(wire::SET_VRING_NUM, &words(&[0, 63]), &[]);
    session.works();
}
