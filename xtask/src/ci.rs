//! `cargo xtask ci`: the steps that say whether the workspace is fit to merge.
//!
//! They share what they build as far as they can: one set of checked dependencies for clippy, the
//! features and the docs, one of compiled ones for the tests and doctests.

use std::env;
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::call::Call;
use crate::downstream::Selection;
use crate::report::{Outcome, Report};
use crate::workspace::{OUTSIDE, Workspace};
use crate::{
    aarch64, bench, compare, daemon, demo, downstream, facades, features, fuzz, host, instructions,
    inventory, layers, loom, no_std, policy, races, sanitize, semantics, vm,
};

/// One line of the table.
struct Step {
    name: &'static str,
    says: &'static str,
    when: When,
    run: fn(&Workspace) -> Result<Outcome>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    Full,
}

/// All steps, in the order in which they run. Each is of use whether or not the others pass.
const STEPS: [Step; 32] = [
    always("format", "every source is formatted", format),
    always("layers", "crates and rooms point down, and are no longer than a room", layers::check),
    always("semantics", "every line of docs/semantics.md has its tests", |_| semantics::check()),
    always("inventory", "docs/unsafe.md is what the sources have", inventory::check),
    always("policy", "dependencies have reasons, allowed licences and sources", policy::check),
    always("clippy", "no warnings, with all features and with the default ones", clippy),
    always("features", "no warnings with no feature, each alone, all", features::check),
    always(
        "facades",
        "likewise for the facade that is no member; its examples pass",
        facades::check,
    ),
    always("no-std", "the lower crates build without std", no_std::check),
    always("docs", "the documentation builds without warnings", docs),
    always("tests", "tests pass, with all features", tests),
    always("doctests", "examples in the documentation pass", doctests),
    always("benches", "the benches compile", benches),
    always("downstream", "no test of a few users is lost on our memory", |workspace| {
        downstream::run(workspace, &Selection::short())
    }),
    always(
        "vm",
        "a Linux guest works on our disk, and finds and leaves what it wrote",
        |workspace| vm::run(workspace, vm::Run::Boot),
    ),
    full("vm-hotplug", "a guest's memory changes while it works", |workspace| {
        vm::run(workspace, vm::Run::Hotplug)
    }),
    full("vm-migrate", "a guest moves and loses nothing, unless the marks are lost", |workspace| {
        vm::run(workspace, vm::Run::Migrate)
    }),
    full("vm-compare", "a guest sees our memory and the published one", |workspace| {
        vm::run(workspace, vm::Run::Compare)
    }),
    full("release", "tests pass in release builds", release_tests),
    full("downstream-all", "no test of any user known here is lost", |workspace| {
        downstream::run(workspace, &Selection::all())
    }),
    full("fuzz", "a minute of each fuzz target finds nothing", |_| {
        fuzz::run(&fuzz::Wish::default())
    }),
    full(SANITIZERS[0], "tests pass under the address sanitizer", |workspace| {
        sanitize::addresses(&workspace.target)
    }),
    full(
        SANITIZERS[1],
        "tests pass under the thread sanitizer, which finds what is planted",
        |workspace| sanitize::threads(&workspace.target),
    ),
    full("stress", "races that tests try for a moment are tried for longer", stress),
    full("loom", "no schedule of the atomics breaks a promise", |workspace| {
        loom::run(&workspace.target.display().to_string())
    }),
    full("link", "the benches link", link_benches),
    full("recovery", "faults are errors, whatever linker and profile made the table", recovery),
    full("aarch64", "the tests of the lower crates pass on an emulated aarch64", |workspace| {
        aarch64::run(&workspace.target.display().to_string())
    }),
    full("instructions", "hot operations take as many instructions as are kept", |workspace| {
        instructions::check(workspace, bench::PACKAGE)
    }),
    full(
        "daemon",
        "the vhost-user-blk daemon builds on both sides, and passes its tests",
        daemon::check,
    ),
    full("demo", "the demonstration passes its own checks", demonstration),
    full("advisories", "no dependency has a known hole", |_| policy::check_advisories()),
];

/// The steps that are `cargo xtask sanitize`.
pub(crate) const SANITIZERS: [&str; 2] = ["addresses", "threads"];

