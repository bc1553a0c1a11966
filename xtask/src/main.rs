//! The project's own commands, run as `cargo xtask <command>`: `ci`, `demo`, `bench`,
//! `downstream`, `fuzz`, `sanitize`, `vm`, `inventory`.
//!
//! Every command is a sequence of calls of cargo and a few checks of our own; nothing here is
//! needed to build or use the crates. Rooms are declared from the bottom up.

#![forbid(unsafe_code)]

mod call;
mod host;
mod workspace;
mod source;
mod report;
mod layers;
mod features;
mod facades;
mod no_std;
mod nightly;
mod programs;
mod fuzz;
mod races;
mod policy;
mod semantics;
mod inventory;
mod demo;
mod profiles;
mod instructions;
mod downstream;
mod daemon;
mod compare;
mod bench;
mod sanitize;
mod loom;
mod vm;
mod aarch64;
mod ci;
#[cfg(test)]
mod tests;

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

use crate::compare::Options;
use crate::downstream::Selection;
use crate::workspace::Workspace;

/// What a command line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Task {
    Help,
    Ci { full: bool, steps: Vec<String> },
    Demo { arguments: Vec<String> },
    Bench { full: bool, filters: Vec<String>, arguments: Vec<String> },
    Compare { options: Options },
    Instructions { bless: bool },
    Downstream { selection: Selection },
    Fuzz { wish: fuzz::Wish },
    Inventory,
    Sanitize,
    Vm { run: vm::Run },
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let task = match Task::parse(&arguments) {
        Ok(task) => task,
        Err(problem) => {
            eprintln!("error: {problem}\n\n{}", usage());
            return ExitCode::from(2);
        }
    };
    match task.run() {
        Ok(code) => code,
        Err(problem) => {
            eprintln!("error: {problem:#}");
            ExitCode::FAILURE
        }
    }
}

impl Task {
    /// Reads a command line, without the program's name.
    fn parse(arguments: &[String]) -> Result<Self> {
        let Some((command, rest)) = arguments.split_first() else { return Ok(Self::Help) };
        match command.as_str() {
            "ci" => {
                let (full, steps) = full_and_names(rest)?;
                if let Some(unknown) = steps.iter().find(|name| !ci::has_step(name)) {
                    bail!("`ci` has no step `{unknown}`");
                }
                Ok(Self::Ci { full, steps })
            }
            "demo" => {
                let arguments = rest.strip_prefix(&["--".to_owned()]).unwrap_or(rest).to_vec();
                Ok(Self::Demo { arguments })
            }
            "bench" if rest.iter().any(|word| word == "--compare") => {
                Ok(Self::Compare { options: Options::parse(rest)? })
            }
            "bench" if rest.iter().any(|word| word == "--instructions") => {
                let known = |word: &&String| ["--instructions", "--bless"].contains(&word.as_str());
                if let Some(unknown) = rest.iter().find(|word| !known(word)) {
                    bail!("`--instructions` goes with `--bless` alone, not with `{unknown}`");
                }
                Ok(Self::Instructions { bless: rest.iter().any(|word| word == "--bless") })
            }
            "bench" => {
                let end = rest.iter().position(|word| word == "--").unwrap_or(rest.len());
                let (full, filters) = full_and_names(&rest[..end])?;
                let arguments = rest.iter().skip(end + 1).cloned().collect();
                Ok(Self::Bench { full, filters, arguments })
            }
            "downstream" => Ok(Self::Downstream { selection: Selection::parse(rest)? }),
            "inventory" if rest.is_empty() => Ok(Self::Inventory),
            "sanitize" if rest.is_empty() => Ok(Self::Sanitize),
            "fuzz" => Ok(Self::Fuzz { wish: fuzz::Wish::parse(rest)? }),
            "vm" => Ok(Self::Vm { run: vm::Run::parse(rest)? }),
            "help" | "--help" | "-h" => Ok(Self::Help),
            unknown => bail!("there is no command `{unknown}`"),
        }
    }

