//! The dependency policy: each dependency has a reason in `docs/dependencies.md`, and keeps to `deny.toml` as cargo-deny says
//! where it is installed.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result, ensure};

use crate::call::Call;
use crate::report::Outcome;
use crate::workspace::{OUTSIDE, Workspace};
use crate::{fuzz, races};

/// The reasons, from the root of the workspace.
const REASONS: &str = "docs/dependencies.md";
/// The policy, likewise.
const POLICY: &str = "deny.toml";

/// Checks what can be known from the repository alone: reasons, licences, banned crates, sources.
///
/// This needs no network and its result changes only when the dependencies do, so a change that
/// passed once does not fail tomorrow for a reason that has nothing to do with it.
pub(crate) fn check(workspace: &Workspace) -> Result<Outcome> {
    let reasons = fs::read_to_string(REASONS).with_context(|| format!("cannot read {REASONS}"))?;
    let named = workspace.packages.iter().flat_map(|package| &package.dependencies);
    let named = named.filter(|dependency| !dependency.ours).map(|dependency| &*dependency.name);
    let unnamed = without_reason(&reasons, named);
    ensure!(unnamed.is_empty(), "{REASONS} says nothing of {}", unnamed.join(", "));
    if let Some(missing) = missing() {
        return Ok(missing);
    }
    deny(&["licenses", "bans", "sources"])
}

/// Checks the dependencies against published advisories and withdrawn versions.
///
/// The database is on the network and grows by itself: this can fail without any change here,
/// which is why a user expects it of the full run and not between an edit and a commit. Without
/// a database that can be fetched there is nothing to check against, and the table says so.
pub(crate) fn check_advisories() -> Result<Outcome> {
    if let Some(missing) = missing() {
        return Ok(missing);
    }
    let fetch = Call::cargo(["deny", "fetch", "db"]);
    println!("$ {}", fetch.shown());
    if !fetch.succeeds() {
        return Ok(Outcome::skipped("the advisory database cannot be fetched from here"));
    }
    deny(&["advisories"])
}

/// Has cargo-deny check the workspace, and what is no member: that has dependencies of its own, and the same policy.
fn deny(checks: &[&str]) -> Result<Outcome> {
    let manifests = ["Cargo.toml", OUTSIDE, fuzz::MANIFEST, races::MANIFEST];
    for manifest in manifests {
        Call::cargo(["deny", "--manifest-path", manifest, "--config", POLICY, "--all-features"])
            .args(["check"])
            .args(checks)
            .run()?;
    }
    Ok(Outcome::ok(format!("{} workspaces", manifests.len())))
}

/// The names that no row of the tables starts with.
fn without_reason<'a>(reasons: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let rows = reasons.lines().filter_map(|line| line.strip_prefix("| `")?.split_once(" |"));
    let listed: BTreeSet<&str> = rows.flat_map(|(cell, _)| cell.split('`')).collect();
    let missing: BTreeSet<&str> = names.filter(|name| !listed.contains(name)).collect();
    missing.into_iter().collect()
}

fn missing() -> Option<Outcome> {
    let installed = Call::cargo(["deny", "--version"]).succeeds();
    (!installed).then(|| {
        Outcome::skipped("cargo-deny is not installed (cargo install cargo-deny --locked)")
    })
}

#[cfg(test)]
mod tests {
    use super::without_reason;

    #[test]
    fn a_dependency_without_a_row_is_named_once() {
        let reasons =
            "| crate | why |\n| `libc` | calls |\n| `kvm-bindings`, `kvm-ioctls` | `serde` |\n";
        let names = ["libc", "kvm-ioctls", "serde", "kvm", "serde"];
        assert_eq!(without_reason(reasons, names.into_iter()), ["kvm", "serde"]);
    }
}
