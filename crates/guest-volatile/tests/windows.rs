//! A part of an owner's slice: no access leaves it, each is whole or nothing, and writes are marked where they are.

#![cfg(feature = "std")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use WindowError::{InvalidOrdering, Misaligned, NotWritable, OutOfBounds};
use common::bytes;
use common::region::{All, NoPart, Region, Upper};
use guest_volatile::{ByteValued, OwnedWindow, WindowError};
use proptest::collection::vec;
use proptest::prelude::*;
use rstest::rstest;

type Window = OwnedWindow<Region, All>;

const MAX: usize = usize::MAX;

/// Where the windows of the tests start: the byte there is 17.
const BASE: usize = 16;
const LEN: usize = 24;

fn window() -> Window {
    OwnedWindow::new(Region::new(&Arc::default()), BASE, LEN).expect("it lies in the region")
}

/// All bytes of the region that the window is in.
fn all(window: &Window) -> Vec<u8> {
    let region = Window::new(Arc::clone(window.owner()), 0, Region::LEN).expect("all of it");
    bytes(&region.as_volatile_slice())
}

#[rstest]
#[case::all(0, 64, true)]
#[case::first(0, 1, true)]
#[case::last(63, 1, true)]
#[case::over_the_end(60, 5, false)]
#[case::at_the_end(64, 1, false)]
#[case::nothing_at_the_end(64, 0, true)]
#[case::nothing_past_the_end(65, 0, false)]
#[case::too_much(0, 65, false)]
#[case::half_the_address_space(0, isize::MAX as usize, false)]
#[case::with_the_read_only_bit(0, isize::MAX as usize + 65, false)]
#[case::largest_of_both(MAX, MAX, false)]
fn it_is_made_of_bytes_that_lie_inside(
    #[case] offset: usize,
    #[case] count: usize,
    #[case] made: bool,
) {
    let window = Window::new(Region::new(&Arc::default()), offset, count);
    let expected = made.then(|| (1..=64).skip(offset).take(count).collect::<Vec<u8>>());
    assert_eq!(window.as_ref().map(|window| bytes(&window.as_volatile_slice())), expected);
    // And so is a window in a window, which starts elsewhere.
    let part = window.and_then(|whole| whole.part(0, count)?.part(0, count));
    assert_eq!(part.map(|part| (part.base(), part.len())), made.then_some((offset, count)));
}

#[test]
fn there_is_none_where_the_owner_has_no_slice() {
    assert!(OwnedWindow::<_, NoPart>::new(Region::new(&Arc::default()), 0, 0).is_none());
}

#[rstest]
#[case::first(0, Ok(()))]
#[case::last(LEN - 4, Ok(()))]
#[case::odd(3, Ok(()))]
#[case::one_too_far(LEN - 3, Err(OutOfBounds))]
#[case::last_byte(LEN - 1, Err(OutOfBounds))]
#[case::at_the_end(LEN, Err(OutOfBounds))]
#[case::in_the_region_and_past_the_window(LEN + 4, Err(OutOfBounds))]
#[case::past_the_region(64, Err(OutOfBounds))]
#[case::half_the_address_space(isize::MAX as usize, Err(OutOfBounds))]
#[case::wraps_to_the_start(MAX - 3, Err(OutOfBounds))]
#[case::wraps_to_the_start_of_the_region(MAX - BASE + 1, Err(OutOfBounds))]
#[case::largest(MAX, Err(OutOfBounds))]
fn an_access_is_whole_or_nothing(#[case] offset: usize, #[case] result: Result<(), WindowError>) {
    let window = window();
    let before = all(&window);
    let expected = |range: usize| before[BASE + range..BASE + range + 4].to_vec();
    assert_eq!(
        window.read_obj::<[u8; 4]>(offset).map(Vec::from),
        result.map(|()| expected(offset))
    );
    let mut buf = [0xee; 4];
    assert_eq!(window.read_slice(&mut buf, offset), result);
    assert_eq!(buf == [0xee; 4], result.is_err(), "nothing was read, or all");

    for write in [
        |window: &Window, offset| window.write_obj([0xaa_u8; 4], offset),
        |window: &Window, offset| window.write_slice(&[0xaa; 4], offset),
    ] {
        let window = self::window();
        assert_eq!(write(&window, offset), result);
        let mut expected = before.clone();
        if result.is_ok() {
            expected[BASE + offset..BASE + offset + 4].fill(0xaa);
        }
        assert_eq!(all(&window), expected);
        let marks = window.owner().log.take();
        assert_eq!(marks, result.map_or(vec![], |()| vec![(BASE + offset, 4)]));
    }
}

