//! Step 2: a real file, straight from its descriptor into guest memory.

use std::fs::File;
use std::time::Instant;

use anyhow::{Context, Result};
use demo::{Checksum, PAGE_SIZE};
use guest_address::GuestAddress;
use guest_memory::{Bytes, GuestMemory, GuestMemoryRegion};
use guest_volatile::{BitmapSlice, Error as VolatileError, ReadVolatile, VolatileSlice};

use super::image::Image;
use super::number::{Count, Time};
use super::pages;
use super::ram::Memory;
use super::report::Report;

/// Loads the image, and compares it with what the host read of the file by itself.
pub(crate) fn show(report: &mut Report, memory: &Memory, image: &Image) -> Result<()> {
    pages::take(memory)?;
    let len = image.len() as usize;
    let mut source = Counted { file: image.file(), calls: 0 };
    let start = Instant::now();
    memory
        .read_exact_volatile_from(image.start(), &mut source, len)
        .context("the file cannot be read into guest memory")?;
    report.say(format_args!(
        "{} bytes in {} calls of read(2), to their places, without a buffer between: {}",
        Count(image.len()),
        source.calls,
        Time(start.elapsed())
    ))?;
    let mut at = image.start().0;
    let mut pieces = 0_u32;
    for piece in GuestMemory::get_slices(memory, image.start(), len) {
        let len = piece?.len() as u64;
        let region = memory.find_region(GuestAddress(at));
        report.say(format_args!(
            "  {at:#018x}-{:#018x} {:>10} bytes, at the {} of its region",
            at + len - 1,
            Count(len),
            if region.is_some_and(|region| region.start_addr().0 == at) { "start" } else { "end" },
        ))?;
        at += len;
        pieces += 1;
    }

    if image.len() > 8 {
        report.check_same("it lies in two regions", &pieces, &2)?;
    } else {
        report.say("it is too small to lie in two regions")?;
    }
    let mut found = Vec::with_capacity(len);
    memory.write_all_volatile_to(image.start(), &mut found, len)?;
    let sum = format!("every byte is the file's; checksum {:#018x}", Checksum::of_bytes(&found));
    let other = found.iter().zip(image.bytes().iter()).position(|(found, bytes)| found != bytes);
    match other {
        None => report.check(sum, found.len() == len)?,
        Some(offset) => {
            report.check(
                format_args!("every byte is the file's, the one at {offset:#x} too"),
                false,
            )?;
        }
    }
    let expected: pages::Pages = image.pages().collect();
    report.check_same(
        format_args!("our bitmap names exactly the {} pages it lies in", expected.len()),
        &pages::take(memory)?,
        &expected,
    )?;
    let past = GuestAddress(image.last().0 + 1);
    let padding = (PAGE_SIZE - past.0 % PAGE_SIZE) % PAGE_SIZE;
    let mut rest = vec![0xff; padding as usize];
    memory.read_slice(&mut rest, past)?;
    report.check("and nothing was written behind its last byte", rest.iter().all(|&byte| byte == 0))
}

/// A file that counts how often it is read.
struct Counted<'a> {
    file: &'a File,
    calls: u32,
}

impl ReadVolatile for Counted<'_> {
    fn read_volatile<B: BitmapSlice>(
        &mut self,
        buf: &mut VolatileSlice<'_, B>,
    ) -> Result<usize, VolatileError> {
        self.calls += 1;
        self.file.read_volatile(buf)
    }
}
