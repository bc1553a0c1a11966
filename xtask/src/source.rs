//! A crate's modules, and the paths that each of them mentions, read from its sources as tokens.
//!
//! Tokens show what a person would have to type to depend on a module: its path. They do not show
//! a method called on a value, nor a trait found through a type; what the reader of these modules
//! concludes is about names, no more. Doc comments are strings here, so a link in them counts for
//! nothing, and what is compiled for tests alone is marked as such.

mod scan;
mod resolve;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fmt, fs};

use anyhow::{Context as _, Result, bail};

pub(crate) use self::resolve::Target;
#[cfg(test)]
pub(crate) use self::tests::krate;

/// One module of a crate and, in order of their declaration, the modules in it.
#[derive(Debug, Default)]
pub(crate) struct Module {
    /// Its name; that of a crate's root is empty.
    pub(crate) name: String,
    /// The file its text is in.
    pub(crate) file: PathBuf,
    pub(crate) children: Vec<Module>,
    /// The paths it mentions, wherever in it.
    pub(crate) mentions: Vec<Mention>,
    /// Whether it is compiled for tests alone.
    pub(crate) test: bool,
    /// Whether it, as the root, says `#![forbid(unsafe_code)]`.
    pub(crate) forbids_unsafe: bool,
    place: Place,
    bindings: Vec<Binding>,
    defines: BTreeSet<String>,
    exported_macros: BTreeSet<String>,
}

/// A path that a module mentions and that starts with `crate`, `self` or `super`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mention {
    /// Its segments from the crate's root, without `crate`; the last may be `*`.
    pub(crate) path: Vec<String>,
    pub(crate) line: usize,
}

/// A name that a `use` declaration of a module makes, or `*`.
#[derive(Clone, Debug)]
struct Binding {
    name: String,
    path: Vec<String>,
    /// Whether the path starts at the crate's root, or else with whatever the module sees.
    absolute: bool,
}

/// Where the text of a module stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Here, and it is read.
    #[default]
    Here,
    /// In a file of its own, named by a `#[path]` attribute if there is one.
    File(Option<String>),
}

/// A way to read a source file; `None` where there is none.
pub(crate) type Reader<'a> = &'a dyn Fn(&Path) -> Option<String>;

impl Module {
    /// Reads a crate from disk, from its root file on.
    pub(crate) fn read_crate(root: &Path) -> Result<Self> {
        Self::read_crate_by(root, &|path| fs::read_to_string(path).ok())
    }

    /// Reads a crate from wherever `read` finds files.
    pub(crate) fn read_crate_by(root: &Path, read: Reader<'_>) -> Result<Self> {
        let text = read(root).with_context(|| format!("cannot read {}", root.display()))?;
        let mut module = Self { file: root.to_path_buf(), ..Self::default() };
        module.scan_text(&text, &[])?;
        module.fill(&[], &parent(root), read)?;
        Ok(module)
    }

    /// The files of this module and of those in it, and whether each is for tests alone.
    pub(crate) fn files(&self) -> Vec<(&Path, bool)> {
        let mut files = vec![(self.file.as_path(), self.test)];
        for child in &self.children {
            files.extend(child.files().into_iter().filter(|(file, _)| *file != self.file));
        }
        files
    }

    /// Reads the modules of this one that stand in files of their own.
    ///
    /// `at` is this module's path from the root, `directory` where the files of its modules are.
    fn fill(&mut self, at: &[String], directory: &Path, read: Reader<'_>) -> Result<()> {
        let here = parent(&self.file);
        for child in &mut self.children {
            let child_at = [at, core::slice::from_ref(&child.name)].concat();
            let mut below = directory.join(&child.name);
            if let Place::File(path) = core::mem::take(&mut child.place) {
                let candidates = match path {
                    Some(path) => vec![here.join(path)],
                    None => vec![below.with_extension("rs"), below.join("mod.rs")],
                };
                let found = candidates.iter().find_map(|file| Some((file, read(file)?)));
                let Some((file, text)) = found else {
                    bail!("no file has module `{}` of {}", child.name, self.file.display());
                };
                // A file that is not named after its module has its modules beside it.
                if file.file_stem() != Some(child.name.as_ref()) {
                    below = parent(file);
                }
                child.file.clone_from(file);
                child.scan_text(&text, &child_at)?;
            }
            child.fill(&child_at, &below, read)?;
        }
        Ok(())
    }

    fn scan_text(&mut self, text: &str, at: &[String]) -> Result<()> {
        let Ok(tokens) = text.parse() else { bail!("{} is not Rust", self.file.display()) };
        scan::scan(self, tokens, at);
        Ok(())
    }
}

fn parent(file: &Path) -> PathBuf {
    file.parent().map_or_else(PathBuf::new, Path::to_path_buf)
}

impl fmt::Display for Mention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "crate::{}", self.path.join("::"))
    }
}
