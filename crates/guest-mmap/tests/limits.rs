//! What the system refuses leaves a span whole. A test binary of its own: it takes addresses away from the whole process.

use std::fs;

use guest_address::{GuestAddress, GuestRange};
use guest_memory::{Bytes, GuestMemory};
use guest_mmap::{
    FromRangesError, GuestMemoryMmap, GuestSpan, MmapRegionBuilder, MmapRegionError, leaked_bytes,
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

const MIB: usize = 1 << 20;

/// Calls `work` while this process may have `more` bytes of addresses than it has.
fn with_limit<T>(more: usize, work: impl FnOnce() -> T) -> T {
    let (soft, hard) = getrlimit(Resource::RLIMIT_AS).expect("a limit can be asked");
    let status = fs::read_to_string("/proc/self/statm").expect("there is procfs");
    let pages: u64 = status.split(' ').next().expect("a size").parse().expect("a number");
    setrlimit(Resource::RLIMIT_AS, pages * 4096 + more as u64, hard).expect("it can be lowered");
    let result = work();
    setrlimit(Resource::RLIMIT_AS, soft, hard).expect("it can be raised to what it was");
    result
}

fn is_refused<T>(result: Result<T, FromRangesError>) -> bool {
    let Err(FromRangesError::MmapRegion(MmapRegionError::Mmap(error))) = result else {
        return false;
    };
    error.raw_os_error() == Some(libc::ENOMEM)
}

#[test]
fn what_the_limit_refuses_leaves_everything_as_it_was() {
    // No addresses for a span.
    let range = GuestRange::new(GuestAddress(0), 64 * MIB as u64).expect("it does not wrap");
    let refused = with_limit(32 * MIB, || GuestSpan::new(range));
    assert!(matches!(refused, Err(MmapRegionError::Mmap(_))), "{refused:?}");

    // None for its alignment: it does without.
    let span = with_limit(65 * MIB, || GuestSpan::new(range)).expect("it fits");

    // Lending takes none; mapping elsewhere first does, and what was to be its place stays free.
    let shared = MmapRegionBuilder::<()>::new(8 * MIB)
        .with_mmap_flags(libc::MAP_SHARED | libc::MAP_ANONYMOUS)
        .with_span(&span, GuestAddress(8 * MIB as u64));
    let (lower, refused) = with_limit(4 * MIB, || {
        (span.map_region::<()>(GuestAddress(0), 8 * MIB, None), shared.build())
    });
    assert!(matches!(refused, Err(MmapRegionError::Mmap(_))), "{refused:?}");
    let upper = span.map_region(GuestAddress(8 * MIB as u64), 8 * MIB, None);
    let regions = vec![lower.expect("it is reserved"), upper.expect("it is free")];
    let memory = GuestMemoryMmap::from_regions(regions).expect("in order");
    memory.get_slice(GuestAddress(0), 16 * MIB).expect("it is one piece");

    // Giving back takes none.
    with_limit(0, || drop(memory));
    assert_eq!(leaked_bytes(), 0);
    span.map_region::<()>(GuestAddress(0), 64 * MIB, None).expect("it is free");

    // By default a span is no reason to fail: of these two the second does not fit, span or not.
    let ranges = [(GuestAddress(0), 8 * MIB), (GuestAddress(8 * MIB as u64), 8 * MIB)];
    assert!(is_refused(with_limit(12 * MIB, || GuestMemoryMmap::<()>::from_ranges(&ranges))));
    let memory = with_limit(17 * MIB, || GuestMemoryMmap::<()>::from_ranges(&ranges));
    memory
        .expect("it fits")
        .write_slice(&[7; 16], GuestAddress(8 * MIB as u64 - 8))
        .expect("it is there");
}
