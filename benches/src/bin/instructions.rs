//! Each hot operation, out of line and many times: `cargo xtask bench --instructions` runs it under callgrind and counts.
//!
//! An operation is a function whose name begins with `op_`; what it takes is all that it executes, calls included.

use std::hint::black_box;
use std::sync::atomic::Ordering;

use benches::{Layout, ours};
use guest_atomic::{GuestMemoryAtomic, GuestMemoryReader};
use guest_dirty::{AtomicBitmap, DEFAULT_PAGE_SIZE};
use guest_memory::{
    Bytes as _, GuestAddress, GuestAddressSpace as _, GuestCursor, GuestMemory as _,
    GuestMemoryResult, GuestWindow, Permissions, WindowError, WindowMemory as _,
};
use guest_mmap::{GuestMemoryMmap, GuestRegionMmap};
use guest_volatile::{Bitmap as _, VolatileSlice};

/// How often each is done: enough for what happens once to vanish.
const TIMES: usize = 1000;

type Memory = GuestMemoryMmap;
type Recorded = GuestMemoryMmap<AtomicBitmap>;
type Space = GuestMemoryAtomic<Memory>;
type Cursor<'m> = GuestCursor<'m, Memory>;
type Window = GuestWindow<GuestRegionMmap>;
type Reader = GuestMemoryReader<Memory>;

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
    op_cached_snapshot(reader: &mut Reader) -> &Memory { reader.memory() }
    op_cached_read_u32(reader: &mut Reader, addr: GuestAddress) -> GuestMemoryResult<u32> { reader.memory().read_obj(addr) }
    op_cursor_read_u32(cursor: &mut Cursor<'_>, addr: GuestAddress) -> GuestMemoryResult<u32> { cursor.read_obj(addr) }
    op_cursor_read_16(cursor: &mut Cursor<'_>, addr: GuestAddress) -> GuestMemoryResult<[u64; 2]> { cursor.read_obj(addr) }
    op_cursor_write_u64(cursor: &mut Cursor<'_>, addr: GuestAddress, value: u64) -> GuestMemoryResult<()> { cursor.write_obj(value, addr) }
    op_cursor_load_u16(cursor: &mut Cursor<'_>, addr: GuestAddress) -> GuestMemoryResult<u16> { cursor.load(addr, Ordering::Acquire) }
    op_window_read_u32(window: &Window, offset: usize) -> Result<u32, WindowError> { window.read_obj(offset) }
    op_window_read_16(window: &Window, offset: usize) -> Result<[u64; 2], WindowError> { window.read_obj(offset) }
    op_window_write_u64(window: &Window, offset: usize, value: u64) -> Result<(), WindowError> { window.write_obj(value, offset) }
    op_window_load_u16(window: &Window, offset: usize) -> Result<u16, WindowError> { window.load(offset, Ordering::Acquire) }
    op_window_store_u16(window: &Window, offset: usize, value: u16) -> Result<(), WindowError> { window.store(value, offset, Ordering::Release) }
    op_mark_dirty_again(bitmap: &AtomicBitmap, offset: usize, len: usize) -> () { bitmap.mark_dirty(offset, len) }
    op_mark_dirty_1_mib_again(bitmap: &AtomicBitmap, offset: usize, len: usize) -> () { bitmap.mark_dirty(offset, len) }
}

/// How many bytes the longer mark has.
const MIB: usize = 1 << 20;

fn main() {
    let layout = Layout::dimms(4);
    let memory = ours::map::<()>(&layout);
    let recorded = ours::map::<AtomicBitmap>(&layout);
    let space = GuestMemoryAtomic::new(memory.clone());
    let mut buffer = [0; 64];
    let value = black_box(1_u8);
    let addresses: Vec<u64> = layout.hot_addresses(64).into_iter().take(TIMES).collect();
    resolved(&memory, &space, &addresses, value);
    for addr in addresses {
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

/// Accesses whose map or region is known from the last one, and marks of pages that are dirty.
fn resolved(memory: &Memory, space: &Space, addresses: &[u64], value: u8) {
    let first = *addresses.iter().min().expect("there are addresses");
    let last = *addresses.iter().max().expect("there are addresses");
    let len = (last - first) as usize + 64;
    let window = memory.window(GuestAddress(first), len, Permissions::ReadWrite);
    let window = window.expect("they are in one region");
    let mut cursor = GuestCursor::new(memory);
    let mut reader = space.reader();
    let bitmap = AtomicBitmap::new(len + MIB, DEFAULT_PAGE_SIZE);
    bitmap.mark_dirty(0, len + MIB);
    for &addr in addresses {
        let (addr, offset) = (GuestAddress(addr), (addr - first) as usize);
        black_box(op_cached_snapshot(&mut reader));
        black_box(op_cached_read_u32(&mut reader, addr)).expect("memory is there");
        black_box(op_cursor_read_u32(&mut cursor, addr)).expect("memory is there");
        black_box(op_cursor_read_16(&mut cursor, addr)).expect("memory is there");
        op_cursor_write_u64(&mut cursor, addr, value.into()).expect("memory is there");
        black_box(op_cursor_load_u16(&mut cursor, addr)).expect("memory is there");
        black_box(op_window_read_u32(&window, offset)).expect("it is in the window");
        black_box(op_window_read_16(&window, offset)).expect("it is in the window");
        op_window_write_u64(&window, offset, value.into()).expect("it is in the window");
        black_box(op_window_load_u16(&window, offset)).expect("it is in the window");
        op_window_store_u16(&window, offset, value.into()).expect("it is in the window");
        op_mark_dirty_again(&bitmap, offset, 8);
        op_mark_dirty_1_mib_again(&bitmap, offset, MIB);
    }
}
