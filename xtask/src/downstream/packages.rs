//! The packages whose tests we run, and what they are tested on.

use core::fmt;

use crate::downstream::needs::{CAP_NG, CLANG, Need, SECCOMP};

/// A line of `vm-memory`: versions that one facade stands for.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) name: &'static str,
    /// The published version that packages are compared on.
    pub(super) stock: &'static str,
    /// The directory of our facade, from the root of the workspace.
    pub(super) facade: &'static str,
}

/// What a package is tested on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The published `vm-memory`.
    Stock,
    /// Our facade.
    Ours,
}

/// A published package, and how it is tested.
#[derive(Debug)]
pub(super) struct Package {
    pub(super) line: &'static Line,
    pub(super) name: &'static str,
    pub(super) version: &'static str,
    pub(super) features: &'static [&'static str],
    /// What it wants of the system to be built.
    pub(super) needs: &'static [Need],
    /// Whether it is one of the few that are tested every time.
    pub(super) short: bool,
}

/// The lines, newest first.
pub(super) const LINES: [&Line; 2] = [&V0_18, &V0_17];

pub(super) const V0_18: Line = Line { name: "0.18", stock: "0.18.0", facade: "crates/vm-memory" };
const V0_17: Line = Line { name: "0.17", stock: "0.17.1", facade: "facades/vm-memory-0.17" };

/// The packages, in the order of the table.
///
/// Of virtio-queue-ser no version was published for 0.18. Some tests fail on both sides: one of linux-loader's wants a kernel
/// image that is in its repository and not in the package, some of vhost's want devices of the host's kernel.
pub(super) const PACKAGES: [Package; 14] = [
    Package { short: true, ..new(&V0_18, "virtio-queue", "0.18.0").features(&["test-utils"]) },
    new(&V0_18, "virtio-vsock", "0.12.0"),
    new(&V0_18, "linux-loader", "0.14.0").features(&["elf", "pe", "bzimage"]),
    new(&V0_18, "vhost", "0.18.0").features(&[
        "vhost-kern",
        "vhost-net",
        "vhost-vdpa",
        "vhost-vsock",
        "vhost-user",
        "vhost-user-frontend",
        "vhost-user-backend",
        "postcopy",
    ]),
    Package {
        needs: &[CLANG],
        ..new(&V0_18, "vhost-user-backend", "0.24.0").features(&["postcopy"])
    },
    new(&V0_18, "vfio-ioctls", "0.10.0"),
    new(&V0_18, "vfio_user", "0.1.7"),
    new(&V0_18, "imago", "0.2.6").features(&["vm-memory", "sync-wrappers"]),
    Package { short: true, ..new(&V0_17, "virtio-queue", "0.17.0").features(&["test-utils"]) },
    new(&V0_17, "virtio-queue-ser", "0.14.0"),
    new(&V0_17, "virtio-vsock", "0.11.0"),
    new(&V0_17, "linux-loader", "0.13.2").features(&["elf", "pe", "bzimage"]),
    new(&V0_17, "vhost-user-backend", "0.22.0"),
    Package { needs: &[CAP_NG, SECCOMP], ..new(&V0_17, "virtiofsd", "1.14.0") },
];

const fn new(line: &'static Line, name: &'static str, version: &'static str) -> Package {
    Package { line, name, version, features: &[], needs: &[], short: false }
}

impl Package {
    const fn features(self, features: &'static [&'static str]) -> Self {
        Self { features, ..self }
    }

    /// Its name and version as one word.
    pub(super) fn word(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }
}

impl fmt::Display for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

impl Side {
    /// Its name, in words and in paths.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Stock => "stock",
            Self::Ours => "ours",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
