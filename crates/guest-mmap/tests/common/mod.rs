//! Files to map.

#![allow(dead_code, reason = "each test binary takes what it needs")]

use std::fs::File;
use std::ops::Range;

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

/// What this process has mapped, and how it may access it, as `/proc/self/maps` has it.
pub(crate) fn mappings() -> Vec<(Range<usize>, String)> {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("there is procfs");
    let mapping = |line: &str| {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let number = |text| usize::from_str_radix(text, 16).ok();
        Some((number(start)?..number(end)?, rest[..4].to_owned()))
    };
    maps.lines().filter_map(mapping).collect()
}

/// How this process may access the byte at `addr`, or `None` if nothing is mapped there.
pub(crate) fn access_at(addr: usize) -> Option<String> {
    mappings().into_iter().find(|(range, _)| range.contains(&addr)).map(|(_, access)| access)
}
