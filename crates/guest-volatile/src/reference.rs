//! One object in volatile memory.

#![expect(unsafe_code, reason = "reads and writes the object that the reference stands for")]

use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;

use crate::access;
use crate::bitmap::BitmapSlice;
use crate::byte_valued::ByteValued;
use crate::error::Result;
use crate::pointer::{HostPtr, HostPtrMut};
use crate::slice::{MmapInfo, VolatileSlice};

/// An object of type `T` in volatile memory.
///
/// Holding one says that the object is mapped, may be read and written, and lies whole in one piece. It
/// does not say that two loads give the same value.
///
/// ```
/// use guest_volatile::{VolatileMemory, VolatileSlice};
///
/// let mut ram = vec![0u8; 16];
/// let memory = VolatileSlice::from(&mut ram[..]);
/// let flags = memory.get_ref::<u16>(2)?;
/// flags.store(7);
/// drop(ram);
/// # Ok::<(), guest_volatile::Error>(())
/// ```
///
/// It cannot outlive the memory:
///
/// ```compile_fail,E0505
/// use guest_volatile::{VolatileMemory, VolatileSlice};
///
/// let mut ram = vec![0u8; 16];
/// let memory = VolatileSlice::from(&mut ram[..]);
/// let flags = memory.get_ref::<u16>(2)?;
/// drop(ram);
/// flags.store(7);
/// # Ok::<(), guest_volatile::Error>(())
/// ```
///
/// # Invariants
///
/// The `size_of::<T>()` bytes at `addr` are [valid](crate#valid) for `'a`, for reading and writing.
#[derive(Clone, Copy)]
pub struct VolatileRef<'a, T, B = ()> {
    addr: NonNull<u8>,
    bitmap: B,
    object: PhantomData<&'a T>,
}

// SAFETY: as for `VolatileSlice`: the bytes may be accessed by anyone at any time.
unsafe impl<T, B: Send> Send for VolatileRef<'_, T, B> {}
// SAFETY: as for `VolatileSlice`.
unsafe impl<T, B: Sync> Sync for VolatileRef<'_, T, B> {}

impl<T: ByteValued> VolatileRef<'_, T, ()> {
    /// A reference to an object in raw memory, whose writes are not recorded.
    ///
    /// # Safety
    ///
    /// As for [`VolatileSlice::new`], with `size_of::<T>()` bytes.
    #[inline]
    pub unsafe fn new(addr: *mut u8) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Self::with_bitmap(addr, (), None) }
    }
}

impl<'a, T: ByteValued, B: BitmapSlice> VolatileRef<'a, T, B> {
    /// A reference to an object in raw memory, whose writes are marked in `bitmap`.
    ///
    /// # Safety
    ///
    /// As for [`VolatileSlice::with_bitmap`], with `size_of::<T>()` bytes.
    #[inline]
    pub unsafe fn with_bitmap(addr: *mut u8, bitmap: B, mmap: Option<&'a MmapInfo>) -> Self {
        let _ = mmap;
        // SAFETY: the caller's promise; an object without bytes is at any other place as well.
        unsafe { Self::at(NonNull::new(addr).unwrap_or(NonNull::dangling()), bitmap) }
    }

    /// As [`with_bitmap`](Self::with_bitmap), of an address that is not null.
    ///
    /// # Safety
    ///
    /// As for [`VolatileSlice::with_bitmap`], with `size_of::<T>()` bytes.
    #[inline(always)]
    pub(crate) unsafe fn at(addr: NonNull<u8>, bitmap: B) -> Self {
        // INVARIANT: valid by the caller's promise.
        Self { addr, bitmap, object: PhantomData }
    }

    /// A reference to the object at the start of `slice`, or `None` if it is shorter or may not be written.
    #[inline(always)]
    pub(crate) fn at_start(slice: &VolatileSlice<'a, B>) -> Option<Self> {
        slice.writable(0, size_of::<T>())?;
        // INVARIANT: by `writable` so many of the slice's bytes are valid for `'a`, for reading and writing.
        let (addr, _) = slice.parts();
        Some(Self { addr, bitmap: slice.bitmap().clone(), object: PhantomData })
    }

