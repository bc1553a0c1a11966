//! A range of this process's addresses that is mapped, until it is dropped.

#![expect(unsafe_code, reason = "maps and unmaps memory")]

use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::ptr::NonNull;

use guest_address::GuestAddress;
use guest_memory::FileOffset;
use guest_volatile::Stretch;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};

use crate::error::{Error, Result};
use crate::leaks;
use crate::pages::{huge_page, page_size, page_to_move};
use crate::reserved::{Lent, PLAIN};
use crate::span::GuestSpan;
use crate::sys;

/// Who unmaps memory.
#[derive(Debug)]
enum Owner {
    /// Somebody else.
    Somebody,
    /// We do, so many bytes.
    Own(usize),
    /// The span that lent the addresses.
    Span(Lent),
}

/// A mapped range.
///
/// # Invariants
///
/// `size` bytes at `addr`, no more than `isize::MAX`, are mapped as long as this lives. Where the owner is `Own`, so many
/// bytes at `addr` are a mapping that nobody else unmaps; where it is a span, `addr` is that of what it lent, which has as many
/// bytes at least.
pub(crate) struct Mapping {
    addr: NonNull<u8>,
    size: usize,
    owner: Owner,
}

// SAFETY: besides the owner, it is an address and a number. Dropping it from another thread unmaps just the same.
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
        check_flags(flags, file)?;
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
        Ok(Self { addr, size, owner: Owner::Own(owned) })
    }

    /// Maps `size` bytes where `span` has the guest address `addr`.
    pub(crate) fn in_span(
        span: &GuestSpan,
        addr: GuestAddress,
        size: usize,
        prot: i32,
        flags: i32,
        file: Option<&FileOffset>,
    ) -> Result<Self> {
        check_size(size)?;
        check_flags(flags, file)?;
        let is_plain = file.is_none() && flags | libc::MAP_ANONYMOUS == PLAIN.bits();
        if !is_plain && !sys::MOVES {
            return Err(Error::Mmap(io::ErrorKind::Unsupported.into()));
        }
        let page = page_to_move(file, flags, size)?;
        let lent = if is_plain {
            span.lend(addr, size, page)?.open(prot)
        } else {
            // Mapped elsewhere first: what can fail fails there, and the span stays whole.
            let mut elsewhere = Self::new(size, prot, flags, file)?;
            let lent = span.lend(addr, size, page)?;
            // SAFETY: just mapped, in one piece and of as many pages, of a size that is known; nobody else knows of it.
            let lent = unsafe { lent.receive(elsewhere.addr) };
            if lent.is_ok() {
                // INVARIANT: it is there no more.
                elsewhere.owner = Owner::Somebody;
            }
            lent
        };
        let lent = lent.map_err(Error::Mmap)?;
        // INVARIANT: mapped, of `size` bytes or more.
        Ok(Self { addr: lent.addr(), size, owner: Owner::Span(lent) })
    }

    /// Memory that is mapped already, and not unmapped by this.
    ///
    /// # Safety
    ///
    /// `size` bytes at `addr` must be mapped for as long as the result lives.
    pub(crate) unsafe fn foreign(addr: *mut u8, size: usize) -> Result<Self> {
        check_size(size)?;
        let aligned = addr.addr().is_multiple_of(page_size());
        let addr = NonNull::new(addr).filter(|_| aligned).ok_or(Error::InvalidPointer)?;
        // INVARIANT: mapped by the caller's promise, and not owned.
        Ok(Self { addr, size, owner: Owner::Somebody })
    }

    pub(crate) fn addr(&self) -> NonNull<u8> {
        self.addr
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    pub(crate) fn is_owned(&self) -> bool {
        !matches!(self.owner, Owner::Somebody)
    }

    /// The addresses of the span that it is in, if it is in one.
    pub(crate) fn stretch(&self) -> Option<&Stretch> {
        match &self.owner {
            Owner::Span(lent) => lent.stretch(),
            Owner::Somebody | Owner::Own(_) => None,
        }
    }

    /// Unmaps the range now, and tells how that went. What cannot be unmapped stays mapped for ever.
    pub(crate) fn unmap(mut self) -> Result<()> {
        self.release().map_err(Error::Mmap)
    }

    fn release(&mut self) -> io::Result<()> {
        match std::mem::replace(&mut self.owner, Owner::Somebody) {
            Owner::Somebody => Ok(()),
            Owner::Own(len) => {
                // SAFETY: these bytes are a mapping that nobody else unmaps, by the type's invariant; nor does this again, and
                // it is called only where `self` ends, so nobody uses the range again.
                unsafe { munmap(self.addr.cast(), len) }?;
                Ok(())
            }
            Owner::Span(lent) => lent.give_back(),
        }
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
        let len = match &self.owner {
            Owner::Somebody => return,
            Owner::Own(len) => *len,
            Owner::Span(lent) => lent.len(),
        };
        if self.release().is_err() {
            leaks::count(len);
        }
    }
}

/// Refuses flags by which something else would be mapped.
fn check_flags(flags: i32, file: Option<&FileOffset>) -> Result<()> {
    if flags & sys::FIXED_FLAGS != 0 {
        return Err(Error::MapFixed);
    }
    let ignores_file = file.is_some() && flags & libc::MAP_ANONYMOUS != 0;
    if ignores_file || flags & sys::GROWING_FLAGS != 0 {
        return Err(Error::RefusedFlags { flags });
    }
    Ok(())
}

/// A length that a mapping can have.
fn check_size(size: usize) -> Result<NonZeroUsize> {
    let length = NonZeroUsize::new(size).ok_or(Error::NoBytes)?;
    if isize::try_from(size).is_err() {
        return Err(Error::TooBig { size });
    }
    Ok(length)
}
