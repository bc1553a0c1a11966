//! guest-memory: access to a map by guest address, and the map itself.

use std::hint::black_box;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use benches::{Layout, measure, ours};
use criterion::{Criterion, Throughput};
use guest_memory::{ByteValued, Bytes, GuestAddress, GuestMemory, GuestMemoryRegion, WholeBytes};
use guest_mmap::GuestMemoryMmap;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let layout = Layout::dimms(4);
    let memory = ours::map::<()>(&layout);
    objects(&mut criterion, &memory, &layout);
    atomics(&mut criterion, &memory, &layout);
    slices(&mut criterion, &memory, &layout);
    borders(&mut criterion, &memory, &layout);
    refusals(&mut criterion);
    lookups(&mut criterion, &Layout::pc(), "pc");
    changes(&mut criterion, &Layout::dimms(512));
    criterion.final_summary();
}

fn objects(criterion: &mut Criterion, memory: &GuestMemoryMmap, layout: &Layout) {
    object::<u32>(criterion, memory, layout, "u32", 1, u64::from);
    object::<[u64; 2]>(criterion, memory, layout, "16B", [1; 2], |[a, b]| a.wrapping_add(b));
}

fn object<T: ByteValued>(
    criterion: &mut Criterion,
    memory: &GuestMemoryMmap,
    layout: &Layout,
    size: &str,
    value: T,
    digest: impl Fn(T) -> u64,
) {
    let addresses = ours::touched(memory, &layout.addresses(size_of::<T>()), size_of::<T>());
    let value = black_box(value);
    let bytes = Throughput::Bytes(size_of::<T>() as u64);
    let mut group = criterion.benchmark_group("guest-memory/read_obj");
    group.throughput(bytes.clone());
    measure(&mut group, size, &addresses, |addr| {
        digest(memory.read_obj(addr).expect("memory is there"))
    });
    drop(group);
    let mut group = criterion.benchmark_group("guest-memory/write_obj");
    group.throughput(bytes);
    measure(&mut group, size, &addresses, |addr| {
        memory.write_obj(value, addr).expect("memory is there");
        0
    });
}

fn atomics(criterion: &mut Criterion, memory: &GuestMemoryMmap, layout: &Layout) {
    let addresses = ours::touched(memory, &layout.addresses(2), 2);
    let value = black_box(1_u16);
    let mut group = criterion.benchmark_group("guest-memory/load");
    measure(&mut group, "u16", &addresses, |addr| {
        memory.load::<u16>(addr, Ordering::Acquire).expect("memory is there").into()
    });
    drop(group);
    let mut group = criterion.benchmark_group("guest-memory/store");
    measure(&mut group, "u16", &addresses, |addr| {
        memory.store(value, addr, Ordering::Release).expect("memory is there");
        0
    });
    drop(group);
    let mut group = criterion.benchmark_group("guest-memory/fetch_or");
    measure(&mut group, "u16", &addresses, |addr| {
        memory.fetch_or(value, addr, Ordering::Relaxed).expect("memory is there").into()
    });
}

fn slices(criterion: &mut Criterion, memory: &GuestMemoryMmap, layout: &Layout) {
    for (name, size) in [("64B", 64), ("4KiB", 4 << 10)] {
        let addresses = ours::touched(memory, &layout.addresses(size), size);
        let mut buffer = black_box(vec![1; size]);
        let bytes = Throughput::Bytes(size as u64);
        let mut group = criterion.benchmark_group("guest-memory/read_slice");
        group.throughput(bytes.clone());
        measure(&mut group, name, &addresses, |addr| {
            memory.read_slice(&mut buffer, addr).expect("memory is there");
            black_box(buffer.as_ptr());
            0
        });
        drop(group);
        let mut group = criterion.benchmark_group("guest-memory/write_slice");
        group.throughput(bytes.clone());
        measure(&mut group, name, &addresses, |addr| {
            memory.write_slice(&buffer, addr).expect("memory is there");
            black_box(addr);
            0
        });
        drop(group);
        let mut group = criterion.benchmark_group("guest-memory/write_whole");
        group.throughput(bytes);
        measure(&mut group, name, &addresses, |addr| {
            memory.write_whole(&buffer, addr).expect("memory is there");
            black_box(addr);
            0
        });
    }
}

