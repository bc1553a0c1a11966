//! The machine as KVM on x86-64 runs it.

mod slots;
mod vm;
mod registers;
mod vcpu;

pub use self::slots::Memslot;
pub use self::vcpu::{Exit, Vcpu};
pub use self::vm::Vm;
