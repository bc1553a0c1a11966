//! A slice at an address, where most small accesses are one comparison away.

#![expect(unsafe_code, reason = "makes parts of a slice by a comparison that was prepared before")]

use core::fmt;
use core::ptr::NonNull;

use crate::bitmap::{BS, BitmapSlice};
use crate::slice::{Extent, VolatileSlice};

/// The size in bytes up to which an access needs one comparison.
const QUICK: usize = 16;

/// A slice whose first byte has an address that is not the host's: a guest's, a device's. It gives parts of the slice by
/// that address, the small ones by a single comparison.
///
/// It is what a cursor over memory remembers: the piece that it was in last. It may be nowhere.
///
/// ```
/// use guest_volatile::{PlacedSlice, VolatileSlice};
///
/// let mut ram = [0u8; 64];
/// let placed = PlacedSlice::new(0x1000, VolatileSlice::from(&mut ram[..]));
/// placed.writable(0x1010, 4).expect("it is near").write_obj(7_u32, 0)?;
/// assert_eq!(placed.readable(0x1010, 4).expect("it is near").read_obj::<u32>(0)?, 7);
/// assert!(placed.readable(0x1040, 1).is_none()); // past the end
/// assert!(PlacedSlice::<()>::nowhere().readable(0, 1).is_none());
/// # Ok::<(), guest_volatile::Error>(())
/// ```
///
/// # Invariants
///
/// - `readable` and `writable` are 0, or `slice` is there and has `QUICK` bytes at each offset below them.
/// - `writable` is 0 if the slice is read-only.
#[derive(Clone, Copy)]
pub struct PlacedSlice<'a, B = ()> {
    start: u64,
    readable: usize,
    writable: usize,
    slice: Option<VolatileSlice<'a, B>>,
}

impl<'a, B: BitmapSlice> PlacedSlice<'a, B> {
    /// No bytes.
    pub const fn nowhere() -> Self {
        // INVARIANT: both are 0.
        Self { start: 0, readable: 0, writable: 0, slice: None }
    }

    /// `slice`, whose first byte is at `start`. Bytes past the last address there is can not be asked for.
    pub fn new(start: u64, slice: VolatileSlice<'a, B>) -> Self {
        let rest = usize::try_from(u64::MAX - start).unwrap_or(usize::MAX).saturating_add(1);
        // Shortening cannot fail: it is no longer than the slice.
        let slice = if slice.len() <= rest { Some(slice) } else { slice.part(0, rest) };
        let Some(slice) = slice else { return Self::nowhere() };
        // INVARIANT: `QUICK` bytes at `len - QUICK` are the last that fit, if any do.
        let readable = (slice.len() + 1).saturating_sub(QUICK);
        let writable = if slice.is_read_only() { 0 } else { readable };
        Self { start, readable, writable, slice: Some(slice) }
    }

    /// The `count` bytes at `at`, for reading only; `None` if they are not all here, or there are too few bytes after them.
    ///
    /// So `None` does not say that the bytes are not here: ask whoever gave the slice.
    #[inline(always)]
    pub fn readable(&self, at: u64, count: usize) -> Option<VolatileSlice<'a, B>> {
        if count > QUICK {
            return self.part(at, count).map(VolatileSlice::read_only);
        }
        let (addr, view) = self.quick(at, self.readable)?;
        // SAFETY: `quick` gave the address of `QUICK` bytes that are valid for `'a`, and not less than `count`.
        Some(unsafe { VolatileSlice::from_extent(addr, Extent::new(count).read_only(), view) })
    }

    /// The `count` bytes at `at`, if they may be written too; `None` as from [`readable`](Self::readable).
    #[inline(always)]
    pub fn writable(&self, at: u64, count: usize) -> Option<VolatileSlice<'a, B>> {
        if count > QUICK {
            return self.part(at, count).filter(|part| !part.is_read_only());
        }
        let (addr, view) = self.quick(at, self.writable)?;
        // SAFETY: `quick` gave the address of `QUICK` bytes that are valid for `'a`, and not less than `count`; for writing, as
        // the limit was not 0.
        Some(unsafe { VolatileSlice::from_extent(addr, Extent::new(count), view) })
    }

    /// The byte at `at` and the bitmap's view from it on, if it lies below `limit`, which is `readable` or `writable`.
    #[inline(always)]
    fn quick(&self, at: u64, limit: usize) -> Option<(NonNull<u8>, B)> {
        let offset = usize::try_from(at.wrapping_sub(self.start)).ok()?;
        if offset >= limit {
            return None;
        }
        // SAFETY: the limit is not 0, as there is something below it; so by the type's invariant there is a slice.
        let slice = unsafe { self.slice.as_ref().unwrap_unchecked() };
        let addr = slice.parts().0.as_ptr().wrapping_add(offset);
        // SAFETY: by the type's invariant it is the address of a valid byte, and none is at null.
        let addr = unsafe { NonNull::new_unchecked(addr) };
        let view: BS<'_, B> = slice.bitmap().slice_at(offset);
        Some((addr, view))
    }

    #[inline(always)]
    fn part(&self, at: u64, count: usize) -> Option<VolatileSlice<'a, B>> {
        let offset = usize::try_from(at.wrapping_sub(self.start)).ok()?;
        self.slice.as_ref()?.part(offset, count)
    }
}

impl<B: fmt::Debug> fmt::Debug for PlacedSlice<'_, B> {
    /// Shows the shape, never the bytes or their host address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlacedSlice")
            .field("start", &format_args!("{:#x}", self.start))
            .field("slice", &self.slice)
            .finish()
    }
}
