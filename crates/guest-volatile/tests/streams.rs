//! Sources and sinks that are short, slow, interrupted, failing or lying: no byte is lost, skipped or read twice.

#![cfg(feature = "std")]

mod common;

use std::collections::VecDeque;
use std::io::{Error as IoError, ErrorKind};

use common::{Log, Ram, bytes};
use guest_volatile::{BitmapSlice, Error, ReadVolatile, Result, VolatileSlice, WriteVolatile};
use rstest::rstest;

/// What a scripted stream does when it is called.
#[derive(Clone, Copy)]
enum Step {
    /// Moves so many bytes, or as many as there is room for.
    Move(usize),
    /// Fails like this.
    Fail(ErrorKind),
    /// Fails like this, and says that it had moved so many bytes.
    FailAfter(usize, ErrorKind),
    /// Fails with an error that is none of input or output.
    Refuse,
    /// Moves nothing, and says that it moved so many bytes.
    Lie(usize),
}

use Step::{Fail, FailAfter, Lie, Move, Refuse};

/// A source of the bytes 1, 2, 3, … and a sink that keeps what it gets. At the end of its script it moves nothing.
struct Script {
    steps: VecDeque<Step>,
    next: u8,
    taken: Vec<u8>,
    calls: usize,
}

impl Script {
    fn new(steps: &[Step]) -> Self {
        Self { steps: steps.iter().copied().collect(), next: 1, taken: Vec::new(), calls: 0 }
    }

    fn run(&mut self, transfer: impl FnOnce(&mut Self, usize) -> Result<usize>) -> Result<usize> {
        self.calls += 1;
        match self.steps.pop_front() {
            None => Ok(0),
            Some(Move(count)) => transfer(self, count),
            Some(Fail(kind)) => Err(Error::IOError(IoError::from(kind))),
            Some(FailAfter(completed, kind)) => {
                Err(Error::IOErrorAfter { completed, error: IoError::from(kind) })
            }
            Some(Refuse) => Err(Error::NotReadable),
            Some(Lie(count)) => Ok(count),
        }
    }
}

impl ReadVolatile for Script {
    fn read_volatile<B: BitmapSlice>(&mut self, buf: &mut VolatileSlice<'_, B>) -> Result<usize> {
        self.run(|script, count| {
            let data: Vec<u8> = (script.next..).take(count.min(buf.len())).collect();
            script.next += data.len() as u8;
            buf.write(&data, 0)
        })
    }
}

impl WriteVolatile for Script {
    fn write_volatile<B: BitmapSlice>(&mut self, buf: &VolatileSlice<'_, B>) -> Result<usize> {
        self.run(|script, count| {
            let mut data = vec![0; count.min(buf.len())];
            buf.read_slice(&mut data, 0)?;
            script.taken.extend(&data);
            Ok(data.len())
        })
    }
}

/// One of the ways to move bytes between offset 8 of a memory of 64 bytes, and a stream.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    ReadOnce,
    ReadExact,
    WriteOnce,
    WriteAll,
    /// `ReadVolatile::read_exact_volatile`.
    ReadExactOfSource,
    /// `WriteVolatile::write_all_volatile`.
    WriteAllOfSink,
}

use Way::{ReadExact, ReadExactOfSource, ReadOnce, WriteAll, WriteAllOfSink, WriteOnce};

const EVERY_WAY: [Way; 6] =
    [ReadOnce, ReadExact, WriteOnce, WriteAll, ReadExactOfSource, WriteAllOfSink];

impl Way {
    /// Moves `count` bytes, and says how many that were.
    fn go<B: BitmapSlice>(
        self,
        memory: &VolatileSlice<'_, B>,
        stream: &mut Script,
        count: usize,
    ) -> Result<usize> {
        let mut part = memory.subslice(8, count)?;
        match self {
            ReadOnce => memory.read_volatile_from(8, stream, count),
            ReadExact => memory.read_exact_volatile_from(8, stream, count).map(|()| count),
            WriteOnce => memory.write_volatile_to(8, stream, count),
            WriteAll => memory.write_all_volatile_to(8, stream, count).map(|()| count),
            ReadExactOfSource => stream.read_exact_volatile(&mut part).map(|()| count),
            WriteAllOfSink => stream.write_all_volatile(&part).map(|()| count),
        }
    }

