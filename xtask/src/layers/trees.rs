//! The promises about everything that a crate brings along, against what cargo resolves.

use crate::call::Call;
use crate::layers::rules::{Refused, Tree};
use crate::layers::violation::Violation;
use crate::workspace::Workspace;

/// Asks cargo for the trees, on all targets, and checks them.
pub(super) fn check(workspace: &Workspace, trees: &[Tree]) -> anyhow::Result<Vec<Violation>> {
    let mut violations = Vec::new();
    for tree in trees {
        let Some(package) = workspace.package(tree.name) else { continue };
        let call = Call::cargo(["tree", "-p", &package.spec(), "-e", "normal,build"])
            .args(["--target", "all", "--prefix", "none"])
            .args(tree.features);
        let place = format!("`{}`", call.shown());
        let text = call.text()?;
        let refused = refused(tree, &text);
        violations.extend(refused.map(|name| Violation::new(&place, format!("has `{name}`"))));
    }
    Ok(violations)
}

/// The crates in the printed tree that the promise refuses.
pub(super) fn refused<'a>(tree: &'a Tree, text: &'a str) -> impl Iterator<Item = &'a str> {
    // A line is the crate's name, its version, and where it is from.
    let names = text.lines().filter_map(|line| line.split_whitespace().next());
    names.filter(|name| match tree.refused {
        Refused::Others => *name != tree.name,
        Refused::Named(refused) => refused.contains(name),
    })
}
