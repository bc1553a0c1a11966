//! What can go wrong with the machine or its guest.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;
use core::time::Duration;
use std::io;

/// The result of what this crate does.
pub type Result<T> = core::result::Result<T, Error>;

/// Direction of an access to guest memory, as seen by the one who makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It reads.
    Read,
    /// It writes.
    Write,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Access::Read => "read",
            Access::Write => "write",
        })
    }
}

/// Why the machine could not do what it was asked, or how the guest ended when it should not.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The hypervisor refused a call.
    #[error("{call} failed")]
    Kvm {
        /// The call, by the name the kernel's documentation gives it.
        call: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The hypervisor is there, but lacks something this machine needs.
    #[error("this KVM {lack}")]
    Unfit {
        /// What it lacks.
        lack: &'static str,
    },
    /// There is no memslot of this number: it was unplugged, or belongs to another machine.
    #[error("memslot {number} is not plugged")]
    NoSuchSlot {
        /// The slot's number.
        number: u32,
    },
    /// Host code could not access guest memory.
    #[error("cannot {access} guest memory at {at:#x}")]
    Memory {
        /// Guest physical address.
        at: u64,
        /// What was attempted.
        access: Access,
        /// What the memory says about it.
        source: Box<dyn core::error::Error + Send + Sync>,
    },
    /// The guest accessed an address where no memory is plugged.
    #[error("the guest tried to {access} at {at:#x}, where no memory is")]
    Hole {
        /// Guest physical address.
        at: u64,
        /// What the guest attempted.
        access: Access,
    },
    /// The guest faulted, or its memory was taken away. It has no fault handler, so either ends it.
    #[error("the guest shut down at instruction {instruction:#x}, last page fault at {fault:#x}")]
    Shutdown {
        /// Guest virtual address of the instruction (equal to its physical address here).
        instruction: u64,
        /// The guest's CR2; zero when it never had a page fault.
        fault: u64,
    },
    /// The guest left KVM for a reason that its program has not.
    #[error("unexpected exit of the guest: {exit}")]
    UnexpectedExit {
        /// The exit, for a person to read.
        exit: String,
    },
    /// An address or a size that the page tables cannot express.
    #[error("page tables cannot reach {reach:#x} bytes from {at:#x}")]
    Reach {
        /// Where the tables would start.
        at: u64,
        /// How far they were to reach.
        reach: u64,
    },
    /// A command was sent while the guest was still busy with the one before.
    #[error("the guest has not answered command {ticket} yet")]
    Busy {
        /// Number of the command in progress.
        ticket: u64,
    },
    /// The guest did not answer a command in time. It may still do so.
    #[error("the guest did not answer command {ticket} within {limit:?}")]
    Silent {
        /// Number of the command.
        ticket: u64,
        /// How long the host waited.
        limit: Duration,
    },
    /// The guest ended, without a fault, before it answered a command.
    #[error("the guest ended before it answered command {ticket}")]
    Gone {
        /// Number of the command.
        ticket: u64,
    },
    /// The guest did not end in time and was stopped by force.
    #[error("the guest did not end within {limit:?} and was stopped")]
    Stuck {
        /// How long the host waited before it used force.
        limit: Duration,
    },
    /// The guest's thread was told to end. The host does not see this, but what it was waiting for.
    #[error("the guest was told to end")]
    Stopped,
    /// The guest's thread could not be started.
    #[error("cannot start a thread for the guest")]
    Thread {
        /// The system's answer.
        source: io::Error,
    },
    /// The guest's thread panicked: a defect of this crate.
    #[error("the guest's thread panicked")]
    Panicked,
}