    fn reads(self) -> bool {
        matches!(self, ReadOnce | ReadExact | ReadExactOfSource)
    }

    fn once(self) -> bool {
        matches!(self, ReadOnce | WriteOnce)
    }

    /// Goes through the script, and sees that the first `moved` bytes and no other were moved.
    fn play(self, steps: &[Step], count: usize, moved: usize) -> (Result<usize>, usize) {
        let (mut ram, log) = (Ram::<64>::counting(), Log::default());
        let mut model = ram.0;
        let memory = log.watch(ram.slice());
        let mut stream = Script::new(steps);
        let result = self.go(&memory, &mut stream, count);
        if self.reads() {
            model[8..8 + moved].copy_from_slice(&(1..).take(moved).collect::<Vec<u8>>());
            // SEMANTICS 20: exactly the bytes that came are marked.
            let marked: usize = log.take().iter().map(|(_, len)| len).sum();
            assert_eq!(marked, moved, "{self:?}");
        } else {
            assert_eq!(stream.taken, model[8..8 + moved], "{self:?}");
            assert_eq!(log.take(), [], "{self:?}");
        }
        assert_eq!(bytes(&memory), model, "{self:?}");
        (result, stream.calls)
    }
}

// SEMANTICS 9: what comes is short, and the rest is where it was.
#[rstest]
#[case::short(&[Move(10), Move(22)], 10)]
#[case::whole(&[Move(32)], 32)]
#[case::with_more_to_give(&[Move(99)], 32)]
#[case::at_its_end(&[], 0)]
fn one_transfer_moves_what_one_call_gives(#[case] steps: &[Step], #[case] moved: usize) {
    for way in [ReadOnce, WriteOnce] {
        let (result, calls) = way.play(steps, 32, moved);
        assert_eq!((result.expect("no failure"), calls), (moved, 1), "{way:?}");
    }
}

// SEMANTICS 10.
#[rstest]
#[case::ten_then_the_rest(&[Move(10), Move(22)], 2)]
#[case::ten_then_more(&[Move(10), Move(99)], 2)]
#[case::one_byte_a_call(&[Move(1); 40], 32)]
#[case::at_once(&[Move(32)], 1)]
fn exact_transfers_go_on_over_short_ones(#[case] steps: &[Step], #[case] calls: usize) {
    for way in [ReadExact, WriteAll, ReadExactOfSource, WriteAllOfSink] {
        let (result, called) = way.play(steps, 32, 32);
        assert_eq!((result.expect("no failure"), called), (32, calls), "{way:?}");
    }
}

// SEMANTICS 10: at the end of a file the count is known.
#[rstest]
#[case::at_once(&[], 0)]
#[case::after_some(&[Move(10)], 10)]
#[case::one_byte_before_the_end(&[Move(30), Move(1)], 31)]
fn exact_transfers_fail_at_the_end_with_the_count(#[case] steps: &[Step], #[case] moved: usize) {
    for way in [ReadExact, WriteAll, ReadExactOfSource, WriteAllOfSink] {
        let (result, _) = way.play(steps, 32, moved);
        assert!(
            matches!(result, Err(Error::PartialBuffer { expected: 32, completed }) if completed == moved),
            "{way:?}: {result:?}"
        );
    }
}

// SEMANTICS 11.
#[rstest]
#[case::once(&[Fail(ErrorKind::Interrupted), Move(32)])]
#[case::often(&[Fail(ErrorKind::Interrupted); 3])]
#[case::between(&[Move(32), Fail(ErrorKind::Interrupted)])]
fn an_interruption_is_tried_again_by_every_method(#[case] steps: &[Step]) {
    let steps = [steps, &[Move(32)]].concat();
    for way in EVERY_WAY {
        let (result, _) = way.play(&steps, 32, 32);
        assert_eq!(result.expect("no failure"), 32, "{way:?}");
    }
}

