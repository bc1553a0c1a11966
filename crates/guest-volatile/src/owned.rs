//! A slice together with what keeps its memory valid.

#![expect(unsafe_code, reason = "keeps an address apart from the borrow that vouches for it")]

use alloc::sync::Arc;
use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;

use crate::bitmap::{BS, Bitmap};
use crate::slice::{Extent, VolatileSlice};
use crate::stretch::Stretch;

/// Says which slice of an owner an [`OwnedSlice`] is.
///
/// It is a type, not a value: what it answers for an owner is part of what an `OwnedSlice` is.
pub trait SliceOf<O: ?Sized> {
    /// The dirty bitmap of the memory.
    type B: Bitmap;

    /// The slice, or `None` if there is none.
    fn slice(owner: &O) -> Option<VolatileSlice<'_, BS<'_, Self::B>>>;

    /// The dirty bitmap's view of that slice.
    fn bitmap(owner: &O) -> BS<'_, Self::B>;

    /// The stretch that the slice may be joined with others' in; by default it is in none.
    fn stretch(owner: &O) -> Option<&Stretch> {
        let _ = owner;
        None
    }
}

/// A slice of volatile memory that owns a share of what keeps the memory valid: the owner's address and
/// length are at hand, without a look into the owner.
///
/// This is what a table of regions is made of. It may be empty, with or without an owner.
///
/// ```
/// use std::sync::Arc;
/// use guest_volatile::{OwnedSlice, SliceOf, VolatileSlice};
///
/// struct Whole;
///
/// impl SliceOf<VolatileSlice<'static>> for Whole {
///     type B = ();
///
///     fn slice<'a>(owner: &'a VolatileSlice<'static>) -> Option<VolatileSlice<'a>> {
///         Some(*owner)
///     }
///
///     fn bitmap(_: &VolatileSlice<'static>) {}
/// }
///
/// let region = Arc::new(VolatileSlice::from(Vec::leak(vec![0; 16])));
/// let owned = OwnedSlice::<_, Whole>::new(region, usize::MAX);
/// let slice = owned.get(4, 8).expect("8 of 16 bytes");
/// slice.write_obj(7_u64, 0)?;
/// drop(owned);
/// # Ok::<(), guest_volatile::Error>(())
/// ```
///
/// What it gives cannot outlive it:
///
/// ```compile_fail,E0505
/// # use std::sync::Arc;
/// # use guest_volatile::{OwnedSlice, SliceOf, VolatileSlice};
/// # struct Whole;
/// # impl SliceOf<VolatileSlice<'static>> for Whole {
/// #     type B = ();
/// #     fn slice<'a>(owner: &'a VolatileSlice<'static>) -> Option<VolatileSlice<'a>> {
/// #         Some(*owner)
/// #     }
/// #     fn bitmap(_: &VolatileSlice<'static>) {}
/// # }
/// # let region = Arc::new(VolatileSlice::from(Vec::leak(vec![0; 16])));
/// let owned = OwnedSlice::<_, Whole>::new(region, usize::MAX);
/// let slice = owned.get(4, 8).expect("8 of 16 bytes");
/// drop(owned);
/// slice.write_obj(7_u64, 0)?;
/// # Ok::<(), guest_volatile::Error>(())
/// ```
///
/// Nor can a projection make a slice of anything that does not live as long as the owner:
///
/// ```compile_fail,E0515
/// use guest_volatile::{SliceOf, VolatileSlice};
///
/// struct Foreign;
///
/// impl SliceOf<u32> for Foreign {
///     type B = ();
///
///     fn slice(owner: &u32) -> Option<VolatileSlice<'_>> {
///         let mut copy = owner.to_ne_bytes();
///         Some(VolatileSlice::from(&mut copy[..]))
///     }
///
///     fn bitmap(_: &u32) {}
/// }
/// ```
///
/// # Invariants
///
/// - `addr` and `extent` are those of a slice that `P::slice` gave for `owner`, or the extent is empty.
/// - Without an owner, the extent is empty.
///
/// They stay true because the `Arc` keeps the owner where it is, alive and shared: nobody can get an
/// exclusive reference to it or move it while this share exists. So a borrow of the owner that is as
/// long as the life of the share could exist, and the slice taken from a shorter one is the same slice.
pub struct OwnedSlice<O, P> {
    owner: Option<Arc<O>>,
    addr: NonNull<u8>,
    extent: Extent,
    projection: PhantomData<fn() -> P>,
}

