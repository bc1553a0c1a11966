//! A table behind a lock is an IOMMU that has nobody else to ask.

use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use guest_address::GuestAddress;
use guest_memory::Permissions;

use crate::error::Error;
use crate::iommu::Iommu;
use crate::iotlb::Iotlb;
use crate::lookup::IotlbIterator;

impl Iommu for RwLock<Iotlb> {
    type IotlbGuard<'a> = RwLockReadGuard<'a, Iotlb>;

    /// Looks into the table, and nowhere else.
    ///
    /// A panic of whoever changed the table does not matter: each change is made or not, and nothing in between.
    fn translate(
        &self,
        iova: GuestAddress,
        length: usize,
        access: Permissions,
    ) -> Result<IotlbIterator<Self::IotlbGuard<'_>>, Error> {
        let iotlb = self.read().unwrap_or_else(PoisonError::into_inner);
        Iotlb::lookup(iotlb, iova, length, access)
            .map_err(|fails| fails.cannot_resolve(iova, length))
    }
}
