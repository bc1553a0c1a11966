//! The names and shapes of vm-memory 0.18, as a program that was written for it has them.
//!
//! Everything here is a use of the published interface that stopped to compile if a path, a type or an argument differed. Where
//! this project differs on purpose (`docs/migrating.md`), the line says so.

#![cfg(all(
    feature = "backend-mmap",
    feature = "backend-bitmap",
    feature = "backend-atomic",
    feature = "iommu",
    feature = "rawfd"
))]
#![allow(unused_imports, reason = "a name that is imported is there")]
#![expect(unsafe_code, reason = "makes a slice of raw parts, as users do")]
#![expect(clippy::type_complexity, reason = "writes types out, to compare them")]

use std::fs::File;
use std::io::{self, Cursor, Stdout};
use std::net::TcpStream;
use std::num::NonZeroUsize;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, LockResult};

use vm_memory::address::{Address as _, AddressValue as _};
use vm_memory::atomic::{GuestMemoryExclusiveGuard, GuestMemoryLoadGuard as _};
use vm_memory::bitmap::{
    ArcSlice, AtomicBitmap, BS, Bitmap, BitmapSlice, MS, NewBitmap, RefSlice, WithBitmapSlice,
};
use vm_memory::bytes::{AtomicAccess as _, ByteValued as _, Bytes as _};
use vm_memory::guest_memory::{
    Error as MapError, GuestMemoryBackendSliceIterator, GuestMemorySliceIterator,
    Result as MapResult,
};
use vm_memory::iommu::{
    Error as IommuError, IommuMemorySliceIterator, IotlbFails, IotlbIterator, IovaRange,
    MappedRange,
};
use vm_memory::mmap::{FromRangesError, MmapRegionBuilder, MmapRegionError, NewBitmap as _};
use vm_memory::volatile_memory::{
    Error as VolatileError, PtrGuard, PtrGuardMut, Result as VolatileResult, compute_offset,
};
use vm_memory::{
    Address, AddressValue, AtomicAccess, AtomicInteger, Be16, Be32, Be64, BeSize, ByteValued,
    Bytes, FileOffset, GuestAddress, GuestAddressSpace, GuestMemory, GuestMemoryAtomic,
    GuestMemoryBackend, GuestMemoryError, GuestMemoryLoadGuard, GuestMemoryMmap, GuestMemoryRegion,
    GuestMemoryRegionBytes, GuestMemoryResult, GuestRegionCollection, GuestRegionCollectionError,
    GuestRegionMmap, GuestUsize, Iommu, IommuMemory, Iotlb, Le16, Le32, Le64, LeSize,
    MemoryRegionAddress, MmapRegion, Permissions, ReadVolatile, VolatileArrayRef, VolatileMemory,
    VolatileMemoryError, VolatileMemoryResult, VolatileRef, VolatileSlice, WriteVolatile,
};

type Slice<'a> = VolatileSlice<'a, RefSlice<'a, AtomicBitmap>>;
type Map = GuestMemoryMmap<AtomicBitmap>;
type Region = GuestRegionMmap<AtomicBitmap>;

const PAGE: NonZeroUsize = NonZeroUsize::new(0x1000).unwrap();

fn map() -> Map {
    let ranges = [(GuestAddress(0), 0x2000), (GuestAddress(0x10000), 0x1000)];
    GuestMemoryMmap::from_ranges(&ranges).expect("12 KiB are to be had")
}

