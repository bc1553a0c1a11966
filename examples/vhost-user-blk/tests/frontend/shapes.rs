//! Requests that are cut in odd ways are the same requests.

use std::os::unix::fs::FileExt as _;

use crate::daemon::Daemon;
use crate::ring::{Part, chained, give, table, take};
use crate::session::{DATA, HEADER, IN, IOERR, NONE, OK, OUT, STATUS, Session, TABLE};

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index * 11 + index / 256) as u8).collect()
}

#[test]
fn a_header_in_many_pieces_is_one() {
    let daemon = Daemon::start(&[]);
    let mut session = Session::new(&daemon);
    daemon.image().write_all_at(&pattern(0x200), 5 * 512).unwrap();
    session.header(IN, 5);
    let mut parts: Vec<_> = (0..16).map(|index| give(HEADER + index, 1)).collect();
    parts.extend([take(DATA, 0x200), take(STATUS, 1)]);
    assert_eq!(session.send(&parts).len, 0x201);
    assert_eq!(session.status(), OK);
    assert_eq!(session.ram.read(DATA, 0x200), pattern(0x200));
}

#[test]
fn a_header_may_share_its_buffer_with_data_and_a_status_with_what_is_read() {
    let daemon = Daemon::start(&[]);
    let mut session = Session::new(&daemon);
    session.header(OUT, 8);
    session.ram.write(HEADER + 16, &pattern(0x200));
    let used = session.send(&[give(HEADER, 0x150), give(HEADER + 0x150, 0xc0), take(STATUS, 1)]);
    assert_eq!((used.len, session.status()), (1, OK));

    session.header(IN, 8);
    session.ram.write(DATA, &[NONE; 0x202]);
    let used = session.send(&[give(HEADER, 16), take(DATA, 0x201)]);
    assert_eq!(used.len, 0x201);
    assert_eq!(session.ram.read(DATA, 0x200), pattern(0x200));
    assert_eq!(session.ram.read(DATA + 0x200, 2), [OK, NONE]);
}

#[test]
fn the_status_is_the_last_byte_that_may_be_written_wherever_a_descriptor_ends() {
    let daemon = Daemon::start(&[]);
    let mut session = Session::new(&daemon);
    daemon.image().write_all_at(&pattern(0x200), 0).unwrap();
    session.header(IN, 0);
    let used = session.send(&[give(HEADER, 16), take(STATUS, 1), take(DATA, 0x200)]);
    assert_eq!((used.len, session.status()), (0x201, pattern(1)[0]));
    assert_eq!(session.ram.read(DATA, 0x1ff), pattern(0x200)[1..]);
    assert_eq!(session.ram.read(DATA + 0x1ff, 1), [OK]);
}

#[test]
fn data_in_many_buffers_of_odd_lengths_is_one_run_of_bytes() {
    let daemon = Daemon::start(&[]);
    let mut session = Session::new(&daemon);
    daemon.image().write_all_at(&pattern(0x1000), 0).unwrap();
    let mut parts = vec![];
    let (mut left, mut len, mut place) = (0x1000, 1, DATA + 3);
    while left > 0 {
        let part = len.min(left);
        parts.push(take(place, part));
        // Nothing lies between buffers but what must stay as it is.
        parts.push(take(place, 0));
        place += u64::from(part) + 1;
        left -= part;
        len = len * 2 + 1;
    }
    session.ram.write(DATA, &[NONE; 0x1100]);
    assert_eq!(session.request(IN, 0, &parts), (OK, 0x1001));
    let mut read = vec![];
    for part in parts.iter().filter(|part| part.len > 0) {
        read.extend(session.ram.read(part.addr, part.len as usize));
        assert_eq!(session.ram.read(part.addr + u64::from(part.len), 1), [NONE]);
    }
    assert_eq!(read, pattern(0x1000));
}

#[test]
fn buffers_cross_from_region_to_region() {
    let daemon = Daemon::start(&[]);
    let mut session = Session::new(&daemon);
    session.ram.write(0xf_f000, &pattern(0x2000));
    assert_eq!(session.request(OUT, 0, &[give(0xf_f000, 0x2000)]), (OK, 1));
    session.ram.write(0xf_f000, &[0; 0x2000]);
    assert_eq!(session.request(IN, 0, &[take(0xf_f001, 0x1e00)]), (OK, 0x1e01));
    assert_eq!(session.ram.read(0xf_f001, 0x1e00), pattern(0x2000)[..0x1e00]);
    // The header, and the status, too.
    let header = session.ram.read(HEADER, 16);
    session.ram.write(0xf_fffb, &header);
    session.ram.write(STATUS, &[NONE]);
    session.send(&[give(0xf_fffb, 16), take(DATA, 0x200), take(STATUS, 1)]);
    assert_eq!(session.status(), OK);
}

#[test]
fn a_table_of_descriptors_is_the_chain() {
    let daemon = Daemon::start(&[]);
    let mut session = Session::new(&daemon);
    daemon.image().write_all_at(&pattern(0x4000), 0).unwrap();
    session.header(IN, 0);
    let mut parts = vec![give(HEADER, 16)];
    // More than the queue has.
    parts.extend((0..126).map(|index| take(DATA + index * 0x100, 0x80)));
    parts.push(take(STATUS, 1));
    let bytes: Vec<u8> = chained(&parts, 0).iter().flat_map(Part::bytes).collect();
    // It may lie anywhere, at any alignment.
    session.ram.write(TABLE + 2, &bytes);
    let used = session.send(&[table(TABLE + 2, bytes.len() as u32)]);
    // 126 of them are no whole number of sectors.
    assert_eq!((session.status(), used.len), (IOERR, 0));
    parts.truncate(125);
    parts.push(take(STATUS, 1));
    let bytes: Vec<u8> = chained(&parts, 0).iter().flat_map(Part::bytes).collect();
    session.ram.write(TABLE + 2, &bytes);
    let used = session.send(&[table(TABLE + 2, bytes.len() as u32)]);
    assert_eq!((session.status(), used.len), (OK, 124 * 0x80 + 1));
    assert_eq!(session.ram.read(DATA + 0x7b00, 0x80), pattern(0x4000)[123 * 0x80..124 * 0x80]);
}

#[test]
fn a_direct_descriptor_may_come_before_a_table() {
    let daemon = Daemon::start(&[]);
    let mut session = Session::new(&daemon);
    daemon.image().write_all_at(&pattern(0x200), 0).unwrap();
    session.header(IN, 0);
    let parts = chained(&[take(DATA, 0x200), take(STATUS, 1)], 0);
    let bytes: Vec<u8> = parts.iter().flat_map(Part::bytes).collect();
    session.ram.write(TABLE, &bytes);
    session.send(&[give(HEADER, 16), table(TABLE, 32)]);
    assert_eq!((session.status(), session.ram.read(DATA, 0x200)), (OK, pattern(0x200)));
}
