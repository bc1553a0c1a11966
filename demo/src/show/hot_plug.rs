//! Step 4: memory comes and goes while the guest and a reader thread go on.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Result, bail};
use demo::{Checksum, Command, Error as DemoError, Guest, Memslot, PAGE_SIZE, Program, Words};
use guest_address::GuestAddress;
use guest_memory::{Bytes, GuestAddressSpace, GuestMemory, GuestMemoryError};

use super::counter::Counter;
use super::image::Image;
use super::machine::Machine;
use super::number::{Count, Time};
use super::plugging::{self, Plugged};
use super::progress::Progress;
use super::ram::{COUNTER, PLUG, PLUG_LEN, Space, boot, probe};
use super::reader::{Reader, first_word};
use super::report::Report;

/// Rounds after the one that is shown.
const MORE_ROUNDS: u64 = 20;
const PAGES: u64 = PLUG_LEN / PAGE_SIZE;
/// What the host leaves in the plugged memory for the guest: on page 7, behind the guest's own word.
const LETTER: GuestAddress = GuestAddress(PLUG.0 + 7 * PAGE_SIZE + 8);
const LETTER_WORDS: u64 = 400;

/// Plugs and unplugs; gives the guest, which goes on.
pub(crate) fn show(
    report: &mut Report,
    machine: &Machine,
    space: &Space,
    image: &Image,
) -> Result<Guest<Space>> {
    let boot = boot(Program::Poll);
    let mailbox = boot.prepare(space.clone())?;
    let mut guest = machine.start(space.clone(), &boot, mailbox)?;
    let mut reader = Reader::start(space, image)?;
    let mut counter = Counter::new(machine);
    counter.beyond(&mut guest, space, 0)?;
    report.say(format_args!(
        "{} counts at {COUNTER}; a reader thread takes map after map and checks what it reads",
        machine.player()
    ))?;

    let plugged = show_plug(report, machine, space, &mut guest, &mut counter)?;
    show_use(report, machine, space, &mut guest, &mut reader)?;
    show_unplug(report, machine, space, plugged, &mut guest, &mut counter)?;
    show_hole(report, machine, space)?;
    report.say(&*space.memory())?;

    {
        let progress = Progress::bar(MORE_ROUNDS, "plug, fill, check, unplug");
        for round in 1..=MORE_ROUNDS {
            again(machine, space, &mut guest, &mut reader, round)?;
            progress.step();
        }
    }
    report.check(
        format_args!("{MORE_ROUNDS} more rounds: fresh memory plugged, {PAGES} pages filled and found, unplugged, unmapped"),
        true,
    )?;
    let tally = reader.stop()?;
    let [reads, with, without] =
        [&tally.reads, &tally.with, &tally.without].map(|count| count.load(Ordering::Relaxed));
    report.check(
        format_args!(
            "the reader thread: {} reads, through {} guards with that memory and {} without, none torn or wrong",
            Count(reads),
            Count(with),
            Count(without)
        ),
        with > MORE_ROUNDS && without > 0,
    )?;
    Ok(guest)
}

/// Plugs memory while the guest counts.
fn show_plug(
    report: &mut Report,
    machine: &Machine,
    space: &Space,
    guest: &mut Guest<Space>,
    counter: &mut Counter,
) -> Result<Plugged> {
    counter.keep(guest)?;
    let before = Counter::value(space)?;
    let plugged = plugging::plug(machine, space)?;
    let at_once = Counter::value(space)?;
    let after = counter.beyond(guest, space, at_once)?;
    let slot = plugged.slot.as_ref().map(|slot| format!(", memslot {}", slot.number()));
    report.say(format_args!(
        "plugged: a map with 2 MiB more is published (the last reader of the old one gone after {}){}",
        Time(plugged.readers_took),
        slot.unwrap_or_default(),
    ))?;
    report.say(&*space.memory())?;
    if let Machine::Kvm { .. } = machine {
        report.say(
            "  (dirty by our own bitmap: what the guest itself writes is in KVM's log, see step 5)",
        )?;
    }
    report.check(
        format_args!(
            "{} counts on: {} before, {} right after, now {}",
            machine.player(),
            Count(before),
            Count(at_once),
            Count(after)
        ),
        before <= at_once && at_once < after,
    )?;
    counter.pause(guest)?;
    Ok(plugged)
}

/// Host and guest use the new memory.
fn show_use(
    report: &mut Report,
    machine: &Machine,
    space: &Space,
    guest: &mut Guest<Space>,
    reader: &mut Reader,
) -> Result<()> {
    let player = machine.player();
    fill(guest, 0)?;
    report.check(
        format_args!("{player} wrote the {PAGES} new pages, and the host finds every word"),
        is_filled(space, 0)?,
    )?;
    let letter: Vec<u8> = (0..LETTER_WORDS * 8).map(|index| (index * 7 / 3) as u8).collect();
    space.memory().write_slice(&letter, LETTER)?;
    let sum = guest.ask(Command::Checksum { address: LETTER.0, words: LETTER_WORDS })?;
    report.check_same(
        format_args!("what the host writes there {player} sums up, to {sum:#018x}"),
        &sum,
        &Checksum::of_bytes(&letter),
    )?;
    reader.sees_plugged()?;
    Ok(())
}

