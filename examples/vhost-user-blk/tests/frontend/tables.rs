//! Memory tables that lie, and messages that are none.

use std::os::fd::AsFd as _;

use crate::daemon::Daemon;
use crate::ram::{Ram, Region, memfd, table};
use crate::ring::{give, take};
use crate::session::{DATA, FEATURES, IN, IOERR, LOG_ALL, OUT, Session, greet, serves_the_next};
use crate::wire::{self, longs, words};

/// Sends a table to a daemon, which refuses it and drops the front-end.
fn refuses(regions: &[Region], len: u64) {
    let daemon = Daemon::start(&[]);
    let link = daemon.connect();
    greet(&link, FEATURES);
    let file = memfd(len);
    let fds: Vec<_> = regions.iter().map(|_| file.as_fd()).collect();
    assert!(!link.order(wire::SET_MEM_TABLE, &table(regions), &fds), "{regions:?}");
    assert!(link.is_closed());
    daemon.says("the front-end is dropped");
    serves_the_next(&daemon);
}

#[test]
fn regions_that_overlap_are_refused() {
    refuses(&[Region::new(0, 0x2000, 0), Region::new(0x1000, 0x2000, 0x2000)], 0x4000);
    refuses(&[Region::new(0x1000, 0x1000, 0), Region::new(0x1000, 0x1000, 0)], 0x4000);
    refuses(&[Region::new(0, 0x2000, 0), Region::new(0x1fff, 0x1000, 0)], 0x4000);
}

#[test]
fn regions_out_of_order_are_refused_or_sorted() {
    // What the map does with them is its own affair, if only the next is served.
    let daemon = Daemon::start(&[]);
    let mut ram = Ram::new();
    ram.regions.reverse();
    let session = Session { link: daemon.connect(), ram, rings: vec![] };
    greet(&session.link, FEATURES);
    let _ = session.set_table();
    drop(session);
    serves_the_next(&daemon);
}

#[test]
fn regions_that_wrap_are_refused() {
    refuses(&[Region { guest: u64::MAX - 0xfff, ..Region::new(0, 0x2000, 0) }], 0x4000);
    refuses(&[Region { user: u64::MAX - 0xfff, ..Region::new(0, 0x2000, 0) }], 0x4000);
    refuses(&[Region { offset: u64::MAX - 0xfff, ..Region::new(0, 0x2000, 0) }], 0x4000);
    refuses(&[Region { len: u64::MAX, ..Region::new(1, 0, 0) }], 0x4000);
    refuses(&[Region { len: 1 << 63, ..Region::new(0x1000, 0, 0) }], 0x4000);
}

#[test]
fn regions_longer_than_their_file_are_refused() {
    refuses(&[Region::new(0, 0x2000, 0)], 0x1000);
    refuses(&[Region::new(0, 0x1000, 0x1000)], 0x1000);
    refuses(&[Region::new(0, 0x1000, 0)], 0xfff);
    refuses(&[Region::new(0, 0x1000, 0)], 0);
    refuses(&[Region::new(0, 0x100_0000_0000, 0)], 0x1000);
}

#[test]
fn regions_without_bytes_and_offsets_within_a_page_are_refused() {
    refuses(&[Region::new(0, 0, 0)], 0x1000);
    refuses(&[Region::new(0, 0x1000, 0x800)], 0x2000);
}

#[test]
fn a_table_without_its_files_is_refused() {
    let daemon = Daemon::start(&[]);
    let ram = Ram::new();
    for count in [0, 1, 2, 4] {
        let link = daemon.connect();
        greet(&link, FEATURES);
        let fds = vec![ram.file.as_fd(); count];
        assert!(!link.order(wire::SET_MEM_TABLE, &table(&ram.regions), &fds), "{count}");
    }
    // A count of regions that the message does not have.
    for count in [0, 2, 9, u32::MAX] {
        let link = daemon.connect();
        greet(&link, FEATURES);
        let body = [words(&[count, 0]), table(&ram.regions[..1])[8..].to_vec()].concat();
        let _ = link.order(wire::SET_MEM_TABLE, &body, &[ram.file.as_fd()]);
    }
    serves_the_next(&daemon);
}

#[test]
fn a_file_that_cannot_be_mapped_is_refused() {
    let daemon = Daemon::start(&[]);
    let (pipe, _other) = std::io::pipe().unwrap();
    let directory = std::fs::File::open("/").unwrap();
    for fd in [pipe.as_fd(), directory.as_fd()] {
        let link = daemon.connect();
        greet(&link, FEATURES);
        let body = table(&[Region::new(0, 0x1000, 0)]);
        assert!(!link.order(wire::SET_MEM_TABLE, &body, &[fd]));
    }
    serves_the_next(&daemon);
}

