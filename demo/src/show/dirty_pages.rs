//! Step 5: the pages that were written, by the hypervisor's log and by our own bitmap.

use std::sync::atomic::Ordering;

use anyhow::{Context, Result, anyhow};
use demo::{Command, Guest, PAGE_SIZE};
use guest_address::GuestAddress;
use guest_memory::{Bytes, GuestAddressSpace, GuestMemory, WholeBytes};

use super::image::Image;
use super::machine::{Log, Machine};
use super::pages::{self, Pages, Table};
use super::progress::Progress;
use super::ram::{HIGH, HIGH_LEN, MAILBOX, MIDDLE, MIDDLE_SCRATCH, Memory, Space};
use super::report::Report;

/// What the guest writes: 16 pages in a row, four with seven between, and four in the region of a file.
const GUEST_WRITES: [Command; 3] = [
    Command::Fill { address: HIGH.0 + 0x1_0000, stores: 16, stride: PAGE_SIZE, first: 1 },
    Command::Fill { address: HIGH.0 + 0x10_0ff8, stores: 4, stride: 8 * PAGE_SIZE, first: 1 },
    Command::Fill { address: MIDDLE_SCRATCH, stores: 4, stride: PAGE_SIZE, first: 1 },
];
/// What the host writes: half on pages that the guest writes; over a page's end; a bit; over two regions, from a stream.
const HOST_SLICE: (GuestAddress, u64) = (GuestAddress(HIGH.0 + 0x1_8000), 0x1_0000);
const HOST_OBJECT: GuestAddress = GuestAddress(HIGH.0 + 0x1f_fffc);
const HOST_BIT: GuestAddress = GuestAddress(HIGH.0 + 0x30_0040);
const HOST_STREAM: (GuestAddress, u64) = (GuestAddress(MIDDLE.0 - 0x800), 0x2000);
/// The host's part of the mailbox is one page, the guest's the next.
const REQUESTS: GuestAddress = GuestAddress(MAILBOX);
const REPLIES: GuestAddress = GuestAddress(MAILBOX + PAGE_SIZE);

/// How often the log may name too much before it counts as wrong.
const ATTEMPTS: u32 = 3;

/// The pages that must be found.
struct Expected {
    guest: Pages,
    host: Pages,
    both: Pages,
}

impl Expected {
    fn new() -> Self {
        let guest: Pages = GUEST_WRITES
            .into_iter()
            .flat_map(pages::of_command)
            .chain(pages::of_bytes(REPLIES, 1))
            .collect();
        let host: Pages = [HOST_SLICE, (HOST_OBJECT, 8), (HOST_BIT, 8), HOST_STREAM, (REQUESTS, 1)]
            .into_iter()
            .flat_map(|(start, len)| pages::of_bytes(start, len))
            .collect();
        let both = guest.union(&host).copied().collect();
        Self { guest, host, both }
    }
}

/// Lets guest and host write, compares who says what of it, and ends the guest.
pub(crate) fn show(
    report: &mut Report,
    machine: &Machine,
    space: &Space,
    mut guest: Guest<Space>,
    image: &Image,
) -> Result<()> {
    let expected = Expected::new();
    let memory = space.memory();
    report.say(format_args!(
        "{} writes {} pages; at the same time the host writes {}, some of them the same",
        machine.player(),
        expected.guest.len(),
        expected.host.len()
    ))?;
    match machine {
        Machine::Kvm { .. } => {
            two_logs(report, machine, &memory, &mut guest, image, &expected)?;
        }
        Machine::StandIn { .. } => one_log(report, &memory, &mut guest, &expected)?,
    }
    report.check_same(
        "after the harvest is committed nothing is dirty",
        &pages::take(&memory)?,
        &Pages::new(),
    )?;
    guest.stop().context("the guest does not stop")?;
    report.say(format_args!("{} was told to stop, and did", machine.player()))?;
    Ok(())
}

