//! Maps made of ranges, by regions that know how to get memory for one.

use core::borrow::Borrow;

use alloc::vec::Vec;

use guest_address::GuestAddress;

use crate::collection::{GuestRegionCollection, GuestRegionCollectionError};
use crate::file_offset::FileOffset;
use crate::region::GuestMemoryRegion;

/// A region that gets memory for a range of guest addresses by itself, as `guest_mmap::GuestRegionMmap` does.
///
/// It gives [`GuestRegionCollection`] the constructors by ranges.
pub trait RegionFromRange: GuestMemoryRegion + Sized {
    /// What can go wrong, with the map or with the memory.
    type Error: From<GuestRegionCollectionError>;

    /// A region of `size` bytes at `addr`, of `file` or else of fresh memory.
    ///
    /// # Errors
    ///
    /// If there is no memory for it.
    ///
    /// ```
    /// use guest_memory::{GuestAddress, RegionFromRange};
    /// /// A page of fresh memory, wherever the regions get theirs from.
    /// fn page_at<R: RegionFromRange>(addr: GuestAddress) -> Result<R, R::Error> {
    ///     R::from_range(addr, 0x1000, None)
    /// }
    /// ```
    fn from_range(
        addr: GuestAddress,
        size: usize,
        file: Option<FileOffset>,
    ) -> Result<Self, Self::Error>;

    /// Regions of these ranges, each a start, a length in bytes and perhaps a place in a file, in the same order.
    ///
    /// By default one after the other; for regions that gain by being made together, such as neighbours whose memory is
    /// to be [one piece](GuestMemoryRegion::stretch).
    ///
    /// # Errors
    ///
    /// If there is no memory for one.
    ///
    /// ```
    /// use guest_memory::{GuestAddress, RegionFromRange};
    /// /// Two neighbours of a page each.
    /// fn pages_at<R: RegionFromRange>(addr: GuestAddress) -> Result<Vec<R>, R::Error> {
    ///     R::from_ranges(&[(addr, 0x1000, None), (GuestAddress(addr.0 + 0x1000), 0x1000, None)])
    /// }
    /// ```
    fn from_ranges(
        ranges: &[(GuestAddress, usize, Option<FileOffset>)],
    ) -> Result<Vec<Self>, Self::Error> {
        let region = |(addr, size, file): &(GuestAddress, usize, Option<FileOffset>)| {
            Self::from_range(*addr, *size, file.clone())
        };
        ranges.iter().map(region).collect()
    }
}

impl<R: RegionFromRange> GuestRegionCollection<R> {
    /// A map of fresh memory at `ranges`, each a start and a length in bytes, in the order of addresses.
    ///
    /// # Errors
    ///
    /// If the ranges do not make a map, or there is no memory for one.
    pub fn from_ranges(ranges: &[(GuestAddress, usize)]) -> Result<Self, R::Error> {
        Self::from_ranges_with_files(ranges.iter().map(|&(addr, size)| (addr, size, None)))
    }

    /// As [`from_ranges`](Self::from_ranges), where each range may have a place in a file for its memory.
    ///
    /// # Errors
    ///
    /// As [`from_ranges`](Self::from_ranges).
    pub fn from_ranges_with_files<A, T>(ranges: T) -> Result<Self, R::Error>
    where
        A: Borrow<(GuestAddress, usize, Option<FileOffset>)>,
        T: IntoIterator<Item = A>,
    {
        let ranges: Vec<_> = ranges.into_iter().map(|range| range.borrow().clone()).collect();
        Ok(Self::from_regions(R::from_ranges(&ranges)?)?)
    }
}
