//! Files to map.

#![allow(dead_code, reason = "each test binary takes what it needs")]

use std::fs::File;

use guest_memory::FileOffset;
use nix::sys::memfd::{MFdFlags, memfd_create};

/// An offset in a file that is a multiple of every page size there is.
pub(crate) const FAR: u64 = 0x1_0000;

/// A file in memory, of `len` bytes that are 0.
pub(crate) fn memfd(len: u64) -> File {
    let file = memfd_create("guest", MFdFlags::empty()).expect("the system has memfds");
    let file = File::from(file);
    file.set_len(len).expect("a memfd can have any length");
    file
}

/// The place `start` bytes into another descriptor of `file`.
pub(crate) fn place(file: &File, start: u64) -> FileOffset {
    FileOffset::new(file.try_clone().expect("there is room for a descriptor"), start)
}
