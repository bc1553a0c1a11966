//! A file without a name, for a region to map, where there is no memfd: one that is removed while it is open.

use std::env;
use std::fs::{self, File};
use std::io;
use std::process;

/// What it is.
pub(crate) const KIND: &str = "unlinked file";

/// A file of `len` zeros.
pub(crate) fn file(len: u64) -> io::Result<File> {
    let path = env::temp_dir().join(format!("guest-ram-{}", process::id()));
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    fs::remove_file(&path)?;
    file.set_len(len)?;
    Ok(file)
}