// SAFETY: besides the owner, it is an address of bytes that may be accessed by anyone at any time.
unsafe impl<O: Send + Sync, P> Send for OwnedSlice<O, P> {}
// SAFETY: as for `Send`.
unsafe impl<O: Send + Sync, P> Sync for OwnedSlice<O, P> {}

impl<O, P> OwnedSlice<O, P> {
    /// No bytes of nobody.
    pub const fn empty() -> Self {
        // INVARIANT: empty.
        Self {
            owner: None,
            addr: NonNull::dangling(),
            extent: Extent::new(0),
            projection: PhantomData,
        }
    }

    /// What keeps the memory valid.
    #[inline(always)]
    pub fn owner(&self) -> Option<&Arc<O>> {
        self.owner.as_ref()
    }

    /// The parts, to be kept by another value together with a share of the owner.
    pub(crate) fn parts(&self) -> (Option<&Arc<O>>, NonNull<u8>, Extent) {
        (self.owner(), self.addr, self.extent)
    }

    /// The length in bytes.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.extent.len()
    }

    /// Whether there is no byte in it.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<O, P: SliceOf<O>> OwnedSlice<O, P> {
    /// The slice that `P` names of `owner`, at most `max_len` bytes of it; empty if it names none.
    pub fn new(owner: Arc<O>, max_len: usize) -> Self {
        let parts = P::slice(&owner).map(|slice| {
            let (addr, extent) = slice.parts();
            // Shortening cannot fail: it is no longer than the slice.
            (addr, extent.part(0, extent.len().min(max_len)).unwrap_or(Extent::new(0)))
        });
        let (addr, extent) = parts.unwrap_or((NonNull::dangling(), Extent::new(0)));
        // INVARIANT: the parts are those of the slice of `owner`, or empty.
        Self { owner: Some(owner), addr, extent, projection: PhantomData }
    }

    /// The `count` bytes from `offset` on, if there are any and they all lie inside.
    #[inline(always)]
    pub fn get(&self, offset: usize, count: usize) -> Option<VolatileSlice<'_, BS<'_, P::B>>> {
        if count == 0 {
            return None;
        }
        let extent = self.extent.part(offset, count)?;
        // SAFETY: `count` bytes lie inside and `count` is not 0, so the extent is not empty, so by the type's invariant
        // there is an owner.
        let owner = unsafe { self.owner.as_ref().unwrap_unchecked() };
        let bitmap = P::bitmap(owner);
        let addr = self.addr.as_ptr().wrapping_add(offset);
        // SAFETY: it is the address of a valid byte, as `offset` is inside, and none is at null.
        let addr = unsafe { NonNull::new_unchecked(addr) };
        // SAFETY: a part of the slice that `P` gave for `owner`, which is shared and in its place as long as `self` is
        // borrowed.
        Some(unsafe { VolatileSlice::from_extent(addr, extent, bitmap.slice_at(offset)) })
    }
}

impl<O, P> Clone for OwnedSlice<O, P> {
    /// Another share of the owner, with the same slice.
    fn clone(&self) -> Self {
        // INVARIANT: the same owner, the same parts.
        Self {
            owner: self.owner.clone(),
            addr: self.addr,
            extent: self.extent,
            projection: PhantomData,
        }
    }
}

impl<O, P> Default for OwnedSlice<O, P> {
    fn default() -> Self {
        Self::empty()
    }
}

impl<O: fmt::Debug, P> fmt::Debug for OwnedSlice<O, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedSlice")
            .field("owner", &self.owner)
            .field("len", &format_args!("{:#x}", self.len()))
            .finish()
    }
}
