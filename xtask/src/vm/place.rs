//! Where a run keeps its things: what may be looked at afterwards under `target/vm`, sockets where their paths are short.

use std::path::{Path, PathBuf};
use std::{env, fs, process};

use anyhow::{Context as _, Result};

/// How many last lines of a log are told of a run that failed.
const TAIL: usize = 12;
/// How much of a line: what QEMU tells may be long.
const WIDTH: usize = 160;

/// The directories of one run.
#[derive(Debug)]
pub(super) struct Place {
    run: PathBuf,
    sockets: PathBuf,
}

impl Place {
    /// Makes them, empty, below the directory of all runs.
    pub(super) fn new(home: &Path, name: &str) -> Result<Self> {
        let run = home.join(name);
        let sockets = env::temp_dir().join(format!("xtask-vm-{name}-{}", process::id()));
        for directory in [&run, &sockets] {
            if directory.exists() {
                fs::remove_dir_all(directory)
                    .with_context(|| format!("cannot empty {}", directory.display()))?;
            }
            fs::create_dir_all(directory)
                .with_context(|| format!("cannot make {}", directory.display()))?;
        }
        Ok(Self { run, sockets })
    }

    /// Makes a run; of one that fails it is told what everyone said last.
    pub(super) fn run<T>(&self, run: impl FnOnce() -> Result<T>) -> Result<T> {
        let done = run();
        if done.is_err() {
            print!("{}", self.tails());
        }
        done
    }

    /// The path of a file that stays.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.run.join(name)
    }

    /// The path of a log.
    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.run.join(format!("{name}.log"))
    }

    /// The path of a socket.
    pub(super) fn socket(&self, name: &str) -> PathBuf {
        self.sockets.join(name)
    }

    /// The last lines of all logs, for whoever asks why a run failed.
    fn tails(&self) -> String {
        let mut logs: Vec<_> = fs::read_dir(&self.run).into_iter().flatten().flatten().collect();
        logs.sort_by_key(fs::DirEntry::file_name);
        let logs = logs.iter().map(fs::DirEntry::path);
        let logs = logs.filter(|path| path.extension().is_some_and(|end| end == "log"));
        logs.map(|path| {
            let text = fs::read(&path).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            let lines: Vec<_> = text.lines().collect();
            let last = &lines[lines.len().saturating_sub(TAIL)..];
            let last: Vec<String> =
                last.iter().map(|line| line.chars().take(WIDTH).collect()).collect();
            format!("the end of {}:\n    {}\n", path.display(), last.join("\n    "))
        })
        .collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // They are of no use any more, and nothing depends on their being gone.
        drop(fs::remove_dir_all(&self.sockets));
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs, process};

    use super::Place;

    #[test]
    fn a_run_begins_empty_and_tells_the_ends_of_its_logs() {
        let home = env::temp_dir().join(format!("xtask-place-{}", process::id()));
        let place = Place::new(&home, "run").unwrap();
        let lines: String = (0..100).map(|number| format!("line {number}\n")).collect();
        fs::write(place.log("console"), lines).unwrap();
        fs::write(place.file("image"), "line of no log").unwrap();
        let tails = place.tails();
        assert!(
            tails.contains("console.log:\n    line 88\n") && tails.contains("line 99"),
            "{tails}"
        );
        assert!(!tails.contains("line 87") && !tails.contains("no log"), "{tails}");
        let socket = place.socket("disk");
        drop(place);
        assert!(!socket.parent().unwrap().exists());
        let again = Place::new(&home, "run").unwrap();
        assert_eq!(again.tails(), "");
        drop(again);
        fs::remove_dir_all(&home).unwrap();
    }
}
