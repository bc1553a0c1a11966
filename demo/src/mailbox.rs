//! The protocol between host and guest: two pages of guest memory, each with one writer.
//!
//! The host writes a command's arguments to the request page and then its number, the *ticket*. The
//! guest polls the ticket; when it differs from the last one it did, the guest reads the rest, does
//! the work, and writes to the reply page the result and then the same ticket.
//!
//! Each page has one writer, so that no word is ever contended, and so that the hypervisor's dirty log
//! names the reply page and never the request page, while the host's own bitmap does the opposite.

use core::fmt;

use crate::error::{Error, Result};
use crate::words::Words;

/// Offsets in the mailbox of what the host writes.
pub(crate) mod request {
    /// Number of the newest command; written last.
    pub(crate) const TICKET: u32 = 0x00;
    /// One of the codes below.
    pub(crate) const CODE: u32 = 0x08;
    /// Guest physical address to start at.
    pub(crate) const ADDRESS: u32 = 0x10;
    /// How many words to sum up or stores to do.
    pub(crate) const COUNT: u32 = 0x18;
    /// Bytes from one store to the next.
    pub(crate) const STRIDE: u32 = 0x20;
    /// The value of the first store.
    pub(crate) const FIRST: u32 = 0x28;

    /// A code: sum up words.
    pub(crate) const CHECKSUM: u32 = 1;
    /// A code: store words.
    pub(crate) const FILL: u32 = 2;
    /// A code: end. (So does every other one.)
    pub(crate) const STOP: u32 = 3;
}

/// Offsets in the mailbox of what the guest writes.
pub(crate) mod reply {
    /// Number of the last command done; written last.
    pub(crate) const TICKET: u32 = 0x1000;
    /// Its result.
    pub(crate) const RESULT: u32 = 0x1008;
    /// What the guest is at.
    pub(crate) const STATE: u32 = 0x1010;

    /// A state: the program runs.
    pub(crate) const RUNNING: u32 = 1;
    /// A state: the program has ended.
    pub(crate) const ENDED: u32 = 2;
}

/// Something that the host asks the guest to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Compute the [`Checksum`](crate::Checksum) of `words` words; that is the result.
    Checksum {
        /// Guest physical address of the first word.
        address: u64,
        /// How many words of 8 bytes.
        words: u64,
    },
    /// Store `first`, `first + 1` and so on; the result is the number that would follow.
    Fill {
        /// Guest physical address of the first store.
        address: u64,
        /// How many stores.
        stores: u64,
        /// Bytes from one store to the next: a page to dirty page by page, 8 to fill without gaps.
        stride: u64,
        /// The first value.
        first: u64,
    },
    /// End the program.
    Stop,
}

/// What the guest says it is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It has not written its state yet.
    Unstarted,
    /// Its program runs.
    Running,
    /// Its program has ended.
    Ended,
    /// Something no program of this crate writes.
    Unknown(u64),
}

/// The number of a command that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u64);

impl Ticket {
    /// The number itself; the first command has 1.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The host's end of the mailbox.
///
/// The guest can write anything to it at any time. What is read here is therefore a claim of the
/// guest's and nothing more: a wrong one gives a wrong answer, never an access out of bounds.
#[derive(Debug)]
pub struct Mailbox<W> {
    words: W,
    at: u64,
    sent: Ticket,
}

impl<W: Words> Mailbox<W> {
    /// Bytes of guest memory that a mailbox takes: two pages.
    pub const LEN: u64 = 0x2000;

    /// Makes an empty mailbox at guest physical address `at`, which should start a page.
    ///
    /// # Errors
    ///
    /// When there is no memory for it.
    pub fn new(words: W, at: u64) -> Result<Self> {
        let mailbox = Self { words, at, sent: Ticket(0) };
        for offset in [
            request::TICKET,
            request::CODE,
            request::ADDRESS,
            request::COUNT,
            request::STRIDE,
            request::FIRST,
            reply::TICKET,
            reply::RESULT,
            reply::STATE,
        ] {
            mailbox.store(offset, 0)?;
        }
        Ok(mailbox)
    }

    /// Guest physical address of the mailbox.
    pub fn address(&self) -> u64 {
        self.at
    }

    /// The memory that the mailbox is in.
    pub fn words(&self) -> &W {
        &self.words
    }

    /// Sends a command and does not wait for it.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`] when the command before is not done; else what guest memory says.
    pub fn send(&mut self, command: Command) -> Result<Ticket> {
        if !self.is_done(self.sent)? {
            return Err(Error::Busy { ticket: self.sent.0 });
        }
        let (code, address, count, stride, first) = match command {
            Command::Checksum { address, words } => (request::CHECKSUM, address, words, 0, 0),
            Command::Fill { address, stores, stride, first } => {
                (request::FILL, address, stores, stride, first)
            }
            Command::Stop => (request::STOP, 0, 0, 0, 0),
        };
        self.store(request::CODE, code.into())?;
        self.store(request::ADDRESS, address)?;
        self.store(request::COUNT, count)?;
        self.store(request::STRIDE, stride)?;
        self.store(request::FIRST, first)?;
        // Last, and with release order: a guest that sees it sees the rest.
        let ticket = Ticket(self.sent.0.wrapping_add(1));
        self.store(request::TICKET, ticket.0)?;
        self.sent = ticket;
        Ok(ticket)
    }

    /// Whether the guest says that it has done the command.
    ///
    /// # Errors
    ///
    /// What guest memory says.
    pub fn is_done(&self, ticket: Ticket) -> Result<bool> {
        Ok(self.load(reply::TICKET)? == ticket.0)
    }

    /// The result of the last command done.
    ///
    /// # Errors
    ///
    /// What guest memory says.
    pub fn result(&self) -> Result<u64> {
        self.load(reply::RESULT)
    }

    /// Guest physical address where the guest stores its results.
    pub fn result_address(&self) -> u64 {
        self.at.wrapping_add(reply::RESULT.into())
    }

    /// What the guest says it is at.
    ///
    /// # Errors
    ///
    /// What guest memory says.
    pub fn state(&self) -> Result<State> {
        const RUNNING: u64 = reply::RUNNING as u64;
        const ENDED: u64 = reply::ENDED as u64;
        Ok(match self.load(reply::STATE)? {
            0 => State::Unstarted,
            RUNNING => State::Running,
            ENDED => State::Ended,
            other => State::Unknown(other),
        })
    }

    fn load(&self, offset: u32) -> Result<u64> {
        self.words.load(self.at.wrapping_add(offset.into()))
    }

    fn store(&self, offset: u32, value: u64) -> Result<()> {
        self.words.store(self.at.wrapping_add(offset.into()), value)
    }
}
