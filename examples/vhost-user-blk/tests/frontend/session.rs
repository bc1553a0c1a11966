//! A front-end that has said all that it has to before its guest may use the disk.

use std::os::fd::AsFd as _;

use crate::daemon::Daemon;
use crate::ram::{Ram, table};
use crate::ring::{Part, Ring, SIZE, Used, give, take};
use crate::wire::{self, Link, longs, words};

pub(crate) const EVENT_IDX: u64 = 1 << 29;
pub(crate) const LOG_ALL: u64 = 1 << 26;
pub(crate) const PROTOCOL_FEATURES: u64 = 1 << 30;
const VERSION_1: u64 = 1 << 32;
/// Indirect descriptors, version 1, and the protocol's own features.
pub(crate) const FEATURES: u64 = 1 << 28 | VERSION_1 | PROTOCOL_FEATURES;

pub(crate) const IN: u32 = 0;
pub(crate) const OUT: u32 = 1;
pub(crate) const FLUSH: u32 = 4;
pub(crate) const GET_ID: u32 = 8;
pub(crate) const DISCARD: u32 = 11;
pub(crate) const WRITE_ZEROES: u32 = 13;

pub(crate) const OK: u8 = 0;
pub(crate) const IOERR: u8 = 1;
pub(crate) const UNSUPP: u8 = 2;
/// What a status byte is before the device writes it.
pub(crate) const NONE: u8 = 0xee;

/// Where tests have headers, status bytes, tables of descriptors and data.
pub(crate) const HEADER: u64 = 0x2_0000;
pub(crate) const STATUS: u64 = 0x2_1000;
pub(crate) const TABLE: u64 = 0x2_2000;
pub(crate) const DATA: u64 = 0x3_0000;

pub(crate) struct Session {
    pub(crate) link: Link,
    pub(crate) ram: Ram,
    pub(crate) rings: Vec<Ring>,
}

impl Session {
    pub(crate) fn new(daemon: &Daemon) -> Self {
        Self::with(daemon, FEATURES, Ram::new(), vec![Ring::new(0)])
    }

    /// Says everything up to the last message, all of which the daemon has to accept.
    pub(crate) fn with(daemon: &Daemon, features: u64, ram: Ram, rings: Vec<Ring>) -> Self {
        let session = Self { link: daemon.connect(), ram, rings };
        greet(&session.link, features);
        assert!(session.set_table(), "the memory table is refused");
        for index in 0..session.rings.len() {
            assert!(session.start_ring(index, 0), "ring {index} is refused");
        }
        session
    }

    pub(crate) fn set_table(&self) -> bool {
        let body = table(&self.ram.regions);
        self.link.order(wire::SET_MEM_TABLE, &body, &self.ram.fds())
    }

    /// Starts a ring from an available index on.
    pub(crate) fn start_ring(&self, index: usize, base: u16) -> bool {
        let ring = &self.rings[index];
        let number = index as u32;
        let user = |guest| self.ram.user(guest);
        let address = [
            words(&[number, 0]),
            longs(&[user(ring.descriptors), user(ring.used), user(ring.available), ring.used]),
        ];
        self.link.order(wire::SET_VRING_NUM, &words(&[number, u32::from(SIZE)]), &[])
            && self.link.order(wire::SET_VRING_BASE, &words(&[number, u32::from(base)]), &[])
            && self.link.order(wire::SET_VRING_ADDR, &address.concat(), &[])
            && self.events(index)
            && self.link.order(wire::SET_VRING_ENABLE, &words(&[number, 1]), &[])
    }

    fn events(&self, index: usize) -> bool {
        let ring = &self.rings[index];
        let body = longs(&[index as u64]);
        self.link.order(wire::SET_VRING_CALL, &body, &[ring.call.as_fd()])
            && self.link.order(wire::SET_VRING_KICK, &body, &[ring.kick.as_fd()])
    }

    /// Writes a header.
    pub(crate) fn header(&self, kind: u32, sector: u64) {
        let bytes = [words(&[kind, 0]), longs(&[sector])].concat();
        self.ram.write(HEADER, &bytes);
        self.ram.write(STATUS, &[NONE]);
    }

    /// Sends a chain in the first queue, and waits until it is used.
    pub(crate) fn send(&mut self, parts: &[Part]) -> Used {
        self.rings[0].send(&self.ram, 0, parts);
        self.rings[0].next(&self.ram)
    }

    /// The status byte.
    pub(crate) fn status(&self) -> u8 {
        self.ram.read(STATUS, 1)[0]
    }

    /// A request of the usual shape; tells its status and what the device says it wrote.
    pub(crate) fn request(&mut self, kind: u32, sector: u64, data: &[Part]) -> (u8, u32) {
        self.header(kind, sector);
        let parts = [&[give(HEADER, 16)], data, &[take(STATUS, 1)]].concat();
        let used = self.send(&parts);
        assert_eq!(used.head, 0);
        (self.status(), used.len)
    }

    /// What every guest may rely on: data that was written is read back.
    pub(crate) fn works(&mut self) {
        let pattern: Vec<u8> = (0..0x1000_u32).map(|index| (index * 7 + 3) as u8).collect();
        self.ram.write(DATA, &pattern);
        assert_eq!(self.request(OUT, 0x100, &[give(DATA, 0x1000)]), (OK, 1));
        self.ram.write(DATA, &[0; 0x1000]);
        assert_eq!(self.request(IN, 0x100, &[take(DATA, 0x1000)]), (OK, 0x1001));
        assert_eq!(self.ram.read(DATA, 0x1000), pattern);
        assert_eq!(self.request(FLUSH, 0, &[]), (OK, 1));
    }
}

/// Agrees on features.
pub(crate) fn greet(link: &Link, features: u64) {
    let offered = link.number(wire::GET_FEATURES);
    assert_eq!(offered & features, features, "a feature is not offered");
    let protocol = link.number(wire::GET_PROTOCOL_FEATURES);
    link.send(wire::SET_PROTOCOL_FEATURES, 0, &longs(&[protocol]), &[]).unwrap();
    assert!(link.order(wire::SET_OWNER, &[], &[]));
    assert!(link.order(wire::SET_FEATURES, &longs(&[features]), &[]));
}

/// A whole session of a good front-end, after whatever came before.
pub(crate) fn serves_the_next(daemon: &Daemon) {
    Session::new(daemon).works();
}
