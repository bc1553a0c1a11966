//! The window's fields and the only code that can break what they promise.

#![expect(unsafe_code, reason = "keeps an address apart from the borrow that vouches for it")]

use alloc::sync::Arc;
use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;

use crate::bitmap::{BS, Bitmap};
use crate::owned::SliceOf;
use crate::slice::{Extent, VolatileSlice};

/// A slice whose writes are marked as the window's.
pub(super) type View<'a, O, P> = VolatileSlice<'a, BS<'a, <P as SliceOf<O>>::B>>;

/// A part of a slice of volatile memory that owns a share of what keeps the memory valid: checked once, used often.
///
/// Where an [`OwnedSlice`](crate::OwnedSlice) is all of an owner's memory and gives slices of it, this is the piece that a
/// device works in again and again: a ring, a header, a buffer. An access takes an offset in it, compares it with the length,
/// which stands beside the address, and that is all: the owner is looked at only to mark what was written.
///
/// An access moves all its bytes or none (no bytes can be moved anywhere), unless the memory faults, and an error is one byte, so that a result stays in registers. For what is not here,
/// such as streams and pointers, there is [`as_volatile_slice`](Self::as_volatile_slice).
///
/// ```
/// use std::sync::Arc;
/// use guest_volatile::{OwnedWindow, SliceOf, VolatileSlice, WindowError};
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
/// let region = Arc::new(VolatileSlice::from(Vec::leak(vec![0; 64])));
/// let window = OwnedWindow::<_, Whole>::new(region, 16, 8).expect("8 of 64 bytes");
/// window.write_obj(7_u32, 4)?;
/// assert_eq!(window.read_obj::<u32>(4), Ok(7));
/// assert_eq!(window.read_obj::<u32>(5), Err(WindowError::OutOfBounds)); // 57 bytes of the owner are left
/// # Ok::<(), WindowError>(())
/// ```
///
/// What it gives cannot outlive it:
///
/// ```compile_fail,E0505
/// # use std::sync::Arc;
/// # use guest_volatile::{OwnedWindow, SliceOf, VolatileSlice};
/// # struct Whole;
/// # impl SliceOf<VolatileSlice<'static>> for Whole {
/// #     type B = ();
/// #     fn slice<'a>(owner: &'a VolatileSlice<'static>) -> Option<VolatileSlice<'a>> {
/// #         Some(*owner)
/// #     }
/// #     fn bitmap(_: &VolatileSlice<'static>) {}
/// # }
/// # let region = Arc::new(VolatileSlice::from(Vec::leak(vec![0; 64])));
/// # let window = OwnedWindow::<_, Whole>::new(region, 16, 8).expect("8 of 64 bytes");
/// let slice = window.as_volatile_slice();
/// drop(window);
/// slice.len();
/// ```
///
/// but what was read out of it:
///
/// ```
/// # use std::sync::Arc;
/// # use guest_volatile::{OwnedWindow, SliceOf, VolatileSlice};
/// # struct Whole;
/// # impl SliceOf<VolatileSlice<'static>> for Whole {
/// #     type B = ();
/// #     fn slice<'a>(owner: &'a VolatileSlice<'static>) -> Option<VolatileSlice<'a>> {
/// #         Some(*owner)
/// #     }
/// #     fn bitmap(_: &VolatileSlice<'static>) {}
/// # }
/// # let region = Arc::new(VolatileSlice::from(Vec::leak(vec![0; 64])));
/// # let window = OwnedWindow::<_, Whole>::new(region, 16, 8).expect("8 of 64 bytes");
/// let object: u32 = window.read_obj(4)?;
/// drop(window);
/// assert_eq!(object, 0);
/// # Ok::<(), guest_volatile::WindowError>(())
/// ```
///
/// # Invariants
///
/// - `addr` and `mapped` are those of a part of the slice that `P::slice` gave for `owner`, or of a part of that part.
/// - `base` is where in that slice the part starts; with the part's length it is no more than the slice's.
/// - `readable` is the part's length. `writable` is that too, or 0; it is 0 if the part may not be written.
///
/// They stay true because the `Arc` keeps the owner where it is, alive and shared, as for an
/// [`OwnedSlice`](crate::OwnedSlice).
pub struct OwnedWindow<O, P> {
    owner: Arc<O>,
    addr: NonNull<u8>,
    mapped: Extent,
    readable: usize,
    writable: usize,
    base: usize,
    projection: PhantomData<fn() -> P>,
}

