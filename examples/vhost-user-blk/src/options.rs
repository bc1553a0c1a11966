//! What the command line asks for.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

/// As many queues as one mask of the back-end crate has threads for, and more than a guest has processors here.
const MOST_QUEUES: u16 = 64;

pub(crate) const USAGE: &str = "\
usage: vhost-user-blk --socket PATH --image FILE [option…]

  --socket PATH   where front-ends connect; the socket is made, and one that is there is replaced
  --image FILE    the disk: a file or block device
  --read-only     refuses writes, and opens the image for reading only
  --queues N      offers N queues, each with a thread of its own (1)
  --serve N       ends after N front-ends; without it, serves one after the other for ever
  --once          the same as --serve 1
  --stats FILE    writes what was done to FILE whenever a front-end has gone
  --lose-marks    for tests of migration: does NOT log what it writes to guest memory, so a migration corrupts the guest";

/// A command line that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) socket: PathBuf,
    pub(crate) image: PathBuf,
    pub(crate) access: Access,
    pub(crate) queues: u16,
    /// How many front-ends to serve, if not all that come.
    pub(crate) serve: Option<u64>,
    pub(crate) stats: Option<PathBuf>,
    pub(crate) marks: MarksKept,
}

/// What the guest may do to the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    ReadWrite,
    ReadOnly,
}

/// Whether writes to guest memory are logged for a migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MarksKept {
    Yes,
    /// The negative control of migration tests.
    Lost,
}

impl Options {
    /// Reads a command line, without the program's name.
    pub(crate) fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut words = words.into_iter();
        let (mut socket, mut image, mut stats, mut serve) = (None, None, None, None);
        let (mut access, mut queues, mut marks) = (Access::ReadWrite, 1, MarksKept::Yes);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("`{word}` wants a value"));
            match word.as_str() {
                "--socket" => socket = Some(PathBuf::from(value()?)),
                "--image" => image = Some(PathBuf::from(value()?)),
                "--stats" => stats = Some(PathBuf::from(value()?)),
                "--read-only" => access = Access::ReadOnly,
                "--lose-marks" => marks = MarksKept::Lost,
                "--once" => serve = Some(1),
                "--serve" => serve = Some(number(&word, &value()?, 1..=u64::MAX)?),
                "--queues" => queues = number(&word, &value()?, 1..=MOST_QUEUES)?,
                unknown => return Err(format!("there is no option `{unknown}`")),
            }
        }
        let socket = socket.ok_or("`--socket` is missing")?;
        let image = image.ok_or("`--image` is missing")?;
        Ok(Self { socket, image, access, queues, serve, stats, marks })
    }
}

/// The number that a word is, if it is one that the option takes.
fn number<T>(option: &str, word: &str, range: RangeInclusive<T>) -> Result<T, String>
where
    T: FromStr + PartialOrd + Copy + fmt::Display,
{
    let (least, most) = (*range.start(), *range.end());
    let number = word.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("`{option}` wants a number from {least} to {most}, not `{word}`"))
}

#[cfg(test)]
mod tests {
    use super::{Access, MarksKept, Options};

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_socket_and_an_image_are_enough() {
        let options = parse("--socket s --image i").unwrap();
        assert_eq!((options.access, options.queues), (Access::ReadWrite, 1));
        assert_eq!((options.serve, options.marks), (None, MarksKept::Yes));
        assert!(parse("--socket s").is_err());
        assert!(parse("--image i").is_err());
    }

    #[test]
    fn every_option_is_heard() {
        let line = "--socket s --image i --read-only --queues 4 --once --stats f --lose-marks";
        let options = parse(line).unwrap();
        assert_eq!((options.access, options.queues), (Access::ReadOnly, 4));
        assert_eq!((options.serve, options.marks), (Some(1), MarksKept::Lost));
        assert_eq!(options.stats.unwrap().to_str(), Some("f"));
    }

    #[test]
    fn what_is_no_number_and_what_is_unknown_is_refused() {
        for rest in ["--queues 0", "--queues 65", "--serve 0", "--serve x", "--queues", "--quick"] {
            assert!(parse(&format!("--socket s --image i {rest}")).is_err(), "{rest}");
        }
    }
}
