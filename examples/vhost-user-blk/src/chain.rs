//! The buffers of a chain of descriptors, however the driver cut them.
//!
//! A request is bytes that the device reads, then bytes that it writes. Where one descriptor ends and the next begins says nothing:
//! a header may lie in three of them, and share one with data. So nothing above this room sees descriptors.

use std::fmt;

use virtio_queue::DescriptorChain;
use vm_memory::{Address as _, Bytes as _, GuestAddress};

use crate::memory::{Memory, Range};

/// Buffers in one chain at most. A queue has no more descriptors, and one system call takes no more buffers; a table of
/// indirect descriptors could have 65535.
const MOST: usize = 1024;

/// The buffers of one chain. It is filled again and again, so that no request allocates.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    pub(crate) readable: Buffers,
    pub(crate) writable: Buffers,
}

/// Why a chain is no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// It ends before its last descriptor: the next one is outside of the table, or cannot be read, or it goes round in a loop.
    Broken,
    TooLong,
    /// A buffer to read comes after one to write.
    Order,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Broken => "it ends before its last descriptor",
            Self::TooLong => "it has more descriptors than a queue",
            Self::Order => "a buffer to read follows one to write",
        })
    }
}

impl Chain {
    /// Takes the buffers of a chain in place of those of the chain before.
    ///
    /// # Errors
    ///
    /// If it is malformed. After [`Malformed::Order`] all buffers are there; after the others, nothing is to be written to any.
    pub(crate) fn take(&mut self, descriptors: DescriptorChain<&Memory>) -> Result<(), Malformed> {
        self.readable.clear();
        self.writable.clear();
        let mut result = Ok(());
        // An iterator that gives nothing at all is as broken as one that stops in the middle.
        let mut goes_on = true;
        for (index, descriptor) in descriptors.enumerate() {
            if index == MOST {
                return Err(Malformed::TooLong);
            }
            let range = (descriptor.addr(), descriptor.len() as usize);
            if descriptor.is_write_only() {
                self.writable.push(range);
            } else {
                if !self.writable.ranges.is_empty() {
                    result = Err(Malformed::Order);
                }
                self.readable.push(range);
            }
            goes_on = descriptor.has_next();
        }
        // The iterator says nothing of why it ended, but the last descriptor says whether there was to be another.
        if goes_on { Err(Malformed::Broken) } else { result }
    }
}

/// Ranges as one run of bytes, which is taken from at both ends.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    ranges: Vec<Range>,
    /// Ranges at the start that were taken.
    taken: usize,
    len: u64,
}

impl Buffers {
    fn clear(&mut self) {
        self.ranges.clear();
        self.taken = 0;
        self.len = 0;
    }

    fn push(&mut self, range: Range) {
        if range.1 > 0 {
            self.ranges.push(range);
            // A chain has fewer than 2^32 bytes; virtio-queue ends one that has more.
            self.len += range.1 as u64;
        }
    }

    /// The bytes that are left.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The ranges that are left, none of them empty.
    pub(crate) fn ranges(&self) -> &[Range] {
        &self.ranges[self.taken..]
    }

    /// Reads as many bytes as the array has from the front, and takes them. Each is read once.
    ///
    /// # Errors
    ///
    /// If there are fewer, or memory is not there.
    pub(crate) fn read_front<const N: usize>(&mut self, memory: &Memory) -> Result<[u8; N], Lost> {
        let mut bytes = [0; N];
        let mut done = 0;
        while done < N {
            let (addr, len) = self.ranges.get_mut(self.taken).ok_or(Lost::Short)?;
            let part = (*len).min(N - done);
            memory.read_slice(&mut bytes[done..done + part], *addr).map_err(|_| Lost::NoMemory)?;
            done += part;
            self.len -= part as u64;
            if part == *len {
                self.taken += 1;
            } else {
                *len -= part;
                *addr = addr.checked_add(part as u64).ok_or(Lost::NoMemory)?;
            }
        }
        Ok(bytes)
    }

    /// The address of the last byte, which is taken.
    pub(crate) fn take_last_byte(&mut self) -> Option<GuestAddress> {
        let (addr, len) = self.ranges.get_mut(self.taken..)?.last_mut()?;
        *len -= 1;
        self.len -= 1;
        let last = addr.checked_add(*len as u64);
        if *len == 0 {
            self.ranges.pop();
        }
        last
    }

    /// Leaves out what lies behind the first `len` bytes.
    pub(crate) fn truncate(&mut self, len: u64) {
        while self.len > len {
            let Some((_, last)) = self.ranges.last_mut() else { break };
            let cut = (self.len - len).min(*last as u64);
            self.len -= cut;
            *last -= cut as usize;
            if *last == 0 {
                self.ranges.pop();
            }
        }
    }
}

/// Why bytes could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    Short,
    NoMemory,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Short => "it is too short",
            Self::NoMemory => "it is not in guest memory",
        })
    }
}
