//! Addresses of this process that are kept free of anything else, and lent piece by piece for memory.

#![expect(unsafe_code, reason = "maps memory at addresses that it has reserved")]

use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use guest_volatile::Stretch;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, mprotect, munmap};

use crate::leaks;
use crate::ledger::Ledger;
use crate::pages::page_size;
use crate::sys;

/// What anonymous memory is mapped with where nobody says otherwise. Reserved addresses are such memory without access.
pub(crate) const PLAIN: MapFlags =
    MapFlags::MAP_PRIVATE.union(MapFlags::MAP_ANONYMOUS).union(MapFlags::MAP_NORESERVE);

/// The alignment that the system may choose by itself: Linux places what is as large as a huge page at one, since 6.7. Then
/// there are no addresses to spare at either end, and a span that is all one region is one mapping.
const ALIGNED_BY_SYSTEM: usize = 2 << 20;

/// Reserved addresses.
///
/// They are one mapping to begin with, without access. What is lent is mapped in its place, and mapped back without access in
/// one step when it is given back, so that there is never a hole for another thread's mapping to fall into. Where the system
/// fails and may have left one, the range is [lost](Self::lose): it counts as lent, for ever.
///
/// # Invariants
///
/// - `size` bytes at `addr` are mapped by this and nobody else, but for what is lost: without access where they are not lent,
///   and by whoever has them where they are. Nobody has a reference to any of them.
/// - `stretch` starts `slack` bytes from `addr`, and ends no later than these bytes.
/// - `addr` is a pointer to all of them, and all pointers to lent memory are derived from it.
pub(crate) struct Reserved {
    addr: NonNull<u8>,
    size: NonZeroUsize,
    slack: usize,
    stretch: Stretch,
    /// The ranges that are lent, as offsets from `addr`.
    ledger: Mutex<Ledger>,
    has_lost: AtomicBool,
}

// SAFETY: an address of memory that is not accessed here; who has which part of it is kept under a lock.
unsafe impl Send for Reserved {}
// SAFETY: as for `Send`.
unsafe impl Sync for Reserved {}

impl Reserved {
    /// Reserves `len` addresses, the first of which is `phase` more than a multiple of `align`. That is a power of two and
    /// of whole pages, and so are the other two.
    pub(crate) fn new(
        len: NonZeroUsize,
        align: NonZeroUsize,
        phase: usize,
    ) -> io::Result<Arc<Self>> {
        if align.get() <= ALIGNED_BY_SYSTEM
            && let Some(reserved) = Self::with_room(len, 0, align, phase)?
        {
            return Ok(reserved);
        }
        // A mapping starts at a page, so this leaves room for the right place in it.
        let room = align.get().saturating_sub(page_size());
        let reserved = Self::with_room(len, room, align, phase)?;
        reserved.ok_or_else(|| io::ErrorKind::OutOfMemory.into())
    }

    /// As [`new`](Self::new) of `room` addresses more than `len`; `None` if there is no right place among them.
    fn with_room(
        len: NonZeroUsize,
        room: usize,
        align: NonZeroUsize,
        phase: usize,
    ) -> io::Result<Option<Arc<Self>>> {
        let size = len.checked_add(room).filter(|size| isize::try_from(size.get()).is_ok());
        let size = size.ok_or(io::ErrorKind::OutOfMemory)?;
        // SAFETY: the address is the system's choice, so no other mapping is replaced.
        let addr = unsafe { mmap_anonymous(None, size, ProtFlags::PROT_NONE, PLAIN) }?.cast::<u8>();
        let slack = phase.wrapping_sub(addr.addr().get()) & (align.get() - 1);
        if slack > room {
            // SAFETY: just mapped, and nobody else knows of it.
            if unsafe { munmap(addr.cast(), size.get()) }.is_err() {
                leaks::count(size.get());
            }
            return Ok(None);
        }
        let start = addr.as_ptr().wrapping_add(slack);
        // SAFETY: there is room for `slack`, so these are bytes of one mapping, no
        // more than `isize::MAX`. Only this maps anything there, as long as it lives, and as long as anything lent lives, which
        // has a share of it; nobody makes references to it. Once something is lost, there may be a mapping of somebody else in a hole,
        // of which this says nothing, and the stretch is given to nobody any more. Who was given it before, and holds it against
        // a slice of that mapping, gets a slice of bytes that both slices say are valid, at their addresses, by a pointer that comes from
        // the older mapping. These are accessed by assembly, or volatile: to both, as to the system, an address is a number.
        let stretch = unsafe { Stretch::new(start, len.get()) };
        let (ledger, has_lost) = Default::default();
        // INVARIANT: just mapped, nothing is lent, and nobody else knows of it.
        Ok(Some(Arc::new(Self { addr, size, slack, stretch, ledger, has_lost })))
    }

