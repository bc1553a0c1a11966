//! `cargo xtask bench --compare`: every target of the table, measured and judged.
//!
//! The programs of the benches are built under each profile and print the times of interleaved rounds; a
//! small device on the unmodified virtio-queue crate is built outside of the workspace, on the published vm-memory and on our
//! facade, and run by turns. What comes out is a table with a row a target, the same as JSON, and a chart.

mod targets;
mod options;
mod measured;
mod judge;
mod machine;
mod table;
mod json;
mod chart;
mod document;
mod queue;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result};

pub(crate) use crate::compare::options::Options;
pub(crate) use crate::compare::queue::DEVICE;

use crate::call::Call;
use crate::compare::judge::Run;
use crate::compare::machine::Machine;
use crate::compare::queue::Device;
use crate::compare::table::Judged;
use crate::compare::targets::{Measure, Target};
use crate::instructions;
use crate::profiles::Profile;
use crate::workspace::Workspace;

/// The programs of the benches: all operations in one, and one each.
const PROGRAMS: [&str; 7] = [
    "compare",
    "alone_read",
    "alone_write",
    "alone_atomics",
    "alone_slice",
    "alone_copy",
    "alone_chain",
];

/// Where the figures of a whole run go.
const DOCUMENT: &str = "docs/performance.md";
const CHART: &str = "docs/performance.svg";

/// Measures, judges, tells.
pub(crate) fn run(workspace: &Workspace, package: &str, options: &Options) -> Result<()> {
    let home = workspace.target.join("compare");
    fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
    let machine = Machine::here()?;
    let targets = options.targets();
    // All are built before any is run, so that no compiler is about meanwhile.
    let mut built = Vec::new();
    for profile in &options.profiles {
        built.push((*profile, Built::new(workspace, package, &targets, *profile)?));
    }
    let mut runs = Vec::new();
    for (profile, programs) in &built {
        println!("{}: {}", profile.name(), profile.says());
        runs.push((*profile, programs.run(options, &targets)?));
    }
    let counts = instructions::kept()?;
    let judge = |target| Judged { target, verdict: judge::judge(target, &runs, &counts) };
    let rows: Vec<_> = targets.into_iter().map(judge).collect();
    let (profile, run) = runs.first().context("no profile was run")?;
    let head = format!("{}. {}", machine.line(), table::raw_read(&run.measured, *profile));
    println!("\n{head}\n\n{}", table::text(&rows));
    let json = json::whole(&machine, options.rounds, &rows, &runs);
    write(&home.join("compare.json"), &format!("{json:#}\n"))?;
    let figures = format!("{head}\n\n{}", table::markdown(&rows));
    write(&home.join("performance.md"), &figures)?;
    let svg = chart::svg(&machine, profile.says(), &run.measured)?;
    write(&home.join("performance.svg"), &svg)?;
    if options.is_whole() {
        let text =
            fs::read_to_string(DOCUMENT).with_context(|| format!("cannot read {DOCUMENT}"))?;
        write(Path::new(DOCUMENT), &document::with_figures(&text, &figures)?)?;
        write(Path::new(CHART), &svg)?;
    }
    Ok(())
}

/// What was built under one profile.
struct Built {
    directory: PathBuf,
    device: Option<Device>,
}

impl Built {
    /// Builds what the targets want.
    fn new(
        workspace: &Workspace,
        package: &str,
        targets: &[&Target],
        profile: Profile,
    ) -> Result<Self> {
        let directory = profile.build(package, &PROGRAMS, &workspace.target)?;
        let on_queue = |target: &&Target| matches!(target.measure, Measure::Speedup { .. });
        let wanted = targets.iter().any(on_queue);
        let device = wanted.then(|| Device::build(workspace, profile)).transpose()?;
        Ok(Self { directory, device })
    }

    /// Runs all programs, as far as the targets want them.
    fn run(&self, options: &Options, targets: &[&Target]) -> Result<Run> {
        // How fast the machine is, is asked every time.
        let mut rows = vec!["control", "locked"];
        rows.extend(targets.iter().flat_map(|target| target.rows()));
        let mut run = Run::default();
        for program in PROGRAMS {
            let start = Instant::now();
            let path = self.directory.join(program).display().to_string();
            let call = Call::program(&path, ["--rounds", &options.rounds.to_string()]).args(&rows);
            run.measured.read(&call.text()?)?;
            println!("  {program}: {:.1} s", start.elapsed().as_secs_f64());
        }
        if let Some(device) = &self.device {
            let start = Instant::now();
            run.queue = Some(device.run(options.rounds)?);
            println!("  virtio-queue: {:.1} s", start.elapsed().as_secs_f64());
        }
        Ok(run)
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    println!("written: {}", path.display());
    Ok(())
}
