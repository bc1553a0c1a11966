//! The slice's fields and the only code that can break what they promise.

#![expect(unsafe_code, reason = "makes slices of raw memory, and pointers into slices")]

use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;

use crate::bitmap::{BS, BitmapSlice, Both};
use crate::error::{Error, Result};

/// A length in bytes, with room for one more fact: whether the bytes may be written.
///
/// A valid range is at most `isize::MAX` bytes long, so the top bit is free. Seen as a signed number a read-only
/// extent is negative, so a write needs no test of its own: the comparison with the length refuses it.
#[derive(Clone, Copy)]
pub(crate) struct Extent(usize);

impl Extent {
    const READ_ONLY: usize = 1 << (usize::BITS - 1);

    /// An extent of `len` writable bytes, cut at `isize::MAX`.
    #[inline(always)]
    pub(crate) const fn new(len: usize) -> Self {
        if len < Self::READ_ONLY { Self(len) } else { Self(Self::READ_ONLY - 1) }
    }

    /// An extent of `len` bytes of a slice that is writable.
    #[cfg(feature = "alloc")]
    #[inline(always)]
    pub(crate) const fn of_part(len: usize) -> Self {
        debug_assert!(len < Self::READ_ONLY, "no slice is as long");
        Self(len)
    }

    #[inline(always)]
    pub(crate) const fn len(self) -> usize {
        self.0 & !Self::READ_ONLY
    }

    #[inline(always)]
    pub(crate) const fn is_read_only(self) -> bool {
        self.0 & Self::READ_ONLY != 0
    }

    #[inline(always)]
    pub(crate) const fn read_only(self) -> Self {
        Self(self.0 | Self::READ_ONLY)
    }

    /// Whether `count` bytes at `offset` all lie inside.
    #[inline(always)]
    const fn holds(self, offset: usize, count: usize) -> bool {
        let len = self.len();
        count <= len && offset <= len - count
    }

    /// Whether `count` bytes at `offset` all lie inside, and may be written.
    #[inline(always)]
    const fn holds_writable(self, offset: usize, count: usize) -> bool {
        // The first comparison makes the cast of `count` exact. The second fails for a read-only extent, which is
        // negative; where it holds, the extent is its length, and not less than `count`.
        count < Self::READ_ONLY
            && self.0.cast_signed() >= count.cast_signed()
            && offset <= self.0 - count
    }

    /// The extent of `count` of these bytes, or `None` if they do not all lie inside.
    #[inline(always)]
    pub(crate) const fn part(self, offset: usize, count: usize) -> Option<Self> {
        if self.holds(offset, count) {
            Some(Self(count | (self.0 & Self::READ_ONLY)))
        } else {
            None
        }
    }
}

/// A piece of volatile memory: an address, a length, and the dirty bitmap that its writes are marked in.
///
/// Holding one says: these bytes are mapped for as long as `'a`, and every access by a method stays
/// inside them. It does not say that the bytes stand still: the guest, a device, or another thread with
/// a copy of the slice may change any of them between any two accesses, so two reads of one byte may
/// differ. Copying a slice copies the view, never the bytes.
///
/// The methods take an offset from the start of the slice. An offset plus length that does not fit is
/// an error, or a partial access where the method says so; nothing is ever touched outside.
///
/// With `B = ()`, which records no writes, it is two words.
///
/// # Invariants
///
/// - The `extent.len()` bytes at `addr` are [valid](crate#valid) for `'a`: for reading, and for writing unless
///   the extent is read-only.
/// - They are at most `isize::MAX` bytes and do not wrap around the address space.
///
/// # Example
///
/// ```
/// use guest_volatile::VolatileSlice;
///
/// let mut ram = [0u8; 16];
/// let slice = VolatileSlice::from(&mut ram[..]);
/// slice.write_obj(0x1234_u16, 2)?;
/// assert_eq!(slice.read_obj::<u16>(2)?, 0x1234);
/// assert!(slice.write_obj(0_u64, 12).is_err()); // 4 bytes too many
/// # Ok::<(), guest_volatile::Error>(())
/// ```
///
/// It cannot outlive the memory,
///
/// ```compile_fail,E0505
/// let mut ram = vec![0u8; 16];
/// let slice = guest_volatile::VolatileSlice::from(&mut ram[..]);
/// drop(ram);
/// slice.len();
/// ```
///
/// nor does memory that is lent to it have another user:
///
/// ```compile_fail,E0506
/// let mut ram = [0u8; 16];
/// let slice = guest_volatile::VolatileSlice::from(&mut ram[..]);
/// ram[0] = 1;
/// slice.len();
/// ```
///
/// Both are good once the slice is used no more:
///
/// ```
/// let mut ram = vec![0u8; 16];
/// let slice = guest_volatile::VolatileSlice::from(&mut ram[..]);
/// slice.len();
/// ram[0] = 1;
/// drop(ram);
/// ```
#[derive(Clone, Copy)]
pub struct VolatileSlice<'a, B = ()> {
    addr: NonNull<u8>,
    extent: Extent,
    bitmap: B,
    guest: PhantomData<&'a u8>,
}

