//! The programs of a workspace of its own: a file each, in one directory.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

/// The names of the programs whose files are in `directory`, in order.
pub(crate) fn names(directory: &Path) -> Result<Vec<String>> {
    let files = fs::read_dir(directory)
        .with_context(|| format!("cannot read {}", directory.display()))?
        .collect::<Result<Vec<_>, _>>()?;
    let names = files.iter().filter_map(|file| Some(file.path().file_stem()?.to_str()?.to_owned()));
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    Ok(names)
}
