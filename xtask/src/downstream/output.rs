//! What `cargo test` prints, read.

use core::mem;
use std::collections::BTreeMap;

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Passed,
    Failed,
    Ignored,
}

/// The tests of a package by name, the name of the test target first.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tests(BTreeMap<String, Verdict>);

impl Tests {
    /// Reads all that `cargo test` printed: its own lines say which target runs, those of the target how each test ended.
    pub(super) fn read(text: &str) -> Self {
        let mut tests = BTreeMap::new();
        let mut target = String::new();
        let mut running = false;
        // A test whose name is printed as it begins; it may print something before it ends.
        let mut begun = String::new();
        for line in text.lines() {
            if let Some(next) = target_of(line) {
                target = next;
            } else if is_count(line) {
                running = true;
                begun.clear();
            } else if line == "failures:" || line.starts_with("test result: ") {
                running = false;
            } else if running {
                let rest = match line.strip_prefix("test ").and_then(|rest| rest.split_once(" ..."))
                {
                    Some((name, rest)) => {
                        begun = name.to_owned();
                        rest
                    }
                    None if begun.is_empty() => continue,
                    None => line,
                };
                if let Some(verdict) = verdict(rest) {
                    tests.insert(format!("{target}: {}", mem::take(&mut begun)), verdict);
                }
            }
        }
        Self(tests)
    }

    /// How many ended so.
    pub(super) fn count(&self, verdict: Verdict) -> usize {
        self.0.values().filter(|found| **found == verdict).count()
    }

    /// The tests that pass here and do not there, whether they fail, are left out or are not even there.
    pub(super) fn lost(&self, there: &Self) -> Vec<&str> {
        let passed = self.0.iter().filter(|(_, verdict)| **verdict == Verdict::Passed);
        let kept = |name: &str| there.0.get(name) == Some(&Verdict::Passed);
        passed.map(|(name, _)| name.as_str()).filter(|name| !kept(name)).collect()
    }

    /// The tests that failed both here and there.
    pub(super) fn failed_too<'a>(&'a self, there: &'a Self) -> impl Iterator<Item = &'a str> {
        let failed = |(name, verdict): (&'a String, &Verdict)| {
            let too = there.0.get(name) == Some(&Verdict::Failed);
            (*verdict == Verdict::Failed && too).then_some(name.as_str())
        };
        self.0.iter().filter_map(failed)
    }
}

/// The test target that cargo says it runs now, without the place of the program.
fn target_of(line: &str) -> Option<String> {
    let line = line.strip_prefix("   ")?.trim_start();
    if let Some(rest) = line.strip_prefix("Running ") {
        return Some(rest.split(" (").next().unwrap_or(rest).to_owned());
    }
    line.starts_with("Doc-tests ").then(|| line.to_owned())
}

/// Whether the line says how many tests come now.
fn is_count(line: &str) -> bool {
    let rest = line.strip_prefix("running ").unwrap_or_default();
    rest.split_once(' ').is_some_and(|(count, what)| {
        count.parse::<usize>().is_ok() && matches!(what, "test" | "tests")
    })
}

/// The verdict at the end of a line.
fn verdict(line: &str) -> Option<Verdict> {
    // The reason for which a test is ignored stands behind the word.
    if line.trim_start().starts_with("ignored") {
        return Some(Verdict::Ignored);
    }
    match line.split_whitespace().last()? {
        "ok" => Some(Verdict::Passed),
        "FAILED" => Some(Verdict::Failed),
        _ => None,
    }
}

/// The first errors in what cargo printed, in at most so many lines.
pub(super) fn errors(text: &str, most: usize) -> String {
    let lines: Vec<_> = text.lines().collect();
    let first = lines.iter().position(|line| line.starts_with("error")).unwrap_or_default();
    let shown = &lines[first..];
    let cut = shown.len().saturating_sub(most);
    let mut told: Vec<_> = shown.iter().take(most).map(|line| (*line).to_owned()).collect();
    if cut > 0 {
        told.push(format!("… and {cut} lines more"));
    }
    told.join("\n")
}