/// KVM's log knows what the guest wrote, our bitmap what the host wrote; merged they know all.
fn two_logs(
    report: &mut Report,
    machine: &Machine,
    memory: &Memory,
    guest: &mut Guest<Space>,
    image: &Image,
    expected: &Expected,
) -> Result<()> {
    let mut attempt = 1;
    let (logs, logged) = loop {
        let logs = logs_of_a_round(machine, memory, guest, image)?;
        let logged = pages::of_logs(&logs);
        let too_many = logged.difference(&expected.guest).count();
        if too_many == 0 || !logged.is_superset(&expected.guest) || attempt == ATTEMPTS {
            break (logs, logged);
        }
        report.say(format_args!(
            "(KVM also named {too_many} pages that were only read, as it does after the host moved them: once more)"
        ))?;
        attempt += 1;
    };
    let ours = pages::look(memory)?;
    for Log { start, words } in &logs {
        let region = memory.find_region(*start).ok_or_else(|| anyhow!("no region at {start}"))?;
        region.get_mmap().bitmap().merge_words(0, words)?;
    }
    let map = memory.to_string();
    let merged = pages::take(memory)?;

    report.say(Table {
        columns: &[
            ("KVM's log (guest)", &logged),
            ("our bitmap (host)", &ours),
            ("merged", &merged),
        ],
    })?;
    report.say(map)?;
    report.check_same("KVM's log names exactly what the guest wrote", &logged, &expected.guest)?;
    report.check_same("our bitmap names exactly what the host wrote", &ours, &expected.host)?;
    report.check_same("merged by words they name exactly both", &merged, &expected.both)
}

/// Nobody keeps a log but we, and the thread that plays the guest writes like any device.
fn one_log(
    report: &mut Report,
    memory: &Memory,
    guest: &mut Guest<Space>,
    expected: &Expected,
) -> Result<()> {
    pages::take(memory)?;
    write(memory, guest)?;
    let map = memory.to_string();
    let ours = pages::take(memory)?;
    report.say("without a hypervisor there is no log of a guest's writes to show or to merge; a thread writes")?;
    report.say(
        "through our API like any device, so our own bitmap must name its pages and the host's",
    )?;
    report.say(Table {
        columns: &[
            ("told the stand-in", &expected.guest),
            ("told the host", &expected.host),
            ("our bitmap", &ours),
        ],
    })?;
    report.say(map)?;
    report.check_same("our bitmap names exactly what the two wrote", &ours, &expected.both)
}

/// Lets guest and host write, from clean logs; gives the hypervisor's.
fn logs_of_a_round(
    machine: &Machine,
    memory: &Memory,
    guest: &mut Guest<Space>,
    image: &Image,
) -> Result<Vec<Log>> {
    {
        // KVM counts a page as dirty when a guest first reads it. So the guest first touches all that it will
        // use, and what the logs then say is dropped.
        let _progress = Progress::spinner("the guest touches its memory");
        let all = Command::Fill {
            address: HIGH.0,
            stores: HIGH_LEN / PAGE_SIZE,
            stride: PAGE_SIZE,
            first: 0,
        };
        guest.ask(all)?;
        for command in GUEST_WRITES {
            guest.ask(command)?;
        }
        guest.ask(image.command())?;
    }
    machine.dirty_logs()?;
    pages::take(memory)?;
    write(memory, guest)?;
    machine.dirty_logs()
}

/// Writes: the guest by command, the host by four ways, the first of them while the guest is at it.
fn write(memory: &Memory, guest: &mut Guest<Space>) -> Result<()> {
    let [first, rest @ ..] = GUEST_WRITES;
    let ticket = guest.send(first)?;
    let (start, len) = HOST_SLICE;
    memory.write_slice(&vec![0x5a; len as usize], start)?;
    memory.write_obj(u64::MAX, HOST_OBJECT)?;
    memory.fetch_or(1_u64 << 63, HOST_BIT, Ordering::AcqRel)?;
    let (start, len) = HOST_STREAM;
    let source = vec![0xa5; len as usize];
    memory.read_exact_volatile_from(start, &mut &source[..], source.len())?;
    guest.wait(ticket)?;
    for command in rest {
        guest.ask(command)?;
    }
    Ok(())
}
