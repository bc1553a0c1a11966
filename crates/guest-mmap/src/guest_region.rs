//! Mapped memory at a place in the guest's address space.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use guest_address::{GuestAddress, GuestRange, GuestUsize, MemoryRegionAddress};
use guest_memory::{
    FileOffset, GuestMemoryError, GuestMemoryRegion, GuestMemoryRegionBytes, GuestMemoryResult,
    GuestRegionCollectionError, RegionFromRange,
};
use guest_volatile::{BS, Bitmap, NewBitmap, VolatileMemory, VolatileSlice};

use crate::builder::MmapRegionBuilder;
use crate::error::Error;
use crate::region::MmapRegion;

/// Why a memory map could not be made of ranges.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FromRangesError {
    /// The ranges do not make a map.
    #[error("the ranges do not make a memory map")]
    Collection(#[from] GuestRegionCollectionError),
    /// The memory of a range could not be mapped.
    #[error("the memory of a range could not be mapped")]
    MmapRegion(#[from] Error),
    /// A range passes the end of the guest's address space.
    #[error("a range passes the end of the guest's address space")]
    InvalidGuestRegion,
}

/// A region of guest memory that is mapped into this process.
#[derive(Debug)]
pub struct GuestRegionMmap<B = ()> {
    mapping: Arc<MmapRegion<B>>,
    range: GuestRange,
}

impl<B> Deref for GuestRegionMmap<B> {
    type Target = MmapRegion<B>;

    fn deref(&self) -> &MmapRegion<B> {
        &self.mapping
    }
}

impl<B: Bitmap> GuestRegionMmap<B> {
    /// The region of `mapping` at `guest_base`, or `None` if it would pass the end of the guest's address space.
    ///
    /// It may end at the very last address.
    pub fn new(mapping: MmapRegion<B>, guest_base: GuestAddress) -> Option<Self> {
        Self::with_arc(Arc::new(mapping), guest_base)
    }

    /// As [`new`](Self::new), of a mapping that is shared: the same memory may be at several places.
    pub fn with_arc(mapping: Arc<MmapRegion<B>>, guest_base: GuestAddress) -> Option<Self> {
        let range = GuestRange::new(guest_base, mapping.size() as u64)?;
        Some(Self { mapping, range })
    }

    /// The mapping, shared: it stays mapped as long as anyone has it.
    pub fn get_mmap(&self) -> Arc<MmapRegion<B>> {
        Arc::clone(&self.mapping)
    }
}

impl<B: NewBitmap> GuestRegionMmap<B> {
    /// Maps `size` bytes at `addr`, of `file` or else anonymous.
    ///
    /// # Errors
    ///
    /// If the memory cannot be mapped, or passes the end of the guest's address space.
    pub fn from_range(
        addr: GuestAddress,
        size: usize,
        file: Option<FileOffset>,
    ) -> Result<Self, FromRangesError> {
        let mut builder = MmapRegionBuilder::new(size);
        if let Some(file) = file {
            builder = builder.with_file_offset(file);
        }
        Self::new(builder.build_with_new_bitmap()?, addr).ok_or(FromRangesError::InvalidGuestRegion)
    }
}

impl<B: NewBitmap> RegionFromRange for GuestRegionMmap<B> {
    type Error = FromRangesError;

    fn from_range(
        addr: GuestAddress,
        size: usize,
        file: Option<FileOffset>,
    ) -> Result<Self, FromRangesError> {
        Self::from_range(addr, size, file)
    }
}

impl<B: Bitmap> GuestMemoryRegion for GuestRegionMmap<B> {
    type B = B;

    #[inline]
    fn len(&self) -> GuestUsize {
        self.range.len()
    }

    #[inline]
    fn start_addr(&self) -> GuestAddress {
        self.range.start()
    }

    #[inline]
    fn last_addr(&self) -> GuestAddress {
        self.range.last()
    }

    #[inline]
    fn bitmap(&self) -> BS<'_, B> {
        self.mapping.bitmap().slice_at(0)
    }

    fn get_host_address(&self, addr: MemoryRegionAddress) -> GuestMemoryResult<*mut u8> {
        let addr = self.check_address(addr).ok_or(GuestMemoryError::InvalidBackendAddress)?;
        let offset =
            usize::try_from(addr.0).map_err(|_| GuestMemoryError::InvalidBackendAddress)?;
        Ok(self.mapping.as_ptr().wrapping_add(offset))
    }

    fn file_offset(&self) -> Option<&FileOffset> {
        self.mapping.file_offset()
    }

    #[inline]
    fn get_slice(
        &self,
        offset: MemoryRegionAddress,
        count: usize,
    ) -> GuestMemoryResult<VolatileSlice<'_, BS<'_, B>>> {
        // One that is no `usize` is past every mapping.
        let offset = usize::try_from(offset.0).unwrap_or(usize::MAX);
        Ok(VolatileMemory::get_slice(&*self.mapping, offset, count)?)
    }

    fn is_hugetlbfs(&self) -> Option<bool> {
        self.mapping.is_hugetlbfs()
    }

    fn fmt_backing(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.mapping.fmt_backing(f)
    }
}

impl<B: Bitmap> GuestMemoryRegionBytes for GuestRegionMmap<B> {}
