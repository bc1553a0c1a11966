//! The vhost-user-blk daemon of `examples/`, on our facade and on the published `vm-memory`.
//!
//! Both are the same sources with two manifests, each in a workspace of its own with a lock file. They are built under
//! `target/vhost-user-blk`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::call::Call;
use crate::downstream::Side;
use crate::report::Outcome;
use crate::workspace::Workspace;

/// The manifest on our facade.
pub(crate) const OURS: &str = "examples/vhost-user-blk/Cargo.toml";
/// The manifest on the published crate.
const STOCK: &str = "examples/vhost-user-blk/stock/Cargo.toml";

/// Builds the daemon of one side, optimized, and returns the program.
pub(crate) fn build(workspace: &Workspace, side: Side) -> Result<PathBuf> {
    let (manifest, name) = match side {
        Side::Ours => (OURS, "vhost-user-blk"),
        Side::Stock => (STOCK, "vhost-user-blk-stock"),
    };
    let home = home(workspace);
    cargo("build", manifest, &home).args(["--release"]).run()?;
    let program = home.join("release").join(name);
    ensure!(fs::exists(&program).unwrap_or_default(), "cargo has built no {}", program.display());
    Ok(program)
}

/// Builds both sides, and runs the tests of ours.
pub(crate) fn check(workspace: &Workspace) -> Result<Outcome> {
    let home = home(workspace);
    for manifest in [OURS, STOCK] {
        let deny = ["--all-targets", "--", "-D", "warnings"];
        cargo("clippy", manifest, &home).args(deny).run()?;
    }
    cargo("test", OURS, &home).run()?;
    build(workspace, Side::Ours)?;
    build(workspace, Side::Stock)?;
    Ok(Outcome::ok("on both sides"))
}

/// Where everything of the daemon is built.
fn home(workspace: &Workspace) -> PathBuf {
    workspace.target.join("vhost-user-blk")
}

/// A command of cargo's on a manifest, with the versions that its lock file has.
fn cargo(command: &str, manifest: &str, home: &Path) -> Call {
    Call::cargo([command, "--quiet", "--locked", "--manifest-path", manifest])
        .env("CARGO_TARGET_DIR", &home.display().to_string())
}

#[cfg(test)]
mod tests {
    /// The lines of a lock file about a package.
    fn locked<'a>(lock: &'a str, name: &str) -> &'a str {
        let name = format!("name = \"{name}\"\n");
        lock.split("[[package]]\n").find_map(|package| package.strip_prefix(&name)).unwrap()
    }

    #[test]
    fn each_side_is_locked_to_its_own_vm_memory() {
        let ours = include_str!("../../examples/vhost-user-blk/Cargo.lock");
        let stock = include_str!("../../examples/vhost-user-blk/stock/Cargo.lock");
        assert!(!locked(ours, "vm-memory").contains("source = "));
        assert!(locked(stock, "vm-memory").starts_with("version = \"0.18.0\"\nsource = "));
    }

    #[test]
    fn both_sides_are_locked_to_the_same_published_crates() {
        let ours = include_str!("../../examples/vhost-user-blk/Cargo.lock");
        let stock = include_str!("../../examples/vhost-user-blk/stock/Cargo.lock");
        for name in ["vhost", "vhost-user-backend", "virtio-queue", "vmm-sys-util", "nix", "log"] {
            let version = |lock| locked(lock, name).lines().next().map(str::to_owned);
            assert_eq!(version(ours), version(stock), "{name}");
        }
    }
}
