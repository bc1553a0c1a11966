//! No handler, where no instruction has an entry in a table.

use std::io;

pub(super) fn install() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn is_installed() -> bool {
    false
}
