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
/// let pointer = guest_volatile::VolatileSlice::from(&mut ram[..]).host_ptr();
/// drop(ram);
/// pointer.as_ptr();
/// ```
///
/// but the slice that it was taken from:
///
/// ```
/// let mut ram = vec![0u8; 16];
/// let pointer = guest_volatile::VolatileSlice::from(&mut ram[..]).host_ptr();
/// pointer.as_ptr();
/// drop(ram);
/// ```
pub struct HostPtr<'a> {
    addr: *const u8,
    len: usize,
    guest: PhantomData<&'a u8>,
}

impl HostPtr<'_> {
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
/// knows better. One into read-only memory has length 0.
///
/// ```
/// let mut ram = vec![0u8; 16];
/// let pointer = guest_volatile::VolatileSlice::from(&mut ram[..]).host_ptr_mut();
/// // SAFETY: 16 bytes of our own, which nobody else accesses here.
/// unsafe { pointer.as_ptr().write_bytes(7, 4) };
/// pointer.written(4);
/// assert_eq!(ram[..5], [7, 7, 7, 7, 0]);
/// ```
///
/// It cannot outlive the memory:
///
/// ```compile_fail,E0505
/// let mut ram = vec![0u8; 16];
/// let pointer = guest_volatile::VolatileSlice::from(&mut ram[..]).host_ptr_mut();
/// drop(ram);
/// pointer.written(4);
/// ```
pub struct HostPtrMut<'a, B: BitmapSlice = ()> {
    addr: *mut u8,
    len: usize,
    written: usize,
    bitmap: B,
    guest: PhantomData<&'a u8>,
}

impl<B: BitmapSlice> HostPtrMut<'_, B> {
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

    /// Ends it, with the first `count` bytes written and no other.
    #[inline]
    pub fn written(mut self, count: usize) {
        self.written = count.min(self.len);
    }
}

impl<B: BitmapSlice> Drop for HostPtrMut<'_, B> {
    #[inline]
    fn drop(&mut self) {
        self.bitmap.mark_dirty(0, self.written);
    }
}

impl<'a, B: BitmapSlice> VolatileSlice<'a, B> {
    /// A pointer to the bytes, for reading.
    #[inline]
    pub fn host_ptr(&self) -> HostPtr<'a> {
        let (addr, extent) = self.parts();
        HostPtr { addr: addr.as_ptr().cast_const(), len: extent.len(), guest: PhantomData }
    }

    /// A pointer to the bytes, for writing. It marks them dirty when it is dropped.
    #[inline]
    pub fn host_ptr_mut(&self) -> HostPtrMut<'a, B> {
        let (addr, extent) = self.parts();
        let len = if self.is_read_only() { 0 } else { extent.len() };
        let bitmap = self.bitmap().clone();
        HostPtrMut { addr: addr.as_ptr(), len, written: len, bitmap, guest: PhantomData }
    }
}

impl fmt::Debug for HostPtr<'_> {
    /// Shows the shape, never the host address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostPtr").field("len", &format_args!("{:#x}", self.len)).finish()
    }
}

impl<B: BitmapSlice> fmt::Debug for HostPtrMut<'_, B> {
    /// Shows the shape, never the host address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostPtrMut")
            .field("len", &format_args!("{:#x}", self.len))
            .field("bitmap", &self.bitmap)
            .finish()
    }
}
