//! A file without a name, for a region to map: a memfd.

use std::fs::File;
use std::io;

use nix::sys::memfd::{MFdFlags, memfd_create};

/// What it is.
pub(crate) const KIND: &str = "memfd";

/// A file of `len` zeros.
pub(crate) fn file(len: u64) -> io::Result<File> {
    let file = File::from(memfd_create("guest-ram", MFdFlags::MFD_CLOEXEC)?);
    file.set_len(len)?;
    Ok(file)
}
