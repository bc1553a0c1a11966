//! From a path to the module that it leads to, through what modules import and re-export.

use super::{Binding, Mention, Module};

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// To something of the module with this path from the crate's root, or to the module itself.
    Module(Vec<String>),
    /// To everything of that module.
    Everything(Vec<String>),
    /// Out of the crate.
    Elsewhere,
    /// To a name that the crate's root seems not to have.
    Unknown(String),
}

/// How many imports are followed for one path; a chain of them that is longer is a circle.
const DEPTH: usize = 16;

impl Module {
    /// Follows a path, mentioned anywhere in the crate of which this is the root.
    pub(crate) fn resolve(&self, mention: &Mention) -> Target {
        self.follow(&[], &mention.path, DEPTH)
    }

    /// Follows `path`, seen from the module at `base`.
    fn follow(&self, base: &[String], path: &[String], depth: usize) -> Target {
        let mut at = base.to_vec();
        let Some(mut module) = self.descend(base) else { return Target::Elsewhere };
        for (i, segment) in path.iter().enumerate() {
            if segment == "*" {
                return Target::Everything(at);
            }
            if let Some(child) = module.child(segment) {
                at.push(segment.clone());
                module = child;
            } else {
                return self.follow_name(&at, segment, &path[i + 1..], depth);
            }
        }
        Target::Module(at)
    }

    /// Follows a name that is not a module, then `rest`, seen from the module at `at`.
    fn follow_name(&self, at: &[String], name: &str, rest: &[String], depth: usize) -> Target {
        let Some(module) = self.descend(at) else { return Target::Elsewhere };
        let here = Target::Module(at.to_vec());
        if depth == 0 || module.defines.contains(name) {
            return here;
        }
        if let Some(binding) = module.bindings.iter().find(|binding| binding.name == name) {
            return self.follow_binding(at, binding, rest, depth - 1);
        }
        let mut elsewhere = false;
        for glob in module.bindings.iter().filter(|binding| binding.name == "*") {
            match self.follow_binding(at, glob, &[], depth - 1) {
                // Children too come with a glob; an import that leads back here says nothing.
                Target::Everything(from) if from != at => {
                    let Some(source) = self.descend(&from) else { continue };
                    if source.child(name).is_some() || source.names(name) {
                        let path = [&[name.to_owned()], rest].concat();
                        return self.follow(&from, &path, depth - 1);
                    }
                }
                Target::Elsewhere => elsewhere = true,
                // Back to where the name was not found, or to an enumeration of this crate, whose
                // variants are its module's, which `here` stands for if it is this one.
                _ => {}
            }
        }
        if elsewhere {
            return Target::Elsewhere;
        }
        // A macro with `#[macro_export]` stands at the root, whichever module defines it.
        match self.exporter_of(name) {
            Some(path) if at.is_empty() => Target::Module(path),
            _ if at.is_empty() => Target::Unknown(name.to_owned()),
            _ => here,
        }
    }

    fn follow_binding(
        &self,
        at: &[String],
        binding: &Binding,
        rest: &[String],
        depth: usize,
    ) -> Target {
        let path = [binding.path.as_slice(), rest].concat();
        if binding.absolute {
            return self.follow(&[], &path, depth);
        }
        // What starts with neither a module nor a name of this one starts with a crate's name.
        let seen = self.descend(at).zip(binding.path.first()).is_some_and(|(module, head)| {
            let other_name = |other: &&Binding| other.name == *head && other.path != binding.path;
            module.child(head).is_some()
                || module.defines.contains(head)
                || module.bindings.iter().find(other_name).is_some()
        });
        if seen { self.follow(at, &path, depth) } else { Target::Elsewhere }
    }

    /// The module at `path`, seen from this one.
    fn descend(&self, path: &[String]) -> Option<&Self> {
        path.iter().try_fold(self, |module, name| module.child(name))
    }

    fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// Whether it defines or imports the name.
    fn names(&self, name: &str) -> bool {
        self.defines.contains(name) || self.bindings.iter().any(|binding| binding.name == name)
    }

    /// The path of the module that exports a macro of that name.
    fn exporter_of(&self, name: &str) -> Option<Vec<String>> {
        if self.exported_macros.contains(name) {
            return Some(Vec::new());
        }
        self.children.iter().find_map(|child| {
            let below = child.exporter_of(name)?;
            Some([core::slice::from_ref(&child.name), &below].concat())
        })
    }
}
