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
//! *Harvesters* clear bits and read the pages afterwards. The guest itself writes too, and the
//! hypervisor keeps the log of that; it gets in by [`merge_words`](AtomicBitmap::merge_words),
//! whose caller is a writer like any other. Nobody waits for anybody. All of them are threads of one
//! process: a bitmap cannot be shared with another.
//!
//! What would lose bytes is a mark before its write, a copy before its take, and a writer who finds a bit set that
//! is about to be cleared, and whose bytes come after the copy.
//!
//! ## Strict marks
//!
//! The pair that makes a harvest right is the mark and the take: the mark is a `fetch_or` with
//! release, the take a `swap` with acquire, of the same word. Both are a single step, so one of
//! them is first. If the mark is, then the take returns its bit, and what the writer did before the
//! mark is visible to what the harvester does after the take: it reads the new bytes. (Other marks
//! of the word in between change nothing: each of them is a read-modify-write, so the take pairs
//! with all that came before it.) If the take is first, then the bit stays for the next harvest.
//! The harvester may have seen some of the new bytes already; the page will then be copied again,
//! which is harmless.
//!
//! ## Checked marks
//!
//! Most pages that are written were written a moment ago, and a locked instruction costs more than the write. So, where the system
//! allows it, a mark looks first, and does no more if the bit is set. By itself that is wrong. The bytes of the
//! write may still be on their way to memory (in the store buffer of the CPU) when the bit is looked at; a harvester that
//! clears the bit right after the look, and reads the page, does not see them, and no bit is left to say so. It is
//! Dekker's pattern, each side writes one thing and then reads the other's, and needs a full barrier on both sides,
//! which costs as much as the locked instruction. [`Fence`](guest_volatile::Fence) lets the harvester pay for both:
//!
//! | writer | harvester |
//! |---|---|
//! | 1. writes the bytes | 1. clears bits |
//! | 2. light half: the compiler keeps the order | 2. heavy half: a barrier in every thread of the process |
//! | 3. looks at the bit, and is done if it is set | 3. reads the pages |
//!
//! Take a writer who found the bit set, and the first clearing of that bit in the order of the word's changes that comes
//! after the value that the writer saw. (If there is none the bit is still there.) Whoever cleared it called the heavy half
//! afterwards, which has a moment in the writer's thread. The look cannot come after that moment, as it would have seen the
//! clearing or something later. So it came before, and the bytes, which were written before the look, are visible to all that the harvester
//! reads after the fence. It does not matter who set the bit that the writer saw, nor when: another writer, a harvest that put it
//! back, a merge. A writer who finds the bit clear sets it by a `fetch_or`, and is a strict one.
//!
//! So *every* clearing owes a fence before its pages are read: harvests, and the methods that are called `reset`
//! as well. One is enough for all words that were cleared, and [for all bitmaps](AtomicBitmap::take_all). Where no bit was
//! cleared, none is owed. An [exclusive](AtomicBitmap::take_mut) harvest owes none either: whoever has the only
//! reference is ordered after all writers.
//!
//! Bytes that another party wrote, and of which the writer knows, count as the writer's: those that the kernel or a device put
//! into memory before a read returned. To know of them orders them before the look.
//!
//! A mark of whole words stores them, where it would have to lock 64 pages at a time. A store ends the chain by which a take pairs with
//! older marks of the word. The fence orders these, too: they set their bits before its moment. So strict marks never store.
//!
//! ## When the fence fails
//!
//! A filter of system calls may come after the bitmap. Then the harvest puts its bits back and is refused, marks are strict for good, and
//! the bitmap is [unsettled](AtomicBitmap::is_unsettled): a mark that looked before may still be on its way, and a strict
//! harvest knows nothing of it. So later harvests call the fence again. If it succeeds once, no mark that looked is left, and
//! harvests need no fence from then on. If it never does, somebody who has met all writers says
//! [`settle`](AtomicBitmap::settle). The methods without a result leave the bits that they were to clear.
//!
//! ## The summary
//!
//! A second row of bits says which words have any, so that a harvest looks at 1/64 of the words, and at those that are dirty. It may say
//! so of a word that has none, never the other way round:
//!
//! | mark | take |
//! |---|---|
//! | 1. sets the bit in the word, or sees it set | 1. clears the bits of the summary |
//! | 2. looks at the bit of the summary, and sets it if it is clear | 2. looks at these words, and clears them |
//!
//! This is Dekker's pattern again, but each side has a locked instruction first, so that to be right costs nothing more: all four are
//! sequentially consistent. If the mark's look at the summary comes before the take's clearing of it in that order, then so does the
//! bit in the word, and the take finds it. If it comes after, it finds the bit of the summary clear, and sets it for the next harvest. In
//! the other order of steps, either the mark's or the take's, a bit could be left in a word of which nobody knows.
//!
//! A mark that sees its bit set goes on to the summary as well. Whoever set the bit may be between the two steps; to rely on them
//! would make a mark that has returned invisible to a harvest that comes after it. Its look at the word is an acquire, so that who sees a
//! bit that was set after a take sees what that take did to the summary, too.
//!
//! ## The switch
//!
//! [`SwitchedBitmap`] is the same argument with "off" in the place of "set": its `start` turns the switch and then calls the fence.
//! Its bits are allocated by the first `start`, before that turns the switch; until then a writer finds none, which is "off" as well.
//!
//! ## The rest
//!
//! A harvest that puts its bits back does so by a `fetch_or` with release; the take of the next harvester pairs with it, and
//! sees what the first had seen, though it never met the writer.
//!
//! What is clear is skipped by a plain load. If that load misses a mark of just now, then the
//! take was first. Before the *last* harvest the writers must be stopped, by something that orders
//! them before it (a join, a lock, a pause of the virtual CPUs): then nothing is left to be missed.
//!
//! `tests/model.rs` goes through all schedules of these protocols on a model of a CPU with store buffers, and shows
//! that each of these steps is needed. `tests/litmus.rs` tries the real thing. Strict marks need no fence, so loom goes through their
//! schedules on the code itself: `tests/schedules.rs`, which `cargo xtask ci loom` runs.
//!
//! # What it costs
//!
//! A mark of a page that is dirty already is 25 instructions, none of them locked. Other marks are one locked instruction for each
//! 64 pages that they touch, and one for the summary. A harvest is a load for each 4096 pages, and a locked instruction for
//! each 64 that have bits; if it has any, the fence (a system call, and an interrupt for every CPU that runs a thread
//! of the process). To make a bitmap is one system call.
//!
//! # Features
//!
//! `fence` (default): checked marks, on Linux on x86-64 and arm64. They need `membarrier(2)`, in the threads that make bitmaps and in those
//! that harvest: **a seccomp filter that kills must allow it**, or the feature must be off, or bitmaps be made by
//! [`new_strict`](AtomicBitmap::new_strict).

#![forbid(unsafe_code)]

extern crate alloc;

// The order is the layer list: a room uses only rooms above it.
mod error;
mod sync;
mod discipline;
mod masks;
mod pages;
mod taken;
mod live;
mod words;
mod past_end;
mod slice;
mod bitmap;
mod mark;
mod reset;
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
