//! What gives out pieces of volatile memory.

#![expect(unsafe_code, reason = "gives references into memory that the caller vouches for")]

use crate::array::VolatileArrayRef;
use crate::atomic_integer::AtomicInteger;
use crate::bitmap::{BS, Bitmap, BitmapSlice};
use crate::byte_valued::ByteValued;
use crate::error::{Error, Result};
use crate::object::refusal;
use crate::reference::VolatileRef;
use crate::slice::VolatileSlice;

/// The offset `offset` bytes past `base`.
///
/// # Errors
///
/// [`Overflow`](Error::Overflow) if it is no `usize`.
///
/// ```
/// use guest_volatile::compute_offset;
/// assert_eq!(compute_offset(0x10, 8)?, 0x18);
/// assert!(compute_offset(usize::MAX, 1).is_err());
/// # Ok::<(), guest_volatile::Error>(())
/// ```
#[inline]
pub fn compute_offset(base: usize, offset: usize) -> Result<usize> {
    base.checked_add(offset).ok_or(Error::Overflow { base, offset })
}

/// A range of volatile memory that gives out pieces of itself.
///
/// Implementing it is safe: whatever `get_slice` answers, the typed methods check its length before they rely on it.
///
/// ```
/// use guest_volatile::{VolatileMemory, VolatileSlice};
///
/// let mut ram = [0u8; 32];
/// let memory = VolatileSlice::from(&mut ram[..]);
/// memory.get_ref::<u32>(8)?.store(7);
/// assert_eq!(memory.get_array_ref::<u32>(0, 4)?.load(2), 7);
/// # Ok::<(), guest_volatile::Error>(())
/// ```
pub trait VolatileMemory {
    /// The dirty bitmap of the memory.
    type B: Bitmap;

    /// The length in bytes.
    ///
    /// ```
    /// # use guest_volatile::{VolatileMemory, VolatileSlice};
    /// assert_eq!(VolatileMemory::len(&VolatileSlice::from(&mut [0u8; 16][..])), 16);
    /// ```
    fn len(&self) -> usize;

    /// Whether there is no byte in it.
    ///
    /// ```
    /// # use guest_volatile::{VolatileMemory, VolatileSlice};
    /// assert!(VolatileMemory::is_empty(&VolatileSlice::from(&mut [][..])));
    /// ```
    #[inline]
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The `count` bytes from `offset` on.
    ///
    /// # Errors
    ///
    /// If they do not all lie inside.
    ///
    /// ```
    /// # use guest_volatile::{VolatileMemory, VolatileSlice};
    /// # let mut ram = [0u8; 16];
    /// # let memory = VolatileSlice::from(&mut ram[..]);
    /// assert_eq!(memory.get_slice(8, 8)?.len(), 8);
    /// assert!(memory.get_slice(8, 9).is_err());
    /// # Ok::<(), guest_volatile::Error>(())
    /// ```
    fn get_slice(&self, offset: usize, count: usize) -> Result<VolatileSlice<'_, BS<'_, Self::B>>>;

    /// All of the memory.
    ///
    /// # Panics
    ///
    /// If the memory refuses itself, as one without access does. Where that may be, ask
    /// [`get_slice`](Self::get_slice).
    ///
    /// ```
    /// # use guest_volatile::{VolatileMemory, VolatileSlice};
    /// # let mut ram = [0u8; 16];
    /// # let memory = VolatileSlice::from(&mut ram[..]);
    /// assert_eq!(memory.as_volatile_slice().len(), 16);
    /// ```
    #[inline]
    fn as_volatile_slice(&self) -> VolatileSlice<'_, BS<'_, Self::B>> {
        self.get_slice(0, self.len()).expect("the memory refuses itself")
    }

    /// The object at `offset`.
    ///
    /// # Errors
    ///
    /// If it does not lie inside, or may not be written.
    ///
    /// ```
    /// # use guest_volatile::{VolatileMemory, VolatileSlice};
    /// # let mut ram = [0u8; 16];
    /// # let memory = VolatileSlice::from(&mut ram[..]);
    /// let flags = memory.get_ref::<u16>(2)?;
    /// flags.store(5);
    /// assert_eq!(flags.load(), 5);
    /// # Ok::<(), guest_volatile::Error>(())
    /// ```
    #[inline]
    fn get_ref<T: ByteValued>(&self, offset: usize) -> Result<VolatileRef<'_, T, BS<'_, Self::B>>> {
        let slice = self.get_slice(offset, size_of::<T>())?;
        VolatileRef::at_start(&slice).ok_or_else(|| refusal(&slice, 0, size_of::<T>()))
    }