// SEMANTICS 11: also in the middle of an exact transfer.
#[test]
fn an_interruption_after_progress_loses_nothing() {
    let steps = [Move(10), Fail(ErrorKind::Interrupted), Fail(ErrorKind::Interrupted), Move(22)];
    for way in EVERY_WAY.into_iter().filter(|way| !way.once()) {
        let (result, calls) = way.play(&steps, 32, 32);
        assert_eq!((result.expect("no failure"), calls), (32, 4), "{way:?}");
    }
}

// SEMANTICS 11: before any progress the error is just the stream's.
#[test]
fn an_error_before_progress_is_that_of_the_stream() {
    for way in EVERY_WAY {
        let (result, _) = way.play(&[Fail(ErrorKind::ConnectionReset), Move(32)], 32, 0);
        let kind = match result {
            Err(Error::IOError(error)) => error.kind(),
            other => panic!("{way:?}: {other:?}"),
        };
        assert_eq!(kind, ErrorKind::ConnectionReset);
        let (result, _) = way.play(&[Refuse, Move(32)], 32, 0);
        assert!(matches!(result, Err(Error::NotReadable)), "{way:?}");
    }
}

// SEMANTICS 11.
#[rstest]
#[case::after_some(&[Move(10), Fail(ErrorKind::BrokenPipe)], 10, 10)]
#[case::after_several(&[Move(10), Move(20), Fail(ErrorKind::BrokenPipe)], 30, 30)]
#[case::with_a_count_of_its_own(&[Move(10), FailAfter(5, ErrorKind::BrokenPipe)], 10, 15)]
#[case::with_a_count_that_is_a_lie(&[Move(10), FailAfter(usize::MAX, ErrorKind::BrokenPipe)], 10, 32)]
fn an_error_after_progress_keeps_the_count(
    #[case] steps: &[Step],
    #[case] moved: usize,
    #[case] count: usize,
) {
    for way in EVERY_WAY.into_iter().filter(|way| !way.once()) {
        match way.play(steps, 32, moved).0 {
            Err(Error::IOErrorAfter { completed, error }) => {
                assert_eq!((completed, error.kind()), (count, ErrorKind::BrokenPipe), "{way:?}");
            }
            other => panic!("{way:?}: {other:?}"),
        }
    }
}

// No input makes safe code panic or touch memory outside (DESIGN.md, invariant 5).
#[rstest]
#[case(33)]
#[case(isize::MAX as usize)]
#[case(usize::MAX)]
fn a_stream_that_claims_too_much_is_not_believed(#[case] claim: usize) {
    for way in EVERY_WAY {
        let (result, calls) = way.play(&[Lie(claim), Move(32)], 32, 0);
        assert_eq!((result.expect("no failure"), calls), (32, 1), "{way:?}");
        if !way.once() {
            let (result, calls) = way.play(&[Move(10), Lie(claim), Move(22)], 32, 10);
            assert_eq!((result.expect("no failure"), calls), (32, 2), "{way:?}");
        }
    }
}

/// A source that, like those of `std::io::Read`'s helpers, moves the slice it fills along.
struct Advancing;

impl ReadVolatile for Advancing {
    fn read_volatile<B: BitmapSlice>(&mut self, buf: &mut VolatileSlice<'_, B>) -> Result<usize> {
        let count = buf.write(&[7; 6], 0)?;
        *buf = buf.offset(count)?;
        Ok(count)
    }
}

#[test]
fn a_source_may_move_along_the_slice_that_it_gets() {
    let mut ram = Ram::<8>::zeroed();
    let memory = ram.slice();
    assert_eq!(memory.read_volatile_from(0, &mut Advancing, 8).expect("no failure"), 6);
    memory.read_exact_volatile_from(0, &mut Advancing, 8).expect("no failure");
    assert_eq!(bytes(&memory), [7; 8]);
}

