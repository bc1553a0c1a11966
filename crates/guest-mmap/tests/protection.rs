//! What the protection forbids is an error, not a signal (SEMANTICS line 29).

#![expect(unsafe_code, reason = "the published accessors to plain references are unsafe")]

mod common;

use std::fmt::Debug;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;

use common::{memfd, place};
use guest_address::{GuestAddress, MemoryRegionAddress};
use guest_memory::{
    Bytes, GuestMemory, GuestMemoryError, GuestMemoryRegion, Permissions, VolatileMemory,
    WholeBytes,
};
use guest_mmap::{GuestMemoryMmap, GuestRegionMmap, MmapRegion, MmapRegionBuilder};
use libc::{PROT_EXEC, PROT_NONE, PROT_READ, PROT_WRITE};
use rstest::rstest;

const SIZE: usize = 0x2000;
const BASE: GuestAddress = GuestAddress(0x1_0000);

#[derive(Clone, Copy, Debug)]
enum Backing {
    Anonymous,
    SharedFile,
    PrivateFile,
}

fn region(prot: i32, backing: Backing) -> GuestRegionMmap {
    let builder = MmapRegionBuilder::new(SIZE).with_mmap_prot(prot);
    let file = memfd(SIZE as u64);
    let builder = match backing {
        Backing::Anonymous => builder,
        Backing::SharedFile => builder.with_file_offset(place(&file, 0)),
        Backing::PrivateFile => {
            builder.with_file_offset(place(&file, 0)).with_mmap_flags(libc::MAP_PRIVATE)
        }
    };
    let mapping = builder.build().expect("it can be mapped");
    GuestRegionMmap::new(mapping, BASE).expect("it is inside")
}

/// The names of the writes that succeed, out of all there are.
fn writes<A: Copy, M: WholeBytes<A>>(memory: &M, addr: A) -> Vec<&'static str> {
    let bytes = [1_u8; 12];
    let source = || &bytes[..];
    let results = [
        ("write", memory.write(&bytes, addr).is_ok()),
        ("write_slice", memory.write_slice(&bytes, addr).is_ok()),
        ("write_whole", memory.write_whole(&bytes, addr).is_ok()),
        ("write_obj", memory.write_obj(1_u64, addr).is_ok()),
        ("write_obj in parts", memory.write_obj(bytes, addr).is_ok()),
        ("store", memory.store(1_u32, addr, SeqCst).is_ok()),
        ("compare_exchange", memory.compare_exchange(0_u32, 1, addr, SeqCst, SeqCst).is_ok()),
        ("fetch_add", memory.fetch_add(1_u32, addr, SeqCst).is_ok()),
        ("fetch_and", memory.fetch_and(1_u32, addr, SeqCst).is_ok()),
        ("fetch_or", memory.fetch_or(1_u32, addr, SeqCst).is_ok()),
        ("read_volatile_from", memory.read_volatile_from(addr, &mut source(), 12).is_ok()),
        (
            "read_exact_volatile_from",
            memory.read_exact_volatile_from(addr, &mut source(), 12).is_ok(),
        ),
    ];
    results.into_iter().filter_map(|(name, ok)| ok.then_some(name)).collect()
}

/// The names of the reads that succeed, out of all there are.
fn reads<A: Copy, M: Bytes<A>>(memory: &M, addr: A) -> Vec<&'static str> {
    let mut bytes = [1_u8; 12];
    let results = [
        ("read", memory.read(&mut bytes, addr).is_ok()),
        ("read_slice", memory.read_slice(&mut bytes, addr).is_ok()),
        ("read_obj", memory.read_obj::<u64>(addr).is_ok()),
        ("read_obj in parts", memory.read_obj::<[u8; 12]>(addr).is_ok()),
        ("load", memory.load::<u32>(addr, SeqCst).is_ok()),
        ("write_volatile_to", memory.write_volatile_to(addr, &mut Vec::new(), 12).is_ok()),
        ("write_all_volatile_to", memory.write_all_volatile_to(addr, &mut Vec::new(), 12).is_ok()),
    ];
    results.into_iter().filter_map(|(name, ok)| ok.then_some(name)).collect()
}

