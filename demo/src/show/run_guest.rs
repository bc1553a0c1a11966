//! Step 3: the guest reads the image out of its own memory and sums it up.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use demo::{Program, Words};
use guest_address::GuestAddress;
use guest_memory::Bytes;

use super::image::Image;
use super::machine::Machine;
use super::number::{Size, Time};
use super::progress::Progress;
use super::ram::{Memory, boot};
use super::report::Report;

/// What became of one run of the guest.
struct Answer {
    sum: u64,
    /// Where the guest stored it.
    at: u64,
    took: Duration,
}

/// Runs the guest on the image; and once more, on an image with another bit.
pub(crate) fn show(
    report: &mut Report,
    machine: &mut Machine,
    memory: &Memory,
    image: &Image,
) -> Result<()> {
    machine.lend(memory)?;
    match machine {
        Machine::Kvm { slots, .. } => report.say(format_args!(
            "a machine with {} memslots on the same memory; its one CPU starts at {:#x} with the guest's code",
            slots.len(),
            boot(Program::Checksum).code
        ))?,
        Machine::StandIn { .. } => report.say("a thread of the host reads the image through the map")?,
    }
    let answer = sum_up(machine, memory, image)?;
    report.say(format_args!(
        "{} summed up {} in {}, stored the sum at {:#x} and ended",
        machine.player(),
        Size(image.len()),
        Time(answer.took),
        answer.at
    ))?;
    report.check_same(
        format_args!("its sum is the host's sum of the file, {:#018x}", image.checksum()),
        &answer.sum,
        &image.checksum(),
    )?;

    let middle = GuestAddress(image.start().0 + image.len() / 2);
    let byte: u8 = memory.read_obj(middle)?;
    memory.write_obj(byte ^ 0x10, middle)?;
    let changed = sum_up(machine, memory, image)?;
    memory.write_obj(byte, middle)?;
    report.check(
        format_args!("with one bit changed at {middle} it finds another, {:#018x}", changed.sum),
        changed.sum != image.checksum(),
    )
}

/// Lets a guest sum up the image, and end.
fn sum_up(machine: &Machine, memory: &Memory, image: &Image) -> Result<Answer> {
    let _progress = Progress::spinner("the guest sums up the image");
    let boot = boot(Program::Checksum);
    let mut mailbox = boot.prepare(memory.clone())?;
    let at = mailbox.result_address();
    let ticket = mailbox.send(image.command())?;
    let start = Instant::now();
    let mut guest = machine.start(memory.clone(), &boot, mailbox)?;
    guest.wait(ticket).context("the guest does not answer")?;
    let took = start.elapsed();
    guest.finish().context("the guest does not end")?;
    // Not what it said, but what it left in memory.
    let sum = Words::load(memory, at)?;
    Ok(Answer { sum, at, took })
}
