//! A disk without the kernel's cache before it: what is asked of it, the device is asked.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};

/// `O_DIRECT`, on x86-64.
const DIRECT: i32 = 0o40000;

/// An open disk. Whatever is read or written is a whole number of sectors, in memory and on the disk.
#[derive(Debug)]
pub struct Disk {
    file: File,
}

impl Disk {
    /// Opens a disk to read and write it.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn open(path: &str) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).custom_flags(DIRECT).open(path)?;
        Ok(Self { file })
    }

    /// Fills memory from a place of the disk.
    ///
    /// # Errors
    ///
    /// What the kernel says, or that the disk ends earlier.
    pub fn read(&self, bytes: &mut [u8], place: u64) -> io::Result<()> {
        self.file.read_exact_at(bytes, place)
    }

    /// Writes memory to a place of the disk.
    ///
    /// # Errors
    ///
    /// What the kernel says, or that the disk ends earlier.
    pub fn write(&self, bytes: &[u8], place: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, place)
    }

    /// Fills several pieces of memory from a place of the disk, in one call.
    ///
    /// # Errors
    ///
    /// What the kernel says, or that it did less.
    pub fn gather(&mut self, pieces: &mut [IoSliceMut<'_>], place: u64) -> io::Result<()> {
        let wanted = pieces.iter().map(|piece| piece.len()).sum();
        self.file.seek(SeekFrom::Start(place))?;
        whole(self.file.read_vectored(pieces)?, wanted)
    }

    /// Writes several pieces of memory to a place of the disk, in one call.
    ///
    /// # Errors
    ///
    /// What the kernel says, or that it did less.
    pub fn scatter(&mut self, pieces: &[IoSlice<'_>], place: u64) -> io::Result<()> {
        let wanted = pieces.iter().map(|piece| piece.len()).sum();
        self.file.seek(SeekFrom::Start(place))?;
        whole(self.file.write_vectored(pieces)?, wanted)
    }

    /// Has the device keep what was written.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn flush(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}

fn whole(done: usize, wanted: usize) -> io::Result<()> {
    if done == wanted {
        return Ok(());
    }
    Err(io::Error::other(format!("{done} bytes moved of {wanted}")))
}
