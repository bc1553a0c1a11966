//! Lists of slices are filled and emptied as one run of bytes, by streams and at places, by sources that are short, fail or lie.

#![cfg(feature = "std")]

mod common;

use std::cell::RefCell;

use common::{Log, Ram, bytes};
use guest_volatile::{
    BitmapSlice, Error, ReadVolatile, ReadVolatileAt, Result, VolatileSlice, WriteVolatile,
    WriteVolatileAt,
};
use rstest::rstest;

/// The pieces [4, 10), [20, 20), [20, 36), [40, 44) of a memory of 64 bytes: 26 bytes.
fn pieces<'a, B: BitmapSlice>(memory: &VolatileSlice<'a, B>) -> [VolatileSlice<'a, B>; 4] {
    [(4, 6), (20, 0), (20, 16), (40, 4)]
        .map(|(start, len)| memory.subslice(start, len).expect("inside"))
}

/// The bytes of the pieces, of all the bytes.
fn in_pieces(all: &[u8]) -> Vec<u8> {
    [&all[4..10], &all[20..36], &all[40..44]].concat()
}

fn numbers(count: u8) -> Vec<u8> {
    (101..101 + count).collect()
}

#[rstest]
#[case::nothing(0, &[6, 0, 16, 4])]
#[case::a_part(1, &[5, 0, 16, 4])]
#[case::a_piece_and_the_empty_one_behind_it(6, &[16, 4])]
#[case::a_part_of_the_third(21, &[1, 4])]
#[case::all_but_one(25, &[1])]
#[case::all(26, &[])]
#[case::more(27, &[])]
#[case::far_more(usize::MAX, &[])]
fn a_list_is_advanced(#[case] count: usize, #[case] left: &[usize]) {
    let mut ram = Ram::<64>::counting();
    let memory = ram.slice();
    let mut list = pieces(&memory);
    let mut rest = &mut list[..];
    VolatileSlice::advance_slices(&mut rest, count);
    assert_eq!(rest.iter().map(VolatileSlice::len).collect::<Vec<_>>(), left);
    let content: Vec<u8> = rest.iter().flat_map(bytes).collect();
    assert_eq!(content, in_pieces(&bytes(&memory))[count.min(26)..]);
}

/// A source and sink, as a stream and by place, that moves at most so many bytes a call, and fails where it is told to. It
/// writes down the offset and length of every call.
struct Slow {
    bytes: RefCell<Vec<u8>>,
    most: usize,
    fails_at: usize,
    position: usize,
    calls: RefCell<Vec<(usize, usize)>>,
}

impl Slow {
    fn new(most: usize) -> Self {
        let (bytes, calls) = (RefCell::new(numbers(60)), RefCell::default());
        Self { bytes, most, fails_at: usize::MAX, position: 0, calls }
    }

    fn failing_at(most: usize, fails_at: usize) -> Self {
        Self { fails_at, ..Self::new(most) }
    }

    fn part(&self, offset: usize, len: usize) -> Result<(usize, usize)> {
        self.calls.borrow_mut().push((offset, len));
        if offset >= self.fails_at {
            return Err(Error::NotReadable);
        }
        let count = len.min(self.most).min(self.fails_at - offset);
        Ok((offset, count.min(self.bytes.borrow().len().saturating_sub(offset))))
    }
}

impl ReadVolatileAt for Slow {
    fn read_volatile_at<B: BitmapSlice>(
        &self,
        buf: &VolatileSlice<'_, B>,
        offset: u64,
    ) -> Result<usize> {
        let (start, count) = self.part(offset as usize, buf.len())?;
        buf.write_slice(&self.bytes.borrow()[start..start + count], 0)?;
        Ok(count)
    }
}

impl WriteVolatileAt for Slow {
    fn write_volatile_at<B: BitmapSlice>(
        &self,
        buf: &VolatileSlice<'_, B>,
        offset: u64,
    ) -> Result<usize> {
        let (start, count) = self.part(offset as usize, buf.len())?;
        buf.read(&mut self.bytes.borrow_mut()[start..start + count], 0)
    }
}

