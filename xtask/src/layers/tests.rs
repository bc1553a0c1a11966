//! That each check finds what it is for, and nothing where nothing is wrong.

use std::path::PathBuf;

use super::rules::{Refused, Rule, SAFE, STACK, Theirs, Tree};
use super::{edges, lengths, rooms, trees};
use crate::source::krate;
use crate::workspace::{Dependency, Package};

const PAIR: [Rule; 2] = [
    Rule { name: "lower", ours: &[], theirs: &[Theirs::Optional("libc")] },
    Rule { name: "upper", ours: &["lower"], theirs: &[Theirs::Any("thiserror")] },
];

fn package(name: &str, dependencies: &[Dependency]) -> Package {
    Package {
        name: name.to_owned(),
        directory: PathBuf::from(name),
        stack: true,
        dependencies: dependencies.to_vec(),
        ..Package::default()
    }
}

fn ours(name: &str) -> Dependency {
    Dependency { name: name.to_owned(), passed_on: true, optional: false, ours: true }
}

fn theirs(name: &str) -> Dependency {
    Dependency { ours: false, ..ours(name) }
}

fn said(packages: &[Package]) -> Vec<String> {
    edges::check(packages, &PAIR).iter().map(ToString::to_string).collect()
}

fn rooms(files: &[(&str, &str)]) -> Vec<String> {
    rooms::check(&krate(files)).violations.iter().map(ToString::to_string).collect()
}

#[test]
fn edges_that_the_table_has_are_fine() {
    let optional = Dependency { optional: true, ..theirs("libc") };
    let for_tests = Dependency { passed_on: false, ..theirs("rstest") };
    let lower = package("lower", &[optional, for_tests]);
    let upper = package("upper", &[ours("lower"), theirs("thiserror")]);
    assert_eq!(said(&[lower, upper]), [""; 0]);
}

#[test]
fn an_edge_that_points_up_is_found() {
    assert_eq!(
        said(&[package("lower", &[ours("upper")]), package("upper", &[])]),
        ["violation: lower/Cargo.toml: depends on `upper`, which is not below it"]
    );
}

#[test]
fn a_forbidden_dependency_is_found() {
    assert_eq!(
        said(&[package("upper", &[theirs("libc")])]),
        ["violation: upper/Cargo.toml: depends on `libc`, which its layer does not allow"]
    );
}

#[test]
fn a_dependency_that_must_be_optional_is_found_when_it_is_not() {
    assert_eq!(
        said(&[package("lower", &[theirs("libc")])]),
        ["violation: lower/Cargo.toml: depends on `libc` always, \
          where only an optional dependency is allowed"]
    );
}

#[test]
fn a_crate_that_the_table_does_not_know_is_found() {
    assert_eq!(
        said(&[package("stray", &[])]),
        ["violation: stray/Cargo.toml: no rule says what it may depend on"]
    );
}

#[test]
fn a_crate_that_could_be_published_under_a_name_that_is_taken_is_found() {
    let facade = Package { published: true, ..package("vm-memory", &[]) };
    let said = edges::check(&[facade], &STACK);
    assert_eq!(said.len(), 1);
    assert!(said[0].to_string().ends_with("lacks `publish = false`"), "{}", said[0]);
    assert!(edges::check(&[package("vm-memory", &[])], &STACK).is_empty());
}

#[test]
fn a_cycle_closed_by_a_development_dependency_is_found() {
    let for_tests = Dependency { passed_on: false, ..ours("upper") };
    assert_eq!(
        said(&[package("lower", &[for_tests]), package("upper", &[ours("lower")])]),
        ["violation: lower/Cargo.toml: its development dependency closes a cycle: \
          lower -> upper -> lower"]
    );
}

#[test]
fn the_table_names_each_crate_once_and_only_crates_above_depend_on_it() {
    for (i, rule) in STACK.iter().enumerate() {
        for below in rule.ours {
            assert!(STACK[..i].iter().any(|rule| rule.name == *below), "{below}");
        }
        assert!(STACK[..i].iter().all(|other| other.name != rule.name), "{}", rule.name);
    }
    let known = |name: &&str| *name == "xtask" || STACK.iter().any(|rule| rule.name == *name);
    assert!(SAFE.iter().all(known));
}

