//! Whether a target is met: in every profile, by every contestant that it is for.

use crate::compare::measured::{Cell, Measured, median};
use crate::compare::targets::{Cells, Figure, Measure, Over, Target};
use crate::instructions::Counts;
use crate::profiles::Profile;

/// All that was measured under one profile.
#[derive(Debug, Default)]
pub(super) struct Run {
    pub(super) measured: Measured,
    /// The times of a chain on the published crate and on ours, by case; or why there are none.
    pub(super) queue: Option<Measured>,
}

/// What came of a target.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verdict {
    Met(Figures),
    Missed(Figures),
    NotMeasured(String),
}

/// The figures behind a verdict: those of the profile and the contestant that come out worst.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Figures {
    pub(super) profile: Profile,
    /// The contestant that comes out worst.
    pub(super) variant: String,
    pub(super) figure: f64,
    /// What it may be at most; or at least, for a speedup.
    pub(super) limit: f64,
    /// The raw contestant's time in nanoseconds, if there is one.
    pub(super) raw: Option<f64>,
    /// The same figure of each contestant in that profile, whether or not it is for them.
    pub(super) all: Vec<(String, f64)>,
}

impl Figures {
    /// How far it is from the limit: 1 is just met.
    fn excess(&self) -> f64 {
        // A limit of nothing is met by nothing.
        if self.figure <= self.limit {
            self.figure / self.limit.max(f64::MIN_POSITIVE)
        } else {
            (self.figure / self.limit.max(f64::MIN_POSITIVE)).max(1.0 + f64::EPSILON)
        }
    }
}

/// The published crates, for the columns beside ours.
const PUBLISHED: [&str; 2] = ["0.16", "0.18"];

/// Judges a target by the runs under the profiles.
pub(super) fn judge(target: &Target, runs: &[(Profile, Run)], counts: &Counts) -> Verdict {
    let mut found = Vec::new();
    for (profile, run) in runs {
        let figures = match &target.measure {
            Measure::Cells(cells) => of_cells(cells, *profile, &run.measured),
            Measure::Bytes { rows, at_most } => of_bytes(rows, *at_most, *profile, &run.measured),
            Measure::Instructions { operations, at_most } => {
                of_instructions(operations, *at_most, *profile, counts)
            }
            Measure::Speedup { case, at_least } => of_queue(case, *at_least, *profile, run),
            Measure::Not { why } => Err((*why).to_owned()),
        };
        match figures {
            Ok(figures) => found.push(figures),
            // The first profile's reason is that of all, most often.
            Err(why) if found.is_empty() => return Verdict::NotMeasured(why),
            Err(why) => return Verdict::NotMeasured(format!("{why} ({})", profile.name())),
        }
    }
    let speedup = matches!(target.measure, Measure::Speedup { .. });
    let order = |one: &Figures, other: &Figures| one.excess().total_cmp(&other.excess());
    let found = found.into_iter();
    let worst = if speedup { found.min_by(order) } else { found.max_by(order) };
    let Some(worst) = worst else { return Verdict::NotMeasured("no profile was run".to_owned()) };
    let met = if speedup { worst.figure >= worst.limit } else { worst.figure <= worst.limit };
    if met { Verdict::Met(worst) } else { Verdict::Missed(worst) }
}

type Judged = Result<Figures, String>;

fn of_cells(wanted: &Cells, profile: Profile, measured: &Measured) -> Judged {
    let cells: Vec<_> = wanted.rows.iter().flat_map(|row| measured.cells(row)).collect();
    let cells: Vec<_> = cells.into_iter().filter(|cell| wanted.has(&cell.case)).collect();
    if cells.is_empty() {
        return Err(format!("no program has `{}`", wanted.rows.join("`, `")));
    }
    let mut judged = Vec::new();
    for by in wanted.by {
        let of_by: Vec<_> =
            cells.iter().filter_map(|cell| one(wanted, cell, by, measured)).collect();
        let figure = over(wanted.over, of_by);
        judged.push((*by, figure.ok_or_else(|| format!("no program has `{by}` for it"))?));
    }
    let worst = judged.iter().max_by(|one, other| one.1.total_cmp(&other.1));
    let &(variant, figure) = worst.ok_or("it is for nobody")?;
    let beside = PUBLISHED.iter().chain(&["facade"]).filter(|name| !wanted.by.contains(name));
    let others = beside.filter_map(|name| {
        let figures = cells.iter().filter_map(|cell| one(wanted, cell, name, measured)).collect();
        Some(((*name).to_owned(), over(wanted.over, figures)?))
    });
    let ours = judged.iter().map(|(name, figure)| ((*name).to_owned(), *figure));
    let raw = cells.iter().filter_map(|cell| measured.time(cell, "raw")).collect();
    Ok(Figures {
        profile,
        variant: variant.to_owned(),
        figure,
        limit: wanted.at_most,
        raw: median(raw),
        all: others.chain(ours).collect(),
    })
}

