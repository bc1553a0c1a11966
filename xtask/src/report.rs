//! How steps went, and the table that tells it.

use core::fmt;
use core::time::Duration;
use std::time::Instant;

use anyhow::Result;

/// How a step ended that did not fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It found nothing wrong; the words say what it saw, and may be empty.
    Passed(String),
    /// It could not run here, for the reason given.
    Skipped(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed(detail) if detail.is_empty() => f.write_str("ok"),
            Self::Passed(detail) => write!(f, "ok: {detail}"),
            Self::Skipped(reason) => write!(f, "skipped: {reason}"),
        }
    }
}

impl Outcome {
    pub(crate) fn ok(detail: impl Into<String>) -> Self {
        Self::Passed(detail.into())
    }

    pub(crate) fn skipped(reason: impl Into<String>) -> Self {
        Self::Skipped(reason.into())
    }
}

/// The steps so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    name: String,
    result: String,
    failed: bool,
    skipped: bool,
    took: Duration,
}

impl Report {
    /// Runs a step under a headline, and notes how it went and how long it took.
    pub(crate) fn step(&mut self, name: &str, says: &str, step: impl FnOnce() -> Result<Outcome>) {
        println!("\n── {name}: {says}");
        let start = Instant::now();
        let outcome = step();
        let row = Row::new(name, &outcome, start.elapsed());
        if let Err(problem) = outcome {
            println!("{problem:#}");
        }
        println!("── {name}: {} ({:.1} s)", row.result, row.took.as_secs_f64());
        self.rows.push(row);
    }

    /// Whether any step failed.
    pub(crate) fn failed(&self) -> bool {
        self.rows.iter().any(|row| row.failed)
    }

    /// That nothing failed, and what was not tried.
    fn passed(&self) -> String {
        let skipped: Vec<_> =
            self.rows.iter().filter(|row| row.skipped).map(|row| row.name.as_str()).collect();
        match skipped.as_slice() {
            [] => "ok".to_owned(),
            names => format!("ok, but skipped: {}", names.join(", ")),
        }
    }

    /// The table, one line a step and one for all.
    pub(crate) fn table(&self) -> String {
        let failed = self.rows.iter().filter(|row| row.failed).count();
        let all = Row {
            name: "all".to_owned(),
            result: match failed {
                0 => self.passed(),
                count => format!("FAILED: {count} of {} steps", self.rows.len()),
            },
            failed: failed > 0,
            skipped: false,
            took: self.rows.iter().map(|row| row.took).sum(),
        };
        let width = self.rows.iter().map(|row| row.name.chars().count()).fold(4, usize::max);
        let show = |row: &Row| {
            let seconds = row.took.as_secs_f64();
            format!("{:width$}  {seconds:7.1}  {}", row.name, row.result)
        };
        let rule = "─".repeat(width + 40);
        let mut lines = vec![format!("{:width$}  seconds  result", "step"), rule.clone()];
        lines.extend(self.rows.iter().map(show));
        lines.extend([rule, show(&all)]);
        lines.join("\n")
    }
}

impl Row {
    fn new(name: &str, outcome: &Result<Outcome>, took: Duration) -> Self {
        let result = match outcome {
            Ok(outcome) => outcome.to_string(),
            Err(problem) => {
                let told = format!("{problem:#}");
                format!("FAILED: {}", told.lines().next().unwrap_or_default())
            }
        };
        let skipped = matches!(outcome, Ok(Outcome::Skipped(_)));
        Self { name: name.to_owned(), result, failed: outcome.is_err(), skipped, took }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::{Outcome, Report};

    #[test]
    fn the_table_tells_every_step_and_the_failures_among_them() {
        let mut report = Report::default();
        report.step("format", "", || Ok(Outcome::ok("")));
        report.step("policy", "", || Ok(Outcome::skipped("no tool")));
        assert!(!report.failed());
        let all = "\nall         0.0  ok, but skipped: policy";
        assert!(report.table().ends_with(all), "{}", report.table());
        report.step("tests", "", || Err(anyhow!("2 broke\nat length").context("cargo")));
        assert!(report.failed());
        let table = report.table();
        for line in [
            "step    seconds  result",
            "format      0.0  ok",
            "policy      0.0  skipped: no tool",
            "tests       0.0  FAILED: cargo: 2 broke",
            "all         0.0  FAILED: 1 of 3 steps",
        ] {
            assert!(table.lines().any(|found| found == line), "no `{line}` in\n{table}");
        }
    }
}
