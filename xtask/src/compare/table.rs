//! The table: a row a target, as text and as Markdown.

use crate::compare::judge::{Figures, Verdict, raw};
use crate::compare::measured::Measured;
use crate::compare::targets::{Figure, Measure, READ, Target};
use crate::profiles::Profile;

/// A target and what came of it.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) target: &'static Target,
    pub(super) verdict: Verdict,
}

/// The heads of the columns after those of the target.
const COLUMNS: [&str; 6] = ["raw", "0.16", "0.18", "ours", "facade", "worst in"];

/// As text, for a terminal.
pub(super) fn text(rows: &[Judged]) -> String {
    let widths = [9, 9, 9, 9, 9, 8];
    let line = |first: &str, cells: &[String], last: &str| {
        let cells = cells.iter().zip(widths).map(|(cell, width)| format!("  {cell:>width$}"));
        format!("{first:50}{}  {last}", cells.collect::<String>()).trim_end().to_owned()
    };
    let head = COLUMNS.map(str::to_owned);
    let mut lines = vec![line("target", &head, "verdict")];
    let mut row = "";
    for judged in rows {
        if judged.target.row != row {
            row = judged.target.row;
            lines.push(row.to_owned());
        }
        let first = format!("  {}", judged.target.says);
        lines.push(line(&first, &judged.cells(), &judged.told()));
    }
    lines.push(summary(rows));
    lines.join("\n")
}

/// As Markdown, for the documentation.
pub(super) fn markdown(rows: &[Judged]) -> String {
    let mut lines = vec![
        format!("| operation | target | {} | verdict |", COLUMNS.join(" | ")),
        "|---|---|---|---|---|---|---|---|---|".to_owned(),
    ];
    let mut row = "";
    for judged in rows {
        let name = if judged.target.row == row { "" } else { judged.target.row };
        row = judged.target.row;
        let cells = judged.cells().join(" | ");
        lines.push(format!("| {name} | {} | {cells} | {} |", judged.target.says, judged.told()));
    }
    lines.push(String::new());
    lines.push(summary(rows));
    lines.join("\n")
}

/// How fast this machine is, beside the one where the limits in nanoseconds were set.
pub(super) fn raw_read(measured: &Measured, profile: Profile) -> String {
    let here = raw(measured, "control").map_or_else(|| "unknown".to_owned(), time);
    format!(
        "A raw read of hot memory: {here} here ({}), {} where the limits in ns were set.",
        profile.name(),
        time(READ)
    )
}

/// How many are met.
pub(super) fn summary(rows: &[Judged]) -> String {
    let count =
        |wanted: fn(&Verdict) -> bool| rows.iter().filter(|judged| wanted(&judged.verdict)).count();
    format!(
        "{} targets: {} met, {} missed, {} not measured",
        rows.len(),
        count(|verdict| matches!(verdict, Verdict::Met(_))),
        count(|verdict| matches!(verdict, Verdict::Missed(_))),
        count(|verdict| matches!(verdict, Verdict::NotMeasured(_))),
    )
}

impl Judged {
    /// The cells under the heads of the columns.
    fn cells(&self) -> Vec<String> {
        let Some(figures) = self.verdict.figures() else {
            return vec![String::new(); COLUMNS.len()];
        };
        let mut names = figures.all.iter().map(|(name, _)| name.as_str());
        let ours = names.rfind(|name| !["0.16", "0.18", "facade"].contains(name));
        let of = |name: &str| {
            let found = figures.all.iter().find(|(known, _)| known == name);
            found.map_or_else(String::new, |(_, figure)| self.show(*figure, false))
        };
        vec![
            figures.raw.map_or_else(String::new, time),
            of("0.16"),
            of("0.18"),
            ours.map_or_else(String::new, of),
            of("facade"),
            figures.profile.name().to_owned(),
        ]
    }

    /// The verdict in words.
    pub(super) fn told(&self) -> String {
        let against = |figures: &Figures| {
            format!("{} of {}", self.show(figures.figure, true), self.show(figures.limit, true))
        };
        match &self.verdict {
            Verdict::Met(figures) => format!("met: {}", against(figures)),
            Verdict::Missed(figures) => format!("missed: {}", against(figures)),
            Verdict::NotMeasured(why) => format!("not measured: {why}"),
        }
    }

    /// A figure in its unit. What a speedup is made of are times.
    fn show(&self, figure: f64, judged: bool) -> String {
        match &self.target.measure {
            Measure::Cells(cells) => match cells.figure {
                Figure::Ratio | Figure::Growth { .. } | Figure::OfLocked => ratio(figure),
                Figure::Time | Figure::Extra => time(figure),
            },
            Measure::Bytes { .. } => format!("{figure:.0} B"),
            Measure::Speedup { .. } if judged => ratio(figure),
            Measure::Speedup { .. } => time(figure),
            Measure::Instructions { .. } | Measure::Not { .. } => format!("{figure:.0}"),
        }
    }
}

impl Verdict {
    /// The figures, if it was measured.
    pub(super) fn figures(&self) -> Option<&Figures> {
        match self {
            Self::Met(figures) | Self::Missed(figures) => Some(figures),
            Self::NotMeasured(_) => None,
        }
    }

    /// One word for it.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Met(_) => "met",
            Self::Missed(_) => "missed",
            Self::NotMeasured(_) => "not measured",
        }
    }
}

fn ratio(figure: f64) -> String {
    if figure.abs() < 100.0 { format!("{figure:.2}x") } else { format!("{figure:.0}x") }
}

/// Nanoseconds, in a unit that suits them.
pub(super) fn time(ns: f64) -> String {
    match ns.abs() {
        below if below < 100.0 => format!("{ns:.2} ns"),
        below if below < 10_000.0 => format!("{ns:.0} ns"),
        below if below < 10_000_000.0 => format!("{:.1} us", ns / 1e3),
        _ => format!("{:.1} ms", ns / 1e6),
    }
}
