//! Front-ends that say anything at all, from seeds so that what one breaks can be broken again.

use std::fs::File;
use std::os::fd::AsFd as _;

use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::daemon::Daemon;
use crate::ram::{Ram, Region, memfd, table};
use crate::ring::Ring;
use crate::session::{EVENT_IDX, FEATURES, LOG_ALL, Session, greet, serves_the_next};
use crate::wire::{self, longs, words};

const SESSIONS: u64 = 200;
const MESSAGES: u64 = 60;

/// Numbers that look random, the same for the same seed (xorshift64*).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// A number that means something, or is next to one that does, or is any.
    fn number(&mut self) -> u64 {
        const KNOWN: [u64; 12] = [
            0,
            1,
            64,
            0x1000,
            0x10_0000,
            0x40_0000,
            0x7000_0000_1000,
            0x7000_0000_2000,
            0x7000_0010_0000,
            1 << 63,
            u32::MAX as u64,
            u64::MAX,
        ];
        let known = KNOWN[self.below(KNOWN.len() as u64) as usize];
        match self.below(4) {
            0 => known.wrapping_add(self.below(32)).wrapping_sub(16),
            1 => self.next(),
            _ => known,
        }
    }

    /// A body of the length that the message has, nearly always with numbers that are nearly always near right.
    fn body(&mut self, code: u32) -> Vec<u8> {
        if self.below(64) == 0 {
            let len = self.below(41) as usize;
            return longs(&[0; 5].map(|_: u64| self.number()))[..len].to_vec();
        }
        let queue = if self.below(32) == 0 { self.number() as u32 } else { self.below(2) as u32 };
        let small = if self.below(32) == 0 { self.number() as u32 } else { self.below(66) as u32 };
        let ring = |noise: &mut Self| match noise.below(16) {
            0 => noise.number(),
            _ => 0x7000_0000_0000 + noise.below(0x120) * 0x1000 + noise.below(16) * 16,
        };
        match code {
            wire::SET_VRING_ADDR => {
                let rings = [ring(self), ring(self), ring(self), self.number()];
                [words(&[queue, self.below(2) as u32]), longs(&rings)].concat()
            }
            wire::SET_VRING_ENABLE => words(&[queue, self.below(2) as u32]),
            wire::SET_VRING_NUM | wire::SET_VRING_BASE | wire::GET_VRING_BASE => {
                words(&[queue, small])
            }
            wire::SET_FEATURES => longs(&[FEATURES | (self.next() & (LOG_ALL | EVENT_IDX))]),
            wire::SET_LOG_BASE => {
                longs(&[0x400 + self.below(13) * 0x100, self.below(16) / 15 * 0x1000])
            }
            wire::ADD_MEM_REG | wire::REM_MEM_REG => {
                let place = self.below(8) * 0x4000;
                Region::new(0x80_0000 + place, 0x4000, self.below(2) * 0x4000).alone()
            }
            _ => longs(&[u64::from(queue)]),
        }
    }
}

/// Something to send along.
struct Files {
    ram: File,
    log: File,
    event: EventFd,
}

fn babble(noise: &mut Noise, session: &Session, files: &Files) -> std::io::Result<()> {
    let Session { link, ram, .. } = session;
    for _ in 0..MESSAGES {
        const CODES: [u32; 8] = [
            wire::SET_VRING_ADDR,
            wire::SET_VRING_NUM,
            wire::SET_VRING_BASE,
            wire::GET_VRING_BASE,
            wire::SET_VRING_ENABLE,
            wire::SET_VRING_CALL,
            wire::SET_LOG_BASE,
            wire::SET_FEATURES,
        ];
        let code = match noise.below(64) {
            0 => noise.below(45) as u32,
            // These are often refused, and end it all.
            1 => wire::ADD_MEM_REG,
            2 => wire::REM_MEM_REG,
            _ => CODES[noise.below(CODES.len() as u64) as usize],
        };
        let body = noise.body(code);
        let fd = match code {
            wire::SET_VRING_CALL => Some(files.event.as_fd()),
            wire::SET_LOG_BASE => Some(files.log.as_fd()),
            wire::ADD_MEM_REG => Some(files.ram.as_fd()),
            _ => None,
        };
        match noise.below(4) {
            // A message that is right, in the midst of others.
            0 => link.send(wire::SET_MEM_TABLE, 0, &table(&ram.regions), &ram.fds())?,
            1 => link.send(wire::SET_VRING_KICK, 0, &longs(&[0]), &[files.event.as_fd()])?,
            _ => link.send(code, 0, &body, fd.as_slice())?,
        }
        // What a guest would write, anywhere from its descriptors to its used ring.
        for _ in 0..8 {
            ram.write(0x1000 + noise.below(0x2400), &longs(&[noise.number()]));
        }
        files.event.write(1).unwrap();
    }
    Ok(())
}

#[test]
fn whatever_a_front_end_says_the_next_is_served() {
    let daemon = Daemon::start(&["--queues", "2"]);
    for seed in 1..=SESSIONS {
        let mut noise = Noise(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let session = if noise.below(3) == 0 {
            let session = Session { link: daemon.connect(), ram: Ram::new(), rings: vec![] };
            greet(&session.link, FEATURES | LOG_ALL);
            session
        } else {
            let rings = vec![Ring::new(0)];
            Session::with(&daemon, FEATURES | EVENT_IDX | LOG_ALL, Ram::new(), rings)
        };
        let event = EventFd::from_flags(EfdFlags::EFD_NONBLOCK).unwrap();
        let ram = session.ram.file.try_clone().unwrap();
        let files = Files { ram, log: memfd(0x1000), event };
        // Most of them are dropped before they have said all that they wanted to.
        let _ = babble(&mut noise, &session, &files);
        drop(session);
        if seed % 10 == 0 {
            serves_the_next(&daemon);
        }
    }
    let said = daemon.said();

    assert!(!said.contains("bug:"), "{said}");
    assert!(!said.contains("left behind"), "{said}");
}
