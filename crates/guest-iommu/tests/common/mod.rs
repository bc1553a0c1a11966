//! What the tests share: a guest with memory whose writes are recorded by the byte, behind an IOMMU.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::num::NonZeroUsize;
use std::sync::{RwLock, RwLockWriteGuard};

use guest_dirty::{AtomicBitmap, RefSlice};
use guest_iommu::{IommuMemory, Iotlb, IovaRange, MappedRange};
use guest_memory::{
    GuestAddress, GuestMemory, GuestMemoryRegion, GuestRegionCollection, Permissions, SliceRegion,
    VolatileSlice,
};
use guest_volatile::{Bitmap, Both};

pub(crate) type Region = SliceRegion<'static, Both<(), RefSlice<'static, AtomicBitmap>>>;
pub(crate) type Ram = GuestRegionCollection<Region>;
pub(crate) type Memory = IommuMemory<Ram, RwLock<Iotlb>, AtomicBitmap>;

/// The first address of the last page there is.
pub(crate) const TOP: u64 = u64::MAX - 0xfff;

/// A bitmap over `len` bytes that records each byte for itself.
pub(crate) fn bytewise(len: usize) -> AtomicBitmap {
    AtomicBitmap::new(len, NonZeroUsize::MIN)
}

/// A region of bytes of zero, on the host aligned to a page, that records its writes. It is never freed.
pub(crate) fn region(start: u64, len: usize) -> Region {
    #[repr(align(4096))]
    struct Pages([u8; 0x4000]);
    let pages: &'static mut Pages = Box::leak(Box::new(Pages([0; 0x4000])));
    let bitmap: &'static AtomicBitmap = Box::leak(Box::new(bytewise(len)));
    let slice = VolatileSlice::from(&mut pages.0[..len]).also_marking(bitmap.slice_at(0));
    SliceRegion::with_slice(GuestAddress(start), slice).expect("not empty, does not wrap")
}

/// A memory of regions with these starts and lengths.
pub(crate) fn ram(regions: &[(u64, usize)]) -> Ram {
    let regions = regions.iter().map(|&(start, len)| region(start, len)).collect();
    Ram::from_regions(regions).expect("sorted, and not overlapping")
}

/// Such a memory behind an IOMMU that is on, with a bitmap of the device's addresses below 64 KiB.
pub(crate) fn memory(regions: &[(u64, usize)]) -> Memory {
    memory_with(regions, bytewise(0x1_0000))
}

/// Such a memory, with a bitmap by the device's addresses.
pub(crate) fn memory_with(regions: &[(u64, usize)], bitmap: AtomicBitmap) -> Memory {
    IommuMemory::new(ram(regions), RwLock::new(Iotlb::new()), true, bitmap)
}

/// The memory's table, to be changed.
pub(crate) fn table(memory: &Memory) -> RwLockWriteGuard<'_, Iotlb> {
    memory.iommu().write().expect("nobody panics who has the lock")
}

/// Maps so.
pub(crate) fn map(memory: &Memory, iova: u64, gpa: u64, len: usize, perm: Permissions) {
    let mapped = table(memory).set_mapping(GuestAddress(iova), GuestAddress(gpa), len, perm);
    mapped.expect("no overflow");
}

/// Takes out what is mapped there.
pub(crate) fn unmap(memory: &Memory, iova: u64, len: usize) {
    table(memory).invalidate_mapping(GuestAddress(iova), len).expect("no overflow");
}

/// The guest addresses whose writes are recorded, as runs, first and last.
pub(crate) fn dirty_gpas(ram: &Ram) -> Vec<(u64, u64)> {
    let dirty = ram.iter().flat_map(|region| {
        (0..region.len())
            .filter(|&offset| region.bitmap().dirty_at(offset as usize))
            .map(|offset| region.start_addr().0 + offset)
    });
    runs(dirty)
}

/// The device's addresses whose writes are recorded, as runs, first and last.
pub(crate) fn dirty_iovas(memory: &Memory) -> Vec<(u64, u64)> {
    let bitmap = memory.bitmap();
    runs((0..bitmap.len()).filter(|&addr| bitmap.is_bit_set(addr)).map(|addr| addr as u64))
}

/// Numbers that go up, as runs, first and last.
pub(crate) fn runs(numbers: impl Iterator<Item = u64>) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
            _ => runs.push((number, number)),
        }
    }
    runs
}

pub(crate) fn iovas(base: u64, length: usize) -> IovaRange {
    IovaRange { base: GuestAddress(base), length }
}

pub(crate) fn mapped(base: u64, length: usize) -> MappedRange {
    MappedRange { base: GuestAddress(base), length }
}
