//! Finds what a device fetches twice, by changing it in between.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use guest_memory::{Bytes, GuestAddress, GuestRegionCollectionError};

use crate::panics::message;
use crate::probe::{Access, Probe};
use crate::region::TestMemory;

/// How bytes are changed: all of their bits, the lowest, the highest.
const MASKS: [u8; 3] = [0xff, 0x01, 0x80];

/// What was different when bytes changed between two fetches.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Effect {
    /// Nothing that the device answered, accessed or wrote. It fetched the bytes twice all the same, and may do more with the
    /// second fetch tomorrow.
    Nothing,
    /// It wrote other bytes to memory.
    Memory,
    /// It accessed memory elsewhere, or in other numbers.
    Trace,
    /// It answered something else.
    Answer {
        /// What it answers if nothing changes.
        unchanged: String,
        /// What it answered here.
        changed: String,
    },
    /// It panicked, with this message.
    Panic(String),
}

/// Bytes that a device fetched twice. What it checked may not be what it used.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DoubleFetch {
    /// The first of the bytes.
    pub addr: GuestAddress,
    /// How many there are.
    pub len: usize,
    /// The first fetch: its number in the trace, and the access.
    pub first: (usize, Access),
    /// The second one.
    pub second: (usize, Access),
    /// What a change in between did.
    pub effect: Effect,
}

/// What a [`DoubleFetchFinder`] found.
#[derive(Clone, Debug)]
pub struct Findings {
    all: Vec<DoubleFetch>,
}

/// Runs a device on memory for tests, to find the bytes that it fetches twice.
///
/// The device first runs undisturbed, for its answer and its trace. Then, for all bytes that two accesses of the trace had and
/// neither wrote, it runs again on the same memory, and the bytes change just before the second access, as a hostile guest
/// changes them. The two runs are compared: the answers, the traces, and the bytes in memory at the end.
///
/// The device must be deterministic. Only accesses by guest address are seen: a device that takes a slice, and reads a
/// byte of it twice, is not found.
///
/// ```
/// use guest_memory::{Bytes, GuestAddress, GuestMemoryError};
/// use guest_testing::{DoubleFetchFinder, TestMemory};
///
/// const LEN: GuestAddress = GuestAddress(0x1000);
/// const DATA: GuestAddress = GuestAddress(0x1004);
///
/// /// Sums up the bytes of a request of at most 16 bytes. It checks one length, and uses another.
/// fn wrong(memory: &TestMemory) -> Result<u32, GuestMemoryError> {
///     if memory.read_obj::<u32>(LEN)? > 16 {
///         return Ok(0);
///     }
///     let mut request = vec![0; memory.read_obj::<u32>(LEN)? as usize % 0x1000];
///     memory.read_slice(&mut request, DATA)?;
///     Ok(request.iter().map(|&byte| u32::from(byte)).sum())
/// }
///
/// /// The same, with one fetch.
/// fn right(memory: &TestMemory) -> Result<u32, GuestMemoryError> {
///     let len = memory.read_obj::<u32>(LEN)?;
///     if len > 16 {
///         return Ok(0);
///     }
///     let mut request = vec![0; len as usize];
///     memory.read_slice(&mut request, DATA)?;
///     Ok(request.iter().map(|&byte| u32::from(byte)).sum())
/// }
///
/// let finder = DoubleFetchFinder::new(&[(GuestAddress(0x1000), 0x1000)])?;
/// let request = |memory: &TestMemory| memory.write_obj(4_u32, LEN).unwrap();
/// let findings = finder.find(request, |memory| wrong(memory).ok());
/// println!("{findings}");
/// let [found] = findings.all() else { panic!("there is one") };
/// assert_eq!((found.addr, found.len), (LEN, 4));
/// finder.find(request, |memory| right(memory).ok()).assert_none();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct DoubleFetchFinder {
    ranges: Vec<(GuestAddress, usize)>,
    allowed: Vec<(GuestAddress, usize)>,
}

impl DoubleFetchFinder {
    /// A finder for devices whose guest has memory at `ranges`, each a start and a length in bytes.
    ///
    /// # Errors
    ///
    /// If the ranges do not make a map.
    pub fn new(ranges: &[(GuestAddress, usize)]) -> Result<Self, GuestRegionCollectionError> {
        Probe::new().memory(ranges)?;
        Ok(Self { ranges: ranges.to_vec(), allowed: Vec::new() })
    }

    /// Allows these bytes to be fetched any number of times, as those that a device polls are.
    #[must_use]
    pub fn allow(mut self, addr: GuestAddress, len: usize) -> Self {
        self.allowed.push((addr, len));
        self
    }

    /// Runs `device` on memory that `prepare` has filled, once undisturbed and then once or more for all bytes that it fetched
    /// twice.
    ///
    /// # Panics
    ///
    /// If `prepare` panics, or `device` does undisturbed.
    pub fn find<T: PartialEq + fmt::Debug>(
        &self,
        prepare: impl Fn(&TestMemory),
        device: impl Fn(&TestMemory) -> T,
    ) -> Findings {
        let run = |flip: Option<&Change>| self.run(flip, &prepare, &device);
        let undisturbed = run(None);
        let answer = match &undisturbed.answer {
            Ok(answer) => answer,
            Err(message) => resume_unwind(Box::new(message.clone())),
        };
        let mut all: Vec<DoubleFetch> = Vec::new();
        for (number, second) in undisturbed.trace.iter().enumerate() {
            for (earlier, first) in undisturbed.trace[..number].iter().enumerate() {
                let Some((addr, len)) = self.fetched_by_both(first, second) else { continue };
                if all.iter().any(|found| (found.addr, found.len) == (addr, len)) {
                    continue;
                }
                let before = &undisturbed.trace[..number];
                let after =
                    before.iter().filter(|access| access.overlap(addr, len).is_some()).count();
                let effects = MASKS.iter().map(|&mask| {
                    let change = Change { addr, len, mask, after };
                    let changed = run(Some(&change));
                    effect(&undisturbed, answer, changed)
                });
                let effect = effects.into_iter().find(|effect| *effect != Effect::Nothing);
                all.push(DoubleFetch {
                    addr,
                    len,
                    first: (earlier, first.clone()),
                    second: (number, second.clone()),
                    effect: effect.unwrap_or(Effect::Nothing),
                });
            }
        }
        Findings { all }
    }