    /// A pointer to the object, for reading.
    #[inline]
    pub fn host_ptr(&self) -> HostPtr<'a> {
        self.to_slice().host_ptr()
    }

    /// A pointer to the object, for writing. It marks the object dirty when it is dropped.
    #[inline]
    pub fn host_ptr_mut(&self) -> HostPtrMut<'a, B> {
        self.to_slice().host_ptr_mut()
    }

    /// The size of the object in bytes.
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "the length is that of the type")]
    pub fn len(&self) -> usize {
        size_of::<T>()
    }

    /// The dirty bitmap's view of the object.
    #[inline]
    pub fn bitmap(&self) -> &B {
        &self.bitmap
    }

    /// Writes the object, and marks it dirty. 1, 2, 4 or 8 bytes, aligned on the host, by one store.
    ///
    /// If the memory faults, which only a program that [recovers](crate#features) lives to see, what cannot be written is dropped;
    /// [`try_store`](Self::try_store) says so.
    #[inline(always)]
    pub fn store(&self, v: T) {
        let _ = self.try_store(v);
    }

    /// As [`store`](Self::store), with an answer.
    ///
    /// # Errors
    ///
    /// [`Faulted`](crate::Error::Faulted), if the memory cannot be reached: what is before that has been written, and all is marked.
    ///
    /// ```
    /// use guest_volatile::{VolatileMemory, VolatileSlice};
    /// let mut ram = [0u8; 16];
    /// let memory = VolatileSlice::from(&mut ram[..]);
    /// memory.get_ref::<u16>(2)?.try_store(7)?;
    /// # Ok::<(), guest_volatile::Error>(())
    /// ```
    #[inline(always)]
    pub fn try_store(&self, v: T) -> Result<()> {
        // SAFETY: by the type's invariant; `T` has no padding.
        if unsafe { access::write(self.addr.as_ptr(), v) } {
            self.bitmap.mark_dirty(0, size_of::<T>());
            return Ok(());
        }
        self.clone().store_again(v)
    }

    #[cold]
    #[inline(never)]
    fn store_again(self, v: T) -> Result<()> {
        // SAFETY: by the type's invariant; `T` has no padding.
        let result = unsafe { access::write_again(self.addr.as_ptr(), v) };
        // Also where it faulted, as all writes.
        self.bitmap.mark_dirty(0, size_of::<T>());
        result.map_err(|fault| fault.at(0))
    }

    /// Reads the object. 1, 2, 4 or 8 bytes, aligned on the host, by one load.
    ///
    /// If the memory faults, which only a program that [recovers](crate#features) lives to see, it is all zeroes;
    /// [`try_load`](Self::try_load) says so.
    #[inline(always)]
    pub fn load(&self) -> T {
        self.try_load().unwrap_or_else(|_| T::zeroed())
    }

    /// As [`load`](Self::load), with an answer.
    ///
    /// # Errors
    ///
    /// [`Faulted`](crate::Error::Faulted), if the memory cannot be reached.
    ///
    /// ```
    /// use guest_volatile::{VolatileMemory, VolatileSlice};
    /// let mut ram = [1u8; 16];
    /// let memory = VolatileSlice::from(&mut ram[..]);
    /// assert_eq!(memory.get_ref::<u16>(2)?.try_load()?, 0x101);
    /// # Ok::<(), guest_volatile::Error>(())
    /// ```
    #[inline(always)]
    pub fn try_load(&self) -> Result<T> {
        // SAFETY: by the type's invariant; any bytes are a `T`.
        match unsafe { access::read(self.addr.as_ptr()) } {
            Some(value) => Ok(value),
            // SAFETY: as before.
            None => unsafe { access::read_again(self.addr.as_ptr()) }.map_err(|fault| fault.at(0)),
        }
    }

    /// The bytes of the object.
    #[inline]
    pub fn to_slice(&self) -> VolatileSlice<'a, B> {
        // SAFETY: by the type's invariant.
        unsafe {
            VolatileSlice::from_raw_parts(self.addr.as_ptr(), size_of::<T>(), self.bitmap.clone())
        }
    }
}

impl<T, B: fmt::Debug> fmt::Debug for VolatileRef<'_, T, B> {
    /// Shows the shape, never the object or its host address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VolatileRef")
            .field("len", &format_args!("{:#x}", size_of::<T>()))
            .field("bitmap", &self.bitmap)
            .finish()
    }
}
