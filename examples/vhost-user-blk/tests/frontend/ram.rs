//! The guest's memory: a file that the daemon maps.

use std::fs::File;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::FileExt as _;

use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::wire::{longs, words};

pub(crate) const PAGE: u64 = 0x1000;

/// A region as the memory table has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Region {
    pub(crate) guest: u64,
    pub(crate) len: u64,
    /// Where the front-end has it in its own address space. It is only ever compared.
    pub(crate) user: u64,
    /// Where it is in the file.
    pub(crate) offset: u64,
}

impl Region {
    pub(crate) fn new(guest: u64, len: u64, offset: u64) -> Self {
        // Far from guest addresses, so that the one is never taken for the other.
        Self { guest, len, user: guest + 0x7000_0000_0000, offset }
    }

    fn body(&self) -> Vec<u8> {
        longs(&[self.guest, self.len, self.user, self.offset])
    }

    /// The body of a message about this region alone.
    pub(crate) fn alone(&self) -> Vec<u8> {
        [longs(&[0]), self.body()].concat()
    }
}

/// The body of a message with a table.
pub(crate) fn table(regions: &[Region]) -> Vec<u8> {
    let head = words(&[u32::try_from(regions.len()).unwrap(), 0]);
    regions.iter().fold(head, |body, region| [body, region.body()].concat())
}

pub(crate) struct Ram {
    pub(crate) file: File,
    pub(crate) regions: Vec<Region>,
}

impl Ram {
    /// Two regions that meet at 1 MiB and lie in the file the other way round, and one behind a hole.
    pub(crate) fn new() -> Self {
        let regions = vec![
            Region::new(0, 0x10_0000, 0x10_0000),
            Region::new(0x10_0000, 0x10_0000, 0),
            Region::new(0x40_0000, 0x10_0000, 0x20_0000),
        ];
        Self { file: memfd(0x30_0000), regions }
    }

    /// The files of a table, one for each region.
    pub(crate) fn fds(&self) -> Vec<BorrowedFd<'_>> {
        self.regions.iter().map(|_| self.file.as_fd()).collect()
    }

    pub(crate) fn user(&self, guest: u64) -> u64 {
        let region = self.region(guest).unwrap();
        guest - region.guest + region.user
    }

    pub(crate) fn write(&self, guest: u64, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (place, len) = self.place(guest + (bytes.len() - rest.len()) as u64, rest.len());
            self.file.write_all_at(&rest[..len], place).unwrap();
            rest = &rest[len..];
        }
    }

    pub(crate) fn read(&self, guest: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        let mut done = 0;
        while done < len {
            let (place, part) = self.place(guest + done as u64, len - done);
            self.file.read_exact_at(&mut bytes[done..done + part], place).unwrap();
            done += part;
        }
        bytes
    }

    pub(crate) fn read_u16(&self, guest: u64) -> u16 {
        u16::from_le_bytes(self.read(guest, 2).try_into().unwrap())
    }

    pub(crate) fn read_u32(&self, guest: u64) -> u32 {
        u32::from_le_bytes(self.read(guest, 4).try_into().unwrap())
    }

    fn region(&self, guest: u64) -> Option<&Region> {
        self.regions.iter().find(|region| guest.wrapping_sub(region.guest) < region.len)
    }

    /// Where a byte is in the file, and how many from it on are in the same region.
    fn place(&self, guest: u64, len: usize) -> (u64, usize) {
        let region = self.region(guest).unwrap_or_else(|| panic!("no memory at {guest:#x}"));
        let inside = guest - region.guest;
        let rest = usize::try_from(region.len - inside).unwrap();
        (inside + region.offset, rest.min(len))
    }
}

/// A file in memory of a length.
pub(crate) fn memfd(len: u64) -> File {
    let file = File::from(memfd_create("guest", MFdFlags::MFD_CLOEXEC).unwrap());
    file.set_len(len).unwrap();
    file
}