    /// The row of `n` objects at `offset`.
    ///
    /// # Errors
    ///
    /// If they do not all lie inside, or may not be written; [`TooBig`](Error::TooBig) if their size is no `usize`.
    ///
    /// ```
    /// # use guest_volatile::{VolatileMemory, VolatileSlice};
    /// # let mut ram = [0u8; 16];
    /// # let memory = VolatileSlice::from(&mut ram[..]);
    /// memory.get_array_ref::<u16>(4, 3)?.store(2, 7);
    /// assert!(memory.get_array_ref::<u16>(4, 7).is_err());
    /// # Ok::<(), guest_volatile::Error>(())
    /// ```
    #[inline]
    fn get_array_ref<T: ByteValued>(
        &self,
        offset: usize,
        n: usize,
    ) -> Result<VolatileArrayRef<'_, T, BS<'_, Self::B>>> {
        let size = size_of::<T>();
        let bytes = n.checked_mul(size).ok_or(Error::TooBig { nelements: n, size })?;
        let slice = self.get_slice(offset, bytes)?;
        VolatileArrayRef::at_start(&slice, n).ok_or_else(|| refusal(&slice, 0, bytes))
    }

    /// A plain reference to the object at `offset`.
    ///
    /// # Errors
    ///
    /// If it does not lie inside, or is [`Misaligned`](Error::Misaligned).
    ///
    /// # Safety
    ///
    /// While the reference lives nobody, the guest included, may write the object.
    ///
    /// ```
    /// # use guest_volatile::{VolatileMemory, VolatileSlice};
    /// # let mut ram = [0u8; 16];
    /// # let memory = VolatileSlice::from(&mut ram[..]);
    /// // SAFETY: the array is this function's own, and nothing writes it here.
    /// assert_eq!(*unsafe { memory.aligned_as_ref::<u8>(3) }?, 0);
    /// # Ok::<(), guest_volatile::Error>(())
    /// ```
    #[inline]
    unsafe fn aligned_as_ref<T: ByteValued>(&self, offset: usize) -> Result<&T> {
        let slice = self.get_slice(offset, size_of::<T>())?;
        let object = readable_object::<T, _>(&slice, offset)?;
        // SAFETY: aligned, inside valid bytes for as long as the slice, any bytes are a `T`; nobody writes them by the
        // caller's promise.
        Ok(unsafe { &*object })
    }