impl ReadVolatile for Slow {
    fn read_volatile<B: BitmapSlice>(&mut self, buf: &mut VolatileSlice<'_, B>) -> Result<usize> {
        let count = self.read_volatile_at(buf, self.position as u64)?;
        self.position += count;
        Ok(count)
    }
}

impl WriteVolatile for Slow {
    fn write_volatile<B: BitmapSlice>(&mut self, buf: &VolatileSlice<'_, B>) -> Result<usize> {
        let count = self.write_volatile_at(buf, self.position as u64)?;
        self.position += count;
        Ok(count)
    }
}

/// How a list is moved.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Read,
    ReadExact,
    ReadAt,
    ReadExactAt,
    Write,
    WriteAll,
    WriteAt,
    WriteAllAt,
}

use Way::*;

const EVERY_WAY: [Way; 8] =
    [Read, ReadExact, ReadAt, ReadExactAt, Write, WriteAll, WriteAt, WriteAllAt];

impl Way {
    fn go<B: BitmapSlice>(
        self,
        list: &mut [VolatileSlice<'_, B>],
        stream: &mut Slow,
    ) -> Result<usize> {
        let all = list.iter().map(VolatileSlice::len).sum();
        match self {
            Read => stream.read_vectored_volatile(list),
            ReadExact => stream.read_exact_vectored_volatile(list).map(|()| all),
            ReadAt => stream.read_vectored_volatile_at(list, 0),
            ReadExactAt => stream.read_exact_vectored_volatile_at(list, 0).map(|()| all),
            Write => stream.write_vectored_volatile(list),
            WriteAll => stream.write_all_vectored_volatile(list).map(|()| all),
            WriteAt => stream.write_vectored_volatile_at(list, 0),
            WriteAllAt => stream.write_all_vectored_volatile_at(list, 0).map(|()| all),
        }
    }

    fn reads(self) -> bool {
        matches!(self, Read | ReadExact | ReadAt | ReadExactAt)
    }

    fn once(self) -> bool {
        matches!(self, Read | ReadAt | Write | WriteAt)
    }

    /// Moves the pieces, and sees that the first `moved` bytes and no other were moved and marked.
    fn play(self, stream: &mut Slow, moved: usize) -> Result<usize> {
        let (mut ram, log) = (Ram::<64>::counting(), Log::default());
        let before = in_pieces(&ram.0);
        let memory = log.watch(ram.slice());
        let result = self.go(&mut pieces(&memory), stream);
        let after = in_pieces(&bytes(&memory));
        if self.reads() {
            assert_eq!(after[..moved], numbers(60)[..moved], "{self:?}");
            assert_eq!(after[moved..], before[moved..], "{self:?}");
            assert_eq!(log.take().iter().map(|(_, len)| len).sum::<usize>(), moved, "{self:?}");
        } else {
            let stream = stream.bytes.borrow();
            assert_eq!(stream[..moved], before[..moved], "{self:?}");
            assert_eq!(stream[moved..], numbers(60)[moved..], "{self:?}");
            assert_eq!((after, log.take()), (before, vec![]), "{self:?}");
        }
        result
    }
}

// SEMANTICS 9, 20: a short transfer is short; what was moved is what is marked.
#[rstest]
#[case::in_the_first_piece(5, 5)]
#[case::at_the_border(6, 6 + 6)]
#[case::all_pieces(16, 26)]
fn one_transfer_of_a_list_stops_at_a_short_one(#[case] most: usize, #[case] moved: usize) {
    for way in EVERY_WAY.into_iter().filter(|way| way.once()) {
        assert_eq!(way.play(&mut Slow::new(most), moved).expect("no failure"), moved, "{way:?}");
    }
}

// SEMANTICS 10.
#[rstest]
#[case(1)]
#[case(5)]
#[case(6)]
#[case(26)]
fn an_exact_transfer_of_a_list_goes_on(#[case] most: usize) {
    for way in EVERY_WAY.into_iter().filter(|way| !way.once()) {
        assert_eq!(way.play(&mut Slow::new(most), 26).expect("no failure"), 26, "{way:?}");
    }
}

// SEMANTICS 10, 11: also of an error that has no place for a count.
#[rstest]
#[case::in_a_piece(20)]
#[case::at_a_border(22)]
fn a_failure_after_progress_keeps_the_count(#[case] at: usize) {
    for way in EVERY_WAY {
        let result = way.play(&mut Slow::failing_at(99, at), at);
        match result {
            // Once, up to a short one: the failure was not seen.
            Ok(count) => assert!(way.once() && count == at && at == 20, "{way:?}"),
            Err(Error::PartialBuffer { completed, .. }) => assert_eq!(completed, at, "{way:?}"),
            other => panic!("{way:?}: {other:?}"),
        }
        let result = way.play(&mut Slow::failing_at(99, 0), 0);
        assert!(matches!(result, Err(Error::NotReadable)), "{way:?}: {result:?}");
    }
}

// SEMANTICS 10: the end, wherever it falls.
#[test]
fn the_end_of_a_source_keeps_the_count() {
    for end in [0, 5, 6, 7, 22, 25] {
        for way in EVERY_WAY {
            let mut stream = Slow::new(99);
            stream.bytes.borrow_mut().truncate(end);
            let (mut ram, log) = (Ram::<64>::counting(), Log::default());
            let memory = log.watch(ram.slice());
            match way.go(&mut pieces(&memory), &mut stream) {
                Ok(count) => assert!(way.once() && count == end, "{way:?}"),
                Err(Error::PartialBuffer { expected: 26, completed }) => {
                    assert_eq!(completed, end, "{way:?}");
                }
                other => panic!("{way:?}: {other:?}"),
            }
        }
    }
}

// A stream that does not say that it is vectored is asked for one slice after the other, and its end is its end.
#[test]
fn a_source_that_has_ended_at_a_border_is_not_asked_again() {
    let mut ram = Ram::<64>::zeroed();
    let memory = ram.slice();
    let mut source = Slow::new(99);
    source.bytes.borrow_mut().truncate(6);
    source.read_exact_vectored_volatile(&mut pieces(&memory)).expect_err("6 of 26");
    assert_eq!(source.calls.take(), [(0, 6), (6, 16)]);
}

// SEMANTICS 6.
#[test]
fn a_list_without_bytes_makes_no_call() {
    let mut ram = Ram::<64>::zeroed();
    let memory = ram.slice().read_only();
    let nothing = memory.subslice(8, 0).expect("inside");
    for way in EVERY_WAY {
        let mut stream = Slow::failing_at(99, 0);
        assert_eq!(way.go(&mut [nothing; 3], &mut stream).expect("nothing"), 0, "{way:?}");
        assert_eq!(way.go::<()>(&mut [], &mut stream).expect("nothing"), 0, "{way:?}");
        assert_eq!(stream.calls.take(), [], "{way:?}");
    }
}

/// A source and sink that moves nothing, and says that it moved so many bytes.
struct Liar(usize);

impl ReadVolatile for Liar {
    fn read_volatile<B: BitmapSlice>(&mut self, _: &mut VolatileSlice<'_, B>) -> Result<usize> {
        Ok(self.0)
    }
}

impl ReadVolatileAt for Liar {
    fn read_volatile_at<B: BitmapSlice>(&self, _: &VolatileSlice<'_, B>, _: u64) -> Result<usize> {
        Ok(self.0)
    }

