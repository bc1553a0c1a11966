//! How a write tells a dirty bitmap about itself.
//!
//! Offsets count bytes from the start of what the bitmap is about: a region, or a slice of one.

use core::fmt::Debug;

/// Names the type of a view into a bitmap that lives for `'a`.
///
/// A trait of its own, below [`Bitmap`], because a view borrows from the bitmap it looks into.
pub trait WithBitmapSlice<'a> {
    /// The view's type.
    type S: BitmapSlice;
}

/// A view into a bitmap that a [`VolatileSlice`](crate::VolatileSlice) carries along.
///
/// A view of a view has the same type.
pub trait BitmapSlice: Bitmap + Clone + Debug + for<'a> WithBitmapSlice<'a, S = Self> {
    /// Whether `next` is what this view shows from `len` on: a mark at an offset there is the same mark `len` bytes further
    /// here, always.
    ///
    /// Two slices with such views may be joined to one that has this view, and are asked once: so a bitmap whose views go on in
    /// each other gives such views at every later time too. One that is switched on later is an object with a switch in it, not
    /// `None` first and then `Some`. By default no view goes on in another; then
    /// slices stay apart, and nothing is wrong.
    ///
    /// ```
    /// use guest_volatile::BitmapSlice;
    /// assert!(().goes_on_in(&(), 0x1000)); // neither records anything
    /// ```
    #[inline]
    fn goes_on_in(&self, next: &Self, len: usize) -> bool {
        let _ = (next, len);
        false
    }
}

/// A record of which bytes were written.
///
/// Whoever writes guest memory calls [`mark_dirty`](Self::mark_dirty) after the bytes are in place,
/// with exactly the bytes written. A bitmap may record more coarsely, by the page, and never less.
pub trait Bitmap: for<'a> WithBitmapSlice<'a> {
    /// Records that `len` bytes from `offset` on were written. A length of 0 records nothing.
    ///
    /// ```
    /// use guest_volatile::Bitmap;
    /// ().mark_dirty(0x1000, 0x10); // the bitmap that records nothing
    /// ```
    fn mark_dirty(&self, offset: usize, len: usize);

    /// Whether the byte at `offset` is recorded as written.
    ///
    /// ```
    /// use guest_volatile::Bitmap;
    /// assert!(!().dirty_at(0x1000));
    /// ```
    fn dirty_at(&self, offset: usize) -> bool;

    /// A view whose offset 0 is `offset` here.
    ///
    /// ```
    /// use guest_volatile::Bitmap;
    /// let no_view: () = ().slice_at(0x1000);
    /// ```
    fn slice_at(&self, offset: usize) -> <Self as WithBitmapSlice<'_>>::S;

    /// How many of the `len` bytes from `offset` on are recorded as written, rounded as the bitmap
    /// records, or `None` from a bitmap that does not count.
    ///
    /// ```
    /// use guest_volatile::Bitmap;
    /// assert_eq!(().dirty_bytes(0, 0x1000), None);
    /// ```
    fn dirty_bytes(&self, offset: usize, len: usize) -> Option<usize> {
        let _ = (offset, len);
        None
    }
}

/// A bitmap that can be made for a length.
pub trait NewBitmap: Bitmap + Default {
    /// A clean bitmap over `len` bytes.
    ///
    /// ```
    /// use guest_volatile::NewBitmap;
    /// let nothing: () = NewBitmap::with_len(0x1000);
    /// ```
    fn with_len(len: usize) -> Self;
}

/// The type of the view into the bitmap `B` that lives for `'a`.
pub type BS<'a, B> = <B as WithBitmapSlice<'a>>::S;

// `()` records nothing, and costs nothing.

impl WithBitmapSlice<'_> for () {
    type S = Self;
}

impl BitmapSlice for () {
    #[inline(always)]
    fn goes_on_in(&self, _next: &Self, _len: usize) -> bool {
        true
    }
}

impl Bitmap for () {
    #[inline(always)]
    fn mark_dirty(&self, _offset: usize, _len: usize) {}

    #[inline(always)]
    fn dirty_at(&self, _offset: usize) -> bool {
        false
    }

    #[inline(always)]
    fn slice_at(&self, _offset: usize) -> Self {}
}

impl NewBitmap for () {
    #[inline(always)]
    fn with_len(_len: usize) -> Self {}
}

// `None` records nothing, `Some` what the bitmap in it records.

impl<'a, B: WithBitmapSlice<'a>> WithBitmapSlice<'a> for Option<B> {
    type S = Option<B::S>;
}

impl<B: BitmapSlice> BitmapSlice for Option<B> {
    #[inline]
    fn goes_on_in(&self, next: &Self, len: usize) -> bool {
        match (self, next) {
            (Some(here), Some(next)) => here.goes_on_in(next, len),
            (None, None) => true,
            _ => false,
        }
    }
}

impl<B: Bitmap> Bitmap for Option<B> {
    #[inline]
    fn mark_dirty(&self, offset: usize, len: usize) {
        if let Some(bitmap) = self {
            bitmap.mark_dirty(offset, len);
        }
    }

    #[inline]
    fn dirty_at(&self, offset: usize) -> bool {
        self.as_ref().is_some_and(|bitmap| bitmap.dirty_at(offset))
    }

    #[inline]
    fn slice_at(&self, offset: usize) -> Option<BS<'_, B>> {
        self.as_ref().map(|bitmap| bitmap.slice_at(offset))
    }

    fn dirty_bytes(&self, offset: usize, len: usize) -> Option<usize> {
        self.as_ref()?.dirty_bytes(offset, len)
    }
}

/// Two bitmaps as one: what is marked is marked in both, the first one first.
///
/// For memory with two numberings whose writes are asked for by either, such as a device's addresses and the guest's. Offset
/// 0 of both stands for the same byte. [`VolatileSlice::also_marking`](crate::VolatileSlice::also_marking) makes slices that
/// mark so.
///
/// ```
/// use guest_volatile::{Bitmap, Both};
///
/// let both = Both(None::<()>, Some(()));
/// both.mark_dirty(0, 1); // in each of the two
/// assert!(!both.dirty_at(0)); // these two record nothing
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Both<A, B>(
    /// The first.
    pub A,
    /// The second.
    pub B,
);

impl<'a, A: WithBitmapSlice<'a>, B: WithBitmapSlice<'a>> WithBitmapSlice<'a> for Both<A, B> {
    type S = Both<A::S, B::S>;
}

impl<A: BitmapSlice, B: BitmapSlice> BitmapSlice for Both<A, B> {
    #[inline]
    fn goes_on_in(&self, next: &Self, len: usize) -> bool {
        self.0.goes_on_in(&next.0, len) && self.1.goes_on_in(&next.1, len)
    }
}

impl<A: Bitmap, B: Bitmap> Bitmap for Both<A, B> {
    #[inline]
    fn mark_dirty(&self, offset: usize, len: usize) {
        self.0.mark_dirty(offset, len);
        self.1.mark_dirty(offset, len);
    }

    /// Whether either has recorded it.
    #[inline]
    fn dirty_at(&self, offset: usize) -> bool {
        self.0.dirty_at(offset) || self.1.dirty_at(offset)
    }

    #[inline]
    fn slice_at(&self, offset: usize) -> Both<BS<'_, A>, BS<'_, B>> {
        Both(self.0.slice_at(offset), self.1.slice_at(offset))
    }

    /// What the one that counts more says, as either may be taken apart from the other.
    fn dirty_bytes(&self, offset: usize, len: usize) -> Option<usize> {
        self.0.dirty_bytes(offset, len).max(self.1.dirty_bytes(offset, len))
    }
}