// SEMANTICS 6, 39.
#[rstest]
fn no_bytes_can_be_moved_anywhere(
    #[values(0, LEN, LEN + 1, MAX)] offset: usize,
    #[values(false, true)] read_only: bool,
) {
    let window = if read_only { window().read_only() } else { window() };
    assert_eq!(window.read_obj::<[u64; 0]>(offset), Ok([]));
    assert_eq!(window.write_obj([0_u64; 0], offset), Ok(()));
    assert_eq!(window.read_slice(&mut [], offset), Ok(()));
    assert_eq!(window.write_slice(&[], offset), Ok(()));
    assert_eq!(window.owner().log.take(), []);
}

#[test]
fn a_window_without_bytes_has_none() {
    let empty = Window::new(Region::new(&Arc::default()), BASE, 0).expect("it lies inside");
    assert!(empty.is_empty() && !window().is_empty());
    for offset in [0, 1, MAX, MAX - 1] {
        assert_eq!(empty.read_obj::<u8>(offset), Err(OutOfBounds));
        assert_eq!(empty.write_obj(0_u8, offset), Err(OutOfBounds));
        assert_eq!(empty.load::<u8>(offset, Relaxed), Err(OutOfBounds));
        assert_eq!(empty.store(0_u8, offset, Relaxed), Err(OutOfBounds));
    }
}

// An offset in the window whose host address is aligned to 8.
fn aligned(window: &Window) -> usize {
    let guard = window.as_volatile_slice().ptr_guard();
    guard.as_ptr().align_offset(8)
}

type Act = fn(&Window, usize) -> Result<u16, WindowError>;

/// The acts, what each leaves of 0x0201, what it answers, and whether it writes.
const ACTS: [(&str, Act, u16, u16, bool); 7] = [
    ("load", |window, at| window.load(at, SeqCst), 0x0201, 0x0201, false),
    ("store", |window, at| window.store(7_u16, at, SeqCst).map(|()| 0), 7, 0, true),
    (
        "compare_exchange",
        |window, at| window.compare_exchange(0x0201_u16, 7, at, SeqCst, SeqCst).map(Result::unwrap),
        7,
        0x0201,
        true,
    ),
    (
        "compare_exchange that fails",
        |window, at| window.compare_exchange(8_u16, 7, at, SeqCst, SeqCst).map(Result::unwrap_err),
        0x0201,
        0x0201,
        false,
    ),
    ("fetch_add", |window, at| window.fetch_add(0xff00_u16, at, SeqCst), 0x0101, 0x0201, true),
    ("fetch_and", |window, at| window.fetch_and(0x00ff_u16, at, SeqCst), 1, 0x0201, true),
    ("fetch_or", |window, at| window.fetch_or(0x8000_u16, at, SeqCst), 0x8201, 0x0201, true),
];

// SEMANTICS 15, 17, 20, 21.
#[test]
fn an_atomic_access_does_what_it_says_and_marks_what_it_stores() {
    for (name, act, left, answer, writes) in ACTS {
        let window = window();
        let at = aligned(&window);
        window.write_obj(0x0201_u16, at).expect("inside");
        window.owner().log.take();
        assert_eq!(act(&window, at), Ok(answer), "{name}");
        assert_eq!(window.read_obj(at), Ok(left), "{name}");
        let marks = if writes { vec![(BASE + at, 2)] } else { vec![] };
        assert_eq!(window.owner().log.take(), marks, "{name}");
    }
}

// SEMANTICS 16.
#[test]
fn an_atomic_access_that_cannot_be_says_why() {
    for (name, act, .., writes) in ACTS {
        let window = window();
        let before = all(&window);
        let at = aligned(&window);
        let refused = |offset| act(&window, offset).expect_err("it cannot be");
        assert_eq!(refused(at + 1), Misaligned, "{name}");
        for offset in [LEN - 1, LEN, LEN + 8, 64, isize::MAX as usize + 1, MAX, MAX - 1] {
            assert_eq!(refused(offset), OutOfBounds, "{name} at {offset:#x}");
        }
        let window = window.clone().read_only();
        let refusal = |offset| act(&window, offset).err();
        // A failed exchange is a write too, by its right.
        let writes = writes || name.starts_with("compare");
        assert_eq!(refusal(at), writes.then_some(NotWritable), "{name}");
        assert_eq!(refusal(LEN), Some(OutOfBounds), "{name}");
        assert_eq!(all(&window), before, "{name}");
        assert_eq!(window.owner().log.take(), [], "{name}");
    }
}