    fn run(self) -> Result<ExitCode> {
        if self == Self::Help {
            println!("{}", usage());
            return Ok(ExitCode::SUCCESS);
        }
        // Every path that the rooms name is relative to the root of the workspace.
        let root = root();
        env::set_current_dir(&root).with_context(|| format!("cannot enter {}", root.display()))?;
        let workspace = Workspace::read()?;
        match self {
            Self::Help => {}
            Self::Ci { full, steps } => return ci::run(&workspace, full, &steps),
            Self::Demo { arguments } => demo::run(&arguments)?,
            Self::Bench { full, filters, arguments } => {
                bench::run(&workspace, full, &filters, &arguments)?;
            }
            Self::Compare { options } => compare::run(&workspace, bench::PACKAGE, &options)?,
            Self::Instructions { bless: true } => instructions::bless(&workspace, bench::PACKAGE)?,
            Self::Instructions { bless: false } => {
                println!("{:?}", instructions::check(&workspace, bench::PACKAGE)?);
            }
            Self::Downstream { selection } => {
                downstream::run(&workspace, &selection)?;
            }
            Self::Inventory => inventory::make(&workspace)?,
            Self::Sanitize => {
                return ci::run(&workspace, false, &ci::SANITIZERS.map(str::to_owned));
            }
            Self::Vm { run } => println!("{}", vm::run(&workspace, run)?),
            Self::Fuzz { wish } => println!("{}", fuzz::run(&wish)?),
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Splits words into whether `--full` is among them, and those that are no flag.
fn full_and_names(words: &[String]) -> Result<(bool, Vec<String>)> {
    let (flags, names): (Vec<_>, Vec<_>) =
        words.iter().cloned().partition(|word| word.starts_with('-'));
    if let Some(unknown) = flags.iter().find(|flag| *flag != "--full") {
        bail!("there is no flag `{unknown}`");
    }
    Ok((!flags.is_empty(), names))
}

/// The root of the workspace: the directory above this crate's.
fn root() -> PathBuf {
    // Cargo says at run time where the crate is; what it said at build time serves a bare call.
    let here = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    here.parent().map_or_else(|| here.clone(), Path::to_path_buf)
}

fn usage() -> String {
    let lines = [
        "usage: cargo xtask <command>",
        "",
        "  ci [--full] [step…]",
        "      checks the workspace, all steps or the named ones, and ends with a table of them",
        "      (--full also runs the slow ones; CARGO_BUILD_JOBS bounds the parallel builds)",
        "  demo [argument…]",
        "      builds and runs the demonstration: a guest that uses every layer",
        "  bench [--full] [filter…] [-- criterion argument…]",
        "      measures what matches any filter (a regex on crate/operation/size), quickly;",
        "      --full measures with criterion's own times and sample sizes",
        "  bench --compare [--rounds n] [--profile release|fat|small] [part of a target…]",
        "      measures the targets of PERFORMANCE.md beside a raw pointer and the published",
        "      vm-memory 0.16 and 0.18, and says which are met; all of it writes docs/performance.*",
        "  bench --instructions [--bless]",
        "      counts the instructions of hot operations, and compares with those that are kept",
        "      in benches/instructions.txt (--bless keeps the new ones)",
        "  downstream [--line 0.17|0.18] [--short] [package…]",
        "      runs the tests of packages that use vm-memory, as published, on the published",
        "      vm-memory and on ours, and fails if ours loses one (--short: a few packages)",
        "  fuzz [--seconds n] [target…]",
        "      feeds the fuzz targets for a while, 60 s each, from their seeds and what they learned",
        "  sanitize",
        "      runs the tests of the stack under the sanitizers of addresses and of threads, and",
        "      shows that the second finds a race: the steps addresses and threads of ci",
        "  vm [--hotplug | --migrate | --compare]",
        "      boots Linux under QEMU on a disk that our vhost-user-blk daemon serves: it works and all is",
        "      verified (or: its memory changes under load; it moves to another machine, and a daemon",
        "      that loses its marks is found out; it measures the published vm-memory and ours)",
        "  inventory",
        "      writes docs/unsafe.md from the sources",
        "  help",
        "      shows this text",
        "",
        "steps of ci:",
    ];
    let lines = lines.into_iter().map(str::to_owned).chain(ci::describe_steps());
    lines.collect::<Vec<_>>().join("\n")
}
