//! The guest's memory: what lies where.

use std::fs::File;
use std::sync::Arc;

use anyhow::Result;
use demo::{Boot, Mailbox, PAGE_SIZE, Program, page_tables};
use guest_address::GuestAddress;
use guest_atomic::GuestMemoryAtomic;
use guest_dirty::AtomicBitmap;
use guest_memory::FileOffset;
use guest_mmap::{GuestMemoryMmap, GuestRegionMmap};

pub(crate) type Memory = GuestMemoryMmap<AtomicBitmap>;
pub(crate) type Region = GuestRegionMmap<AtomicBitmap>;
/// The memory, of which a map is swapped while it is in use.
pub(crate) type Space = GuestMemoryAtomic<Memory>;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// The lowest region: anonymous memory at 0.
pub(crate) const LOW: GuestAddress = GuestAddress(0);
pub(crate) const LOW_LEN: u64 = 4 * MIB;
/// The region right behind it, which is a part of a file.
pub(crate) const MIDDLE: GuestAddress = GuestAddress(LOW.0 + LOW_LEN);
pub(crate) const MIDDLE_LEN: u64 = 4 * MIB;
/// Where in the file.
pub(crate) const FILE_START: u64 = MIB;
/// The first address of the hole.
pub(crate) const HOLE: GuestAddress = GuestAddress(MIDDLE.0 + MIDDLE_LEN);
/// The region above the hole: anonymous memory, for the guest to write to.
pub(crate) const HIGH: GuestAddress = GuestAddress(4 * GIB);
pub(crate) const HIGH_LEN: u64 = 4 * MIB;
/// Where memory is plugged, with a hole below it.
pub(crate) const PLUG: GuestAddress = GuestAddress(5 * GIB);
pub(crate) const PLUG_LEN: u64 = 2 * MIB;

/// The most that is loaded of a file; it lies around the border of the two lower regions.
pub(crate) const IMAGE_MAX: u64 = 6 * MIB;
/// A page that the guest writes in the middle region, and the three after it.
pub(crate) const MIDDLE_SCRATCH: u64 = HOLE.0 - 16 * PAGE_SIZE;
/// A word that the guest counts in.
pub(crate) const COUNTER: GuestAddress = GuestAddress(HIGH.0 + HIGH_LEN - PAGE_SIZE);

const PAGE_TABLES: u64 = 0x1000;
/// As far as the guest may address: over the memory that is plugged later.
const REACH: u64 = PLUG.0 + GIB;
const CODE: u64 = 0x1_0000;
pub(crate) const MAILBOX: u64 = 0x2_0000;
const PROBE_CODE: u64 = 0x3_0000;
const PROBE_MAILBOX: u64 = 0x4_0000;

const _: () = assert!(PAGE_TABLES + page_tables::size(REACH) <= CODE);
const _: () = assert!(PROBE_MAILBOX + Mailbox::<Memory>::LEN <= MIDDLE.0 - IMAGE_MAX / 2);
const _: () = assert!(MIDDLE.0 + IMAGE_MAX / 2 <= MIDDLE_SCRATCH);
const _: () = assert!(HOLE.0 < HIGH.0 && HIGH.0 + HIGH_LEN < PLUG.0);

/// The map: two regions side by side, of which the upper is `file`, and one above a hole.
pub(crate) fn map(file: Arc<File>) -> Result<Memory> {
    let file = FileOffset::from_arc(file, FILE_START);
    Ok(Memory::from_ranges_with_files([
        (LOW, LOW_LEN as usize, None),
        (MIDDLE, MIDDLE_LEN as usize, Some(file)),
        (HIGH, HIGH_LEN as usize, None),
    ])?)
}

/// How the guest starts.
pub(crate) fn boot(program: Program) -> Boot {
    Boot { program, code: CODE, page_tables: PAGE_TABLES, mailbox: MAILBOX, reach: REACH }
}

/// How a second guest starts that sums up once, beside the first and with its page tables.
pub(crate) fn probe() -> Boot {
    Boot { code: PROBE_CODE, mailbox: PROBE_MAILBOX, ..boot(Program::Checksum) }
}
