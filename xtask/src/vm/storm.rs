//! The random part of a run: a process in the guest that goes on beside whatever else happens.

use core::time::Duration;

use anyhow::{Context as _, Result};

use crate::vm::machine::Machine;

/// How long a command may take that only looks or tells.
const SHORT: Duration = Duration::from_secs(20);

/// How long it may take to write its part of the disk once.
const LAID: Duration = Duration::from_secs(60);

/// Which part of the disk, and how much.
#[derive(Clone, Copy, Debug)]
pub(super) struct Storm {
    pub(super) start: u64,
    pub(super) length: u64,
    /// The least that is moved.
    pub(super) bytes: u64,
    pub(super) threads: u64,
}

/// A storm that goes on.
#[derive(Debug)]
pub(super) struct Going;

impl Storm {
    /// Begins it: it goes on until its bytes are moved and it is told to end.
    pub(super) fn begin(self, machine: &mut Machine) -> Result<Going> {
        let Self { start, length, bytes, threads } = self;
        let words = format!("storm /dev/vda {start} {length} {bytes} {threads} /tmp/calm");
        let begin = format!("rm -f /tmp/calm; xtask-guest {words} > /tmp/storm & storm=$!");
        machine.run(&begin, SHORT)?;
        // What follows shall find it at its work.
        let begun =
            format!("until [ $(grep -c once /tmp/storm) = {threads} ]; do sleep 0.05; done");
        machine.run(&begun, LAID)?;
        Ok(Going)
    }
}

impl Going {
    /// Tells it to end, and takes its digest if all that it read was right.
    pub(super) fn end(self, machine: &mut Machine, limit: Duration) -> Result<u64> {
        // The list of commands ends as the waiting does, which is as the storm does.
        let lines = machine.run(
            "touch /tmp/calm; wait $storm; ended=$?; tail -n 1 /tmp/storm; test $ended = 0",
            limit,
        )?;
        let line = lines.last().context("the storm said nothing")?;
        let digest =
            line.rsplit_once(" digest 0x").map(|(_, digits)| u64::from_str_radix(digits, 16));
        digest.with_context(|| format!("no digest in `{line}`"))?.context("no number")
    }
}
