//! The map in force, its readers and its writers.

use std::ops::Deref;
use std::sync::{Arc, LockResult, MutexGuard, OnceLock, PoisonError};

use guest_memory::{GuestAddressSpace, IoMemory};

use crate::guard::GuestMemoryLoadGuard;
use crate::retired::Retired;
use crate::shared::{Shared, share};

/// A handle to a memory map that can be swapped while others read it.
///
/// Clones are handles to the same.
#[derive(Debug)]
pub struct GuestMemoryAtomic<M: IoMemory> {
    pub(crate) shared: Arc<Shared<M>>,
}

impl<M: IoMemory> From<Arc<M>> for GuestMemoryAtomic<M> {
    /// A handle to `map`, which others may have too.
    fn from(map: Arc<M>) -> Self {
        Self { shared: Arc::new(Shared::new(map)) }
    }
}

impl<M: IoMemory> GuestMemoryAtomic<M> {
    /// A handle to `map`.
    pub fn new(map: M) -> Self {
        share(map).into()
    }

    /// Waits until no other writer is at it, and keeps others out. A thread that is the writer itself waits for ever, or
    /// panics.
    ///
    /// # Errors
    ///
    /// None: a writer that panicked has published its map or not, and nothing in between. The type is that of the
    /// published interface.
    pub fn lock(&self) -> LockResult<GuestMemoryExclusiveGuard<'_, M>> {
        let writer = self.shared.writer.lock().unwrap_or_else(|poisoned| {
            self.shared.writer.clear_poison();
            PoisonError::into_inner(poisoned)
        });
        Ok(GuestMemoryExclusiveGuard { shared: &self.shared, current: OnceLock::new(), writer })
    }
}

impl<M: IoMemory> Clone for GuestMemoryAtomic<M> {
    /// Another handle to the same.
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<M: IoMemory> GuestAddressSpace for GuestMemoryAtomic<M> {
    type M = M;
    type T = GuestMemoryLoadGuard<M>;

    #[inline]
    fn memory(&self) -> GuestMemoryLoadGuard<M> {
        GuestMemoryLoadGuard::new(self.shared.map().load())
    }
}

/// The one writer there is at a time.
///
/// It dereferences to the map in force, which stays in force until this writer replaces it.
#[derive(Debug)]
pub struct GuestMemoryExclusiveGuard<'a, M: IoMemory> {
    shared: &'a Shared<M>,
    /// The map in force, once it was asked for.
    current: OnceLock<Arc<M>>,
    writer: MutexGuard<'a, ()>,
}

impl<M: IoMemory> GuestMemoryExclusiveGuard<'_, M> {
    /// Publishes `map`: whoever asks from now on gets it. Gives the map that was in force before, which tells when its
    /// last reader has gone.
    pub fn replace(self, map: M) -> Retired<M> {
        // This writer's own share of the old map ends with `self`, before the caller can ask for users.
        Retired::new(self.shared.publish(&self.writer, share(map)))
    }
}

impl<M: IoMemory> Deref for GuestMemoryExclusiveGuard<'_, M> {
    type Target = M;

    /// The map in force.
    fn deref(&self) -> &M {
        self.current.get_or_init(|| self.shared.take())
    }
}
