//! Raw pointers into volatile memory, each with the lifetime of what it points to.

use core::fmt;
use core::marker::PhantomData;

use crate::bitmap::BitmapSlice;
use crate::slice::VolatileSlice;

/// A pointer to volatile memory for somebody else to read from: a system call, a C library.
///
/// It cannot outlive the memory:
///
/// ```compile_fail,E0505
/// let mut ram = vec![0u8; 16];
/// let guard = guest_volatile::VolatileSlice::from(&mut ram[..]).ptr_guard();
/// drop(ram);
/// guard.as_ptr();
/// ```
///
/// but the slice that it was taken from:
///
/// ```
/// let mut ram = vec![0u8; 16];
/// let guard = guest_volatile::VolatileSlice::from(&mut ram[..]).ptr_guard();
/// guard.as_ptr();
/// drop(ram);
/// ```
pub struct PtrGuard<'a> {
    addr: *const u8,
    len: usize,
    guest: PhantomData<&'a u8>,
}

impl PtrGuard<'_> {
    /// The address of the first byte.
    #[inline]
    pub fn as_ptr(&self) -> *const u8 {
        self.addr
    }

    /// The number of bytes there.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// A pointer to volatile memory for somebody else to write to.
///
/// When it is dropped, the whole range is marked dirty; [`written`](Self::written) marks less where one
/// knows better. A guard on read-only memory has length 0.
///
/// ```
/// let mut ram = vec![0u8; 16];
/// let guard = guest_volatile::VolatileSlice::from(&mut ram[..]).ptr_guard_mut();
/// // SAFETY: 16 bytes of our own, which nobody else accesses here.
/// unsafe { guard.as_ptr().write_bytes(7, 4) };
/// guard.written(4);
/// assert_eq!(ram[..5], [7, 7, 7, 7, 0]);
/// ```
///
/// It cannot outlive the memory:
///
/// ```compile_fail,E0505
/// let mut ram = vec![0u8; 16];
/// let guard = guest_volatile::VolatileSlice::from(&mut ram[..]).ptr_guard_mut();
/// drop(ram);
/// guard.written(4);
/// ```
pub struct PtrGuardMut<'a, B: BitmapSlice = ()> {
    addr: *mut u8,
    len: usize,
    written: usize,
    bitmap: B,
    guest: PhantomData<&'a u8>,
}

impl<B: BitmapSlice> PtrGuardMut<'_, B> {
    /// The address of the first byte.
    #[inline]
    pub fn as_ptr(&self) -> *mut u8 {
        self.addr
    }

    /// The number of bytes there.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Ends the guard, with the first `count` bytes written and no other.
    #[inline]
    pub fn written(mut self, count: usize) {
        self.written = count.min(self.len);
    }
}

impl<B: BitmapSlice> Drop for PtrGuardMut<'_, B> {
    #[inline]
    fn drop(&mut self) {
        self.bitmap.mark_dirty(0, self.written);
    }
}

impl<'a, B: BitmapSlice> VolatileSlice<'a, B> {
    /// A pointer to the bytes, for reading.
    #[inline]
    pub fn ptr_guard(&self) -> PtrGuard<'a> {
        let (addr, extent) = self.parts();
        PtrGuard { addr: addr.as_ptr().cast_const(), len: extent.len(), guest: PhantomData }
    }

    /// A pointer to the bytes, for writing. It marks them dirty when it is dropped.
    #[inline]
    pub fn ptr_guard_mut(&self) -> PtrGuardMut<'a, B> {
        let (addr, extent) = self.parts();
        let len = if self.is_read_only() { 0 } else { extent.len() };
        let bitmap = self.bitmap().clone();
        PtrGuardMut { addr: addr.as_ptr(), len, written: len, bitmap, guest: PhantomData }
    }
}

impl fmt::Debug for PtrGuard<'_> {
    /// Shows the shape, never the host address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PtrGuard").field("len", &format_args!("{:#x}", self.len)).finish()
    }
}

impl<B: BitmapSlice> fmt::Debug for PtrGuardMut<'_, B> {
    /// Shows the shape, never the host address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PtrGuardMut")
            .field("len", &format_args!("{:#x}", self.len))
            .field("bitmap", &self.bitmap)
            .finish()
    }
}
