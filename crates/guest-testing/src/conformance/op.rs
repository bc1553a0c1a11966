//! What is done to a memory, one thing after the other, and where.

use std::fmt;
use std::io::ErrorKind;

use crate::conformance::model::{Model, Range};
use crate::conformance::random::Random;
use crate::conformance::settings::Settings;
use crate::stream::Step;

/// What is done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Read,
    ReadSlice,
    Write,
    WriteSlice,
    WriteWhole,
    Object,
    Load,
    Store,
    CompareExchange,
    FetchAdd,
    FetchAnd,
    FetchOr,
    ReadFrom,
    ReadExactFrom,
    WriteTo,
    WriteAllTo,
    Slices,
    WriteSlices,
    Look,
    RegionRead,
    RegionWrite,
    RegionObject,
    RegionAtomic,
    RegionReadFrom,
    RegionWriteTo,
    Swap,
}

/// All kinds; the last is for memories that change.
const KINDS: [Kind; 26] = [
    Kind::Read,
    Kind::ReadSlice,
    Kind::Write,
    Kind::WriteSlice,
    Kind::WriteWhole,
    Kind::Object,
    Kind::Load,
    Kind::Store,
    Kind::CompareExchange,
    Kind::FetchAdd,
    Kind::FetchAnd,
    Kind::FetchOr,
    Kind::ReadFrom,
    Kind::ReadExactFrom,
    Kind::WriteTo,
    Kind::WriteAllTo,
    Kind::Slices,
    Kind::WriteSlices,
    Kind::Look,
    Kind::RegionRead,
    Kind::RegionWrite,
    Kind::RegionObject,
    Kind::RegionAtomic,
    Kind::RegionReadFrom,
    Kind::RegionWriteTo,
    Kind::Swap,
];

impl Kind {
    fn is_atomic(self) -> bool {
        use Kind::*;
        matches!(
            self,
            Load | Store | CompareExchange | FetchAdd | FetchAnd | FetchOr | RegionAtomic
        )
    }

    fn is_stream(self) -> bool {
        use Kind::*;
        matches!(
            self,
            ReadFrom | ReadExactFrom | WriteTo | WriteAllTo | RegionReadFrom | RegionWriteTo
        )
    }
}

/// The lengths of objects. Those of integers come first.
pub(super) const OBJECTS: [usize; 8] = [1, 2, 4, 8, 0, 13, 16, 40];

/// One thing that is done.
#[derive(Clone, Debug)]
pub(super) struct Op {
    pub(super) kind: Kind,
    pub(super) at: u64,
    pub(super) len: usize,
    /// What bytes are written, and other choices.
    pub(super) stamp: u8,
    /// What a stream does.
    pub(super) steps: Vec<Step>,
}

impl Op {
    /// Something that is done to the memory of `model`.
    pub(super) fn new(random: &mut Random, model: &Model, settings: &Settings) -> Self {
        let kinds = if settings.swaps { KINDS.len() } else { KINDS.len() - 1 };
        let kind = KINDS[random.count(kinds)];
        // 8 bits of a random number.
        let stamp = random.below(0x100) as u8;
        let (mut at, mut len) = (place(random, model), length(random));
        if kind.is_atomic() || matches!(kind, Kind::Object | Kind::RegionObject) {
            len = random.pick(if kind.is_atomic() { &OBJECTS[..4] } else { &OBJECTS });
            if len.is_power_of_two() && random.once_in(2) {
                at -= at % len as u64;
            }
        }
        if kind == Kind::Look && random.once_in(16) {
            len = usize::MAX;
        }
        let steps = if kind.is_stream() { steps(random) } else { Vec::new() };
        Self { kind, at, len, stamp, steps }
    }

    /// The bytes that are written: those at other places, or of other operations, are most likely others.
    pub(super) fn data(&self, count: usize) -> Vec<u8> {
        (0..count).map(|at| self.stamp ^ (at as u8).wrapping_mul(7)).collect()
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, at, len, stamp, steps } = self;
        write!(f, "{kind:?} {len:#x} bytes at {at:#x}, stamp {stamp:#04x}")?;
        if !steps.is_empty() {
            write!(f, ", script {steps:?}")?;
        }
        Ok(())
    }
}

/// An address, most often near the border of a range.
fn place(random: &mut Random, model: &Model) -> u64 {
    let ranges = &model.ranges;
    let range = &ranges[random.count(ranges.len())];
    match random.below(8) {
        0..=2 => range.start.wrapping_add(random.below(24)).wrapping_sub(8),
        3..=5 => range.last().wrapping_add(random.below(16)).wrapping_sub(12),
        6 => range.start + random.below(range.bytes.len() as u64),
        _ if random.once_in(4) => u64::MAX - random.below(16),
        _ => {
            let (first, last) = (ranges[0].start, ranges.last().map_or(0, Range::last));
            first + random.below((last - first).saturating_add(1))
        }
    }
}

fn length(random: &mut Random) -> usize {
    match random.below(8) {
        0 => 0,
        1..=4 => random.count(12),
        5 | 6 => random.count(0x60),
        _ => 0x100,
    }
}

fn steps(random: &mut Random) -> Vec<Step> {
    (0..random.count(7))
        .map(|_| match random.below(10) {
            0 => Step::Interrupt,
            1 => Step::Fail(ErrorKind::TimedOut),
            2 => Step::FailAfter(1 + random.count(20), ErrorKind::BrokenPipe),
            3 => Step::End,
            _ => Step::Move(1 + random.count(40)),
        })
        .collect()
}

/// Ranges with holes between them, or none: somewhere low, in the middle, or up to the last address there is.
pub(super) fn ranges(random: &mut Random, settings: &Settings) -> Vec<Range> {
    let granule = settings.granule.get();
    // A few lengths of a small object, or few granules, and one where that is megabytes.
    let longest = match granule {
        1..=8 => 24 / granule,
        9..=0x1_0000 => 3,
        _ => 1,
    };
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    let mut next = 0;
    for _ in 0..1 + random.count(if longest == 1 { 3 } else { 6 }) {
        let hole = if random.once_in(2) { random.below(3.max(longest / 2)) } else { 0 };
        let len = 1 + random.below(longest);
        ranges.push((next + hole, len));
        next += hole + len;
    }
    let below = (1_u64 << 40).saturating_sub(next / 2 * granule);
    // What is left up to 2^64, whose last granule is whole if it is a power of two.
    let top = if granule.is_power_of_two() {
        (next * granule).wrapping_neg()
    } else {
        (u64::MAX / granule - next) * granule
    };
    let origin = match random.below(4) {
        0 => 0,
        1 => 0x1000_u64.next_multiple_of(granule),
        2 => below - below % granule,
        _ => top,
    };
    // Their length in all is little.
    let range = |(start, len)| Range::new(origin + start * granule, (len * granule) as usize);
    ranges.into_iter().map(range).collect()
}