const _: () = assert!(size_of::<VolatileSlice<'_>>() == 2 * size_of::<usize>());
const _: () = assert!(size_of::<Option<VolatileSlice<'_>>>() == 2 * size_of::<usize>());

// SAFETY: a slice is an address and a bitmap. Its bytes may be accessed by anyone at any time, by the
// meaning of valid, so another thread of ours is no news; the bitmap says for itself.
unsafe impl<B: Send> Send for VolatileSlice<'_, B> {}
// SAFETY: as for `Send`: no method needs to be alone with the bytes.
unsafe impl<B: Sync> Sync for VolatileSlice<'_, B> {}

/// A type that once told how foreign memory (Xen grants) is mapped for each access.
///
/// No value of it exists: memory that this crate reaches is mapped as long as it is valid. It is the type of
/// a parameter that callers give as `None`.
#[derive(Clone, Copy, Debug)]
pub enum MmapInfo {}

impl<'a> VolatileSlice<'a, ()> {
    /// A slice of raw memory whose writes are not recorded.
    ///
    /// # Safety
    ///
    /// The `size` bytes at `addr` must be [valid](crate#valid) for `'a`, for reading and writing. Where
    /// somebody relies on a dirty bitmap for these bytes, marking them is the caller's duty.
    #[inline(always)]
    pub unsafe fn new(addr: *mut u8, size: usize) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Self::from_raw_parts(addr, size, ()) }
    }
}

impl<'a, B> VolatileSlice<'a, B> {
    /// A slice of raw memory whose writes are marked in `bitmap`.
    ///
    /// # Safety
    ///
    /// The `size` bytes at `addr` must be [valid](crate#valid) for `'a`, for reading and writing.
    #[inline(always)]
    pub(crate) unsafe fn from_raw_parts(addr: *mut u8, size: usize, bitmap: B) -> Self {
        // INVARIANT: valid by the caller's promise, which includes `isize::MAX`.
        Self {
            // A null pointer is valid for no byte; then any other will do as well.
            addr: NonNull::new(addr).unwrap_or(NonNull::dangling()),
            extent: Extent::new(size),
            bitmap,
            guest: PhantomData,
        }
    }

    /// As [`from_raw_parts`](Self::from_raw_parts), of parts that another value keeps.
    ///
    /// # Safety
    ///
    /// `addr` and `extent` must be as this type's invariants say, for `'a`.
    #[inline(always)]
    pub(crate) unsafe fn from_extent(addr: NonNull<u8>, extent: Extent, bitmap: B) -> Self {
        // INVARIANT: by the caller's promise.
        Self { addr, extent, bitmap, guest: PhantomData }
    }

    /// The address and extent, to be kept by another value.
    #[inline(always)]
    pub(crate) fn parts(&self) -> (NonNull<u8>, Extent) {
        (self.addr, self.extent)
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

    /// Whether writes are refused, because the memory is mapped for reading only.
    #[inline(always)]
    pub fn is_read_only(&self) -> bool {
        self.extent.is_read_only()
    }

    /// The same bytes, for reading only: every write through the result is refused.
    #[inline(always)]
    #[must_use]
    pub fn read_only(self) -> Self {
        // INVARIANT: the same bytes, with less asked of them.
        Self { extent: self.extent.read_only(), ..self }
    }

    /// The dirty bitmap's view of these bytes: its offset 0 is the first byte of the slice.
    #[inline(always)]
    pub fn bitmap(&self) -> &B {
        &self.bitmap
    }

    /// The same bytes, whose writes are marked in `other` as well: its offset 0 is the first byte of the slice.
    ///
    /// ```
    /// use guest_volatile::{Both, VolatileSlice};
    /// let mut ram = [0u8; 16];
    /// let slice: VolatileSlice<'_, Both<(), Option<()>>> =
    ///     VolatileSlice::from(&mut ram[..]).also_marking(None);
    /// slice.write_obj(7_u8, 0)?; // marked in `()`, and in `None`
    /// # Ok::<(), guest_volatile::Error>(())
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn also_marking<B2>(self, other: B2) -> VolatileSlice<'a, Both<B, B2>> {
        let Self { addr, extent, bitmap, guest } = self;
        // INVARIANT: the same bytes.
        VolatileSlice { addr, extent, bitmap: Both(bitmap, other), guest }
    }

