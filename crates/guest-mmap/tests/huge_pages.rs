//! Huge pages are unmapped by the huge page, and missing ones are an error (SEMANTICS lines 29, 31).
//!
//! The pool of huge pages is the system's: a test that needs one sets it up if it may, and says so if not.

use std::fs::{self, File};

use guest_address::{GuestAddress, GuestRange};
use guest_memory::{FileOffset, GuestMemory, VolatileMemory};
use guest_mmap::{
    GuestMemoryMmap, GuestRegionMmap, GuestSpan, MmapRegion, MmapRegionBuilder, MmapRegionError,
    leaked_bytes,
};
use libc::{MAP_ANONYMOUS, MAP_HUGETLB, MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE};
use nix::fcntl::{Flock, FlockArg};
use nix::sys::memfd::{MFdFlags, memfd_create};
use rstest::rstest;

const RW: i32 = PROT_READ | PROT_WRITE;
const POOL: &str = "/proc/sys/vm/nr_hugepages";

/// One test at a time in the whole system, since they count its free pages; nextest runs each in a process of its own.
fn alone() -> Flock<File> {
    let path = std::env::temp_dir().join("guest-mmap-huge-pages.lock");
    let file = File::create(path).expect("the directory for temporary files takes one");
    Flock::lock(file, FlockArg::LockExclusive).expect("a file can be locked")
}

