//! A piece of the guest's physical address space, backed by memory.

use core::fmt;
use core::sync::atomic::Ordering;

use guest_address::{Address, GuestAddress, GuestUsize, MemoryRegionAddress};
use guest_volatile::{
    AtomicAccess, AtomicUpdate, BS, Bitmap, ByteValued, Error as VolatileError, ReadVolatile,
    Stretch, VolatileSlice, WriteVolatile,
};

use crate::bytes::{Bytes, WholeBytes};
use crate::error::{Error, Result};
#[cfg(feature = "std")]
use crate::file_offset::FileOffset;

/// A range of guest addresses with memory behind it.
///
/// Addresses inside it, of type [`MemoryRegionAddress`], count from its start. Implementing the trait
/// is safe: nothing that a region answers can lead an access out of the memory it gives. A region that lies about its
/// length or place gives wrong answers and errors.
#[expect(clippy::len_without_is_empty, reason = "a region in a map is never empty")]
pub trait GuestMemoryRegion: Bytes<MemoryRegionAddress, E = Error> {
    /// The dirty bitmap of its memory.
    type B: Bitmap;

    /// The length in bytes. Not 0 in a map.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// assert_eq!(map().iter().next().unwrap().len(), 0x1000);
    /// ```
    fn len(&self) -> GuestUsize;

    /// The first guest address.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// assert_eq!(map().iter().next().unwrap().start_addr(), GuestAddress(0x1000));
    /// ```
    fn start_addr(&self) -> GuestAddress;

    /// The last guest address, which is still inside. It may be the last one there is.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// assert_eq!(map().iter().next().unwrap().last_addr(), GuestAddress(0x1fff));
    /// ```
    fn last_addr(&self) -> GuestAddress {
        GuestAddress(self.start_addr().0.saturating_add(self.len().saturating_sub(1)))
    }

    /// The dirty bitmap's view of the region: its offset 0 is the first byte.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// # use guest_volatile::Bitmap;
    /// assert!(!map().iter().next().unwrap().bitmap().dirty_at(0));
    /// ```
    fn bitmap(&self) -> BS<'_, Self::B>;

    /// `addr`, if it is inside.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// # let map = map();
    /// # let region = map.iter().next().unwrap();
    /// assert!(region.check_address(MemoryRegionAddress(0xfff)).is_some());
    /// assert!(region.check_address(MemoryRegionAddress(0x1000)).is_none());
    /// ```
    fn check_address(&self, addr: MemoryRegionAddress) -> Option<MemoryRegionAddress> {
        self.address_in_range(addr).then_some(addr)
    }

    /// Whether `addr` is inside.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// assert!(!map().iter().next().unwrap().address_in_range(MemoryRegionAddress(0x1000)));
    /// ```
    fn address_in_range(&self, addr: MemoryRegionAddress) -> bool {
        addr.0 < self.len()
    }

    /// The address `offset` bytes past `base`, if there is a byte inside.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// # let map = map();
    /// # let region = map.iter().next().unwrap();
    /// let base = MemoryRegionAddress(0x800);
    /// assert_eq!(region.checked_offset(base, 0x7ff), Some(MemoryRegionAddress(0xfff)));
    /// assert_eq!(region.checked_offset(base, 0x800), None);
    /// ```
    fn checked_offset(
        &self,
        base: MemoryRegionAddress,
        offset: usize,
    ) -> Option<MemoryRegionAddress> {
        base.checked_add(offset as u64).and_then(|addr| self.check_address(addr))
    }

    /// The address in the region that the guest address `addr` is, if it is inside.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// # let map = map();
    /// # let region = map.iter().next().unwrap();
    /// assert_eq!(region.to_region_addr(GuestAddress(0x1010)), Some(MemoryRegionAddress(0x10)));
    /// assert_eq!(region.to_region_addr(GuestAddress(0x2000)), None);
    /// ```
    fn to_region_addr(&self, addr: GuestAddress) -> Option<MemoryRegionAddress> {
        let offset = addr.checked_offset_from(self.start_addr())?;
        self.check_address(MemoryRegionAddress(offset))
    }

    /// The address in this process of the byte at `addr`.
    ///
    /// # Errors
    ///
    /// If it is not inside, or has no address in this process: by default none has.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// # let map = map();
    /// # let region = map.iter().next().unwrap();
    /// assert!(region.get_host_address(MemoryRegionAddress(0xfff)).is_ok());
    /// assert!(region.get_host_address(MemoryRegionAddress(0x1000)).is_err());
    /// ```
    fn get_host_address(&self, addr: MemoryRegionAddress) -> Result<*mut u8> {
        let _ = addr;
        Err(Error::HostAddressNotAvailable)
    }

