//! Files of the tests, and how many system calls were made on them.

use std::fs::File;
use std::path::{Path, PathBuf};

/// A file that is gone when the test is.
pub(crate) struct TempFile(pub(crate) PathBuf);

impl TempFile {
    pub(crate) fn new(name: &str, content: &[u8]) -> Self {
        let name = format!("{name}-{}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&path, content).expect("a directory for tests");
        Self(path)
    }

    pub(crate) fn open(&self) -> File {
        File::open(&self.0).expect("it was just made")
    }

    /// Opens it for reading and writing.
    pub(crate) fn open_both(&self) -> File {
        File::options().read(true).write(true).open(&self.0).expect("it was just made")
    }

    pub(crate) fn content(&self) -> Vec<u8> {
        std::fs::read(&self.0).expect("it was just made")
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// How many system calls that read and that write this thread has made, if the system counts.
fn counted() -> Option<(usize, usize)> {
    // An emulator's own are among them.
    if super::emulator().is_some() {
        return None;
    }
    let io = std::fs::read_to_string("/proc/thread-self/io").ok()?;
    let number = |name| io.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    Some((number("syscr:")?, number("syscw:")?))
}

/// What `operation` returns, and how many system calls that read and that write it made, if the system counts.
pub(crate) fn system_calls_of<T>(operation: impl FnOnce() -> T) -> (T, Option<(usize, usize)>) {
    let (before, again) = (counted(), counted());
    let result = operation();
    let after = counted();
    let calls = || {
        let ((before, _), (reads, writes)) = (before?, again?);
        let (reads_after, writes_after) = after?;
        // To look costs reads, too: as many each time.
        Some((reads_after - reads - (reads - before), writes_after - writes))
    };
    (result, calls())
}
