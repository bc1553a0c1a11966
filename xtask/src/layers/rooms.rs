//! The rooms of one crate: each uses only rooms declared above it.
//!
//! The order of `mod` lines is the layer list, in `lib.rs` and again among the modules inside of
//! a room. A room and the modules in it are one: they may name each other freely.

use core::fmt;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::layers::violation::Violation;
use crate::source::{Mention, Module, Target};

/// What was found in one crate.
#[derive(Debug)]
pub(super) struct Rooms {
    pub(super) summary: String,
    pub(super) violations: Vec<Violation>,
}

/// One room that uses another, both in the same module.
#[derive(Debug)]
struct Use {
    inside: Vec<String>,
    from: String,
    to: String,
    file: PathBuf,
    mention: Mention,
}

/// Checks the crate of which `root` is the root.
pub(super) fn check(root: &Module) -> Rooms {
    let mut uses = Vec::new();
    let mut violations = Vec::new();
    for child in &root.children {
        collect(root, child, core::slice::from_ref(&child.name), &mut uses, &mut violations);
    }
    violations.extend(uses.iter().filter_map(|used| upward(root, &uses, used)));
    let rooms = root.children.iter().filter(|room| !room.test).count();
    let pairs: BTreeSet<_> = uses.iter().map(|used| (&used.inside, &used.from, &used.to)).collect();
    Rooms { summary: format!("{rooms} rooms, {} uses among them", pairs.len()), violations }
}

/// Collects the uses of the module at `at` and of those in it, and the paths that lead nowhere.
fn collect(
    root: &Module,
    module: &Module,
    at: &[String],
    uses: &mut Vec<Use>,
    violations: &mut Vec<Violation>,
) {
    if module.test {
        return;
    }
    for mention in &module.mentions {
        let place = Place { file: &module.file, line: mention.line };
        match root.resolve(mention) {
            Target::Module(to) | Target::Everything(to) if !to.is_empty() => {
                let same = at.iter().zip(&to).take_while(|(from, to)| from == to).count();
                if let (Some(from), Some(to)) = (at.get(same), to.get(same)) {
                    uses.push(Use {
                        inside: at[..same].to_vec(),
                        from: from.clone(),
                        to: to.clone(),
                        file: module.file.clone(),
                        mention: mention.clone(),
                    });
                }
            }
            Target::Everything(_) => violations.push(Violation::new(
                place,
                "imports everything of the crate, so its layer cannot be seen; import by name",
            )),
            Target::Unknown(name) => violations.push(Violation::new(
                place,
                format!("`{mention}`: the root neither defines nor imports `{name}`"),
            )),
            Target::Module(_) | Target::Elsewhere => {}
        }
    }
    for child in &module.children {
        let at = [at, core::slice::from_ref(&child.name)].concat();
        collect(root, child, &at, uses, violations);
    }
}

/// The violation that a use is, if it points up.
fn upward(root: &Module, uses: &[Use], used: &Use) -> Option<Violation> {
    let parent = used
        .inside
        .iter()
        .try_fold(root, |module, name| module.children.iter().find(|child| child.name == *name))?;
    let rank = |name: &str| parent.children.iter().position(|child| child.name == name);
    if rank(&used.to) < rank(&used.from) {
        return None;
    }
    let mut says = format!(
        "`{}`: room `{}` uses room `{}`, declared below it",
        used.mention, used.from, used.to
    );
    let siblings: Vec<_> = uses.iter().filter(|other| other.inside == used.inside).collect();
    if let Some(way) = way(&siblings, &used.to, &used.from, &mut BTreeSet::new()) {
        says.push_str(&format!(", and closes a cycle: {} -> {}", used.from, way.join(" -> ")));
    }
    Some(Violation::new(Place { file: &used.file, line: used.mention.line }, says))
}

/// The rooms on a way from one to another.
fn way<'a>(
    uses: &[&'a Use],
    from: &'a str,
    to: &str,
    seen: &mut BTreeSet<&'a str>,
) -> Option<Vec<&'a str>> {
    if from == to {
        return Some(vec![from]);
    }
    if !seen.insert(from) {
        return None;
    }
    let nexts = uses.iter().filter(|used| used.from == from).map(|used| used.to.as_str());
    let rest = nexts.into_iter().find_map(|next| way(uses, next, to, seen))?;
    Some([vec![from], rest].concat())
}

/// A line of a file.
struct Place<'a> {
    file: &'a Path,
    line: usize,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}
