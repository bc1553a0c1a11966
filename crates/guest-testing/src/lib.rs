//! Guest memory for tests: for whoever writes a device, and for whoever writes memory.
//!
//! # For devices
//!
//! A [`TestRegion`] is memory on the heap with a [`Probe`]: it records a trace of the accesses, and can be told to fail at one, to
//! give short slices, and to change bytes between two accesses to them. A [`DoubleFetchFinder`] uses that to find what a device
//! fetches from the guest twice: there, what was checked may not be what is used. [`ScriptedSource`] and [`ScriptedSink`]
//! are the other side of a stream, with short transfers, interruptions, errors and ends.
//!
//! # For backends
//!
//! [`conformance::check`] plays random accesses to a memory of your own making, and compares each answer with that of plain
//! bytes:
//!
//! ```
//! use guest_memory::GuestAddress;
//! use guest_testing::{Probe, conformance};
//!
//! conformance::check(|ranges: &[(GuestAddress, usize)]| {
//!     Probe::new().memory(ranges).unwrap() // yours goes here
//! });
//! ```
//!
//! Put this crate among your `dev-dependencies`. It panics where a test should, and allocates as it likes.

#![forbid(unsafe_code)]

// The order is the layer list: a room uses only rooms above it.
mod panics;
mod pages;
mod stream;
mod probe;
mod recorder;
mod region;
mod double_fetch;
pub mod conformance;

pub use double_fetch::{DoubleFetch, DoubleFetchFinder, Effect, Findings};
pub use probe::{Access, Probe};
pub use recorder::{Recorder, RecorderSlice};
pub use region::{TestMemory, TestRegion};
pub use stream::{ScriptedSink, ScriptedSource, Step};
