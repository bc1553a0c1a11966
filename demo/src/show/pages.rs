//! Sets of guest pages, and the table that shows where they come from.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::Result;
use demo::{Command, PAGE_SIZE, pages_in};
use guest_address::GuestAddress;
use guest_memory::{GuestMemory, GuestMemoryRegion};

use super::machine::Log;
use super::ram::Memory;

/// Numbers of pages: guest physical addresses divided by the page size.
pub(crate) type Pages = BTreeSet<u64>;

/// The pages of `len` bytes at `start`; at least one byte.
pub(crate) fn of_bytes(start: GuestAddress, len: u64) -> impl Iterator<Item = u64> {
    start.0 / PAGE_SIZE..=(start.0 + len.max(1) - 1) / PAGE_SIZE
}

/// The pages that the guest writes when it is told so.
pub(crate) fn of_command(command: Command) -> Pages {
    match command {
        Command::Fill { address, stores, stride, .. } => {
            (0..stores).map(|index| (address + index * stride) / PAGE_SIZE).collect()
        }
        Command::Checksum { .. } | Command::Stop => Pages::new(),
    }
}

/// The pages that a hypervisor's logs name.
pub(crate) fn of_logs(logs: &[Log]) -> Pages {
    let of_log = |log: &Log| {
        let first = log.start.0 / PAGE_SIZE;
        pages_in(&log.words).map(|page| first + page).collect::<Vec<_>>()
    };
    logs.iter().flat_map(of_log).collect()
}

/// Takes the pages that our own bitmaps name.
pub(crate) fn take(memory: &Memory) -> Result<Pages> {
    harvest(memory, Then::Commit)
}

/// Looks at the pages that our own bitmaps name: takes them and puts them back.
pub(crate) fn look(memory: &Memory) -> Result<Pages> {
    harvest(memory, Then::PutBack)
}

/// What becomes of a harvest.
#[derive(Clone, Copy)]
enum Then {
    Commit,
    PutBack,
}

fn harvest(memory: &Memory, then: Then) -> Result<Pages> {
    let mut pages = Pages::new();
    for region in memory.iter() {
        let mapping = region.get_mmap();
        let harvest = mapping.bitmap().take()?;
        for run in harvest.runs() {
            let start = GuestAddress(region.start_addr().0 + run.start as u64);
            pages.extend(of_bytes(start, run.len() as u64));
        }
        match then {
            Then::Commit => harvest.commit(),
            Then::PutBack => drop(harvest),
        }
    }
    Ok(pages)
}

/// A column of the table: what it is called, and the pages in it.
pub(crate) type Column<'a> = (&'a str, &'a Pages);

/// Runs of pages, and which of several sets have them.
pub(crate) struct Table<'a> {
    pub(crate) columns: &'a [Column<'a>],
}

impl Table<'_> {
    /// Which columns have a page.
    fn marks(&self, page: u64) -> Vec<bool> {
        self.columns.iter().map(|(_, pages)| pages.contains(&page)).collect()
    }

    /// The longest runs of pages that the same columns have.
    fn rows(&self) -> Vec<(u64, u64, Vec<bool>)> {
        let all: Pages = self.columns.iter().flat_map(|(_, pages)| pages.iter().copied()).collect();
        let mut rows: Vec<(u64, u64, Vec<bool>)> = Vec::new();
        for page in all {
            let marks = self.marks(page);
            match rows.last_mut() {
                Some((_, last, same)) if *last + 1 == page && *same == marks => *last = page,
                _ => rows.push((page, page, marks)),
            }
        }
        rows
    }
}

fn width(name: &str) -> usize {
    name.chars().count()
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<37}  pages", "guest physical addresses")?;
        for (name, _) in self.columns {
            write!(f, "  {name}")?;
        }
        for (first, last, marks) in self.rows() {
            let (start, end) = (first * PAGE_SIZE, (last + 1) * PAGE_SIZE - 1);
            write!(f, "\n{start:#018x}-{end:#018x}  {:>5}", last - first + 1)?;
            for ((name, _), mark) in self.columns.iter().zip(marks) {
                write!(f, "  {:>width$}", if mark { "■" } else { "·" }, width = width(name))?;
            }
        }
        write!(f, "\n{:<37}  {:>5}", "pages in all", "")?;
        for (name, pages) in self.columns {
            write!(f, "  {:>width$}", pages.len(), width = width(name))?;
        }
        Ok(())
    }
}
