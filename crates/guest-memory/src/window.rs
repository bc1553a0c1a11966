//! A range of guest memory that is looked up once and used often.

use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::Ordering;

use guest_address::GuestAddress;
use guest_volatile::{
    AtomicAccess, AtomicUpdate, BS, ByteValued, OwnedList, OwnedWindow, SliceOf, VolatileSlice,
    WindowError,
};

use crate::collection::{DirectSlice, GuestRegionCollection};
use crate::error::{Error, Result};
use crate::memory::{GuestMemory, rest};
use crate::permissions::Permissions;
use crate::region::GuestMemoryRegion;

/// A window's own results, whose error is one byte.
type WindowResult<T> = core::result::Result<T, WindowError>;

/// A map that gives windows on its memory.
///
/// An IOMMU's memory gives none: its translations are taken back while devices run, and a window would go on using one. Devices
/// behind an IOMMU take a lease for each piece of work.
pub trait WindowMemory: GuestMemory {
    /// A window on the `len` bytes from `addr` on. For writing too if that is part of `access`, and else read-only; what may be
    /// written may also be read.
    ///
    /// # Errors
    ///
    /// If there is no memory at `addr`; [`NotContiguous`](Error::NotContiguous) if the bytes do not lie in one region, nor in
    /// several whose memory is in one piece;
    /// [`AccessDenied`](Error::AccessDenied) if they cannot be written and are to be;
    /// [`HostAddressNotAvailable`](Error::HostAddressNotAvailable) if the region has no
    /// [`direct_slice`](GuestMemoryRegion::direct_slice): one that wants to be asked for every access gives no window, which
    /// would not ask.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// let memory = map(); // [0x1000, 0x3000) and [0x8000, 0x9000)
    /// let ring = memory.window(GuestAddress(0x1800), 0x100, Permissions::ReadWrite)?;
    /// assert!(ring.write_obj(7_u16, 2).is_ok());
    /// let result = memory.window(GuestAddress(0x1800), 0x801, Permissions::Read);
    /// assert!(matches!(result, Err(GuestMemoryError::NotContiguous { .. })));
    /// # Ok::<(), GuestMemoryError>(())
    /// ```
    fn window(
        &self,
        addr: GuestAddress,
        len: usize,
        access: Permissions,
    ) -> Result<GuestWindow<Self::R>>;
}

impl<R: GuestMemoryRegion> WindowMemory for GuestRegionCollection<R> {
    fn window(
        &self,
        addr: GuestAddress,
        len: usize,
        access: Permissions,
    ) -> Result<GuestWindow<R>> {
        let nowhere = || Error::InvalidGuestAddress(addr);
        let region = Arc::clone(self.find_arc(addr).ok_or_else(nowhere)?);
        let (_, inside) = self.to_region_addr(addr).ok_or_else(nowhere)?;
        if rest(&*region, inside, len) < len {
            let (list, offset) =
                self.find_list(addr, len).ok_or(Error::NotContiguous { addr, len })?;
            return GuestWindow::new(Kept { region, list: Some(list) }, addr, offset, len, access);
        }
        let offset = usize::try_from(inside.0).map_err(|_| Error::InvalidBackendAddress)?;
        GuestWindow::new(Kept { region, list: None }, addr, offset, len, access)
    }
}

/// What keeps the memory of a window: the region that it starts in, or that and those which this goes on in.
///
/// It has no more of a map than the window needs, so that the other regions can go when the map does.
struct Kept<R> {
    region: Arc<R>,
    list: Option<OwnedList<R, DirectSlice>>,
}

/// Takes all of that memory.
enum KeptSlice {}

impl<R: GuestMemoryRegion> SliceOf<Kept<R>> for KeptSlice {
    type B = R::B;

    fn slice(kept: &Kept<R>) -> Option<VolatileSlice<'_, BS<'_, R::B>>> {
        match &kept.list {
            Some(list) => list.joined(0, 0, usize::MAX),
            None => kept.region.direct_slice(),
        }
    }

    /// Writes to several regions are marked in the view of the first.
    #[inline(always)]
    fn bitmap(kept: &Kept<R>) -> BS<'_, R::B> {
        kept.region.bitmap()
    }
}

