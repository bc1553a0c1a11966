//! A virtual machine small enough to read: one guest program, run by KVM in ring 3, that works in
//! the memory it was given while the host works in the same memory.
//!
//! # How it works
//!
//! [`Boot`] writes a [`Program`], [page tables](page_tables) and an empty [`Mailbox`] into guest
//! RAM. [`Guest::on_kvm`] starts a virtual CPU on them in a thread; [`Guest::stand_in`] starts a
//! thread that plays the same program through [`Words`], for machines without `/dev/kvm`. From there
//! on the two look alike: the host writes a [`Command`] into the mailbox, the guest finds it by
//! polling, does it and writes its answer beside it. Nothing but memory passes between them, so the
//! host may plug and unplug memory while the guest runs ([`Vm::plug`], [`Vm::unplug`]).
//!
//! # Why the guest has no kernel
//!
//! The virtual CPU starts in 64-bit mode, with paging on, at privilege level 3, and stays there.
//! There is no ring 0 code, no descriptor table and no interrupt table: nothing in this machine can
//! raise an interrupt (it has no interrupt controller, and interrupts are off), and a fault with
//! no handler shuts the machine down, which [`Vcpu::run`] reports as [`Error::Shutdown`]. It also
//! makes the guest fast on a KVM that runs user code directly but emulates a guest's kernel (PVM).
//!
//! # What it guarantees
//!
//! - Memory that a guest can reach stays mapped: [`Vm`] owns a share of what is plugged, and so does
//!   every [`Vcpu`]. The one unsafe call is in `kvm/slots.rs`, the promise that it relies on is
//!   [`Lendable`].
//! - Nothing waits without a limit, and no thread is left in a guest that does not answer: see
//!   [`Guest`].

extern crate alloc;

// The order is the layer list: a room uses only rooms above it.
mod error;
mod words;
mod lend;
mod dirty;
mod checksum;
mod mailbox;
mod assembler;
mod program;
pub mod page_tables;
mod boot;
#[cfg_attr(not(all(target_os = "linux", target_arch = "x86_64")), path = "no_kvm.rs")]
mod kvm;
mod signs;
mod stand_in;
mod guest;

pub use self::boot::Boot;
pub use self::checksum::Checksum;
pub use self::dirty::{DirtyLog, PAGE_SIZE, pages_in};
pub use self::error::{Access, Error, Result};
pub use self::guest::{Guest, Summary};
pub use self::kvm::{Exit, Memslot, Vcpu, Vm};
pub use self::lend::Lendable;
pub use self::mailbox::{Command, Mailbox, State, Ticket};
pub use self::program::Program;
pub use self::words::Words;

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../../docs/memory-model.md")]
struct MemoryModel;
