//! A guest memory map that is swapped under running readers.
//!
//! [`GuestMemoryAtomic`] holds the map in force. Devices ask it for a [guard](GuestMemoryLoadGuard) on the map as they
//! begin a piece of work, or have a [reader](GuestMemoryReader) of their own that keeps the map as long as it is in
//! force; a VMM that plugs or unplugs memory takes the [lock](GuestMemoryAtomic::lock), sees the
//! current map, builds the next from it and publishes that. Nobody waits for anybody but writers for each other.
//!
//! ```
//! use guest_atomic::GuestMemoryAtomic;
//! use guest_memory::{Bytes, GuestAddress, GuestAddressSpace, GuestRegionCollection, SliceRegion};
//! use std::sync::Arc;
//!
//! let (mut ram, mut dimm) = (vec![0u8; 0x1000], vec![0u8; 0x1000]);
//! let boot = SliceRegion::new(GuestAddress(0), &mut ram).unwrap();
//! let space = GuestMemoryAtomic::new(GuestRegionCollection::from_regions(vec![boot])?);
//! let before = space.memory();
//!
//! // Hot-plug: read, modify and write the map under the lock.
//! let guard = space.lock().unwrap();
//! let plugged = Arc::new(SliceRegion::new(GuestAddress(0x1000), &mut dimm).unwrap());
//! let next = guard.insert_region(plugged)?;
//! let retired = guard.replace(next);
//!
//! space.memory().write_obj(7_u32, GuestAddress(0x1000))?;
//! assert!(before.read_obj::<u32>(GuestAddress(0x1000)).is_err()); // the old map is still the old map
//! assert!(!retired.is_unused());
//! drop(before);
//! assert!(retired.is_unused()); // now its memory may go
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How it works
//!
//! The map in force is an `Arc` in an [`arc_swap::ArcSwap`]. A reader's guard is a claim on one of a few slots that its thread
//! has, and costs no reference count; the ninth guard that a thread has at a time, and a clone of a guard, count a
//! reference instead: slower, and as good. A writer swaps the pointer, and the swap turns the claims on the old map
//! into counted references before it returns. So from then on the old map's reference count tells who still has it,
//! which is what [`Retired`] looks at.
//!
//! Beside the pointer is the address of the map in force, as a number, which the writer changes first. Who holds a map
//! compares: as long as it is held, no other map can have its address. That is how a [`GuestMemoryReader`] and a
//! [`PinnedWindow`] tell by one plain load whether their map is in force, and why they say no a moment early, never late.
//!
//! `tests/schedules.rs` goes through all schedules of this, on the code itself with a stand-in for arc-swap: `cargo xtask ci loom`.
//!
//! # Cost
//!
//! Without a change of the map: a guard is two locked instructions; a look of a reader, or a window's
//! [`is_current`](PinnedWindow::is_current), none, and no word that is looked at is written by other readers. A change is
//! the lock, an allocation for the map, and ten locked instructions or so.
//!
//! # Promises
//!
//! - A reader never blocks, and sees one map from the first access to the last of a guard.
//! - An old map stays readable until its last holder lets go.
//! - The exclusive guard shows the current map, and nobody else can publish one while it lives.
//! - A panic under the lock leaves the map as it was, and the lock usable.

#![forbid(unsafe_code)]

// The order is the layer list: a room uses only rooms above it.
mod sync;
mod guard;
mod retired;
mod shared;
mod atomic;
mod reader;
mod pinned;

pub use atomic::{GuestMemoryAtomic, GuestMemoryExclusiveGuard};
pub use guard::GuestMemoryLoadGuard;
pub use pinned::PinnedWindow;
pub use reader::GuestMemoryReader;
pub use retired::Retired;
