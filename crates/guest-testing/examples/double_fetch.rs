//! A small block device reads the length of a request twice, and the finder sees it; the corrected device is clean.
//!
//! ```text
//! cargo run -p guest-testing --example double_fetch
//! ```

use guest_memory::{Bytes, GuestAddress, GuestMemoryError};
use guest_testing::{DoubleFetchFinder, TestMemory};

/// A descriptor in the guest's memory: where a buffer lies, and how long it is.
const DESCRIPTOR: GuestAddress = GuestAddress(0x1000);
const LENGTH: GuestAddress = GuestAddress(0x1008);
/// Where the device says how many bytes it wrote.
const STATUS: GuestAddress = GuestAddress(0x100c);

/// The sector that the guest may read.
const SECTOR: [u8; 16] = *b"sector number 0\n";
/// What lies behind it in the host's memory, and is none of the guest's business.
const SECRET: [u8; 16] = *b"host's password\n";

/// The device as it was first written.
fn first(memory: &TestMemory) -> Result<u32, GuestMemoryError> {
    if memory.read_obj::<u32>(LENGTH)? > SECTOR.len() as u32 {
        return Ok(0);
    }
    let buffer: u64 = memory.read_obj(DESCRIPTOR)?;
    // It was checked, but the guest may have written another since.
    let len: u32 = memory.read_obj(LENGTH)?;
    answer(memory, GuestAddress(buffer), len)
}

/// The device with the mistake corrected: what was checked is what is used.
fn corrected(memory: &TestMemory) -> Result<u32, GuestMemoryError> {
    let len: u32 = memory.read_obj(LENGTH)?;
    if len > SECTOR.len() as u32 {
        return Ok(0);
    }
    let buffer: u64 = memory.read_obj(DESCRIPTOR)?;
    answer(memory, GuestAddress(buffer), len)
}

fn answer(memory: &TestMemory, buffer: GuestAddress, len: u32) -> Result<u32, GuestMemoryError> {
    let disk = [SECTOR, SECRET].concat();
    let count = disk.len().min(len as usize);
    memory.write_slice(&disk[..count], buffer)?;
    memory.write_obj(len, STATUS)?;
    Ok(len)
}

/// The guest asks for a sector.
fn request(memory: &TestMemory) {
    memory.write_obj(0x1800_u64, DESCRIPTOR).expect("there is memory");
    memory.write_obj(SECTOR.len() as u32, LENGTH).expect("there is memory");
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let finder = DoubleFetchFinder::new(&[(GuestAddress(0x1000), 0x1000)])?;

    let findings = finder.find(request, |memory| first(memory).ok());
    println!("as first written: {findings}");
    assert_eq!(findings.all().len(), 1, "the mistake is found");
    assert_eq!((findings.all()[0].addr, findings.all()[0].len), (LENGTH, 4));

    let findings = finder.find(request, |memory| corrected(memory).ok());
    println!("corrected: {findings}");
    findings.assert_none();
    Ok(())
}
