//! System calls as they are, with a buffer each time at another place.

#![expect(unsafe_code, reason = "a system call by itself is what streams are compared with")]

use std::fmt;
use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::ptr;
use std::time::{Duration, Instant};

use crate::layout::Layout;
use crate::raw::Hosts;

/// A file in memory of so many bytes.
///
/// # Panics
///
/// If the system has no room for it.
pub fn memory_file(len: usize) -> File {
    // SAFETY: the name is a string that ends with a zero; the call reads nothing else.
    let fd = unsafe { libc::memfd_create(c"compare".as_ptr(), libc::MFD_CLOEXEC) };
    assert!(fd >= 0, "{}", io::Error::last_os_error());
    // SAFETY: the descriptor is new, and nobody else's.
    let mut file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    io::Write::write_all(&mut file, &vec![1; len]).expect("there is room");
    file
}

/// A buffer in one or two pieces, anywhere in guest memory.
///
/// # Invariants
///
/// `iov_len` bytes at each `iov_base` are [valid](guest_memory::guest_volatile#valid) for `'m`, for reading and writing.
#[derive(Clone, Copy)]
pub struct Buffer<'m> {
    parts: [libc::iovec; 2],
    memory: PhantomData<&'m [u8]>,
}

impl<'m> Buffer<'m> {
    /// A buffer in one region.
    ///
    /// # Panics
    ///
    /// If it is not.
    pub fn whole(hosts: &Hosts<'m>, addr: u64, size: usize) -> Self {
        Self::new(hosts, [(addr, size), (addr, 0)])
    }

    /// A buffer of which a half lies in one region, and the other in the next.
    ///
    /// # Panics
    ///
    /// If it does not.
    pub fn halves(hosts: &Hosts<'m>, addr: u64, size: usize) -> Self {
        let half = size / 2;
        Self::new(hosts, [(addr, half), (addr + half as u64, half)])
    }

    fn new(hosts: &Hosts<'m>, parts: [(u64, usize); 2]) -> Self {
        let part =
            |(addr, iov_len)| libc::iovec { iov_base: hosts.at(addr, iov_len).cast(), iov_len };
        // INVARIANT: by `Hosts::at`.
        Self { parts: parts.map(part), memory: PhantomData }
    }

    /// `read(2)`, to the first piece.
    #[inline(always)]
    pub fn read(self, file: &File) -> isize {
        let [first, _] = self.parts;
        // SAFETY: by the type's invariant the piece is valid for writing.
        unsafe { libc::read(file.as_raw_fd(), first.iov_base, first.iov_len) }
    }

    /// `write(2)`, from the first piece.
    #[inline(always)]
    pub fn write(self, file: &File) -> isize {
        let [first, _] = self.parts;
        // SAFETY: by the type's invariant the piece is valid for reading.
        unsafe { libc::write(file.as_raw_fd(), first.iov_base, first.iov_len) }
    }

    /// `pread(2)`, to the first piece.
    #[inline(always)]
    pub fn read_at(self, file: &File, offset: i64) -> isize {
        let [first, _] = self.parts;
        // SAFETY: by the type's invariant the piece is valid for writing.
        unsafe { libc::pread(file.as_raw_fd(), first.iov_base, first.iov_len, offset) }
    }

    /// `readv(2)`, to both.
    #[inline(always)]
    pub fn read_vectored(self, file: &File) -> isize {
        // SAFETY: the array has two pieces, which by the type's invariant are valid for writing.
        unsafe { libc::readv(file.as_raw_fd(), self.parts.as_ptr(), 2) }
    }

    /// `writev(2)`, from both.
    #[inline(always)]
    pub fn write_vectored(self, file: &File) -> isize {
        // SAFETY: the array has two pieces, which by the type's invariant are valid for reading.
        unsafe { libc::writev(file.as_raw_fd(), self.parts.as_ptr(), 2) }
    }
}

impl fmt::Debug for Buffer<'_> {
    /// Says nothing: a host address is nobody's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").finish_non_exhaustive()
    }
}

/// Maps memory for each region and unmaps it, so many times; returns how long it took.
///
/// # Panics
///
/// If the system has no address space for it.
pub fn map_and_unmap(layout: &Layout, count: u64) -> Duration {
    let mut mapped = Vec::with_capacity(layout.ranges().len());
    let start = Instant::now();
    for _ in 0..count {
        for &(_, len) in layout.ranges() {
            let prot = libc::PROT_READ | libc::PROT_WRITE;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
            // SAFETY: a new mapping at an address of the system's choice changes nothing that exists.
            let addr = unsafe { libc::mmap(ptr::null_mut(), len, prot, flags, -1, 0) };
            assert_ne!(addr, libc::MAP_FAILED, "there is address space");
            mapped.push((addr, len));
        }
        for (addr, len) in mapped.drain(..) {
            // SAFETY: it was mapped above with this length, and nobody else knows of it.
            unsafe { libc::munmap(addr, len) };
        }
    }
    start.elapsed()
}

/// Maps memory of so many bytes, gives advice on it and unmaps it, so many times; returns how long it took without the last.
///
/// # Panics
///
/// If the system has no memory for it, or does not take the advice.
pub fn map_and_advise(len: usize, advices: &[i32], count: u64) -> Duration {
    let mut took = Duration::ZERO;
    for _ in 0..count {
        let start = Instant::now();
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping at an address of the system's choice changes nothing that exists.
        let addr = unsafe { libc::mmap(ptr::null_mut(), len, prot, flags, -1, 0) };
        assert_ne!(addr, libc::MAP_FAILED, "there is address space");
        for &advice in advices {
            // SAFETY: it was mapped above with this length, and nobody else knows of it.
            let taken = unsafe { libc::madvise(addr, len, advice) };
            assert_eq!(taken, 0, "{}", io::Error::last_os_error());
        }
        took += start.elapsed();
        // SAFETY: as for the advice; and this is the last use.
        unsafe { libc::munmap(addr, len) };
    }
    took
}
