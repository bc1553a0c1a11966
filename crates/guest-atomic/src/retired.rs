//! A map that is no longer in force, and whether anyone still has it.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::thread;
use std::time::{Duration, Instant};

/// The longest sleep between two looks at the reference count.
const SLEEP_MAX: Duration = Duration::from_millis(1);

/// A map that was replaced: it tells when its last reader has let go, so that memory that only it had can be removed
/// from the hypervisor and unmapped.
///
/// Readers are all who hold the map: guards, windows, and the [kept map](crate::GuestMemoryReader) of a reader until it looks for
/// a new one or is detached.
///
/// It holds the map itself. Drop it, and the map goes with its last reader, whenever that is.
///
/// It tells of this map, not of the regions in it: they live on in another map that has them (a copy of this one too), and with
/// whoever took a share of one.
#[derive(Debug)]
pub struct Retired<M> {
    map: Arc<M>,
}

impl<M> Retired<M> {
    /// The map in force `map` was, which it is no longer: no new reader can come.
    pub(crate) fn new(map: Arc<M>) -> Self {
        Self { map }
    }

    /// The map.
    pub fn map(&self) -> &M {
        &self.map
    }

    /// Whether nobody else has the map. If so, all that its readers did has been done before, and it stays so, unless
    /// somebody made a [`Weak`](std::sync::Weak) of the map and has that still.
    pub fn is_unused(&self) -> bool {
        let unused = Arc::strong_count(&self.map) == 1;
        // The count itself orders nothing. With this, what it shows pairs with the release by which each reader let go.
        fence(Ordering::Acquire);
        unused
    }

    /// The map, if nobody else has it; all that its readers did has been done before.
    ///
    /// # Errors
    ///
    /// Itself, if somebody has.
    pub fn try_into_inner(self) -> Result<M, Self> {
        // A successful unwrap synchronizes with the drop of every other reference.
        Arc::try_unwrap(self.map).map_err(Self::new)
    }

    /// Waits until nobody else has the map, and gives it; all that its readers did has been done before.
    ///
    /// A thread that waits for its own guard, or for a reader or window of its own, waits for ever.
    pub fn wait(self) -> M {
        let mut retired = self;
        loop {
            match retired.wait_timeout(Duration::MAX) {
                Ok(map) => return map,
                Err(still_used) => retired = still_used,
            }
        }
    }

    /// As [`wait`](Self::wait), but no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// Itself, if somebody has the map still.
    pub fn wait_timeout(self, timeout: Duration) -> Result<M, Self> {
        let start = Instant::now();
        let mut retired = self;
        let mut sleep = Duration::from_micros(1);
        loop {
            match retired.try_into_inner() {
                Ok(map) => return Ok(map),
                Err(still_used) => retired = still_used,
            }
            let Some(left) = timeout.checked_sub(start.elapsed()).filter(|left| !left.is_zero())
            else {
                return Err(retired);
            };
            thread::sleep(sleep.min(left));
            sleep = (sleep * 2).min(SLEEP_MAX);
        }
    }
}
