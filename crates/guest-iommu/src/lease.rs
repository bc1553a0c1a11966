//! Counts who uses translations of the past, so that one can wait until nobody does.
//!
//! Time is cut into turns, which have numbers. A lease is counted on the side of the turn it was taken in: one side for even
//! turns, one for odd ones. A turn begins only when the side it will use, that of the turn before the last, is empty.
//! So all leases there are belong to the current turn or to the one before, and whoever waits for the leases of a turn waits
//! for its side to get empty once the next turn has begun. New leases go to the other side, so they keep nobody waiting.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The longest sleep between two looks at the count.
const SLEEP_MAX: Duration = Duration::from_millis(1);

/// The counts.
///
/// # Invariants
///
/// `turn` goes up by one at a time, under `gate`, and when the side that the next turn will use has no lease.
#[derive(Default)]
pub(crate) struct Leases {
    turn: AtomicU64,
    /// The leases of even turns, and of odd ones.
    held: [AtomicUsize; 2],
    gate: Mutex<()>,
}

/// Says that translations of now are in use: whoever waits for [`PastLeases`] waits for it.
///
/// A slice of an [`IommuMemory`](crate::IommuMemory) has one of its own. Take one by
/// [`IommuMemory::lease`](crate::IommuMemory::lease) for what counts itself not: raw pointers, a
/// [`HostPtr`](guest_volatile::HostPtr) that outlives its slice.
///
/// ```
/// # use guest_iommu::{GuestAddress, IommuMemory, Iotlb};
/// # use guest_memory::{GuestRegionCollection, IoMemory, Permissions, SliceRegion};
/// # use std::sync::RwLock;
/// # let mut ram = vec![0u8; 0x1000];
/// # let ram = SliceRegion::new(GuestAddress(0), &mut ram).unwrap();
/// # let ram = GuestRegionCollection::from_regions(vec![ram]).unwrap();
/// # let memory = IommuMemory::new(ram, RwLock::new(Iotlb::new()), true, ());
/// # memory.iommu().write().unwrap().set_mapping(GuestAddress(0x8000), GuestAddress(0), 0x1000, Permissions::Read)?;
/// let slice = memory.find_io_slice(GuestAddress(0x8000), 0x100, Permissions::Read).unwrap();
/// let (pointer, lease) = (slice.host_ptr(), memory.lease());
/// drop(slice);
/// // Here a system call reads from `pointer`; whoever invalidates waits.
/// assert!(!memory.past_leases().are_over());
/// drop((pointer, lease));
/// assert!(memory.past_leases().are_over());
/// # Ok::<(), guest_iommu::Error>(())
/// ```
pub struct Lease<'a> {
    /// The count it is in.
    held: &'a AtomicUsize,
}

impl Leases {
    /// A lease of the current turn.
    ///
    /// What is in the table after this, under a guard that keeps it there, is used under the lease.
    #[inline]
    pub(crate) fn take(&self) -> Lease<'_> {
        loop {
            let turn = self.turn.load(Ordering::Relaxed);
            let held = self.side(turn);
            // The count and then a look at the turn, here; the turn and then a look at the count, in `is_over`. All four
            // are sequentially consistent, so one of the two sees the other.
            held.fetch_add(1, Ordering::SeqCst);
            if self.turn.load(Ordering::SeqCst) == turn {
                return Lease { held };
            }
            // A turn began in between, so this may be the wrong side. Nothing was done under it.
            held.fetch_sub(1, Ordering::Release);
        }
    }

    /// The current turn. What happened before this call is visible to whoever takes a lease of a later turn.
    fn turn(&self) -> u64 {
        // The turns that follow begin under the gate, after this.
        let _gate = self.pass_gate();
        self.turn.load(Ordering::SeqCst)
    }

    /// Whether no lease of `turn` or an earlier one is left. Once true it stays true, and what was done under these leases has
    /// been done before.
    fn is_over(&self, turn: u64) -> bool {
        let _gate = self.pass_gate();
        let mut now = self.turn.load(Ordering::SeqCst);
        if now == turn && self.is_empty(now.wrapping_add(1)) {
            now = now.wrapping_add(1);
            // INVARIANT: the next one, under the gate, and its side is empty.
            self.turn.store(now, Ordering::SeqCst);
        }
        // A turn later, the turn before this one is over by the invariant, and this one's side takes no new leases. Two turns
        // later, this one is over as well, by the invariant. A turn is not 2^63 turns old.
        match now.wrapping_sub(turn) {
            0 => false,
            1 => self.is_empty(turn),
            _ => true,
        }
    }

    /// Whether there is no lease on the side of `turn`.
    fn is_empty(&self, turn: u64) -> bool {
        // Not only an acquire, for those who had leases: see `take`.
        self.side(turn).load(Ordering::SeqCst) == 0
    }

    #[inline]
    fn side(&self, turn: u64) -> &AtomicUsize {
        &self.held[usize::from(turn & 1 != 0)]
    }

    fn pass_gate(&self) -> MutexGuard<'_, ()> {
        // It guards no data that a panic could leave half changed.
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Leases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held: usize = self.held.iter().map(|held| held.load(Ordering::Relaxed)).sum();
        f.debug_struct("Leases").field("held", &held).finish_non_exhaustive()
    }
}

