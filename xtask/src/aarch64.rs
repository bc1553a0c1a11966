//! The tests on the other processor whose instructions the crates know: aarch64, by an emulator.
//!
//! It wants the standard library for that target, a linker, and qemu's emulator of programs, which raises the signals of faults as a kernel does. It does
//! more in order than a processor would, so it proves nothing about memory ordering.

use anyhow::Result;

use crate::call::Call;
use crate::report::Outcome;

const TARGET: &str = "aarch64-unknown-linux-gnu";
/// Of Debian's package gcc-aarch64-linux-gnu, which also brings the C library.
const LINKER: &str = "aarch64-linux-gnu-gcc";
/// Of Debian's package qemu-user-static.
const EMULATOR: &str = "qemu-aarch64-static";
/// Where the C library is.
const LIBRARIES: &str = "/usr/aarch64-linux-gnu";
/// The members whose tests are checked, and of those the tests that run: all, or the named ones. The others ask of the kernel what the emulator
/// does not hand on, or says it did: advice on memory, huge pages, limits of a process, filters of system calls.
const PACKAGES: [(&str, &[&str]); 4] = [
    ("guest-volatile", &[]),
    ("guest-memory", &[]),
    ("guest-mmap", &["protection", "regions", "streams", "tearing", "truncation"]),
    ("guest-dirty", &["bitmap", "harvest", "litmus", "merge", "migration", "stress", "writes"]),
];
/// What newer processors have, and other instructions are taken for.
const NEWER: &str = "-Ctarget-feature=+lse";

/// Runs them.
pub(crate) fn run(target_directory: &str) -> Result<Outcome> {
    let installed = Call::program("rustup", ["target", "list", "--installed"]).text();
    if !installed.is_ok_and(|targets| targets.lines().any(|line| line == TARGET)) {
        return Ok(Outcome::skipped(format!(
            "there is no standard library for {TARGET} (rustup target add {TARGET})"
        )));
    }
    let directory = format!("{target_directory}/aarch64");
    let clippy = Call::cargo(["clippy", "--all-targets", "--all-features", "--target", TARGET]);
    clippy
        .args(PACKAGES.iter().flat_map(|(name, _)| ["-p", name]))
        .args(["--", "-D", "warnings"])
        .env("CARGO_TARGET_DIR", &directory)
        .run()?;
    for program in [LINKER, EMULATOR] {
        if !Call::program(program, ["--version"]).succeeds() {
            return Ok(Outcome::skipped(format!(
                "clippy only: there is no {program} \
                 (apt-get install gcc-aarch64-linux-gnu qemu-user-static)"
            )));
        }
    }
    for (package, tests) in PACKAGES {
        test(&directory, package, tests).run()?;
    }
    test(&directory, "guest-volatile", &["atomics", "faults"]).env("RUSTFLAGS", NEWER).run()?;
    Ok(Outcome::ok(format!("{} crates, by {EMULATOR}", PACKAGES.len())))
}

/// A call that runs the tests of a member: all, or those that are named.
fn test(directory: &str, package: &str, tests: &[&str]) -> Call {
    let all: &[&str] = if tests.is_empty() { &["--tests"] } else { &[] };
    Call::cargo(["test", "--all-features", "--no-fail-fast", "--target", TARGET, "-p", package])
        .args(all)
        .args(tests.iter().flat_map(|name| ["--test", name]))
        .env("CARGO_TARGET_DIR", directory)
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", LINKER)
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", &format!("{EMULATOR} -L {LIBRARIES}"))
}
