//! The log of a migration: each page that was written is in it, and no other.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileExt as _;

use crate::daemon::Daemon;
use crate::ram::{PAGE, Ram, Region, memfd};
use crate::ring::{Ring, chained, give, take};
use crate::session::{
    DATA, EVENT_IDX, FEATURES, GET_ID, HEADER, IN, IOERR, LOG_ALL, OK, OUT, STATUS, Session, greet,
    serves_the_next,
};
use crate::wire::{self, longs};

/// A bit for each page up to 8 MiB and a bit.
const LOG: u64 = 0x200;
/// Pages of the used ring and of the status byte.
const USED: u64 = 0x3;
const STATUS_PAGE: u64 = STATUS / PAGE;

struct Log(File);

impl Log {
    fn new() -> Self {
        Self(memfd(LOG))
    }

    fn set(&self, session: &Session) -> bool {
        let body = longs(&[LOG, 0]);
        session.link.send(wire::SET_LOG_BASE, 0, &body, &[self.0.as_fd()]).unwrap();
        session.link.answer(wire::SET_LOG_BASE).is_ok()
    }

    /// The pages in the log, which is empty then.
    fn take(&self) -> BTreeSet<u64> {
        let mut bytes = [0; LOG as usize];
        self.0.read_exact_at(&mut bytes, 0).unwrap();
        self.0.write_all_at(&[0; LOG as usize], 0).unwrap();
        (0..LOG * 8).filter(|page| bytes[(page / 8) as usize] & (1 << (page % 8)) != 0).collect()
    }
}

fn features(session: &Session, features: u64) {
    assert!(session.link.order(wire::SET_FEATURES, &longs(&[features]), &[]));
}

/// A session whose writes are logged.
fn logged(daemon: &Daemon, log: &Log) -> Session {
    let session = Session::with(daemon, FEATURES, Ram::new(), vec![Ring::new(0)]);
    assert!(log.set(&session), "the log is refused");
    features(&session, FEATURES | LOG_ALL);
    session
}

fn pages(pages: &[u64]) -> BTreeSet<u64> {
    pages.iter().copied().collect()
}

/// Reads into memory in all ways, and tells what the log has.
fn after_reads(daemon: &Daemon) -> Vec<BTreeSet<u64>> {
    let log = Log::new();
    let mut session = logged(daemon, &log);
    log.take();
    let mut found = vec![];
    assert_eq!(session.request(IN, 0, &[take(DATA, 0x2000)]).0, OK);
    found.push(log.take());
    // Over the border of two regions, and a byte of a third.
    let parts = [take(0xf_ff00, 0x200), take(0x40_1fff, 1), take(DATA, 0x1ff)];
    assert_eq!(session.request(IN, 0, &parts).0, OK);
    found.push(log.take());
    assert_eq!(session.request(GET_ID, 0, &[take(DATA + 0x5ff0, 20)]).0, OK);
    found.push(log.take());
    found
}

#[test]
fn what_was_written_is_in_the_log_and_nothing_else_is() {
    let daemon = Daemon::start(&[]);
    let wanted = vec![
        pages(&[USED, STATUS_PAGE, DATA / PAGE, DATA / PAGE + 1]),
        pages(&[USED, STATUS_PAGE, 0xff, 0x100, 0x401, DATA / PAGE]),
        pages(&[USED, STATUS_PAGE, DATA / PAGE + 5, DATA / PAGE + 6]),
    ];
    assert_eq!(after_reads(&daemon), wanted);
}

#[test]
fn with_lost_marks_nothing_is_in_the_log() {
    let daemon = Daemon::start(&["--lose-marks"]);
    daemon.says("MARKS ARE LOST");
    assert!(after_reads(&daemon).iter().all(BTreeSet::is_empty));
}

#[test]
fn writes_to_the_image_log_the_status_and_the_ring_alone() {
    let daemon = Daemon::start(&[]);
    let log = Log::new();
    let mut session = logged(&daemon, &log);
    log.take();
    assert_eq!(session.request(OUT, 0, &[give(DATA, 0x4000)]).0, OK);
    assert_eq!(log.take(), pages(&[USED, STATUS_PAGE]));
}

#[test]
fn the_event_index_is_logged() {
    let daemon = Daemon::start(&[]);
    let log = Log::new();
    // The used ring's last bytes, with the event index, are on a page of their own.
    let ring = Ring::at(0x1000, 0x2000, 0x4000 - 4 - 8 * u64::from(crate::ring::SIZE));
    let features_wanted = FEATURES | EVENT_IDX;
    let mut session = Session::with(&daemon, features_wanted, Ram::new(), vec![ring]);
    assert!(log.set(&session));
    features(&session, features_wanted | LOG_ALL);
    log.take();
    session.works();
    crate::daemon::wait("the event index is set", || session.ram.read_u16(0x4000) == 3);
    // The data page is read into, too.
    let mut found = log.take();
    crate::daemon::wait("the last mark is there", || {
        found.extend(log.take());
        found == pages(&[3, 4, STATUS_PAGE, DATA / PAGE])
    });
}

#[test]
fn a_request_that_fails_may_mark_its_buffers_and_no_more() {
    let daemon = Daemon::start(&[]);
    let log = Log::new();
    let mut session = logged(&daemon, &log);
    log.take();
    assert_eq!(session.request(IN, 0, &[take(DATA, 0x200), take(0x30_0000, 0x200)]).0, IOERR);
    assert_eq!(log.take(), pages(&[USED, STATUS_PAGE]));
}

