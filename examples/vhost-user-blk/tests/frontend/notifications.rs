//! Who is woken, and when.

use std::thread;
use std::time::Duration;

use crate::daemon::{Daemon, wait};
use crate::ram::Ram;
use crate::ring::{Ring, chained, give, take};
use crate::session::{
    DATA, EVENT_IDX, FEATURES, FLUSH, HEADER, IN, OK, STATUS, Session, serves_the_next,
};
use crate::wire;

const SIZE: u64 = crate::ring::SIZE as u64;

fn with_events(daemon: &Daemon) -> Session {
    Session::with(daemon, FEATURES | EVENT_IDX, Ram::new(), vec![Ring::new(0)])
}

/// Sets after which used chain the driver wants to be told.
fn wants(session: &Session, index: u16) {
    let ring = &session.rings[0];
    session.ram.write(ring.available + 4 + 2 * SIZE, &index.to_le_bytes());
}

#[test]
fn without_event_indices_every_round_is_told() {
    let daemon = Daemon::start(&[]);
    let mut session = Session::new(&daemon);
    for _ in 0..3 {
        assert_eq!(session.request(FLUSH, 0, &[]).0, OK);
        wait("the driver is told", || session.rings[0].call.read().is_ok());
    }
}

#[test]
fn with_event_indices_the_driver_is_told_when_it_wants() {
    let daemon = Daemon::start(&[]);
    let mut session = with_events(&daemon);
    wants(&session, 2);
    for count in 1..=3 {
        assert_eq!(session.request(FLUSH, 0, &[]).0, OK);
        if count < 3 {
            thread::sleep(Duration::from_millis(50));
            assert!(session.rings[0].call.read().is_err(), "told after {count}");
        }
    }
    wait("the driver is told", || session.rings[0].call.read().is_ok());
}

#[test]
fn the_device_says_from_which_chain_on_it_wants_to_be_kicked() {
    let daemon = Daemon::start(&[]);
    let mut session = with_events(&daemon);
    for count in 1..=5 {
        assert_eq!(session.request(FLUSH, 0, &[]).0, OK);
        let event = session.rings[0].used + 4 + 8 * SIZE;
        wait("the event index follows", || session.ram.read_u16(event) == count);
    }
}

#[test]
fn a_queue_full_of_requests_is_used_up_in_order() {
    for features in [FEATURES, FEATURES | EVENT_IDX] {
        let daemon = Daemon::start(&[]);
        let mut session = Session::with(&daemon, features, Ram::new(), vec![Ring::new(0)]);
        session.header(IN, 0);
        let Session { ram, rings, .. } = &mut session;
        let ring = &mut rings[0];
        for round in 0..5 {
            for index in 0..21_u16 {
                let place = DATA + u64::from(index) * 0x400;
                let parts =
                    [give(HEADER, 16), take(place, 0x200), take(STATUS + u64::from(index), 1)];
                ring.put(ram, index * 3, &chained(&parts, index * 3));
                ring.add(ram, index * 3);
            }
            ring.publish(ram);
            ring.kick();
            for index in 0..21 {
                let used = ring.next(ram);
                assert_eq!((used.head, used.len), (index * 3, 0x201), "round {round}");
            }
        }
    }
}

#[test]
fn indices_wrap_around() {
    let daemon = Daemon::start(&[]);
    let mut session = Session::with(&daemon, FEATURES, Ram::new(), vec![]);
    let mut ring = Ring::new(0);
    // As after 65534 requests: the driver's index, and what the device finds in the used ring.
    (ring.added, ring.seen) = (0xfffe, 0xfffe);
    session.ram.write(ring.used + 2, &0xfffe_u16.to_le_bytes());
    session.ram.write(ring.available + 2, &0xfffe_u16.to_le_bytes());
    session.rings.push(ring);
    assert!(session.start_ring(0, 0xfffe));
    session.works();
    session.works();
    assert_eq!(session.rings[0].used_index(&session.ram), 4);
}

#[test]
fn a_queue_that_is_stopped_tells_where_it_is_and_goes_on_from_there() {
    let daemon = Daemon::start(&[]);
    let mut session = Session::new(&daemon);
    session.works();
    let answer = session.link.ask(wire::GET_VRING_BASE, &wire::words(&[0, 0])).unwrap();
    assert_eq!(answer, wire::words(&[0, 3]));
    // A kick of a stopped queue does nothing.
    session.rings[0].kick();
    assert!(session.start_ring(0, 3));
    session.works();
}

#[test]
fn a_queue_that_is_stopped_has_told_of_all_that_is_used() {
    let daemon = Daemon::start(&[]);
    let mut session = Session::new(&daemon);
    let mut caught = 0;
    for base in 0..400_u16 {
        session.header(FLUSH, 0);
        session.rings[0].send(&session.ram, 0, &[give(HEADER, 16), take(STATUS, 1)]);
        let body = wire::words(&[0, 0]);
        let answer = session.link.ask(wire::GET_VRING_BASE, &body).unwrap();
        let used = session.rings[0].used_index(&session.ram);
        assert_eq!(answer, wire::words(&[0, u32::from(used)]));
        // What is used now was told before the answer, and nothing will be told later.
        assert_eq!(session.rings[0].call.read().is_ok(), used != base, "stop {base}");
        caught += u32::from(used != base);
        assert!(session.start_ring(0, used));
        session.rings[0].kick();
        session.rings[0].next(&session.ram);
        if used == base {
            wait("the driver is told", || session.rings[0].call.read().is_ok());
        }
    }
    assert!(caught > 0, "it was always stopped before it began");
}

#[test]
fn after_a_crash_the_requests_from_the_used_index_on_are_served_by_the_next_daemon() {
    let mut daemon = Daemon::start(&[]);
    let mut session = Session::new(&daemon);
    session.works();
    let used = session.rings[0].used_index(&session.ram);
    // Two that it has not seen.
    session.header(IN, 0x100);
    let Session { ram, rings, .. } = &mut session;
    let parts = [give(HEADER, 16), take(DATA, 0x1000), take(STATUS, 1)];
    ram.write(DATA, &[0; 0x1000]);
    for first in [8, 16] {
        rings[0].put(ram, first, &chained(&parts, first));
        rings[0].add(ram, first);
    }
    rings[0].publish(ram);
    daemon.crash();
    let Session { ram, rings, .. } = session;
    let mut session = Session::with(&daemon, FEATURES, ram, vec![]);
    session.rings = rings;
    assert!(session.start_ring(0, used));
    // A front-end kicks when it starts a ring, for what was there before.
    session.rings[0].kick();
    for head in [8, 16] {
        assert_eq!(session.rings[0].next(&session.ram).head, head);
    }
    assert_eq!(session.status(), OK);
    assert_eq!(session.ram.read(DATA, 4), [3, 10, 17, 24]);
    drop(session);
    serves_the_next(&daemon);
}