#[test]
fn slices_have_the_published_methods() {
    let _: unsafe fn(*mut u8, usize) -> VolatileSlice<'static> = VolatileSlice::new;
    let _: fn(&Slice<'static>) -> PtrGuard = VolatileSlice::ptr_guard;
    let _: fn(&Slice<'static>) -> PtrGuardMut = VolatileSlice::ptr_guard_mut;
    let _: fn(&Slice<'static>, usize) -> VolatileResult<(Slice<'static>, Slice<'static>)> =
        VolatileSlice::split_at;
    let _: fn(&Slice<'static>, usize, usize) -> VolatileResult<Slice<'static>> =
        VolatileSlice::subslice;
    let _: fn(&Slice<'static>, usize) -> VolatileResult<Slice<'static>> = VolatileSlice::offset;
    let _: fn(&Slice<'static>, &mut [u16]) -> usize = VolatileSlice::copy_to::<u16>;
    let _: fn(&Slice<'static>, &[u16]) = VolatileSlice::copy_from::<u16>;
    let _: fn(usize, usize) -> VolatileResult<usize> = compute_offset;
    let memory = map();
    let slice: Slice<'_> = memory.get_slice(GuestAddress(0x10), 0x20).unwrap();
    // SAFETY: the bytes of a slice that lives longer, and its own bitmap.
    let again = unsafe {
        let (addr, bitmap) = (slice.ptr_guard_mut().as_ptr(), *slice.bitmap());
        VolatileSlice::with_bitmap(addr, slice.len(), bitmap, None)
    };
    slice.copy_to_volatile_slice(again);
    let bytes: VolatileArrayRef<'_, u8, _> = slice.into();
    assert_eq!((bytes.len(), bytes.element_size(), bytes.is_empty()), (0x20, 1, false));
    bytes.store(1, 7);
    assert_eq!((bytes.load(1), bytes.ref_at(1).load(), bytes.to_slice().len()), (7, 7, 0x20));
    assert_eq!((bytes.ptr_guard().len(), bytes.ptr_guard_mut().len()), (0x20, 0x20));
    let object: VolatileRef<'_, u32, _> = again.get_ref(4).unwrap();
    object.store(9);
    assert_eq!((object.load(), object.len(), object.to_slice().len()), (9, 4, 4));
    assert_eq!((object.ptr_guard().len(), object.ptr_guard_mut().len()), (4, 4));
}

#[test]
fn bytes_are_moved_by_address_in_maps_regions_and_slices() {
    fn moves<A: Copy, M: Bytes<A>>(memory: &M, at: A) -> Result<(), M::E> {
        memory.write_obj(Le32::from(7), at)?;
        memory.write_slice(&[1; 4], at)?;
        let (_, _) = (memory.write(&[1; 4], at)?, memory.read(&mut [0; 4], at)?);
        memory.read_slice(&mut [0; 4], at)?;
        memory.store(7_u16, at, std::sync::atomic::Ordering::Relaxed)?;
        let _: u16 = memory.load(at, std::sync::atomic::Ordering::Relaxed)?;
        let _: usize = memory.read_volatile_from(at, &mut &[1_u8; 4][..], 4)?;
        memory.read_exact_volatile_from(at, &mut &[1_u8; 4][..], 4)?;
        let _: usize = memory.write_volatile_to(at, &mut Vec::new(), 4)?;
        memory.write_all_volatile_to(at, &mut Vec::new(), 4)?;
        let _: [u8; 4] = memory.read_obj(at)?;
        Ok(())
    }
    let memory = map();
    moves(&memory, GuestAddress(0x100)).unwrap();
    moves(memory.find_region(GuestAddress(0)).unwrap(), MemoryRegionAddress(0x100)).unwrap();
    moves(&memory.get_slice(GuestAddress(0), 0x200).unwrap(), 0x100).unwrap();
}

#[test]
fn maps_have_the_published_methods() {
    let memory = map();
    let _: fn(Vec<Region>) -> Result<Map, GuestRegionCollectionError> = Map::from_regions;
    let _: fn(Vec<Arc<Region>>) -> Result<Map, GuestRegionCollectionError> = Map::from_arc_regions;
    let _: fn(&Map, Arc<Region>) -> Result<Map, GuestRegionCollectionError> = Map::insert_region;
    let _: fn(
        &Map,
        GuestAddress,
        GuestUsize,
    ) -> Result<(Map, Arc<Region>), GuestRegionCollectionError> = Map::remove_region;
    let files: [(GuestAddress, usize, Option<FileOffset>); 1] = [(GuestAddress(0), 0x1000, None)];
    let with_files: Result<Map, FromRangesError> = Map::from_ranges_with_files(&files);
    assert_eq!(with_files.unwrap().num_regions(), 1);
    assert_eq!(GuestMemoryBackend::iter(&memory).count(), 2);
    assert_eq!(memory.last_addr(), GuestAddress(0x10fff));
    let (region, inside) = memory.to_region_addr(GuestAddress(0x10010)).unwrap();
    assert_eq!((region.start_addr().raw_value(), inside.raw_value()), (0x10000, 0x10));
    assert!(
        memory.address_in_range(GuestAddress(0)) && memory.check_address(inside_hole()).is_none()
    );
    assert!(GuestMemoryBackend::check_range(&memory, GuestAddress(0), 0x2000));
    assert!(memory.checked_offset(GuestAddress(0), 0x2000).is_none());
    let host: MapResult<*mut u8> = memory.get_host_address(GuestAddress(0));
    assert!(!host.unwrap().is_null());
    let slices: GuestMemoryBackendSliceIterator<'_, Map> =
        GuestMemoryBackend::get_slices(&memory, GuestAddress(0), 0x10);
    assert_eq!(slices.stop_on_error().unwrap().count(), 1);
    // With permissions, as devices are generic over it.
    fn device<M: GuestMemory>(memory: &M) -> bool {
        let access = Permissions::Read | Permissions::Write;
        let slices = memory.get_slices(GuestAddress(0), 8, access).unwrap();
        slices.stop_on_error().unwrap().count() == 1
            && memory.check_range(GuestAddress(0), 8, access)
            && memory.physical_memory().is_some()
    }
    assert!(device(&memory));
    #[expect(deprecated, reason = "it is published, deprecated")]
    let done = memory.try_access(4, GuestAddress(0), |_, count, _, _| Ok(count)).unwrap();
    assert_eq!(done, 4);
}

fn inside_hole() -> GuestAddress {
    GuestAddress(0x8000)
}

#[test]
fn mappings_have_the_published_methods() {
    let _: fn(usize) -> MmapRegionBuilder<AtomicBitmap> = MmapRegionBuilder::new;
    let _: fn(FileOffset, usize) -> Result<MmapRegion, MmapRegionError> = MmapRegion::from_file;
    let _: fn(Option<FileOffset>, usize, i32, i32) -> Result<MmapRegion, MmapRegionError> =
        MmapRegion::build;
    let _: unsafe fn(*mut u8, usize, i32, i32) -> Result<MmapRegion, MmapRegionError> =
        MmapRegion::build_raw;
    let _: fn(GuestAddress, usize, Option<FileOffset>) -> Result<Region, FromRangesError> =
        Region::from_range;
    let _: fn(Arc<MmapRegion>, GuestAddress) -> Option<GuestRegionMmap> = GuestRegionMmap::with_arc;
    let builder = MmapRegionBuilder::new_with_bitmap(0x1000, AtomicBitmap::new(0x1000, PAGE));
    let (prot, flags) = (libc_prot(), libc_flags());
    let built = builder.with_mmap_prot(prot).with_mmap_flags(flags).with_hugetlbfs(false).build();
    let mut mapping = built.unwrap();
    assert_eq!((mapping.size(), mapping.prot(), mapping.flags()), (0x1000, prot, flags));
    assert!(mapping.owned() && mapping.file_offset().is_none() && !mapping.as_ptr().is_null());
    mapping.set_hugetlbfs(false);
    assert_eq!(mapping.is_hugetlbfs(), Some(false));
    assert!(!mapping.fds_overlap(&mapping) && !mapping.bitmap().dirty_at(0));
    let region = GuestRegionMmap::new(mapping, GuestAddress(0x1000)).unwrap();
    let shared: Arc<MmapRegion<AtomicBitmap>> = region.get_mmap();
    // It dereferences to the mapping, and is volatile memory by it.
    assert_eq!((region.size(), VolatileMemory::len(&*shared)), (0x1000, 0x1000));
}

const fn libc_prot() -> i32 {
    1 | 2 // PROT_READ | PROT_WRITE
}

const fn libc_flags() -> i32 {
    0x2 | 0x20 // MAP_PRIVATE | MAP_ANONYMOUS
}

#[test]
fn bitmaps_have_the_published_methods() {
    let mut bitmap = AtomicBitmap::new(0x4000, PAGE);
    bitmap.set_addr_range(0x1000, 0x1001);
    bitmap.set_bit(3);
    bitmap.reset_bit(3);
    assert!(bitmap.is_bit_set(1) && bitmap.is_addr_set(0x2fff) && !bitmap.is_bit_set(3));
    bitmap.reset_addr_range(0x2000, 1);
    let words: Vec<u64> = bitmap.get_and_reset();
    assert_eq!((words, bitmap.len(), bitmap.byte_size()), (vec![2], 4, 0x4000));
    // A `Result` here, for a length that overflows (SEMANTICS 24).
    bitmap.enlarge(0x1000).unwrap();
    bitmap.reset();
    let shared = Arc::new(bitmap.clone());
    ArcSlice::new(Arc::clone(&shared), 0x1000).mark_dirty(0, 1);
    RefSlice::new(&*shared, 0x1000).mark_dirty(0x1000, 1);
    assert!(shared.dirty_at(0x1000) && shared.dirty_at(0x2000));
    let _: AtomicBitmap = NewBitmap::with_len(0x1000);
}

#[test]
fn a_map_is_swapped_by_the_published_methods() {
    let space = GuestMemoryAtomic::new(map());
    let lock: LockResult<GuestMemoryExclusiveGuard<'_, Map>> = space.lock();
    lock.unwrap().replace(map());
    fn device<S: GuestAddressSpace>(space: &S) -> usize {
        let guard = space.memory();
        guard.clone().check_range(GuestAddress(0), 8, Permissions::Read).into()
    }
    assert_eq!(device(&space.clone()), 1);
    let guard: GuestMemoryLoadGuard<Map> = space.memory();
    let shared: Arc<Map> = guard.into_inner();
    let _: GuestMemoryAtomic<Map> = shared.into();
}

#[test]
fn an_iommu_has_the_published_methods() {
    let mut iotlb = Iotlb::new();
    let (iova, gpa) = (GuestAddress(0x8000), GuestAddress(0x1000));
    iotlb.set_mapping(iova, gpa, 0x1000, Permissions::ReadWrite).unwrap();
    let lookup: Result<IotlbIterator<&Iotlb>, IotlbFails> =
        Iotlb::lookup(&iotlb, iova, 8, Permissions::Read);
    let found: Vec<MappedRange> = lookup.unwrap().collect();
    assert_eq!(found, [MappedRange { base: gpa, length: 8 }]);
    let fails = Iotlb::lookup(&iotlb, GuestAddress(0), 8, Permissions::Read).unwrap_err();
    assert_eq!(fails.misses, [IovaRange { base: GuestAddress(0), length: 8 }]);
    assert!(fails.access_fails.is_empty() && IovaRange::try_from(0..8).is_ok());
    // A `Result` here, for a length that overflows (SEMANTICS 26).
    iotlb.invalidate_mapping(iova, 0x800).unwrap();
    iotlb.invalidate_all();
    let _ = IommuError::IommuMisconfigured { reason: String::new() };
}

#[test]
fn streams_are_those_that_were() {
    fn source<T: ReadVolatile>() {}
    fn sink<T: WriteVolatile>() {}
    fn both<T: ReadVolatile + WriteVolatile>() {}
    both::<File>();
    both::<&File>();
    both::<&mut File>();
    both::<TcpStream>();
    both::<UnixStream>();
    both::<OwnedFd>();
    both::<BorrowedFd<'_>>();
    source::<&[u8]>();
    source::<Cursor<Vec<u8>>>();
    sink::<&mut [u8]>();
    sink::<Vec<u8>>();
    sink::<Cursor<&mut [u8]>>();
    sink::<Stdout>();
    sink::<&Stdout>();
}

#[test]
fn errors_have_the_published_variants() {
    let _ = [
        VolatileMemoryError::OutOfBounds { addr: 1 },
        VolatileMemoryError::Overflow { base: 1, offset: 1 },
        VolatileMemoryError::TooBig { nelements: 1, size: 1 },
        VolatileMemoryError::Misaligned { addr: 1, alignment: 1 },
        VolatileMemoryError::IOError(io::ErrorKind::Other.into()),
        VolatileMemoryError::PartialBuffer { expected: 1, completed: 0 },
    ];
    let _ = [
        GuestMemoryError::InvalidGuestAddress(GuestAddress(1)),
        GuestMemoryError::IOError(io::ErrorKind::Other.into()),
        GuestMemoryError::PartialBuffer { expected: 1, completed: 0 },
        GuestMemoryError::InvalidBackendAddress,
        GuestMemoryError::HostAddressNotAvailable,
        GuestMemoryError::CallbackOutOfRange,
        GuestMemoryError::GuestAddressOverflow,
    ];
    let _ = GuestMemoryError::from(VolatileMemoryError::OutOfBounds { addr: 1 });
    let _ = [MmapRegionError::MapFixed, MmapRegionError::MappingOverlap];
    let _ = [MmapRegionError::MappingPastEof, MmapRegionError::InvalidPointer];
    let _ =
        [MmapRegionError::InvalidOffsetLength, MmapRegionError::Mmap(io::ErrorKind::Other.into())];
    let _ = FromRangesError::from(GuestRegionCollectionError::NoMemoryRegion);
    let _ = [FromRangesError::InvalidGuestRegion, MmapRegionError::MapFixed.into()];
}
