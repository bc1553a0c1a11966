//! Each hot operation, out of line and many times: `cargo xtask bench --instructions` runs it under callgrind and counts.
//!
//! An operation is a function whose name begins with `op_`; what it takes is all that it executes, calls included.

use std::hint::black_box;
use std::sync::atomic::Ordering;

use benches::{Layout, ours};
use guest_atomic::GuestMemoryAtomic;
use guest_dirty::AtomicBitmap;
use guest_memory::{
    Bytes as _, GuestAddress, GuestAddressSpace as _, GuestMemory as _, GuestMemoryResult,
};
use guest_mmap::{GuestMemoryMmap, GuestRegionMmap};
use guest_volatile::VolatileSlice;

/// How often each is done: enough for what happens once to vanish.
const TIMES: usize = 1000;

type Memory = GuestMemoryMmap;
type Recorded = GuestMemoryMmap<AtomicBitmap>;
type Space = GuestMemoryAtomic<Memory>;

/// Makes an operation: a function that is never inlined.
macro_rules! operations {
    ($($name:ident($($arg:ident: $Arg:ty),*) -> $Result:ty { $body:expr })*) => {
        $(
            #[inline(never)]
            fn $name($($arg: $Arg),*) -> $Result {
                $body
            }
        )*
    };
}

operations! {
    op_read_u8(memory: &Memory, addr: GuestAddress) -> GuestMemoryResult<u8> { memory.read_obj(addr) }
    op_read_u16(memory: &Memory, addr: GuestAddress) -> GuestMemoryResult<u16> { memory.read_obj(addr) }
    op_read_u32(memory: &Memory, addr: GuestAddress) -> GuestMemoryResult<u32> { memory.read_obj(addr) }
    op_read_u64(memory: &Memory, addr: GuestAddress) -> GuestMemoryResult<u64> { memory.read_obj(addr) }
    op_read_16(memory: &Memory, addr: GuestAddress) -> GuestMemoryResult<[u64; 2]> { memory.read_obj(addr) }
    op_write_u8(memory: &Memory, addr: GuestAddress, value: u8) -> GuestMemoryResult<()> { memory.write_obj(value, addr) }
    op_write_u16(memory: &Memory, addr: GuestAddress, value: u16) -> GuestMemoryResult<()> { memory.write_obj(value, addr) }
    op_write_u32(memory: &Memory, addr: GuestAddress, value: u32) -> GuestMemoryResult<()> { memory.write_obj(value, addr) }
    op_write_u64(memory: &Memory, addr: GuestAddress, value: u64) -> GuestMemoryResult<()> { memory.write_obj(value, addr) }
    op_write_16(memory: &Memory, addr: GuestAddress, value: [u64; 2]) -> GuestMemoryResult<()> { memory.write_obj(value, addr) }
    op_write_u64_recorded(memory: &Recorded, addr: GuestAddress, value: u64) -> GuestMemoryResult<()> { memory.write_obj(value, addr) }
    op_load_u16(memory: &Memory, addr: GuestAddress) -> GuestMemoryResult<u16> { memory.load(addr, Ordering::Acquire) }
    op_store_u16(memory: &Memory, addr: GuestAddress, value: u16) -> GuestMemoryResult<()> { memory.store(value, addr, Ordering::Release) }
    op_read_slice_64(memory: &Memory, addr: GuestAddress, buffer: &mut [u8]) -> GuestMemoryResult<()> { memory.read_slice(buffer, addr) }
    op_write_slice_64(memory: &Memory, addr: GuestAddress, buffer: &[u8]) -> GuestMemoryResult<()> { memory.write_slice(buffer, addr) }
    op_find_region(memory: &Memory, addr: GuestAddress) -> Option<&GuestRegionMmap> { memory.find_region(addr) }
    op_get_slice(memory: &Memory, addr: GuestAddress, len: usize) -> GuestMemoryResult<VolatileSlice<'_>> { memory.get_slice(addr, len) }
    op_check_range(memory: &Memory, addr: GuestAddress, len: usize) -> bool { memory.check_range(addr, len) }
    op_snapshot_read_u32(space: &Space, addr: GuestAddress) -> GuestMemoryResult<u32> { space.memory().read_obj(addr) }
}

fn main() {
    let layout = Layout::dimms(4);
    let memory = ours::map::<()>(&layout);
    let recorded = ours::map::<AtomicBitmap>(&layout);
    let space = GuestMemoryAtomic::new(memory.clone());
    let mut buffer = [0; 64];
    let value = black_box(1_u8);
    for addr in layout.hot_addresses(64).into_iter().take(TIMES) {
        let addr = GuestAddress(addr);
        black_box(op_read_u8(&memory, addr)).expect("memory is there");
        black_box(op_read_u16(&memory, addr)).expect("memory is there");
        black_box(op_read_u32(&memory, addr)).expect("memory is there");
        black_box(op_read_u64(&memory, addr)).expect("memory is there");
        black_box(op_read_16(&memory, addr)).expect("memory is there");
        op_write_u8(&memory, addr, value).expect("memory is there");
        op_write_u16(&memory, addr, value.into()).expect("memory is there");
        op_write_u32(&memory, addr, value.into()).expect("memory is there");
        op_write_u64(&memory, addr, value.into()).expect("memory is there");
        op_write_16(&memory, addr, [value.into(); 2]).expect("memory is there");
        op_write_u64_recorded(&recorded, addr, value.into()).expect("memory is there");
        black_box(op_load_u16(&memory, addr)).expect("memory is there");
        op_store_u16(&memory, addr, value.into()).expect("memory is there");
        op_read_slice_64(&memory, addr, &mut buffer).expect("memory is there");
        op_write_slice_64(&memory, addr, &buffer).expect("memory is there");
        black_box(op_find_region(&memory, addr)).expect("memory is there");
        black_box(op_get_slice(&memory, addr, 64)).expect("memory is there");
        assert!(op_check_range(&memory, addr, 64), "memory is there");
        black_box(op_snapshot_read_u32(&space, addr)).expect("memory is there");
    }
}
