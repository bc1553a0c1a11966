//! A reader that keeps the map, and sees at a glance whether it is still in force.

use std::fmt;
use std::sync::Arc;

use guest_memory::IoMemory;

use crate::atomic::GuestMemoryAtomic;
use crate::shared::Shared;

/// A reader of a [`GuestMemoryAtomic`] for one thread: it keeps the map it has, and looks before each use whether that is still
/// the one in force.
///
/// The look is one load, of a word that only a writer changes, and a comparison: no locked instruction, and as fast
/// beside other readers as alone. Only when the map was replaced does the reader take the new one, for what a
/// [guard](crate::GuestMemoryLoadGuard) costs.
///
/// [`memory`](Self::memory) gives a reference to the map, which is a [`GuestAddressSpace`](guest_memory::GuestAddressSpace)
/// itself: what is written for any of those takes it. [`refresh`](Self::refresh) tells when the map has changed, for a
/// device that keeps windows, translations or anything else that it found in the map:
///
/// ```
/// use guest_atomic::{GuestMemoryAtomic, GuestMemoryReader, PinnedWindow};
/// use guest_memory::{Bytes, GuestAddress, GuestMemoryResult, GuestRegionCollection, Permissions, SliceRegion};
///
/// type Map = GuestRegionCollection<SliceRegion<'static>>;
///
/// struct Device {
///     memory: GuestMemoryReader<Map>,
///     ring: Option<PinnedWindow<Map>>,
/// }
///
/// impl Device {
///     fn kick(&mut self) -> GuestMemoryResult<u16> {
///         if self.memory.refresh().is_some() {
///             self.ring = None; // it lies in a map that is out
///             self.ring = Some(self.memory.window(GuestAddress(0x10), 6, Permissions::Read)?);
///         }
///         let Some(ring) = &self.ring else { return Ok(0) };
///         let head: u16 = ring.read_obj(4)?;
///         self.memory.memory().read_obj(GuestAddress(head.into()))
///     }
///
///     fn sleep(&mut self) {
///         self.ring = None;
///         self.memory.detach();
///     }
/// }
///
/// let boot = SliceRegion::new(GuestAddress(0), vec![0; 0x1000].leak()).unwrap();
/// let space = GuestMemoryAtomic::new(Map::from_regions(vec![boot])?);
/// let mut device = Device { memory: space.reader(), ring: None };
/// assert_eq!(device.kick()?, 0);
///
/// let guard = space.lock().unwrap();
/// let next = (*guard).clone();
/// let retired = guard.replace(next);
/// assert!(!retired.is_unused()); // the device has not looked yet
/// device.kick()?;
/// assert!(retired.is_unused());
/// device.sleep(); // and will not be in anybody's way
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # What it holds
///
/// The map that it saw last, until it looks again: [`Retired`](crate::Retired) counts it among the users of an old map, and so an
/// old map's memory cannot go while a reader sleeps on it. Have a reader look again now and then (wake its thread, as for
/// work), or [`detach`](Self::detach) it before it sleeps; it takes the map in force when it is used again.
pub struct GuestMemoryReader<M: IoMemory> {
    shared: Arc<Shared<M>>,
    map: Option<Arc<M>>,
    /// Whether `refresh` has told of the map.
    told: bool,
}

impl<M: IoMemory> GuestMemoryAtomic<M> {
    /// A reader for one thread, which takes its first map when it is used.
    pub fn reader(&self) -> GuestMemoryReader<M> {
        GuestMemoryReader { shared: Arc::clone(&self.shared), map: None, told: false }
    }
}

impl<M: IoMemory> GuestMemoryReader<M> {
    /// The map in force.
    ///
    /// It stays the same map as long as it is borrowed: borrow it for one piece of work.
    #[inline(always)]
    pub fn memory(&mut self) -> &M {
        if !self.is_current() {
            return self.look_again();
        }
        self.held()
    }

    /// The map in force, if it is another than when this was asked last: what was found in the old one is to be found
    /// anew. The first time, and the first time after a [`detach`](Self::detach), it is always another.
    ///
    /// A change that [`memory`](Self::memory) came upon meanwhile is told of, too.
    #[inline(always)]
    pub fn refresh(&mut self) -> Option<&M> {
        if self.is_current() && self.told {
            return None;
        }
        self.tell()
    }

    /// Whether the map that this reader holds is in force. It says no a moment early, while another is being published; and if
    /// it holds none.
    #[inline(always)]
    pub fn is_current(&self) -> bool {
        self.map.as_ref().is_some_and(|map| self.shared.is_in_force(map))
    }

    /// Lets the map go, until the next use.
    ///
    /// Whoever waits for an old map to be unused does not wait for this reader any longer. Windows hold a map themselves:
    /// drop them as well.
    pub fn detach(&mut self) {
        self.map = None;
        self.told = false;
    }

    /// The map that it holds, or else the one in force.
    #[inline(always)]
    pub(crate) fn held(&mut self) -> &Arc<M> {
        self.map.get_or_insert_with(|| self.shared.take())
    }

    pub(crate) fn shared(&self) -> &Arc<Shared<M>> {
        &self.shared
    }

    /// Takes the map in force.
    ///
    /// What is cold of it is a call that gets and gives values, and nothing in the reader is dropped in its place. A reader that
    /// is lent to a call is read anew after it, where a loop keeps one in registers.
    #[inline(always)]
    fn look_again(&mut self) -> &Arc<M> {
        let (map, told) = take_again(&self.shared, self.map.take(), self.told);
        self.told = told;
        let nothing = self.map.replace(map);
        drop(nothing);
        self.held()
    }

    #[inline(always)]
    fn tell(&mut self) -> Option<&M> {
        self.look_again();
        if self.told {
            return None;
        }
        self.told = true;
        Some(self.held())
    }
}

/// The map in force, for a reader that had `held`, and whether that was told of.
#[cold]
#[inline(never)]
fn take_again<M>(shared: &Shared<M>, held: Option<Arc<M>>, told: bool) -> (Arc<M>, bool) {
    let map = shared.take();
    // It is the same while a writer has announced the next map and not yet put it in place.
    let is_same = held.is_some_and(|held| Arc::ptr_eq(&held, &map));
    (map, told && is_same)
}

impl<M: IoMemory> Clone for GuestMemoryReader<M> {
    /// Another reader of the same, for another thread. It holds no map yet.
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), map: None, told: false }
    }
}

impl<M: IoMemory + fmt::Debug> fmt::Debug for GuestMemoryReader<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuestMemoryReader")
            .field("map", &self.map)
            .field("is_current", &self.is_current())
            .finish()
    }
}
