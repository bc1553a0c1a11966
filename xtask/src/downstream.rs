//! `cargo xtask downstream`: the tests of those who use `vm-memory`, on the published one and on ours.
//!
//! Cargo fetches a package, as anybody's build would. Its sources are unpacked twice under
//! `target/downstream`, with the lock file that was published with them: once to be built with the
//! `vm-memory` named in that file, once with our facade in its place, by the two lines that we tell
//! users to write. Both are tested alike. A test that passes on the first and not on the second is
//! lost, and no test may be.
//!
//! Nothing of anybody's is kept in the repository: a package is known here by its name, version and
//! features alone.

mod needs;
mod packages;
pub(crate) mod sources;
mod output;
mod suite;
mod table;
#[cfg(test)]
mod tests;

use std::env;
use std::fs;

use anyhow::{Context as _, Result, bail};

pub(crate) use crate::downstream::packages::Side;

use crate::downstream::packages::{LINES, PACKAGES, Package};
use crate::downstream::suite::Place;
use crate::downstream::table::{Row, Table};
use crate::report::Outcome;
use crate::workspace::Workspace;

/// Which packages to test.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    /// Those of this line of `vm-memory`.
    line: Option<String>,
    /// Those of these names.
    names: Vec<String>,
    /// Those that are quick to test and use much of the interface.
    short: bool,
}

impl Selection {
    /// All packages.
    pub(crate) fn all() -> Self {
        Self::default()
    }

    /// The few that show most in little time.
    pub(crate) fn short() -> Self {
        Self { short: true, ..Self::default() }
    }

    /// Reads the words of a command line.
    pub(crate) fn parse(words: &[String]) -> Result<Self> {
        let mut selection = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--short" => selection.short = true,
                "--line" => {
                    let line = words.next().map(String::as_str).unwrap_or_default();
                    if !LINES.iter().any(|known| known.name == line) {
                        let known = LINES.map(|line| line.name).join(", ");
                        bail!("`--line` wants one of {known}, not `{line}`");
                    }
                    selection.line = Some(line.to_owned());
                }
                flag if flag.starts_with('-') => bail!("there is no flag `{flag}`"),
                name if !PACKAGES.iter().any(|package| package.name == name) => {
                    let mut known = PACKAGES.map(|package| package.name).to_vec();
                    known.sort_unstable();
                    known.dedup();
                    bail!("`downstream` has no package `{name}`, only {}", known.join(", "));
                }
                name => selection.names.push(name.to_owned()),
            }
        }
        Ok(selection)
    }

    fn has(&self, package: &Package) -> bool {
        let line = self.line.as_ref().is_none_or(|line| line == package.line.name);
        let name = self.names.is_empty() || self.names.iter().any(|name| name == package.name);
        line && name && (package.short || !self.short)
    }
}

/// Tests the packages and prints the table; fails if a test is lost, or a package cannot be compared.
pub(crate) fn run(workspace: &Workspace, selection: &Selection) -> Result<Outcome> {
    let home = workspace.target.join("downstream");
    fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
    let root = env::current_dir().context("there is no current directory")?;
    let place = Place { home, root };
    let mut table = Table::default();
    for package in PACKAGES.iter().filter(|package| selection.has(package)) {
        println!("{package}");
        table.add(row(&place, package));
    }
    println!("\n{}", table.show());
    table.judge()
}

/// What came of one package.
fn row(place: &Place, package: &'static Package) -> Row {
    let missing = needs::missing(package.needs);
    if !missing.is_empty() {
        println!("  skipped: {}", needs::tell(&missing));
        return Row::Skipped { package, missing };
    }
    let run = |side| suite::run(place, package, side).with_context(|| format!("on {side}"));
    match run(Side::Stock).and_then(|stock| Ok((stock, run(Side::Ours)?))) {
        Ok((stock, ours)) => Row::Compared { package, stock, ours },
        Err(problem) => {
            println!("  {problem:#}");
            Row::Broken { package, problem: format!("{problem:#}") }
        }
    }
}
