//! What the manifests declare, against the table of the stack.

use crate::layers::rules::{BORROWED, Rule, Theirs};
use crate::layers::violation::Violation;
use crate::workspace::{Dependency, Package};

/// Checks the manifests of the crates under `crates/`.
pub(super) fn check(packages: &[Package], stack: &[Rule]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for package in packages.iter().filter(|package| package.stack) {
        let place = manifest(package);
        if package.published && BORROWED.contains(&package.name.as_str()) {
            let says = "its name is somebody else's, and it lacks `publish = false`";
            violations.push(Violation::new(&place, says));
        }
        match stack.iter().find(|rule| rule.name == package.name) {
            None => violations.push(Violation::new(place, "no rule says what it may depend on")),
            Some(rule) => {
                let passed_on = package.dependencies.iter().filter(|edge| edge.passed_on);
                let refusals = passed_on.filter_map(|edge| refusal(rule, edge));
                violations.extend(refusals.map(|says| Violation::new(&place, says)));
            }
        }
    }
    violations.extend(cycles(packages));
    violations
}

/// Why the rule refuses the edge, if it does.
fn refusal(rule: &Rule, edge: &Dependency) -> Option<String> {
    let name = &edge.name;
    if edge.ours {
        let allowed = rule.ours.contains(&name.as_str());
        return (!allowed).then(|| format!("depends on `{name}`, which is not below it"));
    }
    match rule.theirs.iter().find(|theirs| theirs.name() == name) {
        None => Some(format!("depends on `{name}`, which its layer does not allow")),
        Some(Theirs::Optional(_)) if !edge.optional => Some(format!(
            "depends on `{name}` always, where only an optional dependency is allowed"
        )),
        Some(_) => None,
    }
}

/// Finds members that depend on each other in a circle.
///
/// Cargo itself refuses circles of dependencies that are passed on, but lets a development
/// dependency close one; then no order is left in which the crates could be published.
fn cycles(packages: &[Package]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for package in packages.iter().filter(|package| package.stack) {
        for edge in package.dependencies.iter().filter(|edge| edge.ours && !edge.passed_on) {
            if let Some(way) = way(packages, &edge.name, &package.name, &mut Vec::new()) {
                let says = format!(
                    "its development dependency closes a cycle: {} -> {}",
                    package.name,
                    way.join(" -> ")
                );
                violations.push(Violation::new(manifest(package), says));
            }
        }
    }
    violations
}

/// Where the package's dependencies are declared.
fn manifest(package: &Package) -> String {
    package.directory.join("Cargo.toml").display().to_string()
}

/// The members on a way from one to another, along all kinds of dependencies.
fn way<'a>(
    packages: &'a [Package],
    from: &'a str,
    to: &str,
    seen: &mut Vec<&'a str>,
) -> Option<Vec<&'a str>> {
    if from == to {
        return Some(vec![from]);
    }
    if seen.contains(&from) {
        return None;
    }
    seen.push(from);
    let package = packages.iter().find(|package| package.name == from)?;
    let ours = package.dependencies.iter().filter(|edge| edge.ours);
    let rest =
        ours.map(|edge| edge.name.as_str()).find_map(|next| way(packages, next, to, seen))?;
    Some([vec![from], rest].concat())
}
