//! What was found, told so that it can be had again.

use std::fmt;

use guest_memory::GuestAddress;

use crate::conformance::op::Op;

/// The variable that says with which seed a check begins: a number, or `random`.
pub(super) const SEED: &str = "GUEST_TESTING_SEED";

/// A difference between a memory and plain bytes, and the shortest sequence found that leads to it.
///
/// Its `Display` is the trace to read.
#[derive(Clone, Debug)]
pub struct Difference {
    pub(super) seed: u64,
    pub(super) ranges: Vec<(GuestAddress, usize)>,
    pub(super) ops: Vec<Op>,
    pub(super) what: String,
}

impl Difference {
    /// The seed to find it again with: the value of `GUEST_TESTING_SEED`, or of [`Check::seed`](super::Check::seed).
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The ranges of the memory, each a start and a length in bytes.
    pub fn ranges(&self) -> &[(GuestAddress, usize)] {
        &self.ranges
    }

    /// What is different after the last operation.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// The operations, as they are shown.
    pub fn operations(&self) -> impl Iterator<Item = String> {
        self.ops.iter().map(ToString::to_string)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the memory is not as plain bytes are ({SEED}={:#x} repeats it)", self.seed)?;
        write!(f, "  ranges:")?;
        for (start, len) in &self.ranges {
            write!(f, " {len:#x} bytes at {start},")?;
        }
        writeln!(f)?;
        for (number, op) in self.ops.iter().enumerate() {
            writeln!(f, "  {}. {op}", number + 1)?;
        }
        write!(f, "  then: {}", self.what)
    }
}

impl std::error::Error for Difference {}
