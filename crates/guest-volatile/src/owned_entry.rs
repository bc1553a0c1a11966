//! A slice at an address, in the form in which an access looks at it: 32 bytes, in one line of a cache.

#![expect(unsafe_code, reason = "keeps addresses apart from the borrows that vouch for them")]

use alloc::sync::Arc;
use core::ptr::{NonNull, null, null_mut};

use crate::owned::OwnedSlice;

/// An access of up to as many bytes needs no look at its length: it fits wherever this many bytes do.
///
/// It is a descriptor's size. Whoever accesses the last bytes of a slice takes a longer way.
pub(crate) const MARGIN: usize = 16;

/// A slice at an address, as it is looked at in each access.
///
/// # Invariants
///
/// `inner` is 0 and `owner` may be null, or they are of a slice, not read-only, that `P::slice` gave for an owner, together with
/// those that it goes on in, or without:
///
/// - `inner` is their length, less [`MARGIN`], plus 1: offsets below it have that many bytes to the end;
/// - `base` is its address, less `start`;
/// - `owner` is the owner's address.
///
/// They are made in this room alone; elsewhere the fields are only read.
#[repr(align(32))]
pub(crate) struct Entry<O> {
    pub(crate) start: u64,
    pub(crate) inner: u64,
    pub(crate) base: *mut u8,
    pub(crate) owner: *const O,
}

// Two to a cache line, and none in two.
const _: () = assert!(size_of::<Entry<u64>>() == 32);

impl<O> Entry<O> {
    /// Of no slice.
    pub(crate) const VACANT: Self = Self { start: 0, inner: 0, base: null_mut(), owner: null() };

    /// An entry of the `len` bytes at `addr`, which `slice` has, or they that it goes on in.
    #[inline(always)]
    pub(crate) fn new<P>(
        slice: &OwnedSlice<O, P>,
        (addr, len): (NonNull<u8>, usize),
        start: u64,
    ) -> Self {
        let (owner, _, extent) = slice.parts();
        let inner = (len + 1).saturating_sub(MARGIN);
        let Some(owner) = owner.filter(|_| !extent.is_read_only() && inner != 0) else {
            return Self::VACANT;
        };
        // INVARIANT: by that of `slice`. Addresses wrap as those of a narrower target do: `start` is added again.
        Self {
            start,
            inner: inner as u64,
            base: addr.as_ptr().wrapping_sub(start as usize),
            owner: Arc::as_ptr(owner),
        }
    }

    /// The same, where it starts at `start` instead of 0.
    pub(crate) fn moved(&self, start: u64) -> Self {
        // INVARIANT: the same slice, and an address less its start.
        Self { start, base: self.base.wrapping_sub(start as usize), ..*self }
    }
}

impl<O> Clone for Entry<O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<O> Copy for Entry<O> {}

// SAFETY: an address that is dereferenced only through `OwnedSlices`, which has a share of the owner.
unsafe impl<O: Send + Sync> Send for Entry<O> {}
// SAFETY: as for `Send`.
unsafe impl<O: Send + Sync> Sync for Entry<O> {}
