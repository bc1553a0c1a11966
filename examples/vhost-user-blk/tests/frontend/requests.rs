//! Each type of request does what it is for, and says so.

use std::os::unix::fs::{FileExt as _, MetadataExt as _};

use crate::daemon::{Daemon, SECTORS};
use crate::ring::{give, take};
use crate::session::{
    DATA, DISCARD, FLUSH, GET_ID, IN, IOERR, OK, OUT, Session, UNSUPP, WRITE_ZEROES,
};
use crate::wire::{self, longs, words};

fn segment(sector: u64, sectors: u32, flags: u32) -> Vec<u8> {
    [longs(&[sector]), words(&[sectors, flags])].concat()
}

#[test]
fn what_is_written_is_in_the_image_and_what_is_in_the_image_is_read() {
    let daemon = Daemon::start(&[]);
    let mut session = Session::new(&daemon);
    session.ram.write(DATA, &[0x5a; 0x400]);
    assert_eq!(session.request(OUT, 3, &[give(DATA, 0x400)]), (OK, 1));
    let mut bytes = [0; 0x600];
    daemon.image().read_exact_at(&mut bytes, 3 * 512).unwrap();
    assert_eq!(bytes[..0x400], [0x5a; 0x400]);
    assert_eq!(bytes[0x400..], [0; 0x200]);

    daemon.image().write_all_at(&[0xa5; 0x200], 9 * 512).unwrap();
    assert_eq!(session.request(IN, 9, &[take(DATA, 0x200)]), (OK, 0x201));
    assert_eq!(session.ram.read(DATA, 0x200), [0xa5; 0x200]);
    assert_eq!(session.ram.read(DATA + 0x200, 1), [0x5a], "a byte behind the buffer");
}

#[test]
fn the_last_sector_is_there_and_none_behind_it() {
    let daemon = Daemon::start(&[]);
    let mut session = Session::new(&daemon);
    assert_eq!(session.request(IN, SECTORS - 1, &[take(DATA, 0x200)]).0, OK);
    for (sector, len) in
        [(SECTORS - 1, 0x400), (SECTORS, 0x200), (u64::MAX, 0x200), (1 << 55, 0x200)]
    {
        assert_eq!(session.request(IN, sector, &[take(DATA, len)]), (IOERR, 0), "{sector:#x}");
        assert_eq!(session.request(OUT, sector, &[give(DATA, len)]).0, IOERR, "{sector:#x}");
    }
    assert_eq!(daemon.image().metadata().unwrap().len(), SECTORS * 512, "the image has grown");
    session.works();
}

#[test]
fn a_part_of_a_sector_is_refused_and_no_data_is_none() {
    let daemon = Daemon::start(&[]);
    let mut session = Session::new(&daemon);
    for len in [1, 0x1ff, 0x201] {
        assert_eq!(session.request(IN, 0, &[take(DATA, len)]).0, IOERR);
        assert_eq!(session.request(OUT, 0, &[give(DATA, len)]).0, IOERR);
    }
    assert_eq!(session.request(IN, 0, &[]), (OK, 1));
    assert_eq!(session.request(OUT, 0, &[]), (OK, 1));
    assert_eq!(session.request(IN, 0, &[take(DATA, 0)]), (OK, 1));
}

#[test]
fn data_that_goes_the_other_way_is_refused() {
    let daemon = Daemon::start(&[]);
    let mut session = Session::new(&daemon);
    session.ram.write(DATA, &[7; 0x200]);
    assert_eq!(session.request(IN, 0, &[give(DATA, 0x200)]).0, IOERR);
    assert_eq!(session.request(OUT, 0, &[take(DATA, 0x200)]).0, IOERR);
    assert_eq!(session.ram.read(DATA, 0x200), [7; 0x200]);
}

#[test]
fn a_disk_has_a_name() {
    let daemon = Daemon::start(&[]);
    let mut session = Session::new(&daemon);
    session.ram.write(DATA, &[0xff; 32]);
    assert_eq!(session.request(GET_ID, 0, &[take(DATA, 7), take(DATA + 0x10, 13)]), (OK, 21));
    assert_eq!(session.ram.read(DATA, 8), b"guest-m\xff");
    assert_eq!(session.ram.read(DATA + 0x10, 13), b"emory-example");
    // As much of it as there is room for, and no more than it has.
    assert_eq!(session.request(GET_ID, 0, &[take(DATA, 5)]), (OK, 6));
    session.ram.write(DATA, &[0xff; 32]);
    assert_eq!(session.request(GET_ID, 0, &[take(DATA, 32)]), (OK, 20));
    assert_eq!(session.ram.read(DATA + 20, 1), [0xff]);
}

#[test]
fn zeroes_are_written_and_space_is_given_back() {
    let daemon = Daemon::start(&[]);
    let mut session = Session::new(&daemon);
    daemon.image().write_all_at(&vec![0x77; 0x10_0000], 0).unwrap();
    let blocks = || daemon.image().metadata().unwrap().blocks();
    let before = blocks();
    session.ram.write(DATA, &[segment(1, 3, 0), segment(16, 16, 1)].concat());
    assert_eq!(session.request(WRITE_ZEROES, 0, &[give(DATA, 32)]), (OK, 1));
    let byte = |sector: u64| {
        let mut byte = [0];
        daemon.image().read_exact_at(&mut byte, sector * 512 + 511).unwrap();
        byte[0]
    };
    assert_eq!([0, 1, 3, 4, 15, 16, 31, 32].map(byte), [0x77, 0, 0, 0x77, 0x77, 0, 0, 0x77]);
    session.ram.write(DATA, &segment(0x100, 0x400, 0));
    assert_eq!(session.request(DISCARD, 0, &[give(DATA, 16)]), (OK, 1));
    assert!(blocks() < before - 0x300, "{} of {before} blocks are left", blocks());
    assert_eq!(byte(0x500), 0x77);
}

