//! The table of a run: what the guest moved in each part of it, as its kernel counts.

use core::time::Duration;
use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::vm::machine::Machine;

/// Bytes in a sector, as the kernel counts them.
const SECTOR: u64 = 512;
/// How long the guest may take to tell its counts.
const LIMIT: Duration = Duration::from_secs(20);
/// Bytes in a MiB.
const MIB: f64 = 1_048_576.0;

/// What a disk did until now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    requests: u64,
    read: u64,
    written: u64,
}

/// The parts of a run, one below another.
#[derive(Debug, Default)]
pub(super) struct Figures {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    name: &'static str,
    moved: Counts,
    took: Duration,
}

impl Figures {
    /// Does a part of a run, and notes what all disks of the machine moved meanwhile.
    pub(super) fn part<T>(
        &mut self,
        name: &'static str,
        machine: &mut Machine,
        part: impl FnOnce(&mut Machine) -> Result<T>,
    ) -> Result<T> {
        let before = counts(machine)?;
        let start = Instant::now();
        let done = part(machine).with_context(|| format!("part `{name}`"))?;
        let took = start.elapsed();
        let after = counts(machine)?;
        self.rows.push(Row { name, moved: after.since(before), took });
        Ok(done)
    }

    /// The table.
    pub(super) fn show(&self) -> String {
        let width = self.rows.iter().map(|row| row.name.chars().count()).fold(4, usize::max);
        let title = format!("{:width$}  seconds  MiB read  MiB written   MiB/s  requests", "part");
        let rule = "─".repeat(title.chars().count());
        let rows = self.rows.iter().map(|row| {
            let Counts { requests, read, written } = row.moved;
            let seconds = row.took.as_secs_f64();
            let [read, written] = [read, written].map(mebibytes);
            let speed = (read + written) / seconds.max(0.001);
            let name = row.name;
            format!("{name:width$}  {seconds:7.2}  {read:8.1}  {written:11.1}  {speed:6.1}  {requests:8}")
        });
        [title, rule].into_iter().chain(rows).collect::<Vec<_>>().join("\n")
    }
}

impl Counts {
    fn since(self, before: Self) -> Self {
        Self {
            requests: self.requests - before.requests,
            read: self.read - before.read,
            written: self.written - before.written,
        }
    }

    /// Adds what a line of `/sys/block/*/stat` counts.
    fn add(self, line: &str) -> Option<Self> {
        let mut numbers = line.split_whitespace().map(str::parse::<u64>);
        // Requests, merged ones, sectors and milliseconds, first for reading, then for writing.
        let mut column = |place| numbers.nth(place)?.ok();
        let (reads, sectors_read) = (column(0)?, column(1)?);
        let (writes, sectors_written) = (column(1)?, column(1)?);
        Some(Self {
            requests: self.requests + reads + writes,
            read: self.read + sectors_read * SECTOR,
            written: self.written + sectors_written * SECTOR,
        })
    }
}

fn counts(machine: &mut Machine) -> Result<Counts> {
    let lines = machine.ask("cat /sys/block/vd*/stat", LIMIT)?;
    lines
        .iter()
        .try_fold(Counts::default(), |sum, line| sum.add(line))
        .context("the kernel's counts are not as expected")
}

fn mebibytes(bytes: u64) -> f64 {
    // A run moves less than 2^53 bytes.
    bytes as f64 / MIB
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::{Counts, Figures, Row};

    #[test]
    fn counts_are_read_from_the_kernels_columns_and_shown_with_their_speed() {
        let line = "  10  1  2048  7   20  2  4096  9  0 10 11 1 0 0 0 3 4";
        let counts = Counts::default().add(line).unwrap();
        assert_eq!(counts, Counts { requests: 30, read: 1 << 20, written: 2 << 20 });
        let both = counts.add(line).unwrap();
        assert_eq!(both.since(counts), counts);
        assert_eq!(counts.add("10 1"), None);
        let took = Duration::from_millis(1500);
        let figures = Figures { rows: vec![Row { name: "storm", moved: counts, took }] };
        let table = figures.show();
        assert_eq!(
            table.lines().last(),
            Some("storm     1.50       1.0          2.0     2.0        30")
        );
    }
}
