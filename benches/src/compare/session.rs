//! Interleaved rounds, and how their times are told.

use std::cell::Cell;
use std::env;
use std::time::Duration;

/// How long a sample takes, about.
const SAMPLE: Duration = Duration::from_micros(250);

/// How many rounds, unless told otherwise.
const ROUNDS: usize = 31;

/// Whether the operation is the only user of a type in its program.
pub trait Setting {
    /// How the setting is called.
    const NAME: &'static str;
    /// Whether it is not.
    const COMPANY: bool;
}

/// In a program that does everything.
#[derive(Debug)]
pub(crate) struct Company;

/// In a program that does nothing else.
///
/// Our facade has the very items of our layers, so there it would be a second user of each, and is left out.
#[derive(Debug)]
pub struct Alone;

impl Setting for Company {
    const NAME: &'static str = "company";
    const COMPANY: bool = true;
}

impl Setting for Alone {
    const NAME: &'static str = "alone";
    const COMPANY: bool = false;
}

/// One run of a program.
#[derive(Debug)]
pub(crate) struct Session {
    rounds: usize,
    filters: Vec<String>,
    /// Where the next group's rotation starts.
    groups: Cell<usize>,
}

impl Session {
    /// As the command line says: a number of rounds after `--rounds`, and parts of the names of rows.
    pub(crate) fn from_command_line() -> Self {
        let mut session = Self { rounds: ROUNDS, filters: Vec::new(), groups: Cell::new(0) };
        let mut words = env::args().skip(1);
        while let Some(word) = words.next() {
            if word == "--rounds" {
                let rounds = words.next().and_then(|word| word.parse().ok());
                session.rounds =
                    rounds.filter(|rounds| *rounds > 0).expect("`--rounds` wants a number");
            } else {
                session.filters.push(word);
            }
        }
        session
    }

    /// Whether any row that starts so is asked for.
    pub(crate) fn wants(&self, row: &str) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| row.contains(filter.as_str()))
    }

    /// An empty group for the operation of a row, in the given case; `None` if nobody asked for it.
    pub(crate) fn group<S: Setting>(
        &self,
        row: &'static str,
        case: impl Into<String>,
    ) -> Option<Group<'_>> {
        self.wants(row).then(|| Group {
            session: self,
            row,
            case: case.into(),
            setting: S::NAME,
            sample: SAMPLE,
            variants: Vec::new(),
        })
    }

    /// Tells a size in bytes, which takes no time to measure.
    pub(crate) fn tell_size(&self, row: &str, variant: &str, bytes: usize) {
        if self.wants(row) {
            println!(
                r#"{{"row":"{row}","case":"","setting":"company","variant":"{variant}","bytes":{bytes}}}"#
            );
        }
    }
}

/// Does something so many times, and says how long that took.
type Operation<'a> = Box<dyn FnMut(u64) -> Duration + 'a>;

/// The contestants in one operation.
pub(crate) struct Group<'a> {
    session: &'a Session,
    row: &'static str,
    case: String,
    setting: &'static str,
    sample: Duration,
    variants: Vec<(&'static str, Operation<'a>)>,
}

impl<'a> Group<'a> {
    /// Adds a contestant.
    pub(crate) fn add(&mut self, name: &'static str, operation: impl FnMut(u64) -> Duration + 'a) {
        self.variants.push((name, Box::new(operation)));
    }

    /// Has a sample take so many times longer.
    pub(crate) fn longer(&mut self, times: u32) {
        self.sample = SAMPLE * times;
    }

    /// Runs the rounds, and prints what came of them.
    pub(crate) fn run(mut self) {
        let counts: Vec<u64> = self
            .variants
            .iter_mut()
            .map(|(_, operation)| calibrate(&mut **operation, self.sample))
            .collect();
        let mut samples = vec![Vec::with_capacity(self.session.rounds); counts.len()];
        let first = self.session.groups.replace(self.session.groups.get() + 1);
        for round in 0..self.session.rounds {
            for turn in 0..counts.len() {
                let variant = (first + round + turn) % counts.len();
                let took = (self.variants[variant].1)(counts[variant]);
                samples[variant].push(took.as_nanos() as f64 / counts[variant] as f64);
            }
        }
        let Self { row, case, setting, .. } = &self;
        for ((name, _), samples) in self.variants.iter().zip(&samples) {
            let samples: Vec<_> = samples.iter().map(|ns| format!("{ns:.4}")).collect();
            let samples = samples.join(",");
            println!(
                r#"{{"row":"{row}","case":"{case}","setting":"{setting}","variant":"{name}","ns":[{samples}]}}"#
            );
        }
    }
}

/// How many times the operation is done in a sample of about that length.
fn calibrate(operation: &mut dyn FnMut(u64) -> Duration, sample: Duration) -> u64 {
    let mut count = 1;
    loop {
        let took = operation(count);
        if took >= sample / 4 || count >= 1 << 32 {
            let fit = u128::from(count) * sample.as_nanos() / took.as_nanos().max(1);
            return u64::try_from(fit).unwrap_or(u64::MAX).max(1);
        }
        count *= 4;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::time::Duration;

    use super::{Company, Group, SAMPLE, Session, calibrate};

    #[test]
    fn a_sample_has_as_many_operations_as_fit() {
        let times = |ns| move |count| Duration::from_nanos(ns * count);
        assert_eq!(calibrate(&mut times(10), SAMPLE), 25_000);
        assert_eq!(calibrate(&mut times(10_000_000), SAMPLE), 1);
    }

    #[test]
    fn every_contestant_runs_once_a_round_and_the_first_is_another_each_time() {
        let session = Session { rounds: 4, filters: Vec::new(), groups: Cell::new(0) };
        let order = RefCell::new(Vec::new());
        let mut group: Group<'_> = session.group::<Company>("row", "case").unwrap();
        for name in ["a", "b"] {
            let order = &order;
            group.variants.push((
                name,
                Box::new(move |_| {
                    order.borrow_mut().push(name);
                    SAMPLE
                }),
            ));
        }
        group.run();
        // Two to calibrate, then the rounds.
        assert_eq!(order.borrow()[2..], ["a", "b", "b", "a", "a", "b", "b", "a"]);
    }

    #[test]
    fn a_filter_is_a_part_of_a_row() {
        let filters = vec!["obj".to_owned()];
        let session = Session { rounds: 1, filters, groups: Cell::new(0) };
        assert!(session.wants("read_obj") && !session.wants("slices"));
        assert!(session.group::<Company>("slices", "").is_none());
    }
}
