//! The file that is loaded, and what it has to look like in guest memory.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use demo::{Checksum, Command, PAGE_SIZE};
use guest_address::GuestAddress;

use super::number::Count;
use super::ram::{IMAGE_MAX, MIDDLE};

/// A file that is open, at its start, and the bytes that the host read of it by itself.
pub(crate) struct Image {
    path: PathBuf,
    file: File,
    bytes: Arc<[u8]>,
    /// The length of the file, of which no more than the bytes are used.
    len: u64,
}

impl Image {
    /// Opens a file and reads it.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        // Asked before the file is opened: to open a pipe may wait for ever.
        let facts = fs::metadata(path)?;
        if !facts.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        let mut file = File::open(path)?;
        let mut bytes = Vec::new();
        (&file).take(IMAGE_MAX).read_to_end(&mut bytes)?;
        if bytes.is_empty() {
            return Err(io::Error::other("the file is empty"));
        }
        file.rewind()?;
        let len = facts.len().max(bytes.len() as u64);
        Ok(Self { path: path.to_owned(), file, bytes: bytes.into(), len })
    }

    /// The file, at its start.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// The bytes that guest memory must have.
    pub(crate) fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }

    /// How many these are.
    pub(crate) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Where it is loaded: half of it below the border of two regions, half above, if that can be.
    pub(crate) fn start(&self) -> GuestAddress {
        // Whole pages look better; a small image takes what it can. The guest wants whole words.
        let unit = if self.len() > 2 * PAGE_SIZE { PAGE_SIZE } else { 8 };
        GuestAddress(MIDDLE.0 - (self.len() / 2).next_multiple_of(unit).max(unit))
    }

    /// The address of its last byte.
    pub(crate) fn last(&self) -> GuestAddress {
        GuestAddress(self.start().0 + self.len() - 1)
    }

    /// The numbers of the pages it lies in.
    pub(crate) fn pages(&self) -> impl Iterator<Item = u64> {
        self.start().0 / PAGE_SIZE..=self.last().0 / PAGE_SIZE
    }

    /// The checksum; a last word that is not whole ends with zeros, as it does in fresh memory.
    pub(crate) fn checksum(&self) -> u64 {
        Checksum::of_bytes(&self.bytes)
    }

    /// What to ask the guest for.
    pub(crate) fn command(&self) -> Command {
        Command::Checksum { address: self.start().0, words: self.len().div_ceil(8) }
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} bytes", self.path.display(), Count(self.len))?;
        if self.len > self.len() {
            write!(f, ", of which the first {}", Count(self.len()))?;
        }
        Ok(())
    }
}
