//! The outcome of `munmap(2)` is not ignored (SEMANTICS line 31). A test binary of its own: it leaks.

#![expect(unsafe_code, reason = "seals memory, so that the system refuses to unmap it")]

use guest_mmap::{MmapRegion, MmapRegionError, leaked_bytes};

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
}
