//! A place in a file that a region is mapped from.

use alloc::sync::Arc;
use std::fs::File;

/// A file, shared, and an offset in it: where the bytes of a region come from.
///
/// This crate hands it on, and neither reads nor maps the file.
#[derive(Clone, Debug)]
pub struct FileOffset {
    file: Arc<File>,
    start: u64,
}

impl FileOffset {
    /// The place `start` bytes into `file`.
    pub fn new(file: File, start: u64) -> Self {
        Self::from_arc(Arc::new(file), start)
    }

    /// The place `start` bytes into a file that is shared already.
    pub fn from_arc(file: Arc<File>, start: u64) -> Self {
        Self { file, start }
    }

    /// The file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The file, to share it.
    pub fn arc(&self) -> &Arc<File> {
        &self.file
    }

    /// The offset in bytes from the start of the file.
    pub fn start(&self) -> u64 {
        self.start
    }
}
