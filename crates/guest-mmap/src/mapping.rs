//! A range of this process's addresses that is mapped, until it is dropped.

#![expect(unsafe_code, reason = "maps and unmaps memory")]

use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

use guest_memory::FileOffset;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};
use nix::unistd::{SysconfVar, sysconf};

use crate::error::{Error, Result};
use crate::sys;

/// Bytes that `munmap(2)` would not give back.
static LEAKED: AtomicUsize = AtomicUsize::new(0);

/// The bytes of all mappings of this process that could not be unmapped when they were dropped.
///
/// It is 0 unless the system refuses: it does so for memory that somebody has sealed, and where the rest of a
/// mapping would be one mapping more than a process may have. It is here because a destructor has nobody to tell;
/// [`MmapRegion::unmap`](crate::MmapRegion::unmap) tells its caller.
pub fn leaked_bytes() -> usize {
    LEAKED.load(Ordering::Relaxed)
}

/// The size of a page of this system in bytes, a power of two.
pub(crate) fn page_size() -> u64 {
    // POSIX has no system without it.
    let size = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    size.and_then(|size| u64::try_from(size).ok()).unwrap_or(4096)
}

/// The size of the huge pages that a mapping has, if it has any.
pub(crate) fn huge_page(file: Option<&FileOffset>, flags: i32) -> Option<usize> {
    match file {
        // mmap(2) takes no other pages than the file's, whatever the flags.
        Some(place) => sys::huge_page_of_file(place.file()),
        None => sys::huge_page_of_flags(flags),
    }
}

/// A mapped range.
///
/// # Invariants
///
/// `size` bytes at `addr`, no more than `isize::MAX`, are mapped as long as this lives. If `owned` is not 0, so many bytes
/// at `addr` are a mapping that nobody else unmaps.
pub(crate) struct Mapping {
    addr: NonNull<u8>,
    size: usize,
    /// The length to unmap: 0 for memory that belongs to somebody else.
    owned: usize,
}

// SAFETY: it is an address and two numbers. Dropping it from another thread unmaps just the same.
unsafe impl Send for Mapping {}
// SAFETY: nothing changes through a shared reference.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `size` bytes at an address of the system's choice.
    pub(crate) fn new(
        size: usize,
        prot: i32,
        flags: i32,
        file: Option<&FileOffset>,
    ) -> Result<Self> {
        let length = check_size(size)?;
        if flags & sys::FIXED_FLAGS != 0 {
            return Err(Error::MapFixed);
        }
        let ignores_file = file.is_some() && flags & libc::MAP_ANONYMOUS != 0;
        if ignores_file || flags & sys::GROWING_FLAGS != 0 {
            return Err(Error::RefusedFlags { flags });
        }
        // mmap(2) rounds the length of a mapping of huge pages up to one; munmap(2) wants it rounded.
        let page = huge_page(file, flags);
        let owned = page.and_then(|page| size.checked_next_multiple_of(page)).unwrap_or(size);
        let prot = ProtFlags::from_bits_retain(prot);
        let flags = MapFlags::from_bits_retain(flags);
        let mapped = match file {
            Some(place) => {
                let start =
                    libc::off_t::try_from(place.start()).map_err(|_| Error::InvalidOffsetLength)?;
                // SAFETY: the address is the system's choice, so no other mapping is replaced.
                unsafe { mmap(None, length, prot, flags, place.file(), start) }
            }
            // SAFETY: the address is the system's choice, so no other mapping is replaced.
            None => unsafe { mmap_anonymous(None, length, prot, flags) },
        };
        let addr = mapped.map_err(|errno| Error::Mmap(errno.into()))?.cast();
        // INVARIANT: just mapped, and nobody else knows of it.
        Ok(Self { addr, size, owned })
    }

    /// Memory that is mapped already, and not unmapped by this.
    ///
    /// # Safety
    ///
    /// `size` bytes at `addr` must be mapped for as long as the result lives.
    pub(crate) unsafe fn foreign(addr: *mut u8, size: usize) -> Result<Self> {
        check_size(size)?;
        let aligned = (addr as usize as u64).is_multiple_of(page_size());
        let addr = NonNull::new(addr).filter(|_| aligned).ok_or(Error::InvalidPointer)?;
        // INVARIANT: mapped by the caller's promise, and not owned.
        Ok(Self { addr, size, owned: 0 })
    }

    pub(crate) fn addr(&self) -> NonNull<u8> {
        self.addr
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    pub(crate) fn is_owned(&self) -> bool {
        self.owned != 0
    }

    /// Unmaps the range now, and tells how that went. What cannot be unmapped stays mapped for ever.
    pub(crate) fn unmap(mut self) -> Result<()> {
        self.release().map_err(Error::Mmap)
    }

    fn release(&mut self) -> io::Result<()> {
        let owned = std::mem::take(&mut self.owned);
        if owned == 0 {
            return Ok(());
        }
        // SAFETY: these bytes are a mapping that nobody else unmaps, by the type's invariant; `owned` is 0 from now on, and
        // this is called only where `self` ends, so nobody uses the range again.
        unsafe { munmap(self.addr.cast(), owned) }?;
        Ok(())
    }
}

impl fmt::Debug for Mapping {
    /// Shows the shape, never the host address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapping")
            .field("size", &format_args!("{:#x}", self.size))
            .field("owned", &self.is_owned())
            .finish()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let owned = self.owned;
        if self.release().is_err() {
            LEAKED.fetch_add(owned, Ordering::Relaxed);
        }
    }
}

/// A length that a mapping can have.
fn check_size(size: usize) -> Result<NonZeroUsize> {
    let length = NonZeroUsize::new(size).ok_or(Error::NoBytes)?;
    if isize::try_from(size).is_err() {
        return Err(Error::TooBig { size });
    }
    Ok(length)
}
