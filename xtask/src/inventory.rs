//! The inventory of unsafe code, `docs/unsafe.md`: which rooms have any, why, and how much.
//!
//! It is made from the sources, so a room that gets more of it, or a new one, shows in the change that brings it. That each block
//! has its proof is clippy's business (`undocumented_unsafe_blocks`, `multiple_unsafe_ops_per_block` are denied).

use core::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::report::Outcome;
use crate::source::Module;
use crate::workspace::Workspace;

/// The inventory, from the root of the workspace.
const FILE: &str = "docs/unsafe.md";

const HEAD: &str = "\
# Unsafe code

Made by `cargo xtask inventory`; `cargo xtask ci inventory` checks that it is current. Tests are left out.

A *block* is one operation with its proof (clippy denies blocks without `// SAFETY:`, and more than one operation in a block). A block in a macro counts
once. *Promises* are what others have to keep: unsafe functions and traits; *vows* are unsafe implementations.

";

/// What unsafe code a file has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    blocks: usize,
    promises: usize,
    vows: usize,
}

/// Checks that the file is what the sources give.
pub(crate) fn check(workspace: &Workspace) -> Result<Outcome> {
    let text = write(workspace)?;
    let there = fs::read_to_string(FILE).unwrap_or_default();
    ensure!(there == text, "{FILE} is not current: `cargo xtask inventory` makes it");
    Ok(Outcome::ok(text.lines().last().unwrap_or_default()))
}

/// Writes the file.
pub(crate) fn make(workspace: &Workspace) -> Result<()> {
    fs::write(FILE, write(workspace)?).with_context(|| format!("cannot write {FILE}"))?;
    println!("made {FILE}");
    Ok(())
}

fn write(workspace: &Workspace) -> Result<String> {
    let mut text = HEAD.to_owned();
    text.push_str("| room | why | blocks | promises | vows |\n|---|---|---:|---:|---:|\n");
    let (mut sum, mut none) = (Count::default(), Vec::new());
    for package in workspace.stack() {
        let root = Module::read_crate(&package.root_file)?;
        let before = sum;
        for file in files(&root) {
            let source = fs::read_to_string(&file)
                .with_context(|| format!("cannot read {}", file.display()))?;
            let Ok(tokens) = source.parse() else { bail!("{} is not Rust", file.display()) };
            let count = count(tokens);
            if count == Count::default() {
                continue;
            }
            sum = sum + count;
            let room = file.strip_prefix(&package.directory).unwrap_or(&file).display().to_string();
            let (name, Count { blocks, promises, vows }) = (&package.name, count);
            let why = reason(&source).unwrap_or("");
            writeln!(text, "| {name} `{room}` | {why} | {blocks} | {promises} | {vows} |")?;
        }
        if before == sum {
            none.push(format!("`{}`", package.name));
        }
    }
    let Count { blocks, promises, vows } = sum;
    writeln!(text, "| all | | {blocks} | {promises} | {vows} |")?;
    writeln!(text, "\nNone in {}.", none.join(", "))?;
    writeln!(text, "\n{blocks} blocks, {promises} promises, {vows} vows")?;
    Ok(text)
}

/// The files of a crate that are not for tests alone, each once.
fn files(root: &Module) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = Vec::new();
    for (file, test) in root.files() {
        if !test && !files.iter().any(|known| known == file) {
            files.push(Path::new(file).to_path_buf());
        }
    }
    files
}

/// Why the room says that it has unsafe code: the reason of the attribute at its top.
fn reason(source: &str) -> Option<&str> {
    let (_, rest) = source.split_once("unsafe_code,")?;
    let (_, rest) = rest.split_once("reason = \"")?;
    rest.split_once('"').map(|(reason, _)| reason)
}

fn count(tokens: TokenStream) -> Count {
    let mut total = Count::default();
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (i, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => total = total + count(group.stream()),
            TokenTree::Ident(word) if word == "unsafe" => match tokens.get(i + 1) {
                Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                    total.blocks += 1;
                }
                Some(TokenTree::Ident(word)) if word == "impl" => total.vows += 1,
                // A function, a trait, or a foreign one. The type of a function is none.
                Some(TokenTree::Ident(_)) if !is_type(&tokens[i + 1..]) => total.promises += 1,
                _ => {}
            },
            _ => {}
        }
    }
    total
}

/// Whether what follows `unsafe` is the type of a function: it has no name.
fn is_type(tokens: &[TokenTree]) -> bool {
    let is_fn = |token: &TokenTree| matches!(token, TokenTree::Ident(word) if word == "fn");
    let name = tokens.iter().position(is_fn).and_then(|place| tokens.get(place + 1));
    matches!(name, Some(TokenTree::Group(_)))
}

impl core::ops::Add for Count {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            blocks: self.blocks + other.blocks,
            promises: self.promises + other.promises,
            vows: self.vows + other.vows,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Count, count, reason};

    #[test]
    fn blocks_promises_and_vows_are_told_apart() {
        let source = "
            unsafe trait Valid { unsafe fn get(&self) -> u8; }
            unsafe impl Valid for () { unsafe fn get(&self) -> u8 { unsafe { zero() } } }
            macro_rules! read { () => { unsafe { load() } } }
            fn call(f: unsafe fn() -> u8) -> u8 { unsafe { f() } }
        ";
        let found = count(source.parse().unwrap());
        assert_eq!(found, Count { blocks: 3, promises: 3, vows: 1 });
        let safe = "/// unsafe { }\nfn safe() { let text = \"unsafe { }\"; }";
        assert_eq!(count(safe.parse().unwrap()), Count::default());
    }

    #[test]
    fn the_reason_is_that_of_the_attribute() {
        let source = "//! Room.\n#![expect(\n    unsafe_code,\n    reason = \"maps memory\"\n)]\n";
        assert_eq!(reason(source), Some("maps memory"));
        assert_eq!(reason("fn f() {}"), None);
    }
}
