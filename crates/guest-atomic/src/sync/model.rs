//! Those of loom, and a plain stand-in for arc-swap, which is trusted.
//!
//! What loom does not see: who waits for the writers' lock, and the counts of an `Arc`.
//!
//! Under `cfg(loom_planted)` a step of the stand-in orders nothing, and the models must be seen to fail.

use std::ops::Deref;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard};

pub(crate) use loom::sync::atomic::AtomicUsize;

/// A map that is swapped in one step, which orders what was before a swap before what comes after a load of its map.
#[derive(Debug)]
pub(crate) struct ArcSwap<M> {
    /// Where loom may go on in another thread; between this and the map it does not.
    steps: AtomicUsize,
    map: Mutex<Arc<M>>,
}

const STEP: Ordering = if cfg!(loom_planted) { Ordering::Relaxed } else { Ordering::AcqRel };

impl<M> ArcSwap<M> {
    pub(crate) fn new(map: Arc<M>) -> Self {
        Self { steps: AtomicUsize::new(0), map: Mutex::new(map) }
    }

    pub(crate) fn load(&self) -> Guard<Arc<M>> {
        Guard(self.load_full())
    }

    pub(crate) fn load_full(&self) -> Arc<M> {
        Arc::clone(&self.step())
    }

    pub(crate) fn swap(&self, map: Arc<M>) -> Arc<M> {
        std::mem::replace(&mut self.step(), map)
    }

    fn step(&self) -> MutexGuard<'_, Arc<M>> {
        self.steps.fetch_add(1, STEP);
        self.map.lock().expect("nobody panics under it")
    }
}

/// A hold on a map.
#[derive(Debug)]
pub(crate) struct Guard<T>(T);

impl<T> Guard<T> {
    pub(crate) fn from_inner(inner: T) -> Self {
        Self(inner)
    }

    pub(crate) fn into_inner(guard: Self) -> T {
        guard.0
    }
}

impl<T> Deref for Guard<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
