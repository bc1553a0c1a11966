//! `cargo xtask demo`: builds the demonstration with its own profile and runs it.

use anyhow::Result;

use crate::call::Call;

/// Runs the demonstration, in this terminal, with the given arguments.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    Call::cargo(["run", "--profile", "demo", "--package", "demo", "--"]).args(arguments).run()
}
