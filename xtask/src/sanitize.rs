//! `cargo xtask sanitize`: the tests of the stack under the sanitizers of addresses and of threads.
//!
//! They want a nightly toolchain, and the second the sources of the standard library.
//!
//! *Addresses*: what a stray pointer touches. Assembly is not instrumented, so the portable engine takes its place, which is
//! checked access by access; the other unsafe rooms are the same.
//!
//! *Threads*: what two threads touch without an order. The tests that start threads run on the assembly, which the sanitizer does not see: their guests race with
//! devices as guests do, and that is no finding. All the rest is seen, tables, bitmaps, snapshots, counts. That guest memory is
//! used in order where we promise one is tried by [programs](crate::races) of its own.
//!
//! Nothing is suppressed. In a standard library that is not instrumented the sanitizer finds races that are none: it does not see
//! how its locks are handed over, nor the fence by which the last owner of an `Arc` knows what the others did. A line that silences these
//! silences whatever is done under a lock or by a last owner, so the library is built with the rest; for this sanitizer it
//! has a load in the place of that fence.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::call::Call;
use crate::report::Outcome;
use crate::{nightly, programs, races};

/// The target, which has to be named, or build scripts would be instrumented too.
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// The members whose tests run.
const PACKAGES: [&str; 7] = [
    "guest-volatile",
    "guest-memory",
    "guest-mmap",
    "guest-atomic",
    "guest-dirty",
    "guest-iommu",
    "guest-testing",
];
/// Those whose tests with threads run under the sanitizer of threads. Not guest-testing: it plays long sequences, mostly alone, on what
/// the others have tests for.
const WITH_THREADS: [&str; 6] =
    ["guest-volatile", "guest-memory", "guest-mmap", "guest-atomic", "guest-dirty", "guest-iommu"];
/// A test of guest-dirty asks for more memory than there can be, which a sanitizer's allocator refuses as loudly as a real one does
/// silently, so it is told to be silent.
const QUIET: &str = "allocator_may_return_null=1";
/// The flag by which the portable engine is built.
const PORTABLE: &str = "--cfg guest_volatile_portable";

/// Runs the tests under the address sanitizer.
pub(crate) fn addresses(target_directory: &Path) -> Result<Outcome> {
    if let Some(reason) = elsewhere().or_else(nightly::missing) {
        return Ok(reason);
    }
    // Tests leak memory on purpose, to have some that lives for ever.
    tests(PACKAGES)
        .args(["--lib", "--tests"])
        .env("RUSTFLAGS", &format!("-Zsanitizer=address {PORTABLE}"))
        .env("ASAN_OPTIONS", &format!("detect_leaks=0:{QUIET}"))
        .env("CARGO_TARGET_DIR", &directory(target_directory, "addresses"))
        .run()?;
    Ok(Outcome::ok(format!("tests of {} crates", PACKAGES.len())))
}

/// Runs the tests and the programs under the thread sanitizer.
pub(crate) fn threads(target_directory: &Path) -> Result<Outcome> {
    if let Some(reason) = elsewhere() {
        return Ok(reason);
    }
    if let Some(reason) = nightly::missing_sources()? {
        return Ok(reason);
    }
    const SANITIZER: &str = "-Zsanitizer=thread";
    const WITH_STD: &str = "-Zbuild-std";
    let directory = directory(target_directory, "threads");
    let with_threads = tests_with_threads()?;
    tests(WITH_THREADS)
        .args([WITH_STD])
        .args(with_threads.iter().flat_map(|name| ["--test", name]))
        .env("RUSTFLAGS", SANITIZER)
        .env("TSAN_OPTIONS", QUIET)
        .env("CARGO_TARGET_DIR", &directory)
        .run()?;
    nightly::cargo(["build", "--release", "--locked", "--manifest-path", races::MANIFEST])
        .args([WITH_STD, "--target", TARGET])
        .env("RUSTFLAGS", &format!("{SANITIZER} {PORTABLE}"))
        .env("CARGO_TARGET_DIR", &directory)
        .run()?;
    let names = races::run(&Path::new(&directory).join(TARGET).join("release"))?;
    let programs = names.join(", ");
    let tests = Vec::from_iter(with_threads).join(", ");
    Ok(Outcome::ok(format!("tests {tests}; programs {programs}, and what is planted in them")))
}

/// A call of the tests of these members.
fn tests<'a>(packages: impl IntoIterator<Item = &'a str>) -> Call {
    let packages = packages.into_iter().flat_map(|name| ["-p", name]);
    nightly::cargo(["test", "--all-features", "--no-fail-fast", "--target", TARGET]).args(packages)
}

/// The names of the tests that start threads, of any of the members.
fn tests_with_threads() -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for package in WITH_THREADS {
        let directory = Path::new("crates").join(package).join("tests");
        for name in programs::names(&directory)? {
            let file = directory.join(&name).with_extension("rs");
            // What is no file is a directory, of a test in several files or of what tests share.
            let text = fs::read_to_string(file).unwrap_or_default();
            if text.contains("thread::") {
                names.insert(name);
            }
        }
    }
    Ok(names)
}

/// Where what is built for a sanitizer goes.
fn directory(target: &Path, name: &str) -> String {
    target.join("sanitize").join(name).display().to_string()
}

/// Why nothing runs here, if so.
fn elsewhere() -> Option<Outcome> {
    let is_here = cfg!(all(target_os = "linux", target_arch = "x86_64"));
    (!is_here).then(|| Outcome::skipped("sanitizers are set up for Linux on x86-64 alone"))
}