impl Clone for Lease<'_> {
    /// A lease as old as this one.
    #[inline]
    fn clone(&self) -> Self {
        // The side is not empty before this, as `self` is there, and so not after it either.
        self.held.fetch_add(1, Ordering::Relaxed);
        Self { held: self.held }
    }
}

impl Drop for Lease<'_> {
    #[inline]
    fn drop(&mut self) {
        // Whoever finds the side empty sees what was done under the lease.
        self.held.fetch_sub(1, Ordering::Release);
    }
}

impl fmt::Debug for Lease<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").finish_non_exhaustive()
    }
}

/// All leases that were taken before it was made, by [`IommuMemory::past_leases`](crate::IommuMemory::past_leases).
///
/// It tells when they are gone. It waits for slices of the past, and not for a moment without slices: new ones do not keep it
/// waiting, however many come. (Where slices are left that are older than the last call for `PastLeases`, those that are
/// taken until these are gone may be waited for, too.) A slice that is leaked, as by [`std::mem::forget`], is never gone.
///
/// ```
/// # use guest_iommu::{GuestAddress, IommuMemory, Iotlb};
/// # use guest_memory::{GuestRegionCollection, IoMemory, Permissions, SliceRegion};
/// # use std::sync::RwLock;
/// # let mut ram = vec![0u8; 0x1000];
/// # let ram = SliceRegion::new(GuestAddress(0), &mut ram).unwrap();
/// # let ram = GuestRegionCollection::from_regions(vec![ram]).unwrap();
/// # let memory = IommuMemory::new(ram, RwLock::new(Iotlb::new()), true, ());
/// # memory.iommu().write().unwrap().set_mapping(GuestAddress(0x8000), GuestAddress(0), 0x1000, Permissions::Read)?;
/// let slice = memory.find_io_slice(GuestAddress(0x8000), 4, Permissions::Read).unwrap();
/// let past = memory.past_leases();
/// assert!(!past.are_over());
/// drop(slice);
/// assert!(past.are_over());
/// # Ok::<(), guest_iommu::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct PastLeases {
    leases: Arc<Leases>,
    turn: u64,
}

impl PastLeases {
    /// Those taken before this call.
    pub(crate) fn new(leases: &Arc<Leases>) -> Self {
        let past = Self { leases: Arc::clone(leases), turn: leases.turn() };
        // So that leases taken from now on are of the next turn, if that may begin.
        let _ = past.are_over();
        past
    }

    /// Whether they are all gone. Once true it stays true, and all that was done under them has been done before.
    #[must_use = "nothing waits for the leases"]
    pub fn are_over(&self) -> bool {
        self.leases.is_over(self.turn)
    }

    /// Waits until they are all gone; all that was done under them has been done before.
    ///
    /// A thread that waits for a slice of its own waits for ever. So does one that waits for a device which keeps a slice for
    /// as long as the guest likes; [`wait_timeout`](Self::wait_timeout) does not.
    ///
    /// ```
    /// # use guest_iommu::{GuestAddress, IommuMemory, Iotlb};
    /// # use guest_memory::GuestRegionCollection;
    /// # use std::sync::RwLock;
    /// # type Ram = GuestRegionCollection<guest_memory::SliceRegion<'static>>;
    /// # let memory = IommuMemory::new(Ram::new(), RwLock::new(Iotlb::new()), true, ());
    /// memory.iommu().write().unwrap().invalidate_mapping(GuestAddress(0x8000), 0x1000)?;
    /// memory.past_leases().wait();
    /// // From here on nobody uses what 0x8000 was mapped to.
    /// # Ok::<(), guest_iommu::Error>(())
    /// ```
    pub fn wait(self) {
        // That long it takes for ever, and it cannot fail.
        while self.wait_timeout(Duration::MAX).is_err() {}
    }

    /// As [`wait`](Self::wait), but no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// If some are left then. One may wait again.
    ///
    /// ```
    /// # use guest_iommu::{IommuMemory, Iotlb};
    /// # use guest_memory::GuestRegionCollection;
    /// # use std::sync::RwLock;
    /// # type Ram = GuestRegionCollection<guest_memory::SliceRegion<'static>>;
    /// # let memory = IommuMemory::new(Ram::new(), RwLock::new(Iotlb::new()), true, ());
    /// use std::time::Duration;
    ///
    /// let lease = memory.lease();
    /// let past = memory.past_leases();
    /// assert!(past.wait_timeout(Duration::from_millis(1)).is_err());
    /// drop(lease);
    /// assert!(past.wait_timeout(Duration::from_millis(1)).is_ok());
    /// ```
    pub fn wait_timeout(&self, timeout: Duration) -> Result<(), LeasesLeft> {
        let start = Instant::now();
        let mut sleep = Duration::from_micros(1);
        while !self.are_over() {
            let left = timeout.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Err(LeasesLeft);
            }
            thread::sleep(sleep.min(left));
            sleep = (sleep * 2).min(SLEEP_MAX);
        }
        Ok(())
    }
}

/// Slices that were translated before are still in use.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("slices of earlier translations are still in use")]
#[non_exhaustive]
pub struct LeasesLeft;
