//! The layer check: crates and rooms point down, and stay the size of a room.
//!
//! It holds the workspace against docs/architecture.md with what cargo and the sources themselves
//! say: the table in `rules` is the picture of the stack, and the order of `mod` lines in a
//! crate's `lib.rs` is the picture of the crate.

mod rules;
mod violation;
mod edges;
mod trees;
mod rooms;
mod lengths;
#[cfg(test)]
mod tests;

use core::slice;

use anyhow::{Result, bail};

use crate::layers::rules::{SAFE, STACK, TREES};
use crate::layers::violation::Violation;
use crate::report::Outcome;
use crate::source::Module;
use crate::workspace::{Package, Workspace};

/// Checks all layers, printing what was looked at and every violation.
pub(crate) fn check(workspace: &Workspace) -> Result<Outcome> {
    let mut violations = Vec::new();
    let outside = Workspace::read_outside()?;
    violations.extend(edges::check(&workspace.packages, &STACK));
    violations.extend(edges::check(slice::from_ref(&outside), &STACK));
    violations.extend(trees::check(workspace, &TREES)?);
    for package in workspace.packages.iter().filter(|package| has_rooms(package)).chain([&outside])
    {
        violations.extend(check_sources(package)?);
    }
    for violation in &violations {
        println!("{violation}");
    }
    match violations.len() {
        0 => Ok(Outcome::ok("every edge points down")),
        1 => bail!("1 violation"),
        count => bail!("{count} violations"),
    }
}

/// Whether the package's rooms are checked: those of the stack, and our own.
fn has_rooms(package: &Package) -> bool {
    package.stack || package.name == env!("CARGO_PKG_NAME")
}

fn check_sources(package: &Package) -> Result<Vec<Violation>> {
    let root = Module::read_crate(&package.root_file)?;
    let mut violations = Vec::new();
    if SAFE.contains(&package.name.as_str()) && !root.forbids_unsafe {
        violations.push(Violation::new(root.file.display(), "lacks `#![forbid(unsafe_code)]`"));
    }
    let rooms = rooms::check(&root);
    let lengths = lengths::check(&root, &package.directory.join("src"))?;
    println!("{}: {}; {}", package.directory.display(), rooms.summary, lengths.summary);
    for note in lengths.notes {
        println!("  note: {note}");
    }
    violations.extend(rooms.violations);
    violations.extend(lengths.violations);
    Ok(violations)
}
