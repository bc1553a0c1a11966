//! The contestants: two published versions, our layers, and our facade.
//!
//! All speak the same words, from different crates; so one text serves all, once a crate.

#![expect(unsafe_code, reason = "tells where the memory of each crate lies on the host")]

use std::fs::File;
use std::hint::black_box;
use std::io::{Seek as _, SeekFrom};
use std::mem;
use std::num::NonZeroUsize;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use guest_dirty::{AtomicBitmap, DEFAULT_PAGE_SIZE, HarvestBuffer};
use guest_memory::{GuestAddress, GuestRange, PositionalBytes as _};
use guest_mmap::{GuestMemoryMmap, GuestRegionMmap, GuestSpan, NewBitmap};

use crate::compare::contestant::{Memory, Object, Record, Space};
use crate::layout::Layout;
use crate::raw::Hosts;

const PAGE_SIZE: NonZeroUsize = DEFAULT_PAGE_SIZE;

/// The words of our layers, each by its own crate.
mod layers {
    pub(super) use guest_atomic::GuestMemoryAtomic;
    pub(super) use guest_dirty::AtomicBitmap;
    pub(super) use guest_memory::{
        Bytes, GuestAddress, GuestAddressSpace, GuestMemory, GuestMemoryRegion,
    };
    pub(super) use guest_mmap::{GuestMemoryMmap, GuestRegionMmap, NewBitmap};
    pub(super) use guest_volatile::Bitmap;
}

/// The words of 0.18, by our facade.
mod by_facade {
    pub(super) use facade::bitmap::{AtomicBitmap, Bitmap};
    pub(super) use facade::mmap::NewBitmap;
    pub(super) use facade::{
        Bytes, GuestAddress, GuestAddressSpace, GuestMemoryAtomic,
        GuestMemoryBackend as GuestMemory, GuestMemoryMmap, GuestMemoryRegion, GuestRegionMmap,
    };
}

/// The words of 0.18.
mod published_018 {
    pub(super) use vm_memory::bitmap::{AtomicBitmap, Bitmap, NewBitmap};
    pub(super) use vm_memory::{
        Bytes, GuestAddress, GuestAddressSpace, GuestMemoryAtomic,
        GuestMemoryBackend as GuestMemory, GuestMemoryMmap, GuestMemoryRegion, GuestRegionMmap,
    };
}

/// The words of 0.16.
mod published_016 {
    pub(super) use vm_memory_016::bitmap::{AtomicBitmap, Bitmap};
    pub(super) use vm_memory_016::mmap::NewBitmap;
    pub(super) use vm_memory_016::{
        Bytes, GuestAddress, GuestAddressSpace, GuestMemory, GuestMemoryAtomic, GuestMemoryMmap,
        GuestMemoryRegion, GuestRegionMmap,
    };
}

