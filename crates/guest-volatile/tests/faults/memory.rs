//! Memory with a page out of reach: past the end of its file, or protected.

#![expect(unsafe_code, reason = "maps pages, and makes slices of them")]

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::FileExt;
use std::ptr;

use guest_volatile::{Access, Error, VolatileSlice, fault};

pub(crate) const PAGE: usize = 0x1000;

/// Why the page is out of reach: by which signal it comes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Why {
    /// The file ends before it: `SIGBUS`.
    Truncated,
    /// It is protected: `SIGSEGV`.
    Protected,
}

pub(crate) const BOTH: [Why; 2] = [Why::Truncated, Why::Protected];

/// Three pages, the middle one out of reach. (A file that ends before the second has no third either.)
pub(crate) struct Pages {
    addr: *mut u8,
    file: File,
}

impl Pages {
    pub(crate) fn new(why: Why) -> Self {
        fault::install().expect("it is supported here");
        let file = memory_file();
        file.set_len(3 * PAGE as u64).expect("a small file");
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: new memory, at no particular place.
        let addr = unsafe {
            let fd = file.as_raw_fd();
            libc::mmap(ptr::null_mut(), 3 * PAGE, protection, libc::MAP_SHARED, fd, 0)
        };
        assert_ne!(addr, libc::MAP_FAILED);
        let pages = Self { addr: addr.cast(), file };
        match why {
            Why::Truncated => pages.truncate(PAGE),
            Why::Protected => pages.protect(libc::PROT_NONE),
        }
        pages
    }

    /// Makes the file that long.
    pub(crate) fn truncate(&self, len: usize) {
        self.file.set_len(len as u64).expect("a small file");
    }

    /// Lets everybody reach the first page, or nobody.
    pub(crate) fn protect_first(&self, protection: libc::c_int) {
        // SAFETY: it is mapped, and there is no reference to it.
        let result = unsafe { libc::mprotect(self.addr.cast(), PAGE, protection) };
        assert_eq!(result, 0);
    }

    /// What the file has at `offset`, whoever may reach its pages.
    pub(crate) fn bytes<const N: usize>(&self, offset: usize) -> [u8; N] {
        let mut bytes = [0; N];
        self.file.read_exact_at(&mut bytes, offset as u64).expect("it is as long");
        bytes
    }

    /// Puts bytes there.
    pub(crate) fn put_bytes(&self, bytes: &[u8], offset: usize) {
        self.file.write_all_at(bytes, offset as u64).expect("it is as long");
    }

    /// Sets the protection of the page in the middle.
    pub(crate) fn protect(&self, protection: libc::c_int) {
        let middle = self.addr.wrapping_add(PAGE);
        // SAFETY: it is mapped, and there is no reference to it.
        assert_eq!(unsafe { libc::mprotect(middle.cast(), PAGE, protection) }, 0);
    }

    /// All three pages.
    pub(crate) fn slice(&self) -> VolatileSlice<'_> {
        // SAFETY: they are mapped for as long as `self`, and no reference to them is made.
        unsafe { VolatileSlice::new(self.addr, 3 * PAGE) }
    }
}

// SAFETY: the pages may be reached from any thread, by the meaning of valid.
unsafe impl Send for Pages {}
// SAFETY: as for `Send`.
unsafe impl Sync for Pages {}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: what `new` mapped; no slice of it is left.
        unsafe { libc::munmap(self.addr.cast(), 3 * PAGE) };
    }
}

/// A new file in memory.
pub(crate) fn memory_file() -> File {
    // SAFETY: the name is a string that ends with a zero.
    let fd = unsafe { libc::memfd_create(c"faults".as_ptr(), libc::MFD_CLOEXEC) };
    assert!(fd >= 0, "{}", io::Error::last_os_error());
    // SAFETY: it is new, and nobody else's.
    unsafe { File::from_raw_fd(fd) }
}

/// What an error of a fault says: offset, count and side.
#[track_caller]
pub(crate) fn fault_of<T: std::fmt::Debug>(result: Result<T, Error>) -> (usize, usize, Access) {
    match result {
        Err(Error::Faulted { addr, completed, access }) => (addr, completed, access),
        other => panic!("no fault, but {other:?}"),
    }
}
