//! Sources and sinks of streams that behave as badly as their script says.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};

use guest_volatile::{
    BitmapSlice, Error, ReadVolatile, Result as VolatileResult, VolatileSlice, WriteVolatile,
};

/// What a stream does when it is called once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// It moves at most so many bytes.
    Move(usize),
    /// A signal came before any byte was moved: `EINTR`.
    Interrupt,
    /// It fails before any byte is moved.
    Fail(ErrorKind),
    /// It moves at most so many bytes, and then fails, and says both. So many are at least one.
    FailAfter(usize, ErrorKind),
    /// It moves nothing: the source is at its end for now, or the sink is full.
    End,
}

/// What is left of a script.
#[derive(Clone, Debug, Default)]
struct Script(VecDeque<Step>);

impl Script {
    /// Moves bytes as the next step says, by `transfer`, which moves at most as many as it is told.
    fn call(
        &mut self,
        transfer: impl FnOnce(usize) -> VolatileResult<usize>,
    ) -> VolatileResult<usize> {
        let failed = |kind| io::Error::from(kind);
        match self.0.pop_front() {
            None => transfer(usize::MAX),
            Some(Step::Move(most)) => transfer(most),
            Some(Step::Interrupt) => Err(Error::IOError(failed(ErrorKind::Interrupted))),
            Some(Step::Fail(kind)) => Err(Error::IOError(failed(kind))),
            Some(Step::FailAfter(most, kind)) => match transfer(most)? {
                0 => Err(Error::IOError(failed(kind))),
                completed => Err(Error::IOErrorAfter { completed, error: failed(kind) }),
            },
            Some(Step::End) => Ok(0),
        }
    }
}

/// A source of bytes that gives them as its script says, and all that are asked for once the script is over.
///
/// ```
/// use std::io::ErrorKind;
/// use guest_testing::{ScriptedSource, Step};
/// use guest_volatile::{Error, VolatileSlice};
///
/// let mut ram = [0u8; 8];
/// let memory = VolatileSlice::from(&mut ram[..]);
/// let script = [Step::Move(3), Step::Interrupt, Step::Fail(ErrorKind::TimedOut)];
/// let mut source = ScriptedSource::new(*b"abcdefgh", script);
/// let result = memory.read_exact_volatile_from(0, &mut source, 8);
/// assert!(matches!(result, Err(Error::IOErrorAfter { completed: 3, .. })));
/// assert_eq!(source.rest(), b"defgh");
/// ```
#[derive(Clone, Debug, Default)]
pub struct ScriptedSource {
    script: Script,
    data: Vec<u8>,
    given: usize,
    calls: Vec<usize>,
}

impl ScriptedSource {
    /// A source of `data`, after which it is at its end, that does a step of `script` in each call.
    pub fn new(data: impl Into<Vec<u8>>, script: impl IntoIterator<Item = Step>) -> Self {
        let script = Script(script.into_iter().collect());
        Self { script, data: data.into(), given: 0, calls: Vec::new() }
    }

    /// The bytes that it has not given.
    pub fn rest(&self) -> &[u8] {
        &self.data[self.given..]
    }

    /// How many bytes each call had room for, the calls that failed included.
    pub fn calls(&self) -> &[usize] {
        &self.calls
    }
}

impl ReadVolatile for ScriptedSource {
    fn read_volatile<B: BitmapSlice>(
        &mut self,
        buf: &mut VolatileSlice<'_, B>,
    ) -> VolatileResult<usize> {
        self.calls.push(buf.len());
        let (data, given) = (&self.data, &mut self.given);
        self.script.call(|most| {
            let count = buf.len().min(most).min(data.len() - *given);
            buf.write_slice(&data[*given..*given + count], 0)?;
            *given += count;
            Ok(count)
        })
    }
}

/// A sink that takes bytes as its script says, and all that it is offered once the script is over.
///
/// ```
/// use guest_testing::{ScriptedSink, Step};
/// use guest_volatile::VolatileSlice;
///
/// let mut ram = *b"abcdefgh";
/// let memory = VolatileSlice::from(&mut ram[..]);
/// let mut sink = ScriptedSink::new([Step::Move(3), Step::Interrupt]);
/// memory.write_all_volatile_to(0, &mut sink, 8)?;
/// assert_eq!((sink.taken(), sink.calls()), (&b"abcdefgh"[..], &[8, 5, 5][..]));
/// # Ok::<(), guest_volatile::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ScriptedSink {
    script: Script,
    taken: Vec<u8>,
    calls: Vec<usize>,
}

impl ScriptedSink {
    /// A sink that does a step of `script` in each call.
    pub fn new(script: impl IntoIterator<Item = Step>) -> Self {
        let script = Script(script.into_iter().collect());
        Self { script, ..Self::default() }
    }

    /// The bytes that it took.
    pub fn taken(&self) -> &[u8] {
        &self.taken
    }

    /// How many bytes each call offered, the calls that failed included.
    pub fn calls(&self) -> &[usize] {
        &self.calls
    }
}

impl WriteVolatile for ScriptedSink {
    fn write_volatile<B: BitmapSlice>(
        &mut self,
        buf: &VolatileSlice<'_, B>,
    ) -> VolatileResult<usize> {
        self.calls.push(buf.len());
        let taken = &mut self.taken;
        self.script.call(|most| {
            let mut bytes = vec![0; buf.len().min(most)];
            buf.read_slice(&mut bytes, 0)?;
            taken.extend(&bytes);
            Ok(bytes.len())
        })
    }
}
