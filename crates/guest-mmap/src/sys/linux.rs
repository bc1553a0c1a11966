//! What Linux has of its own: huge pages, sizes of block devices, and names of open files.

use std::fs::{self, File};
use std::os::fd::AsRawFd;

use nix::sys::stat::{major, minor};
use nix::sys::statfs::{HUGETLBFS_MAGIC, fstatfs};

/// The flags by which a mapping would take an address of its own choice.
pub(crate) const FIXED_FLAGS: i32 = libc::MAP_FIXED | libc::MAP_FIXED_NOREPLACE;

/// The flags by which a mapping would grow by itself.
pub(crate) const GROWING_FLAGS: i32 = libc::MAP_GROWSDOWN;

/// The size of the huge pages that an anonymous mapping with these flags has, if it has any.
///
/// `mmap(2)`: six bits from `MAP_HUGE_SHIFT` on are the logarithm of the size; none means the default size.
pub(crate) fn huge_page_of_flags(flags: i32) -> Option<usize> {
    if flags & libc::MAP_HUGETLB == 0 {
        return None;
    }
    match (flags >> libc::MAP_HUGE_SHIFT) & libc::MAP_HUGE_MASK {
        0 => default_huge_page(),
        log => 1_usize.checked_shl(log.unsigned_abs()),
    }
}

/// The size of the huge pages of a file, if it is on hugetlbfs (as a memfd of huge pages is).
pub(crate) fn huge_page_of_file(file: &File) -> Option<usize> {
    let status = fstatfs(file).ok()?;
    if status.filesystem_type() != HUGETLBFS_MAGIC {
        return None;
    }
    usize::try_from(status.block_size()).ok()
}

/// The size of a block device in bytes, which `fstat(2)` does not tell.
///
/// The kernel's `sysfs-block`: "size", in sectors of 512 bytes, whatever the device's own are.
pub(crate) fn block_device_size(device: libc::dev_t) -> Option<u64> {
    let size = format!("/sys/dev/block/{}:{}/size", major(device), minor(device));
    fs::read_to_string(size).ok()?.trim().parse::<u64>().ok()?.checked_mul(512)
}

/// `proc_meminfo(5)`: "Hugepagesize", in KiB.
fn default_huge_page() -> Option<usize> {
    let meminfo = fs::read_to_string("/proc/meminfo").ok()?;
    let line = meminfo.lines().find_map(|line| line.strip_prefix("Hugepagesize:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()?.checked_mul(1024)
}

/// The name of an open file, for a person to read.
pub(crate) fn file_name(file: &File) -> Option<String> {
    let link = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()?;
    Some(link.to_string_lossy().into_owned())
}