/// Makes a contestant of the words of a crate.
macro_rules! contestant {
    (
        $words:ident, $Name:ident, $Record:ident, $Space:ident, $replaced:ty,
        read_from_at = $read_from_at:expr,
        take = $take:expr, $Buffer:ty
    ) => {
        /// Its map.
        #[derive(Clone)]
        pub(crate) struct $Name<B>($words::GuestMemoryMmap<B>);

        impl<B: $words::NewBitmap + Send + Sync + Clone + 'static> Memory for $Name<B> {
            type Region = Arc<$words::GuestRegionMmap<B>>;

            fn map(layout: &Layout) -> Self {
                let ranges = layout.ranges().iter();
                let ranges: Vec<_> =
                    ranges.map(|&(start, len)| ($words::GuestAddress(start), len)).collect();
                Self($words::GuestMemoryMmap::from_ranges(&ranges).expect("it can be mapped"))
            }

            fn hosts(&self) -> Hosts<'_> {
                use $words::{GuestMemory as _, GuestMemoryRegion as _};
                let regions = self.0.iter();
                let parts =
                    regions.map(|region| (region.start_addr().0, region.size(), region.as_ptr()));
                // SAFETY: the regions are mapped for reading and writing for as long as `self` is borrowed, and nobody has
                // references to what is in them.
                unsafe { Hosts::new(parts) }
            }

            #[inline(always)]
            fn read<T: Object>(&self, addr: u64) -> T {
                use $words::Bytes as _;
                self.0.read_obj($words::GuestAddress(addr)).expect("memory is there")
            }

            #[inline(always)]
            fn write<T: Object>(&self, value: T, addr: u64) {
                use $words::Bytes as _;
                self.0.write_obj(value, $words::GuestAddress(addr)).expect("memory is there");
            }

            #[inline(always)]
            fn load(&self, addr: u64) -> u16 {
                use $words::Bytes as _;
                let addr = $words::GuestAddress(addr);
                self.0.load(addr, Ordering::Acquire).expect("memory is there")
            }

            #[inline(always)]
            fn store(&self, value: u16, addr: u64) {
                use $words::Bytes as _;
                let addr = $words::GuestAddress(addr);
                self.0.store(value, addr, Ordering::Release).expect("memory is there");
            }

            #[inline(always)]
            fn read_slice(&self, buffer: &mut [u8], addr: u64) {
                use $words::Bytes as _;
                self.0.read_slice(buffer, $words::GuestAddress(addr)).expect("memory is there");
            }

            #[inline(always)]
            fn write_slice(&self, buffer: &[u8], addr: u64) {
                use $words::Bytes as _;
                self.0.write_slice(buffer, $words::GuestAddress(addr)).expect("memory is there");
            }

            #[inline(always)]
            fn find(&self, addr: u64) -> u64 {
                use $words::GuestMemory as _;
                let region = self.0.find_region($words::GuestAddress(addr));
                ptr::from_ref(region.expect("memory is there")).addr() as u64
            }

            #[inline(always)]
            fn slice(&self, addr: u64, len: usize) -> u64 {
                use $words::GuestMemory as _;
                let slice = self.0.get_slice($words::GuestAddress(addr), len);
                slice.expect("memory is there").ptr_guard().as_ptr().addr() as u64
            }

            #[inline(always)]
            fn check(&self, addr: u64, len: usize) -> bool {
                use $words::GuestMemory as _;
                self.0.check_range($words::GuestAddress(addr), len)
            }

            #[inline(always)]
            fn read_from(&self, addr: u64, file: &mut File, len: usize) {
                #[allow(
                    unused_imports,
                    reason = "0.16 has it in the one, and 0.18 in the other"
                )]
                use $words::{Bytes as _, GuestMemory as _};
                let addr = $words::GuestAddress(addr);
                self.0.read_exact_volatile_from(addr, file, len).expect("the file is long enough");
            }

            #[inline(always)]
            fn read_from_at(&self, addr: u64, file: &mut File, offset: u64, len: usize) {
                let read: fn(&Self, u64, &mut File, u64, usize) = $read_from_at;
                read(self, addr, file, offset, len);
            }

            #[inline(always)]
            fn write_to(&self, addr: u64, file: &mut File, len: usize) {
                #[allow(
                    unused_imports,
                    reason = "0.16 has it in the one, and 0.18 in the other"
                )]
                use $words::{Bytes as _, GuestMemory as _};
                let addr = $words::GuestAddress(addr);
                self.0.write_all_volatile_to(addr, file, len).expect("the file takes it");
            }

            fn split_last(&self) -> (Self, Self::Region) {
                use $words::{GuestMemory as _, GuestMemoryRegion as _};
                let last = self.0.iter().last().expect("there is a region");
                let removed = self.0.remove_region(last.start_addr(), last.len());
                let (rest, region) = removed.expect("the region is there");
                (Self(rest), region)
            }

            fn with(&self, region: &Self::Region) -> Self {
                Self(self.0.insert_region(Arc::clone(region)).expect("there is room for it"))
            }
        }

        /// Its record.
        #[derive(Clone)]
        pub(crate) struct $Record($words::AtomicBitmap);

        impl Record for $Record {
            type Buffer = $Buffer;

            fn new(len: usize) -> Self {
                Self($words::AtomicBitmap::new(len, PAGE_SIZE))
            }

            #[inline(always)]
            fn mark(&self, offset: usize, len: usize) {
                use $words::Bitmap as _;
                self.0.mark_dirty(offset, len);
            }

            #[inline(always)]
            fn is_dirty(&self, offset: usize) -> bool {
                use $words::Bitmap as _;
                self.0.dirty_at(offset)
            }

            fn take(&self, buffer: &mut $Buffer) {
                let take: fn(&$words::AtomicBitmap, &mut $Buffer) = $take;
                take(&self.0, buffer);
            }

            fn reset(&self) {
                self.0.reset();
            }
        }

        /// Its map in force.
        pub(crate) struct $Space($words::GuestMemoryAtomic<$words::GuestMemoryMmap>);

        impl Space<$Name<()>> for $Space {
            type Old = $replaced;

            fn new(memory: $Name<()>) -> Self {
                Self($words::GuestMemoryAtomic::new(memory.0))
            }

            #[inline(always)]
            fn snapshot(&self) -> u64 {
                use $words::GuestAddressSpace as _;
                ptr::from_ref(&*self.0.memory()).addr() as u64
            }

            #[inline(always)]
            fn snapshot_and_read(&self, addr: u64) -> u32 {
                use $words::{Bytes as _, GuestAddressSpace as _};
                let memory = self.0.memory();
                memory.read_obj($words::GuestAddress(addr)).expect("memory is there")
            }

            #[inline(always)]
            fn replace(&self, next: $Name<()>) -> Self::Old {
                self.0.lock().expect("nobody panics under it").replace(next.0)
            }
        }
    };
}

