//! Step 1: a guest memory map with a hole.

use std::os::unix::fs::FileExt;
use std::sync::Arc;

use anyhow::Result;
use guest_address::{Address, GuestAddress};
use guest_memory::{Bytes, GuestMemory, GuestMemoryError, GuestMemoryRegion};

use super::backing;
use super::ram::{self, FILE_START, HOLE, MIDDLE, MIDDLE_LEN, Memory};
use super::report::Report;

/// Makes the map, and looks at its borders.
pub(crate) fn show(report: &mut Report) -> Result<Memory> {
    let file = Arc::new(backing::file(FILE_START + MIDDLE_LEN)?);
    let memory = ram::map(Arc::clone(&file))?;
    report.say(&memory)?;

    report
        .check("each region is found at its first and at its last byte", ends_are_found(&memory))?;
    report.check(
        "in the hole there is nothing: not right behind memory, not right before it",
        memory.iter().all(|region| hole_is_behind(&memory, region))
            && memory.iter().all(|region| hole_is_before(&memory, region)),
    )?;

    let edge = GuestAddress(HOLE.0 - 8);
    report.check_same(
        "16 bytes written at the edge of the hole: 8 are, and the count says so",
        &memory.write(&[0xff; 16], edge)?,
        &8,
    )?;
    let partial = memory.write_slice(&[0; 16], edge);
    report.check(
        "written as a whole they are an error that says how far it came",
        matches!(partial, Err(GuestMemoryError::PartialBuffer { expected: 16, completed: 8 })),
    )?;

    let border = GuestAddress(MIDDLE.0 - 4);
    memory.write_obj(0x1122_3344_5566_7788_u64, border)?;
    let mut upper = [0; 4];
    file.read_exact_at(&mut upper, FILE_START)?;
    report.check_same(
        format_args!(
            "a u64 across two regions reads back; its upper half is in the {} at {FILE_START:#x}",
            backing::KIND
        ),
        &(memory.read_obj(border)?, u32::from_le_bytes(upper)),
        &(0x1122_3344_5566_7788_u64, 0x1122_3344),
    )?;
    memory.write_obj(0_u64, border)?;
    Ok(memory)
}

fn ends_are_found(memory: &Memory) -> bool {
    memory.iter().all(|region| {
        let found = |addr| memory.find_region(addr).map(GuestMemoryRegion::start_addr);
        [region.start_addr(), region.last_addr()]
            .iter()
            .all(|&end| found(end) == Some(region.start_addr()))
    })
}

/// Whether the byte behind a region is another region's, or nowhere.
fn hole_is_behind(memory: &Memory, region: &ram::Region) -> bool {
    let Some(behind) = region.last_addr().checked_add(1) else { return true };
    memory.address_in_range(behind) == memory.iter().any(|other| other.start_addr() == behind)
}

/// Whether the byte before a region is another region's, or nowhere.
fn hole_is_before(memory: &Memory, region: &ram::Region) -> bool {
    let Some(before) = region.start_addr().checked_sub(1) else { return true };
    memory.address_in_range(before) == memory.iter().any(|other| other.last_addr() == before)
}
