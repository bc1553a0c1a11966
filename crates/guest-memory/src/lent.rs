//! A region over bytes that the caller lends.

use core::fmt;

use guest_address::{GuestAddress, GuestRange, GuestUsize, MemoryRegionAddress};
use guest_volatile::{BS, BitmapSlice, VolatileSlice};

use crate::error::{Error, Result};
use crate::region::{GuestMemoryRegion, GuestMemoryRegionBytes};

/// A region over memory that somebody else owns: bytes lent for as long as the region lives, or a slice of
/// another memory.
///
/// For tests, for memory that a loader has set up, and where there is no operating system to map any.
///
/// ```
/// use guest_memory::{Bytes, GuestAddress, GuestRegionCollection, SliceRegion};
///
/// let mut ram = [0u8; 64];
/// let region = SliceRegion::new(GuestAddress(0x1000), &mut ram).unwrap();
/// let memory = GuestRegionCollection::from_regions(vec![region]).unwrap();
/// memory.write_obj(7_u32, GuestAddress(0x1010)).unwrap();
/// drop(memory);
/// assert_eq!(ram[0x10..0x14], 7_u32.to_ne_bytes());
/// ```
#[derive(Debug)]
pub struct SliceRegion<'m, B = ()> {
    range: GuestRange,
    slice: VolatileSlice<'m, B>,
}

impl<'m> SliceRegion<'m> {
    /// A region that starts at `start`, over `bytes`; `None` if there is no byte, or they pass the end of the guest's address
    /// space.
    pub fn new(start: GuestAddress, bytes: &'m mut [u8]) -> Option<Self> {
        Self::with_slice(start, VolatileSlice::from(bytes))
    }
}

impl<'m, B: BitmapSlice> SliceRegion<'m, B> {
    /// A region that starts at `start`, over `slice`; `None` if there is no byte, or they pass the end of the guest's address
    /// space.
    pub fn with_slice(start: GuestAddress, slice: VolatileSlice<'m, B>) -> Option<Self> {
        let range = GuestRange::new(start, slice.len() as u64)?;
        Some(Self { range, slice })
    }
}

impl<B: BitmapSlice> GuestMemoryRegion for SliceRegion<'_, B> {
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
    fn bitmap(&self) -> BS<'_, B> {
        self.slice.bitmap().slice_at(0)
    }

    fn get_host_address(&self, addr: MemoryRegionAddress) -> Result<*mut u8> {
        let slice = self.get_slice(addr, 1)?;
        Ok(slice.host_ptr().as_ptr().cast_mut())
    }

    fn get_slice(
        &self,
        offset: MemoryRegionAddress,
        count: usize,
    ) -> Result<VolatileSlice<'_, BS<'_, B>>> {
        let offset = usize::try_from(offset.0).map_err(|_| Error::InvalidBackendAddress)?;
        Ok(self.slice.subslice(offset, count)?)
    }

    fn fmt_backing(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.slice.is_read_only() { "lent, read-only" } else { "lent" })
    }
}

impl<B: BitmapSlice> GuestMemoryRegionBytes for SliceRegion<'_, B> {}