/// A number of `/proc/meminfo`, as it stands there.
fn meminfo(name: &str) -> Option<usize> {
    let meminfo = fs::read_to_string("/proc/meminfo").ok()?;
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

fn free_pages() -> usize {
    meminfo("HugePages_Free").expect("the system has huge pages")
}

/// The huge pages that a test needs, for as long as it lives.
struct Pool {
    before: String,
    page_size: usize,
    _alone: Flock<File>,
}

impl Pool {
    /// Gets four huge pages, or says that there are none to be had.
    fn new() -> Option<Self> {
        let alone = alone();
        let pool = (|| {
            let before = fs::read_to_string(POOL).ok()?;
            let page_size = meminfo("Hugepagesize")?.checked_mul(1024)?;
            if free_pages() < 4 {
                // Pages beyond the pool that are in use count as the first to be added.
                let more = before.trim().parse::<usize>().ok()? + meminfo("HugePages_Surp")? + 4;
                fs::write(POOL, more.to_string()).ok()?;
            }
            Some(Self { before, page_size, _alone: alone })
        })();
        // After it is made, so that it is taken back if it is not enough.
        let pool = pool.filter(|_| free_pages() >= 4);
        if pool.is_none() {
            println!("skipped: no huge pages");
        }
        pool
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // It may be the pool of somebody who let us use it, but not set it.
        let _ = fs::write(POOL, &self.before);
    }
}

/// A file of `len` bytes in huge pages, or `None` where there are no such files.
fn huge_file(len: usize) -> Option<FileOffset> {
    let file = File::from(memfd_create("huge", MFdFlags::MFD_HUGETLB).ok()?);
    file.set_len(len as u64).ok()?;
    Some(FileOffset::new(file, 0))
}

#[derive(Clone, Copy, Debug)]
enum From {
    Flags,
    FlagsWithSize,
    SharedFile,
    PrivateFile,
}

/// `size` bytes in huge pages of `page_size` bytes.
fn huge(from: From, size: usize, page_size: usize) -> MmapRegion {
    let log = i32::try_from(page_size.ilog2()).expect("a page is not so large");
    let anonymous = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB;
    let file = || huge_file(size.next_multiple_of(page_size)).expect("there are huge pages");
    match from {
        From::Flags => MmapRegion::build(None, size, RW, anonymous),
        From::FlagsWithSize => {
            MmapRegion::build(None, size, RW, anonymous | log << libc::MAP_HUGE_SHIFT)
        }
        From::SharedFile => MmapRegion::from_file(file(), size),
        From::PrivateFile => MmapRegion::build(Some(file()), size, RW, MAP_PRIVATE),
    }
    .expect("there are huge pages enough")
}

#[rstest]
#[case::by_flags(From::Flags)]
#[case::by_flags_with_a_size(From::FlagsWithSize)]
#[case::of_a_shared_file(From::SharedFile)]
#[case::of_a_private_file(From::PrivateFile)]
fn huge_pages_are_unmapped_whole(#[case] from: From, #[values(true, false)] by_hand: bool) {
    // 31: the length is no multiple of the huge page, for which munmap(2) would fail as it is.
    let Some(pool) = Pool::new() else { return };
    let size = pool.page_size + 0x1003;
    let before = free_pages();

    let region = huge(from, size, pool.page_size);
    assert_eq!((region.size(), region.is_hugetlbfs()), (size, Some(true)));
    for offset in [0, size - 4] {
        region.get_ref::<u32>(offset).unwrap().store(7);
    }
    assert_eq!(free_pages(), before - 2);
    let mapped = format!("{:x}-", region.as_ptr() as usize);
    let is_mapped = || {
        let maps = fs::read_to_string("/proc/self/maps").expect("there is procfs");
        maps.lines().any(|line| line.starts_with(&mapped))
    };
    assert!(is_mapped());

    if by_hand {
        region.unmap().unwrap();
    } else {
        drop(region);
    }
    assert_eq!(leaked_bytes(), 0);
    assert!(!is_mapped());
    assert_eq!(free_pages(), before);
}

#[rstest]
#[case::by_flags(From::Flags)]
#[case::of_a_shared_file(From::SharedFile)]
#[case::of_a_private_file(From::PrivateFile)]
fn huge_pages_in_a_span_are_one_slice_with_their_neighbours(#[case] from: From) {
    let Some(pool) = Pool::new() else { return };
    let (page_size, before) = (pool.page_size, free_pages());
    // A length that is no multiple of the huge page takes the whole of it in the span.
    let size = page_size + 0x1003;
    let span = GuestSpan::new(GuestRange::new(GuestAddress(0), 1 << 32).unwrap()).unwrap();
    let build = |at: usize| {
        let builder = match from {
            From::Flags | From::FlagsWithSize => MmapRegionBuilder::<()>::new(size)
                .with_mmap_flags(MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB),
            From::SharedFile | From::PrivateFile => {
                let flags = if matches!(from, From::SharedFile) { MAP_SHARED } else { MAP_PRIVATE };
                let file = huge_file(2 * page_size).expect("there are huge pages");
                MmapRegionBuilder::new(size).with_file_offset(file).with_mmap_flags(flags)
            }
        };
        builder.with_span(&span, GuestAddress(at as u64)).build()
    };
    let refused = build(page_size + 0x1000).unwrap_err();
    let is_unaligned = matches!(refused, MmapRegionError::UnalignedInSpan { page_size: page, .. } if page == page_size);
    assert!(is_unaligned, "{refused:?}");

    let below = span.map_region(GuestAddress(0), page_size, None).unwrap();
    let region = build(page_size).unwrap();
    assert_eq!(region.is_hugetlbfs(), Some(true));
    let region = GuestRegionMmap::new(region, GuestAddress(page_size as u64)).unwrap();
    let memory = GuestMemoryMmap::from_regions(vec![below, region]).unwrap();
    let slice = memory.get_slice(GuestAddress(page_size as u64 - 4), 4 + size).unwrap();
    slice.write_obj(7_u64, 0).unwrap();
    slice.write_obj(7_u8, 3 + size).unwrap();
    assert_eq!(free_pages(), before - 2);
    let taken = span.map_region::<()>(GuestAddress(3 * page_size as u64 - 0x1000), 0x1000, None);
    assert!(taken.is_err(), "it is the rest of a huge page");

    drop(memory);
    assert_eq!((free_pages(), leaked_bytes()), (before, 0));
    span.map_region::<()>(GuestAddress(0), 4 * page_size, None).unwrap();
}

#[test]
fn missing_huge_pages_leave_the_place_in_a_span_free() {
    let _alone = alone();
    let Some(page_size) = meminfo("Hugepagesize").map(|size| size * 1024) else {
        println!("skipped: no huge pages");
        return;
    };
    let span = GuestSpan::new(GuestRange::new(GuestAddress(0), 1 << 32).unwrap()).unwrap();
    let at = GuestAddress(page_size as u64);
    let huge = MmapRegionBuilder::<()>::new((free_pages() + 1) * page_size)
        .with_mmap_flags(MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB)
        .with_span(&span, at);
    match huge.build() {
        Err(error) => assert!(matches!(error, MmapRegionError::Mmap(_)), "{error:?}"),
        // The system gets more pages when it has to.
        Ok(region) => drop(region),
    }
    let below = span.map_region(GuestAddress(0), page_size, None).unwrap();
    let plugged = span.map_region(at, page_size, None).unwrap();
    let memory = GuestMemoryMmap::<()>::from_regions(vec![below, plugged]).unwrap();
    assert!(memory.get_slice(GuestAddress(0), 2 * page_size).is_ok());
}

#[test]
fn a_map_shows_its_huge_pages() {
    let Some(pool) = Pool::new() else { return };
    let region = huge(From::SharedFile, pool.page_size, pool.page_size);
    let region = GuestRegionMmap::new(region, GuestAddress(0)).unwrap();
    let memory = GuestMemoryMmap::from_regions(vec![region]).unwrap();
    let text = memory.to_string();
    assert!(text.ends_with("file /memfd:huge (deleted) at 0x0, shared, huge pages"), "{text}");
}

#[rstest]
#[case::from_file(|file, size| MmapRegion::from_file(file, size))]
#[case::by_the_builder(|file, size| MmapRegionBuilder::new(size).with_file_offset(file).build())]
#[case::shared(|file, size| MmapRegion::build(Some(file), size, RW, MAP_SHARED))]
fn missing_huge_pages_are_an_error_and_not_a_signal_later(
    #[case] map: fn(FileOffset, usize) -> Result<MmapRegion, MmapRegionError>,
) {
    // 29: where nothing is reserved, the first access to a page that is not there is a SIGBUS.
    let _alone = alone();
    let Some(page_size) = meminfo("Hugepagesize").map(|size| size * 1024) else {
        println!("skipped: no files of huge pages");
        return;
    };
    // One more than there are.
    let size = (free_pages() + 1) * page_size;
    let Some(file) = huge_file(size) else {
        println!("skipped: no files of huge pages");
        return;
    };
    match map(file, size) {
        Err(error) => assert!(matches!(error, MmapRegionError::Mmap(_)), "{error:?}"),
        // The system gets more pages when it has to.
        Ok(region) => region.get_ref::<u8>(size - 1).unwrap().store(7),
    }
}

#[test]
fn what_is_not_reserved_by_wish_is_not_reserved() {
    // As asked for: who says MAP_NORESERVE, takes the signal.
    let _alone = alone();
    let Some((page_size, file)) = meminfo("Hugepagesize")
        .map(|size| size * 1024)
        .and_then(|size| Some((size, huge_file((free_pages() + 1) * size)?)))
    else {
        println!("skipped: no files of huge pages");
        return;
    };
    let size = (free_pages() + 1) * page_size;
    let flags = MAP_SHARED | libc::MAP_NORESERVE;
    let region = MmapRegion::<()>::build(Some(file), size, RW, flags).unwrap();
    assert_eq!((region.flags(), region.is_hugetlbfs()), (flags, Some(true)));
}

#[rstest]
#[case::anonymous(false)]
#[case::of_a_file(true)]
fn missing_huge_pages_are_an_error_if_they_are_to_be_there(#[case] of_file: bool) {
    // Not reserved by wish; but who asks for the pages hears that there are none, and gets no signal.
    let _alone = alone();
    let Some(page_size) = meminfo("Hugepagesize").map(|size| size * 1024) else {
        println!("skipped: no huge pages");
        return;
    };
    let size = (free_pages() + 1) * page_size;
    let builder = MmapRegionBuilder::<()>::new(size).with_prefault();
    let builder = if of_file {
        let Some(file) = huge_file(size) else {
            println!("skipped: no files of huge pages");
            return;
        };
        builder.with_file_offset(file).with_mmap_flags(MAP_SHARED | libc::MAP_NORESERVE)
    } else {
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | libc::MAP_NORESERVE;
        builder.with_mmap_flags(flags)
    };
    match builder.build() {
        Err(error) => assert!(matches!(error, MmapRegionError::Prefault(_)), "{error:?}"),
        // The system gets more pages when it has to.
        Ok(region) => region.get_ref::<u8>(size - 1).unwrap().store(7),
    }
    assert_eq!(leaked_bytes(), 0);
}
