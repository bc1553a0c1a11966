//! `cargo xtask vm --hotplug`: memory comes and goes under a guest that reads and writes its disk.
//!
//! The machine boots with two memories that our daemon is told of: the processor's, and a module at 4 GiB. A second module is plugged
//! right behind the first, so that a buffer can begin in memory that was there from the start and end in memory that came later, and
//! still be one piece for the device. Then it is taken out again, and plugged once more.

use core::time::Duration;
use std::thread;

use anyhow::{Context as _, Result, bail};
use serde_json::json;

use crate::report::Outcome;
use crate::vm::bench::Bench;
use crate::vm::disk::{self, Disk};
use crate::vm::figures::Figures;
use crate::vm::machine::{Machine, Order};
use crate::vm::place::Place;
use crate::vm::storm::Storm;

/// The largest time that one command in the guest may take.
const LIMIT: Duration = Duration::from_secs(120);
/// The size of the image.
const SIZE: u64 = 256 << 20;
/// The part of the disk that is written at random meanwhile.
const STORM: Storm = Storm { start: 128 << 20, length: 32 << 20, bytes: 32 << 20, threads: 2 };
/// The size of a module, which is also that of the blocks in which Linux takes memory.
const MODULE: u64 = 128 << 20;
/// Where the first module lies, and ours behind it.
const FIRST: u64 = 4 << 30;
const BORDER: u64 = FIRST + MODULE;
/// How often the module is plugged and used.
const TIMES: u64 = 2;
/// How often it then comes and goes without a pause.
const SWAPS: u64 = 6;

/// How often the guest is asked to give the module back: a page that a request is under way for cannot be moved.
const ATTEMPTS: u64 = 20;
/// How long it is let alone before it is asked again.
const PAUSE: Duration = Duration::from_millis(100);
/// What QEMU says when the module is gone.
const GONE: &str = "DEVICE_DELETED";
/// What it says when the guest does not give it back.
const REFUSED: &str = "DEVICE_UNPLUG_GUEST_ERROR";

/// Runs it.
pub(super) fn run(bench: &Bench<'_>) -> Result<Outcome> {
    let place = Place::new(&bench.home, "hotplug")?;
    place.run(|| guest(bench, &place))
}

fn guest(bench: &Bench<'_>, place: &Place) -> Result<Outcome> {
    let initramfs = bench.initramfs(&[])?;
    let image = place.file("image");
    disk::blank(&image, SIZE)?;
    let program = bench.daemon()?;
    let words = &["--queues", "2"];
    let disk =
        Disk::start(place, &disk::Order { name: "disk", program: &program, image: &image, words })?;
    let object = format!("memory-backend-memfd,id=first,size={MODULE},share=on");
    let device = format!("pc-dimm,id=first-module,memdev=first,addr={FIRST:#x}");
    let order = Order {
        name: "machine",
        parts: &bench.parts,
        initramfs: &initramfs,
        processors: "2",
        memory: "256M,slots=4,maxmem=4G",
        size: "256M",
        // Memory that comes is used at once, and only for what can be moved out again.
        kernel: "memhp_default_state=online_movable",
        words: &["-object", &object, "-device", &device],
    };
    let mut machine = Machine::start(place, &order, &[&disk])?;
    machine.booted()?;
    let mut figures = Figures::default();
    let storm = STORM.begin(&mut machine)?;
    let across = work(&mut machine, &mut figures)?;
    let digest = storm.end(&mut machine, LIMIT)?;
    machine.off()?;
    let counted = disk.end()?;
    println!("the guest is gone; the host looks at the image:");
    STORM.check(&image, digest)?;
    println!("\n{}\n", figures.show());
    println!("the daemon: {}", counted.line());
    for (name, least) in [
        // A piece over the border is one to the daemon, or this run has shown less than it says.
        ("crossings", across),
        // A module that comes, and one that goes.
        ("memory_tables", 1 + 2 * (TIMES + SWAPS)),
        ("regions_most", 3),
    ] {
        let seen = counted.number(name)?;
        if seen < least {
            bail!("the daemon counted {name} {seen}, and it has to be {least} at least");
        }
    }
    Ok(Outcome::ok(format!(
        "memory plugged {} times under load; {across} pieces across its border",
        TIMES + SWAPS
    )))
}

/// What happens to the machine; tells how many requests crossed the border.
fn work(machine: &mut Machine, figures: &mut Figures) -> Result<u64> {
    let block = format!("/sys/devices/system/memory/memory{}/state", BORDER / MODULE);
    let mut across = 0;
    for time in 0..TIMES {
        let memory = format!("plugged-{time}");
        figures.part("plug", machine, |machine| plug(machine, &memory, &block))?;
        machine.run("grep -h 'System RAM' /proc/iomem; grep MemTotal /proc/meminfo", LIMIT)?;
        let lines = figures.part("requests across the border", machine, |machine| {
            machine.run(&format!("xtask-guest span /dev/vda 0 {BORDER:#x}"), LIMIT)
        })?;
        let line = lines.iter().find_map(|line| line.strip_prefix("span: requests across "));
        let count = line.and_then(|line| line.split(' ').next()?.parse::<u64>().ok());
        across += count.context("the guest counted no requests")?;
        figures.part("take out", machine, |machine| unplug(machine, &memory, &block))?;
    }
    figures.part("plug and take out at once", machine, |machine| {
        (TIMES..TIMES + SWAPS).try_for_each(|time| {
            let memory = format!("plugged-{time}");
            plug(machine, &memory, &block)?;
            unplug(machine, &memory, &block)
        })
    })?;
    Ok(across)
}

/// Plugs the module on new memory, and waits until the guest uses it.
///
/// The memory has a name that none had before: QEMU 10 looks for the file of a memory by its name, and may find that of the one
/// which was taken out a moment ago, until it is closed.
fn plug(machine: &mut Machine, memory: &str, block: &str) -> Result<()> {
    println!("qemu: a module of {} MiB is plugged at {BORDER:#x}", MODULE >> 20);
    let object =
        json!({ "qom-type": "memory-backend-memfd", "id": memory, "size": MODULE, "share": true });
    machine.qmp.ask("object-add", &object)?;
    let module = json!({ "driver": "pc-dimm", "id": "module", "memdev": memory, "addr": BORDER });
    machine.qmp.ask("device_add", &module)?;
    // The guest is told by an interrupt, and takes it when it comes to that.
    let online = format!("until grep -q online {block} 2> /dev/null; do sleep 0.1; done");
    machine.run(&online, LIMIT)?;
    Ok(())
}

/// Takes the module out, which the guest has to agree to.
fn unplug(machine: &mut Machine, memory: &str, block: &str) -> Result<()> {
    println!("qemu: the module is to be taken out");
    for _ in 0..ATTEMPTS {
        machine.qmp.ask("device_del", &json!({ "id": "module" }))?;
        let (answer, about) = machine.qmp.event(&[GONE, REFUSED], LIMIT)?;
        if about["device"] != "module" {
            bail!("something else was taken out: {about}");
        }
        if answer == GONE {
            machine.qmp.ask("object-del", &json!({ "id": memory }))?;
            machine.run(&format!("test ! -e {block}"), LIMIT)?;
            return Ok(());
        }
        println!("qemu: the guest cannot give it back now; asked again");
        thread::sleep(PAUSE);
    }
    bail!("the guest does not give the module back")
}
