//! Guest memory behind an IOMMU: the addresses of a device, translated by an IOTLB.
//!
//! A device behind an IOMMU does not know guest addresses. The guest gives it addresses of its own making (IOVAs) and maps
//! them, page by page, to guest memory, so that the device reaches what it should and nothing else. An emulated device
//! has to do the same translation in software. An [`Iotlb`] is the table that it looks into: a cache of the mappings it has
//! been told of. An [`Iommu`] keeps the table, and knows whom to ask for what is missing: for a vhost-user back-end that is the
//! front-end. An [`IommuMemory`] is guest memory through an `Iommu`: it is read and written by the device's addresses like any
//! other memory.
//!
//! ```
//! use guest_iommu::{IommuMemory, Iotlb};
//! use guest_memory::{Bytes, GuestAddress, GuestRegionCollection, Permissions, SliceRegion};
//! use std::sync::RwLock;
//!
//! let mut ram = vec![0u8; 0x2000];
//! let ram = SliceRegion::new(GuestAddress(0), &mut ram).unwrap();
//! let memory = IommuMemory::new(
//!     GuestRegionCollection::from_regions(vec![ram])?,
//!     RwLock::new(Iotlb::new()), // an IOMMU that can ask nobody
//!     true,
//!     (), // nobody asks for dirty pages by the device's addresses
//! );
//! let (iova, gpa) = (GuestAddress(0xffff_f000), GuestAddress(0x1000));
//! assert!(memory.write_obj(7_u32, iova).is_err());
//!
//! // The front-end says: map this.
//! memory.iommu().write().unwrap().set_mapping(iova, gpa, 0x1000, Permissions::ReadWrite)?;
//! memory.write_obj(7_u32, iova)?;
//!
//! // The front-end says: forget it. Nobody uses it any longer when `wait` returns.
//! memory.iommu().write().unwrap().invalidate_mapping(iova, 0x1000)?;
//! memory.past_leases().wait();
//! assert!(memory.read_obj::<u32>(iova).is_err());
//! assert_eq!(memory.get_backend().read_obj::<u32>(gpa)?, 7);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Who may lie
//!
//! - The *guest* chooses the addresses and lengths that a device accesses, and what they are mapped to. Any of them may
//!   wrap, be huge, be zero, be mapped twice, be mapped to where no memory is.
//! - The *front-end* sends mappings and invalidations, in any order, overlapping, up to the last byte of the address space.
//! - Neither can make this crate panic, hang, or reach outside of guest memory; nor reach guest memory that is not mapped
//!   for the access. Ranges end inclusively, and what passes the end of the address space is an [`Error::Overflow`].
//! - The [`Iommu`] is code of ours. It is believed in what it maps, and checked in that it translates the range that it was
//!   asked for.
//!
//! An access is all mapped or it is an error: no byte is moved if one of them is not mapped, or not for this. Being mapped to
//! where no memory is, is another matter: the bytes before that are moved, as at any hole in memory.
//!
//! A slice for reading is [read-only](guest_volatile::VolatileSlice::is_read_only), so that a device cannot write through it. There is
//! no slice for writing only: what is mapped so can be read by whoever asked to write it.
//!
//! # The lease
//!
//! A slice is a view of memory that was translated once. If its translation is invalidated, the slice does not know: it
//! goes on to point to the memory it was translated to, for as long as it is borrowed. That is never outside of guest
//! memory, but the guest may use the page for something else by then. So each slice of an [`IommuMemory`] holds a lease on the translations
//! of its time, from the moment that it is translated until it is dropped, and so do its parts and references,
//! and each single access, which uses a slice. Whoever invalidates waits for the leases:
//!
//! 1. take the mapping out of the [`Iotlb`], behind its lock; from now on nobody gets it;
//! 2. call [`IommuMemory::past_leases`], which names all leases there are;
//! 3. wait: by [`PastLeases::wait`], by [`PastLeases::wait_timeout`], or by asking [`PastLeases::are_over`] now and then;
//! 4. tell the guest that it is done.
//!
//! The table's lock is not held while a slice is used, so nobody waits for a slow device only to change the table, and a device that
//! holds a slice may translate again. New accesses do not prolong the wait.
//!
//! Two things have no lease of their own. A [`HostPtr`](guest_volatile::HostPtr) is a pointer for somebody else to read from: keep its
//! slice as long, or a [`Lease`]. Slices that were given while the IOMMU was off are not translated at all.
//!
//! A device that keeps a slice while it waits for a mapping (the next one of a descriptor chain) makes a circle with a
//! thread that waits for the slice and would have brought the mapping next. So let the thread that hears from the front-end not
//! [`wait`](PastLeases::wait), but keep the [`PastLeases`] in a list, go on, and answer when they are over; or give a timeout to
//! one of the two.
//!
//! # Dirty marks
//!
//! A write through a translation is marked in the bitmaps of the regions, by guest address, and in the bitmap of the
//! [`IommuMemory`], by the device's address: see [there](IommuMemory#dirty-marks).
//!
//! # Cost
//!
//! An access through a translation is a lookup in a balanced tree, under whatever lock the [`Iommu`] has; a lease, two
//! atomic additions; and the access itself. Nothing is allocated where the range is mapped in one piece.

#![forbid(unsafe_code)]

// The order is the layer list: a room uses only rooms above it.
mod ranges;
mod error;
mod iotlb;
mod lookup;
mod iommu;
mod locked;
mod lease;
mod leased;
mod memory;
mod translation;
mod slices;
mod io;

pub use error::Error;
#[doc(no_inline)]
pub use guest_address::GuestAddress;
pub use iommu::Iommu;
pub use iotlb::Iotlb;
pub use lease::{Lease, LeasesLeft, PastLeases};
pub use leased::{Leased, LeasedSlice};
pub use lookup::{IotlbFails, IotlbIterator};
pub use memory::IommuMemory;
pub use ranges::{IovaRange, MappedRange};
pub use slices::IommuMemorySliceIterator;