    fn read_vectored_volatile_at<B: BitmapSlice>(
        &self,
        _: &[VolatileSlice<'_, B>],
        _: u64,
    ) -> Result<usize> {
        Ok(self.0)
    }
}

#[test]
fn a_source_that_claims_too_much_is_not_believed() {
    let mut ram = Ram::<64>::zeroed();
    let memory = ram.slice();
    for claim in [27, usize::MAX] {
        assert_eq!(Liar(claim).read_vectored_volatile(&pieces(&memory)).expect("a lie"), 26);
        Liar(claim).read_exact_vectored_volatile(&mut pieces(&memory)).expect("a lie");
        Liar(claim).read_exact_vectored_volatile_at(&mut pieces(&memory), 0).expect("a lie");
    }
}

// No sum of offsets wraps: past the largest there is nothing.
#[test]
fn a_place_past_every_source_is_its_end() {
    let mut ram = Ram::<64>::counting();
    let before = ram.0;
    let memory = ram.slice();
    let (source, mut disk) = (numbers(60), Ram::<64>::zeroed());
    let disk = disk.slice();
    for offset in [60, 61, 1 << 40, i64::MAX as u64, u64::MAX - 5, u64::MAX] {
        assert_eq!(source.read_vectored_volatile_at(&pieces(&memory), offset).expect("end"), 0);
        assert_eq!(source[..].read_volatile_at(&memory, offset).expect("end"), 0);
        source.read_exact_volatile_at(&memory, offset).expect_err("nothing there");
        assert_eq!(
            disk.write_volatile_at(&memory, offset + u64::from(offset < 64) * 4).expect("end"),
            0
        );
    }
    assert_eq!(bytes(&memory), before);
    // A source that takes every offset is stopped where there is no further one.
    let result = Liar(1).read_exact_vectored_volatile_at(&mut pieces(&memory), u64::MAX - 5);
    assert!(
        matches!(result, Err(Error::PartialBuffer { expected: 26, completed: 6 })),
        "{result:?}"
    );
}

#[test]
fn slices_of_bytes_are_sources_by_place() {
    let (mut ram, log) = (Ram::<64>::zeroed(), Log::default());
    let memory = log.watch(ram.slice());
    let source = numbers(60);
    assert_eq!(
        source[..].read_volatile_at(&memory.subslice(8, 4).expect("inside"), 58).unwrap(),
        2
    );
    assert_eq!((&&source).read_vectored_volatile_at(&pieces(&memory), 40).expect("20 of 26"), 20);
    assert_eq!(log.take(), [(8, 2), (4, 6), (20, 14)]);
    assert_eq!(in_pieces(&bytes(&memory))[..20], source[40..]);
}

// SEMANTICS 19, 20: what a sink in memory took is marked there.
#[test]
fn volatile_memory_is_a_source_and_a_sink_by_place() {
    let (mut ram, mut disk, log) = (Ram::<64>::counting(), Ram::<64>::zeroed(), Log::default());
    let (memory, watched) = (ram.slice(), log.watch(disk.slice()));
    assert_eq!(watched.write_vectored_volatile_at(&pieces(&memory), 50).expect("14 of 26"), 14);
    assert_eq!(bytes(&watched)[50..], in_pieces(&bytes(&memory))[..14]);
    assert_eq!(log.take(), [(50, 6), (56, 8)]);
    watched.read_exact_volatile_at(&memory.subslice(0, 14).expect("inside"), 50).expect("14");
    assert_eq!(bytes(&memory)[..14], bytes(&watched)[50..]);
    // The same memory, shifted by one.
    let before = bytes(&memory);
    memory.write_all_volatile_at(&memory.subslice(0, 63).expect("inside"), 1).expect("it fits");
    assert_eq!(bytes(&memory)[1..], before[..63]);
}

#[test]
fn read_only_memory_takes_nothing_by_place() {
    let (mut ram, mut disk) = (Ram::<64>::counting(), Ram::<64>::zeroed());
    let before = ram.0;
    let (target, source) = (ram.slice().read_only(), disk.slice());
    assert!(matches!(source.read_volatile_at(&target, 0), Err(Error::NotWritable)));
    assert!(matches!(numbers(60).read_volatile_at(&target, 0), Err(Error::NotWritable)));
    assert!(matches!(target.write_volatile_at(&source, 0), Err(Error::NotWritable)));
    // It gives all the same.
    source.write_all_volatile_at(&target, 0).expect("it fits");
    assert_eq!(bytes(&source), before);
}
