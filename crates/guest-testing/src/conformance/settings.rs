//! What may differ between memories that are all right.

use std::num::NonZeroU64;

/// What an access does that begins in memory and runs into a hole.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Holes {
    /// It moves the bytes before the hole, as memory by guest address does.
    #[default]
    Stop,
    /// It is an error, and moves none, as it is for a device whose IOMMU does not map all of it. Which error it is, is up to the
    /// memory.
    Refuse,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) seed: Option<u64>,
    pub(super) sequences: usize,
    pub(super) operations: usize,
    /// Starts and lengths of ranges are multiples of it.
    pub(super) granule: NonZeroU64,
    /// Where slices may end inside of a range: at addresses that are multiples of it.
    pub(super) seams: Option<NonZeroU64>,
    pub(super) holes: Holes,
    pub(super) read_only: bool,
    /// The size in bytes of what a dirty bitmap marks.
    pub(super) page: Option<usize>,
    /// Whether the ranges come and go.
    pub(super) swaps: bool,
}

impl Settings {
    pub(super) const DEFAULT: Self = Self {
        seed: None,
        sequences: 64,
        operations: 32,
        granule: NonZeroU64::MIN,
        seams: None,
        holes: Holes::Stop,
        read_only: false,
        page: None,
        swaps: false,
    };
}
