//! Several queues at once, and memory that changes under them.

use std::os::fd::AsFd as _;
use std::thread;

use crate::daemon::{Daemon, wait};
use crate::ram::{Ram, Region, table};
use crate::ring::{Ring, chained, give, take};
use crate::session::{DATA, FEATURES, IN, IOERR, OK, OUT, Session, serves_the_next};
use crate::wire::{self, longs, words};

/// A request in a queue of its own corner of memory; tells its status.
fn request(ram: &Ram, ring: &mut Ring, corner: u64, kind: u32, sector: u64, len: u32) -> u8 {
    let (header, status, data) = (corner, corner + 0x20, corner + 0x1000);
    ram.write(header, &[words(&[kind, 0]), longs(&[sector])].concat());
    ram.write(status, &[0xee]);
    let body = if kind == IN { take(data, len) } else { give(data, len) };
    ring.put(ram, 0, &chained(&[give(header, 16), body, take(status, 1)], 0));
    ring.add(ram, 0);
    ring.publish(ram);
    ring.kick();
    ring.next(ram);
    ram.read(status, 1)[0]
}

#[test]
fn two_queues_work_at_once_and_do_not_mix() {
    let daemon = Daemon::start(&["--queues", "2"]);
    let rings = vec![Ring::new(0), Ring::new(1)];
    let mut session = Session::with(&daemon, FEATURES, Ram::new(), rings);
    let Session { ram, rings, .. } = &mut session;
    let ram = &*ram;
    thread::scope(|scope| {
        for (queue, ring) in (0_u64..).zip(rings) {
            scope.spawn(move || {
                let corner = 0x4_0000 + queue * 0x1_0000;
                for round in 0..200_u64 {
                    let byte = (queue * 100 + round % 100) as u8;
                    ram.write(corner + 0x1000, &[byte; 0x1000]);
                    let sector = 0x200 + queue * 0x800 + round % 16 * 8;
                    assert_eq!(request(ram, ring, corner, OUT, sector, 0x1000), OK);
                    ram.write(corner + 0x1000, &[0; 0x1000]);
                    assert_eq!(request(ram, ring, corner, IN, sector, 0x1000), OK);
                    assert_eq!(ram.read(corner + 0x1000, 0x1000), [byte; 0x1000]);
                }
            });
        }
    });
}

#[test]
fn memory_comes_and_goes_while_a_queue_works() {
    let daemon = Daemon::start(&[]);
    let mut session = Session::new(&daemon);
    let late = Region::new(0x80_0000, 0x1_0000, 0x20_0000);
    let Session { link, ram, rings } = &mut session;
    let (ram, ring) = (&*ram, &mut rings[0]);
    thread::scope(|scope| {
        let worker = scope.spawn(move || {
            for round in 0..300_u64 {
                ram.write(0x4_1000, &[round as u8; 0x1000]);
                assert_eq!(request(ram, ring, 0x4_0000, OUT, round, 0x1000), OK);
            }
        });
        while !worker.is_finished() {
            assert!(link.order(wire::ADD_MEM_REG, &late.alone(), &[ram.file.as_fd()]));
            assert!(link.order(wire::REM_MEM_REG, &late.alone(), &[]));
            assert!(link.order(wire::SET_MEM_TABLE, &table(&ram.regions), &ram.fds()));
        }
    });
    // It is there when it has come, and not when it has gone.
    assert!(session.link.order(wire::ADD_MEM_REG, &late.alone(), &[session.ram.file.as_fd()]));
    session.ram.write(DATA, &[9; 0x200]);
    assert_eq!(session.request(OUT, 0x50, &[give(DATA, 0x200)]).0, OK);
    assert_eq!(session.request(IN, 0x50, &[take(0x80_fe00, 0x200)]).0, OK);
    assert_eq!(session.ram.read(0x40_fe00, 0x200), [9; 0x200], "the same page of the file");
    assert!(session.link.order(wire::REM_MEM_REG, &late.alone(), &[]));
    assert_eq!(session.request(IN, 0x50, &[take(0x80_fe00, 0x200)]).0, IOERR);
    session.works();
}

#[test]
fn a_front_end_that_has_gone_leaves_no_memory_mapped() {
    let daemon = Daemon::start(&["--queues", "2"]);
    serves_the_next(&daemon);
    wait("all is unmapped", || daemon.mappings() == 0);
    let before = daemon.files();
    for _ in 0..20 {
        serves_the_next(&daemon);
    }
    wait("all is unmapped", || daemon.mappings() == 0);
    // The back-end crate leaves the event that ends a thread open, one for each queue; nothing of ours stays.
    assert!(daemon.files() <= before + 2 * 20 + 8, "{before} files, then {}", daemon.files());
}
