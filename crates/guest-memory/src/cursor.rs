//! Access by guest address that stays in one region for a while.

use core::fmt;
use core::sync::atomic::Ordering;

use guest_address::{GuestAddress, MemoryRegionAddress};
use guest_volatile::{AtomicAccess, ByteValued, PlacedSlice};

use crate::bytes::Bytes;
use crate::error::Result;
use crate::memory::{GuestMemory, MS, rest};
use crate::region::GuestMemoryRegion;

/// Reads and writes a map by guest address, and remembers the region of the last access.
///
/// An access to that region again is one comparison and the access. Any other goes to the map, and moves the cursor: it has the
/// same answers and errors as one through [`Bytes`], and is slower by a little. So it is worth its while where
/// accesses come in runs: a descriptor table, the headers in one buffer, a walk over a page. For a range that is used for long there
/// is a [`GuestWindow`](crate::GuestWindow), which is checked once.
///
/// It borrows the map, so it sees one map from first to last.
///
/// ```
/// # use guest_memory::*;
/// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
/// let memory = map(); // [0x1000, 0x3000) and [0x8000, 0x9000)
/// let mut cursor = GuestCursor::new(&memory);
/// for index in 0..16 {
///     cursor.write_obj(index, GuestAddress(0x1000 + 8 * index))?;
/// }
/// cursor.write_obj(1_u64, GuestAddress(0x1ffc))?; // in two regions
/// assert!(cursor.read_obj::<u64>(GuestAddress(0x3000)).is_err()); // in a hole
/// assert_eq!(cursor.read_obj::<u64>(GuestAddress(0x1008))?, 1);
/// # Ok::<(), GuestMemoryError>(())
/// ```
///
/// Why not inside of the map, where everyone would profit? A map is shared: threads would take each other's turn, and an access
/// that goes elsewhere each time would pay for a comparison that fails.
pub struct GuestCursor<'m, M: GuestMemory + ?Sized> {
    memory: &'m M,
    /// The memory of the region that the last access was in.
    last: PlacedSlice<'m, MS<'m, M>>,
}

impl<'m, M: GuestMemory + ?Sized> GuestCursor<'m, M> {
    /// A cursor that has not been anywhere yet.
    pub fn new(memory: &'m M) -> Self {
        Self { memory, last: PlacedSlice::nowhere() }
    }

    /// The map.
    pub fn memory(&self) -> &'m M {
        self.memory
    }

    /// Reads the object at `addr`. 1, 2, 4 or 8 bytes, aligned on the host, by one load.
    ///
    /// # Errors
    ///
    /// As [`Bytes::read_obj`] of the map.
    #[inline(always)]
    pub fn read_obj<T: ByteValued>(&mut self, addr: GuestAddress) -> Result<T> {
        if let Some(slice) = self.last.readable(addr.0, size_of::<T>())
            && let Some(value) = slice.quick_read_obj(0)
        {
            return Ok(value);
        }
        self.elsewhere(addr, move |memory| memory.read_obj(addr))
    }

    /// Writes an object at `addr`. 1, 2, 4 or 8 bytes, aligned on the host, by one store.
    ///
    /// # Errors
    ///
    /// As [`Bytes::write_obj`] of the map.
    #[inline(always)]
    pub fn write_obj<T: ByteValued>(&mut self, val: T, addr: GuestAddress) -> Result<()> {
        if let Some(slice) = self.last.writable(addr.0, size_of::<T>())
            && slice.quick_write_obj(val, 0)
        {
            return Ok(());
        }
        self.elsewhere(addr, move |memory| memory.write_obj(val, addr))
    }

    /// Reads all of `buf` from `addr` on.
    ///
    /// # Errors
    ///
    /// As [`Bytes::read_slice`] of the map: bytes before the first that is not there have been read.
    #[inline]
    pub fn read_slice(&mut self, buf: &mut [u8], addr: GuestAddress) -> Result<()> {
        if let Some(slice) = self.last.readable(addr.0, buf.len())
            && slice.quick_read_slice(buf, 0)
        {
            return Ok(());
        }
        self.elsewhere(addr, move |memory| memory.read_slice(buf, addr))
    }

    /// Writes all of `buf` from `addr` on.
    ///
    /// # Errors
    ///
    /// As [`Bytes::write_slice`] of the map: bytes before the first that has no place have been written.
    #[inline]
    pub fn write_slice(&mut self, buf: &[u8], addr: GuestAddress) -> Result<()> {
        if let Some(slice) = self.last.writable(addr.0, buf.len())
            && slice.quick_write_slice(buf, 0)
        {
            return Ok(());
        }
        self.elsewhere(addr, move |memory| memory.write_slice(buf, addr))
    }

    /// Loads the integer at `addr`, whole, with memory ordering `order`.
    ///
    /// # Errors
    ///
    /// As [`Bytes::load`] of the map.
    #[inline(always)]
    pub fn load<T: AtomicAccess>(&mut self, addr: GuestAddress, order: Ordering) -> Result<T> {
        // The writable view, as loads from memory that may not be written take another way.
        if let Some(slice) = self.last.writable(addr.0, size_of::<T>())
            && let Ok(value) = slice.load(0, order)
        {
            return Ok(value);
        }
        self.elsewhere(addr, move |memory| memory.load(addr, order))
    }

    /// Stores `val` at `addr`, whole, with memory ordering `order`.
    ///
    /// # Errors
    ///
    /// As [`Bytes::store`] of the map.
    #[inline(always)]
    pub fn store<T: AtomicAccess>(
        &mut self,
        val: T,
        addr: GuestAddress,
        order: Ordering,
    ) -> Result<()> {
        if let Some(slice) = self.last.writable(addr.0, size_of::<T>())
            && slice.store(val, 0, order).is_ok()
        {
            return Ok(());
        }
        self.elsewhere(addr, move |memory| memory.store(val, addr, order))
    }

    /// Does the access through the map, and goes to where it was.
    #[inline(always)]
    fn elsewhere<T>(
        &mut self,
        addr: GuestAddress,
        access: impl FnOnce(&'m M) -> Result<T>,
    ) -> Result<T> {
        // The map alone is lent, not the cursor, so that one that is a variable can stay in registers.
        let (result, place) = ask_the_map(self.memory, addr, access);
        if let Some(place) = place {
            self.last = place;
        }
        result
    }
}

/// The result of `access`, and the memory of the region that `addr` is in, if it is reached directly.
#[cold]
#[inline(never)]
fn ask_the_map<'m, M: GuestMemory + ?Sized, T>(
    memory: &'m M,
    addr: GuestAddress,
    access: impl FnOnce(&'m M) -> Result<T>,
) -> (Result<T>, Option<PlacedSlice<'m, MS<'m, M>>>) {
    let place = || {
        let (region, inside) = memory.to_region_addr(addr)?;
        let slice = region.direct_slice()?;
        // The region may be longer than its memory, and the other way round.
        let len = rest(region, MemoryRegionAddress(0), slice.len());
        let slice = slice.subslice(0, len).ok()?;
        Some(PlacedSlice::new(addr.0.wrapping_sub(inside.0), slice))
    };
    (access(memory), place())
}

impl<M: GuestMemory + ?Sized> Clone for GuestCursor<'_, M> {
    /// Another cursor at the same place.
    fn clone(&self) -> Self {
        Self { memory: self.memory, last: self.last.clone() }
    }
}

impl<M: GuestMemory + ?Sized> fmt::Debug for GuestCursor<'_, M> {
    /// Shows where it is, not the map.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuestCursor").field("last", &self.last).finish_non_exhaustive()
    }
}