/// Runs the named steps, or else all that the kind of run asks for.
pub(crate) fn run(workspace: &Workspace, full: bool, names: &[String]) -> Result<ExitCode> {
    for line in host::describe() {
        println!("{line}");
    }
    let mut report = Report::default();
    for step in STEPS.iter().filter(|step| step.is_wanted(full, names)) {
        report.step(step.name, step.says, || (step.run)(workspace));
    }
    println!("\n{}", report.table());
    if names.is_empty() && !full {
        let rest: Vec<_> =
            STEPS.iter().filter(|step| step.when == When::Full).map(|step| step.name).collect();
        println!("(only with --full: {})", rest.join(", "));
    }
    Ok(if report.failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Whether there is a step of that name.
pub(crate) fn has_step(name: &str) -> bool {
    STEPS.iter().any(|step| step.name == name)
}

/// One line about each step.
pub(crate) fn describe_steps() -> impl Iterator<Item = String> {
    STEPS.iter().map(|step| {
        let only = if step.when == When::Full { " (only with --full or by name)" } else { "" };
        format!("  {:<14}  {}{only}", step.name, step.says)
    })
}

impl Step {
    fn is_wanted(&self, full: bool, names: &[String]) -> bool {
        if names.is_empty() {
            self.when == When::Always || full
        } else {
            names.iter().any(|name| name == self.name)
        }
    }
}

type Run = fn(&Workspace) -> Result<Outcome>;

const fn always(name: &'static str, says: &'static str, run: Run) -> Step {
    Step { name, says, when: When::Always, run }
}

const fn full(name: &'static str, says: &'static str, run: Run) -> Step {
    Step { name, says, when: When::Full, run }
}

fn format(_: &Workspace) -> Result<Outcome> {
    let members = Call::cargo(["fmt", "--all", "--check"]).run();
    // These are no members, so `--all` does not reach them.
    let others =
        [no_std::CONSUMER, compare::DEVICE, OUTSIDE, fuzz::MANIFEST, races::MANIFEST, daemon::OURS];
    let others =
        others.map(|manifest| Call::cargo(["fmt", "--check", "--manifest-path", manifest]).run());
    all_of([members].into_iter().chain(others))
}

fn clippy(workspace: &Workspace) -> Result<Outcome> {
    let deny = ["--", "-D", "warnings"];
    let all = Call::cargo(["clippy", "--workspace", "--all-targets", "--all-features"]).args(deny);
    let default = Call::cargo(["clippy"])
        .args(workspace.stack_arguments())
        .args(["--all-targets"])
        .args(deny);
    all_of([all.run(), default.run()])
}

fn docs(workspace: &Workspace) -> Result<Outcome> {
    let flags = env::var("RUSTDOCFLAGS").unwrap_or_default();
    Call::cargo(["doc", "--no-deps", "--all-features"])
        .args(workspace.stack_arguments())
        .env("RUSTDOCFLAGS", format!("{flags} -D warnings").trim())
        .run()?;
    Ok(Outcome::ok(""))
}

fn tests(_: &Workspace) -> Result<Outcome> {
    run_tests(&[])
}

fn release_tests(_: &Workspace) -> Result<Outcome> {
    run_tests(&["--release"])
}

fn run_tests(profile: &[&str]) -> Result<Outcome> {
    let what = ["--workspace", "--all-features", "--no-fail-fast"];
    if Call::cargo(["nextest", "--version"]).succeeds() {
        Call::cargo(["nextest", "run"]).args(what).args(profile).run()?;
        return Ok(Outcome::ok("by cargo-nextest"));
    }
    let run = Call::cargo(["test", "--lib", "--bins", "--tests"]);
    run.args(what).args(profile).run()?;
    Ok(Outcome::ok("by cargo test"))
}

/// The tests that race for some time, whichever crate has them.
const RACES: [&str; 4] = ["stress", "litmus", "migration", "retirement"];
/// How many times longer they do; it is 6 to 20 seconds each then.
const LONGER: &str = "20";

fn stress(workspace: &Workspace) -> Result<Outcome> {
    // One after the other: each wants the processors for itself.
    Call::cargo(["test", "--release", "--all-features", "--no-fail-fast"])
        .args(workspace.stack_arguments())
        .args(RACES.iter().flat_map(|name| ["--test", name]))
        .args(["--", "--test-threads=1"])
        .env("STRESS", LONGER)
        .run()?;
    Ok(Outcome::ok(format!("{}, {LONGER} times as long", RACES.join(", "))))
}

fn doctests(_: &Workspace) -> Result<Outcome> {
    Call::cargo(["test", "--doc", "--workspace", "--all-features"]).run()?;
    Ok(Outcome::ok(""))
}

fn benches(workspace: &Workspace) -> Result<Outcome> {
    Call::cargo(["check", "-p", bench::PACKAGE, "--benches", "--bins"]).run()?;
    Ok(Outcome::ok(bench::count(workspace)))
}

fn link_benches(workspace: &Workspace) -> Result<Outcome> {
    Call::cargo(["bench", "-p", bench::PACKAGE, "--no-run"]).run()?;
    Ok(Outcome::ok(bench::count(workspace)))
}

/// The compiler's own linker, which leaves out sections that nobody refers to, unless told; and the system's.
const LINKERS: [&str; 2] = ["", "-Clinker-features=-lld"];

/// Whether every instruction that may fault is still in its table when it was optimized, and linked.
fn recovery(workspace: &Workspace) -> Result<Outcome> {
    let target = workspace.target.join("recovery").display().to_string();
    for linker in LINKERS {
        for profile in ["release", "compare-fat", "compare-small"] {
            Call::cargo(["test", "-p", "guest-volatile", "--all-features", "--test", "faults"])
                .args(["--profile", profile])
                .env("RUSTFLAGS", linker)
                .env("CARGO_TARGET_DIR", &target)
                .run()?;
        }
    }
    Ok(Outcome::ok("2 linkers, 3 profiles"))
}

fn demonstration(_: &Workspace) -> Result<Outcome> {
    demo::run(&[])?;
    Ok(Outcome::ok(""))
}

/// What calls came to that were all made; the table shows the first failure among them.
fn all_of(results: impl IntoIterator<Item = Result<()>>) -> Result<Outcome> {
    let failures: Vec<_> = results.into_iter().filter_map(Result::err).collect();
    match failures.as_slice() {
        [] => Ok(Outcome::ok("")),
        several => {
            let told: Vec<_> = several.iter().map(|problem| format!("{problem:#}")).collect();
            bail!("{}", told.join("\n"))
        }
    }
}
