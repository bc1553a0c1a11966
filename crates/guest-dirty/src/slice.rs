//! A view into a bitmap that starts at an offset.

use alloc::sync::Arc;
use core::fmt;
use core::ops::Deref;

use guest_volatile::{Bitmap, BitmapSlice, WithBitmapSlice};

/// A view into the bitmap behind `B`, whose offset 0 is some offset there.
///
/// Offsets add up over views of views. A sum that is no `usize` stays at `usize::MAX`, which lies
/// past the end of every bitmap, so it names no byte of another page; marking there is the
/// underlying bitmap's to report.
///
/// ```
/// use guest_dirty::{AtomicBitmap, DEFAULT_PAGE_SIZE};
/// use guest_volatile::Bitmap;
///
/// let bitmap = AtomicBitmap::new(0x10_0000, DEFAULT_PAGE_SIZE);
/// let view = bitmap.slice_at(0x2000).slice_at(0xfff);
/// view.mark_dirty(0, 2);
/// assert!(bitmap.dirty_at(0x2000) && bitmap.dirty_at(0x3000));
/// ```
#[derive(Clone, Copy)]
pub struct BaseSlice<B> {
    inner: B,
    base: usize,
}

/// A view that borrows the bitmap.
pub type RefSlice<'a, B> = BaseSlice<&'a B>;

/// A view that owns a share of the bitmap.
///
/// ```
/// use std::sync::Arc;
/// use guest_dirty::{ArcSlice, AtomicBitmap, DEFAULT_PAGE_SIZE};
/// use guest_volatile::Bitmap;
///
/// let bitmap = Arc::new(AtomicBitmap::new(0x10_0000, DEFAULT_PAGE_SIZE));
/// let view = ArcSlice::new(bitmap.clone(), 0x2000);
/// std::thread::spawn(move || view.mark_dirty(0, 1)).join().unwrap();
/// assert!(bitmap.dirty_at(0x2000));
/// ```
pub type ArcSlice<B> = BaseSlice<Arc<B>>;

impl<B> BaseSlice<B> {
    /// A view whose offset 0 is `offset` in the bitmap behind `inner`.
    #[inline]
    pub fn new(inner: B, offset: usize) -> Self {
        Self { inner, base: offset }
    }

    /// The offset in the underlying bitmap.
    #[inline(always)]
    fn below(&self, offset: usize) -> usize {
        self.base.saturating_add(offset)
    }
}

impl<B> WithBitmapSlice<'_> for BaseSlice<B>
where
    B: Clone + Deref,
    B::Target: Bitmap,
{
    type S = Self;
}

impl<B> BitmapSlice for BaseSlice<B>
where
    B: Clone + Deref,
    B::Target: Bitmap,
{
    /// Whether the two look into one bitmap, the other `len` bytes further.
    #[inline]
    fn goes_on_in(&self, next: &Self, len: usize) -> bool {
        core::ptr::addr_eq(&raw const *self.inner, &raw const *next.inner)
            && self.base.checked_add(len) == Some(next.base)
    }
}

impl<B> Bitmap for BaseSlice<B>
where
    B: Clone + Deref,
    B::Target: Bitmap,
{
    #[inline(always)]
    fn mark_dirty(&self, offset: usize, len: usize) {
        self.inner.mark_dirty(self.below(offset), len);
    }

    #[inline]
    fn dirty_at(&self, offset: usize) -> bool {
        self.inner.dirty_at(self.below(offset))
    }

    #[inline]
    fn slice_at(&self, offset: usize) -> Self {
        Self { inner: self.inner.clone(), base: self.below(offset) }
    }

    fn dirty_bytes(&self, offset: usize, len: usize) -> Option<usize> {
        self.inner.dirty_bytes(self.below(offset), len)
    }
}

impl<B> fmt::Debug for BaseSlice<B> {
    /// Shows where the view starts. The bitmap may be a type that cannot be shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BaseSlice")
            .field("offset", &format_args!("{:#x}", self.base))
            .finish_non_exhaustive()
    }
}

impl<B: Default> Default for BaseSlice<B> {
    /// A view of all of the default bitmap.
    fn default() -> Self {
        Self::new(B::default(), 0)
    }
}
