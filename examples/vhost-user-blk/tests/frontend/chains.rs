//! Chains that no driver makes: the request fails or is handed back undone, and the queue goes on.

use std::os::unix::fs::FileExt as _;

use crate::daemon::{Daemon, SECTORS};
use crate::ring::{Part, chained, give, table, take};
use crate::session::{
    DATA, HEADER, IN, IOERR, NONE, OK, OUT, STATUS, Session, TABLE, serves_the_next,
};
use crate::wire::{longs, words};

/// Nothing is there.
const HOLE: u64 = 0x30_0000;

/// Sends a chain that is laid out by hand, and tells what the device says it wrote, and the status.
fn send_raw(session: &mut Session, parts: &[Part]) -> (u32, u8) {
    session.ram.write(STATUS, &[NONE]);
    let Session { ram, rings, .. } = session;
    rings[0].put(ram, 0, parts);
    rings[0].add(ram, 0);
    rings[0].publish(ram);
    rings[0].kick();
    let used = rings[0].next(ram);
    assert_eq!(used.head, 0);
    (used.len, session.status())
}

fn indirect(session: &mut Session, parts: &[Part], len: u32) -> (u32, u8) {
    let bytes: Vec<u8> = parts.iter().flat_map(Part::bytes).collect();
    session.ram.write(TABLE, &bytes);
    send_raw(session, &[table(TABLE, len)])
}

/// Runs an attack on a queue that works before it and after it, and has the next front-end served.
fn attack(what: &str, attack: impl FnOnce(&mut Session)) {
    let daemon = Daemon::start(&[]);
    let mut session = Session::new(&daemon);
    session.works();
    daemon.image().write_all_at(&[0x33; 0x1000], 0).unwrap();
    session.ram.write(DATA, &[NONE; 0x1000]);
    session.header(IN, 0);
    attack(&mut session);
    daemon.says(what);
    session.works();
    drop(session);
    serves_the_next(&daemon);
}

#[test]
fn a_chain_that_loops_is_handed_back() {
    attack("it ends before its last descriptor", |session| {
        let parts = [give(HEADER, 16).then(1), take(DATA, 0x200).then(2), take(STATUS, 1).then(1)];
        assert_eq!(send_raw(session, &parts), (0, NONE));
        // On itself.
        assert_eq!(send_raw(session, &[take(STATUS, 1).then(0)]), (0, NONE));
        assert_eq!(session.ram.read(DATA, 1), [NONE], "data of a broken chain");
    });
}

#[test]
fn a_next_descriptor_outside_of_the_table_breaks_the_chain() {
    attack("it ends before its last descriptor", |session| {
        for next in [64, 0x7fff, 0xffff] {
            let parts = [give(HEADER, 16).then(1), take(STATUS, 1).then(next)];
            assert_eq!(send_raw(session, &parts), (0, NONE));
        }
    });
}

#[test]
fn a_head_outside_of_the_table_stops_the_queue_until_it_is_started_again() {
    let daemon = Daemon::start(&[]);
    let mut session = Session::new(&daemon);
    session.works();
    let Session { ram, rings, .. } = &mut session;
    rings[0].add(ram, 64);
    rings[0].publish(ram);
    rings[0].kick();
    daemon.says("queue 0 is stuck");
    drop(session);
    serves_the_next(&daemon);
}

#[test]
fn a_header_outside_of_memory_fails_the_request() {
    attack("its header cannot be read", |session| {
        // SeaBIOS sends one from 0xeff24, which is no guest RAM that a front-end shares.
        let low = &mut session.ram.regions[0];
        low.len = 0xa_0000;
        assert!(session.set_table());
        for header in [0xe_ff24, HOLE, u64::MAX - 7, u64::MAX - 15, 0x50_0000 - 8] {
            let parts = chained(&[give(header, 16), take(DATA, 0x200), take(STATUS, 1)], 0);
            assert_eq!(send_raw(session, &parts), (0, IOERR), "{header:#x}");
        }
        assert_eq!(session.ram.read(DATA, 1), [NONE]);
    });
}

#[test]
fn a_header_that_is_too_short_fails_the_request() {
    attack("its header cannot be read", |session| {
        assert_eq!(
            send_raw(session, &chained(&[give(HEADER, 15), take(STATUS, 1)], 0)),
            (1, IOERR)
        );
        assert_eq!(send_raw(session, &[take(STATUS, 1)]), (1, IOERR));
        assert_eq!(send_raw(session, &chained(&[give(HEADER, 0), take(STATUS, 1)], 0)), (1, IOERR));
    });
}

#[test]
fn a_request_without_a_place_for_its_status_is_handed_back_undone() {
    attack("a chain has no status byte", |session| {
        session.header(OUT, 0);
        assert_eq!(send_raw(session, &chained(&[give(HEADER, 16), give(DATA, 0x200)], 0)).0, 0);
        assert_eq!(send_raw(session, &[give(HEADER, 16)]).0, 0);
        assert_eq!(send_raw(session, &chained(&[give(HEADER, 16), take(STATUS, 0)], 0)).0, 0);
        assert_eq!(send_raw(session, &[give(HEADER, 0)]).0, 0);
    });
}

