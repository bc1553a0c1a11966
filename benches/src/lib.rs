//! What the benchmarks share: where the guest's memory lies, which addresses are accessed, and how a
//! single access is timed.
//!
//! There is one target for each crate, and `side_by_side`, which does the same through a raw pointer, through our crates
//! and through the published vm-memory. `cargo xtask bench` runs them all, in less than five minutes; a part of a
//! name runs a part of them.
//!
//! # How to read the numbers
//!
//! The time of a benchmark is that of one operation, not of a pass over a table. Addresses come from a table
//! of [`COUNT`] random ones, spread over all regions and over [`POOL`] bytes, so that neither the branch predictor nor the
//! cache has an easier time than in a device; the memory behind them was written before.
//!
//! Only ratios inside one run mean anything: the machine is shared, and a quick run is ten samples. Criterion measures one
//! contestant after the other, so a slow moment hits one of them and not the rest; a claim about a few percent wants
//! the contestants interleaved, and instructions counted.
//!
//! Such a claim is what [`compare`] is for, which `cargo xtask bench --compare` runs: no criterion, all contestants once a round.
//!
//! Each target has many users of each type, as a VMM has. In a program with one single access the compiler may do better,
//! by the published crate in particular.

// The order is the layer list: a room uses only rooms above it.
mod random;
mod layout;
mod timing;
mod company;
pub mod ours;
pub mod published;
pub mod raw;
pub mod calls;
pub mod compare;

pub use company::beside;
pub use layout::{COUNT, Layout, POOL};
pub use random::Random;
pub use timing::{each, measure};
