//! The outcome of `munmap(2)` is not ignored (SEMANTICS line 31). A test binary of its own: it leaks.

#![expect(unsafe_code, reason = "seals memory, so that the system refuses to unmap it")]

mod common;

use common::access_at;
use guest_address::{GuestAddress, GuestRange};
use guest_memory::{Bytes, GuestMemory};
use guest_mmap::{
    FromRangesError, GuestMemoryMmap, GuestSpan, MmapRegion, MmapRegionError, leaked_bytes,
};

/// The number of `mseal(2)`, which the `libc` crate does not know for every processor.
const SYS_MSEAL: libc::c_long = 462;

/// Forbids to unmap the region, for ever. False where the system cannot (before Linux 6.10).
fn seal(region: &MmapRegion) -> bool {
    // SAFETY: it only forbids to change the mapping, which is this test's own.
    unsafe { libc::syscall(SYS_MSEAL, region.as_ptr(), region.size(), 0) == 0 }
}

#[test]
fn memory_that_cannot_be_unmapped_is_told_or_counted() {
    let (told, counted) = (MmapRegion::new(0x2000).unwrap(), MmapRegion::new(0x3000).unwrap());
    if !seal(&told) || !seal(&counted) {
        println!("skipped: no mseal(2)");
        return;
    }
    let error = told.unmap().unwrap_err();
    let MmapRegionError::Mmap(error) = error else { panic!("{error:?}") };
    assert_eq!(error.raw_os_error(), Some(libc::EPERM));
    assert_eq!(leaked_bytes(), 0);

    drop(counted);
    assert_eq!(leaked_bytes(), 0x3000);

    // In a span, it is not lent again, nor unmapped with the span; and as nobody knows what is there now, nothing is joined.
    let span = GuestSpan::new(GuestRange::new(GuestAddress(0), 0x1_0000).unwrap()).unwrap();
    let map = |at| span.map_region::<()>(GuestAddress(at), 0x2000, None);
    let (lower, upper) = (map(0x2000).unwrap(), map(0x6000).unwrap());
    assert!(seal(&lower));
    let host = lower.as_ptr().addr();
    drop(lower);
    assert_eq!(leaked_bytes(), 0x5000);
    let again = map(0x3000).map(drop).unwrap_err();
    let FromRangesError::MmapRegion(MmapRegionError::SpanInUse { .. }) = again else {
        panic!("{again:?}")
    };
    assert!(upper.stretch().is_none());
    let neighbours = vec![map(0x4000).unwrap(), upper];
    let memory = GuestMemoryMmap::from_regions(neighbours).unwrap();
    memory.write_slice(&[7; 0x4000], GuestAddress(0x4000)).unwrap();
    assert_eq!(memory.get_slices(GuestAddress(0x4000), 0x4000).count(), 2);
    drop((memory, span));
    assert_eq!(access_at(host).as_deref(), Some("rw-p"));
    assert_eq!((access_at(host - 1), access_at(host + 0x2000)), (None, None));
    assert_eq!(leaked_bytes(), 0x5000);
}
