//! Memory behind an IOMMU.

use std::fmt;
use std::sync::Arc;

use guest_memory::{GuestMemory, GuestMemoryRegion};
use guest_volatile::Bitmap;

use crate::iommu::Iommu;
use crate::lease::{Lease, PastLeases};
use crate::leased::Leased;

/// A memory whose addresses are those of a device behind an IOMMU, or guest addresses while the IOMMU is off.
///
/// It is an [`IoMemory`](guest_memory::IoMemory): it has [`Bytes`](guest_memory::Bytes), and goes where a
/// [`GuestMemory`] goes. Each access is translated anew.
///
/// Clones share the IOMMU, the bitmap and the leases. Each has its own memory and its own switch.
///
/// ```
/// use guest_iommu::{IommuMemory, Iotlb};
/// use guest_memory::{Bytes, GuestAddress, GuestRegionCollection, Permissions, SliceRegion};
/// use std::sync::RwLock;
///
/// let mut ram = vec![0u8; 0x2000];
/// let ram = SliceRegion::new(GuestAddress(0), &mut ram).unwrap();
/// let ram = GuestRegionCollection::from_regions(vec![ram])?;
/// let memory = IommuMemory::new(ram, RwLock::new(Iotlb::new()), true, ());
///
/// // The device's pages 8 and 9 are the guest's pages 1 and 0.
/// let mut iotlb = memory.iommu().write().unwrap();
/// iotlb.set_mapping(GuestAddress(0x8000), GuestAddress(0x1000), 0x1000, Permissions::ReadWrite)?;
/// iotlb.set_mapping(GuestAddress(0x9000), GuestAddress(0x0000), 0x1000, Permissions::Read)?;
/// drop(iotlb);
///
/// memory.write_obj([1_u8, 2], GuestAddress(0x8ffe))?;
/// assert_eq!(memory.get_backend().read_obj::<[u8; 2]>(GuestAddress(0x1ffe))?, [1, 2]);
/// assert_eq!(memory.read_obj::<[u8; 4]>(GuestAddress(0x8ffe))?, [1, 2, 0, 0]);
/// assert!(memory.write_obj([0_u8; 4], GuestAddress(0x8ffe)).is_err()); // page 9 is read-only
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Dirty marks
///
/// A write through a translation is marked twice: in the bitmaps of the memory's regions, by guest address, as any write to
/// them is; and in a bitmap of type `V`, by the device's address. Take the one that whoever asks for dirty pages counts
/// in. If nobody asks for the device's addresses, `V` is `()`, which costs nothing; if nobody says anything, it is of the
/// type of the regions' bitmaps. While the IOMMU is off there is nothing that the second could mark.
///
/// The second bitmap starts at address 0, and a device's addresses may be anywhere. What it does with marks past its end is
/// its own to decide; `guest_dirty::AtomicBitmap` reports them at the harvest, so that no page is missed in silence.
///
/// # The lease
///
/// A slice stays usable for as long as it is there, also when its translation is invalidated: see
/// [the crate's documentation](crate#the-lease).
pub struct IommuMemory<M, I, V = <<M as GuestMemory>::R as GuestMemoryRegion>::B>
where
    M: GuestMemory,
    I: Iommu,
    V: Bitmap,
{
    backend: M,
    iommu: Arc<I>,
    use_iommu: bool,
    /// The bitmap by the device's addresses, and the leases. These belong to the IOMMU, and go with it to all clones.
    leased: Leased<V>,
}

impl<M: GuestMemory, I: Iommu, V: Bitmap> IommuMemory<M, I, V> {
    /// The memory `backend` behind `iommu`, if `use_iommu`, with `bitmap` for writes by the device's addresses.
    ///
    /// ```
    /// use guest_iommu::{IommuMemory, Iotlb};
    /// # use guest_memory::{GuestRegionCollection, SliceRegion};
    /// use std::sync::RwLock;
    ///
    /// let ram = GuestRegionCollection::<SliceRegion<'_>>::new();
    /// let memory = IommuMemory::new(ram, RwLock::new(Iotlb::new()), true, ());
    /// assert!(memory.get_iommu_enabled());
    /// ```
    pub fn new(backend: M, iommu: I, use_iommu: bool, bitmap: V) -> Self {
        Self { backend, iommu: Arc::new(iommu), use_iommu, leased: Leased::new(bitmap) }
    }

