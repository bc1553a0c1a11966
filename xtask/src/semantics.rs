//! That every line of `docs/semantics.md` has a test, and every test that it names is there.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::report::Outcome;

/// The list, from the root of the workspace.
const LIST: &str = "docs/semantics.md";
/// How many lines there are, numbered from 1.
const LINES: usize = 39;

/// Checks the list against the sources.
pub(crate) fn check() -> Result<Outcome> {
    let text = fs::read_to_string(LIST).with_context(|| format!("cannot read {LIST}"))?;
    let directory = Path::new(LIST).parent().unwrap_or(Path::new(""));
    let problems = problems(&text, &|path| fs::read_to_string(directory.join(path)).ok());
    ensure!(problems.is_empty(), "{LIST}: {}", problems.join("; "));
    Ok(Outcome::ok(format!("{LINES} lines, {} tests", tests(&text).count())))
}

/// What is wrong with the list, given a way to read the files that it links to.
fn problems(text: &str, read: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let numbers: Vec<usize> = rows(text).map(|(number, _)| number).collect();
    let mut problems = Vec::new();
    if !numbers.iter().copied().eq(1..=LINES) {
        problems.push(format!("its lines are not numbered from 1 to {LINES}"));
    }
    for (number, row) in rows(text) {
        if tests(row).next().is_none() {
            problems.push(format!("line {number} has no test"));
        }
    }
    for (name, path) in tests(text) {
        let is_test = |source: &str| {
            let definition = format!("fn {name}(");
            source.lines().any(|line| line.trim_start().starts_with(&definition))
        };
        if !read(path).is_some_and(|source| is_test(&source)) {
            problems.push(format!("{path} has no test {name}"));
        }
    }
    problems
}

/// The rows that start with a number, and that number.
fn rows(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().filter_map(|line| {
        let (number, _) = line.strip_prefix("| ")?.split_once(' ')?;
        Some((number.parse().ok()?, line))
    })
}

/// The names and files of tests that are linked to.
fn tests(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split('[').skip(1).filter_map(|link| {
        let (name, rest) = link.split_once("](")?;
        let (path, _) = rest.split_once(')')?;
        path.ends_with(".rs").then_some((name, path))
    })
}

#[cfg(test)]
mod tests {
    use super::{LINES, problems, tests};

    fn list(rows: impl IntoIterator<Item = usize>) -> String {
        let rows =
            rows.into_iter().map(|number| format!("| {number} | It does. | [it_does](t.rs) |\n"));
        rows.collect()
    }

    fn source(path: &str) -> Option<String> {
        (path == "t.rs").then(|| "#[test]\n    fn it_does() {}\n".to_owned())
    }

    #[test]
    fn a_list_that_names_its_tests_is_whole() {
        assert!(problems(&list(1..=LINES), &source).is_empty());
        let text = "| 1 | [page](m.md) | [a](../t.rs)<br>[b](u.rs) |";
        assert_eq!(tests(text).collect::<Vec<_>>(), [("a", "../t.rs"), ("b", "u.rs")]);
    }

    #[test]
    fn a_line_that_is_missing_or_there_twice_is_found() {
        for rows in [list(2..=LINES), list((1..=LINES).chain([LINES])), String::new()] {
            assert_eq!(problems(&rows, &source).len(), 1);
        }
    }

    #[test]
    fn a_line_without_a_test_and_a_test_without_a_source_are_found() {
        let text = list(1..LINES) + "| 39 | It does. | |\n";
        assert_eq!(problems(&text, &source), ["line 39 has no test"]);
        let renamed = |_: &str| Some("fn it_does_more() {}".to_owned());
        assert_eq!(problems(&list(1..=LINES), &renamed).len(), LINES);
        assert_eq!(problems(&list(1..=LINES), &|_| None)[0], "t.rs has no test it_does");
    }
}