#[test]
fn a_table_that_is_refused_leaves_the_one_in_force() {
    let daemon = Daemon::start(&[]);
    let mut session = Session::new(&daemon);
    let overlap = Region::new(0x10_1000, 0x1000, 0);
    let fd = session.ram.file.as_fd();
    assert!(!session.link.order(wire::ADD_MEM_REG, &overlap.alone(), &[fd]));
    // The front-end is dropped, as the back-end crate does on every error.
    assert!(session.link.is_closed());
    serves_the_next(&daemon);
    session = Session::new(&daemon);
    let none = Region::new(0x7000_0000, 0x1000, 0);
    assert!(!session.link.order(wire::REM_MEM_REG, &none.alone(), &[]));
    serves_the_next(&daemon);
}

#[test]
fn data_in_a_file_that_has_shrunk_fails_the_request() {
    let daemon = Daemon::start(&[]);
    let mut session = Session::new(&daemon);
    session.works();
    // The region behind the hole has gone; rings, header and status are still there.
    session.ram.file.set_len(0x20_0000).unwrap();
    assert_eq!(session.request(IN, 0, &[take(0x40_0000, 0x200)]), (IOERR, 0));
    assert_eq!(session.request(OUT, 0, &[give(0x40_0000, 0x200)]).0, IOERR);
    let half = [take(DATA, 0x200), take(0x40_0000, 0x200)];
    assert_eq!(session.request(IN, 0, &half).0, IOERR);
    session.works();
    drop(session);
    serves_the_next(&daemon);
}

/// Rings, headers and status bytes are reached by loads and stores, which a file that has shrunk would answer with SIGBUS if the
/// daemon had not called `guest_volatile::fault::install()`.
#[test]
fn a_queue_in_a_file_that_has_shrunk_is_stuck() {
    use crate::ring::{Ring, chained};
    use crate::session::{HEADER, STATUS};

    let daemon = Daemon::start(&[]);
    // A header, then a status byte, then the rings.
    for attack in 0..3 {
        let mut ram = Ram::new();
        let ring =
            if attack == 2 { Ring::at(0x40_1000, 0x40_2000, 0x40_3000) } else { Ring::new(0) };
        ram.regions[2].len = 0x1_0000;
        let mut session = Session::with(&daemon, FEATURES, ram, vec![ring]);
        session.header(IN, 0);
        let header = if attack == 0 { 0x40_8000 } else { HEADER };
        let status = if attack == 1 { 0x40_8000 } else { STATUS };
        let parts = [give(header, 16), take(DATA, 0x200), take(status, 1)];
        let Session { ram, rings, .. } = &mut session;
        rings[0].put(ram, 0, &chained(&parts, 0));
        rings[0].add(ram, 0);
        rings[0].publish(ram);
        ram.file.set_len(0x20_0000).unwrap();
        rings[0].kick();
        if attack == 2 {
            daemon.says("queue 0 is stuck");
        } else {
            rings[0].next(ram);
        }
        drop(session);
        serves_the_next(&daemon);
    }
}

#[test]
fn messages_that_are_none_are_refused() {
    let daemon = Daemon::start(&[]);
    let noise: Vec<u8> = (0..64_u32).map(|index| (index * 37 + 11) as u8).collect();
    let header = |code, flags, len| words(&[code, flags, len]);
    for bytes in [
        noise,
        header(0, 1, 0),
        header(9999, 1, 0),
        header(wire::GET_FEATURES, 0, 0),
        header(wire::GET_FEATURES, 3, 0),
        header(wire::GET_FEATURES, 1, u32::MAX),
        header(wire::GET_FEATURES, 5, 0),
        [header(wire::SET_FEATURES, 1, 4), vec![0; 4]].concat(),
        [header(wire::SET_FEATURES, 1, 8), longs(&[u64::MAX])].concat(),
        [header(wire::SET_MEM_TABLE, 1, 0)].concat(),
        [header(wire::SET_VRING_KICK, 1, 8), longs(&[0])].concat(),
        [header(wire::SET_VRING_ADDR, 1, 8), longs(&[0])].concat(),
        [header(wire::GET_CONFIG, 1, 12), words(&[0, u32::MAX, 0])].concat(),
        [header(wire::GET_CONFIG, 1, 12), words(&[u32::MAX, 4, 0])].concat(),
    ] {
        let link = daemon.connect();
        link.send_bytes(&bytes, &[]).unwrap();
        assert!(link.is_closed(), "{bytes:?}");
    }
    serves_the_next(&daemon);
}

#[test]
fn a_front_end_that_goes_in_the_middle_of_a_message_is_forgotten() {
    let daemon = Daemon::start(&[]);
    for len in [0, 1, 11, 12, 13] {
        let bytes = [words(&[wire::SET_FEATURES, 1, 8]), longs(&[0])].concat();
        let link = daemon.connect();
        link.send_bytes(&bytes[..len.max(1)], &[]).unwrap();
    }
    drop(daemon.connect());
    serves_the_next(&daemon);
}

#[test]
fn what_is_not_offered_is_refused() {
    let daemon = Daemon::start(&[]);
    let link = daemon.connect();
    greet(&link, FEATURES | LOG_ALL);
    assert!(link.ask(wire::GET_INFLIGHT_FD, &[0; 24]).is_err());
    serves_the_next(&daemon);
}
