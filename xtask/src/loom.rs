//! `cargo xtask ci loom`: all schedules of the protocols that are written with atomics, on the code itself.
//!
//! The crates have a room `sync`, which takes its atomics from loom under `--cfg loom`. A model that finds nothing proves nothing unless
//! it would: under `--cfg loom_planted` the room leaves something out, and a test must fail.

use anyhow::{Result, bail};

use crate::call::Call;
use crate::report::Outcome;

/// The packages that have models, in a test target of this name.
const PACKAGES: [&str; 2] = ["guest-atomic", "guest-dirty"];
const TARGET: &str = "schedules";
/// The tests that the planted faults must break, one of each package.
const PLANTED: [&str; 2] = [
    "who_has_seen_a_newer_map_is_not_told_that_an_older_one_is_in_force",
    "a_mark_that_finds_its_word_in_the_summary_is_not_lost",
];

/// Runs the models, and sees the planted faults found.
pub(crate) fn run(target_directory: &str) -> Result<Outcome> {
    let test = |flags: &str| {
        // Of its own: the flags are for all dependencies too. Optimized: there are many schedules.
        Call::cargo(["test", "--release", "--no-fail-fast", "--test", TARGET])
            .args(PACKAGES.iter().flat_map(|name| ["-p", name]))
            .env("RUSTFLAGS", flags)
            .env("CARGO_TARGET_DIR", &format!("{target_directory}/loom"))
    };
    test("--cfg loom").run()?;
    let planted = test("--cfg loom --cfg loom_planted");
    println!("$ {}   # must fail", planted.shown());
    let output = planted.output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    if let Some(kept) = PLANTED.iter().find(|name| !said.contains(&format!("{name} ... FAILED"))) {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("the planted fault that `{kept}` is for is not found:\n{said}{errors}");
    }
    Ok(Outcome::ok(format!("{} crates; the planted faults are found", PACKAGES.len())))
}
