//! The machine where there is no KVM on x86-64: none can be made, so the types have no values.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::convert::Infallible;

use crate::boot::Boot;
use crate::dirty::DirtyLog;
use crate::error::{Access, Error, Result};
use crate::lend::Lendable;

/// A virtual machine; there is none on this platform.
#[derive(Clone, Debug)]
pub struct Vm(Infallible);

/// A range of plugged memory; there is none on this platform.
#[derive(Debug)]
pub struct Memslot(Infallible);

/// A virtual CPU; there is none on this platform.
#[derive(Debug)]
pub struct Vcpu(Infallible);

/// Why a virtual CPU came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exit {
    /// It executed `out`.
    Out {
        /// The port it wrote to.
        port: u16,
    },
    /// It accessed an address where no memory is plugged.
    Hole {
        /// Guest physical address.
        at: u64,
        /// What it attempted.
        access: Access,
    },
}

const REASON: &str = "is not on this platform: the guest's programs are for Linux on x86-64";

impl Memslot {
    /// The number of the slot.
    #[must_use]
    pub fn number(&self) -> u32 {
        match self.0 {}
    }

    /// First guest physical address of the slot.
    #[must_use]
    pub fn guest_phys(&self) -> u64 {
        match self.0 {}
    }

    /// Bytes of the slot.
    #[must_use]
    pub fn len(&self) -> usize {
        match self.0 {}
    }

    /// Whether the slot has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self.0 {}
    }
}

impl Vm {
    /// Says that no machine can be made here.
    ///
    /// # Errors
    ///
    /// Always.
    pub fn available() -> core::result::Result<(), String> {
        Err(alloc::format!("KVM {REASON}"))
    }

    /// Makes no machine.
    ///
    /// # Errors
    ///
    /// Always [`Error::Unfit`].
    pub fn new() -> Result<Self> {
        Err(Error::Unfit { lack: REASON })
    }

    /// Plugs memory in.
    ///
    /// # Errors
    ///
    /// Never called.
    pub fn plug<M: Lendable>(&self, _: u64, _: Arc<M>, _: DirtyLog) -> Result<Memslot> {
        match self.0 {}
    }

    /// Unplugs memory.
    ///
    /// # Errors
    ///
    /// Never called.
    pub fn unplug(&self, _: Memslot) -> Result<()> {
        match self.0 {}
    }

    /// Unplugs all memory.
    ///
    /// # Errors
    ///
    /// Never called.
    pub fn unplug_all(&self) -> Result<()> {
        match self.0 {}
    }

    /// Fetches a dirty log.
    ///
    /// # Errors
    ///
    /// Never called.
    pub fn dirty_log(&self, _: &Memslot) -> Result<Vec<u64>> {
        match self.0 {}
    }
}

impl Vcpu {
    /// Makes a virtual CPU.
    ///
    /// # Errors
    ///
    /// Never called.
    pub fn new(vm: &Vm, _: &Boot) -> Result<Self> {
        match vm.0 {}
    }

    /// Runs the guest.
    ///
    /// # Errors
    ///
    /// Never called.
    pub fn run(&mut self) -> Result<Exit> {
        match self.0 {}
    }
}
