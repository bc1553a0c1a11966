//! What a contestant can do: the operations of the table, each as one call of the published shape.

use std::fs::File;

use crate::layout::Layout;
use crate::raw::Hosts;

/// What all contestants read and write.
pub(crate) trait Object:
    guest_memory::ByteValued + vm_memory::ByteValued + vm_memory_016::ByteValued
{
}

impl<T> Object for T where
    T: guest_memory::ByteValued + vm_memory::ByteValued + vm_memory_016::ByteValued
{
}

/// A map of memory. There is memory wherever it is asked for.
pub(crate) trait Memory: Sync + Sized {
    /// One region, shared.
    type Region;

    /// Fresh memory.
    fn map(layout: &Layout) -> Self;
    /// Where the regions lie on the host, found without a lookup.
    fn hosts(&self) -> Hosts<'_>;

    fn read<T: Object>(&self, addr: u64) -> T;
    fn write<T: Object>(&self, value: T, addr: u64);
    fn load(&self, addr: u64) -> u16;
    fn store(&self, value: u16, addr: u64);
    fn read_slice(&self, buffer: &mut [u8], addr: u64);
    fn write_slice(&self, buffer: &[u8], addr: u64);

    /// The region of an address, as a number.
    fn find(&self, addr: u64) -> u64;
    /// The host address of a slice.
    fn slice(&self, addr: u64, len: usize) -> u64;
    fn check(&self, addr: u64, len: usize) -> bool;

    fn read_from(&self, addr: u64, file: &mut File, len: usize);
    /// From a place in the file.
    fn read_from_at(&self, addr: u64, file: &mut File, offset: u64, len: usize);
    fn write_to(&self, addr: u64, file: &mut File, len: usize);

    /// The map without its last region, and that.
    fn split_last(&self) -> (Self, Self::Region);
    /// The map with one region more.
    fn with(&self, region: &Self::Region) -> Self;
}

/// A record of the pages that were written.
pub(crate) trait Record: Sync + Clone {
    /// What one harvest leaves for the next.
    type Buffer: Default;

    /// For so many bytes, in pages of 4 KiB.
    fn new(len: usize) -> Self;
    fn mark(&self, offset: usize, len: usize);
    fn is_dirty(&self, offset: usize) -> bool;
    /// Takes all bits, which go into a buffer if it is of use, and sees to it that they are really there.
    fn take(&self, buffer: &mut Self::Buffer);
    /// Forgets all.
    fn reset(&self);
}

/// The map in force.
pub(crate) trait Space<M>: Sync {
    /// What is left after a replacement.
    type Old;

    fn new(memory: M) -> Self;
    /// Where the map in force is.
    fn snapshot(&self) -> u64;
    fn snapshot_and_read(&self, addr: u64) -> u32;
    fn replace(&self, next: M) -> Self::Old;
}
