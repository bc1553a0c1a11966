//! Pointers in the published shape, which borrow nothing.

use core::fmt;

use crate::array::VolatileArrayRef;
use crate::bitmap::BitmapSlice;
use crate::byte_valued::ByteValued;
use crate::reference::VolatileRef;
use crate::slice::VolatileSlice;

/// A pointer to volatile memory, for reading, in the shape that vm-memory published: a type without parameters, which its
/// users name in their signatures.
///
/// It does not borrow the memory: whoever reads through it sees to it that the memory is still there. Code that need not
/// name it without a lifetime is better off with [`HostPtr`](crate::HostPtr), where the compiler sees to that.
///
/// ```
/// let mut ram = [7u8; 16];
/// let slice = guest_volatile::VolatileSlice::from(&mut ram[..]);
/// let guard = slice.ptr_guard();
/// // SAFETY: the byte is ours, still there, and nobody writes it.
/// assert_eq!(unsafe { guard.as_ptr().read_volatile() }, 7);
/// ```
pub struct PtrGuard {
    addr: *const u8,
    len: usize,
}

impl PtrGuard {
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

/// A pointer to volatile memory, for writing, in the shape that vm-memory published.
///
/// As [`PtrGuard`] it borrows nothing; so it cannot mark anything either: whoever writes through it marks the bytes in the
/// slice's [`bitmap`](VolatileSlice::bitmap), after they are in place. [`HostPtrMut`](crate::HostPtrMut) does both.
///
/// One into read-only memory has length 0.
///
/// ```
/// use guest_volatile::{Bitmap, VolatileSlice};
///
/// let mut ram = [0u8; 16];
/// let slice = VolatileSlice::from(&mut ram[..]);
/// let guard = slice.ptr_guard_mut();
/// // SAFETY: 16 bytes of our own, which nobody else accesses here.
/// unsafe { guard.as_ptr().write_bytes(7, 4) };
/// slice.bitmap().mark_dirty(0, 4);
/// ```
pub struct PtrGuardMut {
    addr: *mut u8,
    len: usize,
}

impl PtrGuardMut {
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
}

impl<B: BitmapSlice> VolatileSlice<'_, B> {
    /// A pointer to the bytes, for reading, that does not borrow them: see [`host_ptr`](Self::host_ptr).
    #[inline]
    pub fn ptr_guard(&self) -> PtrGuard {
        let pointer = self.host_ptr();
        PtrGuard { addr: pointer.as_ptr(), len: pointer.len() }
    }

    /// A pointer to the bytes, for writing, that neither borrows nor marks them: see [`host_ptr_mut`](Self::host_ptr_mut).
    #[inline]
    pub fn ptr_guard_mut(&self) -> PtrGuardMut {
        let (addr, extent) = self.parts();
        let len = if self.is_read_only() { 0 } else { extent.len() };
        PtrGuardMut { addr: addr.as_ptr(), len }
    }
}

impl<T: ByteValued, B: BitmapSlice> VolatileRef<'_, T, B> {
    /// A pointer to the object, for reading, that does not borrow it: see [`host_ptr`](Self::host_ptr).
    #[inline]
    pub fn ptr_guard(&self) -> PtrGuard {
        self.to_slice().ptr_guard()
    }

    /// A pointer to the object, for writing, that neither borrows nor marks it: see [`host_ptr_mut`](Self::host_ptr_mut).
    #[inline]
    pub fn ptr_guard_mut(&self) -> PtrGuardMut {
        self.to_slice().ptr_guard_mut()
    }
}

impl<T: ByteValued, B: BitmapSlice> VolatileArrayRef<'_, T, B> {
    /// A pointer to the objects, for reading, that does not borrow them: see [`host_ptr`](Self::host_ptr). Its length counts
    /// bytes.
    #[inline]
    pub fn ptr_guard(&self) -> PtrGuard {
        self.to_slice().ptr_guard()
    }

    /// A pointer to the objects, for writing, that neither borrows nor marks them: see [`host_ptr_mut`](Self::host_ptr_mut).
    /// Its length counts bytes.
    #[inline]
    pub fn ptr_guard_mut(&self) -> PtrGuardMut {
        self.to_slice().ptr_guard_mut()
    }
}

impl fmt::Debug for PtrGuard {
    /// Shows the shape, never the host address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        shape("PtrGuard", self.len, f)
    }
}

impl fmt::Debug for PtrGuardMut {
    /// Shows the shape, never the host address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        shape("PtrGuardMut", self.len, f)
    }
}

fn shape(name: &str, len: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.debug_struct(name).field("len", &format_args!("{len:#x}")).finish()
}
