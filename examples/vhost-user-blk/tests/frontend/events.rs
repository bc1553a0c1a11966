//! Kicks and calls that are no events: they may stop the queue of whoever sends them, and nobody else.

use std::io::{PipeReader, PipeWriter, Write as _, pipe};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::daemon::Daemon;
use crate::ram::memfd;
use crate::ring::{chained, give, take};
use crate::session::{FLUSH, HEADER, STATUS, Session, serves_the_next};
use crate::wire::{self, longs, words};

/// Sends a kick, lets the daemon do what it does then, and goes.
fn kicks_with(daemon: &Daemon, fd: BorrowedFd<'_>) {
    let session = Session::new(daemon);
    // A queue that was stopped takes its next kick to heart.
    session.link.ask(wire::GET_VRING_BASE, &words(&[0, 0])).unwrap();
    let _ = session.link.order(wire::SET_VRING_KICK, &longs(&[0]), &[fd]);
    thread::sleep(Duration::from_millis(50));
    let _ = session.link.order(wire::SET_VRING_CALL, &longs(&[0]), &[fd]);
    let _ = session.link.send(wire::GET_VRING_BASE, 0, &words(&[0, 0]), &[]);
}

/// A pipe with some bytes in it.
fn with_bytes(count: usize) -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = pipe().unwrap();
    writer.write_all(&vec![1; count]).unwrap();
    (reader, writer)
}

#[test]
fn a_file_is_no_kick() {
    let daemon = Daemon::start(&[]);
    kicks_with(&daemon, memfd(0x1000).as_fd());
    serves_the_next(&daemon);
}

#[test]
fn a_kick_that_ends_stops_its_queue() {
    let daemon = Daemon::start(&[]);
    let (reader, writer) = with_bytes(3);
    drop(writer);
    kicks_with(&daemon, reader.as_fd());
    serves_the_next(&daemon);
}

#[test]
fn a_kick_that_never_comes_whole_blocks_nobody() {
    let daemon = Daemon::start(&[]);
    let (reader, _writer) = with_bytes(3);
    kicks_with(&daemon, reader.as_fd());
    serves_the_next(&daemon);
}

#[test]
fn a_call_that_takes_no_more_blocks_its_own_queue_alone() {
    let daemon = Daemon::start(&[]);
    // As much as a pipe holds.
    let (_reader, writer) = with_bytes(0x1_0000);
    let mut session = Session::new(&daemon);
    assert!(session.link.order(wire::SET_VRING_CALL, &longs(&[0]), &[writer.as_fd()]));
    session.header(FLUSH, 0);
    let Session { link, ram, rings } = &mut session;
    rings[0].put(ram, 0, &chained(&[give(HEADER, 16), take(STATUS, 1)], 0));
    rings[0].add(ram, 0);
    rings[0].publish(ram);
    rings[0].kick();
    rings[0].next(ram);
    // The connection goes on.
    assert_eq!(link.ask(wire::GET_VRING_BASE, &words(&[0, 0])).unwrap(), words(&[0, 1]));
    drop(session);
    daemon.says("is left behind");
    serves_the_next(&daemon);
}

#[test]
fn a_call_that_nobody_reads_is_no_error_of_the_queue_s() {
    let daemon = Daemon::start(&[]);
    let (reader, writer) = with_bytes(0);
    drop(reader);
    let mut session = Session::new(&daemon);
    assert!(session.link.order(wire::SET_VRING_CALL, &longs(&[0]), &[writer.as_fd()]));
    session.works();
    daemon.says("the driver cannot be told");
    drop(session);
    serves_the_next(&daemon);
}

#[test]
fn a_front_end_that_goes_and_writes_on_is_served_no_more() {
    let daemon = Daemon::start(&[]);
    let session = Session::new(&daemon);
    session.header(FLUSH, 0);
    let Session { link, ram, mut rings } = session;
    rings[0].put(&ram, 0, &chained(&[give(HEADER, 16), take(STATUS, 1)], 0));
    let is_enough = AtomicBool::new(false);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let ring = &mut rings[0];
            while !is_enough.load(Ordering::Relaxed) {
                while ring.added.wrapping_sub(ring.used_index(&ram)) < 48 {
                    ring.add(&ram, 0);
                }
                ring.publish(&ram);
                ring.kick();
            }
            ring.used_index(&ram)
        });
        thread::sleep(Duration::from_millis(50));
        drop(link);
        serves_the_next(&daemon);
        let used = ram.read_u16(0x3002);
        thread::sleep(Duration::from_millis(50));
        is_enough.store(true, Ordering::Relaxed);
        let last = writer.join().unwrap();
        assert_ne!(used, 0, "it was never served");
        assert_eq!(used, last);
    });
    assert!(!daemon.said().contains("left behind"));
}
