//! Our own memories are as plain bytes are: the conformance kit over each.

#![expect(clippy::unwrap_used, reason = "what a test cannot make fails the test")]

use std::cell::RefCell;
use std::fs::{self, File};
use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::{Arc, RwLock};

use guest_atomic::GuestMemoryAtomic;
use guest_dirty::AtomicBitmap;
use guest_iommu::{IommuMemory, Iotlb};
use guest_memory::{
    FileOffset, GuestAddress, GuestAddressSpace, GuestMemory, GuestMemoryRegion,
    GuestRegionCollection, IoMemory, Permissions, SliceRegion, VolatileSlice,
};
use guest_mmap::{GuestMemoryMmap, GuestRegionMmap, MmapRegion, MmapRegionBuilder};
use guest_testing::conformance::{Check, Holes, check, check_whole_accesses};
use guest_testing::{Probe, TestRegion};
use nix::fcntl::{Flock, FlockArg};
use nix::sys::memfd::{MFdFlags, memfd_create};
use rstest::rstest;

type Ranges<'a> = &'a [(GuestAddress, usize)];

const PAGE: u64 = 0x1000;

/// A file in memory of `len` bytes.
fn file(len: usize, flags: MFdFlags) -> Option<File> {
    let file = File::from(memfd_create("ram", flags).ok()?);
    file.set_len(len as u64).ok()?;
    Some(file)
}

fn anonymous(ranges: Ranges<'_>) -> GuestMemoryMmap {
    GuestMemoryMmap::from_ranges(ranges).unwrap()
}

#[test]
fn anonymous_mappings_are() {
    check(anonymous);
    Check::new().granule(NonZeroU64::new(PAGE).unwrap()).run(anonymous);
}

#[test]
fn mappings_of_a_file_are() {
    // One file, each range at a page of its own.
    check(|ranges: Ranges<'_>| {
        let page = PAGE as usize;
        let len = ranges.iter().map(|range| range.1.next_multiple_of(page)).sum();
        let file = Arc::new(file(len, MFdFlags::empty()).unwrap());
        let mut next = 0;
        let ranges = ranges.iter().map(|&(start, len)| {
            let place = FileOffset::from_arc(file.clone(), next);
            next += len.next_multiple_of(page) as u64;
            (start, len, Some(place))
        });
        GuestMemoryMmap::<()>::from_ranges_with_files(ranges).unwrap()
    });
}

#[test]
fn mappings_for_reading_only_are() {
    check_read_only(|ranges| {
        let region = |&(start, len): &(GuestAddress, usize)| {
            let mapping = MmapRegionBuilder::new(len).with_mmap_prot(libc::PROT_READ).build();
            GuestRegionMmap::new(mapping.unwrap(), start).unwrap()
        };
        GuestMemoryMmap::<()>::from_regions(ranges.iter().map(region).collect()).unwrap()
    });
}

fn check_read_only<M: IoMemory>(make: impl FnMut(Ranges<'_>) -> M) {
    Check::new().read_only().run(make);
}

/// Huge pages for as long as the test runs, one test of the system at a time.
struct Pool {
    before: String,
    size: usize,
    _alone: Flock<File>,
}

const POOL: &str = "/proc/sys/vm/nr_hugepages";

impl Pool {
    fn new() -> Option<Self> {
        // The same as that of guest-mmap's tests, which count free pages.
        let path = std::env::temp_dir().join("guest-mmap-huge-pages.lock");
        let alone = Flock::lock(File::create(path).unwrap(), FlockArg::LockExclusive).unwrap();
        let number = |name: &str| {
            let meminfo = fs::read_to_string("/proc/meminfo").ok()?;
            let line =
                meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            line.split_whitespace().next()?.parse::<usize>().ok()
        };
        let before = fs::read_to_string(POOL).ok()?;
        let pool = Self { size: number("Hugepagesize")? * 1024, before, _alone: alone };
        let total = pool.before.trim().parse::<usize>().ok()?;
        if number("HugePages_Free")? < 8 {
            let _ = fs::write(POOL, (total + 8).to_string());
        }
        (number("HugePages_Free")? >= 8).then_some(pool)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // It may be the pool of somebody who let us use it, but not set it.
        let _ = fs::write(POOL, &self.before);
    }
}

#[test]
fn huge_pages_are() {
    let Some(pool) = Pool::new() else {
        println!("skipped: no huge pages");
        return;
    };
    let huge = |ranges: Ranges<'_>| {
        let region = |&(start, len): &(GuestAddress, usize)| {
            let file = file(len, MFdFlags::MFD_HUGETLB).expect("there are huge pages");
            let mapping = MmapRegion::from_file(FileOffset::new(file, 0), len).unwrap();
            assert_eq!(mapping.is_hugetlbfs(), Some(true));
            GuestRegionMmap::new(mapping, start).unwrap()
        };
        GuestMemoryMmap::<()>::from_regions(ranges.iter().map(region).collect()).unwrap()
    };
    let granule = NonZeroU64::new(pool.size as u64).unwrap();
    Check::new().granule(granule).sequences(8).run(huge);
}

