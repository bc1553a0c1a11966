//! QEMU's own line: commands as JSON, their answers, and events between them.

use core::time::Duration;
use std::collections::VecDeque;
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::vm::line::Line;

/// How long a command may take: none that is given here does more than begin something.
const LIMIT: Duration = Duration::from_secs(30);
/// How long to wait before asking again how something goes.
const PAUSE: Duration = Duration::from_millis(20);

/// The line, once both ends have said what they can do.
#[derive(Debug)]
pub(super) struct Qmp {
    line: Line,
    events: VecDeque<Value>,
}

impl Qmp {
    /// Begins the talk.
    pub(super) fn new(line: Line) -> Result<Self> {
        let mut qmp = Self { line, events: VecDeque::new() };
        let greeting = qmp.read(Instant::now() + LIMIT)?;
        if greeting.get("QMP").is_none() {
            bail!("QEMU did not greet: {greeting}");
        }
        qmp.ask("qmp_capabilities", &json!({}))?;
        Ok(qmp)
    }

    /// Gives a command and takes its answer.
    pub(super) fn ask(&mut self, command: &str, arguments: &Value) -> Result<Value> {
        self.line.send(&json!({ "execute": command, "arguments": arguments }).to_string())?;
        let deadline = Instant::now() + LIMIT;
        loop {
            let mut answer = self.read(deadline).with_context(|| format!("`{command}`"))?;
            if answer.get("event").is_some() {
                self.events.push_back(answer);
            } else if let Some(problem) = answer.get("error") {
                bail!("`{command}`: {}", problem["desc"].as_str().unwrap_or("refused"));
            } else {
                return Ok(answer["return"].take());
            }
        }
    }

    /// Waits for an event of one of these names, and takes its name and what it tells.
    pub(super) fn event(&mut self, names: &[&str], limit: Duration) -> Result<(String, Value)> {
        let deadline = Instant::now() + limit;
        loop {
            while let Some(mut event) = self.events.pop_front() {
                let name = event["event"].as_str().unwrap_or_default().to_owned();
                if names.contains(&name.as_str()) {
                    return Ok((name, event["data"].take()));
                }
            }
            let waiting = || format!("waiting for {}", names.join(" or "));
            self.events.push_back(self.read(deadline).with_context(waiting)?);
        }
    }

    /// Asks a question again and again, until the answer is one that was waited for.
    pub(super) fn poll<T>(
        &mut self,
        question: &str,
        limit: Duration,
        mut wanted: impl FnMut(&Value) -> Result<Option<T>>,
    ) -> Result<T> {
        let deadline = Instant::now() + limit;
        loop {
            let answer = self.ask(question, &json!({}))?;
            if let Some(found) = wanted(&answer)? {
                return Ok(found);
            }
            if Instant::now() > deadline {
                bail!("`{question}` says after {} s: {answer}", limit.as_secs());
            }
            thread::sleep(PAUSE);
        }
    }

    fn read(&self, deadline: Instant) -> Result<Value> {
        let line = self.line.next(deadline)?;
        serde_json::from_str(&line).with_context(|| format!("QEMU said `{line}`"))
    }
}
