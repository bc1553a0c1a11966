//! Memory by the published vm-memory, as `ours` has it.

use vm_memory::bitmap::NewBitmap;
use vm_memory::{Bytes as _, GuestAddress, GuestMemory, GuestMemoryMmap};

use crate::layout::Layout;

/// A map of fresh memory.
///
/// # Panics
///
/// If the system has no address space for it.
pub fn map<B: NewBitmap>(layout: &Layout) -> GuestMemoryMmap<B> {
    let ranges: Vec<_> =
        layout.ranges().iter().map(|&(start, len)| (GuestAddress(start), len)).collect();
    GuestMemoryMmap::from_ranges(&ranges).expect("the memory can be mapped")
}

/// The addresses of `table`, after `size` bytes were written at each.
///
/// # Panics
///
/// If there is no memory at one of them.
pub fn touched<M: GuestMemory>(memory: &M, table: &[u64], size: usize) -> Vec<GuestAddress> {
    let ones = vec![1; size];
    let mut once = table.to_vec();
    once.sort_unstable();
    once.dedup();
    for addr in once {
        memory.write_slice(&ones, GuestAddress(addr)).expect("the table is of this memory");
    }
    table.iter().copied().map(GuestAddress).collect()
}
