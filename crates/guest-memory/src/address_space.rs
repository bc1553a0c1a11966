//! What hands out the memory map that is in force.

use alloc::rc::Rc;
use alloc::sync::Arc;
use core::ops::Deref;

use crate::io_memory::IoMemory;

/// A handle to a guest's memory map, which may be another one each time it is asked.
///
/// Devices take a handle, and ask it for the map as they begin a piece of work.
pub trait GuestAddressSpace: Clone {
    /// The map's type.
    type M: IoMemory;

    /// The guard on a map: it stays the same map, and mapped, as long as the guard lives.
    type T: Clone + Deref<Target = Self::M>;

    /// The map in force.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// use std::sync::Arc;
    /// let space = Arc::new(map());
    /// assert_eq!(space.memory().num_regions(), 3);
    /// ```
    fn memory(&self) -> Self::T;
}

impl<M: IoMemory> GuestAddressSpace for &M {
    type M = M;
    type T = Self;

    fn memory(&self) -> Self {
        self
    }
}

impl<M: IoMemory> GuestAddressSpace for Rc<M> {
    type M = M;
    type T = Self;

    fn memory(&self) -> Self {
        Self::clone(self)
    }
}

impl<M: IoMemory> GuestAddressSpace for Arc<M> {
    type M = M;
    type T = Self;

    fn memory(&self) -> Self {
        Self::clone(self)
    }
}
