//! What is asked for.

use anyhow::{Context as _, Result, bail};

use crate::compare::targets::{TARGETS, Target};
use crate::profiles::Profile;

/// How many rounds, unless told otherwise.
const ROUNDS: usize = 31;

/// Which targets to measure, and how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    filters: Vec<String>,
    pub(super) rounds: usize,
    pub(super) profiles: Vec<Profile>,
}

impl Options {
    /// Reads the words of a command line.
    pub(crate) fn parse(words: &[String]) -> Result<Self> {
        let mut options = Self { filters: Vec::new(), rounds: ROUNDS, profiles: Vec::new() };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--compare" => {}
                "--rounds" => {
                    let rounds = words.next().and_then(|word| word.parse().ok());
                    let rounds = rounds.filter(|rounds| *rounds > 0);
                    options.rounds = rounds.context("`--rounds` wants a number above 0")?;
                }
                "--profile" => {
                    let name = words.next().map(String::as_str).unwrap_or_default();
                    let known = || Profile::ALL.map(Profile::name).join(", ");
                    let profile = Profile::named(name);
                    let profile =
                        profile.with_context(|| format!("`--profile` wants one of {}", known()))?;
                    options.profiles.push(profile);
                }
                flag if flag.starts_with('-') => bail!("there is no flag `{flag}`"),
                filter if !TARGETS.iter().any(|target| target.matches(filter)) => {
                    bail!("no target has `{filter}` in its name, nor is it a group of them")
                }
                filter => options.filters.push(filter.to_owned()),
            }
        }
        if options.profiles.is_empty() {
            options.profiles = Profile::ALL.to_vec();
        }
        Ok(options)
    }

    /// The targets asked for, in the order of the table.
    pub(super) fn targets(&self) -> Vec<&'static Target> {
        let wanted = |target: &&Target| {
            self.filters.is_empty() || self.filters.iter().any(|filter| target.matches(filter))
        };
        TARGETS.iter().filter(wanted).collect()
    }

    /// Whether it is all that there is, so that the result may stand in the documentation.
    pub(super) fn is_whole(&self) -> bool {
        self.filters.is_empty() && self.rounds >= ROUNDS && self.profiles == Profile::ALL
    }
}
