//! What command lines mean.

use crate::vm::Run;
use crate::{Task, usage};

fn parse(line: &str) -> Result<Task, String> {
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    Task::parse(&words).map_err(|problem| problem.to_string())
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn no_command_asks_for_help() {
    assert_eq!(parse(""), Ok(Task::Help));
    assert_eq!(parse("--help"), Ok(Task::Help));
}

#[test]
fn an_unknown_command_flag_or_step_is_refused_by_name() {
    assert_eq!(parse("deploy"), Err("there is no command `deploy`".to_owned()));
    assert_eq!(parse("ci --fast"), Err("there is no flag `--fast`".to_owned()));
    assert_eq!(parse("ci taste"), Err("`ci` has no step `taste`".to_owned()));
}

#[test]
fn ci_takes_steps_and_a_flag_in_any_order() {
    let steps = words("layers docs");
    assert_eq!(parse("ci layers --full docs"), Ok(Task::Ci { full: true, steps }));
    assert_eq!(parse("ci"), Ok(Task::Ci { full: false, steps: Vec::new() }));
}

#[test]
fn demo_hands_everything_on_but_the_dashes_before_it() {
    assert_eq!(parse("demo -- --help"), Ok(Task::Demo { arguments: words("--help") }));
    assert_eq!(parse("demo --help x"), Ok(Task::Demo { arguments: words("--help x") }));
}

#[test]
fn bench_hands_on_what_follows_the_dashes() {
    let filters = words("read_obj");
    let arguments = words("--save-baseline a");
    assert_eq!(
        parse("bench read_obj -- --save-baseline a"),
        Ok(Task::Bench { full: false, filters, arguments })
    );
}

#[test]
fn bench_compares_or_counts_when_told_to() {
    assert!(matches!(parse("bench --compare objects"), Ok(Task::Compare { .. })));
    assert_eq!(parse("bench --instructions --bless"), Ok(Task::Instructions { bless: true }));
    assert_eq!(parse("bench --instructions"), Ok(Task::Instructions { bless: false }));
    assert!(parse("bench --instructions read").is_err());
}

#[test]
fn vm_makes_one_run_at_a_time() {
    assert_eq!(parse("vm"), Ok(Task::Vm { run: Run::Boot }));
    assert_eq!(parse("vm --hotplug"), Ok(Task::Vm { run: Run::Hotplug }));
    assert_eq!(parse("vm --migrate"), Ok(Task::Vm { run: Run::Migrate }));
    assert_eq!(parse("vm --compare"), Ok(Task::Vm { run: Run::Compare }));
    assert!(parse("vm --migrate --hotplug").is_err());
}

#[test]
fn the_usage_names_every_command_and_step() {
    for name in ["ci", "demo", "bench", "vm", "format", "layers", "no-std"] {
        assert!(usage().contains(&format!("  {name} ")), "{name} is missing");
    }
}
