//! Sources and sinks that are read and written at a place of the caller's choice.

#[cfg(feature = "alloc")]
use alloc::vec::Vec;

use crate::bitmap::BitmapSlice;
use crate::error::{Error, Result};
use crate::list;
use crate::slice::VolatileSlice;

/// A source of bytes that can put those at any place of it straight into volatile memory.
///
/// As `std::os::unix::fs::FileExt`, but the target is memory that the guest may change meanwhile. There is no position
/// that moves, so a shared source is enough, and several threads may read it at once: a file by one `pread(2)`, or by one
/// `preadv(2)` where the memory is in pieces.
pub trait ReadVolatileAt {
    /// Reads once from `offset` in the source into the start of `buf`, and returns how many bytes that gave. They are
    /// marked dirty.
    ///
    /// Fewer than `buf` holds are no error; none at all means that there is nothing at `offset`, or an empty `buf`. An
    /// error with [`is_interrupted`](Error::is_interrupted) may be tried again, and is not tried again here.
    ///
    /// # Errors
    ///
    /// Those of the source, [`NotWritable`](Error::NotWritable), and for a file
    /// [`InvalidFileOffset`](Error::InvalidFileOffset).
    ///
    /// ```
    /// use guest_volatile::{ReadVolatileAt, VolatileSlice};
    /// let mut ram = [0u8; 4];
    /// assert_eq!(b"abcdef"[..].read_volatile_at(&VolatileSlice::from(&mut ram[..]), 3)?, 3);
    /// assert_eq!(ram, *b"def\0");
    /// # Ok::<(), guest_volatile::Error>(())
    /// ```
    fn read_volatile_at<B: BitmapSlice>(
        &self,
        buf: &VolatileSlice<'_, B>,
        offset: u64,
    ) -> Result<usize>;

    /// Reads from `offset` in the source until `buf` is full, over short reads and interruptions.
    ///
    /// # Errors
    ///
    /// [`PartialBuffer`](Error::PartialBuffer) at the end of the source, with the number of bytes read; the source's own,
    /// with that number too if it is not 0.
    ///
    /// ```
    /// use guest_volatile::{ReadVolatileAt, VolatileSlice};
    /// let mut ram = [0u8; 4];
    /// let memory = VolatileSlice::from(&mut ram[..]);
    /// b"abcdef"[..].read_exact_volatile_at(&memory, 2)?;
    /// assert!(b"abcdef"[..].read_exact_volatile_at(&memory, 3).is_err()); // 3 of 4
    /// # Ok::<(), guest_volatile::Error>(())
    /// ```
    fn read_exact_volatile_at<B: BitmapSlice>(
        &self,
        buf: &VolatileSlice<'_, B>,
        offset: u64,
    ) -> Result<()> {
        self.read_exact_vectored_volatile_at(&mut [buf.clone()], offset)
    }

