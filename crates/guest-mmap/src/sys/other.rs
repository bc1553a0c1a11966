//! Other Unix systems: no huge pages, no pages before they are used, no mappings that move, no sizes of block devices, no
//! device-dax, no names of open files.

#![expect(unsafe_code, reason = "has the functions that are unsafe elsewhere")]

use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::ptr::NonNull;

/// The flags by which a mapping would take an address of its own choice.
pub(crate) const FIXED_FLAGS: i32 = libc::MAP_FIXED;

/// The flags by which a mapping would grow by itself: none.
pub(crate) const GROWING_FLAGS: i32 = 0;

/// Whether a mapping can be moved.
pub(crate) const MOVES: bool = false;

/// None can be moved.
///
/// # Safety
///
/// Any call is safe.
pub(crate) unsafe fn move_mapping(
    _from: NonNull<u8>,
    _len: usize,
    _to: NonNull<u8>,
) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// There is no way to map only where nothing is.
pub(crate) fn reserve_hole(_addr: NonNull<u8>, _len: NonZeroUsize) -> bool {
    false
}

/// None are known.
pub(crate) fn allow_huge_pages(_addr: NonNull<u8>, _len: usize) -> io::Result<bool> {
    Ok(false)
}

/// There is no way.
pub(crate) fn populate_for_writing(_addr: NonNull<u8>, _len: usize) -> io::Result<bool> {
    Ok(false)
}

/// There is no way.
pub(crate) fn populate_for_reading(_addr: NonNull<u8>, _len: usize) -> io::Result<bool> {
    Ok(false)
}

/// The flags by which a mapping is of huge pages: none.
pub(crate) const HUGE_FLAGS: i32 = 0;

/// None is known.
pub(crate) fn huge_page_of_flags(_flags: i32) -> Option<usize> {
    None
}

/// None is known.
pub(crate) fn huge_page_of_file(_file: &File) -> io::Result<Option<usize>> {
    Ok(None)
}

/// There are no such devices.
pub(crate) fn dax_alignment(_file: &File) -> io::Result<Option<usize>> {
    Ok(None)
}

/// None is known.
pub(crate) fn block_device_size(_device: libc::dev_t) -> Option<u64> {
    None
}

/// None is known.
pub(crate) fn file_name(_file: &File) -> Option<String> {
    None
}
