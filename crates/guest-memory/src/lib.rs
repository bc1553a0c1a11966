//! Regions of guest memory, maps of regions, and access to them by guest address.
//!
//! A [`GuestMemory`] is a map of the guest's physical memory: [regions](GuestMemoryRegion), with holes between
//! them. [`Bytes`] reads and writes it by guest address, over the borders of regions; every access is
//! checked, and what the guest may do meanwhile is said in `docs/memory-model.md`.
//!
//! ```
//! use guest_memory::{Bytes, GuestAddress, GuestRegionCollection, SliceRegion};
//!
//! let (mut low, mut high) = (vec![0u8; 0x1000], vec![0u8; 0x1000]);
//! let memory = GuestRegionCollection::from_regions(vec![
//!     SliceRegion::new(GuestAddress(0x1000), &mut low).unwrap(),
//!     SliceRegion::new(GuestAddress(0x2000), &mut high).unwrap(),
//! ])?;
//! memory.write_obj(0x1234_5678_u32, GuestAddress(0x1ffe))?; // in two regions
//! assert_eq!(memory.read_obj::<u32>(GuestAddress(0x1ffe))?, 0x1234_5678);
//! assert!(memory.read_obj::<u32>(GuestAddress(0x2ffe)).is_err()); // past the end
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! This crate makes no system call and has no unsafe code. Memory from the operating system is in `guest-mmap`, a map that
//! changes under running devices in `guest-atomic`.
//!
//! # Cost
//!
//! An access by guest address to a [`GuestRegionCollection`] is one look into a table, one comparison with the bounds,
//! and the access, all inlined; nothing is allocated, and an error value is made only where there is an error. Where
//! accesses come back to the same place, a [`GuestCursor`] does without the table, and a [`GuestWindow`] without the address.
//!
//! # Features
//!
//! `std` (default): `io::Error` as a cause, [`FileOffset`]. Without it the crate is `no_std` and needs `alloc`.

#![cfg_attr(not(feature = "std"), no_std)]
#![warn(clippy::std_instead_of_core, clippy::std_instead_of_alloc)]
#![forbid(unsafe_code)]

extern crate alloc;

// The order is the layer list: a room uses only rooms above it.
mod permissions;
mod error;
#[cfg(feature = "std")]
mod file_offset;
mod bytes;
mod slice;
mod region;
mod walk;
mod memory;
mod slices;
mod io_memory;
mod transfer;
mod lists;
mod access;
mod positional;
mod gather;
mod address_space;
mod lent;
mod collection;
mod window;
mod cursor;
#[cfg(feature = "std")]
mod from_ranges;

pub use address_space::GuestAddressSpace;
pub use bytes::{Bytes, WholeBytes};
pub use collection::{GuestRegionCollection, GuestRegionCollectionError};
pub use cursor::GuestCursor;
pub use error::{Error as GuestMemoryError, Result as GuestMemoryResult};
#[cfg(feature = "std")]
pub use file_offset::FileOffset;
#[cfg(feature = "std")]
pub use from_ranges::RegionFromRange;
pub use gather::GatherSlices;
pub use io_memory::IoMemory;
pub use lent::SliceRegion;
pub use memory::{GuestMemory, GuestMemorySliceIterator, MS};
pub use permissions::Permissions;
pub use positional::PositionalBytes;
pub use region::{GuestMemoryRegion, GuestMemoryRegionBytes};
pub use slices::IoMemorySliceIterator;
pub use window::{GuestWindow, WindowMemory};

// The layers below, so that most users name one crate.
pub use guest_address::{
    Address, AddressValue, GuestAddress, GuestRange, GuestUsize, MemoryRegionAddress,
};
#[doc(no_inline)]
pub use guest_volatile::{
    self, AtomicAccess, AtomicInteger, AtomicUpdate, ByteValued, ReadVolatile, ReadVolatileAt,
    Stretch, VolatileArrayRef, VolatileMemory, VolatileRef, VolatileSlice, WindowError,
    WriteVolatile, WriteVolatileAt,
};
