//! A memory map as a table for a person to read.

use core::fmt;

use guest_address::{Address, GuestAddress};
use guest_volatile::Bitmap;

use super::GuestRegionCollection;
use crate::memory::GuestMemory;
use crate::region::GuestMemoryRegion;

impl<R: GuestMemoryRegion> fmt::Display for GuestRegionCollection<R> {
    /// One line for each region and each hole between two, the lowest address first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mapped = self.iter().fold(0_u64, |sum, region| sum.saturating_add(region.len()));
        let (count, s) = (self.num_regions(), if self.num_regions() == 1 { "" } else { "s" });
        write!(f, "{count} region{s}, {}", Size(mapped))?;
        let mut next = None;
        for region in self.iter() {
            let start = region.start_addr();
            if let Some(next) = next
                && let Some(hole) = start.checked_offset_from(next)
                && let Some(last) = start.checked_sub(1)
                && hole > 0
            {
                write!(f, "\n  {} {:>10}  hole", Span(next, last), Size(hole))?;
            }
            write!(f, "\n  {}", Line(region))?;
            next = region.last_addr().checked_add(1);
        }
        Ok(())
    }
}

/// A region's line.
struct Line<'a, R>(&'a R);

impl<R: GuestMemoryRegion> fmt::Display for Line<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let region = self.0;
        write!(
            f,
            "{} {:>10}  ",
            Span(region.start_addr(), region.last_addr()),
            Size(region.len())
        )?;
        region.fmt_backing(f)?;
        if region.is_hugetlbfs() == Some(true) {
            f.write_str(", huge pages")?;
        }
        let len = usize::try_from(region.len()).unwrap_or(usize::MAX);
        if let Some(dirty) = region.bitmap().dirty_bytes(0, len) {
            // In tenths of a percent, rounded up: a page of a terabyte is not 0.
            let share = (dirty as u128 * 1000).div_ceil(u128::from(region.len().max(1)));
            write!(f, ", {}.{} % dirty", share / 10, share % 10)?;
        }
        Ok(())
    }
}

/// An inclusive range of addresses.
struct Span(GuestAddress, GuestAddress);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#018x}-{:#018x}", self.0.0, self.1.0)
    }
}

/// A number of bytes, in the largest unit that loses nothing.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        let unit = (self.0.trailing_zeros() / 10).min(6) as usize;
        let (number, unit) = if self.0 == 0 { (0, 0) } else { (self.0 >> (unit * 10), unit) };
        // Through a buffer, so that a width set by the caller holds for both together.
        f.pad(&alloc::format!("{number} {}", UNITS[unit]))
    }
}
