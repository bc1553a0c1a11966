//! Where a guest's memory lies, and which of its addresses are accessed.

use crate::random::Random;

/// How many addresses a table has: more than a branch predictor learns by heart.
pub const COUNT: usize = 32768;

/// How many bytes the addresses of a table are spread over, where a single access is not longer.
///
/// All of it is in the second-level cache, a part in the first.
pub const POOL: usize = 128 << 10;

/// How many bytes hot addresses are spread over: 32 cache lines.
const HOT: usize = 32 * 64;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;

/// The size of a DIMM: the distance from one region to the next in [`Layout::dimms`].
const DIMM: usize = 128 * MIB;

/// The ranges of guest addresses where there is memory, in ascending order.
#[derive(Clone, Debug)]
pub struct Layout {
    ranges: Vec<(u64, usize)>,
}

impl Layout {
    /// The four regions of a PC: below the BIOS, below and above the devices under 4 GiB, and one that was plugged in far
    /// above.
    ///
    /// No other layout's regions are as hard to tell apart by the upper bits of an address: a hole of 384 KiB lies
    /// below many GiB.
    pub fn pc() -> Self {
        let ranges =
            [(0, 640 * KIB), (1 << 20, 3 * GIB - MIB), (4 << 30, 4 * GIB), (16 << 30, GIB)];
        Self { ranges: ranges.into() }
    }

    /// So many regions of 128 MiB, each right after the one before.
    pub fn dimms(count: usize) -> Self {
        Self { ranges: (0..count).map(|index| ((index * DIMM) as u64, DIMM)).collect() }
    }

    /// The start and the length in bytes of each region.
    pub fn ranges(&self) -> &[(u64, usize)] {
        &self.ranges
    }

    /// [`COUNT`] random addresses with `size` bytes of memory at each, none across two regions.
    ///
    /// They are aligned to 16 bytes, or to a cache line for accesses of more than 16 bytes. Each region is hit as
    /// often as any other, in a window whose place in the region is random, too: at equal offsets in all regions the
    /// lines would fight for the same few places in the cache.
    ///
    /// # Panics
    ///
    /// If a region is shorter than `size`.
    pub fn addresses(&self, size: usize) -> Vec<u64> {
        let align = if size <= 16 { 16 } else { 64 };
        let window = (POOL / self.ranges.len()).max(size.next_multiple_of(align));
        let mut random = Random::new(size as u64);
        let mut below_aligned = |end: usize| random.below((end / align + 1) as u64) * align as u64;
        let windows: Vec<u64> = self
            .ranges
            .iter()
            .map(|&(start, len)| {
                let room = len.checked_sub(window).expect("the regions are long enough");
                start + below_aligned(room)
            })
            .collect();
        let mut choice = Random::new(self.ranges.len() as u64);
        (0..COUNT)
            .map(|_| {
                let window_start = windows[choice.below(windows.len() as u64) as usize];
                window_start + below_aligned(window - size)
            })
            .collect()
    }

    /// As [`addresses`](Self::addresses), all of them in 32 cache lines of one region, or at one place for what is as long as
    /// that or longer.
    ///
    /// # Panics
    ///
    /// If there is no region, or it is shorter than `size`.
    pub fn hot_addresses(&self, size: usize) -> Vec<u64> {
        let (start, len) = self.ranges[self.ranges.len() / 2];
        let (align, window) = if size <= 16 { (16, HOT) } else { (64, HOT.max(size)) };
        assert!(window <= len, "the region is long enough");
        // In the middle, where it has no neighbour.
        let window_start = start + (len / 2).next_multiple_of(HOT) as u64;
        let mut random = Random::new(size as u64);
        (0..COUNT)
            .map(|_| {
                window_start + random.below(((window - size) / align + 1) as u64) * align as u64
            })
            .collect()
    }

    /// [`COUNT`] addresses where a half of `size` bytes lies in one region, and the other in the next.
    ///
    /// # Panics
    ///
    /// If no region has another right after it.
    pub fn borders(&self, size: usize) -> Vec<u64> {
        let ends = self.ranges.windows(2).filter_map(|pair| {
            let end = pair[0].0 + pair[0].1 as u64;
            (end == pair[1].0).then_some(end)
        });
        let ends: Vec<u64> = ends.collect();
        let mut random = Random::new(size as u64);
        (0..COUNT)
            .map(|_| ends[random.below(ends.len() as u64) as usize] - size as u64 / 2)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{COUNT, Layout};

    #[test]
    fn addresses_lie_in_all_regions_and_never_across_two() {
        for layout in [Layout::pc(), Layout::dimms(1), Layout::dimms(16)] {
            for size in [1, 16, 100, 4096] {
                let addresses = layout.addresses(size);
                assert_eq!(addresses.len(), COUNT);
                let mut hits = vec![0; layout.ranges().len()];
                for addr in addresses {
                    let region = layout.ranges().iter().position(|&(start, len)| {
                        start <= addr && addr + size as u64 <= start + len as u64
                    });
                    hits[region.unwrap()] += 1;
                }
                assert!(hits.iter().all(|&hits| hits > 0));
            }
        }
    }

    #[test]
    fn hot_addresses_lie_in_few_lines_of_one_region() {
        for (size, lines) in [(1, 32), (16, 32), (64, 32), (4096, 1)] {
            let layout = Layout::dimms(4);
            let addresses = layout.hot_addresses(size);
            let lines_hit: std::collections::BTreeSet<_> =
                addresses.iter().map(|addr| addr / 64).collect();
            assert_eq!(lines_hit.len(), lines, "{size}");
            let end = addresses.iter().max().unwrap() + size as u64;
            let (start, len) = layout.ranges()[2];
            assert!(start <= *addresses.iter().min().unwrap() && end <= start + len as u64);
        }
    }

    #[test]
    fn borders_have_a_half_on_each_side() {
        let layout = Layout::dimms(4);
        let starts: Vec<u64> = layout.ranges().iter().map(|range| range.0).collect();
        assert!(layout.borders(16).iter().all(|addr| starts.contains(&(addr + 8))));
    }
}
