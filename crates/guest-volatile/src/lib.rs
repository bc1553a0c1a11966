//! The one crate that touches guest bytes.
//!
//! A [`VolatileSlice`] is a piece of memory that others change at the same time: a guest, a device, another
//! process. It is read and written by methods that take an offset and check it; no reference to its
//! bytes ever exists. Writes are marked in a dirty [`Bitmap`], whose view the slice carries along.
//!
//! ```
//! use guest_volatile::{Le32, VolatileSlice};
//!
//! let mut ram = vec![0u8; 4096];
//! let memory = VolatileSlice::from(&mut ram[..]);
//! memory.write_obj(Le32::from(7), 0x10)?;
//! assert_eq!(memory.read_obj::<Le32>(0x10)?.to_native(), 7);
//!
//! let mut file = &b"from a file"[..];
//! memory.read_exact_volatile_from(0x20, &mut file, 4)?;
//! assert_eq!(memory.read_obj::<[u8; 4]>(0x20)?, *b"from");
//! # Ok::<(), guest_volatile::Error>(())
//! ```
//!
//! # Valid
//!
//! The safety of all memory access here rests on one notion. A range of `len` bytes at an address is **valid**
//! for a lifetime if, for all of that lifetime:
//!
//! - `len` is at most `isize::MAX`, and the range does not wrap around the address space;
//! - the whole range is mapped, for reading (*valid for reading*), or for both reading and writing (*valid for
//!   writing*). An access may fault all the same, because the file behind it ends before, and never does anything but that;
//! - no reference of Rust to any of its bytes is used, except of an exclusive borrow that was lent for
//!   that lifetime;
//! - whoever else accesses it — this crate from another thread, a guest's CPU, a device, the kernel — does so by
//!   volatile or atomic accesses, or from outside of the program. Any of them may do so at any time.
//!
//! A range without bytes is valid at any address. A part of a valid range is valid.
//!
//! # What an access does
//!
//! It is a single instruction of its width where that is promised (1, 2, 4, 8 bytes, aligned on the host; 8 where
//! a register holds as many), and a copy of each byte exactly once elsewhere. On x86-64 and aarch64 these are inline assembly, elsewhere volatile accesses of
//! words; the compiler cannot tear, repeat, merge or drop them. Where the memory faults, on Linux there, it is an error of the access, if the program asked for that
//! (feature `fault`). What orders them against each other is said
//! in `docs/memory-model.md`: nothing, unless you use `load` and `store` with an ordering.
//!
//! # Features
//!
//! `no_std` without default features. `alloc`: [`OwnedSlice`], [`OwnedSlices`], [`OwnedWindow`], streams into a `Vec<u8>`. `std` (default):
//! `io::Error` as a cause. `rawfd`: streams and positional transfers over file descriptors, `iovec`s. `fence`: [`Fence`] by `membarrier(2)`; without it
//! there is none to be had. `fault`: faults on guest memory become errors, after one call in a program. `zerocopy`: `byte_valued!`.

#![cfg_attr(not(feature = "std"), no_std)]
#![warn(clippy::std_instead_of_core, clippy::std_instead_of_alloc)]

#[cfg(feature = "alloc")]
extern crate alloc;

// The order is the layer list: a room uses only rooms above it.
mod error;
mod fence;
mod sys;
#[cfg(feature = "fault")]
pub mod fault;
mod access;
mod bitmap;
mod slice;
mod stretch;
mod pointer;
mod byte_valued;
mod object;
mod quick;
mod endian;
mod atomic_integer;
mod atomic;
mod reference;
mod array;
mod guard;
mod memory;
mod list;
mod placed;
mod stream;
mod positional;
#[cfg(feature = "rawfd")]
mod iovec;
#[cfg(feature = "rawfd")]
mod fd;
#[cfg(feature = "rawfd")]
mod fd_at;
#[cfg(feature = "rawfd")]
mod lent_iovecs;
#[cfg(feature = "alloc")]
mod owned;
#[cfg(feature = "alloc")]
mod owned_entry;
#[cfg(feature = "alloc")]
mod owned_list;
#[cfg(feature = "alloc")]
mod owned_slices;
#[cfg(feature = "alloc")]
mod window;

pub use array::VolatileArrayRef;
pub use atomic_integer::{AtomicAccess, AtomicInteger, AtomicUpdate};
pub use bitmap::{BS, Bitmap, BitmapSlice, Both, NewBitmap, WithBitmapSlice};
#[cfg(feature = "zerocopy")]
#[doc(hidden)]
pub use byte_valued::__private;
pub use byte_valued::ByteValued;
pub use endian::{Be16, Be32, Be64, BeSize, Le16, Le32, Le64, LeSize};
pub use error::{Access, Error, Result, WindowError};
pub use fence::{Fence, FenceError};
pub use guard::{PtrGuard, PtrGuardMut};
#[cfg(feature = "rawfd")]
pub use lent_iovecs::{AsIovecs, Iovecs, IovecsMut};
pub use memory::{VolatileMemory, compute_offset};
#[cfg(feature = "alloc")]
pub use owned::{OwnedSlice, SliceOf};
#[cfg(feature = "alloc")]
pub use owned_list::OwnedList;
#[cfg(feature = "alloc")]
pub use owned_slices::{OwnedSlices, Place};
pub use placed::PlacedSlice;
pub use pointer::{HostPtr, HostPtrMut};
pub use positional::{ReadVolatileAt, WriteVolatileAt};
pub use reference::VolatileRef;
pub use slice::{MmapInfo, VolatileSlice};
pub use stream::{ReadVolatile, WriteVolatile};
pub use stretch::Stretch;
#[cfg(feature = "alloc")]
pub use window::OwnedWindow;