    /// The address of `count` bytes at `offset`, if they all lie inside: valid for reading for `'a`.
    #[inline(always)]
    pub(crate) fn readable(&self, offset: usize, count: usize) -> Option<*const u8> {
        if !self.extent.holds(offset, count) {
            return None;
        }
        // `offset <= len`, so this does not leave the valid bytes, by the type's invariant.
        Some(self.addr.as_ptr().wrapping_add(offset).cast_const())
    }

    /// The address of `count` bytes at `offset`, if they all lie inside and may be written: valid for
    /// reading and writing for `'a`.
    #[inline(always)]
    pub(crate) fn writable(&self, offset: usize, count: usize) -> Option<*mut u8> {
        if !self.extent.holds_writable(offset, count) {
            return None;
        }
        // `offset <= len`, so this does not leave the valid bytes, by the type's invariant.
        Some(self.addr.as_ptr().wrapping_add(offset))
    }
}

impl<'a, B: BitmapSlice> VolatileSlice<'a, B> {
    /// A slice of raw memory whose writes are marked in `bitmap`.
    ///
    /// `mmap` is kept for the published shape and is always `None`.
    ///
    /// # Safety
    ///
    /// - The `size` bytes at `addr` must be [valid](crate#valid) for `'a`, for reading and writing.
    /// - Offset 0 of `bitmap` must stand for the byte at `addr`, if anyone relies on it.
    #[inline(always)]
    pub unsafe fn with_bitmap(
        addr: *mut u8,
        size: usize,
        bitmap: B,
        mmap: Option<&'a MmapInfo>,
    ) -> Self {
        let _ = mmap;
        // SAFETY: the caller's promise.
        unsafe { Self::from_raw_parts(addr, size, bitmap) }
    }

    /// The `count` bytes from `offset` on, if they all lie inside. The bitmap's offset is carried along.
    #[inline(always)]
    pub(crate) fn part(&self, offset: usize, count: usize) -> Option<Self> {
        let extent = self.extent.part(offset, count)?;
        // `offset <= len`, so the address stays inside the valid bytes or at their end.
        let addr = self.addr.as_ptr().wrapping_add(offset);
        let addr = if count == 0 {
            // The end of the bytes may be that of the address space; then any other place will do.
            NonNull::new(addr).unwrap_or(NonNull::dangling())
        } else {
            // SAFETY: it is the address of a valid byte, and none is at null.
            unsafe { NonNull::new_unchecked(addr) }
        };
        // INVARIANT: a part of valid bytes is valid.
        Some(Self { addr, extent, bitmap: slice_at(&self.bitmap, offset), guest: PhantomData })
    }

    /// The `count` bytes from `offset` on.
    ///
    /// # Errors
    ///
    /// [`OutOfBounds`](Error::OutOfBounds) if they do not all lie inside, [`Overflow`](Error::Overflow)
    /// if their end is no `usize`.
    #[inline]
    pub fn subslice(&self, offset: usize, count: usize) -> Result<Self> {
        match self.part(offset, count) {
            Some(part) => Ok(part),
            None => Err(out_of_reach(offset, count)),
        }
    }
}

/// The view of a view, whose type is the same.
#[inline(always)]
fn slice_at<B: BitmapSlice>(bitmap: &B, offset: usize) -> B {
    let view: BS<'_, B> = bitmap.slice_at(offset);
    view
}

/// Says why `count` bytes at `offset` are not inside a slice.
#[cold]
pub(crate) fn out_of_reach(offset: usize, count: usize) -> Error {
    match offset.checked_add(count) {
        None => Error::Overflow { base: offset, offset: count },
        Some(end) => Error::OutOfBounds { addr: end },
    }
}

impl<B: fmt::Debug> fmt::Debug for VolatileSlice<'_, B> {
    /// Shows the shape, never the bytes or their host address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VolatileSlice")
            .field("len", &format_args!("{:#x}", self.len()))
            .field("read_only", &self.is_read_only())
            .field("bitmap", &self.bitmap)
            .finish()
    }
}

impl<'a> From<&'a mut [u8]> for VolatileSlice<'a, ()> {
    /// A slice of memory that is the caller's own: it is lent for as long as the slice lives.
    #[inline]
    fn from(bytes: &'a mut [u8]) -> Self {
        // SAFETY: an exclusive borrow for `'a` makes the bytes valid for `'a`: they are mapped, and
        // nobody has another reference to them.
        unsafe { VolatileSlice::new(bytes.as_mut_ptr(), bytes.len()) }
    }
}

#[cfg(test)]
mod tests;
