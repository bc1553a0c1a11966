//! A guest that runs in a thread of its own, and the host's handle on it.

use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use core::time::Duration;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::Instant;

use crate::boot::Boot;
use crate::error::{Error, Result};
use crate::kvm::{Exit, Vcpu, Vm};
use crate::mailbox::{Command, Mailbox, Ticket};
use crate::program::port;
use crate::signs::Signs;
use crate::stand_in;
use crate::words::Words;

/// How a guest ended that ended as it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// How often it told the host that it was alive and idle.
    pub heartbeats: u64,
}

/// A guest that runs.
///
/// ```
/// extern crate alloc;
/// use alloc::sync::Arc;
/// use core::sync::atomic::{AtomicU64, Ordering::{Acquire, Release}};
/// use demo::{Boot, Checksum, Command, Guest, Program};
///
/// // Any words will do for a stand-in; a guest on KVM needs memory that can be plugged.
/// let ram: Arc<[AtomicU64]> = (0..0x1_0000 / 8).map(|_| AtomicU64::new(0)).collect();
/// let same = Arc::clone(&ram);
/// let words = Arc::new((
///     move |at: u64| Ok(ram[at as usize / 8].load(Acquire)),
///     move |at: u64, value: u64| Ok(same[at as usize / 8].store(value, Release)),
/// ));
///
/// let boot = Boot {
///     program: Program::Poll,
///     code: 0,
///     page_tables: 0x1000,
///     mailbox: 0x4000,
///     reach: 0x1_0000,
/// };
/// let mailbox = boot.prepare(Arc::clone(&words))?;
/// let mut guest = Guest::stand_in(words, &boot, mailbox)?;
/// guest.ask(Command::Fill { address: 0x8000, stores: 2, stride: 8, first: 1 })?;
/// let sum = guest.ask(Command::Checksum { address: 0x8000, words: 2 })?;
/// guest.stop()?;
///
/// let mut expected = Checksum::new();
/// expected.word(1);
/// expected.word(2);
/// assert_eq!(sum, expected.value());
/// # demo::Result::Ok(())
/// ```
///
/// # No hang
///
/// Every wait has a [limit](Guest::LIMIT), and a guest that ended for whatever reason ends it early.
/// A guest that does not end when it should is first told at its next heartbeat, then loses its
/// memory, which no guest survives; only then is the thread given up, and the error says so.
/// To drop the handle ends a polling guest within a heartbeat.
#[derive(Debug)]
pub struct Guest<W> {
    mailbox: Mailbox<W>,
    /// Gives one message, how the guest ended; and is cut off if the thread panics.
    ended: Receiver<Result<Summary>>,
    signs: Arc<Signs>,
    /// Absent for a stand-in.
    vm: Option<Vm>,
    limit: Duration,
}

impl<W> Guest<W> {
    /// How long a host waits for anything, unless [told otherwise](Guest::with_limit).
    pub const LIMIT: Duration = Duration::from_secs(30);
    /// How long a guest gets to end at a heartbeat: several of them, on a busy machine too.
    const GRACE: Duration = Duration::from_millis(500);
    /// How long it gets once its memory is gone: it needs a fetch, its thread may need a CPU.
    const FORCE: Duration = Duration::from_secs(5);
}

impl<W: Words> Guest<W> {
    /// Starts what `boot` prepared on a virtual CPU of `vm`.
    ///
    /// # Errors
    ///
    /// When KVM makes no virtual CPU, or the system no thread.
    pub fn on_kvm(vm: &Vm, boot: &Boot, mailbox: Mailbox<W>) -> Result<Self> {
        let vcpu = Vcpu::new(vm, boot)?;
        Self::start(mailbox, Some(vm.clone()), move |signs| play(vcpu, signs))
    }

    /// Starts a thread that plays what `boot` prepared, in `words`: the memory the mailbox is in.
    ///
    /// # Errors
    ///
    /// When the system makes no thread.
    pub fn stand_in(words: W, boot: &Boot, mailbox: Mailbox<W>) -> Result<Self>
    where
        W: Send + 'static,
    {
        let boot = *boot;
        Self::start(mailbox, None, move |signs| stand_in::play(&words, &boot, signs))
    }

