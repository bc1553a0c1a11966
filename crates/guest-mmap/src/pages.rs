//! The sizes of pages.

use guest_memory::FileOffset;
use nix::unistd::{SysconfVar, sysconf};

use crate::sys;

/// The size of a page of this system in bytes, a power of two.
pub(crate) fn page_size() -> usize {
    // POSIX has no system without it.
    let size = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    size.and_then(|size| usize::try_from(size).ok()).unwrap_or(4096)
}

/// The size of the huge pages that a mapping has, if it has any.
pub(crate) fn huge_page(file: Option<&FileOffset>, flags: i32) -> Option<usize> {
    match file {
        // mmap(2) takes no other pages than the file's, whatever the flags.
        Some(place) => sys::huge_page_of_file(place.file()),
        None => sys::huge_page_of_flags(flags),
    }
}
