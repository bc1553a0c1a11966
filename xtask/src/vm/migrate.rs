//! `cargo xtask vm --migrate`: a running guest moves from one machine to another, each with a daemon of its own on one image.
//!
//! What the disk writes into the guest's memory reaches the other machine because our daemon marks it in the log that QEMU reads.
//! The guest sets a trap for a daemon that does not (`xtask/guest/src/hold.rs`): memory that was sent, and that the disk fills
//! afterwards, while nothing else touches it. The same run with a daemon that loses its marks has to fall into it, or the trap is none.

use core::time::Duration;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::report::Outcome;
use crate::vm::bench::Bench;
use crate::vm::disk::{self, Disk};
use crate::vm::machine::{Machine, Order};
use crate::vm::place::Place;
use crate::vm::qmp::Qmp;
use crate::vm::storm::Storm;

/// The largest time that one command in the guest may take.
const LIMIT: Duration = Duration::from_secs(120);
/// The size of the image.
const SIZE: u64 = 256 << 20;
/// The part of the disk that is written at random meanwhile.
const STORM: Storm = Storm { start: 128 << 20, length: 32 << 20, bytes: 32 << 20, threads: 1 };
/// The memory that the disk fills.
const HELD: u64 = 32 << 20;
/// The memory that the processor writes all the time.
const CHURNED: u64 = 16 << 20;
/// How fast memory is sent at first, in bytes a second: slow enough that the processor writes it faster.
const SLOW: u64 = 96 << 20;
/// How fast it is sent while the disk fills its part: next to nothing, so that the guest cannot get over meanwhile.
const TRICKLE: u64 = 1 << 20;
/// How often QEMU has to have looked for written pages until all of them were sent: when it begins, and after each pass.
const PASSES: u64 = 3;

/// Whether the daemon that the guest leaves tells what it wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Marks {
    Kept,
    Lost,
}

/// How the guest found its pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pages {
    right: u64,
    stale: u64,
    wrong: u64,
}

/// Runs it with a daemon that marks, and with one that does not.
pub(super) fn run(bench: &Bench<'_>) -> Result<Outcome> {
    let initramfs = bench.initramfs(&[])?;
    let program = bench.daemon()?;
    let go = |marks, name| {
        let place = Place::new(&bench.home, name)?;
        place.run(|| cross(bench, &place, &initramfs, &program, marks))
    };
    println!("── with the daemon's marks");
    let kept = go(Marks::Kept, "migrate")?;
    if kept.stale + kept.wrong > 0 {
        bail!("lost {} pages: {kept:?}", kept.stale + kept.wrong);
    }
    println!("lost nothing: {} pages that the disk wrote are right", kept.right);
    println!("\n── with a daemon that loses its marks");
    let lost = go(Marks::Lost, "migrate-lost")?;
    if lost.stale == 0 {
        bail!("a daemon that loses its marks lost no page: this run shows nothing ({lost:?})");
    }
    println!("lost {} pages of {}, as it must", lost.stale, HELD / 4096);
    let text = format!("{} pages kept; without marks lost {}, as it must", kept.right, lost.stale);
    Ok(Outcome::ok(text))
}

