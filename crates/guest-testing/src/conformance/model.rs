//! The memory as it should be: ranges of plain bytes.

use std::io::ErrorKind;

use guest_memory::{GuestAddress, GuestMemoryError, GuestMemoryResult};

use crate::conformance::settings::Holes;

/// A range of the memory.
#[derive(Clone, Debug)]
pub(super) struct Range {
    pub(super) start: u64,
    pub(super) bytes: Vec<u8>,
    /// Which of the bytes were written.
    pub(super) written: Vec<bool>,
    /// Whether it is in the map.
    pub(super) present: bool,
}

impl Range {
    pub(super) fn new(start: u64, len: usize) -> Self {
        Self { start, bytes: vec![0; len], written: vec![false; len], present: true }
    }

    /// The place of the byte at `addr`, if it is inside.
    pub(super) fn place(&self, addr: u64) -> Option<usize> {
        let place = usize::try_from(addr.checked_sub(self.start)?).ok()?;
        (place < self.bytes.len()).then_some(place)
    }

    /// The last address.
    pub(super) fn last(&self) -> u64 {
        self.start + (self.bytes.len() as u64 - 1)
    }
}

/// How a run of bytes ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum End {
    Complete,
    Hole(u64),
    Top,
    Refused,
}

impl End {
    /// What an access says that this stops before its first byte.
    pub(super) fn error(self) -> Expected {
        match self {
            Self::Hole(addr) => Expected::NoMemory(addr),
            Self::Top => Expected::PastTheTop,
            Self::Complete | Self::Refused => Expected::Refused,
        }
    }
}

/// What an access should say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Expected {
    /// That it moved so many bytes.
    Done(usize),
    /// `InvalidGuestAddress`.
    NoMemory(u64),
    /// `GuestAddressOverflow`.
    PastTheTop,
    /// `PartialBuffer`.
    Partial { expected: usize, completed: usize },
    /// `NotContiguous`.
    NotContiguous,
    /// `Misaligned`.
    Misaligned,
    /// The stream's own error, after so many bytes.
    Stream { kind: ErrorKind, completed: usize },
    /// Any error.
    Refused,
}

impl Expected {
    /// How many bytes should have been moved.
    pub(super) fn moved(self) -> usize {
        match self {
            Self::Done(count) => count,
            Self::Partial { completed, .. } | Self::Stream { completed, .. } => completed,
            _ => 0,
        }
    }

    /// Nothing to say of all `count` bytes, or how far it came.
    pub(super) fn whole(self, count: usize) -> Self {
        match self {
            Self::Done(completed) if completed < count => {
                Self::Partial { expected: count, completed }
            }
            other => other,
        }
    }

    /// Whether that was said.
    pub(super) fn is(self, found: &GuestMemoryResult<usize>) -> bool {
        use GuestMemoryError as E;
        match (self, found) {
            (Self::Done(expected), Ok(found)) => expected == *found,
            (Self::NoMemory(expected), Err(E::InvalidGuestAddress(found))) => expected == found.0,
            (Self::PastTheTop, Err(E::GuestAddressOverflow))
            | (Self::NotContiguous, Err(E::NotContiguous { .. }))
            | (Self::Misaligned, Err(E::Misaligned { .. }))
            | (Self::Refused, Err(_)) => true,
            (
                expected @ Self::Partial { .. },
                &Err(E::PartialBuffer { expected: of, completed }),
            ) => expected == Self::Partial { expected: of, completed },
            (Self::Stream { kind, completed: 0 }, Err(E::IOError(error))) => kind == error.kind(),
            (
                Self::Stream { kind, completed: expected },
                Err(E::IOErrorAfter { completed, error }),
            ) => (kind, expected) == (error.kind(), *completed),
            _ => false,
        }
    }

    /// That it was said, or a sentence that it was not.
    pub(super) fn check(self, what: &str, found: &GuestMemoryResult<usize>) -> Result<(), String> {
        if self.is(found) { Ok(()) } else { Err(format!("{what} gave {found:?}, not {self:?}")) }
    }
}

/// The ranges, in the order of addresses. None overlaps another.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) ranges: Vec<Range>,
    pub(super) holes: Holes,
}

impl Model {
    /// The ranges that are in the map.
    pub(super) fn present(&self) -> impl Iterator<Item = &Range> {
        self.ranges.iter().filter(|range| range.present)
    }

    /// The range that `addr` is in, and the place in it.
    pub(super) fn find(&self, addr: u64) -> Option<(&Range, usize)> {
        self.present().find_map(|range| Some((range, range.place(addr)?)))
    }

    /// How many of `count` bytes from `addr` on an access reaches, and what ends it.
    pub(super) fn reach(&self, addr: u64, count: usize) -> (usize, End) {
        let (mut done, mut next) = (0, Some(addr));
        let end = loop {
            if done == count {
                break End::Complete;
            }
            let Some(here) = next else { break End::Top };
            let Some((range, place)) = self.find(here) else { break End::Hole(here) };
            let part = (count - done).min(range.bytes.len() - place);
            done += part;
            next = here.checked_add(part as u64);
        };
        match (self.holes, end) {
            (Holes::Refuse, End::Hole(_) | End::Top) => (0, End::Refused),
            _ => (done, end),
        }
    }

    /// What the bytes are that an access reaches.
    pub(super) fn bytes(&self, addr: u64, count: usize) -> Vec<u8> {
        let (count, _) = self.reach(addr, count);
        let mut bytes = Vec::with_capacity(count);
        while bytes.len() < count {
            // It was reached, so it does not wrap and is there.
            let Some((range, place)) = self.find(addr + bytes.len() as u64) else { break };
            let part = (count - bytes.len()).min(range.bytes.len() - place);
            bytes.extend(&range.bytes[place..place + part]);
        }
        bytes
    }

    /// Writes bytes that an access reaches.
    pub(super) fn put(&mut self, addr: u64, data: &[u8]) {
        for (number, &byte) in data.iter().enumerate() {
            let Some(addr) = addr.checked_add(number as u64) else { return };
            for range in self.ranges.iter_mut().filter(|range| range.present) {
                if let Some(place) = range.place(addr) {
                    range.bytes[place] = byte;
                    range.written[place] = true;
                }
            }
        }
    }

    /// Whether one byte of the page of the byte at `addr` was written, in pages that count from the start of its range.
    pub(super) fn is_marked(&self, addr: u64, page: usize) -> bool {
        self.find(addr).is_some_and(|(range, place)| {
            let start = place - place % page;
            range.written[start..range.written.len().min(start + page)].contains(&true)
        })
    }

    /// Starts and lengths, as constructors of memory take them.
    pub(super) fn layout(&self) -> Vec<(GuestAddress, usize)> {
        self.present().map(|range| (GuestAddress(range.start), range.bytes.len())).collect()
    }
}
