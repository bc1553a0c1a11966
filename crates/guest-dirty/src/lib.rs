//! Dirty page bitmaps for guest memory: mark, harvest, merge.
//!
//! An [`AtomicBitmap`] holds one bit for each page of a piece of memory. Whoever writes a page sets
//! its bit; whoever copies the memory elsewhere (a migration, a snapshot) takes the bits and copies
//! the pages that they name.
//!
//! ```
//! use guest_dirty::{AtomicBitmap, DEFAULT_PAGE_SIZE};
//! use guest_volatile::Bitmap;
//!
//! let bitmap = AtomicBitmap::new(0x10_0000, DEFAULT_PAGE_SIZE);
//! bitmap.mark_dirty(0x1ff8, 0x10); // after a write that crosses from page 1 into page 2
//!
//! let harvest = bitmap.take()?;
//! for run in harvest.runs() {
//!     assert_eq!(run, 0x1000..0x3000); // copy these bytes
//! }
//! harvest.commit(); // they are safe; without this line the bits would be put back
//! # Ok::<(), guest_dirty::TakeError>(())
//! ```
//!
//! # What it guarantees
//!
//! - No mark is lost. A mark is in exactly one harvest, or still in the bitmap; a harvest that is
//!   not [committed](Harvest::commit) puts its bits back, also when a panic unwinds through it.
//!   (The one way to lose bits is to leak the token, as with [`core::mem::forget`].)
//! - No mark is dropped in silence. What lies past the end of the bitmap has no bit to set; it
//!   leaves an [`Overrun`] behind, and there is no harvest until somebody
//!   [acknowledges](AtomicBitmap::acknowledge_overrun) it.
//! - A page may be copied without need: a harvest may see bytes whose mark is left for the next
//!   one. Never the other way round.
//!
//! # Who races with whom
//!
//! There are three parties. *Writers* put bytes into guest memory and mark them afterwards.
//! *Harvesters* take bits and read the pages afterwards. The guest itself writes too, and the
//! hypervisor keeps the log of that; it gets in by [`merge_words`](AtomicBitmap::merge_words),
//! whose caller is a writer like any other. Nobody waits for anybody.
//!
//! The pair that makes a harvest right is the mark and the take: the mark is a `fetch_or` with
//! release, the take a `swap` with acquire, of the same word. Both are a single step, so one of
//! them is first. If the mark is, then the take returns its bit, and what the writer did before the
//! mark is visible to what the harvester does after the take: it reads the new bytes. (Other marks
//! of the word in between change nothing: each of them is a read-modify-write, so the take pairs
//! with all that came before it.) If the take is first, then the bit stays for the next harvest.
//! The harvester may have seen some of the new bytes already; the page will then be copied again,
//! which is harmless. What would lose bytes is a mark before its write, or a copy before its take.
//!
//! The second pair is the harvest that puts its bits back, a `fetch_or` with release, and the take
//! of the next harvester: it sees what the first had seen, though it never met the writer.
//!
//! The take is a release too. No mark relies on this; it orders two harvesters of a word, each
//! seeing what the other had done before its own take.
//!
//! A word without bits is skipped by a plain load. If that load misses a mark of just now, then the
//! take was first. Before the *last* harvest the writers must be stopped, by something that orders
//! them before it (a join, a lock, a pause of the virtual CPUs): then nothing is left to be missed.
//!
//! # What it costs
//!
//! A mark is one locked instruction for each 64 pages that it touches; a page size that is a power
//! of two makes the rest a shift and two compares. A harvest reads all words, and locks those that
//! have bits.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

// The order is the layer list: a room uses only rooms above it.
mod error;
mod discipline;
mod masks;
mod pages;
mod taken;
mod words;
mod slice;
mod bitmap;
mod runs;
mod scan;
mod harvest;
mod merge;
mod switched;

pub use bitmap::{AtomicBitmap, DEFAULT_PAGE_SIZE};
pub use discipline::Marking;
pub use error::{BitmapError, Overrun, TakeError};
pub use harvest::{Harvest, HarvestBuffer};
pub use slice::{ArcSlice, BaseSlice, RefSlice};
pub use switched::SwitchedBitmap;
