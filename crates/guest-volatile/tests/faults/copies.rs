//! Runs of bytes, of every length and at every alignment, up to a page that is out of reach.

use guest_volatile::{Access, Error, VolatileSlice};
use proptest::prelude::*;

use crate::common::Log;
use crate::memory::{BOTH, PAGE, Pages, Why, fault_of};

/// Lengths around which the kernels change their ways, and the most that fit.
fn lengths() -> impl Iterator<Item = usize> {
    (1..=300).chain([511, 512, 1000, 1023, 1024, 1025, 2048, 4000, 4095, 4096])
}

/// Bytes without a zero.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index % 251 + 1) as u8).collect()
}

#[test]
fn a_read_up_to_the_page_is_whole_and_one_past_it_says_how_far_it_came() {
    for why in BOTH {
        let pages = Pages::new(why);
        let memory = pages.slice();
        memory.write_slice(&pattern(PAGE), 0).unwrap();
        let source = pattern(PAGE);
        for before in lengths() {
            for beyond in [1, 3, 15, 64, 200, PAGE, 2 * PAGE] {
                let start = PAGE - before;
                let mut buf = vec![0; before + beyond];
                memory.read_slice(&mut buf[..before], start).unwrap();
                buf.fill(0);
                let result = memory.read_slice(&mut buf, start);
                assert_eq!(fault_of(result), (PAGE, before, Access::Read), "{before} {beyond}");
                assert_eq!(buf[..before], source[start..]);
                assert!(buf[before..].iter().all(|&byte| byte == 0), "nothing came from beyond");
                assert_eq!(memory.read(&mut buf, start).unwrap(), before);
            }
        }
    }
}

#[test]
fn a_write_past_the_page_writes_what_comes_before_it_and_marks_all() {
    for why in BOTH {
        let (pages, log) = (Pages::new(why), Log::default());
        let memory = log.watch(pages.slice());
        for before in lengths() {
            for beyond in [1, 2, 8, 100, PAGE] {
                let start = PAGE - before;
                pages.slice().write_slice(&[0; PAGE], 0).unwrap();
                let source = pattern(before + beyond);
                let result = memory.write_slice(&source, start);
                assert_eq!(fault_of(result), (PAGE, before, Access::Write), "{before} {beyond}");
                assert_eq!(log.take(), [(start, source.len())]);
                let mut now = [0; PAGE];
                pages.slice().read_slice(&mut now, 0).unwrap();
                assert_eq!(now[start..], source[..before]);
                assert!(now[..start].iter().all(|&byte| byte == 0));
                assert_eq!(memory.write(&source, start).unwrap(), before);
                assert_eq!(log.take(), [(start, source.len())]);
            }
        }
    }
}

#[test]
fn an_access_that_starts_out_of_reach_moves_nothing() {
    for why in BOTH {
        let (pages, log) = (Pages::new(why), Log::default());
        let memory = log.watch(pages.slice());
        for len in lengths() {
            for start in [PAGE, PAGE + 1, PAGE + 8, 2 * PAGE - 1] {
                let mut buf = vec![7; len];
                let read = (start, 0, Access::Read);
                assert_eq!(fault_of(memory.read_slice(&mut buf, start)), read);
                assert_eq!(fault_of(memory.read(&mut buf, start)), read);
                assert!(buf.iter().all(|&byte| byte == 7));
                let written = (start, 0, Access::Write);
                assert_eq!(log.take(), []);
                assert_eq!(fault_of(memory.write_slice(&buf, start)), written);
                assert_eq!(fault_of(memory.write(&buf, start)), written);
                assert_eq!(fault_of(memory.write_whole(&buf, start)), written);
                assert_eq!(log.take(), [(start, len); 3]);
            }
        }
    }
}

#[test]
fn a_copy_between_slices_says_which_side_it_was() {
    for why in BOTH {
        let (from, to, log) = (Pages::new(why), Pages::new(why), Log::default());
        let target = log.watch(to.slice());
        from.slice().write_slice(&pattern(PAGE), 0).unwrap();
        for (in_source, in_target) in
            [(100, 200), (200, 100), (3, 64), (128, 127), (PAGE, 1), (1, PAGE)]
        {
            let source = from.slice().offset(PAGE - in_source).unwrap();
            let (start, count) = (PAGE - in_target, in_source.min(in_target));
            let marked = [(start, source.len().min(to.slice().len() - start))];
            let side = if in_source <= in_target { Access::Read } else { Access::Write };
            let result = source.try_copy_to_volatile_slice(target.offset(start).unwrap());
            assert_eq!(fault_of(result), (count, count, side));
            assert_eq!(log.take(), marked);
            source.copy_to_volatile_slice(target.offset(start).unwrap());
            assert_eq!(log.take(), marked);
            let mut now = vec![0; count];
            to.slice().read_slice(&mut now, start).unwrap();
            assert_eq!(now, pattern(PAGE)[PAGE - in_source..][..count]);
        }
    }
}