/// The figure of a contestant in a cell.
fn one(wanted: &Cells, cell: &Cell, variant: &str, measured: &Measured) -> Option<f64> {
    match wanted.figure {
        Figure::Ratio => measured.ratio(cell, variant, "raw"),
        Figure::Time => measured.time(cell, variant),
        Figure::Extra => measured.difference(cell, variant, "plain"),
        Figure::OfLocked => Some(measured.time(cell, variant)? / raw(measured, "locked")?),
        Figure::Growth { from, to } => {
            let small = cell.case.split(' ').any(|word| word == from).then(|| cell.clone())?;
            let words = small.case.split(' ').map(|word| if word == from { to } else { word });
            let large = Cell { case: words.collect::<Vec<_>>().join(" "), ..small.clone() };
            Some(measured.ratio(&large, variant, "raw")? / measured.ratio(&small, variant, "raw")?)
        }
    }
}

/// The raw contestant's time in a row that has one case.
pub(super) fn raw(measured: &Measured, row: &str) -> Option<f64> {
    measured.cells(row).find_map(|cell| measured.time(cell, "raw"))
}

/// One figure out of several.
fn over(over: Over, figures: Vec<f64>) -> Option<f64> {
    match over {
        Over::Median => median(figures),
        Over::Worst => figures.into_iter().max_by(f64::total_cmp),
    }
}

fn of_bytes(rows: &[&str], at_most: f64, profile: Profile, measured: &Measured) -> Judged {
    let size = |name: &str| {
        let sizes = rows.iter().flat_map(|row| measured.cells(row));
        sizes.filter_map(|cell| measured.bytes(cell, name)).max_by(f64::total_cmp)
    };
    let names = ["0.16", "0.18", "ours", "facade"];
    let all: Vec<_> =
        names.iter().filter_map(|name| Some(((*name).to_owned(), size(name)?))).collect();
    let figure = size("ours").ok_or("no program has told it")?;
    let variant = "ours".to_owned();
    Ok(Figures { profile, variant, figure, limit: at_most, raw: None, all })
}

fn of_instructions(operations: &[&str], at_most: f64, profile: Profile, counts: &Counts) -> Judged {
    let mut worst: Option<(f64, &str)> = None;
    for operation in operations {
        let count = counts.get(operation, profile);
        let count = count.ok_or_else(|| format!("`{operation}` is not counted"))?;
        worst = worst.max_by_count((count, operation));
    }
    let (figure, operation) = worst.ok_or("nothing is counted")?;
    let all = vec![("ours".to_owned(), figure)];
    Ok(Figures { profile, variant: operation.to_owned(), figure, limit: at_most, raw: None, all })
}

/// Keeps the larger count.
trait MaxByCount<'a> {
    fn max_by_count(self, other: (f64, &'a str)) -> Self;
}

impl<'a> MaxByCount<'a> for Option<(f64, &'a str)> {
    fn max_by_count(self, other: (f64, &'a str)) -> Self {
        match self {
            Some(one) if one.0 >= other.0 => Some(one),
            _ => Some(other),
        }
    }
}

fn of_queue(case: &str, at_least: f64, profile: Profile, run: &Run) -> Judged {
    let measured = run.queue.as_ref().ok_or("the virtio-queue programs were not run")?;
    let cell = measured.cells("queue").find(|cell| cell.case == case);
    let cell = cell.ok_or_else(|| format!("no program has `{case}`"))?;
    let figure = measured.ratio(cell, "stock", "ours").ok_or("a side was not run")?;
    let time = |name: &str| measured.time(cell, name);
    let all = [("0.18", "stock"), ("facade", "ours")];
    let all = all.iter().filter_map(|(shown, name)| Some(((*shown).to_owned(), time(name)?)));
    let all: Vec<_> = all.collect();
    let variant = "facade".to_owned();
    Ok(Figures { profile, variant, figure, limit: at_least, raw: None, all })
}
