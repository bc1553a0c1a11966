//! A part of a slice together with what keeps its memory valid, for many small accesses.

#![expect(unsafe_code, reason = "keeps an address apart from the borrow that vouches for it")]

use alloc::sync::Arc;
use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use crate::access;
use crate::atomic::{AtomicAccess, AtomicUpdate};
use crate::bitmap::{BS, Bitmap};
use crate::byte_valued::ByteValued;
use crate::error::{Error, Result as VolatileResult, WindowError};
use crate::owned::SliceOf;
use crate::slice::{Extent, VolatileSlice};

type Result<T> = core::result::Result<T, WindowError>;

/// A part of a slice of volatile memory that owns a share of what keeps the memory valid: checked once, used often.
///
/// Where an [`OwnedSlice`](crate::OwnedSlice) is all of an owner's memory and gives slices of it, this is the piece that a
/// device works in again and again: a ring, a header, a buffer. An access takes an offset in it, compares it with the length,
/// which stands beside the address, and that is all: the owner is looked at only to mark what was written.
///
/// An access moves all its bytes or none (no bytes can be moved anywhere), and an error is one byte, so that a result stays in registers. For what is not here,
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

    /// Reads the object at `offset`.
    ///
    /// An object of 1, 2, 4 or 8 bytes at a host address aligned to its size is read by one load. At other addresses and
    /// sizes each byte is read once, in no given order.
    ///
    /// # Errors
    ///
    /// [`OutOfBounds`](WindowError::OutOfBounds) unless all its bytes lie inside.
    #[inline(always)]
    pub fn read_obj<T: ByteValued>(&self, offset: usize) -> Result<T> {
        match self.reach(self.readable, offset, size_of::<T>()) {
            // SAFETY: `reach` gave the address of `size_of::<T>()` valid bytes, and any bytes are a `T`.
            Some(src) => Ok(unsafe { access::read(src.as_ptr()) }),
            // Nothing can be read anywhere.
            None if size_of::<T>() == 0 => Ok(T::zeroed()),
            None => Err(WindowError::OutOfBounds),
        }
    }

    /// Reads `buf.len()` bytes from `offset` on. 1, 2, 4 or 8 bytes by one load, if both sides are aligned to that number.
    ///
    /// # Errors
    ///
    /// [`OutOfBounds`](WindowError::OutOfBounds) unless all the bytes lie inside; none has been read then.
    #[inline]
    pub fn read_slice(&self, buf: &mut [u8], offset: usize) -> Result<()> {
        match self.reach(self.readable, offset, buf.len()) {
            Some(src) => {
                // SAFETY: `reach` gave the address of `buf.len()` valid bytes. The target is an exclusive borrow, so by the
                // meaning of valid it does not overlap them.
                unsafe { access::copy(buf.as_mut_ptr(), src.as_ptr(), buf.len()) };
                Ok(())
            }
            None if buf.is_empty() => Ok(()),
            None => Err(WindowError::OutOfBounds),
        }
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
        let (addr, mapped) = self.as_volatile_slice().part(offset, count)?.parts();
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

    /// Writes `value` to `offset`, and marks its bytes dirty.
    ///
    /// An object of 1, 2, 4 or 8 bytes at a host address aligned to its size is written by one store. At other addresses and
    /// sizes each byte is written once, in no given order.
    ///
    /// # Errors
    ///
    /// [`OutOfBounds`](WindowError::OutOfBounds) unless all its bytes lie inside,
    /// [`NotWritable`](WindowError::NotWritable) if the window is read-only; nothing has been written then.
    #[inline(always)]
    pub fn write_obj<T: ByteValued>(&self, value: T, offset: usize) -> Result<()> {
        match self.reach(self.writable, offset, size_of::<T>()) {
            Some(dst) => {
                // SAFETY: `reach` gave the address of `size_of::<T>()` valid, writable bytes, and `T` has no padding.
                unsafe { access::write(dst.as_ptr(), value) };
                self.mark(offset, size_of::<T>());
                Ok(())
            }
            None if size_of::<T>() == 0 => Ok(()),
            None => Err(self.refusal(offset, size_of::<T>())),
        }
    }

    /// Writes all of `buf` from `offset` on, and marks the bytes dirty. 1, 2, 4 or 8 bytes by one store, if both sides are
    /// aligned to that number.
    ///
    /// # Errors
    ///
    /// As [`write_obj`](Self::write_obj): it writes all, or nothing.
    #[inline]
    pub fn write_slice(&self, buf: &[u8], offset: usize) -> Result<()> {
        match self.reach(self.writable, offset, buf.len()) {
            Some(dst) => {
                // SAFETY: `reach` gave the address of `buf.len()` valid, writable bytes. The source is a shared borrow, so by
                // the meaning of valid it does not overlap them.
                unsafe { access::copy(dst.as_ptr(), buf.as_ptr(), buf.len()) };
                self.mark(offset, buf.len());
                Ok(())
            }
            None if buf.is_empty() => Ok(()),
            None => Err(self.refusal(offset, buf.len())),
        }
    }

    /// Loads the integer at `offset`, whole, with memory ordering `order`.
    ///
    /// # Errors
    ///
    /// [`OutOfBounds`](WindowError::OutOfBounds) unless all its bytes lie inside,
    /// [`Misaligned`](WindowError::Misaligned) unless its host address is aligned to its size,
    /// [`InvalidOrdering`](WindowError::InvalidOrdering) for `Release` and `AcqRel`.
    #[inline(always)]
    pub fn load<T: AtomicAccess>(&self, offset: usize, order: Ordering) -> Result<T> {
        self.whole::<T, _>(self.readable, offset, move |slice, at| slice.load(at, order))
    }

    /// Stores `val` at `offset`, whole, with memory ordering `order`, and marks its bytes dirty.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load), with [`InvalidOrdering`](WindowError::InvalidOrdering) for `Acquire` and `AcqRel`, and
    /// [`NotWritable`](WindowError::NotWritable) if the window is read-only.
    #[inline(always)]
    pub fn store<T: AtomicAccess>(&self, val: T, offset: usize, order: Ordering) -> Result<()> {
        self.whole::<T, _>(self.writable, offset, move |slice, at| slice.store(val, at, order))
    }

    /// Stores `new` at `offset` if `current` is there, in one step; returns what was there, as `Ok` if it was `current`. Marks
    /// the bytes dirty if it stores.
    ///
    /// # Errors
    ///
    /// As [`store`](Self::store); [`InvalidOrdering`](WindowError::InvalidOrdering) if `failure` is `Release` or `AcqRel`.
    #[inline]
    pub fn compare_exchange<T: AtomicAccess<A: AtomicUpdate>>(
        &self,
        current: T,
        new: T,
        offset: usize,
        success: Ordering,
        failure: Ordering,
    ) -> Result<core::result::Result<T, T>> {
        self.whole::<T, _>(self.writable, offset, move |slice, at| {
            slice.compare_exchange(current, new, at, success, failure)
        })
    }

    /// Adds `val` to the integer at `offset`, wrapping, in one step; returns what it was, and marks it dirty.
    ///
    /// # Errors
    ///
    /// As [`store`](Self::store); any ordering is good.
    #[inline]
    pub fn fetch_add<T: AtomicAccess<A: AtomicUpdate>>(
        &self,
        val: T,
        offset: usize,
        order: Ordering,
    ) -> Result<T> {
        self.whole::<T, _>(self.writable, offset, move |slice, at| slice.fetch_add(val, at, order))
    }

    /// Clears the bits of the integer at `offset` that `val` has not, in one step; returns what it was, and marks it dirty.
    ///
    /// # Errors
    ///
    /// As [`store`](Self::store); any ordering is good.
    #[inline]
    pub fn fetch_and<T: AtomicAccess<A: AtomicUpdate>>(
        &self,
        val: T,
        offset: usize,
        order: Ordering,
    ) -> Result<T> {
        self.whole::<T, _>(self.writable, offset, move |slice, at| slice.fetch_and(val, at, order))
    }

    /// Sets the bits of the integer at `offset` that `val` has, in one step; returns what it was, and marks it dirty.
    ///
    /// # Errors
    ///
    /// As [`store`](Self::store); any ordering is good.
    #[inline]
    pub fn fetch_or<T: AtomicAccess<A: AtomicUpdate>>(
        &self,
        val: T,
        offset: usize,
        order: Ordering,
    ) -> Result<T> {
        self.whole::<T, _>(self.writable, offset, move |slice, at| slice.fetch_or(val, at, order))
    }

    /// Runs an atomic operation, which does nothing where it fails, on the slice of the one integer at `offset`, or else on the
    /// slice of all, which says what is wrong. `limit` is as for [`reach`](Self::reach).
    #[inline(always)]
    fn whole<'a, T: AtomicAccess, U>(
        &'a self,
        limit: usize,
        offset: usize,
        operation: impl Fn(VolatileSlice<'a, BS<'a, P::B>>, usize) -> VolatileResult<U>,
    ) -> Result<U> {
        let size = size_of::<T::A>();
        if let Some(addr) = self.reach(limit, offset, size) {
            let extent = Extent::new(size);
            // How the memory is mapped is what matters to a load; a store does not get here where the window is read-only.
            let extent = if self.mapped.is_read_only() { extent.read_only() } else { extent };
            // No overflow: as in `mark`.
            let bitmap = P::bitmap(&self.owner).slice_at(self.base + offset);
            // SAFETY: `reach` gave the address of so many valid bytes, which may be written unless the extent is read-only.
            let integer = unsafe { VolatileSlice::from_extent(addr, extent, bitmap) };
            if let Ok(result) = operation(integer, 0) {
                return Ok(result);
            }
        }
        self.refused_whole(offset, operation)
    }

    #[cold]
    #[inline(never)]
    fn refused_whole<'a, U>(
        &'a self,
        offset: usize,
        operation: impl Fn(VolatileSlice<'a, BS<'a, P::B>>, usize) -> VolatileResult<U>,
    ) -> Result<U> {
        operation(self.as_volatile_slice(), offset).map_err(|error| match error {
            Error::NotWritable => WindowError::NotWritable,
            Error::Misaligned { .. } => WindowError::Misaligned,
            Error::InvalidOrdering(_) => WindowError::InvalidOrdering,
            // All the rest is about where it lies.
            _ => WindowError::OutOfBounds,
        })
    }

    /// Marks `len` bytes from `offset` on, which lie inside and have been written.
    #[inline(always)]
    fn mark(&self, offset: usize, len: usize) {
        // No overflow: the bytes lie inside, and the window in the owner's slice.
        P::bitmap(&self.owner).mark_dirty(self.base + offset, len);
    }

    /// Why `count` bytes at `offset` may not be written.
    #[cold]
    fn refusal(&self, offset: usize, count: usize) -> WindowError {
        match self.reach(self.readable, offset, count) {
            Some(_) => WindowError::NotWritable,
            None => WindowError::OutOfBounds,
        }
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
