//! A device on the unmodified virtio-queue crate, on the published vm-memory and on ours.
//!
//! Its sources are copied twice out of the workspace, once with the two lines that a user writes to take our facade. The
//! two programs are run by turns.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::call::Call;
use crate::compare::measured::{Cell, Found, Measured};
use crate::downstream::{Side, sources};
use crate::profiles::Profile;
use crate::workspace::Workspace;

/// The device: a workspace of its own, so that it takes what it is told to.
pub(crate) const DEVICE: &str = "xtask/fixtures/queue-device/Cargo.toml";

/// What the programs print: a case, and the nanoseconds of a chain.
const CASES: [&str; 2] = ["0B", "4KiB"];

/// The device's programs, one a side.
pub(super) struct Device {
    programs: [(Side, PathBuf); 2],
}

impl Device {
    /// Builds both sides.
    pub(super) fn build(workspace: &Workspace, profile: Profile) -> Result<Self> {
        let home = workspace.target.join("compare");
        let program = |side| build(&home, profile, side).map(|path| (side, path));
        Ok(Self { programs: [program(Side::Stock)?, program(Side::Ours)?] })
    }

    /// Runs both, once a round.
    pub(super) fn run(&self, rounds: usize) -> Result<Measured> {
        let mut samples = [[Vec::new(), Vec::new()], [Vec::new(), Vec::new()]];
        for round in 0..rounds {
            for turn in 0..self.programs.len() {
                let side = (round + turn) % self.programs.len();
                let program = self.programs[side].1.display().to_string();
                let told = Call::program(&program, [""; 0]).text()?;
                for (case, samples) in CASES.iter().zip(&mut samples[side]) {
                    samples.push(time(&told, case)?);
                }
            }
        }
        let mut measured = Measured::default();
        for ((side, _), samples) in self.programs.iter().zip(samples) {
            for (case, samples) in CASES.iter().zip(samples) {
                let (row, setting) = ("queue".to_owned(), "alone".to_owned());
                let cell = Cell { row, case: (*case).to_owned(), setting };
                measured.add(cell, side.name().to_owned(), Found::Times(samples));
            }
        }
        Ok(measured)
    }
}

/// The time of a case in what a program printed.
fn time(told: &str, case: &str) -> Result<f64> {
    let found = told.lines().find_map(|line| line.strip_prefix(case)?.trim().parse().ok());
    found.with_context(|| format!("the device told no time for {case}:\n{told}"))
}

/// Builds one side, in a directory of its own.
fn build(home: &Path, profile: Profile, side: Side) -> Result<PathBuf> {
    let copy = home.join(format!("queue-{side}"));
    let manifest = sources::device(Path::new(DEVICE), &copy, side)?;
    let target = home.join(format!("target-{side}"));
    let manifest = manifest.display().to_string();
    Call::cargo(["build", "--quiet", "--manifest-path", &manifest])
        .args(["--profile", profile.in_manifest()])
        .env("CARGO_TARGET_DIR", &target.display().to_string())
        .run()?;
    let program = target.join(profile.in_manifest()).join("queue-device");
    ensure!(fs::exists(&program).unwrap_or_default(), "cargo has built no {}", program.display());
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::time;

    #[test]
    fn the_time_of_a_case_is_found() {
        assert_eq!(time("0B 53.2\n4KiB 87.5\n", "4KiB").unwrap(), 87.5);
        assert!(time("0B \n", "0B").is_err());
    }
}
