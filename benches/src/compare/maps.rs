//! The contestants' memories of one layout, side by side.

use crate::compare::contestant::Memory;
use crate::compare::contestants::{Facade, Ours, V016, V018};
use crate::layout::Layout;
use crate::raw::Hosts;

/// As [`add_all`], with ours on memory that is scattered over the host besides.
macro_rules! add_all_and_scattered {
    ($setting:ty, $group:expr, $maps:expr, |$memory:ident| $body:expr) => {{
        $crate::compare::maps::add_all!($setting, $group, $maps, |$memory| $body);
        if <$setting as $crate::compare::session::Setting>::COMPANY {
            let $memory = &$maps.scattered;
            $group.add("scattered", $body);
        }
    }};
}
pub(crate) use add_all_and_scattered;

/// Adds all contestants to a group: one body, once for each memory.
///
/// In the setting where an operation is the only user of its type, the facade is left out.
macro_rules! add_all {
    ($setting:ty, $group:expr, $maps:expr, |$memory:ident| $body:expr) => {{
        let maps = $maps;
        {
            let $memory = &maps.v016;
            $group.add("0.16", $body);
        }
        {
            let $memory = &maps.v018;
            $group.add("0.18", $body);
        }
        {
            let $memory = &maps.ours;
            $group.add("ours", $body);
        }
        if <$setting as $crate::compare::session::Setting>::COMPANY {
            let $memory = &maps.facade;
            $group.add("facade", $body);
        }
    }};
}
pub(crate) use add_all;

/// One memory for each contestant, and one more for the raw pointer.
pub(crate) struct Maps<B016, B018, B> {
    pub(crate) layout: Layout,
    pub(crate) raw: Ours<()>,
    pub(crate) v016: V016<B016>,
    pub(crate) v018: V018<B018>,
    pub(crate) ours: Ours<B>,
    pub(crate) facade: Facade<B>,
    /// Ours, with regions that are neighbours of nobody on the host.
    pub(crate) scattered: Ours<B>,
}

/// Memories whose writes nobody records.
pub(crate) type Plain = Maps<(), (), ()>;

/// Memories with records.
pub(crate) type Recorded = Maps<
    vm_memory_016::bitmap::AtomicBitmap,
    vm_memory::bitmap::AtomicBitmap,
    guest_dirty::AtomicBitmap,
>;

impl<B016, B018, B> Maps<B016, B018, B>
where
    V016<B016>: Memory,
    V018<B018>: Memory,
    Ours<B>: Memory,
    Facade<B>: Memory,
    B: guest_mmap::NewBitmap + Send + Sync + Clone + 'static,
{
    pub(crate) fn new(layout: Layout) -> Self {
        Self {
            raw: Memory::map(&layout),
            v016: Memory::map(&layout),
            v018: Memory::map(&layout),
            ours: Memory::map(&layout),
            facade: Memory::map(&layout),
            scattered: Ours::scattered(&layout),
            layout,
        }
    }

    /// Where the raw pointer's memory lies.
    pub(crate) fn raw(&self) -> Hosts<'_> {
        self.raw.hosts()
    }

    /// The table, after `size` bytes were written at each address in all memories.
    pub(crate) fn touched(&self, table: Vec<u64>, size: usize) -> Vec<u64> {
        for hosts in self.all() {
            hosts.touch(&table, size);
        }
        table
    }

    /// All memories.
    pub(crate) fn all(&self) -> [Hosts<'_>; 6] {
        [
            self.raw.hosts(),
            self.v016.hosts(),
            self.v018.hosts(),
            self.ours.hosts(),
            self.facade.hosts(),
            self.scattered.hosts(),
        ]
    }

    /// Random addresses over all regions, and hot ones in a few lines of one, all of them touched.
    pub(crate) fn tables(&self, size: usize) -> [(&'static str, Vec<u64>); 2] {
        [
            ("hot", self.touched(self.layout.hot_addresses(size), size)),
            ("random", self.touched(self.layout.addresses(size), size)),
        ]
    }
}
