//! What memory for tests has seen, and what it is to do.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use guest_memory::GuestAddress;

/// One slice of memory that was asked for: an access by guest address asks for one in each region that it lies in.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Access {
    /// Where it starts.
    pub addr: GuestAddress,
    /// How many bytes were asked for.
    pub asked: usize,
    /// How many were given, or `None` if the access failed, as it was to.
    pub given: Option<usize>,
    /// What was written through the slice, by its marks: where each write starts, and how many bytes it has.
    pub written: Vec<(GuestAddress, usize)>,
}

impl Access {
    /// The bytes that both have, where they start and how many there are, if there is one.
    pub(crate) fn overlap(&self, addr: GuestAddress, len: usize) -> Option<(GuestAddress, usize)> {
        let start = self.addr.max(addr);
        let end = |addr: GuestAddress, len: usize| u128::from(addr.0) + len as u128;
        let end = end(self.addr, self.given?).min(end(addr, len));
        // The end is no less than one of the starts only if there is a byte; it is part of a `usize`.
        let len = end.checked_sub(u128::from(start.0)).filter(|&len| len > 0)?;
        Some((start, usize::try_from(len).ok()?))
    }
}

/// Bytes that change by themselves.
#[derive(Clone, Copy, Debug)]
struct Flip {
    addr: GuestAddress,
    len: usize,
    mask: u8,
    /// Before so many more accesses to them.
    after: usize,
}

#[derive(Debug, Default)]
struct State {
    trace: Vec<Access>,
    /// Which trace this is: writes through slices of an earlier one have no place in it.
    epoch: usize,
    failures: Vec<usize>,
    most: Option<usize>,
    flips: Vec<Flip>,
}

/// A hold on memory for tests: it says what the memory is to do, and shows what was done to it.
///
/// Make the regions of a map with one probe, and its trace has all accesses to the map in order. Clones are holds on the same.
/// The plan is in force from the next access on, and counts accesses from the last [`restart`](Self::restart).
///
/// ```
/// use guest_memory::{Bytes, GuestAddress};
/// use guest_testing::Probe;
///
/// let probe = Probe::new();
/// let memory = probe.memory(&[(GuestAddress(0x1000), 0x1000)])?;
/// probe.fail_at(1);
/// memory.write_obj(7_u32, GuestAddress(0x1010))?;
/// assert!(memory.read_obj::<u32>(GuestAddress(0x1010)).is_err()); // as was planned
/// assert_eq!(memory.read_obj::<u32>(GuestAddress(0x1010))?, 7);
///
/// let trace = probe.trace();
/// assert_eq!((trace[0].addr, trace[0].given), (GuestAddress(0x1010), Some(4)));
/// assert_eq!(trace[0].written, [(GuestAddress(0x1010), 4)]);
/// assert_eq!(trace[1].given, None);
/// assert!(trace[2].written.is_empty()); // it was read
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Probe {
    state: Arc<Mutex<State>>,
}

impl Probe {
    /// A probe of no memory yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The accesses since the last [`restart`](Self::restart), in order. The index is the access's number.
    pub fn trace(&self) -> Vec<Access> {
        self.state().trace.clone()
    }

    /// Lets the access with this number fail: it gets [`HostAddressNotAvailable`][error] instead of a slice.
    ///
    /// To see a device meet every failure there is, run it once for the length of the trace, and then once for each number.
    ///
    /// ```
    /// # use guest_memory::{Bytes, GuestAddress, GuestMemoryError};
    /// # use guest_testing::{Probe, TestMemory};
    /// # let probe = Probe::new();
    /// # let memory = probe.memory(&[(GuestAddress(0x1000), 0x1000)])?;
    /// fn device(memory: &TestMemory) -> Result<(), GuestMemoryError> {
    ///     let request: u32 = memory.read_obj(GuestAddress(0x1000))?;
    ///     memory.write_obj(request + 1, GuestAddress(0x1004))
    /// }
    /// device(&memory)?;
    /// for number in 0..probe.trace().len() {
    ///     probe.restart();
    ///     probe.fail_at(number);
    ///     assert!(device(&memory).is_err());
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// [error]: guest_memory::GuestMemoryError::HostAddressNotAvailable
    pub fn fail_at(&self, number: usize) {
        self.state().failures.push(number);
    }

    /// Gives slices of at most `most` bytes from now on, as a memory may whose pieces are small. None has no byte: 0 counts
    /// as 1.
    pub fn short_slices(&self, most: usize) {
        self.state().most = Some(most.max(1));
    }

    /// Changes `len` bytes at `addr`, which lie in one region, just before they are accessed once more after `after` accesses to
    /// any of them: with 1, between the first and the second. Each byte is xor-ed with `mask`, and stays so.
    ///
    /// ```
    /// # use guest_memory::{Bytes, GuestAddress};
    /// # use guest_testing::Probe;
    /// # let probe = Probe::new();
    /// # let memory = probe.memory(&[(GuestAddress(0x1000), 0x1000)])?;
    /// probe.flip(GuestAddress(0x1010), 1, 0xff, 1);
    /// assert_eq!(memory.read_obj::<u16>(GuestAddress(0x1010))?, 0);
    /// assert_eq!(memory.read_obj::<u16>(GuestAddress(0x1010))?, 0x00ff_u16.to_le());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn flip(&self, addr: GuestAddress, len: usize, mask: u8, after: usize) {
        self.state().flips.push(Flip { addr, len, mask, after });
    }

    /// Forgets the trace and the plan. The bytes stay as they are.
    pub fn restart(&self) {
        let mut state = self.state();
        let epoch = state.epoch + 1;
        *state = State { epoch, ..State::default() };
    }

    /// Writes down that `count` bytes were asked for, and says what is to be done.
    pub(crate) fn access(&self, addr: GuestAddress, count: usize) -> Decision {
        let mut state = self.state();
        let number = state.trace.len();
        let fails = state.failures.contains(&number);
        let given = (!fails).then(|| state.most.map_or(count, |most| count.min(most)));
        let access = Access { addr, asked: count, given, written: Vec::new() };
        let mut flips = Vec::new();
        state.flips.retain_mut(|flip| {
            if access.overlap(flip.addr, flip.len).is_none() {
                return true;
            }
            let Some(left) = flip.after.checked_sub(1) else {
                flips.push((flip.addr, flip.len, flip.mask));
                return false;
            };
            flip.after = left;
            true
        });
        state.trace.push(access);
        Decision { ticket: Ticket { epoch: state.epoch, number }, given, flips }
    }

    /// Writes down a write through the slice of an access.
    pub(crate) fn written(&self, ticket: Ticket, addr: GuestAddress, len: usize) {
        let mut state = self.state();
        if state.epoch == ticket.epoch
            && let Some(access) = state.trace.get_mut(ticket.number)
        {
            access.written.push((addr, len));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A test that panicked in another thread leaves a whole state: each change is one step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which access a slice was given for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    epoch: usize,
    number: usize,
}

/// What an access gets.
#[derive(Debug)]
pub(crate) struct Decision {
    pub(crate) ticket: Ticket,
    pub(crate) given: Option<usize>,
    /// The bytes to be changed before: where they start, how many there are, and how.
    pub(crate) flips: Vec<(GuestAddress, usize, u8)>,
}