    /// The place in a file that the memory is mapped from, if it is.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// assert!(map().iter().next().unwrap().file_offset().is_none());
    /// ```
    #[cfg(feature = "std")]
    fn file_offset(&self) -> Option<&FileOffset> {
        None
    }

    /// The `count` bytes from `offset` on.
    ///
    /// # Errors
    ///
    /// If they do not all lie inside, or the region has no memory in this process: by default none has.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// # let map = map();
    /// # let region = map.iter().next().unwrap();
    /// assert_eq!(region.get_slice(MemoryRegionAddress(0x800), 0x800)?.len(), 0x800);
    /// assert!(region.get_slice(MemoryRegionAddress(0x800), 0x801).is_err());
    /// # Ok::<(), GuestMemoryError>(())
    /// ```
    fn get_slice(
        &self,
        offset: MemoryRegionAddress,
        count: usize,
    ) -> Result<VolatileSlice<'_, BS<'_, Self::B>>> {
        let _ = (offset, count);
        Err(Error::HostAddressNotAvailable)
    }

    /// All of the region.
    ///
    /// # Errors
    ///
    /// Those of [`get_slice`](Self::get_slice).
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// assert_eq!(map().iter().next().unwrap().as_volatile_slice()?.len(), 0x1000);
    /// # Ok::<(), GuestMemoryError>(())
    /// ```
    fn as_volatile_slice(&self) -> Result<VolatileSlice<'_, BS<'_, Self::B>>> {
        let len = usize::try_from(self.len()).map_err(|_| Error::InvalidBackendAddress)?;
        self.get_slice(MemoryRegionAddress(0), len)
    }

    /// All of the region, for a map to reach directly: an access through the map to one piece of memory then goes there
    /// without asking the region again, and marks in [`bitmap`](Self::bitmap). Where a range leaves the region, it may be asked.
    ///
    /// A map asks once, when the region is put into it; a [window](crate::GuestWindow) when it is made, and a
    /// [cursor](crate::GuestCursor) when it comes to the region. By default it is
    /// [`as_volatile_slice`](Self::as_volatile_slice), if that gives one. A region that wants to see every access — one that
    /// counts them, or moves its memory — answers `None`.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// assert!(map().iter().next().unwrap().direct_slice().is_some());
    /// ```
    fn direct_slice(&self) -> Option<VolatileSlice<'_, BS<'_, Self::B>>> {
        self.as_volatile_slice().ok()
    }

    /// The stretch of host addresses that the memory is in, if it may be joined with that of other regions.
    ///
    /// Where a map's regions are neighbours, and the memory of both is adjacent in the very same stretch and
    /// [at hand](Self::direct_slice), the map gives it as one slice; it asks for that once. By default regions stay apart.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// assert!(map().iter().next().unwrap().stretch().is_none()); // lent: it might be anywhere
    /// ```
    fn stretch(&self) -> Option<&Stretch> {
        None
    }

    /// Whether the memory is of huge pages by hugetlbfs, if that is known.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// assert_eq!(map().iter().next().unwrap().is_hugetlbfs(), None);
    /// ```
    fn is_hugetlbfs(&self) -> Option<bool> {
        None
    }

    /// Writes in a few words what the memory is, for the map's `Display`.
    ///
    /// # Errors
    ///
    /// Those of the formatter.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// assert!(map().to_string().contains("lent"));
    /// ```
    fn fmt_backing(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[cfg(feature = "std")]
        if let Some(place) = self.file_offset() {
            return write!(f, "file at {:#x}", place.start());
        }
        f.write_str("memory")
    }
}

/// A region whose bytes are accessed by its slices, which needs no code of its own.
///
/// Implementing it gives the region [`Bytes`] and [`WholeBytes`].
pub trait GuestMemoryRegionBytes: GuestMemoryRegion {}

/// The offset in a slice that covers the region. One that is no `usize` is past every slice.
fn offset(addr: MemoryRegionAddress) -> usize {
    usize::try_from(addr.0).unwrap_or(usize::MAX)
}

/// The error of an access to the region's slice. One that faulted has an address of the guest's.
#[cold]
fn in_region<R: GuestMemoryRegion + ?Sized>(region: &R, error: VolatileError) -> Error {
    match error {
        VolatileError::Faulted { .. } => Error::at(region.start_addr(), error),
        other => other.into(),
    }
}

impl<R: GuestMemoryRegionBytes> Bytes<MemoryRegionAddress> for R {
    type E = Error;

    fn write(&self, buf: &[u8], addr: MemoryRegionAddress) -> Result<usize> {
        self.as_volatile_slice()?.write(buf, offset(addr)).map_err(|error| in_region(self, error))
    }

    fn read(&self, buf: &mut [u8], addr: MemoryRegionAddress) -> Result<usize> {
        self.as_volatile_slice()?.read(buf, offset(addr)).map_err(|error| in_region(self, error))
    }

