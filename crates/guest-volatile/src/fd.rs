//! Streams over file descriptors: one `read(2)` or `write(2)` a call, straight to or from guest memory.

#![expect(unsafe_code, reason = "hands guest memory to system calls")]

use std::fs::File;
use std::io::Stdout;
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use crate::bitmap::BitmapSlice;
use crate::error::{Error, Result};
use crate::slice::VolatileSlice;
use crate::stream::{ReadVolatile, WriteVolatile};

/// One `read(2)` into the start of `buf`.
fn read<B: BitmapSlice>(fd: BorrowedFd<'_>, buf: &mut VolatileSlice<'_, B>) -> Result<usize> {
    let dst = buf.writable(0, buf.len()).ok_or(Error::NotWritable)?;
    // SAFETY: read(2) writes at most `buf.len()` bytes at `dst`, valid for writing by `writable`; the descriptor is open as
    // long as it is borrowed.
    let count = unsafe { libc::read(fd.as_raw_fd(), dst.cast(), buf.len()) };
    let Ok(count) = usize::try_from(count) else {
        let error = std::io::Error::last_os_error();
        // How many bytes the kernel wrote before it failed it does not say: any of them may be.
        buf.bitmap().mark_dirty(0, buf.len());
        return Err(Error::IOError(error));
    };
    buf.bitmap().mark_dirty(0, count);
    Ok(count)
}

/// One `write(2)` from the start of `buf`.
fn write<B: BitmapSlice>(fd: BorrowedFd<'_>, buf: &VolatileSlice<'_, B>) -> Result<usize> {
    let src = buf.readable(0, buf.len()).ok_or(Error::NotReadable)?;
    // SAFETY: write(2) reads at most `buf.len()` bytes at `src`, valid for reading by `readable`; the descriptor is open as
    // long as it is borrowed.
    let count = unsafe { libc::write(fd.as_raw_fd(), src.cast(), buf.len()) };
    usize::try_from(count).map_err(|_| Error::IOError(std::io::Error::last_os_error()))
}

macro_rules! sources {
    ($($type:ty)*) => {$(
        impl ReadVolatile for $type {
            fn read_volatile<B: BitmapSlice>(&mut self, buf: &mut VolatileSlice<'_, B>) -> Result<usize> {
                read(self.as_fd(), buf)
            }
        }
    )*};
}

macro_rules! sinks {
    ($($type:ty)*) => {$(
        impl WriteVolatile for $type {
            fn write_volatile<B: BitmapSlice>(&mut self, buf: &VolatileSlice<'_, B>) -> Result<usize> {
                write(self.as_fd(), buf)
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