/// What `copy_within` by one byte upwards does, with a page out of reach: `None` is out of reach.
fn downwards(
    model: &mut [Option<u8>],
    from: usize,
    to: usize,
    len: usize,
) -> (usize, usize, Access) {
    for done in 0..len {
        let at = len - 1 - done;
        let Some(byte) = model[from + at] else { return (at, done, Access::Read) };
        match &mut model[to + at] {
            None => return (at, done, Access::Write),
            place => *place = Some(byte),
        }
    }
    panic!("it is in reach")
}

#[test]
fn a_copy_downwards_has_moved_what_lies_after_the_page() {
    // Of a protected page there is another behind it.
    for len in [20, 64, 100, 300, 1000] {
        for shift in [1, 7, 16, 63, 64, 65, 100, 200] {
            for after in [5, 17, 70, 129] {
                if shift >= len || after >= len {
                    continue;
                }
                let (pages, log) = (Pages::new(Why::Protected), Log::default());
                let memory = pages.slice();
                memory.write_slice(&pattern(PAGE), 0).unwrap();
                memory.write_slice(&pattern(PAGE), 2 * PAGE).unwrap();
                let mut model: Vec<_> = pattern(PAGE).into_iter().map(Some).collect();
                model.extend([None; PAGE]);
                model.extend(pattern(PAGE).into_iter().map(Some));
                let from = 2 * PAGE + after - len;
                let to = from + shift;
                let expected = downwards(&mut model, from, to, len);
                let target = log.watch(memory).subslice(to, len).unwrap();
                let source = memory.subslice(from, len).unwrap();
                let result = source.try_copy_to_volatile_slice(target);
                assert_eq!(fault_of(result), expected, "{len} {shift} {after}");
                assert_eq!(log.take(), [(to, len)]);
                let mut now = vec![0; PAGE];
                memory.read_slice(&mut now, 2 * PAGE).unwrap();
                assert_eq!(now.into_iter().map(Some).collect::<Vec<_>>(), model[2 * PAGE..]);
            }
        }
    }
}

#[test]
fn a_copy_of_overlapping_slices_upwards_has_moved_what_lies_before_the_page() {
    for why in BOTH {
        for shift in [1, 2, 8, 15, 16, 17, 63, 64, 100, 127, 128, 129, 500] {
            for len in [600, 1000, 2000] {
                let pages = Pages::new(why);
                let memory = pages.slice();
                memory.write_slice(&pattern(PAGE), 0).unwrap();
                let in_reach = 555;
                let from = PAGE - in_reach;
                let mut model = pattern(PAGE);
                model.copy_within(from.., from - shift);
                let source = memory.subslice(from, len).unwrap();
                let target = memory.subslice(from - shift, len).unwrap();
                let result = source.try_copy_to_volatile_slice(target);
                assert_eq!(fault_of(result), (in_reach, in_reach, Access::Read));
                let mut now = vec![0; PAGE];
                memory.read_slice(&mut now, 0).unwrap();
                assert_eq!(now, model, "{shift} {len}");
            }
        }
    }
}

// A store may have been done in part when it faults. What is loaded again must not be what it has overwritten.
#[test]
fn a_copy_of_overlapping_slices_into_a_page_that_may_only_be_read_does_not_eat_its_source() {
    let pages = Pages::new(Why::Protected);
    let memory = pages.slice();
    let lengths = || (1..=24).chain([31, 33, 63, 64, 65, 100, 131]);
    for (shift, in_reach) in (1..=24)
        .chain([31, 40, 63, 64, 65])
        .flat_map(|shift| lengths().map(move |len| (shift, len)))
    {
        let len = in_reach + 100;
        // Upwards into the page from below, and downwards from above.
        for (target, moved_to) in [(PAGE - in_reach, PAGE - in_reach), (2 * PAGE - 100, 2 * PAGE)] {
            let source = if target == moved_to { target + shift } else { target - shift };
            let mut model = pattern(3 * PAGE);
            pages.protect(libc::PROT_READ | libc::PROT_WRITE);
            memory.write_slice(&model, 0).unwrap();
            pages.protect(libc::PROT_READ);
            let moved_from = source + (moved_to - target);
            model.copy_within(moved_from..moved_from + in_reach, moved_to);

            let [from, to] = [source, target].map(|at| memory.subslice(at, len).unwrap());
            let (_, completed, access) = fault_of(from.try_copy_to_volatile_slice(to));
            assert_eq!((completed, access), (in_reach, Access::Write));
            let mut now = vec![0; 3 * PAGE];
            memory.read_slice(&mut now, 0).unwrap();
            assert!(now == model, "{in_reach} bytes by {shift} to {target:#x}");
        }
    }
}

#[test]
fn arrays_stop_before_the_element_that_faults() {
    for why in BOTH {
        let (pages, log) = (Pages::new(why), Log::default());
        let memory = log.watch(pages.slice());
        let tail = memory.offset(PAGE - 11).unwrap();
        tail.copy_from(&[0x0101_0101_u32; 5]);
        assert_eq!(log.take(), [(PAGE - 11, 20)]);
        let mut elements = [0_u32; 5];
        assert_eq!(tail.copy_to(&mut elements), 2);
        assert_eq!(elements, [0x0101_0101, 0x0101_0101, 0, 0, 0]);
        tail.copy_from(&[[2_u8; 3]; 5]);
        assert_eq!(log.take(), [(PAGE - 11, 15)]);
        let mut elements = [[0_u8; 3]; 5];
        assert_eq!(tail.copy_to(&mut elements), 3);
    }
}

