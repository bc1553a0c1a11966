//! What the host's thread and the guest's thread tell each other besides the mailbox.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::error::{Error, Result};

/// Two words, neither of which orders anything else: hence relaxed throughout.
#[derive(Debug, Default)]
pub(crate) struct Signs {
    stop: AtomicBool,
    heartbeats: AtomicU64,
}

impl Signs {
    /// Tells the guest's thread to end when it next can.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Fails when the guest's thread was told to end.
    pub(crate) fn go_on(&self) -> Result<()> {
        if self.stop.load(Ordering::Relaxed) { Err(Error::Stopped) } else { Ok(()) }
    }

    /// Counts a heartbeat.
    pub(crate) fn beat(&self) {
        self.heartbeats.fetch_add(1, Ordering::Relaxed);
    }

    /// The heartbeats so far.
    pub(crate) fn heartbeats(&self) -> u64 {
        self.heartbeats.load(Ordering::Relaxed)
    }
}