    /// The same over another memory: with the same IOMMU, bitmap and leases.
    ///
    /// ```
    /// # use guest_iommu::{IommuMemory, Iotlb};
    /// # use guest_memory::{GuestAddress, GuestMemory, GuestRegionCollection, SliceRegion};
    /// # use std::sync::RwLock;
    /// # let (mut low, mut dimm) = (vec![0u8; 0x1000], vec![0u8; 0x1000]);
    /// # let low = SliceRegion::new(GuestAddress(0), &mut low).unwrap();
    /// # let ram = GuestRegionCollection::from_regions(vec![low]).unwrap();
    /// # let dimm = SliceRegion::new(GuestAddress(0x1000), &mut dimm).unwrap().into();
    /// # let memory = IommuMemory::new(ram, RwLock::new(Iotlb::new()), true, ());
    /// let plugged = memory.with_replaced_backend(memory.get_backend().insert_region(dimm)?);
    /// assert_eq!(plugged.get_backend().num_regions(), 2);
    /// # Ok::<(), guest_memory::GuestRegionCollectionError>(())
    /// ```
    pub fn with_replaced_backend(&self, new_backend: M) -> Self {
        Self {
            backend: new_backend,
            iommu: Arc::clone(&self.iommu),
            use_iommu: self.use_iommu,
            leased: self.leased.clone(),
        }
    }