#[test]
fn a_refused_crate_is_found_anywhere_in_a_tree() {
    let text = "guest-memory v0.1.0 (/w/crates/guest-memory)\nthiserror v2.0.18\n\
                thiserror-impl v2.0.18 (proc-macro)\nlibc v0.2.1\n\nthiserror v2.0.18 (*)\n";
    let named = Tree { name: "guest-memory", features: &[], refused: Refused::Named(&["libc"]) };
    assert_eq!(trees::refused(&named, text).collect::<Vec<_>>(), ["libc"]);
    let alone = Tree { name: "guest-address", features: &[], refused: Refused::Others };
    assert_eq!(trees::refused(&alone, "guest-address v0.1.0 (/w)\n").count(), 0);
    assert_eq!(trees::refused(&alone, "guest-address v0.1.0 (/w)\nlibc v1\n").count(), 1);
}

#[test]
fn rooms_that_use_rooms_above_are_fine() {
    let files = [
        ("lib.rs", "mod low; mod mid; mod high; pub use low::Low; pub use high::High;"),
        ("low.rs", "pub struct Low;"),
        ("mid.rs", "use crate::Low; mod tests { use crate::high::High; }"),
        ("high.rs", "use crate::{low, mid::{self, Mid}, Low}; pub struct High;"),
    ];
    assert_eq!(rooms(&files), [""; 0]);
}

#[test]
fn a_room_that_uses_one_below_is_found_by_file_and_line() {
    let files = [
        ("lib.rs", "mod low; mod high;"),
        ("low.rs", "\nuse crate::high::High;"),
        ("high.rs", "pub struct High;"),
    ];
    assert_eq!(
        rooms(&files),
        ["violation: low.rs:2: `crate::high::High`: \
          room `low` uses room `high`, declared below it"]
    );
}

#[test]
fn a_use_through_a_re_export_of_the_root_is_found() {
    let files = [
        ("lib.rs", "mod low; mod high; pub use self::high::{High as Tower};"),
        ("low.rs", "fn f(_: super::Tower) {}"),
        ("high.rs", "pub struct High;"),
    ];
    assert_eq!(rooms(&files).len(), 1);
}

#[test]
fn a_cycle_is_found_and_its_way_is_told() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "use crate::c::C;"),
        ("b.rs", "use crate::a::A;"),
        ("c.rs", "use crate::b::B;"),
    ];
    let violations = rooms(&files);
    assert_eq!(violations.len(), 1);
    assert!(violations[0].ends_with("closes a cycle: a -> c -> b -> a"), "{}", violations[0]);
}

#[test]
fn modules_inside_a_room_have_an_order_too() {
    let slice = "mod def; mod copy; use self::copy::f; pub(crate) struct Slice;";
    let fine = [
        ("lib.rs", "mod slice;"),
        ("slice.rs", slice),
        ("slice/def.rs", "use super::Slice;"),
        ("slice/copy.rs", "use super::def::Def; use crate::slice::Slice;"),
    ];
    assert_eq!(rooms(&fine), [""; 0]);
    let wrong = [fine[0], fine[1], ("slice/def.rs", "use super::copy::f;"), ("slice/copy.rs", "")];
    assert_eq!(
        rooms(&wrong),
        ["violation: slice/def.rs:1: `crate::slice::copy::f`: \
          room `def` uses room `copy`, declared below it"]
    );
}

#[test]
fn an_import_of_everything_or_of_nothing_known_is_found() {
    let files = [("lib.rs", "mod a;"), ("a.rs", "use crate::*;\nuse crate::Lost;")];
    let violations = rooms(&files);
    assert!(violations[0].contains("imports everything"), "{}", violations[0]);
    assert!(violations[1].contains("neither defines nor imports `Lost`"), "{}", violations[1]);
}

#[test]
fn long_and_unreached_files_are_found_and_tests_are_free() {
    let root = krate(&[
        ("src/lib.rs", "mod a; #[cfg(test)] mod model;"),
        ("src/a.rs", ""),
        ("src/model.rs", ""),
    ]);
    let file = |name: &str, lines| (PathBuf::from(name), lines);
    let fine = [file("src/lib.rs", 400), file("src/model.rs", 900), file("src/a/tests.rs", 900)];
    let judged = lengths::judge(&root, &fine);
    assert!(judged.notes.is_empty() && judged.violations.is_empty());
    assert_eq!(judged.summary, "longest file 400 lines (lib.rs)");
    let wrong = [file("src/lib.rs", 401), file("src/a.rs", 451), file("src/old.rs", 1)];
    let judged = lengths::judge(&root, &wrong);
    assert_eq!(judged.notes, ["src/lib.rs: 401 lines, over 400"]);
    let said: Vec<_> = judged.violations.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "violation: src/a.rs: 451 lines, more than a room has (400)",
            "violation: src/old.rs: no `mod` line leads to it, so nothing compiles or checks it",
        ]
    );
}