const WRITES: usize = 12;
const READS: usize = 7;

// 29
#[rstest]
#[case::none(PROT_NONE, 0, 0)]
#[case::exec(PROT_EXEC, 0, 0)]
#[case::read(PROT_READ, READS, 0)]
#[case::read_exec(PROT_READ | PROT_EXEC, READS, 0)]
#[case::write(PROT_WRITE, READS, WRITES)]
#[case::read_write(PROT_READ | PROT_WRITE, READS, WRITES)]
fn every_access_obeys_the_protection(
    #[case] prot: i32,
    #[case] readable: usize,
    #[case] writable: usize,
    #[values(Backing::Anonymous, Backing::SharedFile, Backing::PrivateFile)] backing: Backing,
) {
    let region = region(prot, backing);
    let inside = MemoryRegionAddress(8);
    assert_eq!(reads(&region, inside).len(), readable, "{:?}", reads(&region, inside));
    assert_eq!(writes(&region, inside).len(), writable, "{:?}", writes(&region, inside));

    let mapping = region.get_mmap();
    let slice = VolatileMemory::get_slice(&*mapping, 0, SIZE);
    assert_eq!(slice.is_ok(), readable > 0);
    if let Ok(slice) = slice {
        assert_eq!(reads(&slice, 8).len(), readable);
        assert_eq!(writes(&slice, 8).len(), writable);
    }
    assert_eq!(mapping.get_ref::<u32>(8).is_ok(), writable > 0);
    assert_eq!(mapping.get_array_ref::<u32>(8, 4).is_ok(), writable > 0);
    // SAFETY: the reference is dropped before anyone writes.
    assert_eq!(unsafe { mapping.aligned_as_ref::<u32>(8) }.is_ok(), readable > 0);
    // SAFETY: the reference is dropped before any other access; nobody asks the bitmap.
    assert_eq!(unsafe { mapping.aligned_as_mut::<u32>(8) }.is_ok(), writable > 0);
    // SAFETY: nothing is stored.
    assert_eq!(unsafe { mapping.get_atomic_ref::<AtomicU32>(8) }.is_ok(), writable > 0);

    let memory = GuestMemoryMmap::from_regions(vec![region]).unwrap();
    let addr = GuestAddress(BASE.0 + 8);
    assert_eq!(reads(&memory, addr).len(), readable, "{:?}", reads(&memory, addr));
    assert_eq!(writes(&memory, addr).len(), writable, "{:?}", writes(&memory, addr));
}

// 29
#[rstest]
#[case::anonymous(MmapRegion::new(SIZE))]
#[case::of_a_file(MmapRegion::from_file(place(&memfd(SIZE as u64), 0), SIZE))]
#[case::by_the_builder(MmapRegionBuilder::new(SIZE).build())]
#[case::by_the_builder_of_a_file(
    MmapRegionBuilder::new(SIZE).with_file_offset(place(&memfd(SIZE as u64), 0)).build()
)]
fn the_default_protection_is_read_write(#[case] region: Result<MmapRegion, impl Debug>) {
    let region = region.unwrap();
    assert_eq!(region.prot(), PROT_READ | PROT_WRITE);
    region.get_ref::<u64>(8).unwrap().store(7);
    assert_eq!(region.get_ref::<u64>(8).unwrap().load(), 7);
}

#[test]
fn a_protection_to_write_includes_reading() {
    // 29: no processor has the one without the other.
    let region = region(PROT_WRITE, Backing::Anonymous);
    assert_eq!(region.prot(), PROT_READ | PROT_WRITE);
    region.write_obj(7_u8, MemoryRegionAddress(0)).unwrap();
    assert_eq!(region.read_obj::<u8>(MemoryRegionAddress(0)).unwrap(), 7);
}

