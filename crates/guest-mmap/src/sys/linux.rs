//! What Linux has of its own: huge pages, pages before they are used, mappings that move, sizes of block devices, and names of
//! open files.

#![expect(unsafe_code, reason = "moves mappings, maps where nothing is, and gives advice on pages")]

use std::fs::{self, File};
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::sys::mman::{
    MRemapFlags, MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous, mremap, munmap,
};
use nix::sys::stat::{major, minor};
use nix::sys::statfs::{HUGETLBFS_MAGIC, fstatfs};

/// The flags by which a mapping would take an address of its own choice.
pub(crate) const FIXED_FLAGS: i32 = libc::MAP_FIXED | libc::MAP_FIXED_NOREPLACE;

/// The flags by which a mapping would grow by itself.
pub(crate) const GROWING_FLAGS: i32 = libc::MAP_GROWSDOWN;

/// Whether a mapping can be moved.
pub(crate) const MOVES: bool = true;

/// Moves the mapping of `len` bytes at `from` to `to`, in the place of what is mapped there.
///
/// # Safety
///
/// Both ranges must be mapped, must not overlap, must belong to the caller alone, and must not be accessed meanwhile.
pub(crate) unsafe fn move_mapping(
    from: NonNull<u8>,
    len: usize,
    to: NonNull<u8>,
) -> io::Result<()> {
    let flags = MRemapFlags::MREMAP_MAYMOVE.union(MRemapFlags::MREMAP_FIXED);
    // SAFETY: what is moved and what is replaced belongs to the caller, who promises that nobody accesses either.
    unsafe { mremap(from.cast(), len, len, flags, Some(to.cast())) }?;
    Ok(())
}

/// Maps `len` bytes at `addr`, private, without access and not reserved, if nothing at all is mapped there. Says whether.
pub(crate) fn reserve_hole(addr: NonNull<u8>, len: NonZeroUsize) -> bool {
    let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE | MapFlags::MAP_FIXED_NOREPLACE;
    // SAFETY: the flag says to replace no other mapping.
    let mapped = unsafe { mmap_anonymous(Some(addr.addr()), len, ProtFlags::PROT_NONE, flags) };
    match mapped {
        Ok(mapped) if mapped.addr() == addr.addr() => true,
        Ok(elsewhere) => {
            // A kernel before 4.17 takes the address for a wish.
            // SAFETY: just mapped, and nobody else knows of it.
            let _ = unsafe { munmap(elsewhere, len.get()) };
            false
        }
        Err(_) => false,
    }
}

/// Lets the pages of `len` bytes at `addr`, the start of a page, be transparent huge ones. Says whether there are such.
pub(crate) fn allow_huge_pages(addr: NonNull<u8>, len: usize) -> io::Result<bool> {
    // SAFETY: how large pages are changes no byte and no protection, whoever the memory belongs to.
    is_known(unsafe { madvise(addr.cast(), len, MmapAdvise::MADV_HUGEPAGE) })
}

/// Gets the pages of `len` bytes at `addr`, the start of a page, as a write to each would. Says whether the system can.
pub(crate) fn populate_for_writing(addr: NonNull<u8>, len: usize) -> io::Result<bool> {
    // SAFETY: the advice has the faults of a write, and writes nothing: no byte changes, whoever the memory belongs to.
    is_known(unsafe { madvise(addr.cast(), len, MmapAdvise::MADV_POPULATE_WRITE) })
}

/// Gets the pages of `len` bytes at `addr`, the start of a page, as a read of each would. Says whether the system can.
pub(crate) fn populate_for_reading(addr: NonNull<u8>, len: usize) -> io::Result<bool> {
    // SAFETY: nothing is written, so no byte changes, whoever the memory belongs to.
    is_known(unsafe { madvise(addr.cast(), len, MmapAdvise::MADV_POPULATE_READ) })
}

/// Whether an advice was taken, or is one that the kernel does not know, or not for this kind of memory (`madvise(2)`: EINVAL).
fn is_known(advised: nix::Result<()>) -> io::Result<bool> {
    match advised {
        Ok(()) => Ok(true),
        Err(Errno::EINVAL) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// The flags by which a mapping is of huge pages.
pub(crate) const HUGE_FLAGS: i32 = libc::MAP_HUGETLB;

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
pub(crate) fn huge_page_of_file(file: &File) -> io::Result<Option<usize>> {
    let status = fstatfs(file)?;
    if status.filesystem_type() != HUGETLBFS_MAGIC {
        return Ok(None);
    }
    Ok(usize::try_from(status.block_size()).ok())
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
