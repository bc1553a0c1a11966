//! Page tables that map every guest virtual address to the equal physical one, for ring 3.
//!
//! Four levels, with pages of 2 MiB: one table at the top, one below it, then one for each GiB.
//! (Pages of 1 GiB would need fewer, but a CPU need not have them.)
//!
//! The entries' *accessed* and *dirty* bits are set from the start. The CPU would otherwise set them
//! in guest memory as it goes, and the dirty log would name pages of the tables which no program
//! wrote.

use crate::error::{Error, Result};
use crate::words::Words;

/// Bytes that one table takes, and alignment of all of them.
const TABLE: u64 = 0x1000;
/// Entries of one table.
const ENTRIES: u64 = 512;
/// Bytes that one entry of the lowest table maps.
const LARGE_PAGE: u64 = 2 << 20;
/// Bytes that one of the lowest tables maps.
const GIB: u64 = ENTRIES * LARGE_PAGE;

/// Highest address that the tables may map, exclusive. A virtual CPU that was not told otherwise has
/// 36 bits of physical address.
pub const LIMIT: u64 = 1 << 36;

const _: () = assert!(LIMIT <= ENTRIES * GIB, "the second table must be able to reach the limit");

const PRESENT: u64 = 1 << 0;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
const LARGE: u64 = 1 << 7;

/// Bytes of guest memory that tables for the first `reach` bytes take.
///
/// ```
/// use demo::page_tables::size;
///
/// assert_eq!(size(1), 0x3000);
/// assert_eq!(size(4 << 30), 0x6000);
/// ```
#[must_use]
pub const fn size(reach: u64) -> u64 {
    TABLE * (2 + reach.div_ceil(GIB))
}

/// Writes tables that map at least the first `reach` bytes, holes and all, to guest physical address
/// `at`, which starts a page. That address is then the value for CR3.
///
/// # Errors
///
/// [`Error::Reach`] when `at` is not aligned or `reach` is over [`LIMIT`]; else what guest memory
/// says.
pub fn write(words: &impl Words, at: u64, reach: u64) -> Result<()> {
    if !at.is_multiple_of(TABLE) || at >= LIMIT || reach > LIMIT {
        return Err(Error::Reach { at, reach });
    }
    let below = PRESENT | WRITABLE | USER | ACCESSED;
    let page = below | DIRTY | LARGE;

    let second = at + TABLE;
    write_table(words, at, |entry| if entry == 0 { second | below } else { 0 })?;
    let gibs = reach.div_ceil(GIB);
    let lowest = |gib: u64| second + TABLE + gib * TABLE;
    write_table(words, second, |gib| if gib < gibs { lowest(gib) | below } else { 0 })?;
    for gib in 0..gibs {
        write_table(words, lowest(gib), |entry| (gib * GIB + entry * LARGE_PAGE) | page)?;
    }
    Ok(())
}

fn write_table(words: &impl Words, at: u64, entry: impl Fn(u64) -> u64) -> Result<()> {
    (0..ENTRIES).try_for_each(|index| words.store(at + index * 8, entry(index)))
}
