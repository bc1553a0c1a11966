//! The slices of a range of a device's addresses, one after the other.

use std::fmt;
use std::iter::FusedIterator;

use guest_address::GuestAddress;
use guest_memory::{
    GuestMemory, GuestMemoryRegion, GuestMemoryResult, GuestMemorySliceIterator,
    IoMemorySliceIterator, MS, Permissions,
};
use guest_volatile::{BS, Bitmap, Both, VolatileSlice};

use crate::error::Error;
use crate::iommu::Iommu;
use crate::leased::{Leased, LeasedSlice};
use crate::memory::IommuMemory;
use crate::translation::{Pieces, no_pieces};

/// The bitmap of the slices of an [`IommuMemory`]: that of the regions, by guest address, and one by the device's address
/// while the IOMMU is on.
pub(crate) type IoBitmap<M, V> =
    Both<<<M as GuestMemory>::R as GuestMemoryRegion>::B, Option<Leased<V>>>;

/// A slice of an [`IommuMemory`].
pub(crate) type IoSlice<'a, M, V> = VolatileSlice<'a, BS<'a, IoBitmap<M, V>>>;

/// The slices that a range of an [`IommuMemory`] lies in, in order. It ends after the first error.
///
/// Made by [`IoMemory::get_slices`](guest_memory::IoMemory::get_slices). The whole range has been translated, and is leased, but
/// the table is not locked: each piece is what it was mapped to then.
///
/// ```
/// # use guest_iommu::{GuestAddress, IommuMemory, Iotlb};
/// # use guest_memory::{GuestRegionCollection, IoMemory, Permissions, SliceRegion};
/// # use std::sync::RwLock;
/// # let mut ram = vec![0u8; 0x1000];
/// # let ram = SliceRegion::new(GuestAddress(0), &mut ram).unwrap();
/// # let ram = GuestRegionCollection::from_regions(vec![ram]).unwrap();
/// # let memory = IommuMemory::new(ram, RwLock::new(Iotlb::new()), true, ());
/// # memory.iommu().write().unwrap().set_mapping(GuestAddress(0x8000), GuestAddress(0), 0x1000, Permissions::Read)?;
/// let mut slices = memory.get_slices(GuestAddress(0x8ff0), 0x10, Permissions::Read).unwrap();
/// memory.iommu().write().unwrap().invalidate_all(); // what was translated stays
/// assert_eq!(slices.next().unwrap().unwrap().len(), 0x10);
/// assert!(slices.next().is_none());
/// # Ok::<(), guest_iommu::Error>(())
/// ```
pub struct IommuMemorySliceIterator<'a, M, I, V = <<M as GuestMemory>::R as GuestMemoryRegion>::B>
where
    M: GuestMemory,
    I: Iommu,
    V: Bitmap,
{
    memory: &'a IommuMemory<M, I, V>,
    /// The slices left of a piece.
    slices: Option<GuestMemorySliceIterator<'a, M>>,
    /// The pieces left.
    pieces: Pieces,
    /// The view of the whole range, with its lease, unless the IOMMU is off.
    view: Option<LeasedSlice<'a, BS<'a, V>>>,
    /// How many bytes of the range have been given.
    done: usize,
    read_only: bool,
}

impl<'a, M: GuestMemory, I: Iommu, V: Bitmap> IommuMemorySliceIterator<'a, M, I, V> {
    /// Of guest addresses.
    pub(crate) fn physical(
        memory: &'a IommuMemory<M, I, V>,
        addr: GuestAddress,
        count: usize,
    ) -> Self {
        Self {
            memory,
            slices: Some(GuestMemory::get_slices(memory.get_backend(), addr, count)),
            pieces: no_pieces(),
            view: None,
            done: 0,
            read_only: false,
        }
    }

    /// Of a device's addresses.
    pub(crate) fn translated(
        memory: &'a IommuMemory<M, I, V>,
        addr: GuestAddress,
        count: usize,
        access: Permissions,
    ) -> Result<Self, Error> {
        let (pieces, view) = memory.pieces(addr, count, access)?;
        Ok(Self {
            memory,
            slices: None,
            pieces,
            view: Some(view),
            done: 0,
            read_only: !access.has_write(),
        })
    }

    /// The slice as it leaves.
    fn dress(&mut self, slice: VolatileSlice<'a, MS<'a, M>>) -> IoSlice<'a, M, V> {
        let view = self.view.as_ref().map(|view| view.slice_at(self.done));
        // The pieces are as long as the range, so it is no more than that.
        self.done = self.done.saturating_add(slice.len());
        let slice = if self.read_only { slice.read_only() } else { slice };
        slice.also_marking(view)
    }
}

impl<'a, M: GuestMemory, I: Iommu, V: Bitmap> Iterator for IommuMemorySliceIterator<'a, M, I, V> {
    type Item = GuestMemoryResult<IoSlice<'a, M, V>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.slices.as_mut().and_then(Iterator::next) {
                Some(Ok(slice)) => return Some(Ok(self.dress(slice))),
                Some(Err(error)) => {
                    // Over, and not on to the next piece.
                    (self.slices, self.pieces) = (None, no_pieces());
                    return Some(Err(error));
                }
                None => {
                    let piece = self.pieces.next()?;
                    let backend = self.memory.get_backend();
                    self.slices = Some(GuestMemory::get_slices(backend, piece.base, piece.length));
                }
            }
        }
    }
}

impl<M: GuestMemory, I: Iommu, V: Bitmap> FusedIterator for IommuMemorySliceIterator<'_, M, I, V> {}

impl<'a, M: GuestMemory, I: Iommu, V: Bitmap> IoMemorySliceIterator<'a, BS<'a, IoBitmap<M, V>>>
    for IommuMemorySliceIterator<'a, M, I, V>
{
}

impl<M: GuestMemory, I: Iommu, V: Bitmap> fmt::Debug for IommuMemorySliceIterator<'_, M, I, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IommuMemorySliceIterator")
            .field("done", &format_args!("{:#x}", self.done))
            .field("read_only", &self.read_only)
            .finish_non_exhaustive()
    }
}
