//! A dirty bitmap by a device's addresses, whose views are leases.

use std::fmt;
use std::sync::Arc;

use guest_volatile::{BS, Bitmap, BitmapSlice, WithBitmapSlice};

use crate::lease::{Lease, Leases, PastLeases};

/// A dirty bitmap by a device's addresses, each of whose views holds a [`Lease`].
///
/// It is a part of an [`IommuMemory`](crate::IommuMemory)'s bitmap. Every slice has a view of the bitmap that it marks its
/// writes in, and takes it along into parts and references; so this is where a lease cannot be lost.
///
/// ```
/// use guest_iommu::Leased;
/// use guest_volatile::Bitmap;
///
/// let leased = Leased::<Option<()>>::default();
/// let view = leased.slice_at(0x1000);
/// view.mark_dirty(0, 1); // in the bitmap, which is `None`
/// ```
#[derive(Debug, Default)]
pub struct Leased<V> {
    bitmap: Arc<V>,
    leases: Arc<Leases>,
}

/// A view into a [`Leased`] bitmap, with a lease. Views of it have leases as old as this one's.
#[derive(Clone)]
pub struct LeasedSlice<'a, S> {
    view: S,
    lease: Lease<'a>,
}

impl<V> Leased<V> {
    pub(crate) fn new(bitmap: V) -> Self {
        Self { bitmap: Arc::new(bitmap), leases: Arc::default() }
    }

    pub(crate) fn bitmap(&self) -> &Arc<V> {
        &self.bitmap
    }

    pub(crate) fn lease(&self) -> Lease<'_> {
        self.leases.take()
    }

    pub(crate) fn past_leases(&self) -> PastLeases {
        PastLeases::new(&self.leases)
    }
}

impl<V> Clone for Leased<V> {
    /// The same bitmap, with the same leases.
    fn clone(&self) -> Self {
        Self { bitmap: Arc::clone(&self.bitmap), leases: Arc::clone(&self.leases) }
    }
}

impl<'a, V: WithBitmapSlice<'a>> WithBitmapSlice<'a> for Leased<V> {
    type S = LeasedSlice<'a, V::S>;
}

impl<V: Bitmap> Bitmap for Leased<V> {
    fn mark_dirty(&self, offset: usize, len: usize) {
        self.bitmap.mark_dirty(offset, len);
    }

    fn dirty_at(&self, offset: usize) -> bool {
        self.bitmap.dirty_at(offset)
    }

    /// A view with a new lease.
    #[inline]
    fn slice_at(&self, offset: usize) -> LeasedSlice<'_, BS<'_, V>> {
        LeasedSlice { view: self.bitmap.slice_at(offset), lease: self.lease() }
    }

    fn dirty_bytes(&self, offset: usize, len: usize) -> Option<usize> {
        self.bitmap.dirty_bytes(offset, len)
    }
}

impl<S: BitmapSlice> WithBitmapSlice<'_> for LeasedSlice<'_, S> {
    type S = Self;
}

impl<S: BitmapSlice> BitmapSlice for LeasedSlice<'_, S> {}

impl<S: BitmapSlice> Bitmap for LeasedSlice<'_, S> {
    #[inline]
    fn mark_dirty(&self, offset: usize, len: usize) {
        self.view.mark_dirty(offset, len);
    }

    #[inline]
    fn dirty_at(&self, offset: usize) -> bool {
        self.view.dirty_at(offset)
    }

    /// A view with a lease as old as this one's.
    #[inline]
    fn slice_at(&self, offset: usize) -> Self {
        Self { view: view_at(&self.view, offset), lease: self.lease.clone() }
    }

    fn dirty_bytes(&self, offset: usize, len: usize) -> Option<usize> {
        self.view.dirty_bytes(offset, len)
    }
}

/// The view of a view, whose type is the same.
#[inline]
fn view_at<S: BitmapSlice>(view: &S, offset: usize) -> S {
    let view: BS<'_, S> = view.slice_at(offset);
    view
}

impl<S: fmt::Debug> fmt::Debug for LeasedSlice<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LeasedSlice").field(&self.view).finish()
    }
}
