//! Streams over file descriptors: one `read(2)`, `readv(2)`, `write(2)` or `writev(2)` a call, straight to or from guest
//! memory.

#![expect(unsafe_code, reason = "hands guest memory to system calls")]

use std::fs::File;
use std::io::{ErrorKind, Stdout};
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use crate::bitmap::BitmapSlice;
use crate::error::{Access, Error, Result};
use crate::iovec;
use crate::list::mark_first;
use crate::slice::VolatileSlice;
use crate::stream::{ReadVolatile, WriteVolatile};

/// What came of a system call that was to fill `bufs` and returned `count`: the number of bytes, which are marked, or the
/// error that it left.
#[inline]
pub(crate) fn filled<B: BitmapSlice>(
    bufs: &[VolatileSlice<'_, B>],
    count: libc::ssize_t,
) -> Result<usize> {
    let Ok(count) = usize::try_from(count) else { return Err(failed(bufs)) };
    mark_first(bufs, count);
    Ok(count)
}

/// The error that a system call left which was to fill `bufs`, with what it may have written marked.
#[cold]
fn failed<B: BitmapSlice>(bufs: &[VolatileSlice<'_, B>]) -> Error {
    let error = std::io::Error::last_os_error();
    // How many bytes the kernel wrote before it failed it does not say: any of them may be. But for two failures: by
    // POSIX.1-2008 (read, readv, pread) EINTR means that a signal came before any data, EAGAIN that there is no data, and
    // a read that has some returns its count. Devices are polled so, each time with all of their buffer.
    if !matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) {
        mark_first(bufs, usize::MAX);
    }
    of_system(error, Access::Write)
}

/// The error of a system call on memory: that it faulted, if that is what the system says. It does where no byte was moved, so the
/// first is the one.
#[cold]
fn of_system(error: std::io::Error, access: Access) -> Error {
    if error.raw_os_error() == Some(libc::EFAULT) {
        Error::Faulted { addr: 0, completed: 0, access }
    } else {
        Error::IOError(error)
    }
}

/// What came of a system call that was to empty memory and returned `count`.
#[inline]
pub(crate) fn emptied(count: libc::ssize_t) -> Result<usize> {
    usize::try_from(count).map_err(|_| of_system(std::io::Error::last_os_error(), Access::Read))
}

/// One `read(2)` into the start of `buf`.
#[inline]
fn read<B: BitmapSlice>(fd: BorrowedFd<'_>, buf: &VolatileSlice<'_, B>) -> Result<usize> {
    let dst = buf.writable(0, buf.len()).ok_or(Error::NotWritable)?;
    // SAFETY: read(2) writes at most `buf.len()` bytes at `dst`, valid for writing by `writable`; the descriptor is open as
    // long as it is borrowed.
    let count = unsafe { libc::read(fd.as_raw_fd(), dst.cast(), buf.len()) };
    filled(core::slice::from_ref(buf), count)
}

/// One `readv(2)` into `bufs`, or none if they have no bytes.
#[inline(never)]
fn readv<B: BitmapSlice>(fd: BorrowedFd<'_>, bufs: &[VolatileSlice<'_, B>]) -> Result<usize> {
    let count = iovec::of_targets(bufs, |iovecs, count| {
        // SAFETY: readv(2) reads `count` structures at `iovecs` and writes the bytes that they stand for, valid for writing by
        // `of_targets`; the descriptor is open as long as it is borrowed.
        Ok(unsafe { libc::readv(fd.as_raw_fd(), iovecs, count) })
    })?;
    filled(bufs, count)
}

/// One `write(2)` from the start of `buf`.
#[inline]
fn write<B: BitmapSlice>(fd: BorrowedFd<'_>, buf: &VolatileSlice<'_, B>) -> Result<usize> {
    let src = buf.readable(0, buf.len()).ok_or(Error::NotReadable)?;
    // SAFETY: write(2) reads at most `buf.len()` bytes at `src`, valid for reading by `readable`; the descriptor is open as
    // long as it is borrowed.
    emptied(unsafe { libc::write(fd.as_raw_fd(), src.cast(), buf.len()) })
}

/// One `writev(2)` from `bufs`, or none if they have no bytes.
#[inline(never)]
fn writev<B: BitmapSlice>(fd: BorrowedFd<'_>, bufs: &[VolatileSlice<'_, B>]) -> Result<usize> {
    emptied(iovec::of_sources(bufs, |iovecs, count| {
        // SAFETY: writev(2) reads `count` structures at `iovecs` and the bytes that they stand for, valid for reading by
        // `of_sources`; the descriptor is open as long as it is borrowed.
        Ok(unsafe { libc::writev(fd.as_raw_fd(), iovecs, count) })
    })?)
}

macro_rules! sources {
    ($($type:ty)*) => {$(
        impl ReadVolatile for $type {
            #[inline]
            fn read_volatile<B: BitmapSlice>(&mut self, buf: &mut VolatileSlice<'_, B>) -> Result<usize> {
                read(self.as_fd(), buf)
            }

            #[inline]
            fn read_vectored_volatile<B: BitmapSlice>(&mut self, bufs: &[VolatileSlice<'_, B>]) -> Result<usize> {
                match bufs {
                    [buf] => read(self.as_fd(), buf),
                    _ => readv(self.as_fd(), bufs),
                }
            }

            #[inline]
            fn is_read_vectored(&self) -> bool {
                true
            }
        }
    )*};
}

macro_rules! sinks {
    ($($type:ty)*) => {$(
        impl WriteVolatile for $type {
            #[inline]
            fn write_volatile<B: BitmapSlice>(&mut self, buf: &VolatileSlice<'_, B>) -> Result<usize> {
                write(self.as_fd(), buf)
            }

            #[inline]
            fn write_vectored_volatile<B: BitmapSlice>(&mut self, bufs: &[VolatileSlice<'_, B>]) -> Result<usize> {
                match bufs {
                    [buf] => write(self.as_fd(), buf),
                    _ => writev(self.as_fd(), bufs),
                }
            }

            #[inline]
            fn is_write_vectored(&self) -> bool {
                true
            }
        }
    )*};
}

sources! {
    File &File &mut File TcpStream &TcpStream &mut TcpStream UnixStream &UnixStream &mut UnixStream
    OwnedFd &OwnedFd &mut OwnedFd BorrowedFd<'_> &BorrowedFd<'_> &mut BorrowedFd<'_>
}

sinks! {
    File &File &mut File TcpStream &TcpStream &mut TcpStream UnixStream &UnixStream &mut UnixStream
    OwnedFd &OwnedFd &mut OwnedFd BorrowedFd<'_> &BorrowedFd<'_> &mut BorrowedFd<'_> Stdout &Stdout
}
