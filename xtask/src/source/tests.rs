//! What is read from sources, on crates of a few lines.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Module, Target};

/// A crate made of the given files, the first of which is its root.
pub(crate) fn krate(files: &[(&str, &str)]) -> Module {
    let texts: BTreeMap<&Path, &str> =
        files.iter().map(|(name, text)| (Path::new(*name), *text)).collect();
    let read = |path: &Path| texts.get(path).map(|text| (*text).to_owned());
    Module::read_crate_by(Path::new(files[0].0), &read).unwrap()
}

fn mentions(text: &str) -> Vec<String> {
    krate(&[("lib.rs", text)]).mentions.iter().map(ToString::to_string).collect()
}

fn lead_to(krate: &Module) -> Vec<Target> {
    let mentions = krate.children.iter().flat_map(|child| &child.mentions);
    mentions.map(|mention| krate.resolve(mention)).collect()
}

fn module(path: &str) -> Target {
    Target::Module(path.split("::").map(str::to_owned).collect())
}

#[test]
fn groups_of_imports_are_taken_apart() {
    assert_eq!(
        mentions("use crate::{a::X, b::{self, Y as Z, c::*}};"),
        ["crate::a::X", "crate::b", "crate::b::Y", "crate::b::c::*"]
    );
}

#[test]
fn paths_are_found_in_bodies_types_and_macros() {
    let text = "fn f(x: &crate::a::T) -> u8 { g(|| crate::b::h::<u8>(x)); m!(crate::c::K) }
                macro_rules! m { ($x:expr) => { $crate::d::check($x) } }";
    assert_eq!(mentions(text), ["crate::a::T", "crate::b::h", "crate::c::K", "crate::d::check"]);
}

#[test]
fn what_is_said_in_words_or_to_the_compiler_is_no_mention() {
    let text = "//! See [`crate::a`].
                /// Or [`X`](crate::b::X).
                pub(crate) fn f(s: &str) -> impl Sized + use<'_> { \"crate::c\" }
                impl S { fn g(self) { self.x } }";
    assert_eq!(mentions(text), [""; 0]);
}

#[test]
fn test_items_are_passed_over_and_test_modules_marked() {
    let krate = krate(&[
        (
            "lib.rs",
            "#[cfg(test)] use crate::a::{X, Y};
             #[cfg(all(test, unix))] mod model;
             #[cfg(not(test))] use crate::b::Z;
             #[cfg(test)] fn f() { crate::c::g() }
             mod tests { use super::d::W; }",
        ),
        ("model.rs", "use crate::e::V;"),
    ]);
    let said: Vec<_> = krate.mentions.iter().map(ToString::to_string).collect();
    assert_eq!(said, ["crate::b::Z"]);
    assert!(krate.children.iter().all(|child| child.test));
    assert_eq!(krate.files(), [(Path::new("lib.rs"), false), (Path::new("model.rs"), true)]);
}

#[test]
fn modules_are_found_in_all_their_places() {
    let krate = krate(&[
        ("src/lib.rs", "mod a; mod b; #[path = \"odd/c.rs\"] mod d; mod e { mod f; }"),
        ("src/a.rs", "mod x;"),
        ("src/a/x.rs", "use super::super::b::B; use super::Y; use self::z::Z; mod z { }"),
        ("src/b/mod.rs", "mod y;"),
        ("src/b/y.rs", ""),
        ("src/odd/c.rs", "mod g;"),
        ("src/odd/g.rs", ""),
        ("src/e/f.rs", ""),
    ]);
    let names: Vec<_> = krate.children.iter().map(|child| child.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "d", "e"]);
    assert_eq!(krate.files().len(), 8);
    let said: Vec<_> =
        krate.children[0].children[0].mentions.iter().map(ToString::to_string).collect();
    assert_eq!(said, ["crate::b::B", "crate::a::Y", "crate::a::x::z::Z"]);
}

#[test]
fn a_module_without_a_file_is_an_error() {
    let read = |path: &Path| (path == Path::new("lib.rs")).then(|| "mod gone;".to_owned());
    let problem = Module::read_crate_by(Path::new("lib.rs"), &read).unwrap_err();
    assert_eq!(problem.to_string(), "no file has module `gone` of lib.rs");
}

#[test]
fn lines_are_counted_from_one() {
    let krate = krate(&[("lib.rs", "\n\nuse crate::a::{\n    X,\n    Y,\n};\n")]);
    let lines: Vec<_> = krate.mentions.iter().map(|mention| mention.line).collect();
    assert_eq!(lines, [4, 5]);
}

#[test]
fn names_of_the_root_lead_to_the_module_they_come_from() {
    let krate = krate(&[
        (
            "lib.rs",
            "pub use a::Word; pub use self::b::{Other as Renamed}; pub use c::*; use core::fmt;
             mod a; mod b; mod c; mod user;",
        ),
        ("a.rs", "pub struct Word;"),
        ("b.rs", "pub struct Other; pub mod deep { pub fn f() {} }"),
        ("c.rs", "pub enum Globbed { A } #[macro_export] macro_rules! shout { () => {} }"),
        (
            "user.rs",
            "use crate::{Word, Renamed, Globbed, fmt, Missing};
             fn f() { super::Word::new(); crate::b::deep::f(); crate::shout!(); }",
        ),
    ]);
    assert_eq!(
        lead_to(&krate),
        [
            module("a"),
            module("b"),
            module("c"),
            Target::Elsewhere,
            Target::Unknown("Missing".to_owned()),
            module("a"),
            module("b::deep"),
            module("c"),
        ]
    );
}

#[test]
fn imports_that_go_round_in_circles_end() {
    let krate = krate(&[
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "pub use crate::b::X; pub use crate::b::*;"),
        ("b.rs", "pub use crate::a::X; pub use crate::a::*;"),
        ("c.rs", "use crate::a::X; use crate::b::Y; use super::*;"),
    ]);
    assert_eq!(lead_to(&krate).last(), Some(&Target::Everything(Vec::new())));
}

#[test]
fn the_root_says_whether_it_forbids_unsafe_code() {
    assert!(
        krate(&[("lib.rs", "#![no_std]\n#![forbid(missing_docs, unsafe_code)]")]).forbids_unsafe
    );
    assert!(!krate(&[("lib.rs", "//! #![forbid(unsafe_code)]")]).forbids_unsafe);
    assert!(!krate(&[("lib.rs", "#[forbid(unsafe_code)] mod a {}")]).forbids_unsafe);
}
