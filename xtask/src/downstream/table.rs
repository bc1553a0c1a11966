//! The table of packages, and what it comes to.

use core::time::Duration;

use anyhow::{Result, bail};

use crate::downstream::needs;
use crate::downstream::output::{Tests, Verdict};
use crate::downstream::packages::Package;
use crate::downstream::suite::Run;
use crate::report::Outcome;

/// What came of the packages so far.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Row>,
}

/// What came of one package.
#[derive(Debug)]
pub(super) enum Row {
    /// It was tested, or at least built, on both sides.
    Compared { package: &'static Package, stock: Run, ours: Run },
    /// These Debian packages are missing.
    Skipped { package: &'static Package, missing: Vec<&'static str> },
    /// It could not be fetched, or not built as it should be.
    Broken { package: &'static Package, problem: String },
}

impl Table {
    pub(super) fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// The table, followed by what needs more words than fit in it.
    pub(super) fn show(&self) -> String {
        let width = self.rows.iter().map(|row| row.package().to_string().len()).max();
        let width = width.unwrap_or_default().max(7);
        let mut lines = vec![
            format!(
                "line  {:width$}           stock            ours   lost      build seconds",
                "package"
            ),
            format!(
                "      {:width$}   passed failed   passed failed             stock     ours",
                ""
            ),
        ];
        let rule = "─".repeat(width + 63);
        lines.push(rule.clone());
        for row in &self.rows {
            let package = row.package();
            let name = package.to_string();
            lines.push(format!("{}  {name:width$}  {}", package.line.name, row.cells()));
        }
        lines.push(rule);
        lines.extend(self.rows.iter().flat_map(Row::words));
        lines.join("\n")
    }

    /// Whether all is well: nothing is lost, and all that was tried was compared.
    pub(super) fn judge(&self) -> Result<Outcome> {
        let lost: usize = self.rows.iter().map(|row| row.lost().len()).sum();
        let compared = self.rows.iter().filter(|row| row.is_compared()).count();
        let skipped: Vec<_> = self.rows.iter().filter_map(Row::skipped).collect();
        let broken = self.rows.len() - compared - skipped.len();
        if lost > 0 || broken > 0 {
            bail!("tests lost: {lost}; packages that cannot be compared: {broken}");
        }
        let without = match skipped.as_slice() {
            [] => String::new(),
            names => format!("; skipped: {}", names.join(", ")),
        };
        Ok(Outcome::ok(format!("no test lost in {compared} packages{without}")))
    }
}

impl Row {
    fn package(&self) -> &'static Package {
        match self {
            Self::Compared { package, .. }
            | Self::Skipped { package, .. }
            | Self::Broken { package, .. } => package,
        }
    }

    /// Whether something can be said about ours: a package of which nothing passes on stock says nothing.
    fn is_compared(&self) -> bool {
        let Self::Compared { stock, .. } = self else { return false };
        stock.tests().is_some_and(|tests| tests.count(Verdict::Passed) > 0)
    }

    fn skipped(&self) -> Option<String> {
        matches!(self, Self::Skipped { .. }).then(|| self.package().to_string())
    }

    fn lost(&self) -> Vec<&str> {
        let Self::Compared { stock, ours, .. } = self else { return Vec::new() };
        let none = Tests::default();
        stock.tests().map_or_else(Vec::new, |tests| tests.lost(ours.tests().unwrap_or(&none)))
    }

    fn cells(&self) -> String {
        match self {
            Self::Compared { stock, ours, .. } => format!(
                "{}  {}  {:5}  {:>8} {:>8}",
                stock.counts(),
                ours.counts(),
                self.lost().len(),
                stock.seconds(),
                ours.seconds()
            ),
            Self::Skipped { .. } => "skipped".to_owned(),
            Self::Broken { .. } => "cannot be compared".to_owned(),
        }
    }

    /// What is to be said of it below the table.
    fn words(&self) -> Vec<String> {
        let package = self.package();
        let (stock, ours) = match self {
            Self::Compared { stock, ours, .. } => (stock, ours),
            Self::Skipped { missing, .. } => {
                return vec![format!("{package}: skipped, {}", needs::tell(missing))];
            }
            Self::Broken { problem, .. } => return vec![format!("{package}: {problem}")],
        };
        let mut lines = Vec::new();
        for (side, run) in [("stock", stock), ("ours", ours)] {
            match run {
                Run::NotBuilt { errors, log } => {
                    lines.push(format!("{package}: does not build on {side} ({})", log.display()));
                    lines.extend(errors.lines().map(|line| format!("    {line}")));
                }
                Run::Tested { ran_out: true, .. } => {
                    lines.push(format!("{package}: stopped on {side}, its time was up"));
                }
                Run::Tested { .. } => {}
            }
        }
        if let (Some(stock), Some(ours)) = (stock.tests(), ours.tests()) {
            let too =
                stock.failed_too(ours).map(|test| format!("{package}: fails on both: {test}"));
            lines.extend(too);
            if stock.count(Verdict::Passed) == 0 {
                lines.push(format!("{package}: no test passes on stock, which says nothing"));
            }
        }
        let lost = self.lost();
        match ours {
            Run::NotBuilt { .. } if !lost.is_empty() => {
                lines.push(format!("{package}: LOST: all {} that pass on stock", lost.len()));
            }
            _ => lines.extend(lost.iter().map(|test| format!("{package}: LOST: {test}"))),
        }
        lines
    }
}

impl Run {
    fn tests(&self) -> Option<&Tests> {
        match self {
            Self::Tested { tests, .. } => Some(tests),
            Self::NotBuilt { .. } => None,
        }
    }

    fn counts(&self) -> String {
        self.tests().map_or_else(
            || format!("{:>14}", "does not build"),
            |tests| {
                let [passed, failed] = [Verdict::Passed, Verdict::Failed].map(|v| tests.count(v));
                format!("{passed:7}{failed:7}")
            },
        )
    }

    fn seconds(&self) -> String {
        match self {
            Self::Tested { built, .. } => seconds(*built),
            Self::NotBuilt { .. } => "–".to_owned(),
        }
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64())
}
