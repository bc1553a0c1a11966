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
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result};

pub(crate) use crate::compare::options::Options;
pub(crate) use crate::compare::queue::DEVICE;

use crate::call::Call;
use crate::compare::judge::Run;
use crate::compare::machine::Machine;
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
    let mut runs = Vec::new();
    for profile in &options.profiles {
        runs.push((*profile, run_profile(workspace, package, options, &targets, *profile)?));
    }
    let counts = instructions::kept()?;
    let judge = |target| Judged { target, verdict: judge::judge(target, &runs, &counts) };
    let rows: Vec<_> = targets.into_iter().map(judge).collect();
    println!("\n{}\n\n{}", machine.line(), table::text(&rows));
    let json = json::whole(&machine, options.rounds, &rows, &runs);
    write(&home.join("compare.json"), &format!("{json:#}\n"))?;
    let figures = format!("{}\n\n{}", machine.line(), table::markdown(&rows));
    write(&home.join("performance.md"), &figures)?;
    let (profile, run) = runs.first().context("no profile was run")?;
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

/// Runs all programs, as far as the targets want them, under one profile.
fn run_profile(
    workspace: &Workspace,
    package: &str,
    options: &Options,
    targets: &[&Target],
    profile: Profile,
) -> Result<Run> {
    println!("{}: {}", profile.name(), profile.says());
    let start = Instant::now();
    let directory = profile.build(package, &PROGRAMS, &workspace.target)?;
    println!("  built in {:.1} s", start.elapsed().as_secs_f64());
    // How fast the machine is, is asked every time.
    let mut rows = vec!["control"];
    rows.extend(targets.iter().flat_map(|target| target.rows()));
    let mut run = Run::default();
    for program in PROGRAMS {
        let start = Instant::now();
        let path = directory.join(program).display().to_string();
        let call = Call::program(&path, ["--rounds", &options.rounds.to_string()]).args(&rows);
        run.measured.read(&call.text()?)?;
        println!("  {program}: {:.1} s", start.elapsed().as_secs_f64());
    }
    if targets.iter().any(|target| matches!(target.measure, Measure::Speedup { .. })) {
        let start = Instant::now();
        run.queue = Some(queue::run(workspace, profile, options.rounds)?);
        println!("  virtio-queue: {:.1} s", start.elapsed().as_secs_f64());
    }
    Ok(run)
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    println!("written: {}", path.display());
    Ok(())
}
