//! By which bits of an address regions are told apart.

use alloc::vec;
use alloc::vec::Vec;

use guest_address::{GuestAddress, GuestRange};

/// The bits in which the end of one range and the start of the next differ: they are different numbers, so there are some.
pub(super) fn difference(lower: &GuestRange, upper: &GuestRange) -> u64 {
    lower.last().0 ^ upper.start().0
}

/// The least [`difference`] between two neighbours; the most that there is where there are none.
pub(super) fn least(ranges: &[GuestRange]) -> u64 {
    let differences = ranges.windows(2).map(|pair| difference(&pair[0], &pair[1]));
    differences.min().unwrap_or(u64::MAX)
}

/// For each step of `1 << shift` bytes up to the end of the last range, the number of the range that has an address in it: of
/// the longest if several have, and `u32::MAX` if none has.
pub(super) fn lay_out(ranges: &[GuestRange], shift: u32) -> Vec<u32> {
    // The casts are of numbers that the caller has compared with a size.
    let step = |addr: GuestAddress| (addr.0 >> shift) as usize;
    let mut steps = vec![u32::MAX; ranges.last().map_or(0, |top| step(top.last()) + 1)];
    for (index, range) in (0..).zip(ranges) {
        let (mut first, last) = (step(range.start()), step(range.last()));
        // The ranges are in order, so it shares no step but the first with those before.
        let other = steps.get(first).and_then(|&other| ranges.get(other as usize));
        if other.is_some_and(|other| other.len() >= range.len()) {
            first += 1;
        }
        if let Some(steps) = steps.get_mut(first..=last) {
            steps.fill(index);
        }
    }
    steps
}