/// Accesses with a half in one region and a half in the next.
fn borders(criterion: &mut Criterion, memory: &GuestMemoryMmap, layout: &Layout) {
    let addresses = ours::touched(memory, &layout.borders(8), 8);
    let mut group = criterion.benchmark_group("guest-memory/read_obj_across");
    group.throughput(Throughput::Bytes(8));
    measure(&mut group, "u64", &addresses, |addr| memory.read_obj(addr).expect("memory is there"));
    drop(group);
    const SIZE: usize = 256;
    let addresses = ours::touched(memory, &layout.borders(SIZE), SIZE);
    let mut buffer = [1; SIZE];
    let mut group = criterion.benchmark_group("guest-memory/read_slice_across");
    group.throughput(Throughput::Bytes(SIZE as u64));
    measure(&mut group, "256B", &addresses, |addr| {
        memory.read_slice(&mut buffer, addr).expect("memory is there");
        black_box(buffer.as_ptr());
        0
    });
}

/// What a guest gets for an address in a hole.
fn refusals(criterion: &mut Criterion) {
    let memory = ours::map::<()>(&Layout::pc());
    let hole: Vec<_> = (0xa_0000..0x10_0000).step_by(16).map(GuestAddress).collect();
    let mut group = criterion.benchmark_group("guest-memory/read_obj_in_hole");
    measure(&mut group, "u32", &hole, |addr| memory.read_obj::<u32>(addr).is_err().into());
}

fn lookups(criterion: &mut Criterion, layout: &Layout, size: &str) {
    const LEN: usize = 64;
    let memory = ours::map::<()>(layout);
    let addresses = ours::touched(&memory, &layout.addresses(LEN), LEN);
    let mut group = criterion.benchmark_group("guest-memory/find_region");
    measure(&mut group, size, &addresses, |addr| {
        ptr::from_ref(memory.find_region(addr).expect("memory is there")).addr() as u64
    });
    drop(group);
    let mut group = criterion.benchmark_group("guest-memory/check_range");
    measure(&mut group, size, &addresses, |addr| memory.check_range(addr, LEN).into());
    drop(group);
    let mut group = criterion.benchmark_group("guest-memory/get_slice");
    measure(&mut group, size, &addresses, |addr| {
        let slice = memory.get_slice(addr, LEN).expect("memory is there");
        slice.host_ptr().as_ptr().addr() as u64
    });
    drop(group);
    let mut group = criterion.benchmark_group("guest-memory/get_slices");
    measure(&mut group, size, &addresses, |addr| {
        memory.get_slices(addr, LEN).map(|slice| slice.expect("memory is there").len() as u64).sum()
    });
}

/// Maps that are made of maps, as for a DIMM that is plugged in and out.
fn changes(criterion: &mut Criterion, layout: &Layout) {
    let memory = ours::map::<()>(layout);
    let dimm = Layout::dimms(layout.ranges().len() + 1);
    let (start, len) = dimm.ranges()[layout.ranges().len()];
    let extra = ours::map::<()>(&dimm);
    let region = extra.find_region(GuestAddress(start)).expect("memory is there").get_mmap();
    let region = guest_mmap::GuestRegionMmap::with_arc(region, GuestAddress(start));
    let region = Arc::new(region.expect("it ends below the end of the address space"));
    assert_eq!(region.len(), len as u64);
    let larger = memory.insert_region(Arc::clone(&region)).expect("there is nothing else");
    let mut group = criterion.benchmark_group("guest-memory/clone");
    group.bench_function("512-regions", |bencher| bencher.iter(|| memory.clone()));
    drop(group);
    let mut group = criterion.benchmark_group("guest-memory/insert_region");
    group.bench_function("512-regions", |bencher| {
        bencher.iter(|| memory.insert_region(Arc::clone(&region)));
    });
    drop(group);
    let mut group = criterion.benchmark_group("guest-memory/remove_region");
    group.bench_function("512-regions", |bencher| {
        bencher.iter(|| larger.remove_region(GuestAddress(start), len as u64));
    });
}