/// Regions of bytes on the heap, `odd` bytes from an aligned host address.
fn lent(ranges: Ranges<'_>, odd: usize) -> Vec<Arc<SliceRegion<'static>>> {
    let region = |&(start, len): &(GuestAddress, usize)| {
        let bytes = vec![0; len + odd + 16].leak();
        let from = bytes.as_ptr().align_offset(16) + odd;
        Arc::new(SliceRegion::new(start, &mut bytes[from..from + len]).unwrap())
    };
    ranges.iter().map(region).collect()
}

// SEMANTICS 1, 4 to 12, 14, 16 to 18.
#[rstest]
fn bytes_on_the_heap_are(#[values(0, 1, 2, 4, 7)] odd: usize) {
    Check::new().sequences(128).run(|ranges: Ranges<'_>| {
        GuestRegionCollection::from_arc_regions(lent(ranges, odd)).unwrap()
    });
}

// Neighbours in the guest are neighbours on the host: they may be one piece.
#[test]
fn bytes_that_lie_as_they_lie_in_the_guest_are() {
    check(|ranges: Ranges<'_>| {
        let mut rest = vec![0; ranges.iter().map(|range| range.1).sum()].leak();
        let region = |&(start, len): &(GuestAddress, usize)| {
            let (own, later) = std::mem::take(&mut rest).split_at_mut(len);
            rest = later;
            SliceRegion::new(start, own).unwrap()
        };
        GuestRegionCollection::from_regions(ranges.iter().map(region).collect()).unwrap()
    });
}

#[test]
fn bytes_on_the_heap_for_reading_only_are() {
    check_read_only(|ranges| {
        let region = |&(start, len): &(GuestAddress, usize)| {
            let slice = VolatileSlice::from(vec![0; len].leak()).read_only();
            SliceRegion::with_slice(start, slice).unwrap()
        };
        GuestRegionCollection::from_regions(ranges.iter().map(region).collect()).unwrap()
    });
}

#[test]
fn memory_for_tests_is() {
    let bytewise = Check::new().marks_by(NonZeroUsize::MIN);
    bytewise.run(|ranges: Ranges<'_>| Probe::new().memory(ranges).unwrap());
}

// Pieces that are short cannot be accessed whole, and are otherwise the same.
#[test]
fn memory_for_tests_in_short_slices_is_but_for_regions() {
    // A seam everywhere; regions say that their slices are as long as was asked for, so they are not asked.
    Check::new().seams_at(NonZeroU64::MIN).holes(Holes::Stop).run(|ranges: Ranges<'_>| {
        let probe = Probe::new();
        probe.short_slices(3);
        Unmapped(probe.memory(ranges).unwrap())
    });
}

/// A memory that does not say that it is a map.
struct Unmapped<M>(M);

impl<M: GuestMemory> IoMemory for Unmapped<M> {
    type PhysicalMemory = M;
    type Bitmap = <M::R as GuestMemoryRegion>::B;

    fn check_range(&self, addr: GuestAddress, count: usize, access: Permissions) -> bool {
        IoMemory::check_range(&self.0, addr, count, access)
    }

    fn get_slices<'a>(
        &'a self,
        addr: GuestAddress,
        count: usize,
        access: Permissions,
    ) -> guest_memory::GuestMemoryResult<
        impl guest_memory::IoMemorySliceIterator<'a, guest_volatile::BS<'a, Self::Bitmap>>,
    > {
        IoMemory::get_slices(&self.0, addr, count, access)
    }
}

#[rstest]
#[case(1, 1)]
#[case(1, 16)]
#[case(16, 16)]
#[case(PAGE, 0x1000)]
#[case(PAGE, 0x400)]
fn marks_of_a_map_with_dirty_tracking_are(#[case] granule: u64, #[case] page: usize) {
    let (granule, page) = (NonZeroU64::new(granule).unwrap(), NonZeroUsize::new(page).unwrap());
    Check::new().granule(granule).marks_by(page).run(|ranges: Ranges<'_>| {
        let region = |&(start, len): &(GuestAddress, usize)| {
            let bitmap = AtomicBitmap::new(len, page);
            let mapping = MmapRegionBuilder::new_with_bitmap(len, bitmap).build().unwrap();
            GuestRegionMmap::new(mapping, start).unwrap()
        };
        GuestMemoryMmap::from_regions(ranges.iter().map(region).collect()).unwrap()
    });
}

/// Memory for devices, whose addresses are those of the ranges. Piece by piece, as long as `piece`, they are mapped to memory
/// in another order.
fn translated(ranges: Ranges<'_>, piece: usize, backwards: bool) -> impl IoMemory + use<> {
    let pieces: Vec<(u64, usize)> = ranges
        .iter()
        .flat_map(|&(start, len)| {
            let starts = (0..len).step_by(piece);
            starts.map(move |at| (start.0 + at as u64, piece.min(len - at)))
        })
        .collect();
    // Each piece has a slot of its own in memory.
    let slot = piece.next_multiple_of(8);
    let count = pieces.len();
    let mapping = MmapRegionBuilder::new_with_bitmap(
        count * slot,
        AtomicBitmap::new(count * slot, NonZeroUsize::MIN),
    );
    let region = GuestRegionMmap::new(mapping.build().unwrap(), GuestAddress(0x5000)).unwrap();
    let ram = GuestRegionCollection::from_regions(vec![region]).unwrap();
    let mut table = Iotlb::new();
    for (number, &(iova, len)) in pieces.iter().enumerate() {
        let number = if backwards { count - 1 - number } else { number };
        let gpa = GuestAddress(0x5000 + (number * slot) as u64);
        table.set_mapping(GuestAddress(iova), gpa, len, Permissions::ReadWrite).unwrap();
    }
    IommuMemory::new(ram, RwLock::new(table), true, ())
}

