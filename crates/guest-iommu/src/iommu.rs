//! What translates a device's addresses.

use std::fmt::Debug;
use std::ops::Deref;

use guest_address::GuestAddress;
use guest_memory::Permissions;

use crate::error::Error;
use crate::iotlb::Iotlb;
use crate::lookup::IotlbIterator;

/// An IOMMU: it keeps an [`Iotlb`], and knows how to fill it.
///
/// `RwLock<Iotlb>` is one that knows nothing else: what is not in the table cannot be translated. A vhost-user back-end's
/// asks the front-end for what is missing, and looks again:
///
/// ```
/// use guest_iommu::{Error, GuestAddress, Iommu, Iotlb, IotlbIterator, IovaRange};
/// use guest_memory::Permissions;
/// use std::sync::{RwLock, RwLockReadGuard};
///
/// #[derive(Debug)]
/// struct FrontEnd {
///     iotlb: RwLock<Iotlb>,
/// }
///
/// impl FrontEnd {
///     /// Sends a message, and returns when the answer is in the table.
///     fn ask(&self, miss: &IovaRange) -> Result<(), Error> {
///         let mut iotlb = self.iotlb.write().unwrap();
///         iotlb.set_mapping(miss.base, GuestAddress(0x8000), miss.length, Permissions::ReadWrite)
///     }
/// }
///
/// impl Iommu for FrontEnd {
///     type IotlbGuard<'a> = RwLockReadGuard<'a, Iotlb>;
///
///     fn translate(
///         &self,
///         iova: GuestAddress,
///         length: usize,
///         access: Permissions,
///     ) -> Result<IotlbIterator<Self::IotlbGuard<'_>>, Error> {
///         let fails = match Iotlb::lookup(self.iotlb.read().unwrap(), iova, length, access) {
///             Ok(mapped) => return Ok(mapped),
///             Err(fails) => fails,
///         };
///         for miss in fails.misses.iter().chain(&fails.access_fails) {
///             self.ask(miss)?;
///         }
///         // Once more, and not until it works: the front-end may take back what it gave, over and over.
///         Iotlb::lookup(self.iotlb.read().unwrap(), iova, length, access)
///             .map_err(|fails| fails.cannot_resolve(iova, length))
///     }
/// }
/// # use guest_iommu::MappedRange;
/// # let iommu = FrontEnd { iotlb: RwLock::default() };
/// # let mut mapped = iommu.translate(GuestAddress(0x1000), 16, Permissions::Read)?;
/// # assert_eq!(mapped.next(), Some(MappedRange { base: GuestAddress(0x8000), length: 16 }));
/// # Ok::<(), Error>(())
/// ```
///
/// # What is believed
///
/// An implementation decides which guest addresses a device reaches, so it is believed in that. A wrong one leads to
/// the wrong guest memory, to errors, or to a wait without end if it waits so itself; it cannot lead out of guest memory.
pub trait Iommu: Debug + Send + Sync {
    /// What gives the table, and keeps it as it is: the guard of a lock, or a reference to a table that does not change.
    ///
    /// While one is there, nobody may invalidate a mapping, as nobody can who needs the write half of a lock for it. A copy of
    /// the table that goes on living beside a newer one would do to translate, but nobody could
    /// [wait](crate::IommuMemory::past_leases) for slices made of it.
    type IotlbGuard<'a>: Deref<Target = Iotlb> + 'a
    where
        Self: 'a;

    /// What `length` bytes from `iova` on are mapped to, if all of them are mapped, and for `access`: a successful
    /// [`Iotlb::lookup`] of just this range.
    ///
    /// [`IommuMemory`](crate::IommuMemory) asks only for ranges that have a byte and do not pass the end of the address space.
    /// It may ask for one range twice in a row. It asks without a [`Lease`](crate::Lease) of its own, takes one as soon as it has the
    /// answer, and lets the guard go before it touches memory. So this may wait for a mapping, without a guard; how
    /// long, and what else then waits, is told [with the lease](crate#the-lease).
    ///
    /// # Errors
    ///
    /// If some are not, or the IOMMU does not work.
    ///
    /// ```
    /// use guest_iommu::{GuestAddress, Iommu, Iotlb, MappedRange};
    /// use guest_memory::Permissions::Read;
    /// use std::sync::RwLock;
    ///
    /// let iommu = RwLock::new(Iotlb::new());
    /// iommu.write().unwrap().set_mapping(GuestAddress(0x1000), GuestAddress(0x8000), 0x1000, Read)?;
    /// let mut mapped = iommu.translate(GuestAddress(0x1010), 0x10, Read)?;
    /// assert_eq!(mapped.next(), Some(MappedRange { base: GuestAddress(0x8010), length: 0x10 }));
    /// drop(mapped); // it holds the lock
    /// assert!(iommu.translate(GuestAddress(0x2000), 0x10, Read).is_err());
    /// # Ok::<(), guest_iommu::Error>(())
    /// ```
    fn translate(
        &self,
        iova: GuestAddress,
        length: usize,
        access: Permissions,
    ) -> Result<IotlbIterator<Self::IotlbGuard<'_>>, Error>;
}
