//! A queue's state between the thread of the connection and that of the queue, which no front-end can block.
//!
//! `VringMutex` of vhost-user-backend reads kicks and writes calls under its lock, by calls that wait. Both files are the
//! front-end's: one that gives a pipe stops the queue's thread with the lock in its hand, then that of the connection,
//! and then nobody sees any more that the front-end goes.

use std::fs::File;
use std::io::{self, ErrorKind, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use vhost_user_backend::{VringMutex, VringStateGuard, VringStateMutGuard, VringT};
use virtio_queue::Error as QueueError;

use crate::memory::Current;

type State = VringMutex<Current>;

/// How long a call that is being made may keep its file from being exchanged. It takes microseconds, unless it waits for ever.
const PATIENCE: Duration = Duration::from_secs(1);

/// One queue, clones of which are the same.
#[derive(Clone)]
pub(crate) struct Vring {
    state: State,
    call: Arc<Call>,
}

/// The file by which the driver is told, outside of the lock of the state.
#[derive(Default)]
struct Call {
    file: ArcSwapOption<File>,
    /// Held while the file is written to.
    is_made: Mutex<()>,
}

/// A call that is about to be made: the file is not exchanged before.
///
/// A front-end that stops a queue has it exchanged for none, and takes a last look at what the driver was told: a call that
/// came later would be lost, and with it a guest that waits for its disk.
pub(crate) struct Due<'a> {
    call: &'a Call,
    _held: MutexGuard<'a, ()>,
}

impl Vring {
    /// Makes a call due. It is for who has the state locked, and made when it has not, since it may wait for ever: whoever reads
    /// from the file may want to wait, and the mode of writing is the same.
    pub(crate) fn call(&self) -> Due<'_> {
        let held = self.call.is_made.lock().unwrap_or_else(PoisonError::into_inner);
        Due { call: &self.call, _held: held }
    }
}

impl Due<'_> {
    /// Tells the driver that chains are used.
    pub(crate) fn make(self) -> io::Result<()> {
        let file = self.call.file.load_full();
        let Some(mut file) = file.as_deref() else { return Ok(()) };
        match file.write(&1_u64.to_ne_bytes()) {
            // So much was said already that no more can be.
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            result => result.map(|_| ()),
        }
    }
}

impl<'a> VringStateGuard<'a, Current> for Vring {
    type G = <State as VringStateGuard<'a, Current>>::G;
}

impl<'a> VringStateMutGuard<'a, Current> for Vring {
    type G = <State as VringStateMutGuard<'a, Current>>::G;
}

impl VringT<Current> for Vring {
    fn new(mem: Current, max_queue_size: u16) -> Result<Self, QueueError> {
        Ok(Self { state: State::new(mem, max_queue_size)?, call: Arc::default() })
    }

    /// Takes the kick, if there is one: a thread may be woken for one that was taken already.
    fn read_kick(&self) -> io::Result<bool> {
        match self.state.read_kick() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(self.get_ref().is_enabled()),
            result => result,
        }
    }

    fn set_kick(&self, file: Option<File>) {
        if let Some(Err(error)) = file.as_ref().map(never_wait) {
            log::warn!("a kick may block its queue: {error}");
        }
        self.state.set_kick(file);
    }

    fn signal_used_queue(&self) -> io::Result<()> {
        self.call().make()
    }

    fn set_call(&self, file: Option<File>) {
        let start = Instant::now();
        while let Err(TryLockError::WouldBlock) = self.call.is_made.try_lock() {
            if start.elapsed() > PATIENCE {
                log::error!("a call waits in a file of the front-end");
                break;
            }
            thread::sleep(Duration::from_micros(50));
        }
        self.call.file.store(file.map(Arc::new));
    }

    // The rest is as it was.

    fn get_ref(&self) -> <Self as VringStateGuard<'_, Current>>::G {
        self.state.get_ref()
    }

    fn get_mut(&self) -> <Self as VringStateMutGuard<'_, Current>>::G {
        self.state.get_mut()
    }

    fn add_used(&self, desc_index: u16, len: u32) -> Result<(), QueueError> {
        self.state.add_used(desc_index, len)
    }

    fn enable_notification(&self) -> Result<bool, QueueError> {
        self.state.enable_notification()
    }

    fn disable_notification(&self) -> Result<(), QueueError> {
        self.state.disable_notification()
    }

    fn needs_notification(&self) -> Result<bool, QueueError> {
        self.state.needs_notification()
    }

    fn set_enabled(&self, enabled: bool) {
        self.state.set_enabled(enabled);
    }

    fn set_queue_info(
        &self,
        desc_table: u64,
        avail_ring: u64,
        used_ring: u64,
    ) -> Result<(), QueueError> {
        self.state.set_queue_info(desc_table, avail_ring, used_ring)
    }

    fn queue_next_avail(&self) -> u16 {
        self.state.queue_next_avail()
    }

    fn set_queue_next_avail(&self, base: u16) {
        self.state.set_queue_next_avail(base);
    }

    fn set_queue_next_used(&self, idx: u16) {
        self.state.set_queue_next_used(idx);
    }

    fn queue_used_idx(&self) -> Result<u16, QueueError> {
        self.state.queue_used_idx()
    }

    fn set_queue_size(&self, num: u16) {
        self.state.set_queue_size(num);
    }

    fn set_queue_event_idx(&self, enabled: bool) {
        self.state.set_queue_event_idx(enabled);
    }

    fn set_queue_ready(&self, ready: bool) {
        self.state.set_queue_ready(ready);
    }

    fn set_err(&self, file: Option<File>) {
        self.state.set_err(file);
    }
}

/// Has reads from the file fail where they would wait.
fn never_wait(file: &File) -> nix::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(file, FcntlArg::F_GETFL)?);
    fcntl(file, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}