/// A piece of guest memory that was looked up, checked and cut to its length once: a ring, a table, a buffer that a device
/// uses over and over.
///
/// Holding one says that these bytes are mapped, that every access stays inside them, and that they may be written if
/// [`is_read_only`](Self::is_read_only) says no. It does not say that the map it was made from is still the one in force: the
/// window shares the region, and goes on reaching it when the guest has unplugged it. A
/// `PinnedWindow` of `guest-atomic` can tell; where a map never changes, there is nothing to tell.
///
/// It may lie over several regions whose memory is [one piece](GuestMemoryRegion::stretch), as a slice may. Then it shares these,
/// and no other. To make one is an allocation; what is written through it is marked in the first region's view.
///
/// The length is settled when the window is made. What the guest says later — a larger queue, a longer
/// table — changes the offsets that a device asks for, never the bytes that it can reach:
///
/// ```
/// # use guest_memory::*;
/// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
/// let memory = map();
/// let size: u16 = 256; // of the queue, as it was checked
/// let ring = memory.window(GuestAddress(0x1000), 16 * usize::from(size), Permissions::Read)?;
/// let descriptor = |index: u16| ring.read_obj::<[u8; 16]>(16 * usize::from(index));
/// assert!(descriptor(255).is_ok());
/// assert_eq!(descriptor(256), Err(guest_volatile::WindowError::OutOfBounds));
/// # Ok::<(), GuestMemoryError>(())
/// ```
///
/// Accesses are by offset from the start of the window, and whole: all the bytes or none. What orders them, and what
/// a guest may do meanwhile, is as for any access (`docs/memory-model.md`). Their error is
/// one byte, and becomes a [`GuestMemoryError`](crate::GuestMemoryError) by `?`.
///
/// It is `'static`, `Send` and `Sync` where its region is.
pub struct GuestWindow<R> {
    start: GuestAddress,
    memory: OwnedWindow<Kept<R>, KeptSlice>,
}

impl<R> GuestWindow<R> {
    /// The guest address of the first byte.
    #[inline]
    pub fn start_addr(&self) -> GuestAddress {
        self.start
    }

    /// The length in bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.memory.len()
    }

    /// Whether there is no byte in it.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.memory.is_empty()
    }

    /// Whether writes are refused.
    #[inline]
    pub fn is_read_only(&self) -> bool {
        self.memory.is_read_only()
    }

    /// The same window, for reading only.
    #[must_use]
    pub fn read_only(self) -> Self {
        Self { start: self.start, memory: self.memory.read_only() }
    }

    /// The region that the bytes are in, or the first of them, which the window shares.
    pub fn region(&self) -> &Arc<R> {
        &self.memory.owner().region
    }

    /// Reads the object at `offset`. 1, 2, 4 or 8 bytes, aligned on the host, by one load.
    ///
    /// # Errors
    ///
    /// [`OutOfBounds`](WindowError::OutOfBounds) unless all its bytes lie inside.
    #[inline(always)]
    pub fn read_obj<T: ByteValued>(&self, offset: usize) -> WindowResult<T> {
        self.memory.read_obj(offset)
    }

    /// Reads `buf.len()` bytes from `offset` on, or none.
    ///
    /// # Errors
    ///
    /// As [`read_obj`](Self::read_obj).
    #[inline]
    pub fn read_slice(&self, buf: &mut [u8], offset: usize) -> WindowResult<()> {
        self.memory.read_slice(buf, offset)
    }
}

impl<R: GuestMemoryRegion> GuestWindow<R> {
    /// The `len` bytes of `region` from `inside` on, which `addr` is the guest address of.
    fn new(
        kept: Kept<R>,
        addr: GuestAddress,
        offset: usize,
        len: usize,
        access: Permissions,
    ) -> Result<Self> {
        let has_memory = KeptSlice::slice(&kept).is_some();
        let memory = match OwnedWindow::new(Arc::new(kept), offset, len) {
            Some(memory) => memory,
            None if has_memory => return Err(Error::InvalidBackendAddress),
            None => return Err(Error::HostAddressNotAvailable),
        };
        if !access.has_write() {
            return Ok(Self { start: addr, memory: memory.read_only() });
        }
        if memory.is_read_only() {
            return Err(Error::AccessDenied { addr, access: Permissions::Write });
        }
        Ok(Self { start: addr, memory })
    }

    /// A window on the `len` bytes from `offset` on, if they all lie inside, with the same permission.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// let page = map().window(GuestAddress(0x1000), 0x1000, Permissions::Read)?;
    /// let header = page.part(0x10, 0x20).expect("it lies inside");
    /// assert_eq!(header.start_addr(), GuestAddress(0x1010));
    /// assert!(page.part(0xff0, 0x11).is_none());
    /// # Ok::<(), GuestMemoryError>(())
    /// ```
    pub fn part(&self, offset: usize, len: usize) -> Option<Self> {
        let memory = self.memory.part(offset, len)?;
        // No overflow: `offset` is inside, or at the end of what ends below or at the top of the address space.
        Some(Self { start: GuestAddress(self.start.0.wrapping_add(offset as u64)), memory })
    }

