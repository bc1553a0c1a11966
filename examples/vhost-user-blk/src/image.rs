//! The file or device that holds the disk's contents.

use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};

use crate::options::Access;

/// Bytes of a sector, which is what virtio counts a disk in, whatever its blocks are.
pub(crate) const SECTOR: u64 = 512;

/// An open image, for one thread: it may have a position that moves.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) file: File,
    access: Access,
    sectors: u64,
    /// System calls that were made on the file.
    pub(crate) calls: Cell<u64>,
}

impl Image {
    /// Opens it. A part of a sector at its end is not a part of the disk.
    pub(crate) fn open(path: &Path, access: Access) -> io::Result<Self> {
        let is_writable = access == Access::ReadWrite;
        let mut file = OpenOptions::new().read(true).write(is_writable).open(path)?;
        // Asked for by seeking, since a block device has no length of its own.
        let sectors = file.seek(SeekFrom::End(0))? / SECTOR;
        Ok(Self { file, access, sectors, calls: Cell::new(0) })
    }

    pub(crate) fn sectors(&self) -> u64 {
        self.sectors
    }

    pub(crate) fn is_writable(&self) -> bool {
        self.access == Access::ReadWrite
    }

    /// Counts one system call more.
    pub(crate) fn count_call(&self) {
        self.calls.set(self.calls.get() + 1);
    }

    /// The place in bytes of that many bytes from a sector on, if the disk has all of them.
    pub(crate) fn place(&self, sector: u64, bytes: u64) -> Option<u64> {
        let end = sector.checked_add(bytes.div_ceil(SECTOR))?;
        // The disk's length in bytes is that of a file, so the product is no more than an `i64`.
        (end <= self.sectors).then(|| sector * SECTOR)
    }

    /// Has the host write everything to the medium.
    pub(crate) fn flush(&self) -> io::Result<()> {
        self.count_call();
        self.file.sync_data()
    }

    /// Gives space back to the host; what the bytes are then is not said.
    pub(crate) fn discard(&self, offset: u64, len: u64) -> io::Result<()> {
        self.allocate(FallocateFlags::FALLOC_FL_PUNCH_HOLE, offset, len)
    }

    /// Makes the bytes 0, and gives their space back if they may be unmapped.
    pub(crate) fn write_zeroes(&self, offset: u64, len: u64, unmap: bool) -> io::Result<()> {
        use FallocateFlags as Flags;
        let ways = if unmap {
            [Flags::FALLOC_FL_PUNCH_HOLE, Flags::FALLOC_FL_ZERO_RANGE]
        } else {
            [Flags::FALLOC_FL_ZERO_RANGE, Flags::FALLOC_FL_PUNCH_HOLE]
        };
        for way in ways {
            match self.allocate(way, offset, len) {
                Err(error) if error.kind() == io::ErrorKind::Unsupported => {}
                result => return result,
            }
        }
        self.write_zeroes_by_hand(offset, len)
    }

    /// For file systems that have no quicker way.
    fn write_zeroes_by_hand(&self, mut offset: u64, mut len: u64) -> io::Result<()> {
        static ZEROES: [u8; 0x10000] = [0; 0x10000];
        while len > 0 {
            let part = len.min(ZEROES.len() as u64);
            self.count_call();
            self.file.write_all_at(&ZEROES[..part as usize], offset)?;
            offset += part;
            len -= part;
        }
        Ok(())
    }

    fn allocate(&self, how: FallocateFlags, offset: u64, len: u64) -> io::Result<()> {
        if len == 0 {
            return Ok(());
        }
        let signed = |number: u64| i64::try_from(number).map_err(|_| Errno::EFBIG);
        let mode = how | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        self.count_call();
        Ok(fallocate(&self.file, mode, signed(offset)?, signed(len)?)?)
    }
}
