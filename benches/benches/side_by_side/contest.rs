//! The contestants, and the two memories that they reach.

use std::fmt::Display;

use benches::{Layout, ours, published};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion};
use guest_memory::GuestAddress;
use guest_mmap::{GuestMemoryMmap, NewBitmap};
use vm_memory::bitmap::NewBitmap as PublishedNewBitmap;

/// A host address, translated and checked before.
pub(crate) const RAW: &str = "raw";
/// Our crates.
pub(crate) const OURS: &str = "guest-memory";
/// The published crate.
pub(crate) const PUBLISHED: &str = "vm-memory-0.18";

/// A group for one operation on one size.
pub(crate) fn group<'c>(
    criterion: &'c mut Criterion,
    operation: &str,
    size: impl Display,
) -> BenchmarkGroup<'c, WallTime> {
    criterion.benchmark_group(format!("side_by_side/{operation}/{size}"))
}

/// Two memories of one layout. The raw contestant uses ours.
pub(crate) struct Pair<B, P> {
    layout: Layout,
    pub(crate) ours: GuestMemoryMmap<B>,
    pub(crate) published: vm_memory::GuestMemoryMmap<P>,
}

impl<B: NewBitmap, P: PublishedNewBitmap> Pair<B, P> {
    pub(crate) fn new(layout: Layout) -> Self {
        let (ours, published) = (ours::map(&layout), published::map(&layout));
        Self { layout, ours, published }
    }

    /// The same random addresses in both memories, with `size` bytes at each that were written before.
    pub(crate) fn addresses(
        &self,
        size: usize,
    ) -> (Vec<GuestAddress>, Vec<vm_memory::GuestAddress>) {
        self.touched(&self.layout.addresses(size), size)
    }

    /// As [`addresses`](Self::addresses), halfway across two regions.
    pub(crate) fn borders(&self, size: usize) -> (Vec<GuestAddress>, Vec<vm_memory::GuestAddress>) {
        self.touched(&self.layout.borders(size), size)
    }

    fn touched(
        &self,
        table: &[u64],
        size: usize,
    ) -> (Vec<GuestAddress>, Vec<vm_memory::GuestAddress>) {
        (ours::touched(&self.ours, table, size), published::touched(&self.published, table, size))
    }
}