#[test]
fn a_status_outside_of_memory_is_told_in_the_log_alone() {
    attack("cannot be written", |session| {
        for status in [HOLE, u64::MAX] {
            let parts = chained(&[give(HEADER, 16), take(DATA, 0x200), take(status, 1)], 0);
            assert_eq!(send_raw(session, &parts).0, 0x200, "{status:#x}");
        }
    });
}

#[test]
fn a_buffer_to_read_after_one_to_write_fails_the_request() {
    attack("a buffer to read follows one to write", |session| {
        let parts = chained(&[take(DATA, 0x200), give(HEADER, 16), take(STATUS, 1)], 0);
        assert_eq!(send_raw(session, &parts), (0, IOERR));
        assert_eq!(session.ram.read(DATA, 1), [NONE]);
    });
}

#[test]
fn data_outside_of_memory_moves_nothing() {
    attack("its data cannot be moved", |session| {
        for place in [HOLE, 0x1f_ff00, u64::MAX - 0xff, u64::MAX - 0x1ff, 0x3f_ff00] {
            let parts = [give(HEADER, 16), take(DATA, 0x200), take(place, 0x200), take(STATUS, 1)];
            assert_eq!(send_raw(session, &chained(&parts, 0)), (0, IOERR), "{place:#x}");
            assert_eq!(session.ram.read(DATA, 1), [NONE], "{place:#x}");
        }
        session.header(OUT, 0);
        let parts = [give(HEADER, 16), give(DATA, 0x200), give(HOLE, 0x200), take(STATUS, 1)];
        assert_eq!(send_raw(session, &chained(&parts, 0)), (1, IOERR));
    });
}

#[test]
fn lengths_beyond_everything_are_refused() {
    attack("goes past the end of the disk", |session| {
        let most = u32::MAX - 0x1ff;
        let parts = [give(HEADER, 16), take(DATA, most), take(STATUS, 1)];
        assert_eq!(send_raw(session, &chained(&parts, 0)), (0, IOERR));
        // More than a chain may have.
        let parts = [give(HEADER, 16), take(DATA, u32::MAX), take(DATA, u32::MAX), take(STATUS, 1)];
        assert_eq!(send_raw(session, &chained(&parts, 0)), (0, NONE));
        for sector in [u64::MAX, u64::MAX / 512, u64::MAX / 512 + 1, SECTORS - 1 + (1 << 55)] {
            session.ram.write(HEADER, &[words(&[IN, 0]), longs(&[sector])].concat());
            let parts = [give(HEADER, 16), take(DATA, 0x200), take(STATUS, 1)];
            assert_eq!(send_raw(session, &chained(&parts, 0)), (0, IOERR), "{sector:#x}");
        }
    });
}

#[test]
fn tables_of_odd_size_are_handed_back() {
    attack("it ends before its last descriptor", |session| {
        let parts = chained(&[give(HEADER, 16), take(DATA, 0x200), take(STATUS, 1)], 0);
        for len in [0, 1, 15, 17, 47, 0x10_0000, u32::MAX, 32] {
            assert_eq!(indirect(session, &parts, len), (0, NONE), "{len:#x}");
        }
        assert_eq!(indirect(session, &parts, 48), (0x201, OK));
        // Outside of memory, and a table in a table.
        for place in [HOLE, u64::MAX - 15, 0x1f_fff0] {
            assert_eq!(send_raw(session, &[table(place, 48)]), (0, NONE), "{place:#x}");
        }
        assert_eq!(indirect(session, &[give(HEADER, 16).then(1), table(TABLE, 48)], 48), (0, NONE));
        // A descriptor that goes on is no table, and a table that goes on ends.
        assert_eq!(send_raw(session, &[table(TABLE, 48).then(0)]), (0, NONE));
    });
}

#[test]
fn a_table_longer_than_any_queue_is_handed_back() {
    attack("it has more descriptors than a queue", |session| {
        let mut parts = vec![give(HEADER, 16)];
        parts.extend((0..2000).map(|_| take(DATA, 0x200)));
        parts.push(take(STATUS, 1));
        let bytes: Vec<u8> = chained(&parts, 0).iter().flat_map(Part::bytes).collect();
        session.ram.write(0x40_0000, &bytes);
        assert_eq!(send_raw(session, &[table(0x40_0000, bytes.len() as u32)]), (0, NONE));
        assert_eq!(session.ram.read(DATA, 1), [NONE]);
    });
}

#[test]
fn a_guest_may_have_the_device_write_over_its_own_rings() {
    // It harms itself alone: whatever the rings say then, the daemon lives, and serves the next.
    let daemon = Daemon::start(&[]);
    let noise: Vec<u8> = (0..0x3000_u32).map(|index| (index * 157 + index / 7) as u8).collect();
    daemon.image().write_all_at(&noise, 0).unwrap();
    for sector in 0..8 {
        let mut session = Session::new(&daemon);
        session.header(IN, sector);
        let parts = [give(HEADER, 16), take(0x1000, 0x2400), take(STATUS, 1)];
        session.rings[0].send(&session.ram, 0, &parts);
        crate::daemon::wait("the request is done", || session.status() != NONE);
        session.rings[0].kick();
    }
    serves_the_next(&daemon);
}
