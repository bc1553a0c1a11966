//! Errors say what happened in offsets and counts, keep their cause, and show neither bytes nor host addresses.

#![cfg(feature = "std")]

mod common;

use std::error::Error as _;
use std::fmt::Debug;
use std::io::{Error as IoError, ErrorKind};
use std::sync::atomic::Ordering;

use common::Ram;
use guest_volatile::{
    Access, BitmapSlice, Error, ReadVolatile, Result, VolatileMemory, VolatileSlice, compute_offset,
};
use rstest::rstest;

// SEMANTICS 36.
#[test]
fn an_error_is_small_and_may_go_to_any_thread() {
    fn goes_anywhere<T: Send + Sync + std::error::Error + 'static>() {}
    goes_anywhere::<Error>();
    assert_eq!(size_of::<Error>(), 3 * size_of::<usize>());
    assert!(size_of::<Result<u64>>() <= 3 * size_of::<usize>());
}

fn broken() -> IoError {
    IoError::new(ErrorKind::BrokenPipe, "the cause")
}

// SEMANTICS 36: numbers in hex, the cause not repeated.
#[rstest]
#[case(Error::OutOfBounds { addr: 0x1234 }, "offset 0x1234 is out of bounds")]
#[case(Error::Overflow { base: usize::MAX, offset: 16 }, "offset 0xffffffffffffffff and 0x10 bytes overflow")]
#[case(Error::TooBig { nelements: 0x1000, size: 24 }, "0x1000 elements of 0x18 bytes are too big")]
#[case(Error::Misaligned { addr: 0x11, alignment: 8 }, "offset 0x11 is not aligned to 0x8 bytes on the host")]
#[case(Error::PartialBuffer { expected: 32, completed: 10 }, "moved only 0xa of 0x20 bytes")]
#[case(Error::NotReadable, "the memory may not be read")]
#[case(Error::NotWritable, "the memory may not be written")]
#[case(
    Error::InvalidOrdering(Ordering::Release),
    "memory ordering Release does not fit the operation"
)]
#[case(Error::Faulted { addr: 0x1000, completed: 0x40, access: Access::Read }, "reading offset 0x1000 faulted after 0x40 bytes")]
#[case(Error::Faulted { addr: 0, completed: 0, access: Access::Write }, "writing offset 0x0 faulted after 0x0 bytes")]
#[case(Error::InvalidFileOffset, "the place is past the end of any file")]
#[case(Error::IOError(broken()), "the stream failed")]
#[case(Error::IOErrorAfter { completed: 10, error: broken() }, "the stream failed after 0xa bytes")]
fn an_errors_text_says_what_happened(#[case] error: Error, #[case] text: &str) {
    assert_eq!(error.to_string(), text);
}

// SEMANTICS 36.
#[test]
fn the_cause_is_the_source() {
    let completed = 10;
    for error in [Error::IOError(broken()), Error::IOErrorAfter { completed, error: broken() }] {
        let source = error.source().expect("a cause");
        assert_eq!(source.to_string(), "the cause");
        let source = source.downcast_ref::<IoError>().expect("of this type");
        assert_eq!(source.kind(), ErrorKind::BrokenPipe);
    }
    assert!(Error::NotWritable.source().is_none());
    assert!(Error::PartialBuffer { expected: 2, completed: 1 }.source().is_none());
}

// SEMANTICS 11: what moved nothing may be tried again; what moved something may not, or it would be moved twice.
#[test]
fn only_an_interruption_before_progress_may_be_tried_again() {
    let interrupted = || IoError::from(ErrorKind::Interrupted);
    assert!(Error::IOError(interrupted()).is_interrupted());
    assert!(!Error::IOErrorAfter { completed: 1, error: interrupted() }.is_interrupted());
    assert!(!Error::IOError(broken()).is_interrupted());
    assert!(!Error::NotWritable.is_interrupted());
}

/// A source whose every error is the same.
struct Failing;

impl ReadVolatile for Failing {
    fn read_volatile<B: BitmapSlice>(&mut self, _: &mut VolatileSlice<'_, B>) -> Result<usize> {
        Err(Error::IOError(broken()))
    }
}

/// Whether `text` shows an address in the page of `memory`, or its bytes.
fn shows_too_much(text: &str, memory: &VolatileSlice<'_>) -> bool {
    let addr = memory.host_ptr().as_ptr() as usize;
    let page = format!("{:x}", addr >> 12);
    let text = text.to_lowercase();
    text.contains(&page) || text.contains("171, 171") || text.contains("abab")
}

// SEMANTICS 36: no host address in any text.
#[test]
fn no_error_shows_a_host_address() {
    let mut ram = Ram([0xab; 64]);
    let memory = ram.slice();
    let read_only = memory.read_only();
    let errors = [
        memory.read_obj::<u64>(60).map(drop),
        memory.read_obj::<u64>(64).map(drop),
        memory.write_obj(0_u64, 60).map(drop),
        memory.write_slice(&[0; 65], 0),
        memory.load::<u32>(1, Ordering::SeqCst).map(drop),
        memory.load::<u32>(62, Ordering::SeqCst).map(drop),
        memory.store(1_u32, 3, Ordering::SeqCst),
        memory.subslice(60, 5).map(drop),
        memory.offset(65).map(drop),
        memory.split_at(65).map(drop),
        memory.get_ref::<u64>(60).map(drop),
        memory.get_array_ref::<u64>(1, usize::MAX).map(drop),
        memory.compute_end_offset(60, 5).map(drop),
        memory.read_volatile_from(0, &mut Failing, 64).map(drop),
        read_only.write(&[1], 0).map(drop),
        compute_offset(usize::MAX, 1).map(drop),
    ];
    for error in errors {
        let error = error.expect_err("each is refused");
        for text in [error.to_string(), format!("{error:?}"), format!("{error:#?}")] {
            assert!(!shows_too_much(&text, &memory), "{text}");
        }
    }
}

#[test]
fn what_is_printed_for_debugging_is_the_shape() {
    let mut ram = Ram([0xab; 64]);
    let memory = ram.slice();
    let row = memory.get_array_ref::<u16>(0, 9).expect("inside");
    let object = memory.get_ref::<u32>(0).expect("inside");
    let (reading, writing) = (memory.host_ptr(), memory.host_ptr_mut());
    let shown: [(&dyn Debug, &str); 6] = [
        (&memory, "VolatileSlice { len: 0x40, read_only: false, bitmap: () }"),
        (&memory.read_only(), "VolatileSlice { len: 0x40, read_only: true, bitmap: () }"),
        (&row, "VolatileArrayRef { len: 9, element_size: 2, bitmap: () }"),
        (&object, "VolatileRef { len: 0x4, bitmap: () }"),
        (&reading, "HostPtr { len: 0x40 }"),
        (&writing, "HostPtrMut { len: 0x40, bitmap: () }"),
    ];
    for (value, text) in shown {
        assert_eq!(format!("{value:?}"), text);
        assert!(!shows_too_much(&format!("{value:#?}"), &memory), "{text}");
    }
}