// SEMANTICS 16: an error, not a panic, wherever it is.
#[rstest]
fn an_ordering_that_does_not_fit_is_an_error(#[values(false, true)] read_only: bool) {
    let window = if read_only { window().read_only() } else { window() };
    let at = aligned(&window);
    for offset in [at, at + 1, LEN, MAX] {
        for order in [Release, AcqRel] {
            assert_eq!(window.load::<u16>(offset, order), Err(InvalidOrdering));
            let result = window.compare_exchange(0_u16, 0, offset, SeqCst, order);
            assert_eq!(result, Err(InvalidOrdering));
        }
        for order in [Acquire, AcqRel] {
            assert_eq!(window.store(0_u16, offset, order), Err(InvalidOrdering));
        }
    }
    for order in [Relaxed, Acquire, SeqCst] {
        assert!(window.load::<u16>(at, order).is_ok());
    }
}

#[test]
fn every_width_is_loaded_and_stored() {
    fn check<T: guest_volatile::AtomicAccess + PartialEq + std::fmt::Debug>(value: T) {
        let window = window();
        let at = aligned(&window);
        window.store(value, at, Release).expect("aligned");
        assert_eq!(window.load::<T>(at, Acquire), Ok(value));
        assert_eq!(window.read_obj::<T>(at), Ok(value));
        assert_eq!(window.owner().log.take(), [(BASE + at, size_of::<T>())]);
    }
    check(0x81_u8);
    check(0x8182_u16);
    check(0x8182_8384_u32);
    check(0x8182_8384_8586_8788_u64);
    check(-1_i64);
}

// SEMANTICS 29: mapped so, or wished so.
#[test]
fn a_read_only_window_is_read_and_not_written() {
    let mapped = OwnedWindow::<_, Upper>::new(Region::new(&Arc::default()), 0, LEN);
    let mapped = mapped.expect("inside");
    let wished = window().read_only();
    assert!(mapped.is_read_only() && wished.is_read_only() && !window().is_read_only());
    assert_eq!(mapped.write_obj(0_u32, 0), Err(NotWritable));
    assert_eq!(wished.write_obj(0_u32, 0), Err(NotWritable));
    assert_eq!(mapped.write_slice(&[0; 4], LEN - 4), Err(NotWritable));
    assert_eq!(wished.write_slice(&[0; 4], LEN - 4), Err(NotWritable));
    assert_eq!(mapped.write_obj(0_u32, LEN - 3), Err(OutOfBounds));
    assert_eq!(mapped.store(0_u8, 0, Relaxed), Err(NotWritable));
    assert!(mapped.as_volatile_slice().is_read_only() && wished.as_volatile_slice().is_read_only());
    assert!(mapped.part(1, 2).expect("inside").is_read_only());
    let part = wished.part(1, 2).expect("inside");
    assert!(part.is_read_only());
    assert_eq!(part.write_obj(0_u8, 0), Err(NotWritable));
    // Both start at 16 in the region.
    for order in [Relaxed, Acquire, SeqCst] {
        assert_eq!(mapped.load::<u8>(1, order), Ok(18));
        assert_eq!(wished.load::<u8>(1, order), Ok(18));
    }
    assert_eq!(mapped.owner().log.take(), []);
    assert_eq!(all(&wished), (1..=64).collect::<Vec<u8>>());
}

// SEMANTICS 20: the bitmap's offset is carried along.
#[test]
fn a_part_of_a_window_is_where_it_is() {
    let part = window().part(4, 12).and_then(|part| part.part(4, 8)).expect("inside");
    assert_eq!((part.base(), part.len()), (BASE + 8, 8));
    assert_eq!(bytes(&part.as_volatile_slice()), (25..33).collect::<Vec<u8>>());
    part.write_obj(0_u16, 1).expect("inside");
    part.as_volatile_slice().write_obj(0_u8, 7).expect("inside");
    assert_eq!(part.owner().log.take(), [(BASE + 9, 2), (BASE + 15, 1)]);
    assert_eq!(part.write_obj(0_u16, 7), Err(OutOfBounds), "the window that it is of goes on");
    assert!(part.part(0, 9).is_none() && part.part(8, 1).is_none() && part.part(MAX, 2).is_none());
}

#[test]
fn it_is_valid_until_the_last_share_is_gone() {
    let gone = Arc::new(AtomicUsize::new(0));
    let region = Region::new(&gone);
    let window = Window::new(Arc::clone(&region), BASE, LEN).expect("inside");
    drop(region);
    let other = window.clone();
    let part = window.part(1, 1).expect("inside");
    let moved = Box::new([window]);
    assert_eq!(moved[0].read_obj::<u8>(0), Ok(17));
    drop(moved);
    drop(part);
    assert_eq!(gone.load(Relaxed), 0, "one share is left");
    std::thread::spawn(move || assert_eq!(other.read_obj::<u8>(LEN - 1), Ok(40)))
        .join()
        .expect("the window went to another thread");
    assert_eq!(gone.load(Relaxed), 1);
}

