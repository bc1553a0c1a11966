//! A row of objects in volatile memory.

#![expect(unsafe_code, reason = "keeps the row as an address and a number of objects")]

use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;

use crate::bitmap::BitmapSlice;
use crate::byte_valued::ByteValued;
use crate::pointer::{HostPtr, HostPtrMut};
use crate::reference::VolatileRef;
use crate::slice::{MmapInfo, VolatileSlice};

/// A row of `len()` objects of type `T` in volatile memory.
///
/// Holding one says that all its objects are mapped and may be read and written. An index past the
/// end is a broken promise of the caller, as with a slice of Rust's own, and panics.
///
/// # Invariants
///
/// `nelem * size_of::<T>()` is at most `isize::MAX`, and that many bytes at `addr` are [valid](crate#valid) for
/// `'a`, for reading and writing.
#[derive(Clone, Copy)]
pub struct VolatileArrayRef<'a, T, B = ()> {
    addr: NonNull<u8>,
    nelem: usize,
    bitmap: B,
    objects: PhantomData<&'a T>,
}

// SAFETY: as for `VolatileSlice`: the bytes may be accessed by anyone at any time.
unsafe impl<T, B: Send> Send for VolatileArrayRef<'_, T, B> {}
// SAFETY: as for `VolatileSlice`.
unsafe impl<T, B: Sync> Sync for VolatileArrayRef<'_, T, B> {}

impl<T: ByteValued> VolatileArrayRef<'_, T> {
    /// A row of objects in raw memory, whose writes are not recorded.
    ///
    /// # Safety
    ///
    /// As for [`VolatileSlice::new`], with the bytes of `nelem` objects.
    #[inline]
    pub unsafe fn new(addr: *mut u8, nelem: usize) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Self::with_bitmap(addr, nelem, (), None) }
    }
}

impl<'a, T: ByteValued, B: BitmapSlice> VolatileArrayRef<'a, T, B> {
    /// A row of objects in raw memory, whose writes are marked in `bitmap`.
    ///
    /// # Safety
    ///
    /// As for [`VolatileSlice::with_bitmap`], with the bytes of `nelem` objects.
    #[inline]
    pub unsafe fn with_bitmap(
        addr: *mut u8,
        nelem: usize,
        bitmap: B,
        mmap: Option<&'a MmapInfo>,
    ) -> Self {
        let _ = mmap;
        // INVARIANT: valid by the caller's promise.
        let addr = NonNull::new(addr).unwrap_or(NonNull::dangling());
        Self { addr, nelem, bitmap, objects: PhantomData }
    }

    /// The row of `nelem` objects at the start of `slice`, or `None` if it is shorter or may not be written.
    #[inline]
    pub(crate) fn at_start(slice: &VolatileSlice<'a, B>, nelem: usize) -> Option<Self> {
        slice.writable(0, nelem.checked_mul(size_of::<T>())?)?;
        // INVARIANT: by `writable` so many of the slice's bytes are valid for `'a`, for reading and writing.
        let (addr, _) = slice.parts();
        Some(Self { addr, nelem, bitmap: slice.bitmap().clone(), objects: PhantomData })
    }

    /// Whether there is no object in it.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.nelem == 0
    }

    /// The number of objects.
    #[inline]
    pub fn len(&self) -> usize {
        self.nelem
    }

    /// The size of an object in bytes.
    #[inline]
    pub fn element_size(&self) -> usize {
        size_of::<T>()
    }

    /// A pointer to the objects, for reading. Its length counts bytes.
    #[inline]
    pub fn host_ptr(&self) -> HostPtr<'a> {
        self.to_slice().host_ptr()
    }

    /// A pointer to the objects, for writing. Its length counts bytes; it marks them dirty when it is dropped.
    #[inline]
    pub fn host_ptr_mut(&self) -> HostPtrMut<'a, B> {
        self.to_slice().host_ptr_mut()
    }

    /// The dirty bitmap's view of the objects.
    #[inline]
    pub fn bitmap(&self) -> &B {
        &self.bitmap
    }

    /// The bytes of the objects.
    #[inline]
    pub fn to_slice(&self) -> VolatileSlice<'a, B> {
        // By the type's invariant the product does not overflow.
        let size = self.nelem * size_of::<T>();
        // SAFETY: by the type's invariant.
        unsafe { VolatileSlice::from_raw_parts(self.addr.as_ptr(), size, self.bitmap.clone()) }
    }

    /// The object at `index`.
    ///
    /// # Panics
    ///
    /// If `index` is not less than the number of objects.
    #[inline]
    pub fn ref_at(&self, index: usize) -> VolatileRef<'a, T, B> {
        assert!(index < self.nelem, "index {index} of {} objects", self.nelem);
        // No overflow: less than the product of the type's invariant, so the object lies inside the valid bytes.
        let offset = index * size_of::<T>();
        let object = self.addr.as_ptr().wrapping_add(offset);
        // SAFETY: the address of a valid byte is not null; nor is `addr`, where all objects without bytes are.
        let object = unsafe { NonNull::new_unchecked(object) };
        // SAFETY: the object's bytes are valid for reading and writing for `'a`, by the type's invariant.
        unsafe { VolatileRef::at(object, self.bitmap.slice_at(offset)) }
    }

    /// Reads the object at `index`, as [`VolatileRef::load`] does.
    ///
    /// # Panics
    ///
    /// If `index` is not less than the number of objects.
    #[inline]
    pub fn load(&self, index: usize) -> T {
        self.ref_at(index).load()
    }

    /// Writes the object at `index`, as [`VolatileRef::store`] does.
    ///
    /// # Panics
    ///
    /// If `index` is not less than the number of objects.
    #[inline]
    pub fn store(&self, index: usize, value: T) {
        self.ref_at(index).store(value);
    }

    /// Reads as many objects from the start as the array and `buf` hold, and returns their number.
    pub fn copy_to(&self, buf: &mut [T]) -> usize {
        let count = buf.len().min(self.nelem);
        self.to_slice().copy_to(&mut buf[..count])
    }

    /// Copies as many bytes as both hold to the start of `slice`; they may overlap.
    pub fn copy_to_volatile_slice<S: BitmapSlice>(&self, slice: VolatileSlice<'_, S>) {
        self.to_slice().copy_to_volatile_slice(slice);
    }

    /// Writes as many objects to the start as the array and `buf` hold.
    pub fn copy_from(&self, buf: &[T]) {
        self.to_slice().copy_from(buf);
    }
}

impl<'a, B: BitmapSlice> From<VolatileSlice<'a, B>> for VolatileArrayRef<'a, u8, B> {
    /// The bytes of the slice as an array. Of a read-only slice, an empty one.
    #[inline]
    fn from(slice: VolatileSlice<'a, B>) -> Self {
        let (addr, extent) = slice.parts();
        let nelem = if slice.is_read_only() { 0 } else { extent.len() };
        // INVARIANT: the slice's bytes are valid for `'a`; a read-only one gives none of them.
        Self { addr, nelem, bitmap: slice.bitmap().clone(), objects: PhantomData }
    }
}

impl<T, B: fmt::Debug> fmt::Debug for VolatileArrayRef<'_, T, B> {
    /// Shows the shape, never the objects or their host address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VolatileArrayRef")
            .field("len", &self.nelem)
            .field("element_size", &size_of::<T>())
            .field("bitmap", &self.bitmap)
            .finish()
    }
}
