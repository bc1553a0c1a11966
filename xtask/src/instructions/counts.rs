//! Counts by operation and profile, as they are kept: one a line.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use crate::profiles::Profile;

/// How far a count may be from the one that is kept: a register more or less is the compiler's business.
const SLACK: f64 = 1.5;

/// Instructions a call.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Counts(BTreeMap<(String, Profile), f64>);

impl Counts {
    /// Reads a file of them.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut counts = Self::default();
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        for line in lines {
            let words: Vec<_> = line.split_whitespace().collect();
            let read = || {
                let [operation, profile, count] = words.as_slice() else { return None };
                Some(((*operation).to_owned(), Profile::named(profile)?, count.parse().ok()?))
            };
            let (operation, profile, count) =
                read().with_context(|| format!("no operation, profile and count: {line}"))?;
            counts.add(&operation, profile, count);
        }
        Ok(counts)
    }

    /// The file's text.
    pub(super) fn text(&self) -> String {
        let head = "# Instructions a call takes out of line, by callgrind. Written by `cargo xtask bench --instructions --bless`;\n\
                    # `cargo xtask ci instructions` compares.\n";
        let lines = self.0.iter().map(|((operation, profile), count)| {
            format!("{operation:<28} {:<8} {count:>6.1}\n", profile.name())
        });
        head.to_owned() + &lines.collect::<String>()
    }

    pub(super) fn add(&mut self, operation: &str, profile: Profile, count: f64) {
        self.0.insert((operation.to_owned(), profile), count);
    }

    /// The count of an operation.
    pub(crate) fn get(&self, operation: &str, profile: Profile) -> Option<f64> {
        self.0.get(&(operation.to_owned(), profile)).copied()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// What is otherwise in the new counts, one a line.
    pub(super) fn differences(&self, new: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for (key, count) in &new.0 {
            let name = format!("{} ({})", key.0, key.1.name());
            match self.0.get(key) {
                None => lines.push(format!("{name}: {count:.1}, not kept yet")),
                Some(kept) if (kept - count).abs() > SLACK => {
                    lines.push(format!("{name}: {count:.1}, was {kept:.1}"));
                }
                Some(_) => {}
            }
        }
        let gone = self.0.keys().filter(|key| !new.0.contains_key(key));
        lines.extend(gone.map(|(operation, profile)| {
            format!("{operation} ({}): kept, and not counted any more", profile.name())
        }));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::Counts;
    use crate::profiles::Profile;

    fn counts(read: f64) -> Counts {
        let mut counts = Counts::default();
        counts.add("read_u32", Profile::Small, read);
        counts
    }

    #[test]
    fn what_is_written_is_read() {
        let written = counts(22.0);
        assert_eq!(Counts::parse(&written.text()).unwrap(), written);
        assert!(Counts::parse("read_u32 debug 1").is_err());
    }

    #[test]
    fn a_lost_inlining_is_a_difference_and_a_register_is_none() {
        assert!(counts(22.0).differences(&counts(23.0)).is_empty());
        assert_eq!(counts(22.0).differences(&counts(31.0)), ["read_u32 (small): 31.0, was 22.0"]);
        assert_eq!(counts(22.0).differences(&Counts::default()).len(), 1);
        assert_eq!(Counts::default().differences(&counts(22.0)).len(), 1);
    }
}
