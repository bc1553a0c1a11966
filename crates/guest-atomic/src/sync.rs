//! What readers and writers share a map by: the real things, or under `cfg(loom)` those of a model that goes through all schedules.

#[cfg(not(loom))]
mod real;
#[cfg(not(loom))]
pub(crate) use real::{ArcSwap, AtomicUsize, Guard};

#[cfg(loom)]
mod model;
#[cfg(loom)]
pub(crate) use model::{ArcSwap, AtomicUsize, Guard};
