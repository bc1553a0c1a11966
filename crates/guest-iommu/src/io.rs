//! An IOMMU's memory is memory as a device sees it.

use guest_address::GuestAddress;
use guest_memory::{
    GuestMemory, GuestMemoryError, GuestMemoryResult, IoMemory, IoMemorySliceIterator, Permissions,
};
use guest_volatile::{BS, Bitmap};

use crate::iommu::Iommu;
use crate::memory::IommuMemory;
use crate::slices::{IoBitmap, IoSlice, IommuMemorySliceIterator};

impl<M: GuestMemory, I: Iommu, V: Bitmap> IoMemory for IommuMemory<M, I, V> {
    type PhysicalMemory = M;
    type Bitmap = IoBitmap<M, V>;

    /// Whether every byte is mapped, for the access, and to memory. No byte is, wherever it is.
    fn check_range(&self, addr: GuestAddress, count: usize, access: Permissions) -> bool {
        let backend = self.get_backend();
        if !self.get_iommu_enabled() {
            return GuestMemory::check_range(backend, addr, count);
        }
        self.pieces(addr, count, access).is_ok_and(|(mut pieces, _lease)| {
            pieces.all(|piece| GuestMemory::check_range(backend, piece.base, piece.length))
        })
    }

    /// The slices of the range, after all of it has been translated. Those for an access that does not write are read-only.
    ///
    /// # Errors
    ///
    /// If some of it is not mapped, or not for the access, or it passes the end of the address space. What is mapped to
    /// where there is no memory is an error of the iterator, after the slices before it.
    fn get_slices<'a>(
        &'a self,
        addr: GuestAddress,
        count: usize,
        access: Permissions,
    ) -> GuestMemoryResult<impl IoMemorySliceIterator<'a, BS<'a, Self::Bitmap>>> {
        if self.get_iommu_enabled() {
            IommuMemorySliceIterator::translated(self, addr, count, access)
                .map_err(|error| GuestMemoryError::IommuError(Box::new(error)))
        } else {
            Ok(IommuMemorySliceIterator::physical(self, addr, count))
        }
    }

    #[inline]
    fn find_io_slice(
        &self,
        addr: GuestAddress,
        count: usize,
        access: Permissions,
    ) -> Option<IoSlice<'_, M, V>> {
        if !self.get_iommu_enabled() {
            return Some(self.get_backend().find_slice(addr, count)?.also_marking(None));
        }
        let (target, view) = self.one_piece(addr, count, access)?;
        let slice = self.get_backend().find_slice(target, count)?;
        if slice.len() != count {
            return None;
        }
        let slice = if access.has_write() { slice } else { slice.read_only() };
        Some(slice.also_marking(Some(view)))
    }

    /// The memory behind the IOMMU, if that is off.
    fn physical_memory(&self) -> Option<&M> {
        (!self.get_iommu_enabled()).then(|| self.get_backend())
    }
}
