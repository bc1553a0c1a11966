//! The source files of one crate: none longer than a room, none that no `mod` line names.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::layers::violation::Violation;
use crate::source::Module;

/// A file over this many lines gets a note: it is time to split it.
const LONG: usize = 400;
/// A file over this many lines is refused.
const TOO_LONG: usize = 450;

/// What was found in one crate.
#[derive(Debug, Default)]
pub(super) struct Lengths {
    pub(super) summary: String,
    pub(super) notes: Vec<String>,
    pub(super) violations: Vec<Violation>,
}

/// Checks the files in a crate's source directory.
pub(super) fn check(root: &Module, directory: &Path) -> Result<Lengths> {
    let mut files = Vec::new();
    for path in sources(directory)? {
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        files.push((path, text.lines().count()));
    }
    Ok(judge(root, &files))
}

/// Judges files with the given counts of lines.
pub(super) fn judge(root: &Module, files: &[(PathBuf, usize)]) -> Lengths {
    let known = root.files();
    let mut lengths = Lengths::default();
    let mut longest = (0, Path::new(""));
    for (file, lines) in files {
        let found = known.iter().find(|(known, _)| known == file);
        if is_test(file) || found.is_some_and(|(_, test)| *test) {
            continue;
        }
        if found.is_none() {
            let says = "no `mod` line leads to it, so nothing compiles or checks it";
            lengths.violations.push(Violation::new(file.display(), says));
        }
        longest = longest.max((*lines, file.as_path()));
        if *lines > TOO_LONG {
            let says = format!("{lines} lines, more than a room has ({LONG})");
            lengths.violations.push(Violation::new(file.display(), says));
        } else if *lines > LONG {
            lengths.notes.push(format!("{}: {lines} lines, over {LONG}", file.display()));
        }
    }
    let name = longest.1.file_name().unwrap_or_default().display();
    lengths.summary = format!("longest file {} lines ({name})", longest.0);
    lengths
}

/// Whether a file is a room's tests by its name.
fn is_test(file: &Path) -> bool {
    file.file_name() == Some(OsStr::new("tests.rs"))
        || file.components().any(|part| part.as_os_str() == "tests")
}

/// All Rust files under a directory, in a stable order.
fn sources(directory: &Path) -> Result<Vec<PathBuf>> {
    let cannot_list = || format!("cannot list {}", directory.display());
    let mut entries = fs::read_dir(directory)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(cannot_list)?;
    entries.sort_by_key(fs::DirEntry::path);
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.path();
        if path.is_dir() {
            files.extend(sources(&path)?);
        } else if path.extension() == Some(OsStr::new("rs")) {
            files.push(path);
        }
    }
    Ok(files)
}