    fn start(
        mailbox: Mailbox<W>,
        vm: Option<Vm>,
        play: impl FnOnce(&Signs) -> Result<()> + Send + 'static,
    ) -> Result<Self> {
        let (say, ended): (SyncSender<Result<Summary>>, _) = sync_channel(1);
        let signs = Arc::new(Signs::default());
        let shared = Arc::clone(&signs);
        thread::Builder::new()
            .name("guest".to_string())
            .spawn(move || {
                // Nobody listens when the handle is gone.
                let _ =
                    say.send(play(&shared).map(|()| Summary { heartbeats: shared.heartbeats() }));
            })
            .map_err(|source| Error::Thread { source })?;
        Ok(Self { mailbox, ended, signs, vm, limit: Self::LIMIT })
    }

    /// The same guest, with another limit for every wait.
    #[must_use]
    pub fn with_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The mailbox.
    pub fn mailbox(&self) -> &Mailbox<W> {
        &self.mailbox
    }

    /// How often the guest has told the host, so far, that it is alive and idle.
    pub fn heartbeats(&self) -> u64 {
        self.signs.heartbeats()
    }

    /// Sends a command and does not wait for it.
    ///
    /// # Errors
    ///
    /// Those of [`Mailbox::send`].
    pub fn send(&mut self, command: Command) -> Result<Ticket> {
        self.mailbox.send(command)
    }

    /// Waits until the guest has done a command; gives its result.
    ///
    /// # Errors
    ///
    /// How the guest ended, when it did so without an answer; [`Error::Silent`] after the limit.
    pub fn wait(&mut self, ticket: Ticket) -> Result<u64> {
        let deadline = Instant::now() + self.limit;
        loop {
            // First the end, then the reply: one who ends replies before.
            let ended = match self.ended.try_recv() {
                Ok(ended) => Some(ended),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => Some(Err(Error::Panicked)),
            };
            if self.mailbox.is_done(ticket)? {
                let result = self.mailbox.result();
                if let Some(ended) = ended {
                    self.keep(ended);
                }
                return result;
            }
            match ended {
                Some(Ok(_)) => return Err(Error::Gone { ticket: ticket.number() }),
                Some(Err(error)) => return Err(error),
                None if Instant::now() >= deadline => {
                    return Err(Error::Silent { ticket: ticket.number(), limit: self.limit });
                }
                None => thread::sleep(Duration::from_micros(20)),
            }
        }
    }

    /// Sends a command and waits until the guest has done it; gives its result.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Guest::send) and [`wait`](Guest::wait).
    pub fn ask(&mut self, command: Command) -> Result<u64> {
        let ticket = self.send(command)?;
        self.wait(ticket)
    }

    /// Tells the guest to stop and waits until it has ended.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Guest::send) and [`finish`](Guest::finish).
    pub fn stop(mut self) -> Result<Summary> {
        self.send(Command::Stop)?;
        self.finish()
    }

    /// Waits until the guest has ended by itself.
    ///
    /// # Errors
    ///
    /// How the guest ended, when it should not have ended so; [`Error::Stuck`] when it had to be
    /// stopped.
    pub fn finish(self) -> Result<Summary> {
        let stuck = Err(Error::Stuck { limit: self.limit });
        match self.ended.recv_timeout(self.limit) {
            Ok(ended) => return ended,
            Err(RecvTimeoutError::Disconnected) => return Err(Error::Panicked),
            Err(RecvTimeoutError::Timeout) => self.signs.stop(),
        }
        if self.ended.recv_timeout(Self::GRACE).is_ok() {
            return stuck;
        }
        if let Some(vm) = &self.vm {
            vm.unplug_all()?;
            // What it says now is only that its memory is gone.
            let _ = self.ended.recv_timeout(Self::FORCE);
        }
        stuck
    }

    /// Keeps the message of the end for a later `finish`.
    fn keep(&mut self, ended: Result<Summary>) {
        let (say, kept) = sync_channel(1);
        // There is room for one, and `kept` listens.
        let _ = say.send(ended);
        self.ended = kept;
    }
}

impl<W> Drop for Guest<W> {
    fn drop(&mut self) {
        self.signs.stop();
    }
}

/// Runs a guest until its program ends.
fn play(mut vcpu: Vcpu, signs: &Signs) -> Result<()> {
    const ENDED: u16 = port::ENDED as u16;
    const HEARTBEAT: u16 = port::HEARTBEAT as u16;

    loop {
        match vcpu.run()? {
            Exit::Out { port: ENDED } => return Ok(()),
            Exit::Out { port: HEARTBEAT } => {
                signs.beat();
                signs.go_on()?;
            }
            Exit::Out { port } => {
                return Err(Error::UnexpectedExit { exit: format!("out to port {port:#x}") });
            }
            Exit::Hole { at, access } => return Err(Error::Hole { at, access }),
        }
    }
}