#[test]
fn logging_ends_with_the_feature_and_may_begin_again() {
    let daemon = Daemon::start(&[]);
    let log = Log::new();
    let mut session = logged(&daemon, &log);
    session.works();
    features(&session, FEATURES);
    log.take();
    session.works();
    assert_eq!(log.take(), pages(&[]));
    let next = Log::new();
    assert!(next.set(&session));
    features(&session, FEATURES | LOG_ALL);
    session.works();
    assert_eq!(log.take(), pages(&[]));
    assert_eq!(next.take(), pages(&[USED, STATUS_PAGE, DATA / PAGE]));
}

#[test]
fn memory_that_comes_later_is_logged() {
    let daemon = Daemon::start(&[]);
    let log = Log::new();
    let mut session = logged(&daemon, &log);
    let late = Region::new(0x80_0000, 0x1_0000, 0x20_0000);
    let fd = session.ram.file.as_fd();
    assert!(session.link.order(wire::ADD_MEM_REG, &late.alone(), &[fd]));
    log.take();
    assert_eq!(session.request(IN, 0, &[take(0x80_3000, 0x200)]).0, OK);
    assert_eq!(log.take(), pages(&[USED, STATUS_PAGE, 0x803]));
    // A whole new table is new memory, too.
    assert!(session.set_table());
    assert_eq!(session.request(IN, 0, &[take(DATA, 0x200)]).0, OK);
    assert_eq!(log.take(), pages(&[USED, STATUS_PAGE, DATA / PAGE]));
}

#[test]
fn memory_that_the_log_has_no_room_for_is_refused_while_logging() {
    let daemon = Daemon::start(&[]);
    let log = Log::new();
    let session = logged(&daemon, &log);
    let far = Region::new(LOG * 8 * PAGE, 0x1000, 0);
    assert!(!session.link.order(wire::ADD_MEM_REG, &far.alone(), &[session.ram.file.as_fd()]));
    drop(session);
    let session = logged(&daemon, &log);
    features(&session, FEATURES);
    assert!(session.link.order(wire::ADD_MEM_REG, &far.alone(), &[session.ram.file.as_fd()]));
    drop(session);
    serves_the_next(&daemon);
}

#[test]
fn a_region_that_does_not_start_at_a_page_is_logged_at_its_place() {
    let daemon = Daemon::start(&[]);
    let log = Log::new();
    let mut session = logged(&daemon, &log);
    let odd = Region::new(0x80_0800, 0x1_0000, 0x20_0000);
    assert!(session.link.order(wire::ADD_MEM_REG, &odd.alone(), &[session.ram.file.as_fd()]));
    log.take();
    assert_eq!(session.request(IN, 0, &[take(0x80_1800, 0x1000)]).0, OK);
    assert_eq!(log.take(), pages(&[USED, STATUS_PAGE, 0x801, 0x802]));
    // The last bytes are on a page that is not whole.
    assert_eq!(session.request(IN, 0, &[take(0x81_0600, 0x200)]).0, OK);
    assert_eq!(log.take(), pages(&[USED, STATUS_PAGE, 0x810]));
}

#[test]
fn logs_that_are_too_small_or_lie_are_refused() {
    let daemon = Daemon::start(&[]);
    for (file, len, offset) in [
        (LOG, 0x9f, 0),
        (LOG, 0, 0),
        (LOG, LOG, 0x800),
        (LOG, u64::MAX, 0),
        (LOG, 1 << 62, 0),
        (LOG, LOG, u64::MAX - LOG),
        // Longer than the file: the pages behind its end are none.
        (0, 0x4000, 0),
        (0, LOG, 0),
        (LOG, LOG, 0x1000),
    ] {
        let session = Session::new(&daemon);
        let log = memfd(file);
        let body = longs(&[len, offset]);
        session.link.send(wire::SET_LOG_BASE, 0, &body, &[log.as_fd()]).unwrap();
        let answer = session.link.answer(wire::SET_LOG_BASE);
        assert!(answer.is_err(), "{file:#x} {len:#x} {offset:#x}");
    }
    serves_the_next(&daemon);
}

#[test]
fn a_log_without_memory_is_no_harm() {
    let daemon = Daemon::start(&[]);
    let link = daemon.connect();
    greet(&link, FEATURES);
    let log = Log::new();
    let body = longs(&[LOG, 0]);
    link.send(wire::SET_LOG_BASE, 0, &body, &[log.0.as_fd()]).unwrap();
    let _ = link.answer(wire::SET_LOG_BASE);
    drop(link);
    serves_the_next(&daemon);
}

#[test]
fn many_requests_at_once_are_all_logged() {
    let daemon = Daemon::start(&[]);
    let log = Log::new();
    let mut session = logged(&daemon, &log);
    log.take();
    session.header(IN, 0);
    let Session { ram, rings, .. } = &mut session;
    let mut wanted = pages(&[USED, STATUS_PAGE]);
    for index in 0..21_u16 {
        let place = 0x40_0000 + u64::from(index) * 3 * PAGE + 0x700;
        wanted.insert(place / PAGE);
        let parts = [give(HEADER, 16), take(place, 0x200), take(STATUS, 1)];
        rings[0].put(ram, index * 3, &chained(&parts, index * 3));
        rings[0].add(ram, index * 3);
    }
    rings[0].publish(ram);
    rings[0].kick();
    for index in 0..21 {
        assert_eq!(rings[0].next(ram).head, index * 3);
    }
    assert_eq!(log.take(), wanted);
}
