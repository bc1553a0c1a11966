//! Guest-physical addresses and ranges: the numbers by which a guest's memory is named.
//!
//! A virtual machine monitor gets these numbers from a hostile party. A descriptor's address, a
//! register, a field of a table: the guest chose it, and may have chosen it so that adding a
//! length to it wraps. This crate is the arithmetic that such numbers need and nothing else. It
//! holds no memory, touches none and does not know whether there is any.
//!
//! # What is here
//!
//! * [`GuestAddress`] and [`MemoryRegionAddress`] are two newtypes over `u64`, so that a location
//!   of the machine is not taken for an offset into one of its regions. [`GuestUsize`] is the
//!   plain number that both are made of.
//! * [`Address`] is the arithmetic they share, and [`AddressValue`] names the integer behind an
//!   address; code that is generic over address types is written against these two.
//! * [`GuestRange`] is a non-empty range of guest-physical addresses. It is held by its inclusive
//!   ends, so that a range that ends at the last byte of the address space is a range like any
//!   other.
//!
//! ```
//! use guest_address::{Address, GuestAddress, GuestRange};
//!
//! // The guest says: a buffer of 0x200 bytes at 0x1f00. RAM is [0x1000, 0x1fff].
//! let ram = GuestRange::new(GuestAddress(0x1000), 0x1000).expect("not empty, does not wrap");
//! let buffer = GuestRange::new(GuestAddress(0x1f00), 0x200).expect("not empty, does not wrap");
//!
//! assert!(ram.contains(buffer.start()));
//! assert!(!ram.contains_range(&buffer));
//! assert_eq!(ram.intersection(&buffer).map(|part| part.len()), Some(0x100));
//!
//! // A buffer that would wrap is no range at all, so nobody can forget to check.
//! assert_eq!(GuestRange::new(GuestAddress(u64::MAX), 2), None);
//! assert_eq!(GuestAddress(u64::MAX).checked_add(1), None);
//! ```
//!
//! # What it guarantees
//!
//! * A method named `checked_…` returns `None` where there is no right answer: past either end of
//!   the address space, and for an alignment that is 0 or no power of two. It never panics.
//! * A method named `overflowing_…` wraps, and says whether it did.
//! * A method named `unchecked_…` leaves the check to its caller. A broken promise is a wrong
//!   number, or a panic in a build that checks for overflow; it is never undefined behaviour.
//! * Nothing here allocates. There is no unsafe code and no dependency, and the standard library
//!   is not needed.

#![no_std]
#![forbid(unsafe_code)]

// The layers, from the bottom: a room uses only rooms that are declared above it.
mod value;
mod address;
mod spaces;
mod range;

pub use address::Address;
pub use range::GuestRange;
pub use spaces::{GuestAddress, GuestUsize, MemoryRegionAddress};
pub use value::AddressValue;
