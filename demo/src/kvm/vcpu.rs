//! A virtual CPU, and the reasons for which it comes back.

use alloc::format;
use alloc::string::String;

use kvm_ioctls::{VcpuExit, VcpuFd};

use super::registers;
use super::vm::{Vm, refused};
use crate::boot::Boot;
use crate::error::{Access, Error, Result};

/// Why a virtual CPU came back, for a reason that a guest may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exit {
    /// It executed `out`. To run it again goes on behind that.
    Out {
        /// The port it wrote to.
        port: u16,
    },
    /// It accessed an address where no memory is plugged. To run it again lets a write
    /// vanish and a read find zeros.
    Hole {
        /// Guest physical address.
        at: u64,
        /// What it attempted.
        access: Access,
    },
}

/// A virtual CPU. It runs on the thread that calls [`run`](Vcpu::run), which may be any.
#[derive(Debug)]
pub struct Vcpu {
    // The order matters: the guest's memory must not go before the CPU that uses it.
    fd: VcpuFd,
    _vm: Vm,
}

impl Vcpu {
    /// Makes a virtual CPU that will start with what `boot` describes.
    ///
    /// # Errors
    ///
    /// When KVM refuses.
    pub fn new(vm: &Vm, boot: &Boot) -> Result<Self> {
        let fd = vm.create_vcpu()?;
        registers::set(&fd, boot)?;
        Ok(Self { fd, _vm: vm.clone() })
    }

    /// Runs the guest until it exits.
    ///
    /// A signal that interrupts the call is handled by its handler and has no other meaning: the guest
    /// goes on. To end a guest from outside, ask it, or take its memory ([`Vm::unplug_all`]).
    ///
    /// # Errors
    ///
    /// [`Error::Shutdown`] when the guest faulted, [`Error::UnexpectedExit`] for an exit that no
    /// program of ours has, [`Error::Kvm`] when KVM cannot run it.
    pub fn run(&mut self) -> Result<Exit> {
        loop {
            let unexpected = match self.fd.run() {
                Ok(VcpuExit::IoOut(port, _)) => return Ok(Exit::Out { port }),
                Ok(VcpuExit::MmioWrite(at, _)) => {
                    return Ok(Exit::Hole { at, access: Access::Write });
                }
                Ok(VcpuExit::MmioRead(at, data)) => {
                    data.fill(0); // What the next run gives to the guest.
                    return Ok(Exit::Hole { at, access: Access::Read });
                }
                Ok(VcpuExit::Shutdown) => None,
                Ok(exit) => Some(format!("{exit:?}")),
                Err(errno) if errno.errno() == EINTR => continue,
                Err(errno) => return Err(refused("KVM_RUN", errno)),
            };
            return Err(self.ended(unexpected));
        }
    }

    /// The error for an end of the guest: a shutdown, or an exit that nobody expects.
    fn ended(&self, unexpected: Option<String>) -> Error {
        if let Some(exit) = unexpected {
            return Error::UnexpectedExit { exit };
        }
        match (self.fd.get_regs(), self.fd.get_sregs()) {
            (Ok(general), Ok(special)) => {
                Error::Shutdown { instruction: general.rip, fault: special.cr2 }
            }
            (Err(errno), _) => refused("KVM_GET_REGS", errno),
            (_, Err(errno)) => refused("KVM_GET_SREGS", errno),
        }
    }
}

/// The error of a call that a signal interrupted; the same number on every Linux.
const EINTR: i32 = 4;