    /// Whether the address at `offset`, which is inside, is a multiple of `page` in this process.
    pub(crate) fn is_aligned(&self, offset: usize, page: usize) -> bool {
        // Inside of what is reserved: no overflow.
        (self.addr.addr().get() + self.slack + offset).is_multiple_of(page)
    }

    /// Whether `len` bytes from `offset` on lie inside.
    pub(crate) fn holds(&self, offset: usize, len: NonZeroUsize) -> bool {
        self.stretch.get(offset, len.get()).is_some()
    }

    fn stretch(&self) -> Option<&Stretch> {
        if self.has_lost.load(Ordering::Relaxed) { None } else { Some(&self.stretch) }
    }

    /// Lends `len` bytes from `offset` on, both of whole pages; `None` if a part of them is lent already or
    /// does not lie inside.
    pub(crate) fn lend(self: &Arc<Self>, offset: usize, len: NonZeroUsize) -> Option<Lent> {
        let addr = NonNull::new(self.stretch.get(offset, len.get())?)?;
        let start = self.slack + offset;
        // INVARIANT: nobody else has it, or the ledger would say so.
        let is_free = self.ledger().lend(start..start + len.get());
        is_free.then(|| Lent { reserved: Arc::clone(self), addr, start, len })
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // Nothing panics between two changes of it that belong together.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Unmaps all of it in one step, if nothing is lost, nor lent but `own`, which is the caller's. Says whether.
    fn unmap_with(&mut self, own: Range<usize>) -> bool {
        let (addr, all) = (self.addr, 0..self.size.get());
        let ledger = self.ledger.get_mut().unwrap_or_else(PoisonError::into_inner);
        ledger.give_back(own.start);
        let is_alone = ledger.free(all.end).eq([all.clone()]);
        // SAFETY: mapped by this alone, by the type's invariant, and lent to nobody but the caller, who gives it back.
        let is_unmapped = is_alone && unsafe { munmap(addr.cast(), all.end) }.is_ok();
        // INVARIANT: where it is unmapped, nothing is left to lend or to unmap. A system that refuses does so before it unmaps
        // anything: then the caller still has its range.
        ledger.lend(if is_unmapped { all } else { own });
        is_unmapped
    }

    /// Notes that there may be a mapping of somebody else in what is reserved.
    fn lose(&self) {
        self.has_lost.store(true, Ordering::Relaxed);
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let ledger = self.ledger.get_mut().unwrap_or_else(PoisonError::into_inner);
        // All that is lent has a share of this, so what the ledger still has is lost.
        for range in ledger.free(self.size.get()) {
            let start = self.addr.as_ptr().wrapping_add(range.start);
            let Some(start) = NonNull::new(start) else { continue };
            // SAFETY: mapped by this alone, by the type's invariant, and not lent, so nobody uses it.
            if unsafe { munmap(start.cast(), range.len()) }.is_err() {
                leaks::count(range.len());
            }
        }
    }
}

impl fmt::Debug for Reserved {
    /// Shows the shape, never the host address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reserved")
            .field("len", &format_args!("{:#x}", self.stretch.len()))
            .field("ledger", &self.ledger())
            .finish()
    }
}

