//! Memory on the heap that does what its probe says, and shows it what is done.

use std::fmt;

use guest_memory::{
    GuestAddress, GuestMemoryError, GuestMemoryRegion, GuestMemoryRegionBytes, GuestMemoryResult,
    GuestRange, GuestRegionCollection, GuestRegionCollectionError, GuestUsize, MemoryRegionAddress,
    VolatileSlice,
};
use guest_volatile::{BS, Bitmap, Both};

use crate::pages::Pages;
use crate::probe::Probe;
use crate::recorder::Recorder;

/// A map of [`TestRegion`]s.
pub type TestMemory = GuestRegionCollection<TestRegion>;

/// A region on the heap for tests, that asks its [`Probe`] at each access.
///
/// An access by guest address asks it for one slice, which is what the probe sees: the region gives no
/// [`direct_slice`](GuestMemoryRegion::direct_slice), so a map comes back each time. What is done with a slice once it is
/// given cannot be seen, but for the writes, which the slice marks. Access through the region itself, by a
/// [`MemoryRegionAddress`], asks for a slice of all of it.
///
/// Its bytes start at a page of the host and are zero at first.
#[derive(Debug)]
pub struct TestRegion {
    range: GuestRange,
    pages: Pages,
    bitmap: Both<(), Recorder>,
}

impl TestRegion {
    /// A region of `len` bytes at `start`; `None` if there is no byte, or they pass the end of the guest's address space.
    pub fn new(start: GuestAddress, len: usize, probe: &Probe) -> Option<Self> {
        let range = GuestRange::new(start, len as u64)?;
        let bitmap = Both((), Recorder::new(probe.clone(), start, len));
        Some(Self { range, pages: Pages::new(len), bitmap })
    }

    /// Changes bytes as the guest would: nobody marks it.
    fn flip(&self, addr: GuestAddress, len: usize, mask: u8) {
        for number in 0..len as u64 {
            let offset =
                addr.0.checked_add(number).and_then(|at| at.checked_sub(self.range.start().0));
            let Some(offset) = offset.and_then(|offset| usize::try_from(offset).ok()) else {
                continue;
            };
            let bytes = self.pages.slice();
            if let Ok(byte) = bytes.read_obj::<u8>(offset) {
                // It was just read, so it is there.
                let _ = bytes.write_obj(byte ^ mask, offset);
            }
        }
    }
}

impl GuestMemoryRegion for TestRegion {
    type B = Both<(), Recorder>;

    fn len(&self) -> GuestUsize {
        self.range.len()
    }

    fn start_addr(&self) -> GuestAddress {
        self.range.start()
    }

    fn bitmap(&self) -> BS<'_, Self::B> {
        self.bitmap.slice_at(0)
    }

    /// The address, which lets whoever asks reach the byte unseen. It counts as an access to it.
    fn get_host_address(&self, addr: MemoryRegionAddress) -> GuestMemoryResult<*mut u8> {
        Ok(self.get_slice(addr, 1)?.ptr_guard().as_ptr().cast_mut())
    }

    fn get_slice(
        &self,
        offset: MemoryRegionAddress,
        count: usize,
    ) -> GuestMemoryResult<VolatileSlice<'_, BS<'_, Self::B>>> {
        let Both((), recorder) = &self.bitmap;
        // One that is no `usize` is past every region.
        let offset = usize::try_from(offset.0).unwrap_or(usize::MAX);
        let slice = self.pages.slice().subslice(offset, count)?;
        if count == 0 {
            return Ok(slice.also_marking(recorder.slice_at(offset)));
        }
        let addr = GuestAddress(self.range.start().0 + offset as u64);
        let decision = recorder.probe().access(addr, count);
        for (addr, len, mask) in decision.flips {
            self.flip(addr, len, mask);
        }
        let given = decision.given.ok_or(GuestMemoryError::HostAddressNotAvailable)?;
        Ok(slice.subslice(0, given)?.also_marking(recorder.view(offset, decision.ticket)))
    }

    fn direct_slice(&self) -> Option<VolatileSlice<'_, BS<'_, Self::B>>> {
        None
    }

    fn fmt_backing(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("heap, for tests")
    }
}

impl GuestMemoryRegionBytes for TestRegion {}

impl Probe {
    /// A map of regions with this probe, each a start and a length in bytes, in the order of addresses.
    ///
    /// # Errors
    ///
    /// If the ranges do not make a map.
    pub fn memory(
        &self,
        ranges: &[(GuestAddress, usize)],
    ) -> Result<TestMemory, GuestRegionCollectionError> {
        let region = |&(start, len): &(GuestAddress, usize)| {
            let invalid = GuestRegionCollectionError::InvalidRegion { start, len: len as u64 };
            TestRegion::new(start, len, self).ok_or(invalid)
        };
        let regions = ranges.iter().map(region).collect::<Result<_, _>>()?;
        TestMemory::from_regions(regions)
    }
}