#[test]
fn a_write_to_read_only_memory_names_the_guest_address() {
    // 29, 36
    let memory = GuestMemoryMmap::from_regions(vec![region(PROT_READ, Backing::Anonymous)]);
    let error = memory.unwrap().write_obj(1_u8, GuestAddress(BASE.0 + 0x123)).unwrap_err();
    let GuestMemoryError::AccessDenied { addr, access } = error else { panic!("{error}") };
    assert_eq!((addr, access), (GuestAddress(BASE.0 + 0x123), Permissions::Write));
}

#[test]
fn read_only_memory_shows_what_the_file_holds() {
    // 29: its own writes are refused, those of others are seen.
    let file = memfd(SIZE as u64);
    let shown = MmapRegionBuilder::<()>::new(SIZE)
        .with_mmap_prot(PROT_READ)
        .with_file_offset(place(&file, 0))
        .build()
        .unwrap();
    let other = MmapRegion::<()>::from_file(place(&file, 0), SIZE).unwrap();
    other.get_ref::<u32>(0x1000).unwrap().store(0x1234_5678);
    let slice = VolatileMemory::get_slice(&shown, 0x1000, 4).unwrap();
    assert_eq!(slice.read_obj::<u32>(0).unwrap(), 0x1234_5678);
    assert!(slice.is_read_only());
}

#[test]
fn an_access_over_the_border_to_read_only_memory_stops_there() {
    // 8, 29: as at a hole.
    let low = GuestRegionMmap::new(MmapRegion::new(SIZE).unwrap(), GuestAddress(0)).unwrap();
    let high = MmapRegionBuilder::new(SIZE).with_mmap_prot(PROT_READ).build().unwrap();
    let high = GuestRegionMmap::new(high, GuestAddress(SIZE as u64)).unwrap();
    let memory: GuestMemoryMmap = GuestMemoryMmap::from_regions(vec![low, high]).unwrap();
    let addr = GuestAddress(SIZE as u64 - 4);
    assert_eq!(memory.write(&[1; 8], addr).unwrap(), 4);
    assert!(memory.write_whole(&[2; 8], addr).is_err());
    assert_eq!(memory.read_obj::<[u8; 8]>(addr).unwrap(), [1, 1, 1, 1, 0, 0, 0, 0]);
}

#[test]
fn no_bytes_of_memory_without_access_are_no_fault() {
    // 6
    let memory = GuestMemoryMmap::from_regions(vec![region(PROT_NONE, Backing::Anonymous)]);
    let memory = memory.unwrap();
    assert_eq!(memory.read(&mut [], BASE).unwrap(), 0);
    assert_eq!(memory.write(&[], BASE).unwrap(), 0);
    assert_eq!(memory.get_slice(BASE, 0).unwrap().len(), 0);
    assert!(memory.get_slice(BASE, 1).is_err());
}

#[test]
fn a_host_address_says_nothing_of_the_protection() {
    // As published: the pointer is for KVM to map, who has a protection of its own.
    let region = region(PROT_NONE, Backing::Anonymous);
    let addr = region.get_host_address(MemoryRegionAddress(8)).unwrap();
    assert_eq!(addr, region.as_ptr().wrapping_add(8));
}

#[rstest]
#[case::none(PROT_NONE, Permissions::Read)]
#[case::read_only(PROT_READ, Permissions::Write)]
fn a_refused_write_names_the_guest_address(#[case] prot: i32, #[case] lacks: Permissions) {
    // 29, 36
    let memory = GuestMemoryMmap::from_regions(vec![region(prot, Backing::Anonymous)]).unwrap();
    let at = GuestAddress(BASE.0 + 8);
    for result in [
        memory.write_obj(1_u32, at),
        memory.write_slice(&[1; 3], at),
        memory.write_whole(&[1; 3], at),
        memory.store(1_u32, at, std::sync::atomic::Ordering::Release),
    ] {
        let Err(GuestMemoryError::AccessDenied { addr, access }) = result else {
            panic!("{result:?}")
        };
        assert_eq!((addr, access), (at, lacks));
    }
}