/// Moves a guest.
fn cross(
    bench: &Bench<'_>,
    place: &Place,
    initramfs: &Path,
    program: &Path,
    marks: Marks,
) -> Result<Pages> {
    let image = place.file("image");
    disk::blank(&image, SIZE)?;
    let words: &[&str] = match marks {
        Marks::Kept => &["--queues", "2"],
        Marks::Lost => &["--queues", "2", "--lose-marks"],
    };
    let order = |name, words| disk::Order { name, program, image: &image, words };
    let disk = Disk::start(place, &order("disk", words))?;
    let machine = Order {
        name: "source",
        parts: &bench.parts,
        initramfs,
        processors: "2",
        memory: "256M",
        size: "256M",
        kernel: "",
        words: &[],
    };
    let mut source = Machine::start(place, &machine, &[&disk])?;
    source.booted()?;
    // Where marks are lost, a disk that does more than fill the trap would only blur what is lost.
    let storm = match marks {
        Marks::Kept => Some(STORM.begin(&mut source)?),
        Marks::Lost => None,
    };
    source.begin(&format!("xtask-guest hold /dev/vda 0 {HELD} {CHURNED}"))?;
    source.expect("hold: ready", LIMIT)?;

    let twin = Disk::start(place, &order("twin", &["--queues", "2"]))?;
    let way = format!("unix:{}", place.socket("way").display());
    let machine = Order { name: "target", words: &["-incoming", &way], ..machine };
    let mut target = Machine::start(place, &machine, &[&twin])?;

    send(&mut source.qmp, &way)?;
    source.say("load")?;
    source.expect("hold: loaded", LIMIT)?;
    // What is still to be sent are pages of two kinds: what the processor writes, and what the disk has just written.
    let (took, synced) = finish(&mut source.qmp)?;
    println!("moved: stood still for {took} ms, after {synced} looks for written pages");
    target
        .qmp
        .poll("query-status", LIMIT, |answer| Ok((answer["status"] == "running").then_some(())))?;
    target.say("check")?;
    let (lines, _) = target.answer(LIMIT).context("the guest on its new machine")?;
    lines.iter().for_each(|line| println!("  {line}"));
    let pages = lines.iter().find_map(|line| Pages::parse(line));
    let pages = pages.with_context(|| format!("the guest did not tell: {}", lines.join("; ")))?;
    let digest = storm.map(|storm| storm.end(&mut target, LIMIT)).transpose()?;
    source.quit()?;
    target.off()?;
    println!("the daemon that was left:    {}", disk.end()?.line());
    println!("the daemon that was reached: {}", twin.end()?.line());
    if let Some(digest) = digest {
        println!("the guest is gone; the host looks at the image:");
        STORM.check(&image, digest)?;
    }
    Ok(pages)
}

/// Begins to send the guest, slowly, until every page was sent once.
fn send(source: &mut Qmp, way: &str) -> Result<()> {
    // It stands still for a millisecond at most, in which it sends less than the processor writes: so it does not end.
    let slow = json!({ "downtime-limit": 1, "max-bandwidth": SLOW });
    source.ask("migrate-set-parameters", &slow)?;
    source.ask("migrate", &json!({ "uri": way }))?;
    println!("sending the guest, at {} MiB a second", SLOW >> 20);
    let synced = source.poll("query-migrate", LIMIT, |answer| {
        let synced = answer["ram"]["dirty-sync-count"].as_u64();
        match answer["status"].as_str() {
            Some("setup" | "active") => Ok(synced.filter(|count| *count >= PASSES)),
            _ => bail!("the guest went, or could not, before the trap was set: {answer}"),
        }
    })?;
    println!("every page was sent; QEMU looked {synced} times for those written since");
    source.ask("migrate-set-parameters", &json!({ "max-bandwidth": TRICKLE }))?;
    Ok(())
}

/// Lets the guest go; tells for how long it stood still, and how often QEMU looked for written pages.
fn finish(source: &mut Qmp) -> Result<(u64, u64)> {
    // Before this the guest was still here: what was loaded was loaded while it was being sent.
    let answer = source.ask("query-migrate", &json!({}))?;
    if answer["status"] != "active" {
        bail!("the guest went before the trap was set: {answer}");
    }
    let fast = json!({ "downtime-limit": 5000, "max-bandwidth": 4_u64 << 30 });
    source.ask("migrate-set-parameters", &fast)?;
    source.poll("query-migrate", LIMIT, |answer| match answer["status"].as_str() {
        Some("completed") => {
            let number = |value: &Value| value.as_u64().context("QEMU tells no number");
            Ok(Some((number(&answer["downtime"])?, number(&answer["ram"]["dirty-sync-count"])?)))
        }
        Some("failed" | "cancelled") => bail!("the guest could not go: {answer}"),
        _ => Ok(None),
    })
}

impl Pages {
    /// Reads the guest's line about them.
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix("hold: ")?.split(' ');
        let mut number = |name| (words.next() == Some(name)).then(|| words.next()?.parse().ok())?;
        Some(Self { right: number("right")?, stale: number("stale")?, wrong: number("wrong")? })
    }
}

#[cfg(test)]
mod tests {
    use super::Pages;

    #[test]
    fn the_guests_line_about_its_pages_is_read_and_no_other() {
        let pages = Pages { right: 5, stale: 6, wrong: 7 };
        assert_eq!(Pages::parse("hold: right 5 stale 6 wrong 7"), Some(pages));
        assert_eq!(Pages::parse("hold: ready"), None);
        assert_eq!(Pages::parse("hold: stale 6 right 5 wrong 7"), None);
    }
}
