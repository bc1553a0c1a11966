//! Instruction counts of hot operations, beside those kept in the repository: a lost inlining shows as a difference.

mod callgrind;
mod counts;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

pub(crate) use crate::instructions::counts::Counts;

use crate::call::Call;
use crate::profiles::Profile;
use crate::report::Outcome;
use crate::workspace::Workspace;

/// Where the numbers are kept.
const KEPT: &str = "benches/instructions.txt";

/// The program that does each operation, out of line.
const PROGRAM: &str = "instructions";

/// The numbers kept in the repository; none if there is no such file.
pub(crate) fn kept() -> Result<Counts> {
    if !Path::new(KEPT).exists() {
        return Ok(Counts::default());
    }
    let text = fs::read_to_string(KEPT).with_context(|| format!("cannot read {KEPT}"))?;
    Counts::parse(&text).with_context(|| format!("cannot understand {KEPT}"))
}

/// Counts, and compares with what is kept; fails if they differ, by more than the counts of one build and the next do.
pub(crate) fn check(workspace: &Workspace, package: &str) -> Result<Outcome> {
    let Some(counted) = count(workspace, package)? else {
        return Ok(Outcome::skipped("valgrind is not installed (apt-get install valgrind)"));
    };
    let differences = kept()?.differences(&counted);
    if !differences.is_empty() {
        for line in &differences {
            println!("  {line}");
        }
        bail!(
            "{} counts differ from {KEPT}; if that is meant, `cargo xtask bench --instructions --bless` writes the new ones",
            differences.len()
        );
    }
    Ok(Outcome::ok(format!("{} counts", counted.len())))
}

/// Counts, and keeps the numbers.
pub(crate) fn bless(workspace: &Workspace, package: &str) -> Result<()> {
    let counted = count(workspace, package)?.context("valgrind is not installed")?;
    for line in kept()?.differences(&counted) {
        println!("  {line}");
    }
    fs::write(KEPT, counted.text()).with_context(|| format!("cannot write {KEPT}"))?;
    println!("{} counts are in {KEPT}", counted.len());
    Ok(())
}

/// Counts under every profile; `None` without valgrind.
fn count(workspace: &Workspace, package: &str) -> Result<Option<Counts>> {
    if !Call::program("valgrind", ["--version"]).succeeds() {
        return Ok(None);
    }
    let mut counts = Counts::default();
    for profile in Profile::ALL {
        let directory = profile.build(package, &[PROGRAM], &workspace.target)?;
        let program = directory.join(PROGRAM).display().to_string();
        let out = workspace.target.join(format!("callgrind.{}", profile.name()));
        let to = format!("--callgrind-out-file={}", out.display());
        let options = ["--tool=callgrind", "--compress-strings=no", "--compress-pos=no"];
        Call::program("valgrind", options).args([&to, &program]).text()?;
        let text =
            fs::read_to_string(&out).with_context(|| format!("cannot read {}", out.display()))?;
        for (operation, count) in callgrind::operations(&text) {
            counts.add(&operation, profile, count);
        }
    }
    Ok(Some(counts))
}