// SAFETY: besides the owner, it is an address of bytes that may be accessed by anyone at any time.
unsafe impl<O: Send + Sync, P> Send for OwnedWindow<O, P> {}
// SAFETY: as for `Send`.
unsafe impl<O: Send + Sync, P> Sync for OwnedWindow<O, P> {}

impl<O, P> OwnedWindow<O, P> {
    /// What keeps the memory valid.
    #[inline(always)]
    pub fn owner(&self) -> &Arc<O> {
        &self.owner
    }

    /// Where in the owner's slice the window starts, in bytes.
    #[inline(always)]
    pub fn base(&self) -> usize {
        self.base
    }

    /// The length in bytes.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.readable
    }

    /// Whether there is no byte in it.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether writes are refused: because the memory is mapped for reading only, or by [`read_only`](Self::read_only). Of a
    /// window without bytes only the first counts.
    #[inline(always)]
    pub fn is_read_only(&self) -> bool {
        self.mapped.is_read_only() || self.writable < self.readable
    }

    /// The same window, for reading only: every write through the result is refused.
    #[must_use]
    pub fn read_only(self) -> Self {
        // INVARIANT: the same part, with less asked of it.
        Self { writable: 0, ..self }
    }

    /// The address of `count` bytes at `offset`, if there are any and they all lie inside: valid for reading as long as `self`
    /// is borrowed.
    #[inline(always)]
    pub(super) fn readable(&self, offset: usize, count: usize) -> Option<NonNull<u8>> {
        self.reach(self.readable, offset, count)
    }

    /// As [`readable`](Self::readable), if they may be written too: valid for reading and writing.
    #[inline(always)]
    pub(super) fn writable(&self, offset: usize, count: usize) -> Option<NonNull<u8>> {
        self.reach(self.writable, offset, count)
    }

    /// The address of `count` bytes at `offset`, if there are any and they all lie below `limit`. That is `readable` or
    /// `writable`, and then they are valid for that as long as `self` is borrowed.
    #[inline(always)]
    fn reach(&self, limit: usize, offset: usize, count: usize) -> Option<NonNull<u8>> {
        // One comparison, with the number of offsets at which so many bytes fit: 0 of them for more than there are, and for none.
        if offset >= limit.saturating_sub(count.wrapping_sub(1)) {
            return None;
        }
        let addr = self.addr.as_ptr().wrapping_add(offset);
        // SAFETY: it is the address of a valid byte, as `offset` is inside, and none is at null.
        Some(unsafe { NonNull::new_unchecked(addr) })
    }
}

impl<O, P: SliceOf<O>> OwnedWindow<O, P> {
    /// The `count` bytes from `offset` on of the slice that `P` names of `owner`; `None` if it names none, or they do not all lie
    /// inside.
    pub fn new(owner: Arc<O>, offset: usize, count: usize) -> Option<Self> {
        let (addr, mapped) = P::slice(&owner)?.part(offset, count)?.parts();
        let readable = mapped.len();
        let writable = if mapped.is_read_only() { 0 } else { readable };
        // INVARIANT: a part of the slice of `owner`, `offset` from its start, and all inside by `part`.
        Some(Self {
            owner,
            addr,
            mapped,
            readable,
            writable,
            base: offset,
            projection: PhantomData,
        })
    }

