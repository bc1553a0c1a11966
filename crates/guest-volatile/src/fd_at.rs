//! Files at an offset: one `pread(2)`, `preadv(2)`, `pwrite(2)` or `pwritev(2)` a call, straight to or from guest memory.

#![expect(unsafe_code, reason = "hands guest memory to system calls")]

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use crate::bitmap::BitmapSlice;
use crate::error::{Error, Result};
use crate::fd::{emptied, filled};
use crate::iovec;
use crate::positional::{ReadVolatileAt, WriteVolatileAt};
use crate::slice::VolatileSlice;

/// The calls whose offsets have 64 bits on every target.
#[cfg(any(all(target_os = "linux", target_env = "gnu"), target_os = "android"))]
mod calls {
    pub(super) use libc::{
        off64_t as Offset, pread64 as pread, preadv64 as preadv, pwrite64 as pwrite,
        pwritev64 as pwritev,
    };
}

/// The calls whose offsets have 64 bits on every target.
#[cfg(not(any(all(target_os = "linux", target_env = "gnu"), target_os = "android")))]
mod calls {
    pub(super) use libc::{off_t as Offset, pread, preadv, pwrite, pwritev};
}

/// `offset` as the system counts: signed.
#[inline]
fn place(offset: u64) -> Result<calls::Offset> {
    calls::Offset::try_from(offset).map_err(|_| Error::InvalidFileOffset)
}

/// One `pread(2)` into the start of `buf`, or none if it has no bytes.
#[inline]
fn pread<B: BitmapSlice>(
    fd: BorrowedFd<'_>,
    buf: &VolatileSlice<'_, B>,
    offset: u64,
) -> Result<usize> {
    if buf.is_empty() {
        return Ok(0);
    }
    let dst = buf.writable(0, buf.len()).ok_or(Error::NotWritable)?;
    let offset = place(offset)?;
    // SAFETY: pread(2) writes at most `buf.len()` bytes at `dst`, valid for writing by `writable`; the descriptor is open as
    // long as it is borrowed.
    let count = unsafe { calls::pread(fd.as_raw_fd(), dst.cast(), buf.len(), offset) };
    filled(core::slice::from_ref(buf), count)
}

/// One `preadv(2)` into `bufs`, or none if they have no bytes.
#[inline(never)]
fn preadv<B: BitmapSlice>(
    fd: BorrowedFd<'_>,
    bufs: &[VolatileSlice<'_, B>],
    offset: u64,
) -> Result<usize> {
    let count = iovec::of_targets(bufs, |iovecs, count| {
        let offset = place(offset)?;
        // SAFETY: preadv(2) reads `count` structures at `iovecs` and writes the bytes that they stand for, valid for writing by
        // `of_targets`; the descriptor is open as long as it is borrowed.
        Ok(unsafe { calls::preadv(fd.as_raw_fd(), iovecs, count, offset) })
    })?;
    filled(bufs, count)
}

/// One `pwrite(2)` from the start of `buf`, or none if it has no bytes.
#[inline]
fn pwrite<B: BitmapSlice>(
    fd: BorrowedFd<'_>,
    buf: &VolatileSlice<'_, B>,
    offset: u64,
) -> Result<usize> {
    if buf.is_empty() {
        return Ok(0);
    }
    let src = buf.readable(0, buf.len()).ok_or(Error::NotReadable)?;
    let offset = place(offset)?;
    // SAFETY: pwrite(2) reads at most `buf.len()` bytes at `src`, valid for reading by `readable`; the descriptor is open
    // as long as it is borrowed.
    emptied(unsafe { calls::pwrite(fd.as_raw_fd(), src.cast(), buf.len(), offset) })
}

/// One `pwritev(2)` from `bufs`, or none if they have no bytes.
#[inline(never)]
fn pwritev<B: BitmapSlice>(
    fd: BorrowedFd<'_>,
    bufs: &[VolatileSlice<'_, B>],
    offset: u64,
) -> Result<usize> {
    emptied(iovec::of_sources(bufs, |iovecs, count| {
        let offset = place(offset)?;
        // SAFETY: pwritev(2) reads `count` structures at `iovecs` and the bytes that they stand for, valid for reading by
        // `of_sources`; the descriptor is open as long as it is borrowed.
        Ok(unsafe { calls::pwritev(fd.as_raw_fd(), iovecs, count, offset) })
    })?)
}

macro_rules! files {
    ($($type:ty)*) => {$(
        impl ReadVolatileAt for $type {
            #[inline]
            fn read_volatile_at<B: BitmapSlice>(&self, buf: &VolatileSlice<'_, B>, offset: u64) -> Result<usize> {
                pread(self.as_fd(), buf, offset)
            }

            #[inline]
            fn read_vectored_volatile_at<B: BitmapSlice>(
                &self,
                bufs: &[VolatileSlice<'_, B>],
                offset: u64,
            ) -> Result<usize> {
                match bufs {
                    [buf] => pread(self.as_fd(), buf, offset),
                    _ => preadv(self.as_fd(), bufs, offset),
                }
            }
        }

        impl WriteVolatileAt for $type {
            #[inline]
            fn write_volatile_at<B: BitmapSlice>(&self, buf: &VolatileSlice<'_, B>, offset: u64) -> Result<usize> {
                pwrite(self.as_fd(), buf, offset)
            }

            #[inline]
            fn write_vectored_volatile_at<B: BitmapSlice>(
                &self,
                bufs: &[VolatileSlice<'_, B>],
                offset: u64,
            ) -> Result<usize> {
                match bufs {
                    [buf] => pwrite(self.as_fd(), buf, offset),
                    _ => pwritev(self.as_fd(), bufs, offset),
                }
            }
        }
    )*};
}

files! { File OwnedFd BorrowedFd<'_> }
