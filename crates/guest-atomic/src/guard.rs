//! A reader's hold on one map.

use std::ops::Deref;
use std::sync::Arc;

use guest_memory::IoMemory;

use crate::sync::Guard;

/// A hold on the memory map that was in force when it was taken.
///
/// It dereferences to the map. Holding one says that this map stays as it is, with its memory mapped; it does not say that
/// the map is still the one in force.
#[derive(Debug)]
pub struct GuestMemoryLoadGuard<M: IoMemory> {
    guard: Guard<Arc<M>>,
}

impl<M: IoMemory> GuestMemoryLoadGuard<M> {
    pub(crate) fn new(guard: Guard<Arc<M>>) -> Self {
        Self { guard }
    }

    /// The map, shared, to keep it for longer.
    pub fn into_inner(self) -> Arc<M> {
        Guard::into_inner(self.guard)
    }
}

impl<M: IoMemory> Clone for GuestMemoryLoadGuard<M> {
    /// Another hold on the same map.
    fn clone(&self) -> Self {
        Self { guard: Guard::from_inner(Arc::clone(&self.guard)) }
    }
}

impl<M: IoMemory> Deref for GuestMemoryLoadGuard<M> {
    type Target = M;

    #[inline]
    fn deref(&self) -> &M {
        &self.guard
    }
}