    /// The bytes as a slice, for what a window has no method for: streams, pointers, parts of an access. Writes are marked.
    #[inline]
    pub fn as_volatile_slice(&self) -> VolatileSlice<'_, BS<'_, R::B>> {
        self.memory.as_volatile_slice()
    }

    /// Writes `val` to `offset`. 1, 2, 4 or 8 bytes, aligned on the host, by one store.
    ///
    /// # Errors
    ///
    /// [`OutOfBounds`](WindowError::OutOfBounds) unless all its bytes lie inside,
    /// [`NotWritable`](WindowError::NotWritable) if the window is read-only.
    #[inline(always)]
    pub fn write_obj<T: ByteValued>(&self, val: T, offset: usize) -> WindowResult<()> {
        self.memory.write_obj(val, offset)
    }

    /// Writes all of `buf` from `offset` on, or nothing.
    ///
    /// # Errors
    ///
    /// As [`write_obj`](Self::write_obj).
    #[inline]
    pub fn write_slice(&self, buf: &[u8], offset: usize) -> WindowResult<()> {
        self.memory.write_slice(buf, offset)
    }

    /// Loads the integer at `offset`, whole, with memory ordering `order`.
    ///
    /// # Errors
    ///
    /// As [`read_obj`](Self::read_obj); [`Misaligned`](WindowError::Misaligned) unless it is aligned on the host;
    /// [`InvalidOrdering`](WindowError::InvalidOrdering) for an ordering that is not one for a load.
    #[inline(always)]
    pub fn load<T: AtomicAccess>(&self, offset: usize, order: Ordering) -> WindowResult<T> {
        self.memory.load(offset, order)
    }

    /// Stores `val` at `offset`, whole, with memory ordering `order`.
    ///
    /// # Errors
    ///
    /// As [`write_obj`](Self::write_obj); [`Misaligned`](WindowError::Misaligned) unless it is aligned on the host;
    /// [`InvalidOrdering`](WindowError::InvalidOrdering) for an ordering that is not one for a store.
    #[inline(always)]
    pub fn store<T: AtomicAccess>(
        &self,
        val: T,
        offset: usize,
        order: Ordering,
    ) -> WindowResult<()> {
        self.memory.store(val, offset, order)
    }

    /// Stores `new` at `offset` if `current` is there, in one step; returns what was there, as `Ok` if it was `current`.
    ///
    /// # Errors
    ///
    /// As [`store`](Self::store); `failure` is for a load.
    #[inline]
    pub fn compare_exchange<T: AtomicAccess<A: AtomicUpdate>>(
        &self,
        current: T,
        new: T,
        offset: usize,
        success: Ordering,
        failure: Ordering,
    ) -> WindowResult<core::result::Result<T, T>> {
        self.memory.compare_exchange(current, new, offset, success, failure)
    }

    /// Adds `val` to the integer at `offset`, wrapping, in one step; returns what it was.
    ///
    /// # Errors
    ///
    /// As [`store`](Self::store); any ordering is good.
    #[inline]
    pub fn fetch_add<T: AtomicAccess<A: AtomicUpdate>>(
        &self,
        val: T,
        offset: usize,
        order: Ordering,
    ) -> WindowResult<T> {
        self.memory.fetch_add(val, offset, order)
    }

    /// Clears the bits of the integer at `offset` that `val` has not, in one step; returns what it was.
    ///
    /// # Errors
    ///
    /// As [`store`](Self::store); any ordering is good.
    #[inline]
    pub fn fetch_and<T: AtomicAccess<A: AtomicUpdate>>(
        &self,
        val: T,
        offset: usize,
        order: Ordering,
    ) -> WindowResult<T> {
        self.memory.fetch_and(val, offset, order)
    }

    /// Sets the bits of the integer at `offset` that `val` has, in one step; returns what it was.
    ///
    /// # Errors
    ///
    /// As [`store`](Self::store); any ordering is good.
    #[inline]
    pub fn fetch_or<T: AtomicAccess<A: AtomicUpdate>>(
        &self,
        val: T,
        offset: usize,
        order: Ordering,
    ) -> WindowResult<T> {
        self.memory.fetch_or(val, offset, order)
    }
}

impl<R> Clone for GuestWindow<R> {
    /// Another share of the region, with the same bytes.
    fn clone(&self) -> Self {
        Self { start: self.start, memory: self.memory.clone() }
    }
}

impl<R> fmt::Debug for GuestWindow<R> {
    /// Shows where it is, never the bytes or their host address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuestWindow")
            .field("start", &self.start)
            .field("len", &format_args!("{:#x}", self.len()))
            .field("read_only", &self.is_read_only())
            .finish()
    }
}
