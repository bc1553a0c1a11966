//! Mapped memory at a place in the guest's address space.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use guest_address::{Address, GuestAddress, GuestRange, GuestUsize, MemoryRegionAddress};
use guest_memory::{
    FileOffset, GuestMemoryError, GuestMemoryRegion, GuestMemoryRegionBytes, GuestMemoryResult,
    GuestRegionCollectionError, RegionFromRange,
};
use guest_volatile::{BS, Bitmap, NewBitmap, Stretch, VolatileMemory, VolatileSlice};

use crate::builder::MmapRegionBuilder;
use crate::error::Error;
use crate::pages::page_size;
use crate::region::MmapRegion;
use crate::span::GuestSpan;

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
        Self::map(MmapRegionBuilder::new(size), addr, file)
    }

    fn map(
        builder: MmapRegionBuilder,
        addr: GuestAddress,
        file: Option<FileOffset>,
    ) -> Result<Self, FromRangesError> {
        let builder = match file {
            Some(file) => builder.with_file_offset(file),
            None => builder,
        };
        Self::new(builder.build_with_new_bitmap()?, addr).ok_or(FromRangesError::InvalidGuestRegion)
    }
}

impl GuestSpan {
    /// Maps `size` bytes at `addr` in this span, of `file` or else anonymous.
    ///
    /// For anything else there is [`MmapRegionBuilder::with_span`].
    ///
    /// # Errors
    ///
    /// As [`GuestRegionMmap::from_range`]; and [`OutsideSpan`](Error::OutsideSpan), [`SpanInUse`](Error::SpanInUse) or
    /// [`UnalignedInSpan`](Error::UnalignedInSpan) in [`MmapRegion`](FromRangesError::MmapRegion).
    pub fn map_region<B: NewBitmap>(
        &self,
        addr: GuestAddress,
        size: usize,
        file: Option<FileOffset>,
    ) -> Result<GuestRegionMmap<B>, FromRangesError> {
        GuestRegionMmap::map(MmapRegionBuilder::new(size).with_span(self, addr), addr, file)
    }
}

/// The span of ranges that are each the next one's neighbour, if it is worth while and to be had.
fn span_of(ranges: &[(GuestAddress, usize, Option<FileOffset>)]) -> Option<GuestSpan> {
    let [(first, ..), .., (last, size, _)] = ranges else { return None };
    let last = GuestRange::new(*last, *size as u64)?;
    GuestSpan::new(GuestRange::from_inclusive(*first, last.last())?).ok()
}

/// Whether the second range starts where the first ends, and both at pages, so that their memory can be in one piece.
fn are_neighbours(
    (lower, size, _): &(GuestAddress, usize, Option<FileOffset>),
    (upper, ..): &(GuestAddress, usize, Option<FileOffset>),
) -> bool {
    let page = page_size() as u64;
    let is_adjacent = lower.checked_add(*size as u64) == Some(*upper);
    is_adjacent && lower.0.is_multiple_of(page) && upper.0.is_multiple_of(page)
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

    /// Neighbours that start at pages are mapped in one [span](GuestSpan), just as long as they are: it takes one system call
    /// more than to map them apart, and one for each that is of a file, and no more addresses than for its alignment. Where
    /// that is refused, they are mapped apart.
    fn from_ranges(
        ranges: &[(GuestAddress, usize, Option<FileOffset>)],
    ) -> Result<Vec<Self>, FromRangesError> {
        let mut regions = Vec::with_capacity(ranges.len());
        for neighbours in ranges.chunk_by(are_neighbours) {
            let span = span_of(neighbours);
            for (addr, size, file) in neighbours {
                let in_span =
                    span.as_ref().and_then(|span| span.map_region(*addr, *size, file.clone()).ok());
                regions.push(match in_span {
                    Some(region) => region,
                    None => Self::from_range(*addr, *size, file.clone())?,
                });
            }
        }
        Ok(regions)
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

    fn stretch(&self) -> Option<&Stretch> {
        self.mapping.stretch()
    }

    fn is_hugetlbfs(&self) -> Option<bool> {
        self.mapping.is_hugetlbfs()
    }

    fn fmt_backing(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.mapping.fmt_backing(f)
    }
}

impl<B: Bitmap> GuestMemoryRegionBytes for GuestRegionMmap<B> {}
