//! `cargo xtask bench`: measures, quickly unless told otherwise.

use anyhow::{Context as _, Result, ensure};

use crate::call::Call;
use crate::workspace::{Package, Workspace};

/// The package of the bench targets.
pub(crate) const PACKAGE: &str = "benches";

/// What tells criterion to measure for about a second a benchmark, instead of eight.
///
/// Enough to see a factor; a claim about a few percent wants `--full`.
const QUICK: [&str; 9] = [
    "--warm-up-time",
    "0.3",
    "--measurement-time",
    "0.5",
    "--sample-size",
    "10",
    "--nresamples",
    "2000",
    "--noplot",
];

/// Measures the benchmarks that match any of the filters, all if there is none.
pub(crate) fn run(
    workspace: &Workspace,
    full: bool,
    filters: &[String],
    arguments: &[String],
) -> Result<()> {
    let package = workspace.package(PACKAGE).context("the workspace has no benches")?;
    ensure!(!package.benches.is_empty(), "package `{PACKAGE}` has no bench target yet");
    Call::cargo(["bench", "-p", PACKAGE])
        .args(targets(package))
        .args(["--"])
        .args(criterion_arguments(full, filters, arguments))
        .run()
}

/// Says how many bench targets there are.
pub(crate) fn count(workspace: &Workspace) -> String {
    match workspace.package(PACKAGE).map_or(0, |package| package.benches.len()) {
        1 => "1 target".to_owned(),
        count => format!("{count} targets"),
    }
}

/// Names the targets one by one: `--benches` would include the library's own harness, which does
/// not know criterion's arguments.
fn targets(package: &Package) -> Vec<String> {
    package.benches.iter().flat_map(|name| ["--bench".to_owned(), name.clone()]).collect()
}

fn criterion_arguments(full: bool, filters: &[String], arguments: &[String]) -> Vec<String> {
    let quick = if full { &[][..] } else { &QUICK };
    let mut all: Vec<String> = quick.iter().map(|word| (*word).to_owned()).collect();
    all.extend_from_slice(arguments);
    // Criterion takes one filter, a regular expression.
    match filters {
        [] => {}
        [only] => all.push(only.clone()),
        several => all.push(format!("({})", several.join("|"))),
    }
    all
}

#[cfg(test)]
mod tests {
    use super::{QUICK, criterion_arguments};

    fn owned(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn several_filters_are_one_expression() {
        let filters = owned(&["read_obj", "write/8"]);
        assert_eq!(criterion_arguments(true, &filters, &[]), ["(read_obj|write/8)"]);
        assert_eq!(criterion_arguments(true, &filters[..1], &[]), ["read_obj"]);
        assert!(criterion_arguments(true, &[], &[]).is_empty());
    }

    #[test]
    fn given_arguments_come_after_the_quick_ones() {
        let given = owned(&["--save-baseline", "a"]);
        let all = criterion_arguments(false, &[], &given);
        assert_eq!(all[..QUICK.len()], QUICK);
        assert_eq!(all[QUICK.len()..], given);
    }
}
