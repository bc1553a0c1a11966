//! Other Unix systems: no huge pages, no sizes of block devices, no names of open files.

use std::fs::File;

/// The flags by which a mapping would take an address of its own choice.
pub(crate) const FIXED_FLAGS: i32 = libc::MAP_FIXED;

/// The flags by which a mapping would grow by itself: none.
pub(crate) const GROWING_FLAGS: i32 = 0;

/// None is known.
pub(crate) fn huge_page_of_flags(_flags: i32) -> Option<usize> {
    None
}

/// None is known.
pub(crate) fn huge_page_of_file(_file: &File) -> Option<usize> {
    None
}

/// None is known.
pub(crate) fn block_device_size(_device: libc::dev_t) -> Option<u64> {
    None
}

/// None is known.
pub(crate) fn file_name(_file: &File) -> Option<String> {
    None
}
