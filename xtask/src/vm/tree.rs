//! A tree of real files: what the host packs into an image, and the sums by which all meet again.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::call::Call;
use crate::vm::needs::Parts;

/// What of this workspace is in the tree.
const OURS: [&str; 5] = ["crates", "docs", "demo", "README.md", "Cargo.lock"];

/// The tree, packed.
#[derive(Debug)]
pub(super) struct Tree {
    /// An archive that is a disk's image, too.
    pub(super) image: PathBuf,
    /// A line with the sum and the name of every file, as `sha256sum` writes and reads them.
    pub(super) sums: Vec<u8>,
    pub(super) files: usize,
}

impl Tree {
    /// Gathers files of this workspace, and those that a kernel boots from, which are larger.
    pub(super) fn make(home: &Path, parts: &Parts) -> Result<Self> {
        let place = home.join("tree");
        if place.exists() {
            fs::remove_dir_all(&place)
                .with_context(|| format!("cannot empty {}", place.display()))?;
        }
        fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
        let tree = place.display().to_string();
        let boot = parts.kernel.join("boot").display().to_string();
        Call::program("cp", ["-r"]).args(OURS).args([&boot, &tree]).text()?;
        let list = sums(&place)?;
        let files = list.iter().filter(|byte| **byte == b'\n').count();
        let image = home.join("tree.tar");
        let shown = image.display().to_string();
        Call::program("tar", ["-C", &tree, "-cf", &shown, "."]).text()?;
        Ok(Self { image, sums: list, files })
    }

    /// Checks a copy of the tree.
    pub(super) fn check(&self, copy: &Path) -> Result<()> {
        let found = sums(copy)?;
        if found == self.sums {
            return Ok(());
        }
        let [found, wanted] =
            [&found, &self.sums].map(|list| String::from_utf8_lossy(list).into_owned());
        let wrong = wanted.lines().find(|line| !found.lines().any(|found| found == *line));
        bail!("the copy is not the tree, beginning with {}", wrong.unwrap_or("a file too many"))
    }
}

/// The sums of all files of a directory, in the order of their names.
fn sums(directory: &Path) -> Result<Vec<u8>> {
    let shown = directory.display().to_string();
    let command = "find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum";
    let text = Call::program("env", ["-C", &shown, "sh", "-c", command]).text()?;
    Ok(text.into_bytes())
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::{env, fs, process};

    use super::{Tree, sums};

    #[test]
    fn a_copy_with_another_byte_or_another_file_is_not_the_tree() {
        let place = env::temp_dir().join(format!("xtask-tree-{}", process::id()));
        fs::create_dir_all(place.join("a b")).unwrap();
        fs::write(place.join("a b/one"), "1").unwrap();
        fs::write(place.join("two"), "2").unwrap();
        let tree = Tree { image: place.clone(), sums: sums(&place).unwrap(), files: 2 };
        tree.check(&place).unwrap();
        fs::write(place.join("a b/one"), "3").unwrap();
        let problem = tree.check(&place).unwrap_err().to_string();
        assert!(problem.ends_with("./a b/one"), "{problem}");
        fs::write(place.join("a b/one"), "1").unwrap();
        fs::write(place.join("three"), "3").unwrap();
        let problem = tree.check(&place).unwrap_err().to_string();
        assert!(problem.ends_with("a file too many"), "{problem}");
        fs::remove_dir_all(&place).unwrap();
    }
}