    /// Reads from `offset` in the source into the slices of `bufs`, one after the other as if they were one, and returns
    /// how many bytes that gave. They are marked dirty.
    ///
    /// A source that can reads all of them by one call: a file by one `preadv(2)`. By default it is one call of
    /// [`read_volatile_at`](Self::read_volatile_at) a slice, up to the first short one.
    ///
    /// # Errors
    ///
    /// As [`read_volatile_at`](Self::read_volatile_at), with the number of bytes read if it is not 0.
    ///
    /// ```
    /// use guest_volatile::{ReadVolatileAt, VolatileSlice};
    /// let (mut low, mut high) = ([0u8; 2], [0u8; 4]);
    /// let list = [VolatileSlice::from(&mut low[..]), VolatileSlice::from(&mut high[..])];
    /// assert_eq!(b"abcdef"[..].read_vectored_volatile_at(&list, 1)?, 5);
    /// assert_eq!((low, high), (*b"bc", *b"def\0"));
    /// # Ok::<(), guest_volatile::Error>(())
    /// ```
    fn read_vectored_volatile_at<B: BitmapSlice>(
        &self,
        bufs: &[VolatileSlice<'_, B>],
        offset: u64,
    ) -> Result<usize> {
        list::one_by_one(bufs, |buf, done| self.read_volatile_at(buf, further(offset, done)?))
    }

    /// Reads from `offset` in the source until the slices of `bufs` are full, over short reads and interruptions. What
    /// the list holds afterwards is not said: it is moved along as it is filled.
    ///
    /// # Errors
    ///
    /// As [`read_exact_volatile_at`](Self::read_exact_volatile_at).
    ///
    /// ```
    /// use guest_volatile::{ReadVolatileAt, VolatileSlice};
    /// let (mut low, mut high) = ([0u8; 2], [0u8; 3]);
    /// let mut list = [VolatileSlice::from(&mut low[..]), VolatileSlice::from(&mut high[..])];
    /// b"abcdef"[..].read_exact_vectored_volatile_at(&mut list, 1)?;
    /// assert_eq!((low, high), (*b"bc", *b"def"));
    /// # Ok::<(), guest_volatile::Error>(())
    /// ```
    #[inline]
    fn read_exact_vectored_volatile_at<B: BitmapSlice>(
        &self,
        bufs: &mut [VolatileSlice<'_, B>],
        offset: u64,
    ) -> Result<()> {
        list::all_of(bufs, |rest, done| {
            self.read_vectored_volatile_at(rest, further(offset, done)?)
        })
    }
}

/// A sink of bytes that can take them straight from volatile memory, to any place of it.
///
/// As `std::os::unix::fs::FileExt`, but the source is memory that the guest may change meanwhile. There is no position
/// that moves, so a shared sink is enough, and several threads may write to it at once.
pub trait WriteVolatileAt {
    /// Writes once to `offset` in the sink from the start of `buf`, and returns how many bytes that took.
    ///
    /// Fewer than `buf` holds are no error; none at all means that there is no room at `offset`, or an empty `buf`. An
    /// error with [`is_interrupted`](Error::is_interrupted) may be tried again, and is not tried again here.
    ///
    /// # Errors
    ///
    /// Those of the sink, and for a file [`InvalidFileOffset`](Error::InvalidFileOffset).
    ///
    /// ```
    /// use guest_volatile::{VolatileSlice, WriteVolatileAt};
    /// let (mut ram, mut disk) = (*b"abcdef", [0u8; 8]);
    /// let sink = VolatileSlice::from(&mut disk[..]);
    /// assert_eq!(sink.write_volatile_at(&VolatileSlice::from(&mut ram[..]), 4)?, 4);
    /// assert_eq!(disk, *b"\0\0\0\0abcd");
    /// # Ok::<(), guest_volatile::Error>(())
    /// ```
    fn write_volatile_at<B: BitmapSlice>(
        &self,
        buf: &VolatileSlice<'_, B>,
        offset: u64,
    ) -> Result<usize>;

    /// Writes all of `buf` to `offset` in the sink, over short writes and interruptions. Each byte of it is read once.
    ///
    /// # Errors
    ///
    /// [`PartialBuffer`](Error::PartialBuffer) if the sink takes no more, with the number of bytes taken; the sink's own,
    /// with that number too if it is not 0.
    ///
    /// ```
    /// use guest_volatile::{VolatileSlice, WriteVolatileAt};
    /// let (mut ram, mut disk) = (*b"abcdef", [0u8; 8]);
    /// let (memory, sink) = (VolatileSlice::from(&mut ram[..]), VolatileSlice::from(&mut disk[..]));
    /// sink.write_all_volatile_at(&memory, 2)?;
    /// assert!(sink.write_all_volatile_at(&memory, 3).is_err()); // 5 of 6
    /// # Ok::<(), guest_volatile::Error>(())
    /// ```
    fn write_all_volatile_at<B: BitmapSlice>(
        &self,
        buf: &VolatileSlice<'_, B>,
        offset: u64,
    ) -> Result<()> {
        self.write_all_vectored_volatile_at(&mut [buf.clone()], offset)
    }

    /// Writes to `offset` in the sink from the slices of `bufs`, one after the other as if they were one, and returns how
    /// many bytes that took.
    ///
    /// A sink that can takes all of them by one call: a file by one `pwritev(2)`. By default it is one call of
    /// [`write_volatile_at`](Self::write_volatile_at) a slice, up to the first short one.
    ///
    /// # Errors
    ///
    /// As [`write_volatile_at`](Self::write_volatile_at), with the number of bytes taken if it is not 0.
    ///
    /// ```
    /// use guest_volatile::{VolatileSlice, WriteVolatileAt};
    /// let (mut low, mut high, mut disk) = (*b"ab", *b"cde", [0u8; 8]);
    /// let list = [VolatileSlice::from(&mut low[..]), VolatileSlice::from(&mut high[..])];
    /// assert_eq!(VolatileSlice::from(&mut disk[..]).write_vectored_volatile_at(&list, 1)?, 5);
    /// assert_eq!(disk, *b"\0abcde\0\0");
    /// # Ok::<(), guest_volatile::Error>(())
    /// ```
    fn write_vectored_volatile_at<B: BitmapSlice>(
        &self,
        bufs: &[VolatileSlice<'_, B>],
        offset: u64,
    ) -> Result<usize> {
        list::one_by_one(bufs, |buf, done| self.write_volatile_at(buf, further(offset, done)?))
    }

    /// Writes all of the slices of `bufs` to `offset` in the sink, over short writes and interruptions. Each byte of them
    /// is read once. What the list holds afterwards is not said: it is moved along as it is emptied.
    ///
    /// # Errors
    ///
    /// As [`write_all_volatile_at`](Self::write_all_volatile_at).
    ///
    /// ```
    /// use guest_volatile::{VolatileSlice, WriteVolatileAt};
    /// let (mut low, mut high, mut disk) = (*b"ab", *b"cde", [0u8; 4]);
    /// let mut list = [VolatileSlice::from(&mut low[..]), VolatileSlice::from(&mut high[..])];
    /// let sink = VolatileSlice::from(&mut disk[..]);
    /// assert!(sink.write_all_vectored_volatile_at(&mut list, 0).is_err()); // 4 of 5
    /// ```
    #[inline]
    fn write_all_vectored_volatile_at<B: BitmapSlice>(
        &self,
        bufs: &mut [VolatileSlice<'_, B>],
        offset: u64,
    ) -> Result<()> {
        list::all_of(bufs, |rest, done| {
            self.write_vectored_volatile_at(rest, further(offset, done)?)
        })
    }
}

/// The place `done` bytes past `offset`.
fn further(offset: u64, done: usize) -> Result<u64> {
    offset.checked_add(done as u64).ok_or(Error::InvalidFileOffset)
}

/// `offset` in something of `len` bytes: at its end, if it is past it.
fn inside(offset: u64, len: usize) -> usize {
    usize::try_from(offset).map_or(len, |offset| offset.min(len))
}

impl<T: ReadVolatileAt + ?Sized> ReadVolatileAt for &T {
    fn read_volatile_at<B: BitmapSlice>(
        &self,
        buf: &VolatileSlice<'_, B>,
        offset: u64,
    ) -> Result<usize> {
        (**self).read_volatile_at(buf, offset)
    }

    fn read_vectored_volatile_at<B: BitmapSlice>(
        &self,
        bufs: &[VolatileSlice<'_, B>],
        offset: u64,
    ) -> Result<usize> {
        (**self).read_vectored_volatile_at(bufs, offset)
    }
}

impl<T: WriteVolatileAt + ?Sized> WriteVolatileAt for &T {
    fn write_volatile_at<B: BitmapSlice>(
        &self,
        buf: &VolatileSlice<'_, B>,
        offset: u64,
    ) -> Result<usize> {
        (**self).write_volatile_at(buf, offset)
    }

    fn write_vectored_volatile_at<B: BitmapSlice>(
        &self,
        bufs: &[VolatileSlice<'_, B>],
        offset: u64,
    ) -> Result<usize> {
        (**self).write_vectored_volatile_at(bufs, offset)
    }
}

impl ReadVolatileAt for [u8] {
    fn read_volatile_at<B: BitmapSlice>(
        &self,
        buf: &VolatileSlice<'_, B>,
        offset: u64,
    ) -> Result<usize> {
        let rest = &self[inside(offset, self.len())..];
        // Short where the memory faults.
        buf.write(&rest[..rest.len().min(buf.len())], 0)
    }
}

#[cfg(feature = "alloc")]
impl ReadVolatileAt for Vec<u8> {
    fn read_volatile_at<B: BitmapSlice>(
        &self,
        buf: &VolatileSlice<'_, B>,
        offset: u64,
    ) -> Result<usize> {
        self[..].read_volatile_at(buf, offset)
    }
}

/// Other volatile memory; it may be the same.
impl<C: BitmapSlice> ReadVolatileAt for VolatileSlice<'_, C> {
    fn read_volatile_at<B: BitmapSlice>(
        &self,
        buf: &VolatileSlice<'_, B>,
        offset: u64,
    ) -> Result<usize> {
        copy(&self.offset(inside(offset, self.len()))?, buf)
    }
}

/// Other volatile memory; it may be the same. What it takes is marked in its bitmap.
impl<C: BitmapSlice> WriteVolatileAt for VolatileSlice<'_, C> {
    fn write_volatile_at<B: BitmapSlice>(
        &self,
        buf: &VolatileSlice<'_, B>,
        offset: u64,
    ) -> Result<usize> {
        copy(buf, &self.offset(inside(offset, self.len()))?)
    }
}

/// Copies as many bytes as both hold, or as come before a fault.
fn copy<A: BitmapSlice, B: BitmapSlice>(
    from: &VolatileSlice<'_, A>,
    to: &VolatileSlice<'_, B>,
) -> Result<usize> {
    match from.try_copy_to_volatile_slice(to.clone()) {
        // Not if they overlap and were copied downwards, when it is the last that were done.
        Err(Error::Faulted { addr, completed, .. }) if addr == completed && completed != 0 => {
            Ok(completed)
        }
        result => result,
    }
}
