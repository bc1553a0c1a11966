//! Guest memory that the operating system maps into this process.
//!
//! [`GuestMemoryMmap`] is the memory map that a VMM makes first:
//!
//! ```
//! use guest_memory::{Bytes, GuestAddress};
//! use guest_mmap::GuestMemoryMmap;
//!
//! // 1 MiB of RAM at 0 and 1 MiB at 4 GiB.
//! let memory: GuestMemoryMmap = GuestMemoryMmap::from_ranges(&[
//!     (GuestAddress(0), 1 << 20),
//!     (GuestAddress(1 << 32), 1 << 20),
//! ])?;
//! memory.write_slice(b"hello, guest", GuestAddress(0x1000))?;
//! println!("{memory}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Memory from a file (a memfd to share with a device process, an image) is
//! `from_ranges_with_files`; other protections and flags are asked of [`MmapRegionBuilder`], and the result placed by
//! [`GuestRegionMmap::new`].
//!
//! # One piece
//!
//! Ranges of `from_ranges` that are neighbours in the guest are neighbours in this process: a buffer over their border is one
//! slice, one copy, and one system call. A [`GuestSpan`] has room for memory that is plugged in later, for which the same holds.
//! (Regions with a dirty bitmap each stay apart; with [views of one](https://docs.rs/guest-dirty) they do not.)
//!
//! # Pages that are there
//!
//! Memory has no pages before it is accessed, and then one small one for each place: a guest that starts waits for many.
//! [`with_prefault`](MmapRegionBuilder::with_prefault) gets them all at once, and
//! [`with_transparent_huge_pages`](MmapRegionBuilder::with_transparent_huge_pages) lets them be large. What came of it is told by
//! [`MmapRegion::placement`]. Neither is done unless it is asked for.
//!
//! # Promises
//!
//! - Memory stays mapped as long as a region, a map that has it, or a slice of it lives.
//! - What the protection forbids is an error, not a signal. `MAP_FIXED` is refused: no mapping but a span's own is ever replaced.
//! - A mapping past the end of its file is refused, and so is one of huge pages that are not there, unless it is asked
//!   for with `MAP_NORESERVE`. A file truncated *later* by another process is an error of the access, too, in a program that has called
//!   `fault::install` (feature `fault`, Linux on x86-64 or aarch64); else it is a `SIGBUS`.
//!
//! # Features
//!
//! `rawfd` (default): streams over file descriptors into and out of guest memory. `fault`: faults of mapped memory as errors.

// The order is the layer list: a room uses only rooms above it.
mod error;
mod sys;
mod pages;
mod leaks;
mod ledger;
mod reserved;
mod span;
mod mapping;
mod placement;
mod region;
mod builder;
mod guest_region;

pub use builder::MmapRegionBuilder;
pub use error::{Error as MmapRegionError, Result as MmapRegionResult};
pub use guest_region::{FromRangesError, GuestRegionMmap};
pub use guest_volatile::NewBitmap;
#[cfg(feature = "fault")]
pub use guest_volatile::fault;
pub use leaks::leaked_bytes;
pub use placement::{Placement, Wish};
pub use region::MmapRegion;
pub use span::GuestSpan;

/// A memory map of mapped regions, whose writes are marked in bitmaps of type `B`.
pub type GuestMemoryMmap<B = ()> = guest_memory::GuestRegionCollection<GuestRegionMmap<B>>;