/// Reads from a place in a file as the published interface has it: seeks there first.
fn seek_and_read<M: Memory>(memory: &M, addr: u64, file: &mut File, offset: u64, len: usize) {
    file.seek(SeekFrom::Start(offset)).expect("the file has places");
    memory.read_from(addr, file, len);
}

/// What is left for the next harvest by who allocates each time.
#[derive(Default)]
pub(crate) struct NoBuffer;

/// Takes all by the published call, which gives a list of all words.
macro_rules! published_take {
    () => {
        |bitmap, _| {
            black_box(bitmap.get_and_reset());
        }
    };
}

contestant!(
    published_016,
    V016,
    Record016,
    Space016,
    (),
    read_from_at = seek_and_read,
    take = published_take!(),
    NoBuffer
);
contestant!(
    published_018,
    V018,
    Record018,
    Space018,
    (),
    read_from_at = seek_and_read,
    take = published_take!(),
    NoBuffer
);
contestant!(
    layers,
    Ours,
    OurRecord,
    OurSpace,
    guest_atomic::Retired<GuestMemoryMmap>,
    read_from_at = |memory, addr, file, offset, len| {
        let read = memory.0.read_exact_volatile_from_at(GuestAddress(addr), &*file, offset, len);
        read.expect("the file is long enough");
    },
    take = |bitmap, buffer| {
        let harvest = bitmap.take_with(mem::take(buffer)).expect("all marks have their page");
        black_box(&harvest);
        *buffer = harvest.commit_into_buffer();
    },
    HarvestBuffer
);
contestant!(
    by_facade,
    Facade,
    FacadeRecord,
    FacadeSpace,
    guest_atomic::Retired<GuestMemoryMmap>,
    read_from_at = seek_and_read,
    take = published_take!(),
    NoBuffer
);

impl<B: NewBitmap + Send + Sync + Clone + 'static> Ours<B> {
    /// A map whose regions were mapped each by itself, wherever the system liked; as are those of who has pointers of his own.
    pub(crate) fn scattered(layout: &Layout) -> Self {
        let region = |&(start, len): &(u64, usize)| {
            GuestRegionMmap::from_range(GuestAddress(start), len, None).expect("it can be mapped")
        };
        let regions = layout.ranges().iter().map(region).collect();
        Self(GuestMemoryMmap::from_regions(regions).expect("the ranges make a map"))
    }

    /// A map in a span that is made for it by hand, as it is where more memory may come.
    pub(crate) fn in_span(layout: &Layout) -> Self {
        let ranges = layout.ranges();
        let end = ranges.last().map_or(0, |&(start, len)| start + len as u64);
        let range = GuestRange::new(GuestAddress(0), end).expect("it does not wrap");
        let span = GuestSpan::new(range).expect("there is address space");
        let region = |&(start, len): &(u64, usize)| {
            span.map_region(GuestAddress(start), len, None).expect("it can be mapped")
        };
        let regions = ranges.iter().map(region).collect();
        Self(GuestMemoryMmap::from_regions(regions).expect("the ranges make a map"))
    }
}

impl OurRecord {
    /// One whose marks lock, whether or not their bits are set.
    pub(crate) fn strict(len: usize) -> Self {
        Self(AtomicBitmap::new_strict(len, PAGE_SIZE))
    }

    /// Takes all bits, of a bitmap that nobody else has.
    pub(crate) fn take_mut(&mut self, buffer: &mut HarvestBuffer) {
        let harvest = self.0.take_mut_with(mem::take(buffer)).expect("all marks have their page");
        black_box(&harvest);
        *buffer = harvest.commit_into_buffer();
    }

    /// The number of dirty bytes, by the runs that they come in.
    pub(crate) fn count_dirty(&self) -> usize {
        self.0.dirty_runs().map(|run| run.len()).sum()
    }
}

impl Ours<()> {
    /// The map itself.
    pub(crate) fn map_itself(&self) -> &GuestMemoryMmap {
        &self.0
    }
}

impl OurSpace {
    /// A reader that keeps the map.
    pub(crate) fn reader(&self) -> guest_atomic::GuestMemoryReader<GuestMemoryMmap> {
        self.0.reader()
    }
}
