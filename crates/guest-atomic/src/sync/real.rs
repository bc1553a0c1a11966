//! The language's own, and arc-swap's.

pub(crate) use std::sync::atomic::AtomicUsize;

pub(crate) use arc_swap::{ArcSwap, Guard};
