//! Accesses that say no more than whether they were done, for those who know another way to find out why not.
//!
//! A path that is short calls nothing and comes back: whatever stands in the way leaves it. The methods of the slice find out why, and
//! that is a call. So this is for layers above, whose own slow way begins the access again.

#![expect(
    unsafe_code,
    reason = "moves objects and bytes through pointers that the slice has checked"
)]

use crate::access;
use crate::bitmap::BitmapSlice;
use crate::byte_valued::ByteValued;
use crate::slice::VolatileSlice;

/// Of those that write, one that fails has written nothing, or else has met with a fault: then some of its bytes may have been written, and are
/// not marked yet. Whoever calls it writes them again by a method that marks, which marks all of them if it meets with a fault too, however
/// far it comes.
impl<B: BitmapSlice> VolatileSlice<'_, B> {
    /// [`read_obj`](Self::read_obj), or `None`.
    #[doc(hidden)]
    #[inline(always)]
    pub fn quick_read_obj<T: ByteValued>(&self, offset: usize) -> Option<T> {
        let src = self.readable(offset, size_of::<T>())?;
        // SAFETY: `readable` gave the address of `size_of::<T>()` valid bytes, and any bytes are a `T`.
        unsafe { access::read(src) }
    }

    /// [`write_obj`](Self::write_obj), and whether it did.
    #[doc(hidden)]
    #[inline(always)]
    #[must_use]
    pub fn quick_write_obj<T: ByteValued>(&self, value: T, offset: usize) -> bool {
        let Some(dst) = self.writable(offset, size_of::<T>()) else { return false };
        // SAFETY: `writable` gave the address of `size_of::<T>()` valid bytes, and `T` has no padding.
        if !unsafe { access::write(dst, value) } {
            return false;
        }
        self.bitmap().mark_dirty(offset, size_of::<T>());
        true
    }

    /// [`read_slice`](Self::read_slice), and whether it did.
    #[doc(hidden)]
    #[inline(always)]
    #[must_use]
    pub fn quick_read_slice(&self, buf: &mut [u8], offset: usize) -> bool {
        let Some(src) = self.readable(offset, buf.len()) else { return false };
        // SAFETY: `readable` gave the address of `buf.len()` valid bytes. The target is an exclusive borrow,
        // so by the meaning of valid it does not overlap them.
        unsafe { access::quick_copy(buf.as_mut_ptr(), src, buf.len()) }
    }

    /// [`write_slice`](Self::write_slice), and whether it did.
    #[doc(hidden)]
    #[inline(always)]
    #[must_use]
    pub fn quick_write_slice(&self, buf: &[u8], offset: usize) -> bool {
        let Some(dst) = self.writable(offset, buf.len()) else { return false };
        // SAFETY: `writable` gave the address of `buf.len()` valid bytes. The source is a shared borrow,
        // so by the meaning of valid it does not overlap them.
        if !unsafe { access::quick_copy(dst, buf.as_ptr(), buf.len()) } {
            return false;
        }
        self.bitmap().mark_dirty(offset, buf.len());
        true
    }
}