/// A part of reserved addresses, to map memory in. It stays lent unless it is [given back](Self::give_back).
///
/// # Invariants
///
/// `len` bytes at `addr`, derived from the reservation's pointer, are lent to this alone: `start` is their place in the ledger.
pub(crate) struct Lent {
    reserved: Arc<Reserved>,
    addr: NonNull<u8>,
    start: usize,
    len: NonZeroUsize,
}

// SAFETY: an address of memory that is not accessed here, and a share of what keeps it.
unsafe impl Send for Lent {}
// SAFETY: as for `Send`.
unsafe impl Sync for Lent {}

impl Lent {
    pub(crate) fn addr(&self) -> NonNull<u8> {
        self.addr
    }

    pub(crate) fn len(&self) -> usize {
        self.len.get()
    }

    /// The addresses that it is a part of, for as long as nobody else can have mapped anything in them.
    pub(crate) fn stretch(&self) -> Option<&Stretch> {
        self.reserved.stretch()
    }

    /// Makes it memory that is fresh, private and anonymous, with this protection. If that fails, it is given back.
    pub(crate) fn open(self, prot: i32) -> io::Result<Self> {
        let prot = ProtFlags::from_bits_retain(prot);
        // SAFETY: it is mapped and lent to this alone; nobody accesses it yet.
        if let Err(errno) = unsafe { mprotect(self.addr.cast(), self.len.get(), prot) } {
            let len = self.len();
            // A part may have changed.
            if self.give_back().is_err() {
                leaks::count(len);
            }
            return Err(errno.into());
        }
        Ok(self)
    }

    /// Moves the mapping of as many bytes at `from` to its place; it is at `from` no more. If that fails, the mapping stays
    /// where it was, and this is given back, or lost if somebody might have mapped something there meanwhile.
    ///
    /// # Safety
    ///
    /// These bytes must be one mapping that is the caller's alone, and that nobody accesses.
    pub(crate) unsafe fn receive(self, from: NonNull<u8>) -> io::Result<Self> {
        // SAFETY: the source is the caller's alone. The target is mapped, and lent to this alone.
        let moved = unsafe { sys::move_mapping(from, self.len.get(), self.addr) };
        if let Err(error) = moved {
            // The system may have unmapped the target before it failed.
            let len = self.len();
            if !self.settle() {
                leaks::count(len);
            }
            return Err(error);
        }
        Ok(self)
    }

    /// Maps it back without access, and gives it back. If that fails, it stays mapped and lent for ever.
    ///
    /// The last of a span that is gone takes all of the addresses with it: one step instead of two.
    pub(crate) fn give_back(mut self) -> io::Result<()> {
        let own = self.start..self.start + self.len();
        // Only who has a share of it can lend, so if this is the only one, nobody will.
        if Arc::get_mut(&mut self.reserved).is_some_and(|reserved| reserved.unmap_with(own)) {
            return Ok(());
        }
        let (at, flags) = (Some(self.addr.addr()), PLAIN.union(MapFlags::MAP_FIXED));
        // SAFETY: what it replaces is mapped, and lent to this alone; this ends here, so nobody uses it any more.
        match unsafe { mmap_anonymous(at, self.len, ProtFlags::PROT_NONE, flags) } {
            Ok(_) => {
                self.reserved.ledger().give_back(self.start);
                Ok(())
            }
            Err(_) if self.settle() => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Gives it back if the system has unmapped it before it failed to map something else. Otherwise it is lost: there is still
    /// what was there, or, worse, something of another thread that took the place. One cannot know.
    fn settle(&self) -> bool {
        let is_reserved = sys::reserve_hole(self.addr, self.len);
        if is_reserved {
            self.reserved.ledger().give_back(self.start);
        } else {
            self.reserved.lose();
        }
        is_reserved
    }
}

impl fmt::Debug for Lent {
    /// Shows the shape, never the host address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lent").field("len", &format_args!("{:#x}", self.len)).finish()
    }
}
