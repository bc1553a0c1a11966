//! The programs of `races/`, under the thread sanitizer.
//!
//! Each is one promise about order, by which alone its threads use guest memory in turns. They use it by the portable engine, whose
//! accesses the sanitizer sees; it knows whether the promise orders them. Then each program is run once more with the step left out
//! that makes it right. If the sanitizer is silent then, its silence before meant nothing, and that is a failure as well.

use core::time::Duration;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::call::Call;
use crate::programs;

/// The manifest of the programs, a workspace of its own.
pub(crate) const MANIFEST: &str = "races/Cargo.toml";
/// Where the programs are, a file each.
const PROGRAMS: &str = "races/src/bin";
/// How a program is asked to leave the step out.
const PLANTED: &str = "planted";
/// How long a program may take, which takes some seconds.
const LIMIT: Duration = Duration::from_secs(5 * 60);
/// What the sanitizer says of a race.
const FOUND: &str = "WARNING: ThreadSanitizer: data race";

/// Runs all programs, as they are and planted, that are built with the sanitizer in `directory`. Gives their names.
pub(crate) fn run(directory: &Path) -> Result<Vec<String>> {
    let names = programs::names(Path::new(PROGRAMS))?;
    for name in &names {
        let program = directory.join(name).display().to_string();
        Call::program(&program, [""; 0])
            .within(LIMIT)
            .run()
            .with_context(|| format!("the promise of {PROGRAMS}/{name}.rs is broken"))?;
        let planted =
            Call::program(&program, [PLANTED]).env("TSAN_OPTIONS", "halt_on_error=1").within(LIMIT);
        println!("$ {}", planted.shown());
        let output = planted.output()?;
        let found = is_found(&output.stderr);
        ensure!(found, "the sanitizer says nothing of the race that is planted in `{name}`");
        println!("  the planted race is found");
    }
    Ok(names)
}

fn is_found(told: &[u8]) -> bool {
    String::from_utf8_lossy(told).contains(FOUND)
}

#[cfg(test)]
mod tests {
    use super::is_found;

    #[test]
    fn a_race_is_found_where_the_sanitizer_says_so_and_not_where_a_program_fails_otherwise() {
        assert!(is_found(
            b"======\nWARNING: ThreadSanitizer: data race (pid=1)\n  Write of size 8"
        ));
        assert!(!is_found(b"thread 'main' panicked at src/lib.rs:1:1:\na race"));
        assert!(!is_found(b"ThreadSanitizer: CHECK failed"));
    }
}
