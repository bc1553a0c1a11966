//! Checks that a memory does what plain bytes do: for whoever implements `GuestMemoryRegion`, `GuestMemory` or `IoMemory`.
//!
//! ```
//! use guest_memory::GuestAddress;
//! use guest_testing::conformance;
//! # use guest_testing::Probe;
//! # struct MyMemory;
//! # impl MyMemory {
//! #     fn new(ranges: &[(GuestAddress, usize)]) -> guest_testing::TestMemory {
//! #         Probe::new().memory(ranges).unwrap()
//! #     }
//! # }
//!
//! // #[test]
//! fn my_memory_is_as_plain_bytes_are() {
//!     conformance::check(|ranges: &[(GuestAddress, usize)]| MyMemory::new(ranges));
//! }
//! # my_memory_is_as_plain_bytes_are();
//! ```
//!
//! # What is checked
//!
//! Sequences of operations are played on memories of a few ranges, with holes and without, at the bottom of the address space, in
//! the middle, and up to its last byte. Addresses and lengths are random, most of them near a border. Each answer is
//! compared with what it should be, and so are all bytes afterwards:
//!
//! - `Bytes` and `WholeBytes` by guest address: reads, writes, objects, integers, streams with short transfers, interruptions
//!   and errors;
//! - `get_slices` and `find_io_slice`: in order, without a gap, nothing past the end, no border inside of a range; the bytes
//!   in them, read and written;
//! - `check_range`, and where there is no translation the whole of `GuestMemory`: regions, lookups, `get_slice`; each region's
//!   own answers, and its `Bytes`;
//! - with [`Check::marks_by`], the dirty bitmap: what was written is marked, and nothing else;
//! - with [`Check::run_swapping`], a map that changes between two operations.
//!
//! A memory may not panic. What threads see of each other is another question, of [`check_whole_accesses`].
//!
//! # When something is different
//!
//! The check fails with the ranges, the operations and what is different after the last. Operations without which it still
//! fails have been left out. The same sequences are played each time; `GUEST_TESTING_SEED` begins with others: with that of a
//! failure (it is told), the failure comes first; with `random`, they are others each time.

// The order is the layer list: a room uses only rooms above it.
mod random;
mod settings;
mod model;
mod op;
mod pieces;
mod bench;
mod atomics;
mod streams;
mod look;
mod regions;
mod difference;
mod check;
mod whole;

pub use check::{Check, check};
pub use difference::Difference;
pub use settings::Holes;
pub use whole::check_whole_accesses;
