//! Sources and sinks that do what they are told: give little, fail, lie.

use std::collections::VecDeque;
use std::io::{Error as IoError, ErrorKind};

use guest_memory::{ReadVolatile, VolatileSlice, WriteVolatile};
use guest_volatile::{BitmapSlice, Error, Result};

/// What a stream does in one call.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Moves up to so many bytes.
    Move(usize),
    /// Fails.
    Fail(ErrorKind),
    /// Moves nothing, and says that it moved so many bytes.
    Lie(usize),
    /// Moves nothing, and fails after so many bytes, as it says.
    FailAfter(usize),
    /// Moves nothing, and ends after so many bytes, as it says.
    EndAfter(usize),
}

/// A source that gives the numbers from 1 on, step by step, and then is at its end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Source {
    steps: VecDeque<Step>,
    given: usize,
    /// How many bytes it was asked for in each call.
    pub(crate) asked: Vec<usize>,
}

impl Source {
    pub(crate) fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { steps: steps.into_iter().collect(), ..Self::default() }
    }
}

impl ReadVolatile for Source {
    fn read_volatile<B: BitmapSlice>(&mut self, buf: &mut VolatileSlice<'_, B>) -> Result<usize> {
        self.asked.push(buf.len());
        match self.steps.pop_front() {
            None => Ok(0),
            Some(Step::Fail(kind)) => Err(Error::IOError(IoError::from(kind))),
            Some(Step::Lie(count)) => Ok(count),
            Some(Step::EndAfter(completed)) => {
                Err(Error::PartialBuffer { expected: usize::MAX, completed })
            }
            Some(Step::FailAfter(completed)) => {
                Err(Error::IOErrorAfter { completed, error: IoError::from(ErrorKind::TimedOut) })
            }
            Some(Step::Move(count)) => {
                let count = count.min(buf.len());
                let all = super::counting(self.given + count);
                buf.write_slice(&all[self.given..], 0)?;
                self.given += count;
                Ok(count)
            }
        }
    }
}

/// A sink that keeps what it takes, step by step, and then is full.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sink {
    steps: VecDeque<Step>,
    /// The bytes that it took.
    pub(crate) taken: Vec<u8>,
    /// How many bytes it was offered in each call.
    pub(crate) offered: Vec<usize>,
}

impl Sink {
    pub(crate) fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { steps: steps.into_iter().collect(), ..Self::default() }
    }
}

impl WriteVolatile for Sink {
    fn write_volatile<B: BitmapSlice>(&mut self, buf: &VolatileSlice<'_, B>) -> Result<usize> {
        self.offered.push(buf.len());
        match self.steps.pop_front() {
            None => Ok(0),
            Some(Step::Fail(kind)) => Err(Error::IOError(IoError::from(kind))),
            Some(Step::Lie(count)) => Ok(count),
            Some(Step::EndAfter(completed)) => {
                Err(Error::PartialBuffer { expected: usize::MAX, completed })
            }
            Some(Step::FailAfter(completed)) => {
                Err(Error::IOErrorAfter { completed, error: IoError::from(ErrorKind::TimedOut) })
            }
            Some(Step::Move(count)) => {
                let mut bytes = vec![0; count.min(buf.len())];
                buf.read_slice(&mut bytes, 0)?;
                self.taken.extend(&bytes);
                Ok(bytes.len())
            }
        }
    }
}
