//! That outputs, manifests and command lines are read for what they say, and tables written so.

use core::time::Duration;
use std::path::Path;

use super::Selection;
use super::output::{Tests, Verdict, errors};
use super::packages::{LINES, PACKAGES, Package, Side};
use super::sources::with_addition;
use super::suite::Run;
use super::table::{Row, Table};

const OUTPUT: &str = "\
   Compiling queue v0.1.0 (/w)
     Running unittests src/lib.rs (/t/debug/deps/queue-0123)

running 5 tests
test chain::tests::empty ... ok
test chain::tests::wraps - should panic ... ok
test queue::tests::noisy ... opening a device
closed\tok
test queue::tests::slow ... ignored, takes an hour
test queue::tests::wrong ... FAILED

failures:

---- queue::tests::wrong stdout ----
test queue::tests::quoted ... ok

failures:
    queue::tests::wrong

test result: FAILED. 3 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out

     Running tests/chain.rs (/t/debug/deps/chain-4567)

running 1 test
test chain::tests::empty ... ok

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out

   Doc-tests queue

running 1 test
test src/lib.rs - Queue::new (line 12) - compile fail ... ok

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out
";

fn read(text: &str) -> Tests {
    Tests::read(text)
}

fn one(name: &str, verdict: &str) -> String {
    format!("running 1 test\ntest {name} ... {verdict}\n")
}

