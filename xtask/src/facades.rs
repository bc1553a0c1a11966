//! The facade that is no member of the workspace, which no command for the workspace reaches.

use anyhow::{Result, bail};

use crate::call::Call;
use crate::features;
use crate::report::Outcome;
use crate::workspace::{OUTSIDE, Workspace};

/// Lints it with each set of its features, and runs the examples in its documentation.
pub(crate) fn check(workspace: &Workspace) -> Result<Outcome> {
    // The workspace's own target directory: what is built of the crates of others serves both.
    let target = workspace.target.display().to_string();
    let call = |command: &str| {
        Call::cargo([command, "--manifest-path", OUTSIDE]).env("CARGO_TARGET_DIR", &target)
    };
    let sets = features::sets(&Workspace::read_outside()?.features);
    let deny = ["--", "-D", "warnings"];
    let lint = |arguments: &[String]| call("clippy").args(arguments).args(deny).run();
    let failed: Vec<_> =
        sets.iter().filter(|set| lint(&set.arguments).is_err()).map(|set| &*set.name).collect();
    if !failed.is_empty() {
        bail!("{} of {} sets of features: {}", failed.len(), sets.len(), failed.join(", "));
    }
    call("test").args(["--all-features"]).run()?;
    Ok(Outcome::ok(format!("{} sets of features", sets.len())))
}
