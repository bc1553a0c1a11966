//! The atomics: those of the language, or under `cfg(loom)` those of a model that goes through all schedules.

pub(crate) use core::sync::atomic::Ordering;

#[cfg(not(loom))]
mod real;
#[cfg(not(loom))]
pub(crate) use real::{AtomicBool, AtomicU64, AtomicUsize, take, value};

#[cfg(loom)]
mod model;
#[cfg(loom)]
pub(crate) use model::{AtomicBool, AtomicU64, AtomicUsize, take, value};
