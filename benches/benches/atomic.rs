//! guest-atomic: the map in force, for those who read it and those who replace it.

use std::hint::black_box;
use std::ptr;

use benches::{Layout, beside, measure, ours};
use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion};
use guest_atomic::GuestMemoryAtomic;
use guest_memory::{Bytes as _, GuestAddress, GuestAddressSpace as _};
use guest_mmap::GuestMemoryMmap;

type Space = GuestMemoryAtomic<GuestMemoryMmap>;

/// For operations that need no address.
const NOTHING: [(); 1024] = [(); 1024];

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let layout = Layout::dimms(4);
    let memory = ours::map::<()>(&layout);
    let addresses = ours::touched(&memory, &layout.addresses(4), 4);
    let space = GuestMemoryAtomic::new(memory.clone());
    readers(&mut criterion, &space, &addresses);
    guards(&mut criterion, &space);
    writers(&mut criterion, &space, &memory, addresses[0]);
    criterion.final_summary();
}

/// One thread, and one beside another that does the same.
fn readers(criterion: &mut Criterion, space: &Space, addresses: &[GuestAddress]) {
    let mut group = criterion.benchmark_group("guest-atomic/memory");
    let snapshot = |group: &mut BenchmarkGroup<'_, WallTime>, name| {
        measure(group, name, &NOTHING, |()| ptr::from_ref(&*space.memory()).addr() as u64);
    };
    snapshot(&mut group, "1-thread");
    beside(|| drop(black_box(space.memory())), || snapshot(&mut group, "2-threads"));
    drop(group);
    let mut group = criterion.benchmark_group("guest-atomic/memory+read_obj_u32");
    let read = |group: &mut BenchmarkGroup<'_, WallTime>, name| {
        measure(group, name, addresses, |addr| {
            space.memory().read_obj::<u32>(addr).expect("memory is there").into()
        });
    };
    read(&mut group, "1-thread");
    beside(|| access(space, addresses[0]), || read(&mut group, "2-threads"));
}

/// What a reader does again and again.
fn access(space: &Space, addr: GuestAddress) {
    black_box(space.memory().read_obj::<u32>(addr).expect("memory is there"));
}

fn guards(criterion: &mut Criterion, space: &Space) {
    let guard = space.memory();
    let mut group = criterion.benchmark_group("guest-atomic/guard_clone");
    measure(&mut group, "1-thread", &NOTHING, |()| ptr::from_ref(&*guard.clone()).addr() as u64);
    drop(group);
    let mut group = criterion.benchmark_group("guest-atomic/lock");
    measure(&mut group, "1-thread", &NOTHING, |()| {
        ptr::from_ref(&*space.lock().expect("nobody panics under it")).addr() as u64
    });
}

/// The next map is made before, the last one dropped after.
fn writers(criterion: &mut Criterion, space: &Space, memory: &GuestMemoryMmap, addr: GuestAddress) {
    let mut group = criterion.benchmark_group("guest-atomic/replace");
    let replace = |group: &mut BenchmarkGroup<'_, WallTime>, name| {
        group.bench_function(name, |bencher| {
            let publish = |next| space.lock().expect("nobody panics under it").replace(next);
            bencher.iter_batched(|| memory.clone(), publish, BatchSize::SmallInput);
        });
    };
    replace(&mut group, "0-readers");
    beside(|| access(space, addr), || replace(&mut group, "1-reader"));
}