/// A sink that takes one byte a call, and then writes over it in the memory it came from.
struct Spoiling<'a> {
    memory: VolatileSlice<'a>,
    taken: Vec<u8>,
}

impl WriteVolatile for Spoiling<'_> {
    fn write_volatile<B: BitmapSlice>(&mut self, buf: &VolatileSlice<'_, B>) -> Result<usize> {
        self.taken.push(buf.read_obj(0)?);
        // Everything up to here is spoiled: who read it again would see it.
        self.memory.write_slice(&vec![0xff; self.taken.len()], 0)?;
        Ok(1)
    }
}

// SEMANTICS 12.
#[test]
fn a_slow_sink_reads_each_byte_once() {
    let mut ram = Ram::<64>::counting();
    let before = ram.0;
    let memory = ram.slice();
    let mut sink = Spoiling { memory, taken: Vec::new() };
    memory.write_all_volatile_to(0, &mut sink, 64).expect("no failure");
    assert_eq!(sink.taken, before);
}

// SEMANTICS 6: nothing is moved from and to anywhere, without a call of the stream.
#[rstest]
#[case(0)]
#[case(64)]
#[case(65)]
#[case(usize::MAX)]
fn nothing_is_moved_at_any_offset(#[case] offset: usize) {
    let mut ram = Ram::<64>::counting();
    let memory = ram.slice();
    let mut stream = Script::new(&[Fail(ErrorKind::Other)]);
    assert_eq!(memory.read_volatile_from(offset, &mut stream, 0).expect("nothing"), 0);
    assert_eq!(memory.write_volatile_to(offset, &mut stream, 0).expect("nothing"), 0);
    memory.read_exact_volatile_from(offset, &mut stream, 0).expect("nothing");
    memory.write_all_volatile_to(offset, &mut stream, 0).expect("nothing");
    assert_eq!(stream.calls, 0);
}

// At the end itself one transfer moves 0 bytes, as vm-memory's does; past it, and exactly, it is refused.
#[rstest]
#[case::at_the_end(64, Some(0), 65)]
#[case::past_the_end(65, None, 66)]
#[case::at_the_largest_offset(usize::MAX - 1, None, usize::MAX)]
fn bytes_past_the_end_are_refused(
    #[case] offset: usize,
    #[case] once: Option<usize>,
    #[case] end: usize,
) {
    let mut ram = Ram::<64>::counting();
    let memory = ram.slice();
    let mut stream = Script::new(&[Move(1); 4]);
    assert_eq!(memory.read_volatile_from(offset, &mut stream, 1).ok(), once);
    assert_eq!(memory.write_volatile_to(offset, &mut stream, 1).ok(), once);
    let refused =
        |result: Result<()>| matches!(result, Err(Error::OutOfBounds { addr }) if addr == end);
    assert!(refused(memory.read_exact_volatile_from(offset, &mut stream, 1)));
    assert!(refused(memory.write_all_volatile_to(offset, &mut stream, 1)));
    assert_eq!(stream.calls, 0);
}

// SEMANTICS 14 for streams: an exact transfer that does not fit does not begin.
#[test]
fn an_exact_transfer_over_the_end_does_not_begin() {
    let mut ram = Ram::<64>::counting();
    let before = ram.0;
    let memory = ram.slice();
    let mut stream = Script::new(&[Move(64)]);
    assert!(memory.read_exact_volatile_from(60, &mut stream, 5).is_err());
    assert!(memory.write_all_volatile_to(60, &mut stream, 5).is_err());
    assert_eq!((stream.calls, bytes(&memory)), (0, before.to_vec()));
    // Once, as much as there is.
    assert_eq!(memory.read_volatile_from(60, &mut stream, 99).expect("no failure"), 4);
}
