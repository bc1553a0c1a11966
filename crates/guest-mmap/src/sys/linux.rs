//! What Linux has of its own: huge pages, pages before they are used, mappings that move, sizes of block devices, alignments of
//! device-dax, and names of open files.

#![expect(unsafe_code, reason = "moves mappings, maps where nothing is, and gives advice on pages")]

use std::fs::{self, File};
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
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

/// The alignment of mappings of a file, if it is a device of memory that is mapped directly (device-dax, as `/dev/dax0.0`).
///
/// It is a power of two, and may be more than a page: then mmap(2) places a mapping by it, and refuses one whose length is no
/// multiple; once that is moved to another place, each access to it is a `SIGBUS`.
///
/// # Errors
///
/// If it is, or may be, such a device, and the system does not tell: it does since Linux 5.10, in sysfs.
pub(crate) fn dax_alignment(file: &File) -> io::Result<Option<usize>> {
    let metadata = file.metadata()?;
    if !metadata.file_type().is_char_device() {
        return Ok(None);
    }
    let device = metadata.rdev();
    let devices = Path::new("/sys/dev/char");
    dax_alignment_in(devices, &format!("{}:{}", major(device), minor(device)))
}

/// The same of the device that has this name in the directory of devices.
///
/// `sysfs-bus-dax` of the kernel: "align", in bytes. What is no device of this bus, or of the class by that name that was
/// before it, may have an attribute of the same name with another meaning.
fn dax_alignment_in(devices: &Path, name: &str) -> io::Result<Option<usize>> {
    let unknown = |_| io::Error::from(io::ErrorKind::Unsupported);
    let device = devices.join(name);
    match fs::read_link(device.join("subsystem")) {
        Ok(link) if link.ends_with("dax") => {}
        Ok(_) => return Ok(None),
        // Not all devices are in sysfs, but those of this kind are.
        Err(_) if devices.exists() => return Ok(None),
        Err(error) => return Err(unknown(error)),
    }
    let align = fs::read_to_string(device.join("align")).map_err(unknown)?;
    let align = align.trim().parse::<usize>().ok().filter(|align| align.is_power_of_two());
    align.map(Some).ok_or_else(|| io::ErrorKind::Unsupported.into())
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

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use rstest::rstest;

    use super::{dax_alignment, dax_alignment_in};

    /// A directory of devices that has one, `252:0`, until it is dropped.
    struct Devices(PathBuf);

    impl Devices {
        fn new(test: &str, subsystem: &str, align: Option<&str>) -> Self {
            let name = format!("guest-mmap-{test}-{}", std::process::id());
            let devices = Self(std::env::temp_dir().join(name));
            let device = devices.0.join("252:0");
            fs::create_dir_all(&device).unwrap();
            symlink(subsystem, device.join("subsystem")).unwrap();
            if let Some(align) = align {
                fs::write(device.join("align"), align).unwrap();
            }
            devices
        }

        fn alignment(&self) -> Result<Option<usize>, io::ErrorKind> {
            dax_alignment_in(&self.0, "252:0").map_err(|error| error.kind())
        }
    }

    impl Drop for Devices {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    const BUS: &str = "../../../../bus/dax";
    const UNKNOWN: Result<Option<usize>, io::ErrorKind> = Err(io::ErrorKind::Unsupported);

    #[rstest]
    #[case::small("small", BUS, Some("4096\n"), Ok(Some(0x1000)))]
    #[case::huge("huge", BUS, Some("2097152\n"), Ok(Some(2 << 20)))]
    #[case::gigantic("gigantic", BUS, Some("1073741824\n"), Ok(Some(1 << 30)))]
    #[case::the_class_of_old("class", "../../class/dax", Some("2097152\n"), Ok(Some(2 << 20)))]
    #[case::not_told("silent", BUS, None, UNKNOWN)]
    #[case::no_number("word", BUS, Some("2M\n"), UNKNOWN)]
    #[case::nothing("nothing", BUS, Some("0\n"), UNKNOWN)]
    #[case::no_power_of_two("odd", BUS, Some("2097153\n"), UNKNOWN)]
    #[case::something_else("other", "../../../../class/mem", Some("2097152\n"), Ok(None))]
    #[case::a_name_that_ends_alike("alike", "../../class/undax", Some("2097152\n"), Ok(None))]
    fn the_alignment_is_that_which_the_system_tells(
        #[case] test: &str,
        #[case] subsystem: &str,
        #[case] align: Option<&str>,
        #[case] expected: Result<Option<usize>, io::ErrorKind>,
    ) {
        assert_eq!(Devices::new(test, subsystem, align).alignment(), expected);
    }

    #[test]
    fn a_device_is_none_where_the_system_tells_of_others_and_unknown_where_of_none() {
        let devices = Devices::new("absent", BUS, None);
        assert_eq!(dax_alignment_in(&devices.0, "1:5").unwrap(), None);
        let nowhere = devices.0.join("nowhere");
        assert_eq!(
            dax_alignment_in(&nowhere, "1:5").unwrap_err().kind(),
            io::ErrorKind::Unsupported
        );
    }

    #[test]
    fn files_and_other_devices_have_none() {
        assert_eq!(dax_alignment(&File::open("/proc/self/exe").unwrap()).unwrap(), None);
        if std::path::Path::new("/sys/dev/char").exists() {
            assert_eq!(dax_alignment(&File::open("/dev/zero").unwrap()).unwrap(), None);
        }
    }
}
