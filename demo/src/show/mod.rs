//! The steps of the demonstration, in their order.

use std::sync::Arc;

use anyhow::{Context, Result};
use guest_atomic::GuestMemoryAtomic;

// The order is the layer list: a room uses only rooms above it.
mod number;
mod ram;
mod image;
mod arguments;
mod progress;
mod report;
#[cfg_attr(not(target_os = "linux"), path = "unlinked.rs")]
mod backing;
mod machine;
mod counter;
mod reader;
mod plugging;
mod pages;
mod build_map;
mod load_image;
mod run_guest;
mod hot_plug;
mod dirty_pages;

pub(crate) use arguments::{Arguments, Ask, Player};
use image::Image;
use machine::Machine;
use ram::{HIGH, HOLE};
use report::Report;

/// Shows everything; fails with the first check that does not hold.
pub(crate) fn run(image: &Image, player: Player) -> Result<()> {
    let mut report = Report::new();
    let mut machine = Machine::new(player).context("the preparation")?;
    report.title("Guest memory: a map, a real file, a guest, hot-plug, dirty pages")?;
    report.fact("guest", &machine)?;
    report.fact("image", image)?;
    if let Machine::StandIn { .. } = machine {
        report.warn("no real guest here: \"the stand-in\" is a thread that does what the guest's program would")?;
    }

    report.step(&format!("Build a guest memory map, with a hole from {HOLE} up to {HIGH}"))?;
    let memory = build_map::show(&mut report).context("step 1")?;

    report.step("Load the image straight from its file descriptor, across two regions")?;
    load_image::show(&mut report, &memory, image).context("step 2")?;

    let caveat = machine.caveat();
    report.step(&format!("Let the guest sum up the image in its own memory{caveat}"))?;
    run_guest::show(&mut report, &mut machine, &memory, image).context("step 3")?;

    report.step(&format!(
        "Plug and unplug memory while the guest and a reader thread go on{caveat}"
    ))?;
    let space = GuestMemoryAtomic::from(Arc::new(memory));
    let guest = hot_plug::show(&mut report, &machine, &space, image).context("step 4")?;

    report.step(&format!("Name the pages that guest and host have written{caveat}"))?;
    dirty_pages::show(&mut report, &machine, &space, guest, image).context("step 5")?;

    if let Machine::StandIn { .. } = machine {
        report.warn(
            "a thread stood in for the guest: nothing above says anything about a hypervisor",
        )?;
    }
    report.end()?;
    Ok(())
}
