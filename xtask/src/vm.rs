//! `cargo xtask vm`: a Linux guest uses a disk that our daemon serves.
//!
//! The kernel is Debian's, the machine is QEMU's, and neither knows of us: what they do with a disk, and with the memory under it,
//! is what a guest does. Each run ends with a sentence about what was verified, or fails.

mod child;
mod line;
mod archive;
mod needs;
mod initramfs;
mod place;
mod qmp;
mod disk;
mod machine;
mod figures;
mod storm;
mod tree;
mod bench;
mod boot;
mod hotplug;
mod migrate;
mod compare;

use std::fs;

use anyhow::{Context as _, Result, bail};

use crate::report::Outcome;
use crate::vm::bench::Bench;
use crate::workspace::Workspace;

/// Which run to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    /// Boots, works, and verifies.
    Boot,
    /// Changes the machine's memory under load.
    Hotplug,
    /// Moves the guest to another machine.
    Migrate,
    /// Measures our memory beside the published one.
    Compare,
}

impl Run {
    /// Reads the words of a command line.
    pub(crate) fn parse(words: &[String]) -> Result<Self> {
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            [] => Ok(Self::Boot),
            ["--hotplug"] => Ok(Self::Hotplug),
            ["--migrate"] => Ok(Self::Migrate),
            ["--compare"] => Ok(Self::Compare),
            _ => bail!(
                "`vm` goes with one of --hotplug, --migrate, --compare, not with `{}`",
                words.join(" ")
            ),
        }
    }
}

/// Makes a run, where a machine can be made.
pub(crate) fn run(workspace: &Workspace, run: Run) -> Result<Outcome> {
    let home = workspace.target.join("vm");
    fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
    let parts = match needs::find(&home)? {
        Ok(parts) => parts,
        Err(missing) => return Ok(Outcome::skipped(missing)),
    };
    let bench = Bench { workspace, home, parts };
    match run {
        Run::Boot => boot::run(&bench),
        Run::Hotplug => hotplug::run(&bench),
        Run::Migrate => migrate::run(&bench),
        Run::Compare => compare::run(&bench),
    }
}
