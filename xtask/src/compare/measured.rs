//! What the programs print, read: times of each round, and the figures that follow.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde_json::Value;

/// One operation at one size, in one kind of program.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cell {
    pub(super) row: String,
    pub(super) case: String,
    pub(super) setting: String,
}

/// What came of one contestant in a cell.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Found {
    /// Nanoseconds an operation, in each round.
    Times(Vec<f64>),
    /// A size.
    Bytes(f64),
}

/// All cells of one profile.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Measured(BTreeMap<Cell, BTreeMap<String, Found>>);

impl Measured {
    /// Reads lines of JSON, and adds what they say.
    pub(super) fn read(&mut self, text: &str) -> Result<()> {
        for line in text.lines() {
            let json: Value = serde_json::from_str(line)
                .with_context(|| format!("a program printed no JSON: {line}"))?;
            let read = || {
                let word = |name: &str| Some(json[name].as_str()?.to_owned());
                let cell =
                    Cell { row: word("row")?, case: word("case")?, setting: word("setting")? };
                let found = match json["ns"].as_array() {
                    Some(times) => {
                        Found::Times(times.iter().map(Value::as_f64).collect::<Option<_>>()?)
                    }
                    None => Found::Bytes(json["bytes"].as_f64()?),
                };
                Some((cell, word("variant")?, found))
            };
            let (cell, variant, found) =
                read().with_context(|| format!("a program printed another shape: {line}"))?;
            self.add(cell, variant, found);
        }
        Ok(())
    }

    pub(super) fn add(&mut self, cell: Cell, variant: String, found: Found) {
        self.0.entry(cell).or_default().insert(variant, found);
    }

    /// The cells of a row.
    pub(super) fn cells(&self, row: &str) -> impl Iterator<Item = &Cell> {
        self.0.keys().filter(move |cell| cell.row == row)
    }

    /// All cells, with the names of their contestants.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Cell, &str)> {
        self.0.iter().flat_map(|(cell, found)| found.keys().map(move |name| (cell, name.as_str())))
    }

    /// The median time of a contestant, in nanoseconds.
    pub(super) fn time(&self, cell: &Cell, variant: &str) -> Option<f64> {
        median(self.times(cell, variant)?.to_vec())
    }

    /// The size of what a contestant has.
    pub(super) fn bytes(&self, cell: &Cell, variant: &str) -> Option<f64> {
        match self.0.get(cell)?.get(variant)? {
            Found::Bytes(bytes) => Some(*bytes),
            Found::Times(_) => None,
        }
    }

    /// The median of the ratio in each round.
    pub(super) fn ratio(&self, cell: &Cell, variant: &str, base: &str) -> Option<f64> {
        let pairs = self.times(cell, variant)?.iter().zip(self.times(cell, base)?);
        median(pairs.map(|(time, base)| time / base).collect())
    }

    /// The median of the difference in each round.
    pub(super) fn difference(&self, cell: &Cell, variant: &str, base: &str) -> Option<f64> {
        let pairs = self.times(cell, variant)?.iter().zip(self.times(cell, base)?);
        median(pairs.map(|(time, base)| time - base).collect())
    }

    fn times(&self, cell: &Cell, variant: &str) -> Option<&[f64]> {
        match self.0.get(cell)?.get(variant)? {
            Found::Times(times) => Some(times),
            Found::Bytes(_) => None,
        }
    }
}

/// The middle of some numbers; `None` if there is none.
pub(super) fn median(mut numbers: Vec<f64>) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    let upper = *numbers.get(middle)?;
    if numbers.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(numbers[middle - 1], upper))
}
