//! A queue as its driver has it: descriptors, and the two rings.

use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::daemon::wait;
use crate::ram::Ram;
use crate::wire::{longs, words};

/// Descriptors of a queue.
pub(crate) const SIZE: u16 = 64;
const NEXT: u16 = 1;
const WRITE: u16 = 2;
const INDIRECT: u16 = 4;

/// A descriptor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) addr: u64,
    pub(crate) len: u32,
    pub(crate) flags: u16,
    pub(crate) next: u16,
}

/// A buffer that the device reads.
pub(crate) const fn give(addr: u64, len: u32) -> Part {
    Part { addr, len, flags: 0, next: 0 }
}

/// A buffer that the device writes.
pub(crate) const fn take(addr: u64, len: u32) -> Part {
    Part { addr, len, flags: WRITE, next: 0 }
}

/// A table of descriptors.
pub(crate) const fn table(addr: u64, len: u32) -> Part {
    Part { addr, len, flags: INDIRECT, next: 0 }
}

impl Part {
    /// The same, followed by another.
    pub(crate) const fn then(self, next: u16) -> Self {
        Self { flags: self.flags | NEXT, next, ..self }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let flags = u32::from(self.flags) | u32::from(self.next) << 16;
        [longs(&[self.addr]), words(&[self.len, flags])].concat()
    }
}

/// Descriptors in one chain, one after the other from a place in a table on.
pub(crate) fn chained(parts: &[Part], first: u16) -> Vec<Part> {
    let last = parts.len() - 1;
    let chain = |(index, part): (usize, &Part)| {
        if index == last { *part } else { part.then(first + index as u16 + 1) }
    };
    parts.iter().enumerate().map(chain).collect()
}

pub(crate) struct Ring {
    pub(crate) descriptors: u64,
    pub(crate) available: u64,
    pub(crate) used: u64,
    pub(crate) kick: EventFd,
    pub(crate) call: EventFd,
    /// Chains that were made available, and those of them that were seen used.
    pub(crate) added: u16,
    pub(crate) seen: u16,
}

/// A chain that the device has used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) head: u32,
    pub(crate) len: u32,
}

impl Ring {
    /// One of several, in low memory.
    pub(crate) fn new(index: u64) -> Self {
        let base = 0x1000 + index * 0x3000;
        Self::at(base, base + 0x1000, base + 0x2000)
    }

    pub(crate) fn at(descriptors: u64, available: u64, used: u64) -> Self {
        let event = || EventFd::from_flags(EfdFlags::EFD_NONBLOCK).unwrap();
        let (kick, call) = (event(), event());
        Self { descriptors, available, used, kick, call, added: 0, seen: 0 }
    }

    /// Writes descriptors into the table from a place on, and makes no chain of them.
    pub(crate) fn put(&self, ram: &Ram, first: u16, parts: &[Part]) {
        for (index, part) in parts.iter().enumerate() {
            let place = self.descriptors + 16 * (u64::from(first) + index as u64);
            ram.write(place, &part.bytes());
        }
    }

    /// Makes a chain available that starts there.
    pub(crate) fn add(&mut self, ram: &Ram, head: u16) {
        let entry = self.available + 4 + 2 * u64::from(self.added % SIZE);
        ram.write(entry, &head.to_le_bytes());
        self.added = self.added.wrapping_add(1);
    }

    /// Lets the device see what was added.
    pub(crate) fn publish(&self, ram: &Ram) {
        ram.write(self.available + 2, &self.added.to_le_bytes());
    }

    /// Wakes the device, whether or not it wants to be.
    pub(crate) fn kick(&self) {
        self.kick.write(1).unwrap();
    }

    /// Makes the parts one chain from a descriptor on, and sends it.
    pub(crate) fn send(&mut self, ram: &Ram, first: u16, parts: &[Part]) {
        self.put(ram, first, &chained(parts, first));
        self.add(ram, first);
        self.publish(ram);
        self.kick();
    }

    /// The number of chains that are used, as the device counts.
    pub(crate) fn used_index(&self, ram: &Ram) -> u16 {
        ram.read_u16(self.used + 2)
    }

    /// Waits for the next chain that is used.
    pub(crate) fn next(&mut self, ram: &Ram) -> Used {
        wait("a chain is used", || self.used_index(ram) != self.seen);
        let entry = self.used + 4 + 8 * u64::from(self.seen % SIZE);
        self.seen = self.seen.wrapping_add(1);
        Used { head: ram.read_u32(entry), len: ram.read_u32(entry + 4) }
    }
}