    /// A window on the `count` bytes from `offset` on, if they all lie inside: another share of the same owner.
    pub fn part(&self, offset: usize, count: usize) -> Option<Self> {
        // SAFETY: as in `as_volatile_slice`; no byte is accessed here.
        let whole = unsafe { VolatileSlice::from_extent(self.addr, self.mapped, ()) };
        let (addr, mapped) = whole.part(offset, count)?.parts();
        // 0 stays 0.
        let writable = self.writable.min(count);
        // INVARIANT: a part of the part. No overflow: `offset` is inside, and so is `self` in the owner's slice.
        let base = self.base + offset;
        Some(Self { addr, mapped, readable: count, writable, base, ..self.clone() })
    }

    /// The bytes as a slice, whose writes are marked where they are in the owner's memory.
    #[inline(always)]
    pub fn as_volatile_slice(&self) -> VolatileSlice<'_, BS<'_, P::B>> {
        let bitmap = P::bitmap(&self.owner).slice_at(self.base);
        // SAFETY: by the type's invariant it is a part of a slice of the owner, which is shared and in its place as long as
        // `self` is borrowed.
        let slice = unsafe { VolatileSlice::from_extent(self.addr, self.mapped, bitmap) };
        if self.is_read_only() { slice.read_only() } else { slice }
    }

    /// The slice of the `count` bytes at `offset`, if there are any and they all lie inside. How the memory is mapped counts, and
    /// not whether the window is read-only: it is for a load.
    #[inline(always)]
    pub(super) fn to_load(&self, offset: usize, count: usize) -> Option<View<'_, O, P>> {
        let addr = self.readable(offset, count)?;
        let extent = Extent::new(count);
        let extent = if self.mapped.is_read_only() { extent.read_only() } else { extent };
        // SAFETY: the address is that of so many valid bytes, which may be written unless the extent is read-only, by the
        // type's invariant.
        Some(unsafe { VolatileSlice::from_extent(addr, extent, self.view(offset)) })
    }

    /// The slice of the `count` bytes at `offset`, if there are any, they all lie inside, and may be written.
    #[inline(always)]
    pub(super) fn to_store(&self, offset: usize, count: usize) -> Option<View<'_, O, P>> {
        let addr = self.writable(offset, count)?;
        // SAFETY: the address is that of so many valid, writable bytes.
        Some(unsafe { VolatileSlice::from_extent(addr, Extent::new(count), self.view(offset)) })
    }

    /// The bitmap's view from `offset` on, where there is a byte inside.
    #[inline(always)]
    fn view(&self, offset: usize) -> BS<'_, P::B> {
        // No overflow: the byte lies inside, and the window in the owner's slice.
        P::bitmap(&self.owner).slice_at(self.base + offset)
    }

    /// Marks `len` bytes from `offset` on, which lie inside and have been written.
    #[inline(always)]
    pub(super) fn mark(&self, offset: usize, len: usize) {
        // No overflow: the bytes lie inside, and the window in the owner's slice.
        P::bitmap(&self.owner).mark_dirty(self.base + offset, len);
    }
}

impl<O, P> Clone for OwnedWindow<O, P> {
    /// Another share of the owner, with the same part of its memory.
    fn clone(&self) -> Self {
        // INVARIANT: the same owner, the same part.
        Self {
            owner: Arc::clone(&self.owner),
            addr: self.addr,
            mapped: self.mapped,
            readable: self.readable,
            writable: self.writable,
            base: self.base,
            projection: PhantomData,
        }
    }
}

impl<O: fmt::Debug, P> fmt::Debug for OwnedWindow<O, P> {
    /// Shows the shape, never the bytes or their host address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedWindow")
            .field("owner", &self.owner)
            .field("base", &format_args!("{:#x}", self.base))
            .field("len", &format_args!("{:#x}", self.len()))
            .field("read_only", &self.is_read_only())
            .finish()
    }
}
