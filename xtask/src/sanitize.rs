//! `cargo xtask sanitize`: the tests of the stack under the address sanitizer, which sees what a stray pointer touches.
//!
//! It wants a nightly toolchain. Assembly is not instrumented, so the portable engine takes its place, which is checked access by
//! access; the other unsafe rooms are the same.

use anyhow::Result;

use crate::call::Call;
use crate::report::Outcome;

/// The target, which has to be named, or build scripts would be instrumented too.
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// The members whose tests run. A test of guest-dirty asks for more memory than there can be, which the sanitizer's allocator
/// refuses as loudly as a real one does silently, so it is told to be silent.
const PACKAGES: [&str; 7] = [
    "guest-volatile",
    "guest-memory",
    "guest-mmap",
    "guest-atomic",
    "guest-dirty",
    "guest-iommu",
    "guest-testing",
];
/// Tests leak memory on purpose, to have some that lives for ever.
const OPTIONS: &str = "detect_leaks=0:allocator_may_return_null=1";

/// Runs them.
pub(crate) fn run(target_directory: &str) -> Result<Outcome> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Ok(Outcome::skipped("the sanitizer is set up for Linux on x86-64 alone"));
    }
    if !Call::program("cargo", ["+nightly", "--version"]).succeeds() {
        return Ok(Outcome::skipped(
            "there is no nightly toolchain (rustup toolchain install nightly)",
        ));
    }
    let packages = PACKAGES.iter().flat_map(|name| ["-p", name]);
    // The cargo that runs this program is that of a toolchain; this one is of whoever chooses among them.
    Call::program(
        "cargo",
        ["+nightly", "test", "--all-features", "--lib", "--tests", "--no-fail-fast"],
    )
    .args(["--target", TARGET])
    .args(packages)
    .env("RUSTFLAGS", "-Zsanitizer=address --cfg guest_volatile_portable")
    .env("ASAN_OPTIONS", OPTIONS)
    .env("CARGO_TARGET_DIR", &format!("{target_directory}/sanitize"))
    .run()?;
    Ok(Outcome::ok(format!("addresses, {} crates", PACKAGES.len())))
}