    fn write_slice(&self, buf: &[u8], addr: MemoryRegionAddress) -> Result<()> {
        self.as_volatile_slice()?
            .write_slice(buf, offset(addr))
            .map_err(|error| in_region(self, error))
    }

    fn read_slice(&self, buf: &mut [u8], addr: MemoryRegionAddress) -> Result<()> {
        self.as_volatile_slice()?
            .read_slice(buf, offset(addr))
            .map_err(|error| in_region(self, error))
    }

    #[inline]
    fn write_obj<T: ByteValued>(&self, val: T, addr: MemoryRegionAddress) -> Result<()> {
        self.as_volatile_slice()?
            .write_obj(val, offset(addr))
            .map_err(|error| in_region(self, error))
    }

    #[inline]
    fn read_obj<T: ByteValued>(&self, addr: MemoryRegionAddress) -> Result<T> {
        self.as_volatile_slice()?.read_obj(offset(addr)).map_err(|error| in_region(self, error))
    }

    fn read_volatile_from<F: ReadVolatile>(
        &self,
        addr: MemoryRegionAddress,
        src: &mut F,
        count: usize,
    ) -> Result<usize> {
        self.as_volatile_slice()?
            .read_volatile_from(offset(addr), src, count)
            .map_err(|error| in_region(self, error))
    }

    fn read_exact_volatile_from<F: ReadVolatile>(
        &self,
        addr: MemoryRegionAddress,
        src: &mut F,
        count: usize,
    ) -> Result<()> {
        self.as_volatile_slice()?
            .read_exact_volatile_from(offset(addr), src, count)
            .map_err(|error| in_region(self, error))
    }

    fn write_volatile_to<F: WriteVolatile>(
        &self,
        addr: MemoryRegionAddress,
        dst: &mut F,
        count: usize,
    ) -> Result<usize> {
        self.as_volatile_slice()?
            .write_volatile_to(offset(addr), dst, count)
            .map_err(|error| in_region(self, error))
    }

    fn write_all_volatile_to<F: WriteVolatile>(
        &self,
        addr: MemoryRegionAddress,
        dst: &mut F,
        count: usize,
    ) -> Result<()> {
        self.as_volatile_slice()?
            .write_all_volatile_to(offset(addr), dst, count)
            .map_err(|error| in_region(self, error))
    }

    fn store<T: AtomicAccess>(
        &self,
        val: T,
        addr: MemoryRegionAddress,
        order: Ordering,
    ) -> Result<()> {
        self.as_volatile_slice()?
            .store(val, offset(addr), order)
            .map_err(|error| in_region(self, error))
    }

    fn load<T: AtomicAccess>(&self, addr: MemoryRegionAddress, order: Ordering) -> Result<T> {
        self.as_volatile_slice()?.load(offset(addr), order).map_err(|error| in_region(self, error))
    }
}

impl<R: GuestMemoryRegionBytes> WholeBytes<MemoryRegionAddress> for R {
    fn write_whole(&self, buf: &[u8], addr: MemoryRegionAddress) -> Result<()> {
        self.as_volatile_slice()?
            .write_whole(buf, offset(addr))
            .map_err(|error| in_region(self, error))
    }

    fn compare_exchange<T: AtomicAccess<A: AtomicUpdate>>(
        &self,
        current: T,
        new: T,
        addr: MemoryRegionAddress,
        success: Ordering,
        failure: Ordering,
    ) -> Result<core::result::Result<T, T>> {
        let slice = self.as_volatile_slice()?;
        slice
            .compare_exchange(current, new, offset(addr), success, failure)
            .map_err(|error| in_region(self, error))
    }

    fn fetch_add<T: AtomicAccess<A: AtomicUpdate>>(
        &self,
        val: T,
        addr: MemoryRegionAddress,
        order: Ordering,
    ) -> Result<T> {
        self.as_volatile_slice()?
            .fetch_add(val, offset(addr), order)
            .map_err(|error| in_region(self, error))
    }

    fn fetch_and<T: AtomicAccess<A: AtomicUpdate>>(
        &self,
        val: T,
        addr: MemoryRegionAddress,
        order: Ordering,
    ) -> Result<T> {
        self.as_volatile_slice()?
            .fetch_and(val, offset(addr), order)
            .map_err(|error| in_region(self, error))
    }

    fn fetch_or<T: AtomicAccess<A: AtomicUpdate>>(
        &self,
        val: T,
        addr: MemoryRegionAddress,
        order: Ordering,
    ) -> Result<T> {
        self.as_volatile_slice()?
            .fetch_or(val, offset(addr), order)
            .map_err(|error| in_region(self, error))
    }
}
