//! The picture of the stack, as tables.

/// What one crate may depend on, development dependencies aside.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) name: &'static str,
    /// Crates of ours.
    pub(super) ours: &'static [&'static str],
    /// Crates of others.
    pub(super) theirs: &'static [Theirs],
}

/// A crate of others that a crate of ours may depend on.
#[derive(Debug)]
pub(super) enum Theirs {
    /// In any way.
    Any(&'static str),
    /// As an optional dependency only.
    Optional(&'static str),
}

impl Theirs {
    /// The crate's name.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Any(name) | Self::Optional(name) => name,
        }
    }
}

use Theirs::{Any, Optional};

/// The stack, lowest layer first. A crate under `crates/` without a line here is refused.
pub(super) const STACK: [Rule; 9] = [
    Rule { name: "guest-address", ours: &[], theirs: &[] },
    Rule { name: "guest-volatile", ours: &[], theirs: &[Optional("libc"), Optional("zerocopy")] },
    Rule {
        name: "guest-memory",
        ours: &["guest-address", "guest-volatile"],
        theirs: &[Any("thiserror")],
    },
    Rule {
        name: "guest-mmap",
        ours: &["guest-address", "guest-volatile", "guest-memory"],
        theirs: &[Any("libc"), Any("nix"), Any("thiserror")],
    },
    Rule {
        name: "guest-atomic",
        ours: &["guest-address", "guest-volatile", "guest-memory"],
        theirs: &[Any("arc-swap"), Any("thiserror")],
    },
    Rule { name: "guest-dirty", ours: &["guest-volatile"], theirs: &[] },
    Rule {
        name: "guest-iommu",
        ours: &["guest-address", "guest-volatile", "guest-memory"],
        theirs: &[Any("rangemap"), Any("thiserror")],
    },
    // For tests of what stands on the stack: it takes what it checks by development dependencies.
    Rule { name: "guest-testing", ours: &["guest-volatile", "guest-memory"], theirs: &[] },
    Rule {
        name: "vm-memory",
        ours: &[
            "guest-address",
            "guest-volatile",
            "guest-memory",
            "guest-mmap",
            "guest-atomic",
            "guest-dirty",
            "guest-iommu",
        ],
        theirs: &[],
    },
];

/// What may not be in the tree of a crate, whatever brings it there.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) name: &'static str,
    /// Which features are on, as arguments for cargo.
    pub(super) features: &'static [&'static str],
    pub(super) refused: Refused,
}

/// Crates that a tree may not have.
#[derive(Debug)]
pub(super) enum Refused {
    /// All but the crate itself.
    Others,
    /// These.
    Named(&'static [&'static str]),
}

/// The promises about whole trees.
pub(super) const TREES: [Tree; 3] = [
    Tree { name: "guest-address", features: &[], refused: Refused::Others },
    Tree { name: "guest-memory", features: &[], refused: SYSTEM },
    // guest-memory makes no system call, so no feature of it has a reason to bring one.
    Tree { name: "guest-memory", features: &["--all-features"], refused: SYSTEM },
];

/// Crates through which one calls the system.
const SYSTEM: Refused = Refused::Named(&["libc", "nix", "rustix"]);

/// The crates that forbid unsafe code.
pub(super) const SAFE: [&str; 8] = [
    "guest-address",
    "guest-memory",
    "guest-atomic",
    "guest-dirty",
    "guest-iommu",
    "guest-testing",
    "vm-memory",
    "xtask",
];

/// The crates whose names belong to somebody else in the registry.
pub(super) const BORROWED: [&str; 1] = ["vm-memory"];
