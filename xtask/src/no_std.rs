//! The proof that the lower crates do without std: a consumer that would not build with it.
//!
//! The consumer defines the panic handler that std has too, so the compiler refuses the two in one
//! program. This bites on a host target, where std is always at hand, and needs no other target
//! installed. That it bites is shown by building the consumer once more, with std.

use anyhow::{Context as _, Result, bail};

use crate::call::Call;
use crate::report::Outcome;
use crate::workspace::Workspace;

/// The consumer: a workspace of its own, so that no feature of another member is on.
pub(crate) const CONSUMER: &str = "xtask/fixtures/no-std-consumer/Cargo.toml";
/// What the compiler calls the panic handler when there are two.
const TWO_HANDLERS: &str = "panic_impl";

/// Builds the consumer without std, and sees it fail with std.
pub(crate) fn check(workspace: &Workspace) -> Result<Outcome> {
    let target = workspace.target.join("no-std");
    let target = target.to_str().context("the target directory has no printable name")?;
    let build =
        || Call::cargo(["build", "--manifest-path", CONSUMER]).env("CARGO_TARGET_DIR", target);

    build().run().context("the crates do not build without std")?;

    let with_std = build().args(["--features", "std"]);
    println!("$ {}   # must fail", with_std.shown());
    let output = with_std.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        bail!("the consumer builds with std too, so that it builds without proves nothing");
    }
    match said.lines().find(|line| line.contains(TWO_HANDLERS)) {
        Some(line) => println!("fails as it must: {line}"),
        None => bail!("with std, the consumer fails for another reason than std:\n{said}"),
    }
    Ok(Outcome::ok("and the control with std is refused"))
}
