//! What all handles to a map share, and how one map takes the place of another.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::sync::{ArcSwap, AtomicUsize};

/// What readers look at. A writer changes it, and nobody else: it is alone on its cache lines, of which some processors fetch
/// two at a time.
#[derive(Debug)]
#[repr(align(128))]
struct InForce<M> {
    /// The address of the map in `map`, or of the one that is about to be there.
    ///
    /// Who has a share of a map asks this whether that map is in force still: by one load, and without an order. That is
    /// enough, for three reasons. The address cannot be that of another map as long as the share keeps the map where it is. It is
    /// written before `map` is, so who has seen a newer map, in whatever way, sees here that the older one is out, and who was told
    /// of a [`publish`](Shared::publish) that had returned, too. And nothing is read through it: who finds another address takes
    /// `map` from where it is ordered.
    address: AtomicUsize,
    map: ArcSwap<M>,
}

/// The map in force, for readers and writers.
#[derive(Debug)]
pub(crate) struct Shared<M> {
    in_force: InForce<M>,
    /// For whoever publishes the next map: under this lock the one in force stays in force.
    pub(crate) writer: Mutex<()>,
}

impl<M> Shared<M> {
    pub(crate) fn new(map: Arc<M>) -> Self {
        let in_force = InForce { address: AtomicUsize::new(address(&map)), map: ArcSwap::new(map) };
        Self { in_force, writer: Mutex::new(()) }
    }

    /// The map in force.
    #[inline]
    pub(crate) fn map(&self) -> &ArcSwap<M> {
        &self.in_force.map
    }

    /// The map in force, with a share in it.
    #[cold]
    #[inline(never)]
    pub(crate) fn take(&self) -> Arc<M> {
        self.in_force.map.load_full()
    }

    /// Whether `map` is the map in force. It says no a moment early, while another is being published.
    #[inline(always)]
    pub(crate) fn is_in_force(&self, map: &Arc<M>) -> bool {
        self.in_force.address.load(Ordering::Relaxed) == address(map)
    }

    /// Puts `next` into force, and gives the map that was. Who has the lock may.
    pub(crate) fn publish(&self, _writer: &MutexGuard<'_, ()>, next: Arc<M>) -> Arc<M> {
        self.in_force.address.store(address(&next), Ordering::Relaxed);
        self.in_force.map.swap(next)
    }
}

/// A share in a map of its own.
///
/// [`Arc::new`] puts the map behind its counts on the stack first, and moves all of it; of this size, code that is optimized for size does that
/// by `rep movs`, which waits for what was stored a moment ago: more than all the rest of a [`publish`](Shared::publish) takes. Here the
/// map alone is moved, to its place.
pub(crate) fn share<M>(map: M) -> Arc<M> {
    Arc::new_cyclic(|_| map)
}

#[inline(always)]
fn address<M>(map: &Arc<M>) -> usize {
    Arc::as_ptr(map).addr()
}
