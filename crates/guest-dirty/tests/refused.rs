//! A fence that fails: a filter of system calls that came after the bitmap. Nothing is lost, and it is told.

#![cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64"),
    feature = "fence"
))]
#![expect(unsafe_code, reason = "installs a filter of system calls, for one thread")]

use std::thread;

use guest_dirty::{AtomicBitmap, DEFAULT_PAGE_SIZE, Harvest, Marking, SwitchedBitmap, TakeError};
use guest_volatile::{Bitmap, Fence, FenceError, NewBitmap};
use rstest::rstest;

const REFUSED: FenceError = FenceError::Refused { errno: libc::EPERM };

/// Runs `test` in a thread in which membarrier(2) fails, unless there is none on this machine anyway.
fn refused<R: Send>(test: impl FnOnce() -> R + Send) -> Option<R> {
    Fence::register().ok()?;
    let in_thread = || {
        refuse_membarrier();
        test()
    };
    let result = thread::scope(|scope| scope.spawn(in_thread).join());
    Some(result.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
}

/// From now on membarrier(2) fails with `EPERM` in this thread.
fn refuse_membarrier() {
    let instruction = |code: u32, jt, jf, k| libc::sock_filter {
        code: u16::try_from(code).expect("16 bits"),
        jt,
        jf,
        k,
    };
    let number = u32::try_from(libc::SYS_membarrier).expect("a small number");
    let error = libc::SECCOMP_RET_ERRNO | u32::try_from(libc::EPERM).expect("a small number");
    let mut program = [
        // The number of the call is the first field of what a filter sees.
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, number),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0, error),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let filter = libc::sock_fprog { len: 4, filter: program.as_mut_ptr() };
    // SAFETY: it takes integers.
    let result = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    assert_eq!(result, 0);
    // SAFETY: it reads the filter and the program that it points to, which live until it returns.
    let result =
        unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

fn bitmap() -> AtomicBitmap {
    let bitmap = AtomicBitmap::new(0x10_0000, DEFAULT_PAGE_SIZE);
    bitmap.set_bit(3);
    bitmap.set_addr_range(0x8_0000, 0x8_0000);
    bitmap
}

fn dirty_pages(bitmap: &AtomicBitmap) -> Vec<usize> {
    (0..bitmap.len()).filter(|page| bitmap.is_bit_set(*page)).collect()
}

#[test]
fn a_harvest_is_refused_and_loses_nothing_and_marks_lock_from_then_on() {
    let bitmap = bitmap();
    let before = dirty_pages(&bitmap);
    let Some(()) = refused(|| {
        assert_eq!(bitmap.marking(), Marking::Checked);
        for _ in 0..2 {
            assert_eq!(bitmap.take().unwrap_err(), TakeError::Unfenced(REFUSED));
            assert_eq!(dirty_pages(&bitmap), before);
            assert_eq!((bitmap.marking(), bitmap.is_unsettled()), (Marking::Strict, true));
        }
        bitmap.set_bit(4);
    }) else {
        return;
    };
    // A thread without the filter has a fence, which settles it.
    let harvest = bitmap.take().unwrap();
    assert_eq!(harvest.count(), before.len() + 1);
    harvest.commit();
    assert_eq!((bitmap.marking(), bitmap.is_unsettled()), (Marking::Strict, false));
    refused(|| assert!(bitmap.take().unwrap().is_empty()));
}

#[test]
fn a_harvest_goes_on_when_somebody_says_that_all_writers_were_met() {
    let bitmap = bitmap();
    let before = dirty_pages(&bitmap);
    refused(|| {
        assert!(bitmap.take().is_err());
        bitmap.settle();
        assert_eq!((bitmap.marking(), bitmap.is_unsettled()), (Marking::Strict, false));
        assert!(bitmap.take().unwrap().pages().eq(before));
    });
}

#[test]
fn to_settle_what_is_settled_changes_nothing() {
    let bitmap = bitmap();
    bitmap.settle();
    refused(|| assert!(bitmap.take().is_err()));
}

#[test]
fn an_exclusive_harvest_needs_no_fence_and_settles() {
    let mut bitmap = bitmap();
    let before = dirty_pages(&bitmap);
    refused(|| {
        assert!(bitmap.take().is_err());
        let harvest = bitmap.take_mut().unwrap();
        assert!(harvest.pages().eq(before));
        harvest.commit();
        assert!(!bitmap.is_unsettled());
        bitmap.set_bit(9);
        assert!(bitmap.take().unwrap().pages().eq([9]));
    });
}

#[test]
fn an_empty_harvest_needs_no_fence() {
    let bitmap = AtomicBitmap::new(0x10_0000, DEFAULT_PAGE_SIZE);
    refused(|| {
        assert!(bitmap.take().unwrap().is_empty());
        assert_eq!(bitmap.get_and_reset(), [0; 4]);
        bitmap.reset();
        assert_eq!(bitmap.marking(), Marking::Checked);
    });
}

#[test]
fn of_many_bitmaps_all_or_none_are_harvested() {
    let bitmaps = [bitmap(), AtomicBitmap::new_strict(0x1000, DEFAULT_PAGE_SIZE), bitmap()];
    bitmaps[1].set_bit(0);
    let before = bitmaps.each_ref().map(dirty_pages);
    refused(|| {
        let error = AtomicBitmap::take_all(&bitmaps).unwrap_err();
        assert_eq!(error, TakeError::Unfenced(REFUSED));
        assert_eq!(bitmaps.each_ref().map(dirty_pages), before);
        assert!(
            bitmaps[0].is_unsettled() && !bitmaps[1].is_unsettled() && bitmaps[2].is_unsettled()
        );
    });
    let harvests = AtomicBitmap::take_all(&bitmaps).unwrap();
    let counts: Vec<_> = harvests.iter().map(Harvest::count).collect();
    assert_eq!(counts, before.map(|pages| pages.len()));
}

#[rstest]
#[case::reset(|bitmap: &AtomicBitmap| bitmap.reset())]
#[case::reset_bit(|bitmap: &AtomicBitmap| bitmap.reset_bit(3))]
#[case::reset_addr_range(|bitmap: &AtomicBitmap| bitmap.reset_addr_range(0, 0x9_0000))]
#[case::get_and_reset(|bitmap: &AtomicBitmap| assert_eq!(bitmap.get_and_reset(), bitmap.to_words()))]
fn nothing_is_cleaned(#[case] clean: fn(&AtomicBitmap)) {
    let bitmap = bitmap();
    let before = dirty_pages(&bitmap);
    refused(|| {
        clean(&bitmap);
        assert_eq!(dirty_pages(&bitmap), before);
        assert!(bitmap.is_unsettled());
    });
}

#[test]
fn a_bitmap_that_is_made_without_a_fence_is_strict() {
    refused(|| {
        assert_eq!(AtomicBitmap::with_len(0x1000).marking(), Marking::Strict);
        let bitmap = AtomicBitmap::new_strict(0x1000, DEFAULT_PAGE_SIZE);
        bitmap.set_bit(0);
        assert!(bitmap.take().unwrap().pages().eq([0]));
    });
}

#[test]
fn a_clone_of_an_unsettled_bitmap_is_settled_and_strict() {
    let bitmap = bitmap();
    refused(|| {
        assert!(bitmap.take().is_err());
        let clone = bitmap.clone();
        assert_eq!((clone.marking(), clone.is_unsettled()), (Marking::Strict, false));
        assert_eq!(clone.take().unwrap().to_words(), bitmap.to_words());
    });
}

#[test]
fn a_switch_that_cannot_be_turned_stays_off_and_records_until_it_can() {
    let bitmap = SwitchedBitmap::with_len(0x10_0000);
    refused(|| {
        assert_eq!(bitmap.start(), Err(REFUSED));
        bitmap.mark_dirty(0x1000, 1);
        assert!(!bitmap.is_on() && !bitmap.dirty_at(0x1000));
        assert!(bitmap.bitmap().is_bit_set(1));

        bitmap.bitmap().settle();
        assert_eq!(bitmap.start(), Ok(()));
        assert!(bitmap.is_on() && !bitmap.dirty_at(0x1000));
        bitmap.mark_dirty(0x2000, 1);
        assert!(bitmap.bitmap().take().unwrap().pages().eq([2]));
    });
}
