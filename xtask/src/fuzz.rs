//! `cargo xtask fuzz`: feeds the fuzz targets with whatever may break them, for a while.
//!
//! cargo-fuzz builds them with the nightly toolchain, coverage and the address sanitizer. What they find stays in
//! `fuzz/artifacts`, what they learn in `fuzz/corpus`; seeds to start from are in the repository.

use core::time::Duration;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::call::Call;
use crate::report::Outcome;
use crate::{nightly, programs};

/// The directory of the fuzz targets, which is a workspace of its own.
pub(crate) const DIRECTORY: &str = "fuzz";
/// Its manifest.
pub(crate) const MANIFEST: &str = "fuzz/Cargo.toml";
/// How long each target runs where nobody says.
const SECONDS: u64 = 60;
/// How long a target may be built.
const BUILD: Duration = Duration::from_secs(30 * 60);
/// How long one input may take, in seconds, before it counts as one that hangs.
const HANGS_AFTER: u64 = 10;

/// What to fuzz, and how long.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Wish {
    seconds: Option<u64>,
    /// The targets; all, if none is named.
    targets: Vec<String>,
}

impl Wish {
    /// Reads the words of a command line.
    pub(crate) fn parse(words: &[String]) -> Result<Self> {
        let mut wish = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--seconds" => {
                    let number = words.next().map(|word| word.parse());
                    let Some(Ok(seconds @ 1..)) = number else {
                        bail!("`--seconds` wants a number of at least 1");
                    };
                    wish.seconds = Some(seconds);
                }
                flag if flag.starts_with('-') => bail!("there is no flag `{flag}`"),
                name => wish.targets.push(name.to_owned()),
            }
        }
        Ok(wish)
    }
}

/// Runs the targets one after the other; fails at the first finding.
pub(crate) fn run(wish: &Wish) -> Result<Outcome> {
    if !Call::cargo(["fuzz", "--version"]).succeeds() {
        let how = "cargo install cargo-fuzz --locked";
        return Ok(Outcome::skipped(format!("cargo-fuzz is not installed ({how})")));
    }
    if let Some(missing) = nightly::missing() {
        return Ok(missing);
    }
    let known = programs::names(&Path::new(DIRECTORY).join("fuzz_targets"))?;
    if let Some(unknown) = wish.targets.iter().find(|name| !known.contains(name)) {
        bail!("there is no fuzz target `{unknown}`, only {}", known.join(", "));
    }
    let wanted = if wish.targets.is_empty() { &known } else { &wish.targets };
    let seconds = wish.seconds.unwrap_or(SECONDS);
    for target in wanted {
        let corpus = directory("corpus", target);
        fs::create_dir_all(&corpus).with_context(|| format!("cannot make {corpus}"))?;
        call(target, seconds)
            .run()
            .with_context(|| format!("the target `{target}` found something"))?;
    }
    Ok(Outcome::ok(format!("{}, {seconds} s each, nothing found", wanted.join(", "))))
}

fn call(target: &str, seconds: u64) -> Call {
    let limits = [
        format!("-max_total_time={seconds}"),
        format!("-timeout={HANGS_AFTER}"),
        "-print_final_stats=1".to_owned(),
    ];
    nightly::cargo(["fuzz", "run", "-O", target])
        .args([directory("corpus", target), directory("seeds", target), "--".to_owned()])
        .args(limits)
        .within(BUILD + Duration::from_secs(seconds))
}

/// The inputs of a kind for a target.
fn directory(kind: &str, target: &str) -> String {
    format!("{DIRECTORY}/{kind}/{target}")
}

#[cfg(test)]
mod tests {
    use super::{Wish, call};

    fn wish(line: &str) -> Result<Wish, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Wish::parse(&words).map_err(|problem| problem.to_string())
    }

    #[test]
    fn a_wish_names_targets_and_a_time() {
        assert_eq!(wish(""), Ok(Wish::default()));
        let both = Wish { seconds: Some(9), targets: vec!["maps".to_owned(), "iommu".to_owned()] };
        assert_eq!(wish("maps --seconds 9 iommu"), Ok(both));
    }

    #[test]
    fn no_time_and_unknown_flags_are_refused() {
        for line in ["--seconds", "--seconds 0", "--seconds long"] {
            assert_eq!(wish(line), Err("`--seconds` wants a number of at least 1".to_owned()));
        }
        assert_eq!(wish("--forever"), Err("there is no flag `--forever`".to_owned()));
    }

    #[test]
    fn a_target_is_run_from_its_seeds() {
        let shown = call("maps", 5).shown().to_owned();
        assert!(
            shown.contains("cargo +nightly fuzz run -O maps fuzz/corpus/maps fuzz/seeds/maps -- ")
        );
        assert!(shown.contains("-max_total_time=5 -timeout=10"));
    }
}
