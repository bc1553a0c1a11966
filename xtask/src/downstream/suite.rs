//! The tests of one package on one side: built, then run for a limited time.

use core::time::Duration;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use crate::call::{Call, ended_itself, ran_out};
use crate::downstream::output::{Tests, Verdict, errors};
use crate::downstream::packages::{Package, Side};
use crate::downstream::sources;

/// How long the tests of a package may run, examples in its documentation included, which are built as they run.
const RUN: Duration = Duration::from_secs(10 * 60);
/// How long they may be built: with all dependencies, on a slow machine.
const BUILD: Duration = Duration::from_secs(60 * 60);
/// How many lines are shown of errors.
const SHOWN: usize = 40;

/// Where everything is.
#[derive(Debug)]
pub(super) struct Place {
    /// The directory for all that is fetched and built.
    pub(super) home: PathBuf,
    /// The root of our workspace.
    pub(super) root: PathBuf,
}

/// What came of the tests on one side.
#[derive(Debug)]
pub(super) enum Run {
    /// They were built, in that time.
    Tested { tests: Tests, built: Duration, ran_out: bool },
    /// They were not, for these errors, all of which are in the file.
    NotBuilt { errors: String, log: PathBuf },
}

/// Builds and runs the tests.
pub(super) fn run(place: &Place, package: &Package, side: Side) -> Result<Run> {
    let manifest = sources::unpack(&place.home, &place.root, package, side)?;
    let suite = Suite { home: &place.home, package, side, manifest };
    let start = Instant::now();
    let (status, log) = suite.call("build", &["--no-run"], BUILD)?;
    let built = start.elapsed();
    ensure!(!ran_out(status), "not built in {} min", BUILD.as_secs() / 60);
    ensure!(ended_itself(status), "building ended with {status}");
    if !status.success() {
        println!("  {side:5}  does not build");
        return Ok(Run::NotBuilt { errors: errors(&read(&log)?, SHOWN), log });
    }
    let start = Instant::now();
    let (status, log) = suite.call("test", &[], RUN)?;
    ensure!(ended_itself(status) || ran_out(status), "testing ended with {status}");
    let tests = Tests::read(&read(&log)?);
    println!(
        "  {side:5}  built in {:.1} s, run in {:.1} s{}: {} passed, {} failed",
        built.as_secs_f64(),
        start.elapsed().as_secs_f64(),
        if ran_out(status) { ", then stopped" } else { "" },
        tests.count(Verdict::Passed),
        tests.count(Verdict::Failed),
    );
    Ok(Run::Tested { tests, built, ran_out: ran_out(status) })
}

/// The tests of a package on one side, ready to be built.
#[derive(Debug)]
struct Suite<'a> {
    home: &'a Path,
    package: &'a Package,
    side: Side,
    manifest: PathBuf,
}

impl Suite<'_> {
    /// Calls `cargo test`, with all that it prints in a file of its own.
    fn call(
        &self,
        name: &str,
        arguments: &[&str],
        limit: Duration,
    ) -> Result<(ExitStatus, PathBuf)> {
        let Self { home, package, side, .. } = self;
        let log = home.join("logs").join(format!("{}-{side}-{name}.log", package.word()));
        let make = || format!("cannot make {}", log.display());
        fs::create_dir_all(home.join("logs")).with_context(make)?;
        let file = File::create(&log).with_context(make)?;
        let target = home.join(format!("target-{side}")).display().to_string();
        let manifest = self.manifest.display().to_string();
        let call = Call::cargo(["test", "--no-fail-fast", "--manifest-path", &manifest])
            .args(["--features", &package.features.join(",")])
            .args(arguments)
            // One for all packages: what several of them use is built once.
            .env("CARGO_TARGET_DIR", &target)
            // No test is another one for it, and what is built is a third of the size.
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .env("CARGO_INCREMENTAL", "0")
            .env("CARGO_TERM_COLOR", "never");
        Ok((call.within(limit).logged(&file)?, log))
    }
}

fn read(log: &Path) -> Result<String> {
    // Tests may print anything, so what is no text is read as well as it can be.
    let bytes = fs::read(log).with_context(|| format!("cannot read {}", log.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
