//! The guest at work: it counts in a word, over and over.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use demo::{Command, Guest, Ticket, Words};

use super::machine::Machine;
use super::ram::{COUNTER, Space};

/// The guest's counter, which never goes back.
pub(crate) struct Counter {
    /// The command that counts.
    ticket: Option<Ticket>,
    /// The value after it.
    next: u64,
    /// How far one command counts.
    stores: u64,
}

impl Counter {
    /// How long the guest may take to count by one.
    const LIMIT: Duration = Duration::from_secs(10);

    /// A counter of whoever plays the guest.
    pub(crate) fn new(machine: &Machine) -> Self {
        // Some ten milliseconds, on a machine that has a CPU for it.
        let stores = match machine {
            Machine::Kvm { .. } => 1 << 25,
            Machine::StandIn { .. } => 1 << 19,
        };
        Self { ticket: None, next: 1, stores }
    }

    /// The last number that the guest wrote.
    pub(crate) fn value(space: &Space) -> Result<u64> {
        Ok(Words::load(space, COUNTER.0)?)
    }

    /// Sees to it that the guest counts; it does so for a while from now on.
    pub(crate) fn keep(&mut self, guest: &mut Guest<Space>) -> Result<()> {
        if let Some(ticket) = self.ticket {
            if !guest.mailbox().is_done(ticket)? {
                return Ok(());
            }
            guest.wait(ticket)?;
        }
        let (stores, first) = (self.stores, self.next);
        self.next += stores;
        let command = Command::Fill { address: COUNTER.0, stores, stride: 0, first };
        self.ticket = Some(guest.send(command)?);
        Ok(())
    }

    /// Waits until the guest has counted beyond `value`, and gives the number it is at.
    pub(crate) fn beyond(
        &mut self,
        guest: &mut Guest<Space>,
        space: &Space,
        value: u64,
    ) -> Result<u64> {
        let deadline = Instant::now() + Self::LIMIT;
        loop {
            self.keep(guest)?;
            let now = Self::value(space)?;
            if now > value {
                return Ok(now);
            }
            if Instant::now() > deadline {
                bail!("the guest has not counted beyond {value} for {:?}", Self::LIMIT);
            }
            thread::sleep(Duration::from_micros(50));
        }
    }

    /// Waits until the guest is ready for something else.
    pub(crate) fn pause(&mut self, guest: &mut Guest<Space>) -> Result<()> {
        if let Some(ticket) = self.ticket.take() {
            guest.wait(ticket)?;
        }
        Ok(())
    }
}
