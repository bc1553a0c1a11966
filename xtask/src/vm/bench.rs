//! What all runs share: where they are made, and of what.

use std::path::PathBuf;

use anyhow::Result;

use crate::daemon;
use crate::downstream::Side;
use crate::vm::initramfs;
use crate::vm::needs::Parts;
use crate::workspace::Workspace;

/// The bench that runs are made on.
#[derive(Debug)]
pub(super) struct Bench<'a> {
    pub(super) workspace: &'a Workspace,
    /// The directory of all runs.
    pub(super) home: PathBuf,
    pub(super) parts: Parts,
}

impl Bench<'_> {
    /// Makes what the guest boots with.
    pub(super) fn initramfs(&self, sums: &[u8]) -> Result<PathBuf> {
        initramfs::make(&self.home, &self.workspace.target, &self.parts, sums)
    }

    /// Builds the daemon on our memory.
    pub(super) fn daemon(&self) -> Result<PathBuf> {
        daemon::build(self.workspace, Side::Ours)
    }

    /// Builds the daemon on the published one.
    pub(super) fn stock_daemon(&self) -> Result<PathBuf> {
        daemon::build(self.workspace, Side::Stock)
    }
}
