//! Streams with a script, compared with the model.

use guest_memory::{Bytes, GuestAddress, IoMemory, Permissions, VolatileSlice};

use crate::conformance::bench::Bench;
use crate::conformance::model::{End, Expected};
use crate::conformance::op::Op;
use crate::conformance::pieces::{at_hand, pieces};
use crate::stream::{ScriptedSink, ScriptedSource, Step};

/// How a stream is used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Way {
    /// Once for each piece of memory.
    Once,
    /// Until all is done.
    Exact,
}

/// What a transfer says that goes over pieces of these lengths, which `end` ends: one call for each piece, or as many as it
/// takes.
pub(super) fn streamed(
    lens: &[usize],
    end: End,
    count: usize,
    steps: &[Step],
    way: Way,
) -> Expected {
    let (done, ended) = followed(lens, end, steps, way);
    match (way, ended) {
        (_, ended) if done == 0 && ended != Expected::Done(0) => ended,
        (Way::Once, _) => Expected::Done(done),
        (Way::Exact, Expected::Stream { .. }) if done < count => ended,
        (Way::Exact, _) => Expected::Done(done).whole(count),
    }
}

/// How many bytes a transfer moves, and what ends it.
pub(super) fn followed(lens: &[usize], end: End, steps: &[Step], way: Way) -> (usize, Expected) {
    let mut steps = steps.iter().filter(|step| **step != Step::Interrupt);
    let mut done = 0;
    for &len in lens {
        let mut left = len;
        while left > 0 {
            let part = match steps.next() {
                Some(Step::Fail(kind)) => {
                    return (done, Expected::Stream { kind: *kind, completed: done });
                }
                Some(Step::FailAfter(most, kind)) => {
                    done += left.min(*most);
                    return (done, Expected::Stream { kind: *kind, completed: done });
                }
                Some(Step::End) => 0,
                Some(Step::Move(most)) => left.min(*most),
                // No interruption is left, and after the script all is moved.
                Some(Step::Interrupt) | None => left,
            };
            done += part;
            left -= part;
            if part == 0 || (way == Way::Once && left > 0) {
                return (done, Expected::Done(done));
            }
        }
    }
    (done, if end == End::Complete { Expected::Done(done) } else { end.error() })
}

impl<M: IoMemory> Bench<'_, M> {
    pub(super) fn read_from(&mut self, op: &Op, way: Way) -> Result<(), String> {
        let expected = self.streams(op, Permissions::Write, way)?;
        let (at, data) = (GuestAddress(op.at), op.data(op.len + 8));
        let mut source = ScriptedSource::new(data.clone(), op.steps.iter().copied());
        let found = match way {
            Way::Once => self.memory.read_volatile_from(at, &mut source, op.len),
            Way::Exact => {
                self.memory.read_exact_volatile_from(at, &mut source, op.len).map(|()| op.len)
            }
        };
        if self.refuses(Permissions::Write) {
            // It may have failed first, or not have had a byte.
            let moved = found.is_ok_and(|done| done > 0);
            return if moved {
                Err("a stream moved bytes into read-only memory".into())
            } else {
                Ok(())
            };
        }
        let Some(expected) = expected.iter().find(|expected| expected.is(&found)) else {
            return Err(format!("the stream gave {found:?}, not one of {expected:?}"));
        };
        let taken = data.len() - source.rest().len();
        if taken != expected.moved() {
            return Err(format!(
                "{taken:#x} bytes were taken of the source, and {expected:?} was said"
            ));
        }
        self.model.put(op.at, &data[..taken]);
        Ok(())
    }

    pub(super) fn write_to(&mut self, op: &Op, way: Way) -> Result<(), String> {
        let expected = self.streams(op, Permissions::Read, way)?;
        let at = GuestAddress(op.at);
        let mut sink = ScriptedSink::new(op.steps.iter().copied());
        let found = match way {
            Way::Once => self.memory.write_volatile_to(at, &mut sink, op.len),
            Way::Exact => self.memory.write_all_volatile_to(at, &mut sink, op.len).map(|()| op.len),
        };
        let Some(expected) = expected.iter().find(|expected| expected.is(&found)) else {
            return Err(format!("the stream gave {found:?}, not one of {expected:?}"));
        };
        let bytes = self.model.bytes(op.at, op.len);
        if sink.taken() != &bytes[..expected.moved().min(bytes.len())] {
            return Err(format!("the sink has {:02x?} of {bytes:02x?}", sink.taken()));
        }
        Ok(())
    }

    /// What a stream may say: the pieces that it goes over are those of `get_slices`, or the one that is at hand.
    fn streams(&self, op: &Op, access: Permissions, way: Way) -> Result<Vec<Expected>, String> {
        let (_, end) = self.model.reach(op.at, op.len);
        let slices = pieces(self.memory, self.model, self.settings, op.at, op.len, access)?;
        let lens: Vec<_> = slices.iter().map(VolatileSlice::len).collect();
        let mut expected = vec![streamed(&lens, end, op.len, &op.steps, way)];
        if at_hand(self.memory, self.model, op.at, op.len, access)?.is_some() {
            expected.push(streamed(&[op.len], end, op.len, &op.steps, way));
        }
        Ok(expected)
    }
}