#[test]
fn a_buffer_of_the_callers_may_fault_too_and_is_the_other_side() {
    // The buffer is memory of a file as well, which its owner made shorter.
    let (pages, own) = (Pages::new(Why::Truncated), Pages::new(Why::Truncated));
    let buf = own.slice().offset(PAGE - 40).unwrap();
    let result = buf.try_copy_to_volatile_slice(pages.slice());
    assert_eq!(fault_of(result), (40, 40, Access::Read));
}

#[test]
fn memory_that_comes_back_is_memory_again() {
    let pages = Pages::new(Why::Truncated);
    let memory = pages.slice();
    assert!(matches!(memory.write_slice(&[1; 64], PAGE), Err(Error::Faulted { .. })));
    pages.truncate(2 * PAGE);
    memory.write_slice(&[1; 64], PAGE).unwrap();
    assert_eq!(memory.read_obj::<[u8; 64]>(PAGE).unwrap(), [1; 64]);
    pages.truncate(0);
    assert_eq!(fault_of(memory.read_obj::<u8>(0)), (0, 0, Access::Read));
}

/// What is done to the memory.
#[derive(Clone, Debug)]
enum Step {
    Read(usize, usize),
    Write(usize, usize, u8),
    Copy(usize, usize, usize),
    Truncate(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let place = 0..3 * PAGE;
    let len = prop_oneof![0..200_usize, 0..3 * PAGE];
    let step = prop_oneof![
        (place.clone(), len.clone()).prop_map(|(at, len)| Step::Read(at, len)),
        (place.clone(), len.clone(), 1..=255_u8)
            .prop_map(|(at, len, byte)| Step::Write(at, len, byte)),
        (place.clone(), place, len).prop_map(|(from, to, len)| Step::Copy(from, to, len)),
        (0..4_usize).prop_map(|pages| Step::Truncate(pages * PAGE)),
    ];
    prop::collection::vec(step, 1..30)
}

/// The first of `count` bytes from `at` on that is past `end`, as a number of bytes.
fn in_reach(at: usize, count: usize, end: usize) -> usize {
    count.min(end.saturating_sub(at))
}

#[track_caller]
fn agrees(result: Result<(), Error>, at: usize, len: usize, done: usize, access: Access) {
    match result {
        Ok(()) => assert_eq!(done, len),
        failed => assert_eq!(fault_of(failed), (at + done, done, access)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// A file that grows and shrinks, against a list of bytes and its length.
    #[test]
    fn every_access_agrees_with_a_list_of_bytes_that_ends(steps in steps()) {
        let (pages, log) = (Pages::new(Why::Truncated), Log::default());
        let memory = log.watch(pages.slice());
        let mut model = vec![0_u8; 3 * PAGE];
        let mut end = PAGE;
        for step in steps {
            match step {
                Step::Read(at, len) => {
                    let len = len.min(3 * PAGE - at);
                    let mut buf = vec![0; len];
                    let done = in_reach(at, len, end);
                    agrees(memory.read_slice(&mut buf, at), at, len, done, Access::Read);
                    prop_assert_eq!(&buf[..done], &model[at..at + done]);
                    prop_assert_eq!(log.take(), []);
                }
                Step::Write(at, len, byte) => {
                    let len = len.min(3 * PAGE - at);
                    let done = in_reach(at, len, end);
                    let result = memory.write_slice(&vec![byte; len], at);
                    agrees(result, at, len, done, Access::Write);
                    model[at..at + done].fill(byte);
                    let marks = if len == 0 { vec![] } else { vec![(at, len)] };
                    prop_assert_eq!(log.take(), marks);
                }
                Step::Copy(from, to, len) => {
                    let len = len.min(3 * PAGE - from).min(3 * PAGE - to);
                    let source: VolatileSlice<'_> = pages.slice().subslice(from, len).unwrap();
                    let result = source.try_copy_to_volatile_slice(memory.subslice(to, len).unwrap());
                    // Downwards it is the end that is out of reach, so nothing is moved.
                    let is_downwards = to.wrapping_sub(from) < len;
                    let done = in_reach(from, len, end).min(in_reach(to, len, end));
                    if done == len {
                        prop_assert_eq!(result.unwrap(), len);
                        model.copy_within(from..from + len, to);
                    } else if is_downwards {
                        let side = if from + len > end { Access::Read } else { Access::Write };
                        prop_assert_eq!(fault_of(result), (len - 1, 0, side));
                    } else {
                        let side = if from + done >= end { Access::Read } else { Access::Write };
                        prop_assert_eq!(fault_of(result), (done, done, side));
                        model.copy_within(from..from + done, to);
                    }
                    log.take();
                }
                Step::Truncate(len) => {
                    pages.truncate(len);
                    model[len..].fill(0);
                    end = len;
                }
            }
        }
    }
}