/// Unplugs memory, with a device that still holds the old map.
fn show_unplug(
    report: &mut Report,
    machine: &Machine,
    space: &Space,
    plugged: Plugged,
    guest: &mut Guest<Space>,
    counter: &mut Counter,
) -> Result<()> {
    const PATIENCE: Duration = Duration::from_millis(20);

    let before = counter.beyond(guest, space, Counter::value(space)?)?;
    let old = space.memory();
    let retired = plugging::withdraw(space)?;
    report.say(
        "unplugging: a map without it is published, while a device holds a guard on the old one",
    )?;
    let refused = space.memory().read_obj::<u64>(PLUG);
    let why = refused.as_ref().err().map(ToString::to_string).unwrap_or_default();
    report.check(
        format_args!("through the new map an access is an error: {why}"),
        matches!(refused, Err(GuestMemoryError::InvalidGuestAddress(PLUG))),
    )?;
    let found: u64 = old.read_obj(GuestAddress(PLUG.0 + (PAGES - 1) * PAGE_SIZE))?;
    report.check_same(
        format_args!(
            "through the old guard it is still there, with what {} wrote",
            machine.player()
        ),
        &found,
        &(first_word(0) + PAGES - 1),
    )?;
    let Err(retired) = retired.wait_timeout(PATIENCE) else {
        bail!("a map counts as unused that a device still holds");
    };
    report.check(
        format_args!("the old map counts as in use, also after a wait of {}", Time(PATIENCE)),
        !retired.is_unused(),
    )?;
    drop(old);
    let (map, took) = plugging::wait(retired)?;
    report.check(
        format_args!(
            "the device lets go: the last reader of the old map is gone {} later",
            Time(took)
        ),
        map.address_in_range(PLUG),
    )?;
    let slot = plugged.slot.as_ref().map(Memslot::number);
    machine.unplug(plugged.slot)?;
    drop(map);
    let slot = slot.map(|number| format!("memslot {number} is removed: ")).unwrap_or_default();
    report.check(
        format_args!("{slot}nobody has the memory any more, it is unmapped"),
        plugged.mapping.upgrade().is_none(),
    )?;
    let after = counter.beyond(guest, space, Counter::value(space)?)?;
    report.check(
        format_args!(
            "{} counts on: {} before, now {}",
            machine.player(),
            Count(before),
            Count(after)
        ),
        after > before,
    )?;
    counter.pause(guest)
}

/// A guest reads where memory was.
fn show_hole(report: &mut Report, machine: &Machine, space: &Space) -> Result<()> {
    let boot = probe();
    let mut mailbox = boot.prepare(space.clone())?;
    let ticket = mailbox.send(Command::Checksum { address: PLUG.0, words: 1 })?;
    let mut guest = machine.start(space.clone(), &boot, mailbox)?;
    let Err(end) = guest.wait(ticket) else {
        bail!("a guest has read memory that is not there");
    };
    let (who, right) = match (machine, &end) {
        (Machine::Kvm { .. }, DemoError::Hole { at, .. }) => ("virtual CPU", *at == PLUG.0),
        (Machine::StandIn { .. }, DemoError::Memory { at, .. }) => ("thread", *at == PLUG.0),
        _ => ("guest", false),
    };
    let why = anyhow::Error::new(end);
    report.check(format_args!("a second {who} that reads there is stopped: {why:#}"), right)
}

/// One more round, without words.
fn again(
    machine: &Machine,
    space: &Space,
    guest: &mut Guest<Space>,
    reader: &mut Reader,
    round: u64,
) -> Result<()> {
    let plugged = plugging::plug(machine, space)?;
    fill(guest, round)?;
    if !is_filled(space, round)? {
        bail!("in round {round} the host does not find what the guest wrote");
    }
    reader.sees_plugged()?;
    plugging::wait(plugging::withdraw(space)?)?;
    machine.unplug(plugged.slot)?;
    if plugged.mapping.upgrade().is_some() {
        bail!("in round {round} somebody holds the unplugged memory");
    }
    if let Ok(word) = Words::load(space, PLUG.0) {
        bail!("in round {round} unplugged memory can be read: {word:#x}");
    }
    Ok(())
}

/// Lets the guest write a word at the start of each plugged page.
fn fill(guest: &mut Guest<Space>, round: u64) -> Result<()> {
    let first = first_word(round);
    guest.ask(Command::Fill { address: PLUG.0, stores: PAGES, stride: PAGE_SIZE, first })?;
    Ok(())
}

/// Whether all of these words are there, and nothing is right behind them.
fn is_filled(space: &Space, round: u64) -> Result<bool> {
    let memory = space.memory();
    for page in 0..PAGES {
        let at = GuestAddress(PLUG.0 + page * PAGE_SIZE);
        let found: [u64; 2] = memory.read_obj(at)?;
        if found != [first_word(round) + page, 0] {
            return Ok(false);
        }
    }
    Ok(true)
}
