//! The published interface of `vm-memory` 0.17, on the crates of guest-memory.
//!
//! To try it under a program that uses `vm-memory = "=0.17.1"`, add two lines to its `Cargo.toml`:
//!
//! ```toml
//! [patch.crates-io]
//! vm-memory = { path = "…/guest-memory/facades/vm-memory-0.17" }
//! ```
//!
//! Where there is a lock file, `cargo update vm-memory` makes cargo take it.
//!
//! There is nothing here but names, modules and items as 0.17.1 has them, and one adapter:
//! [`GuestAddressSpace`]. What behaves otherwise on purpose is told in `docs/migrating.md`. New code
//! takes the crates below by themselves.

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
pub mod guest_memory {
    use core::ops::Deref;

    pub use ::guest_memory::{
        FileOffset, GuestAddress, GuestMemory, GuestMemoryError as Error,
        GuestMemoryResult as Result, GuestMemorySliceIterator, GuestUsize, MemoryRegionAddress,
    };

    /// A handle to a guest's memory map, which may be another one each time it is asked.
    ///
    /// The layers have a trait of this name too, where a map is any `IoMemory`. Code written for 0.17 goes
    /// by this trait alone when it takes `S::M` for a map of regions, and `S::M: GuestMemory` is a
    /// promise that only the trait itself can make. So there is a trait here that makes it, and
    /// every handle of the layers on a map of regions has it.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use guest_memory::{GuestRegionCollection, SliceRegion};
    /// use vm_memory::{GuestAddressSpace, GuestMemory};
    ///
    /// fn regions<S: GuestAddressSpace>(space: &S) -> usize {
    ///     space.memory().num_regions()
    /// }
    ///
    /// assert_eq!(regions(&Arc::new(GuestRegionCollection::<SliceRegion<'_>>::new())), 0);
    /// ```
    pub trait GuestAddressSpace: Clone {
        /// The map's type.
        type M: GuestMemory;

        /// The guard on a map: it stays the same map, and mapped, as long as the guard lives.
        type T: Clone + Deref<Target = Self::M>;

        /// The map in force.
        fn memory(&self) -> Self::T;
    }

    impl<S: ::guest_memory::GuestAddressSpace<M: GuestMemory>> GuestAddressSpace for S {
        type M = S::M;
        type T = S::T;

        fn memory(&self) -> Self::T {
            ::guest_memory::GuestAddressSpace::memory(self)
        }
    }
}

/// Streams into and out of guest memory.
pub mod io {
    pub use guest_volatile::{ReadVolatile, WriteVolatile};
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
    GuestUsize, MemoryRegionAddress, Result as GuestMemoryResult,
};
pub use guest_volatile::AtomicInteger;
#[cfg(feature = "fault")]
pub use guest_volatile::fault;
pub use io::{ReadVolatile, WriteVolatile};
#[cfg(feature = "backend-mmap")]
pub use mmap::{GuestMemoryMmap, GuestRegionMmap, MmapRegion};
pub use region::{
    GuestMemoryRegion, GuestMemoryRegionBytes, GuestRegionCollection, GuestRegionCollectionError,
};
pub use volatile_memory::{
    Error as VolatileMemoryError, Result as VolatileMemoryResult, VolatileArrayRef, VolatileMemory,
    VolatileRef, VolatileSlice,
};