fn tested(tests: Tests) -> Run {
    Run::Tested { tests, built: Duration::from_millis(1250), ran_out: false }
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn tests_are_read_with_their_targets_and_verdicts() {
    let tests = read(OUTPUT);
    let counts = [Verdict::Passed, Verdict::Failed, Verdict::Ignored].map(|v| tests.count(v));
    assert_eq!(counts, [5, 1, 1]);
    assert_eq!(
        tests.lost(&Tests::default()),
        [
            "Doc-tests queue: src/lib.rs - Queue::new (line 12) - compile fail",
            "tests/chain.rs: chain::tests::empty",
            "unittests src/lib.rs: chain::tests::empty",
            "unittests src/lib.rs: chain::tests::wraps - should panic",
            "unittests src/lib.rs: queue::tests::noisy",
        ]
    );
}

#[test]
fn a_test_that_passes_on_stock_is_lost_if_it_fails_is_ignored_or_is_not_there() {
    let stock = read(&one("a", "ok"));
    for ours in [one("a", "FAILED"), one("a", "ignored"), one("b", "ok"), String::new()] {
        assert_eq!(stock.lost(&read(&ours)), [": a"], "{ours}");
    }
    assert!(stock.lost(&stock).is_empty());
}

#[test]
fn a_test_that_fails_on_stock_cannot_be_lost() {
    let stock = read(&one("a", "FAILED"));
    assert!(stock.lost(&read("")).is_empty());
    assert_eq!(stock.failed_too(&stock).collect::<Vec<_>>(), [": a"]);
    assert_eq!(stock.failed_too(&read(&one("a", "ok"))).count(), 0);
}

#[test]
fn a_test_that_kills_its_program_has_no_verdict() {
    let text = "running 2 tests\ntest a ... ok\ntest b ... error: test failed, to rerun pass `--lib`\n\
                \n   Doc-tests queue\n\nrunning 0 tests\n\ntest result: ok. 0 passed\n";
    let tests = read(text);
    assert_eq!(tests.lost(&Tests::default()), [": a"]);
    assert_eq!(tests.count(Verdict::Failed), 0);
}

#[test]
fn errors_are_shown_from_the_first_on_and_cut() {
    let text = "warning: unused\nerror[E0106]: missing\n --> a.rs\n\nerror: could not compile\n";
    assert_eq!(errors(text, 9), "error[E0106]: missing\n --> a.rs\n\nerror: could not compile");
    assert_eq!(errors(text, 2), "error[E0106]: missing\n --> a.rs\n… and 2 lines more");
}

#[test]
fn a_manifest_gets_the_patch_once_and_for_our_side_alone() {
    let published = "[package]\nname = \"queue\"\n";
    let ours = with_addition(published, Side::Ours, Path::new("/w/crates/vm-memory"));
    assert!(ours.starts_with(published));
    assert!(ours.ends_with(
        "[workspace]\n[patch.crates-io]\nvm-memory = { path = \"/w/crates/vm-memory\" }\n"
    ));
    let moved = with_addition(&ours, Side::Ours, Path::new("/x"));
    assert_eq!(moved.matches("[workspace]").count(), 1);
    assert!(moved.contains("\"/x\"") && !moved.contains("/w/"));
    assert!(!with_addition(published, Side::Stock, Path::new("/x")).contains("patch"));
}

#[test]
fn the_table_counts_and_names_what_is_lost() {
    let stock = format!("{}{}", one("a", "ok"), one("b", "ok"));
    let [first, second, ..] = &PACKAGES;
    let mut table = Table::default();
    let compared = |package, ours: &str| Row::Compared {
        package,
        stock: tested(read(&stock)),
        ours: tested(read(ours)),
    };
    table.add(compared(first, &stock));
    assert!(table.judge().is_ok());
    table.add(Row::Skipped { package: second, missing: vec!["libx-dev"] });
    assert!(table.judge().is_ok());
    table.add(compared(second, &one("a", "ok")));
    let problem = table.judge().unwrap_err().to_string();
    assert_eq!(problem, "tests lost: 1; packages that cannot be compared: 0");
    let shown = table.show();
    let row = format!("0.18  {first}        2      0        2      0      0       1.2      1.2");
    assert!(shown.contains(&row), "{shown}");
    assert!(shown.contains(&format!("{second}: LOST: : b")), "{shown}");
    assert!(shown.contains("(apt-get install libx-dev)"), "{shown}");
}

#[test]
fn a_package_that_builds_on_stock_alone_loses_all_its_tests() {
    let not_built = || Run::NotBuilt { errors: "error: no".to_owned(), log: "x.log".into() };
    let mut table = Table::default();
    let stock = tested(read(&one("a", "ok")));
    table.add(Row::Compared { package: &PACKAGES[0], stock, ours: not_built() });
    let problem = table.judge().unwrap_err().to_string();
    assert_eq!(problem, "tests lost: 1; packages that cannot be compared: 0");
    let shown = table.show();
    assert!(shown.contains("does not build on ours (x.log)\n    error: no"), "{shown}");
    assert!(shown.contains("LOST: all 1 that pass on stock"), "{shown}");
}

#[test]
fn a_package_that_builds_nowhere_is_no_success() {
    let not_built = || Run::NotBuilt { errors: String::new(), log: "x.log".into() };
    let mut table = Table::default();
    table.add(Row::Compared { package: &PACKAGES[0], stock: not_built(), ours: not_built() });
    let problem = table.judge().unwrap_err().to_string();
    assert_eq!(problem, "tests lost: 0; packages that cannot be compared: 1");
}

#[test]
fn packages_are_chosen_by_line_name_and_length() {
    let chosen = |line: &str| {
        let selection = Selection::parse(&words(line)).unwrap();
        let chosen = PACKAGES.iter().filter(|package| selection.has(package));
        chosen.map(Package::word).collect::<Vec<_>>()
    };
    assert_eq!(chosen("").len(), PACKAGES.len());
    assert_eq!(chosen("--line 0.17 virtio-queue"), ["virtio-queue-0.17.0"]);
    assert_eq!(chosen("--short --line 0.18 virtio-queue imago"), ["virtio-queue-0.18.0"]);
    for line in LINES {
        assert!(!chosen(&format!("--line {} --short", line.name)).is_empty());
    }
}

#[test]
fn an_unknown_line_package_or_flag_is_refused() {
    let refusal = |line: &str| Selection::parse(&words(line)).unwrap_err().to_string();
    assert_eq!(refusal("--line 0.16"), "`--line` wants one of 0.18, 0.17, not `0.16`");
    assert_eq!(refusal("--line"), "`--line` wants one of 0.18, 0.17, not ``");
    assert_eq!(refusal("--quick"), "there is no flag `--quick`");
    assert!(refusal("crosvm").starts_with("`downstream` has no package `crosvm`, only imago, "));
}
