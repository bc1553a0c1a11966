//! A window that keeps its map, and can tell whether that is still in force.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use guest_memory::{
    GuestAddress, GuestAddressSpace, GuestMemoryResult, GuestWindow, Permissions, WindowMemory,
};

use crate::atomic::GuestMemoryAtomic;
use crate::reader::GuestMemoryReader;
use crate::shared::Shared;

/// A [window](GuestWindow) on memory of a map that may be replaced.
///
/// It dereferences to the window, whose accesses look at nothing else: they go on reaching the memory of the map it was made
/// from when another is in force. [`is_current`](Self::is_current) tells, by one load and a comparison; ask it once for
/// each piece of work, and make the window anew when it says no.
///
/// It holds that map, so that what a device reaches through a window counts as used:
/// [`Retired::is_unused`](crate::Retired::is_unused) says no as long as the window is there.
///
/// ```
/// use guest_atomic::GuestMemoryAtomic;
/// use guest_memory::{Bytes, GuestAddress, GuestAddressSpace, GuestRegionCollection, Permissions, SliceRegion};
/// use std::sync::Arc;
///
/// let region = |start| Arc::new(SliceRegion::new(GuestAddress(start), vec![0; 0x1000].leak()).unwrap());
/// let map = GuestRegionCollection::from_arc_regions(vec![region(0), region(0x1000)])?;
/// let space = GuestMemoryAtomic::new(map);
/// let ring = space.window(GuestAddress(0x1800), 0x100, Permissions::ReadWrite)?;
/// ring.write_obj(7_u16, 2)?;
/// assert!(ring.is_current());
///
/// let guard = space.lock().unwrap();
/// let (next, unplugged) = guard.remove_region(GuestAddress(0x1000), 0x1000)?;
/// let retired = guard.replace(next);
/// assert!(!ring.is_current());
/// assert_eq!(ring.read_obj::<u16>(2), Ok(7)); // it is there still, though the guest has it no longer
/// assert!(!retired.is_unused());
/// drop(ring);
/// assert!(retired.is_unused());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PinnedWindow<M: WindowMemory> {
    window: GuestWindow<M::R>,
    map: Arc<M>,
    shared: Arc<Shared<M>>,
}

impl<M: WindowMemory> PinnedWindow<M> {
    fn new(
        shared: &Arc<Shared<M>>,
        map: Arc<M>,
        addr: GuestAddress,
        len: usize,
        access: Permissions,
    ) -> GuestMemoryResult<Self> {
        let window = map.window(addr, len, access)?;
        Ok(Self { window, map, shared: Arc::clone(shared) })
    }

    /// Whether the map that the window was made from is in force. It says no a moment early, while another is being published.
    ///
    /// Once it has said no it never says yes again. When it says yes, another map may be published the moment after, as with any
    /// map that a device works on.
    #[inline(always)]
    pub fn is_current(&self) -> bool {
        self.shared.is_in_force(&self.map)
    }

    /// The map that the window was made from.
    pub fn memory(&self) -> &Arc<M> {
        &self.map
    }

    /// A window on the `len` bytes from `offset` on, if they all lie inside, of the same map and with the same permission.
    pub fn part(&self, offset: usize, len: usize) -> Option<Self> {
        Some(Self { window: self.window.part(offset, len)?, ..self.clone() })
    }
}

impl<M: WindowMemory> GuestMemoryAtomic<M> {
    /// A window on the `len` bytes from `addr` on in the map in force.
    ///
    /// # Errors
    ///
    /// Those of [`WindowMemory::window`].
    pub fn window(
        &self,
        addr: GuestAddress,
        len: usize,
        access: Permissions,
    ) -> GuestMemoryResult<PinnedWindow<M>> {
        PinnedWindow::new(&self.shared, self.memory().into_inner(), addr, len, access)
    }
}

impl<M: WindowMemory> GuestMemoryReader<M> {
    /// A window on the `len` bytes from `addr` on in the map that this reader holds, or in the one in force if it holds none.
    ///
    /// It does not look for a new map: windows that are made one after the other are windows on the same map, and
    /// [`refresh`](Self::refresh) tells when it is time to make them all anew.
    ///
    /// # Errors
    ///
    /// Those of [`WindowMemory::window`].
    pub fn window(
        &mut self,
        addr: GuestAddress,
        len: usize,
        access: Permissions,
    ) -> GuestMemoryResult<PinnedWindow<M>> {
        let map = Arc::clone(self.held());
        PinnedWindow::new(self.shared(), map, addr, len, access)
    }
}

impl<M: WindowMemory> Deref for PinnedWindow<M> {
    type Target = GuestWindow<M::R>;

    #[inline(always)]
    fn deref(&self) -> &GuestWindow<M::R> {
        &self.window
    }
}

impl<M: WindowMemory> Clone for PinnedWindow<M> {
    /// Another window on the same bytes, which holds the same map.
    fn clone(&self) -> Self {
        Self {
            window: self.window.clone(),
            map: Arc::clone(&self.map),
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<M: WindowMemory> fmt::Debug for PinnedWindow<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PinnedWindow")
            .field("window", &self.window)
            .field("is_current", &self.is_current())
            .finish_non_exhaustive()
    }
}
