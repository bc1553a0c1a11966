//! Memory as a device sees it: with permissions, perhaps behind an IOMMU.

use guest_address::GuestAddress;
use guest_volatile::{BS, Bitmap, VolatileSlice};

use crate::error::Result;
use crate::memory::{GuestMemory, in_two};
use crate::permissions::Permissions;
use crate::region::GuestMemoryRegion;
use crate::slices::IoMemorySliceIterator;

/// Memory that a device accesses by an address and with a permission.
///
/// The addresses of a device behind an IOMMU are translated, each access anew; every [`GuestMemory`] is an `IoMemory` whose
/// addresses are guest addresses and which permits everything. What is implemented here gets
/// [`Bytes<GuestAddress>`](crate::Bytes).
pub trait IoMemory {
    /// The memory behind the translation.
    type PhysicalMemory: GuestMemory + ?Sized;

    /// The dirty bitmap of the memory.
    type Bitmap: Bitmap;

    /// Whether every one of `count` bytes from `addr` on may be accessed so. It may where `count` is 0.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// let memory = map(); // [0x1000, 0x3000) and [0x8000, 0x9000)
    /// assert!(IoMemory::check_range(&memory, GuestAddress(0x1000), 0x2000, Permissions::Write));
    /// ```
    fn check_range(&self, addr: GuestAddress, count: usize, access: Permissions) -> bool;

    /// The slices that the `count` bytes from `addr` on lie in, in the order of addresses.
    ///
    /// # Errors
    ///
    /// If the range cannot be translated.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// let memory = map(); // [0x1000, 0x3000) and [0x8000, 0x9000)
    /// let slices = IoMemory::get_slices(&memory, GuestAddress(0x1800), 0x1000, Permissions::Read)?;
    /// assert_eq!(slices.count(), 2);
    /// # Ok::<(), GuestMemoryError>(())
    /// ```
    fn get_slices<'a>(
        &'a self,
        addr: GuestAddress,
        count: usize,
        access: Permissions,
    ) -> Result<impl IoMemorySliceIterator<'a, BS<'a, Self::Bitmap>>>;

    /// The one slice that all `count` bytes from `addr` on lie in, if it is at hand, may be accessed so, and `count` is
    /// not 0.
    ///
    /// Every access asks this first; an implementation that knows a shorter way than through
    /// [`get_slices`](Self::get_slices) should take it. `None` says nothing: the access then asks for all slices.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// let memory = map(); // [0x1000, 0x3000) and [0x8000, 0x9000)
    /// assert!(memory.find_io_slice(GuestAddress(0x1000), 0x1000, Permissions::Read).is_some());
    /// ```
    #[inline]
    fn find_io_slice(
        &self,
        addr: GuestAddress,
        count: usize,
        access: Permissions,
    ) -> Option<VolatileSlice<'_, BS<'_, Self::Bitmap>>> {
        let slice = self.get_slices(addr, count, access).ok()?.next()?.ok()?;
        (slice.len() == count).then_some(slice)
    }

    /// The slice of several regions whose memory is [one piece](GuestMemoryRegion::stretch), if the access is permitted: from
    /// `addr` to its end, or `count` bytes of it.
    ///
    /// An access asks this where [`find_io_slice`](Self::find_io_slice) knows nothing, before it asks for all slices. `None`, which it
    /// gives by default, says nothing.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// let memory = map(); // [0x1000, 0x3000) and [0x8000, 0x9000)
    /// assert!(memory.find_io_joined(GuestAddress(0x1ff0), 0x20, Permissions::Read).is_none());
    /// ```
    #[inline]
    fn find_io_joined(
        &self,
        addr: GuestAddress,
        count: usize,
        access: Permissions,
    ) -> Option<VolatileSlice<'_, BS<'_, Self::Bitmap>>> {
        let _ = (addr, count, access);
        None
    }

    /// The two slices that the `count` bytes from `addr` on lie in, if they lie in two neighbouring regions, are at hand and may
    /// be accessed so.
    ///
    /// An access asks this where neither [`find_io_slice`](Self::find_io_slice) nor [`find_io_joined`](Self::find_io_joined) knows
    /// anything, before it asks for all slices. `None` says nothing; it is what memory behind a translation gives by default.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// let memory = map(); // [0x1000, 0x2000), [0x2000, 0x3000) and [0x8000, 0x9000)
    /// assert!(memory.find_io_pair(GuestAddress(0x1ff0), 0x20, Permissions::Read).is_some());
    /// ```
    #[inline]
    fn find_io_pair(
        &self,
        addr: GuestAddress,
        count: usize,
        access: Permissions,
    ) -> Option<[VolatileSlice<'_, BS<'_, Self::Bitmap>>; 2]> {
        let [lower, upper] = in_two(self.physical_memory()?, addr, count)?;
        let lower = self.find_io_slice(lower.0, lower.1, access)?;
        Some([lower, self.find_io_slice(upper.0, upper.1, access)?])
    }

    /// The memory behind the translation, if there is none: then guest addresses are what devices use.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// assert!(map().physical_memory().is_some());
    /// ```
    fn physical_memory(&self) -> Option<&Self::PhysicalMemory> {
        None
    }
}

impl<M: GuestMemory + ?Sized> IoMemory for M {
    type PhysicalMemory = M;
    type Bitmap = <M::R as GuestMemoryRegion>::B;

    #[inline]
    fn check_range(&self, addr: GuestAddress, count: usize, _access: Permissions) -> bool {
        GuestMemory::check_range(self, addr, count)
    }

    fn get_slices<'a>(
        &'a self,
        addr: GuestAddress,
        count: usize,
        _access: Permissions,
    ) -> Result<impl IoMemorySliceIterator<'a, BS<'a, Self::Bitmap>>> {
        Ok(GuestMemory::get_slices(self, addr, count))
    }

    #[inline(always)]
    fn find_io_slice(
        &self,
        addr: GuestAddress,
        count: usize,
        _access: Permissions,
    ) -> Option<VolatileSlice<'_, BS<'_, Self::Bitmap>>> {
        self.find_slice(addr, count)
    }

    #[inline(always)]
    fn find_io_joined(
        &self,
        addr: GuestAddress,
        count: usize,
        _access: Permissions,
    ) -> Option<VolatileSlice<'_, BS<'_, Self::Bitmap>>> {
        self.find_joined(addr, count)
    }

    #[inline(always)]
    fn find_io_pair(
        &self,
        addr: GuestAddress,
        count: usize,
        _access: Permissions,
    ) -> Option<[VolatileSlice<'_, BS<'_, Self::Bitmap>>; 2]> {
        self.find_pair(addr, count)
    }

    fn physical_memory(&self) -> Option<&Self::PhysicalMemory> {
        Some(self)
    }
}
