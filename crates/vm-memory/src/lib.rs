//! The published interface of `vm-memory` 0.18, on the crates of guest-memory.
//!
//! To try it under a program that uses `vm-memory`, add two lines to its `Cargo.toml`:
//!
//! ```toml
//! [patch.crates-io]
//! vm-memory = { path = "…/guest-memory/crates/vm-memory" }
//! ```
//!
//! There is nothing here but names: modules and items as 0.18 has them. What behaves otherwise on purpose is told in
//! `docs/migrating.md`. New code takes the crates below by themselves.

#![forbid(unsafe_code)]

/// Addresses, and values of them.
pub mod address {
    pub use guest_address::{Address, AddressValue};
}

/// A memory map that is swapped under running readers.
#[cfg(feature = "backend-atomic")]
pub mod atomic {
    pub use guest_atomic::{GuestMemoryAtomic, GuestMemoryExclusiveGuard, GuestMemoryLoadGuard};
}

/// Dirty tracking.
pub mod bitmap {
    #[cfg(feature = "backend-bitmap")]
    pub use guest_dirty::{ArcSlice, AtomicBitmap, RefSlice};
    pub use guest_memory::MS;
    pub use guest_volatile::{BS, Bitmap, BitmapSlice, NewBitmap, WithBitmapSlice};
}

/// Plain data, and access to bytes by address.
pub mod bytes {
    pub use guest_memory::Bytes;
    pub use guest_volatile::{AtomicAccess, ByteValued};
}

/// Integers in a given byte order.
pub mod endian {
    pub use guest_volatile::{Be16, Be32, Be64, BeSize, Le16, Le32, Le64, LeSize};
}

/// Guest memory: maps, addresses, errors.
///
/// 0.18 calls the map `GuestMemoryBackend` and the view with permissions `GuestMemory`; the layers call them `GuestMemory`, as all
/// versions before did, and `IoMemory`.
pub mod guest_memory {
    pub use ::guest_memory::{
        FileOffset, GuestAddress, GuestAddressSpace, GuestMemory as GuestMemoryBackend,
        GuestMemoryError as Error, GuestMemoryResult as Result,
        GuestMemorySliceIterator as GuestMemoryBackendSliceIterator, GuestUsize,
        IoMemory as GuestMemory, IoMemorySliceIterator as GuestMemorySliceIterator,
        MemoryRegionAddress, Permissions,
    };
}

/// Streams into and out of guest memory.
pub mod io {
    pub use guest_volatile::{ReadVolatile, WriteVolatile};
}

/// Memory behind an IOMMU.
#[cfg(feature = "iommu")]
pub mod iommu {
    pub use guest_iommu::{
        Error, Iommu, IommuMemory, IommuMemorySliceIterator, Iotlb, IotlbFails, IotlbIterator,
        IovaRange, MappedRange,
    };
}

/// Memory that the operating system maps.
#[cfg(feature = "backend-mmap")]
pub mod mmap {
    pub use guest_mmap::{
        FromRangesError, GuestMemoryMmap, GuestRegionMmap, MmapRegion, MmapRegionBuilder,
        MmapRegionError, NewBitmap,
    };
}

/// Regions, and collections of them.
pub mod region {
    pub use guest_memory::{
        GuestMemoryRegion, GuestMemoryRegionBytes, GuestRegionCollection,
        GuestRegionCollectionError,
    };
}

/// Volatile memory.
pub mod volatile_memory {
    pub use guest_volatile::{
        Error, PtrGuard, PtrGuardMut, Result, VolatileArrayRef, VolatileMemory, VolatileRef,
        VolatileSlice, compute_offset,
    };
}

pub use address::{Address, AddressValue};
#[cfg(feature = "backend-atomic")]
pub use atomic::{GuestMemoryAtomic, GuestMemoryLoadGuard};
pub use bytes::{AtomicAccess, ByteValued, Bytes};
pub use endian::{Be16, Be32, Be64, BeSize, Le16, Le32, Le64, LeSize};
pub use guest_memory::{
    Error as GuestMemoryError, FileOffset, GuestAddress, GuestAddressSpace, GuestMemory,
    GuestMemoryBackend, GuestUsize, MemoryRegionAddress, Permissions, Result as GuestMemoryResult,
};
pub use guest_volatile::AtomicInteger;
#[cfg(feature = "fault")]
pub use guest_volatile::fault;
pub use io::{ReadVolatile, WriteVolatile};
#[cfg(feature = "iommu")]
pub use iommu::{Iommu, IommuMemory, Iotlb};
#[cfg(feature = "backend-mmap")]
pub use mmap::{GuestMemoryMmap, GuestRegionMmap, MmapRegion};
pub use region::{
    GuestMemoryRegion, GuestMemoryRegionBytes, GuestRegionCollection, GuestRegionCollectionError,
};
pub use volatile_memory::{
    Error as VolatileMemoryError, Result as VolatileMemoryResult, VolatileArrayRef, VolatileMemory,
    VolatileRef, VolatileSlice,
};
