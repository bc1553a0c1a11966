//! A call of another program: shown as it would be typed, run here, judged by its exit status.

use core::time::Duration;
use std::ffi::OsString;
use std::fs::File;
use std::process::{Command, ExitStatus, Output, Stdio};
use std::{env, io};

use anyhow::{Context as _, Result, bail};

/// One command, ready to run in the root of the workspace.
///
/// Cargo's own settings in the environment, such as `CARGO_BUILD_JOBS`, reach it unchanged.
#[derive(Debug)]
pub(crate) struct Call {
    command: Command,
    shown: String,
}

impl Call {
    /// A call of the cargo that runs this program.
    pub(crate) fn cargo<S: AsRef<str>>(arguments: impl IntoIterator<Item = S>) -> Self {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
        Self { command: Command::new(cargo), shown: "cargo".to_owned() }.args(arguments)
    }

    /// A call of a program that is found by its name.
    pub(crate) fn program<S: AsRef<str>>(
        name: &str,
        arguments: impl IntoIterator<Item = S>,
    ) -> Self {
        Self { command: Command::new(name), shown: name.to_owned() }.args(arguments)
    }

    /// Adds arguments.
    pub(crate) fn args<S: AsRef<str>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        for argument in arguments {
            self.command.arg(argument.as_ref());
            self.shown.push(' ');
            self.shown.push_str(&quoted(argument.as_ref()));
        }
        self
    }

    /// Sets a variable of its environment.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self.shown = format!("{name}={} {}", quoted(value), self.shown);
        self
    }

    /// Has the command ended after some time, with all that it has started; [`ran_out`] tells whether it was.
    pub(crate) fn within(self, limit: Duration) -> Self {
        let seconds = limit.as_secs().to_string();
        let mut command = Command::new("timeout");
        command.args(["--kill-after=10", &seconds]);
        command.arg(self.command.get_program()).args(self.command.get_args());
        command.envs(self.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Self { command, shown: format!("timeout --kill-after=10 {seconds} {}", self.shown) }
    }

    /// Shows the command and runs it, with our own output for its.
    pub(crate) fn run(mut self) -> Result<()> {
        println!("$ {}", self.shown);
        let status = self.command.status().with_context(|| self.cannot_start())?;
        if !status.success() {
            bail!("`{}` ended with {status}", self.shown);
        }
        Ok(())
    }

    /// Runs the command and lets it write all that it prints to a file, in the order in which it prints it.
    pub(crate) fn logged(mut self, log: &File) -> Result<ExitStatus> {
        let shared = || log.try_clone().context("cannot share a log file");
        self.command.stdin(Stdio::null()).stdout(shared()?).stderr(shared()?);
        self.command.status().with_context(|| self.cannot_start())
    }

    /// Runs the command unseen and returns what it printed, whether or not it succeeded.
    pub(crate) fn output(mut self) -> Result<Output> {
        self.command.stdin(Stdio::null()).output().with_context(|| self.cannot_start())
    }

    /// Runs the command unseen and returns its standard output.
    pub(crate) fn text(self) -> Result<String> {
        let shown = self.shown.clone();
        let output = self.output()?;
        if !output.status.success() {
            bail!("`{shown}`: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        String::from_utf8(output.stdout)
            .map_err(|problem| io::Error::new(io::ErrorKind::InvalidData, problem))
            .with_context(|| format!("`{shown}` printed something else than text"))
    }

    /// Says whether the command runs and succeeds, and shows nothing of it.
    pub(crate) fn succeeds(self) -> bool {
        self.output().is_ok_and(|output| output.status.success())
    }

    /// The command as it would be typed.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    fn cannot_start(&self) -> String {
        format!("cannot start `{}`", self.shown)
    }
}

/// Whether a call with a limit was ended because its time was up.
pub(crate) fn ran_out(status: ExitStatus) -> bool {
    // What timeout(1) ends with itself, and what it ends with if it had to kill.
    matches!(status.code(), Some(124 | 137))
}

/// Whether a call with a limit came to its end by itself, well or not, and no signal ended it.
pub(crate) fn ended_itself(status: ExitStatus) -> bool {
    // timeout(1) ends with more for what it could not start, and for signals.
    status.code().is_some_and(|code| code < 124)
}

/// The word as a shell would need it, for words that occur here.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=,:@+".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{word}'") }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::{Call, ended_itself, ran_out};

    #[test]
    fn a_call_is_ended_when_its_time_is_up_and_not_before() {
        let status = |command: &str, limit| {
            let call = Call::program("sh", ["-c", command]).env("LANG", "C");
            call.within(Duration::from_secs(limit)).output().unwrap().status
        };
        let late = status("sleep 60", 1);
        assert!(ran_out(late) && !ended_itself(late));
        let in_time = status("exit 101", 60);
        assert!(ended_itself(in_time) && !ran_out(in_time));
        let killed = status("kill $$", 60);
        assert!(!ended_itself(killed) && !ran_out(killed));
    }
}
