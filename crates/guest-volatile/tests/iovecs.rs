//! `iovec`s that are lent to an engine: what they say, and what is marked when it is done.

#![expect(unsafe_code, reason = "is the engine that the iovecs are lent to")]

mod common;

use std::fs::File;
use std::os::fd::AsRawFd;

use common::files::TempFile;
use common::{Log, Ram, View, bytes};
use guest_volatile::{AsIovecs, Error, IovecsMut, VolatileSlice};
use rstest::rstest;

/// The pieces [4, 10), [20, 20), [20, 36), [40, 44) of a memory of 64 bytes: 26 bytes.
fn pieces<'a>(memory: &VolatileSlice<'a, View<'a>>) -> [VolatileSlice<'a, View<'a>>; 4] {
    [(4, 6), (20, 0), (20, 16), (40, 4)]
        .map(|(start, len)| memory.subslice(start, len).expect("inside"))
}

/// What an engine does with a request: a read of zeros.
fn zero(iovecs: &IovecsMut<'_, View<'_>>) -> usize {
    let zeros = File::open("/dev/zero").expect("a device");
    let count = i32::try_from(iovecs.len()).expect("few");
    // SAFETY: the iovecs are of memory that stays borrowed while they are.
    let count = unsafe { libc::readv(zeros.as_raw_fd(), iovecs.as_ptr(), count) };
    usize::try_from(count).expect("zeros do not fail")
}

#[test]
fn iovecs_are_those_of_the_slices_that_have_bytes() {
    let (mut ram, log) = (Ram::<64>::counting(), Log::default());
    let start = ram.0.as_ptr() as usize;
    let memory = log.watch(ram.slice());
    let expected = [(start + 4, 6), (start + 20, 16), (start + 40, 4)];
    let list = pieces(&memory);
    let shown = |iovecs: &[libc::iovec]| -> Vec<_> {
        iovecs.iter().map(|iovec| (iovec.iov_base as usize, iovec.iov_len)).collect()
    };
    let iovecs = list.as_iovecs().expect("readable");
    assert_eq!(shown(iovecs.as_slice()), expected);
    assert_eq!(
        (iovecs.len(), iovecs.is_empty(), iovecs.as_ptr()),
        (3, false, iovecs.as_slice().as_ptr())
    );
    let iovecs = list.as_iovecs_mut().expect("writable");
    assert_eq!(shown(iovecs.as_slice()), expected);
    assert_eq!(
        (iovecs.len(), iovecs.is_empty(), iovecs.as_ptr()),
        (3, false, iovecs.as_slice().as_ptr())
    );
    let nothing = list[1..2].as_iovecs_mut().expect("nothing");
    assert!(nothing.is_empty());
    // They stay where they are when the guard moves.
    let at = iovecs.as_ptr();
    let kept = Some(Box::new(iovecs));
    assert_eq!(kept.map(|iovecs| iovecs.as_ptr()), Some(at));
}

// SEMANTICS 20, 21: when the engine is done, exactly the bytes it wrote.
#[rstest]
#[case::nothing(0, &[])]
#[case::a_part_of_the_first(5, &[(4, 5)])]
#[case::up_to_a_border(6, &[(4, 6)])]
#[case::a_part_of_the_second(7, &[(4, 6), (20, 1)])]
#[case::all(26, &[(4, 6), (20, 16), (40, 4)])]
#[case::more_than_there_is(usize::MAX, &[(4, 6), (20, 16), (40, 4)])]
fn what_an_engine_wrote_is_marked(#[case] count: usize, #[case] marks: &[(usize, usize)]) {
    let (mut ram, log) = (Ram::<64>::counting(), Log::default());
    let memory = log.watch(ram.slice());
    let iovecs = pieces(&memory).as_iovecs_mut().expect("writable");
    assert_eq!(zero(&iovecs), 26);
    assert_eq!(log.take(), []);
    iovecs.written(count);
    let done = log.take_marks();
    // The bytes were in place.
    assert!(done.iter().all(|mark| mark.bytes.iter().all(|&byte| byte == 0)));
    assert_eq!(done.iter().map(|mark| (mark.start, mark.bytes.len())).collect::<Vec<_>>(), marks);
}

// SEMANTICS 21: who says nothing marks everything.
#[test]
fn iovecs_that_are_dropped_mark_all_of_their_bytes() {
    let (mut ram, log) = (Ram::<64>::counting(), Log::default());
    let memory = log.watch(ram.slice());
    drop(pieces(&memory).as_iovecs_mut().expect("writable"));
    assert_eq!(log.take(), [(4, 6), (20, 16), (40, 4)]);
    // A failed request wrote nothing that is known of; to read marks nothing.
    drop(pieces(&memory).as_iovecs().expect("readable"));
    assert_eq!(log.take(), []);
}

#[test]
fn read_only_memory_is_lent_for_reading_only() {
    let (mut ram, log) = (Ram::<64>::counting(), Log::default());
    let memory = log.watch(ram.slice());
    let mut list = pieces(&memory);
    // Without bytes it does not matter.
    list[1] = list[1].read_only();
    assert_eq!(list.as_iovecs_mut().expect("writable").len(), 3);
    log.take();
    list[2] = list[2].read_only();
    assert!(matches!(list.as_iovecs_mut(), Err(Error::NotWritable)));
    assert_eq!((list.as_iovecs().expect("readable").len(), log.take()), (3, vec![]));
}

#[test]
fn an_engine_writes_what_is_lent_to_it() {
    let (mut ram, log) = (Ram::<64>::counting(), Log::default());
    let memory = log.watch(ram.slice());
    let temp = TempFile::new("engine", &[]);
    let file = temp.open_both();
    let list = pieces(&memory);
    let iovecs = list.as_iovecs().expect("readable");
    // SAFETY: the iovecs are of memory that stays borrowed while they are.
    let count = unsafe { libc::writev(file.as_raw_fd(), iovecs.as_ptr(), 3) };
    assert_eq!(count, 26);
    assert_eq!(temp.content(), list.iter().flat_map(bytes).collect::<Vec<_>>());
}

#[test]
fn iovecs_show_no_host_address() {
    let (mut ram, log) = (Ram::<64>::counting(), Log::default());
    let memory = log.watch(ram.slice());
    let list = pieces(&memory);
    let text = format!("{:?} {:?}", list.as_iovecs(), list.as_iovecs_mut());
    let address = format!("{:x}", memory.ptr_guard().as_ptr() as usize);
    assert!(!text.contains(&address) && text.contains("0x10"), "{text}");
}
