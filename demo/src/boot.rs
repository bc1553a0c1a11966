//! Where the parts of a guest go in its memory.

use crate::error::Result;
use crate::mailbox::Mailbox;
use crate::page_tables;
use crate::program::Program;
use crate::words::Words;

/// A guest's start: what it runs, and where in guest physical memory its parts are.
///
/// The parts must not overlap; each should start a page of its own, so that a dirty log tells them
/// apart.
#[derive(Clone, Copy, Debug)]
pub struct Boot {
    /// What to run.
    pub program: Program,
    /// Where its code goes; one page is enough.
    pub code: u64,
    /// Where the page tables go; they take [`page_tables::size`] of `reach`.
    pub page_tables: u64,
    /// Where the mailbox goes; it takes [`Mailbox::LEN`].
    pub mailbox: u64,
    /// How far the guest may address: past everything that is plugged now or later, holes included,
    /// so that an access to a hole reaches the hypervisor instead of ending in a page fault.
    pub reach: u64,
}

impl Boot {
    /// Writes all parts, and gives back the host's end of the mailbox, which keeps `words`.
    ///
    /// # Errors
    ///
    /// What guest memory says, and what [`page_tables::write`] does.
    pub fn prepare<W: Words>(&self, words: W) -> Result<Mailbox<W>> {
        self.program.load(&words, self.code)?;
        page_tables::write(&words, self.page_tables, self.reach)?;
        Mailbox::new(words, self.mailbox)
    }
}