    /// The bytes that both accesses had, if neither wrote any of them and they are not allowed.
    fn fetched_by_both(&self, first: &Access, second: &Access) -> Option<(GuestAddress, usize)> {
        let (addr, len) = first.overlap(second.addr, second.given?)?;
        let both = Access { addr, asked: len, given: Some(len), written: Vec::new() };
        let written = |access: &Access| {
            access.written.iter().any(|&(addr, len)| both.overlap(addr, len).is_some())
        };
        let allowed = self.allowed.iter().any(|&(from, count)| {
            both.overlap(from, count).is_some_and(|overlap| overlap == (addr, len))
        });
        (!written(first) && !written(second) && !allowed).then_some((addr, len))
    }

    fn run<T>(
        &self,
        change: Option<&Change>,
        prepare: impl Fn(&TestMemory),
        device: impl Fn(&TestMemory) -> T,
    ) -> Run<T> {
        let probe = Probe::new();
        let memory = probe.memory(&self.ranges).expect("it was one before");
        prepare(&memory);
        probe.restart();
        if let Some(&Change { addr, len, mask, after }) = change {
            probe.flip(addr, len, mask, after);
        }
        // What the device leaves behind is looked at, but only to be compared and shown.
        let answer =
            catch_unwind(AssertUnwindSafe(|| device(&memory))).map_err(|panic| message(&*panic));
        let trace = probe.trace();
        // A plan that was not carried out is no longer wanted.
        probe.restart();
        if let Some(&Change { addr, len, .. }) = change {
            // The changed bytes themselves are no news.
            memory.write_slice(&vec![0; len], addr).expect("it is in the memory");
        }
        let bytes = self.ranges.iter().map(|&(start, len)| {
            let mut bytes = vec![0; len];
            memory.read_slice(&mut bytes, start).expect("it is the memory");
            (start, bytes)
        });
        Run { answer, trace, bytes: bytes.collect(), changed: change.map(|c| (c.addr, c.len)) }
    }
}

/// Bytes that change before an access to them.
struct Change {
    addr: GuestAddress,
    len: usize,
    mask: u8,
    after: usize,
}

struct Run<T> {
    answer: Result<T, String>,
    trace: Vec<Access>,
    bytes: Vec<(GuestAddress, Vec<u8>)>,
    /// The bytes that count as zero here.
    changed: Option<(GuestAddress, usize)>,
}

fn effect<T: PartialEq + fmt::Debug>(undisturbed: &Run<T>, answer: &T, run: Run<T>) -> Effect {
    match run.answer {
        Err(message) => return Effect::Panic(message),
        Ok(changed) if changed != *answer => {
            let (unchanged, changed) = (format!("{answer:?}"), format!("{changed:?}"));
            return Effect::Answer { unchanged, changed };
        }
        Ok(_) => {}
    }
    if run.trace != undisturbed.trace {
        return Effect::Trace;
    }
    let is_changed = |start: GuestAddress, at: usize| {
        run.changed.is_some_and(|(addr, len)| {
            let at = u128::from(start.0) + at as u128;
            at >= u128::from(addr.0) && at < u128::from(addr.0) + len as u128
        })
    };
    let differs = undisturbed.bytes.iter().zip(&run.bytes).any(|((start, one), (_, other))| {
        let mut pairs = one.iter().zip(other).enumerate();
        pairs.any(|(at, (one, other))| one != other && !is_changed(*start, at))
    });
    if differs { Effect::Memory } else { Effect::Nothing }
}

impl Findings {
    /// All that was fetched twice, in the order of the second fetch.
    pub fn all(&self) -> &[DoubleFetch] {
        &self.all
    }

    /// Asserts that nothing was fetched twice.
    ///
    /// # Panics
    ///
    /// If something was: the message tells what.
    #[track_caller]
    pub fn assert_none(&self) {
        assert!(self.all.is_empty(), "{self}");
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.all.is_empty() {
            return f.write_str("nothing was fetched twice");
        }
        for (number, found) in self.all.iter().enumerate() {
            write!(f, "{}{found}", if number == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl fmt::Display for DoubleFetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { addr, len, first, second, effect } = self;
        let (one, other) = (&first.1, &second.1);
        write!(f, "{len:#x} bytes at {addr} were fetched twice: by access {} ", first.0)?;
        write!(f, "({:#x} bytes at {}) and access {} ", one.asked, one.addr, second.0)?;
        write!(f, "({:#x} bytes at {}); ", other.asked, other.addr)?;
        match effect {
            Effect::Nothing => f.write_str("a change in between had no effect that shows"),
            Effect::Memory => f.write_str("a change in between had other bytes written"),
            Effect::Trace => f.write_str("a change in between led to other accesses"),
            Effect::Answer { unchanged, changed } => {
                write!(f, "a change in between made the answer {changed} instead of {unchanged}")
            }
            Effect::Panic(message) => write!(f, "a change in between made it panic: {message}"),
        }
    }
}