#[rstest]
#[case::in_order(false)]
#[case::backwards(true)]
fn memory_behind_an_iommu_is(#[case] backwards: bool) {
    let refuses = Check::new().holes(Holes::Refuse).marks_by(NonZeroUsize::MIN);
    let piece = NonZeroU64::new(8).unwrap();
    let small = refuses.clone().granule(piece).seams_at(piece);
    small.run(|ranges: Ranges<'_>| translated(ranges, 8, backwards));
    // Every range is mapped by itself, at any address.
    refuses.run(|ranges: Ranges<'_>| translated(ranges, 0x1000, backwards));
}

#[test]
fn pages_behind_an_iommu_are() {
    let page = NonZeroU64::new(PAGE).unwrap();
    let pages = Check::new().holes(Holes::Refuse).granule(page).seams_at(page);
    pages.run(|ranges: Ranges<'_>| translated(ranges, PAGE as usize, true));
}

#[test]
fn an_iommu_that_maps_one_to_one_or_is_off_is() {
    let one_to_one = |ranges: Ranges<'_>, on| {
        let mut table = Iotlb::new();
        for &(start, len) in ranges {
            table.set_mapping(start, start, len, Permissions::ReadWrite).unwrap();
        }
        let ram = Probe::new().memory(ranges).unwrap();
        IommuMemory::new(ram, RwLock::new(table), on, ())
    };
    let bytewise = Check::new().marks_by(NonZeroUsize::MIN);
    bytewise.clone().holes(Holes::Refuse).run(|ranges: Ranges<'_>| one_to_one(ranges, true));
    bytewise.run(|ranges: Ranges<'_>| one_to_one(ranges, false));
}

#[test]
fn a_map_that_is_swapped_between_operations_is() {
    // Those that are made, for the maps to come: a region that is out of the map lives on.
    let all = RefCell::new(Vec::new());
    let pick = |ranges: Ranges<'_>| {
        let all = all.borrow();
        let chosen = ranges.iter().map(|&(start, _)| {
            let region = all.iter().find(|region: &&Arc<TestRegion>| region.start_addr() == start);
            region.expect("it was made").clone()
        });
        GuestRegionCollection::from_arc_regions(chosen.collect()).unwrap()
    };
    Check::new().marks_by(NonZeroUsize::MIN).operations(64).run_swapping(
        |ranges: Ranges<'_>| {
            let probe = Probe::new();
            let region = |&(start, len)| Arc::new(TestRegion::new(start, len, &probe).unwrap());
            all.replace(ranges.iter().map(region).collect());
            GuestMemoryAtomic::new(pick(ranges))
        },
        |space, ranges| {
            let before = space.memory();
            let retired = space.lock().unwrap().replace(pick(ranges));
            assert!(!retired.is_unused());
            drop(before);
            assert!(retired.is_unused());
        },
    );
}

#[test]
fn a_map_that_regions_are_put_into_and_taken_out_of_is() {
    let all = RefCell::new(Vec::new());
    Check::new().sequences(128).operations(64).run_swapping(
        |ranges: Ranges<'_>| {
            all.replace(lent(ranges, 0));
            let map = GuestRegionCollection::from_arc_regions(all.borrow().clone());
            GuestMemoryAtomic::new(map.unwrap())
        },
        |space, ranges| {
            let guard = space.lock().unwrap();
            let mut map = (*guard).clone();
            for region in all.borrow().iter() {
                let start = region.start_addr();
                let wanted = ranges.iter().any(|range| range.0 == start);
                match (wanted, map.find_region(start).is_some()) {
                    (true, false) => map = map.insert_region(region.clone()).unwrap(),
                    (false, true) => map = map.remove_region(start, region.len()).unwrap().0,
                    _ => {}
                }
            }
            guard.replace(map);
        },
    );
}

#[test]
fn integers_in_our_memories_are_accessed_whole() {
    let ranges = [(GuestAddress(0x1000), 0x1000)];
    let at = GuestAddress(0x1008);
    check_whole_accesses(&anonymous(&ranges), at, 2000);
    check_whole_accesses(&Probe::new().memory(&ranges).unwrap(), at, 500);
    check_whole_accesses(&translated(&ranges, PAGE as usize, false), at, 500);
    let memory = anonymous(&ranges);
    let region = memory.iter().next().unwrap();
    check_whole_accesses(region, guest_memory::MemoryRegionAddress(8), 500);
}