#[test]
fn its_errors_are_small_and_say_what_happened() {
    fn is_copy<T: Copy + Send + Sync + std::error::Error + 'static>() {}
    is_copy::<WindowError>();
    assert_eq!(size_of::<WindowError>(), 1);
    assert_eq!(size_of::<Result<u32, WindowError>>(), 8);
    assert_eq!(size_of::<Result<(), WindowError>>(), 1);
    let texts = [OutOfBounds, NotWritable, Misaligned, InvalidOrdering].map(|e| e.to_string());
    assert_eq!(
        texts,
        [
            "the access is out of the window's bounds",
            "the window may not be written",
            "the access is not aligned on the host",
            "the memory ordering does not fit the operation",
        ]
    );
}

#[derive(Clone, Debug)]
enum Access {
    Read(usize, usize),
    Write(usize, Vec<u8>),
    ReadObj(usize),
    WriteObj(usize, [u8; 5]),
    FetchAdd(usize, u32),
}

fn access() -> impl Strategy<Value = Access> {
    let offset = || {
        prop_oneof![
            20 => 0..Region::LEN + 8,
            1 => (0..70_usize).prop_map(|less| MAX - less),
            1 => (0..9_usize).prop_map(|more| isize::MAX as usize - 4 + more),
        ]
    };
    prop_oneof![
        (offset(), 0..70_usize).prop_map(|(at, count)| Access::Read(at, count)),
        (offset(), vec(any::<u8>(), 0..70)).prop_map(|(at, data)| Access::Write(at, data)),
        offset().prop_map(Access::ReadObj),
        (offset(), any::<[u8; 5]>()).prop_map(|(at, object)| Access::WriteObj(at, object)),
        (offset(), any::<u32>()).prop_map(|(at, value)| Access::FetchAdd(at, value)),
    ]
}

proptest! {
    #[test]
    fn any_accesses_do_what_they_do_to_a_plain_list_of_bytes(
        base in 0..Region::LEN,
        len in 0..Region::LEN,
        accesses in vec(access(), 0..40),
    ) {
        let len = len.min(Region::LEN - base);
        let window = Window::new(Region::new(&Arc::default()), base, len).expect("inside");
        let mut model: Vec<u8> = (1..=64).collect();
        for access in accesses {
            // The bytes of the model, if all are inside of the window.
            let range = |at: usize, count: usize| {
                let inside = at.checked_add(count).is_some_and(|end| end <= len);
                (inside || count == 0).then(|| if inside { base + at..base + at + count } else { 0..0 })
            };
            let mut marks = vec![];
            match access {
                Access::Read(at, count) => {
                    let mut buf = vec![0; count];
                    let result = window.read_slice(&mut buf, at);
                    let expected = range(at, count).map(|range| model[range].to_vec());
                    prop_assert_eq!(result.ok().map(|()| buf), expected);
                }
                Access::Write(at, data) => {
                    let range = range(at, data.len());
                    prop_assert_eq!(window.write_slice(&data, at).is_ok(), range.is_some());
                    if let Some(range) = range.filter(|range| !range.is_empty()) {
                        marks.push((range.start, range.len()));
                        model[range].copy_from_slice(&data);
                    }
                }
                Access::ReadObj(at) => {
                    let expected = range(at, 5).map(|range| model[range].to_vec());
                    let object = window.read_obj::<[u8; 5]>(at).ok();
                    prop_assert_eq!(object.map(|object| object.to_vec()), expected);
                }
                Access::WriteObj(at, object) => {
                    let range = range(at, 5);
                    prop_assert_eq!(window.write_obj(object, at).is_ok(), range.is_some());
                    if let Some(range) = range {
                        marks.push((range.start, 5));
                        model[range].copy_from_slice(&object);
                    }
                }
                Access::FetchAdd(at, value) => {
                    // The region is aligned, as the heap is.
                    let result = window.fetch_add(value, at, SeqCst);
                    match range(at, 4) {
                        None => prop_assert_eq!(result, Err(OutOfBounds)),
                        Some(range) if range.start % 4 == 0 => {
                            let bytes: [u8; 4] = model[range.clone()].try_into().expect("4");
                            let old = u32::from_ne_bytes(bytes);
                            prop_assert_eq!(result, Ok(old));
                            marks.push((range.start, 4));
                            model[range].copy_from_slice(old.wrapping_add(value).as_slice());
                        }
                        Some(_) => prop_assert_eq!(result, Err(Misaligned)),
                    }
                }
            }
            prop_assert_eq!(window.owner().log.take(), marks);
            prop_assert_eq!(all(&window), model.clone());
        }
    }
}
