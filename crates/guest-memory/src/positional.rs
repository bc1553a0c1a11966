//! Guest memory filled from and emptied into places of files, by address.

use guest_address::GuestAddress;
use guest_volatile::{Error as VolatileError, ReadVolatileAt, WriteVolatileAt};

use crate::bytes::Bytes;
use crate::error::Result;
use crate::io_memory::IoMemory;
use crate::lists::{transfer_lists, uninterrupted};
use crate::permissions::Permissions;

/// Bytes that are filled from and emptied into a place of a file of the caller's choice: disks, not streams.
///
/// An operation is one system call, `pread(2)` or `pwrite(2)`, where the bytes lie in one region; where they lie in several,
/// it is still one: `preadv(2)` or `pwritev(2)`. What was read is marked dirty, exactly, when it is in place. The file is
/// shared, so several devices may use it at once; it has no position that moves.
///
/// Every [`IoMemory`] has it, by guest address. A [slice](guest_volatile::VolatileSlice) is handed to the file itself:
/// [`ReadVolatileAt::read_volatile_at`].
pub trait PositionalBytes<A>: Bytes<A> {
    /// Reads from `offset` in `src` into the bytes from `addr` on, up to `count`, and returns how many that gave.
    ///
    /// It stops at a short read. An interrupted read is tried again.
    ///
    /// # Errors
    ///
    /// If not even one byte was read because there is no memory at `addr`, or `src` failed.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// let memory = map();
    /// let disk = &b"ten bytes."[..];
    /// assert_eq!(memory.read_volatile_from_at(GuestAddress(0x1ffc), disk, 4, 32)?, 6);
    /// assert_eq!(memory.read_obj::<[u8; 6]>(GuestAddress(0x1ffc))?, *b"bytes.");
    /// # Ok::<(), GuestMemoryError>(())
    /// ```
    fn read_volatile_from_at<F>(
        &self,
        addr: A,
        src: &F,
        offset: u64,
        count: usize,
    ) -> core::result::Result<usize, Self::E>
    where
        F: ReadVolatileAt + ?Sized;

    /// Reads `count` bytes from `offset` in `src` into the bytes from `addr` on, over short reads and interruptions.
    ///
    /// # Errors
    ///
    /// If the source ends, or the memory; the error tells how many bytes were read.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// let memory = map();
    /// let disk = &b"ten bytes."[..];
    /// memory.read_exact_volatile_from_at(GuestAddress(0x1ffc), disk, 4, 6)?;
    /// assert!(memory.read_exact_volatile_from_at(GuestAddress(0x1ffc), disk, 5, 6).is_err());
    /// # Ok::<(), GuestMemoryError>(())
    /// ```
    fn read_exact_volatile_from_at<F>(
        &self,
        addr: A,
        src: &F,
        offset: u64,
        count: usize,
    ) -> core::result::Result<(), Self::E>
    where
        F: ReadVolatileAt + ?Sized;

    /// Writes to `offset` in `dst` from the bytes from `addr` on, up to `count`, and returns how many that took.
    ///
    /// It stops at a short write. An interrupted write is tried again.
    ///
    /// # Errors
    ///
    /// If not even one byte was written because there is no memory at `addr`, or `dst` failed.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// let (memory, mut disk) = (map(), [7u8; 64]);
    /// let disk = VolatileSlice::from(&mut disk[..]);
    /// assert_eq!(memory.write_volatile_to_at(GuestAddress(0x1ffc), &disk, 0x30, 32)?, 16);
    /// assert_eq!(disk.read_obj::<[u8; 2]>(0x2f).unwrap(), [7, 0]);
    /// # Ok::<(), GuestMemoryError>(())
    /// ```
    fn write_volatile_to_at<F>(
        &self,
        addr: A,
        dst: &F,
        offset: u64,
        count: usize,
    ) -> core::result::Result<usize, Self::E>
    where
        F: WriteVolatileAt + ?Sized;

    /// Writes `count` bytes to `offset` in `dst` from the bytes from `addr` on, over short writes and interruptions.
    ///
    /// # Errors
    ///
    /// If the sink takes no more, or the memory ends; the error tells how many bytes were written.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// let (memory, mut disk) = (map(), [7u8; 64]);
    /// let disk = VolatileSlice::from(&mut disk[..]);
    /// memory.write_all_volatile_to_at(GuestAddress(0x1ffc), &disk, 0x20, 32)?;
    /// assert!(memory.write_all_volatile_to_at(GuestAddress(0x1ffc), &disk, 0x30, 32).is_err());
    /// # Ok::<(), GuestMemoryError>(())
    /// ```
    fn write_all_volatile_to_at<F>(
        &self,
        addr: A,
        dst: &F,
        offset: u64,
        count: usize,
    ) -> core::result::Result<(), Self::E>
    where
        F: WriteVolatileAt + ?Sized;
}

/// The place `done` bytes past `offset`.
#[inline(always)]
fn further(offset: u64, done: usize) -> core::result::Result<u64, VolatileError> {
    offset.checked_add(done as u64).ok_or(VolatileError::InvalidFileOffset)
}

impl<M: IoMemory + ?Sized> PositionalBytes<GuestAddress> for M {
    fn read_volatile_from_at<F>(
        &self,
        addr: GuestAddress,
        src: &F,
        offset: u64,
        count: usize,
    ) -> Result<usize>
    where
        F: ReadVolatileAt + ?Sized,
    {
        transfer_lists(self, addr, count, Permissions::Write, |list, _, done| {
            let offset = further(offset, done)?;
            uninterrupted(|| src.read_vectored_volatile_at(list, offset))
        })
        .partial()
    }

    fn read_exact_volatile_from_at<F>(
        &self,
        addr: GuestAddress,
        src: &F,
        offset: u64,
        count: usize,
    ) -> Result<()>
    where
        F: ReadVolatileAt + ?Sized,
    {
        transfer_lists(self, addr, count, Permissions::Write, |list, len, done| {
            src.read_exact_vectored_volatile_at(list, further(offset, done)?).map(|()| len)
        })
        .whole()
    }

    fn write_volatile_to_at<F>(
        &self,
        addr: GuestAddress,
        dst: &F,
        offset: u64,
        count: usize,
    ) -> Result<usize>
    where
        F: WriteVolatileAt + ?Sized,
    {
        transfer_lists(self, addr, count, Permissions::Read, |list, _, done| {
            let offset = further(offset, done)?;
            uninterrupted(|| dst.write_vectored_volatile_at(list, offset))
        })
        .partial()
    }

    fn write_all_volatile_to_at<F>(
        &self,
        addr: GuestAddress,
        dst: &F,
        offset: u64,
        count: usize,
    ) -> Result<()>
    where
        F: WriteVolatileAt + ?Sized,
    {
        transfer_lists(self, addr, count, Permissions::Read, |list, len, done| {
            dst.write_all_vectored_volatile_at(list, further(offset, done)?).map(|()| len)
        })
        .whole()
    }
}
