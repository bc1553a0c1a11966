//! A program that runs beside this one, and never longer.

use core::time::Duration;
use std::fs::{self, File};
use std::path::Path;
use std::process::{self, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

/// How often it is looked whether a program has ended.
const PAUSE: Duration = Duration::from_millis(10);

/// A running program. It is ended when this value goes, or when this process does.
#[derive(Debug)]
pub(super) struct Child {
    name: String,
    child: process::Child,
}

impl Child {
    /// Starts a program, with all that it prints in a file.
    pub(super) fn start(name: &str, words: &[String], log: &Path) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("cannot make {}", log.display()))?;
        let mut command = Command::new("setpriv");
        // The kernel ends it with us: no exit of ours, not even one by a signal, leaves a machine behind.
        command.args(["--pdeathsig", "KILL", "--"]).args(words).stdin(Stdio::null());
        command.stdout(file.try_clone().context("cannot share a log")?).stderr(file);
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name: name.to_owned(), child })
    }

    /// Whether it still runs.
    pub(super) fn runs(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_none())
    }

    /// Waits for it to end by itself, and well.
    pub(super) fn ends_well(mut self, limit: Duration) -> Result<()> {
        let status = self.wait(limit)?;
        if !status.success() {
            bail!("{} ended with {status}", self.name);
        }
        Ok(())
    }

    /// The processor time that its threads have used which are still there, to the nanosecond.
    pub(super) fn processor_time(&self) -> Result<Duration> {
        let tasks = format!("/proc/{}/task", self.child.id());
        let mut sum = Duration::ZERO;
        for task in fs::read_dir(&tasks).with_context(|| format!("{} is gone", self.name))? {
            // A thread may end while we look.
            let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
            let nanoseconds = text.split(' ').next().and_then(|word| word.parse().ok());
            sum += Duration::from_nanos(nanoseconds.context("schedstat has no number")?);
        }
        Ok(sum)
    }

    /// The processor time that it has used outside of the kernel, to a hundredth of a second.
    pub(super) fn user_time(&self) -> Result<Duration> {
        let path = format!("/proc/{}/stat", self.child.id());
        let text = fs::read_to_string(&path).with_context(|| format!("{} is gone", self.name))?;
        // The second column is a name in parentheses, which may have anything in it; time is the fourteenth.
        let rest = text.rsplit_once(')').map(|(_, rest)| rest.split_whitespace());
        let ticks = rest.and_then(|mut columns| columns.nth(11)?.parse::<u64>().ok());
        Ok(Duration::from_millis(ticks.with_context(|| format!("no time in {path}"))? * 10))
    }

    fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let start = Instant::now();
        while start.elapsed() < limit {
            let status = self.child.try_wait();
            if let Some(status) =
                status.with_context(|| format!("cannot wait for {}", self.name))?
            {
                return Ok(status);
            }
            thread::sleep(PAUSE);
        }
        bail!("{} did not end within {} s", self.name, limit.as_secs())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // One that has ended needs no ending, and there is nobody to tell of anything else.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use core::time::Duration;
    use std::env;
    use std::path::Path;
    use std::{fs, process, thread};

    use super::Child;

    fn start(name: &str, command: &str) -> (Child, String) {
        let log = env::temp_dir().join(format!("xtask-child-{name}-{}", process::id()));
        let child = Child::start(name, &["sh", "-c", command].map(str::to_owned), &log).unwrap();
        (child, log.display().to_string())
    }

    #[test]
    fn a_child_that_ends_badly_or_never_is_told_apart_from_one_that_ends_well() {
        let (good, log) = start("good", "echo said");
        good.ends_well(Duration::from_secs(60)).unwrap();
        assert_eq!(fs::read_to_string(&log).unwrap(), "said\n");
        let (bad, bad_log) = start("bad", "exit 3");
        let problem = bad.ends_well(Duration::from_secs(60)).unwrap_err().to_string();
        assert_eq!(problem, "bad ended with exit status: 3");
        let (late, late_log) = start("late", "sleep 60");
        let problem = late.ends_well(Duration::from_millis(50)).unwrap_err().to_string();
        assert_eq!(problem, "late did not end within 0 s");
        for log in [log, bad_log, late_log] {
            fs::remove_file(log).unwrap();
        }
    }

    #[test]
    fn the_time_that_a_child_computes_is_its_user_time() {
        let (child, log) = start("busy", "while :; do :; done");
        let used = || child.user_time().unwrap();
        while used() < Duration::from_millis(50) {
            thread::sleep(Duration::from_millis(10));
        }
        assert!(child.processor_time().unwrap() + Duration::from_millis(20) > used());
        drop(child);
        fs::remove_file(log).unwrap();
    }

    #[test]
    fn a_child_is_gone_when_its_value_is() {
        let (mut child, log) = start("dropped", "sleep 60");
        let proc = format!("/proc/{}", child.child.id());
        assert!(child.runs() && Path::new(&proc).exists());
        drop(child);
        assert!(!Path::new(&proc).exists());
        fs::remove_file(log).unwrap();
    }
}
