//! The comparison: every operation of the table of targets by each contestant, in interleaved rounds.
//!
//! `cargo xtask bench --compare` builds the programs of this package under three profiles, runs them, and judges what they
//! print. `compare` has all operations in one program, in each other's company, as a VMM has them; an `alone_…` program
//! has one of them, since compilers treat the only user of a type better.
//!
//! A group is one operation at one size. All its contestants run once a round, in an order that rotates, each for
//! about a quarter of a millisecond; what is told is the time of one operation in each round, so that the reader can form
//! the ratio within each round before the median over all.

// The order is the layer list: a room uses only rooms above it.
mod session;
mod contestant;
mod contestants;
mod maps;
mod resolved;
mod objects;
mod lookups;
mod slices;
mod dirty;
mod harvest;
mod snapshot;
mod files;
mod walk;
mod create;
mod prefault;
mod sizes;
mod programs;

pub use programs::{atomics, chain, company, copy, read, slice, write};
pub use session::{Alone, Setting};
