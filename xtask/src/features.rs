//! Every crate of the stack with no feature, with each feature alone, and with all of them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};

use crate::call::Call;
use crate::report::Outcome;
use crate::workspace::Workspace;

/// Lints the libraries with each set of features, and lists the sets.
///
/// Clippy rather than `cargo check`: it can refuse warnings without a change of `RUSTFLAGS`, which
/// would build everything anew, and what it has built serves the clippy step and is served by it.
pub(crate) fn check(workspace: &Workspace) -> Result<Outcome> {
    let mut told = Vec::new();
    let mut failed = Vec::new();
    let mut count = 0;
    for package in workspace.stack() {
        let sets = sets(&package.features);
        let names: Vec<_> = sets.iter().map(|set| set.name.as_str()).collect();
        told.push(format!("  {}: {}", package.name, names.join(", ")));
        for set in &sets {
            count += 1;
            let run = Call::cargo(["clippy", "--quiet", "-p", &package.spec(), "--lib"])
                .args(&set.arguments)
                .args(["--", "-D", "warnings"])
                .run();
            if run.is_err() {
                failed.push(format!("{} with {}", package.name, set.name));
            }
        }
    }
    println!("sets of features:\n{}", told.join("\n"));
    if !failed.is_empty() {
        bail!("{} of {count} sets\n{}", failed.len(), failed.join("\n"));
    }
    Ok(Outcome::ok(format!("{count} sets")))
}

/// A set of features to build with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Set {
    pub(crate) name: String,
    pub(crate) arguments: Vec<String>,
}

/// The sets worth building: a set that turns on the same as an earlier one is only named with it.
pub(crate) fn sets(features: &BTreeMap<String, Vec<String>>) -> Vec<Set> {
    let names: Vec<&str> =
        features.keys().map(String::as_str).filter(|name| *name != "default").collect();
    let mut choices = vec![("none".to_owned(), Vec::new())];
    choices.extend(names.iter().map(|name| ((*name).to_owned(), vec![*name])));
    choices.push(("all".to_owned(), names));
    let mut sets: Vec<(BTreeSet<String>, Set)> = Vec::new();
    for (name, chosen) in choices {
        let turned_on = turned_on(features, &chosen);
        if let Some((_, same)) = sets.iter_mut().find(|(other, _)| *other == turned_on) {
            same.name = format!("{} = {name}", same.name);
            continue;
        }
        let mut arguments = vec!["--no-default-features".to_owned()];
        if !chosen.is_empty() {
            arguments.extend(["--features".to_owned(), chosen.join(",")]);
        }
        sets.push((turned_on, Set { name, arguments }));
    }
    sets.into_iter().map(|(_, set)| set).collect()
}

/// All that the chosen features turn on, themselves included.
fn turned_on(features: &BTreeMap<String, Vec<String>>, chosen: &[&str]) -> BTreeSet<String> {
    let mut on = BTreeSet::new();
    let mut open: Vec<String> = chosen.iter().map(|name| (*name).to_owned()).collect();
    while let Some(name) = open.pop() {
        if on.insert(name.clone()) {
            open.extend(features.get(&name).into_iter().flatten().cloned());
        }
    }
    on
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::sets;

    fn features(lines: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        lines.iter().map(|(name, on)| ((*name).to_owned(), owned(on))).collect()
    }

    fn told(lines: &[(&str, &[&str])]) -> Vec<String> {
        let sets = sets(&features(lines));
        sets.iter().map(|set| format!("{}: {}", set.name, set.arguments.join(" "))).collect()
    }

    #[test]
    fn a_crate_without_features_is_built_once() {
        assert_eq!(told(&[]), ["none = all: --no-default-features"]);
    }

    #[test]
    fn each_feature_is_built_alone_and_the_default_is_no_feature() {
        assert_eq!(
            told(&[("default", &["a"]), ("a", &[]), ("b", &["dep:libc"])]),
            [
                "none: --no-default-features",
                "a: --no-default-features --features a",
                "b: --no-default-features --features b",
                "all: --no-default-features --features a,b",
            ]
        );
    }

    #[test]
    fn a_feature_that_turns_on_all_others_is_all() {
        assert_eq!(
            told(&[("a", &[]), ("b", &["a"])]),
            [
                "none: --no-default-features",
                "a: --no-default-features --features a",
                "b = all: --no-default-features --features b",
            ]
        );
    }

    #[test]
    fn features_that_turn_each_other_on_come_to_an_end() {
        assert_eq!(told(&[("a", &["b"]), ("b", &["a"])]).len(), 2);
    }
}