    /// The bitmap of writes by the device's addresses, while the IOMMU is on.
    ///
    /// ```
    /// # use guest_iommu::{IommuMemory, Iotlb};
    /// # use guest_memory::{Bytes, GuestAddress, GuestRegionCollection, Permissions, SliceRegion};
    /// # use std::sync::RwLock;
    /// # let mut ram = vec![0u8; 0x1000];
    /// # let ram = SliceRegion::new(GuestAddress(0), &mut ram).unwrap();
    /// # let ram = GuestRegionCollection::from_regions(vec![ram])?;
    /// use guest_dirty::{AtomicBitmap, DEFAULT_PAGE_SIZE};
    ///
    /// let bitmap = AtomicBitmap::new(0x10_0000, DEFAULT_PAGE_SIZE);
    /// let memory = IommuMemory::new(ram, RwLock::new(Iotlb::new()), true, bitmap);
    /// # memory.iommu().write().unwrap().set_mapping(GuestAddress(0x8000), GuestAddress(0), 0x1000, Permissions::Write)?;
    /// memory.write_obj(1_u8, GuestAddress(0x8000))?;
    /// let harvest = memory.bitmap().take()?;
    /// assert_eq!(harvest.runs().collect::<Vec<_>>(), [0x8000..0x9000]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn bitmap(&self) -> &Arc<V> {
        self.leased.bitmap()
    }

    /// Switches the IOMMU on or off, for this one and not for its clones. While it is off, addresses are guest
    /// addresses, and everything is permitted.
    ///
    /// ```
    /// # use guest_iommu::{IommuMemory, Iotlb};
    /// # use guest_memory::{GuestRegionCollection, IoMemory, SliceRegion};
    /// # use std::sync::RwLock;
    /// # let ram = GuestRegionCollection::<SliceRegion<'_>>::new();
    /// # let mut memory = IommuMemory::new(ram, RwLock::new(Iotlb::new()), true, ());
    /// memory.set_iommu_enabled(false);
    /// assert!(memory.physical_memory().is_some());
    /// ```
    pub fn set_iommu_enabled(&mut self, enabled: bool) {
        self.use_iommu = enabled;
    }

    /// Whether the IOMMU is on.
    ///
    /// ```
    /// # use guest_iommu::{IommuMemory, Iotlb};
    /// # use guest_memory::{GuestRegionCollection, SliceRegion};
    /// # use std::sync::RwLock;
    /// # let ram = GuestRegionCollection::<SliceRegion<'_>>::new();
    /// let mut memory = IommuMemory::new(ram, RwLock::new(Iotlb::new()), false, ());
    /// assert!(!memory.get_iommu_enabled());
    /// memory.set_iommu_enabled(true);
    /// assert!(memory.get_iommu_enabled());
    /// ```
    pub fn get_iommu_enabled(&self) -> bool {
        self.use_iommu
    }

    /// The IOMMU.
    ///
    /// ```
    /// # use guest_iommu::{IommuMemory, Iotlb};
    /// # use guest_memory::{GuestRegionCollection, SliceRegion};
    /// # use std::sync::RwLock;
    /// # let ram = GuestRegionCollection::<SliceRegion<'_>>::new();
    /// # let memory = IommuMemory::new(ram, RwLock::new(Iotlb::new()), true, ());
    /// let handler = memory.iommu().clone(); // for the thread that hears from the front-end
    /// handler.write().unwrap().invalidate_all();
    /// ```
    pub fn iommu(&self) -> &Arc<I> {
        &self.iommu
    }

    /// The memory behind the IOMMU, by guest address.
    ///
    /// ```
    /// # use guest_iommu::{IommuMemory, Iotlb};
    /// # use guest_memory::{GuestMemory, GuestRegionCollection, SliceRegion};
    /// # use std::sync::RwLock;
    /// # let ram = GuestRegionCollection::<SliceRegion<'_>>::new();
    /// # let memory = IommuMemory::new(ram, RwLock::new(Iotlb::new()), true, ());
    /// assert_eq!(memory.get_backend().num_regions(), 0);
    /// ```
    pub fn get_backend(&self) -> &M {
        &self.backend
    }

    /// A lease on the translations of now, as every slice has one: as long as it is there, whoever waits for
    /// [`past_leases`](Self::past_leases) waits for it.
    ///
    /// Take it while a slice is still there, whose raw pointer is handed on.
    ///
    /// ```
    /// # use guest_iommu::{IommuMemory, Iotlb};
    /// # use guest_memory::{GuestRegionCollection, SliceRegion};
    /// # use std::sync::RwLock;
    /// # let ram = GuestRegionCollection::<SliceRegion<'_>>::new();
    /// # let memory = IommuMemory::new(ram, RwLock::new(Iotlb::new()), true, ());
    /// let lease = memory.lease();
    /// let past = memory.past_leases();
    /// assert!(!past.are_over());
    /// drop(lease);
    /// assert!(past.are_over());
    /// ```
    pub fn lease(&self) -> Lease<'_> {
        self.leased.lease()
    }

    /// All leases that were taken so far, of this memory and its clones, to wait until they are gone.
    ///
    /// Invalidate first, then call this: whoever translates after the call finds what was invalidated missing.
    ///
    /// ```
    /// # use guest_iommu::{GuestAddress, IommuMemory, Iotlb};
    /// # use guest_memory::{GuestRegionCollection, SliceRegion};
    /// # use std::sync::RwLock;
    /// # let ram = GuestRegionCollection::<SliceRegion<'_>>::new();
    /// # let memory = IommuMemory::new(ram, RwLock::new(Iotlb::new()), true, ());
    /// # let (iova, length) = (GuestAddress(0x8000), 0x1000);
    /// memory.iommu().write().unwrap().invalidate_mapping(iova, length)?;
    /// memory.past_leases().wait();
    /// // Now tell the front-end that it is done.
    /// # Ok::<(), guest_iommu::Error>(())
    /// ```
    pub fn past_leases(&self) -> PastLeases {
        self.leased.past_leases()
    }

    /// The bitmap whose views are leases.
    pub(crate) fn leased(&self) -> &Leased<V> {
        &self.leased
    }
}

impl<M: GuestMemory + Clone, I: Iommu, V: Bitmap> Clone for IommuMemory<M, I, V> {
    fn clone(&self) -> Self {
        self.with_replaced_backend(self.backend.clone())
    }
}

impl<M, I, V> Default for IommuMemory<M, I, V>
where
    M: GuestMemory + Default,
    I: Iommu + Default,
    V: Bitmap + Default,
{
    /// The default memory, with the default IOMMU switched off.
    fn default() -> Self {
        Self::new(M::default(), I::default(), false, V::default())
    }
}

impl<M, I, V> fmt::Debug for IommuMemory<M, I, V>
where
    M: GuestMemory + fmt::Debug,
    I: Iommu,
    V: Bitmap + fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IommuMemory")
            .field("backend", &self.backend)
            .field("iommu", &self.iommu)
            .field("use_iommu", &self.use_iommu)
            .field("leased", &self.leased)
            .finish()
    }
}