    /// A plain exclusive reference to the object at `offset`. The object is marked dirty now.
    ///
    /// # Errors
    ///
    /// As [`aligned_as_ref`](Self::aligned_as_ref), and if it may not be written.
    ///
    /// # Safety
    ///
    /// While the reference lives nobody else, the guest included, may access the object; and what is written after a
    /// harvest of the dirty bitmap must be marked again.
    ///
    /// ```
    /// # use guest_volatile::{VolatileMemory, VolatileSlice};
    /// # let mut ram = [0u8; 16];
    /// # let memory = VolatileSlice::from(&mut ram[..]);
    /// // SAFETY: the array is this function's own, and there is no other access to it here.
    /// *unsafe { memory.aligned_as_mut::<u8>(3) }? = 1;
    /// # Ok::<(), guest_volatile::Error>(())
    /// ```
    #[expect(
        clippy::mut_from_ref,
        reason = "the published shape; exclusiveness is the caller's promise"
    )]
    #[inline]
    unsafe fn aligned_as_mut<T: ByteValued>(&self, offset: usize) -> Result<&mut T> {
        let slice = self.get_slice(offset, size_of::<T>())?;
        let object = writable_object::<T, _>(&slice, offset)?;
        slice.bitmap().mark_dirty(0, size_of::<T>());
        // SAFETY: aligned, inside valid writable bytes for as long as the slice, any bytes are a `T`; nobody else accesses
        // them by the caller's promise.
        Ok(unsafe { &mut *object })
    }

    /// A reference to the atomic at `offset`.
    ///
    /// A store through it marks nothing. [`VolatileSlice::store`], `compare_exchange` and the `fetch_` methods mark,
    /// and are safe.
    ///
    /// # Errors
    ///
    /// If it does not lie inside, may not be written, or is [`Misaligned`](Error::Misaligned).
    ///
    /// # Safety
    ///
    /// Whoever stores through the reference must mark the bytes dirty after it.
    ///
    /// ```
    /// use core::sync::atomic::{AtomicU8, Ordering};
    /// # use guest_volatile::{VolatileMemory, VolatileSlice};
    /// # let mut ram = [0u8; 16];
    /// # let memory = VolatileSlice::from(&mut ram[..]);
    /// // SAFETY: there is no dirty bitmap to be told of the store.
    /// unsafe { memory.get_atomic_ref::<AtomicU8>(3) }?.store(1, Ordering::Release);
    /// # Ok::<(), guest_volatile::Error>(())
    /// ```
    ///
    /// Safe code has none, so that no safe store goes unmarked:
    ///
    /// ```compile_fail,E0133
    /// use core::sync::atomic::{AtomicU8, Ordering};
    /// # use guest_volatile::{VolatileMemory, VolatileSlice};
    /// # let mut ram = [0u8; 16];
    /// # let memory = VolatileSlice::from(&mut ram[..]);
    /// memory.get_atomic_ref::<AtomicU8>(3)?.store(1, Ordering::Release);
    /// # Ok::<(), guest_volatile::Error>(())
    /// ```
    #[inline]
    unsafe fn get_atomic_ref<T: AtomicInteger>(&self, offset: usize) -> Result<&T> {
        let slice = self.get_slice(offset, size_of::<T>())?;
        let atomic = writable_object::<T, _>(&slice, offset)?;
        // SAFETY: aligned, and inside valid writable bytes for as long as the slice.
        Ok(unsafe { &*atomic })
    }

    /// The end of `offset` bytes at `base`, if it lies inside or at the end.
    ///
    /// # Errors
    ///
    /// [`Overflow`](Error::Overflow) or [`OutOfBounds`](Error::OutOfBounds) if it does not.
    ///
    /// ```
    /// # use guest_volatile::{VolatileMemory, VolatileSlice};
    /// # let mut ram = [0u8; 16];
    /// # let memory = VolatileSlice::from(&mut ram[..]);
    /// assert_eq!(memory.compute_end_offset(8, 8)?, 16);
    /// assert!(memory.compute_end_offset(8, 9).is_err());
    /// # Ok::<(), guest_volatile::Error>(())
    /// ```
    #[inline]
    fn compute_end_offset(&self, base: usize, offset: usize) -> Result<usize> {
        let end = compute_offset(base, offset)?;
        if end > self.len() {
            return Err(Error::OutOfBounds { addr: end });
        }
        Ok(end)
    }
}

/// The address of the object at the start of `slice`, aligned, with all its bytes inside.
#[inline]
fn readable_object<T, B: BitmapSlice>(
    slice: &VolatileSlice<'_, B>,
    offset: usize,
) -> Result<*const T> {
    let object =
        slice.readable(0, size_of::<T>()).ok_or_else(|| refusal(slice, 0, size_of::<T>()))?;
    check_alignment(object.cast::<T>(), offset)
}

/// As [`readable_object`], for writing too.
#[inline]
fn writable_object<T, B: BitmapSlice>(
    slice: &VolatileSlice<'_, B>,
    offset: usize,
) -> Result<*mut T> {
    let object =
        slice.writable(0, size_of::<T>()).ok_or_else(|| refusal(slice, 0, size_of::<T>()))?;
    check_alignment(object.cast::<T>(), offset).map(<*const T>::cast_mut)
}

#[inline]
fn check_alignment<T>(object: *const T, offset: usize) -> Result<*const T> {
    if object.is_aligned() {
        Ok(object)
    } else {
        Err(Error::Misaligned { addr: offset, alignment: align_of::<T>() })
    }
}

impl<B: BitmapSlice> VolatileMemory for VolatileSlice<'_, B> {
    type B = B;

    #[inline(always)]
    fn len(&self) -> usize {
        self.len()
    }

    #[inline(always)]
    fn get_slice(&self, offset: usize, count: usize) -> Result<VolatileSlice<'_, B>> {
        self.subslice(offset, count)
    }
}