#[test]
fn segments_that_leave_the_disk_or_are_odd_do_nothing() {
    let daemon = Daemon::start(&[]);
    let mut session = Session::new(&daemon);
    daemon.image().write_all_at(&[0x77; 0x2000], 0).unwrap();
    let good = segment(0, 1, 0);
    let mut try_one = |kind, bytes: &[u8]| {
        session.ram.write(DATA, bytes);
        session.request(kind, 0, &[give(DATA, u32::try_from(bytes.len()).unwrap())]).0
    };
    for kind in [DISCARD, WRITE_ZEROES] {
        let past = [good.clone(), segment(SECTORS - 1, 2, 0)].concat();
        assert_eq!(try_one(kind, &past), IOERR);
        assert_eq!(try_one(kind, &[good.clone(), segment(u64::MAX, 1, 0)].concat()), IOERR);
        assert_eq!(try_one(kind, &[good.clone(), segment(0, u32::MAX, 0)].concat()), IOERR);
        assert_eq!(try_one(kind, &[good.clone(), segment(0, 1, 2)].concat()), UNSUPP);
        assert_eq!(try_one(kind, &good[..15]), IOERR);
        assert_eq!(try_one(kind, &good.repeat(33)), IOERR);
    }
    assert_eq!(try_one(DISCARD, &[good.clone(), segment(1, 1, 1)].concat()), UNSUPP);
    let mut bytes = [0; 0x2000];
    daemon.image().read_exact_at(&mut bytes, 0).unwrap();
    assert!(bytes == [0x77; 0x2000], "the good segment before the odd one was done");
}

#[test]
fn a_type_that_nobody_knows_is_not_supported() {
    let daemon = Daemon::start(&[]);
    let mut session = Session::new(&daemon);
    for kind in [2, 14, 0xffff, 0x8000_0000] {
        assert_eq!(session.request(kind, 0, &[]), (UNSUPP, 1));
    }
    session.works();
}

#[test]
fn a_disk_for_reading_is_read_only() {
    let daemon = Daemon::start(&["--read-only"]);
    let mut session = Session::new(&daemon);
    daemon.image().write_all_at(&[0x42; 0x200], 0).unwrap();
    assert_eq!(session.request(IN, 0, &[take(DATA, 0x200)]), (OK, 0x201));
    assert_eq!(session.request(OUT, 1, &[give(DATA, 0x200)]).0, IOERR);
    session.ram.write(DATA, &segment(0, 1, 0));
    assert_eq!(session.request(DISCARD, 0, &[give(DATA, 16)]).0, IOERR);
    assert_eq!(session.request(WRITE_ZEROES, 0, &[give(DATA, 16)]).0, IOERR);
    assert_eq!(session.request(FLUSH, 0, &[]), (OK, 1));
    assert_eq!(session.link.number(wire::GET_FEATURES) & (1 << 5), 1 << 5);
}

#[test]
fn the_configuration_space_is_read_and_not_written() {
    let daemon = Daemon::start(&["--queues", "3"]);
    let session = Session::new(&daemon);
    let body = [words(&[0, 60, 0]), vec![0; 60]].concat();
    let space = session.link.ask(wire::GET_CONFIG, &body).unwrap();
    assert_eq!(space[12..20], SECTORS.to_le_bytes());
    assert_eq!(space[12 + 34..12 + 36], [3, 0]);
    assert_eq!(session.link.number(wire::GET_QUEUE_NUM), 3);
    let body = [words(&[0, 4, 0]), vec![1; 4]].concat();
    assert!(!session.link.order(wire::SET_CONFIG, &body, &[]));
}

#[test]
fn what_was_done_is_counted_and_one_system_call_moves_a_request() {
    let mut daemon = Daemon::start(&["--once"]);
    let mut session = Session::new(&daemon);
    // Five buffers, one of them across the border of two regions.
    let parts = [
        take(DATA, 0x100),
        take(DATA + 0x1000, 0x300),
        take(0xf_ff00, 0x200),
        take(0x40_0000, 0x800),
        take(DATA + 0x3000, 0x200),
    ];
    assert_eq!(session.request(IN, 0, &parts), (OK, 0x1001));
    assert_eq!(session.request(IN, SECTORS, &parts).0, IOERR);
    drop(session);
    assert!(daemon.ends());
    assert_eq!(daemon.counted("reads"), 2);
    assert_eq!(daemon.counted("failed"), 1);
    assert_eq!(daemon.counted("bytes_read"), 0x1000);
    assert_eq!(daemon.counted("image_calls"), 1);
    assert_eq!(daemon.counted("crossings"), 1);
    assert_eq!(daemon.counted("memory_tables"), 1);
    assert_eq!(daemon.counted("regions_most"), 3);
}
