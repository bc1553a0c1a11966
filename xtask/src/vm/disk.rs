//! A disk of a machine: an image file, and the daemon that serves it.

use core::time::Duration;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::vm::child::Child;
use crate::vm::place::Place;

/// How long a daemon may take to listen.
const START: Duration = Duration::from_secs(10);
/// How long a daemon may take to end when the machine is gone.
const END: Duration = Duration::from_secs(10);
/// How often it is looked whether it listens.
const PAUSE: Duration = Duration::from_millis(5);

/// How a daemon is started.
#[derive(Clone, Debug)]
pub(super) struct Order<'a> {
    /// What the run calls it.
    pub(super) name: &'a str,
    /// The program.
    pub(super) program: &'a Path,
    pub(super) image: &'a Path,
    /// Further words of its command line.
    pub(super) words: &'a [&'a str],
}

/// A daemon that serves an image to one machine.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) name: String,
    pub(super) socket: PathBuf,
    stats: PathBuf,
    daemon: Child,
}

impl Disk {
    /// Starts the daemon, and waits until it listens.
    pub(super) fn start(place: &Place, order: &Order<'_>) -> Result<Self> {
        let socket = place.socket(order.name);
        let stats = place.file(&format!("{}.stats", order.name));
        let shown = |path: &Path| path.display().to_string();
        let mut words = vec![shown(order.program)];
        words.extend(["--socket".to_owned(), shown(&socket)]);
        words.extend(["--image".to_owned(), shown(order.image)]);
        words.extend(["--once", "--stats"].map(str::to_owned));
        words.push(shown(&stats));
        words.extend(order.words.iter().map(|word| (*word).to_owned()));
        let mut daemon = Child::start(order.name, &words, &place.log(order.name))?;
        let start = Instant::now();
        while !socket.exists() {
            if !daemon.runs() || start.elapsed() > START {
                bail!("the daemon of {} does not listen", order.name);
            }
            thread::sleep(PAUSE);
        }
        Ok(Self { name: order.name.to_owned(), socket, stats, daemon })
    }

    /// The daemon's processor time: all of it, and to a hundredth of a second what was outside of the kernel.
    pub(super) fn times(&self) -> Result<(Duration, Duration)> {
        Ok((self.daemon.processor_time()?, self.daemon.user_time()?))
    }

    /// Waits for the daemon to end well, as it has to when the machine is gone, and tells what it counted.
    pub(super) fn end(self) -> Result<Stats> {
        self.daemon.ends_well(END)?;
        let text = fs::read_to_string(&self.stats)
            .with_context(|| format!("{} told nothing of what it did", self.name))?;
        Ok(Stats { text })
    }
}

/// What a daemon counted: a name and a number on each line.
#[derive(Clone, Debug, Default)]
pub(super) struct Stats {
    text: String,
}

impl Stats {
    /// The number of that name.
    pub(super) fn number(&self, name: &str) -> Result<u64> {
        let mut lines = self.text.lines().filter_map(|line| line.split_once(' '));
        let number =
            lines.find(|(found, _)| *found == name).map(|(_, number)| number.trim().parse());
        number.with_context(|| format!("the daemon counted no {name}"))?.context("no number")
    }

    /// All that are not zero, in one line.
    pub(super) fn line(&self) -> String {
        let lines = self.text.lines().filter(|line| !line.ends_with(" 0"));
        lines.collect::<Vec<_>>().join(", ")
    }
}

/// Makes an image that holds nothing.
pub(super) fn blank(path: &Path, size: u64) -> Result<()> {
    let file = File::create(path).with_context(|| format!("cannot make {}", path.display()))?;
    file.set_len(size).with_context(|| format!("cannot make {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::Stats;

    #[test]
    fn a_number_is_found_by_its_whole_name() {
        let stats = Stats { text: "reads 12\nreads_failed 0\n".to_owned() };
        assert_eq!(stats.number("reads").unwrap(), 12);
        assert_eq!(stats.number("reads_failed").unwrap(), 0);
        assert_eq!(stats.number("read").unwrap_err().to_string(), "the daemon counted no read");
        assert_eq!(stats.line(), "reads 12");
    }
}
