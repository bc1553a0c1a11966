//! Memory that the system would not take back.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that could not be unmapped.
static LEAKED: AtomicUsize = AtomicUsize::new(0);

/// The bytes of all mappings of this process that could not be unmapped when they were dropped.
///
/// It is 0 unless the system refuses: it does so for memory that somebody has sealed, and where the rest of a
/// mapping would be one mapping more than a process may have. It is here because a destructor has nobody to tell;
/// [`MmapRegion::unmap`](crate::MmapRegion::unmap) tells its caller.
pub fn leaked_bytes() -> usize {
    LEAKED.load(Ordering::Relaxed)
}

/// Counts bytes that could not be unmapped.
pub(crate) fn count(bytes: usize) {
    LEAKED.fetch_add(bytes, Ordering::Relaxed);
}
