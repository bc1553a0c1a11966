//! Slices that lie side by side, joined to one.

#![expect(unsafe_code, reason = "makes one slice of two that a promise says are one piece")]

use core::fmt;
use core::ptr::NonNull;

use crate::bitmap::BitmapSlice;
use crate::slice::VolatileSlice;

/// Addresses of this process that one pointer reaches all of, in which memory comes and goes.
///
/// Holding one says that whatever is valid in it is one piece of memory where it has no gap. It does not say that anything
/// in it is mapped.
///
/// Two slices with adjacent addresses are not one slice: a pointer to the one must not be used for the bytes of the other,
/// unless both are parts of one allocation, and an address does not tell. So slices cannot be joined by themselves, but
/// by the stretch that both lie in, which is made where an allocation is.
///
/// ```
/// use guest_volatile::{Stretch, VolatileSlice};
///
/// let ram = Box::leak(vec![0u8; 16].into_boxed_slice()).as_mut_ptr();
/// // SAFETY: one allocation of 16 bytes that is never freed, and of which there is no reference.
/// let stretch = unsafe { Stretch::new(ram, 16) };
/// // SAFETY: the first half of these bytes.
/// let lower = unsafe { VolatileSlice::new(ram, 8) };
/// // SAFETY: the other half.
/// let upper = unsafe { VolatileSlice::new(ram.wrapping_add(8), 8) };
///
/// let whole = stretch.join(&lower, &upper).expect("they are adjacent");
/// whole.write_obj(*b"a border", 4)?;
/// assert_eq!(upper.read_obj::<[u8; 4]>(0)?, *b"rder");
/// assert!(stretch.join(&upper, &lower).is_none());
/// # Ok::<(), guest_volatile::Error>(())
/// ```
///
/// # Invariants
///
/// As long as this lives, and as long as any byte of the range is valid:
///
/// - the `len` bytes from `addr` on are at most `isize::MAX`, and do not wrap around the address space;
/// - they are addresses of one allocation, and `addr` is a pointer to all of it;
/// - every byte of them that is [valid](crate#valid) may be accessed, as it is valid for, by a pointer derived from `addr`.
pub struct Stretch {
    addr: NonNull<u8>,
    len: usize,
}

// SAFETY: an address and a number.
unsafe impl Send for Stretch {}
// SAFETY: nothing changes through a shared reference.
unsafe impl Sync for Stretch {}

impl Stretch {
    /// The stretch of `len` bytes from `addr` on.
    ///
    /// # Safety
    ///
    /// As long as the result lives, and as long as any byte of the range is [valid](crate#valid):
    ///
    /// - `len` must be at most `isize::MAX`, and the range must not wrap around the address space;
    /// - the range must belong to one allocation, of which `addr` may access all; of one `mmap(2)`, say, in the range of
    ///   which memory is mapped and unmapped by and by, and nobody else maps anything;
    /// - no reference of Rust to any of its bytes is used, not even of an exclusive borrow that was lent to a slice.
    pub const unsafe fn new(addr: *mut u8, len: usize) -> Self {
        // INVARIANT: by the caller's promise. At null there is no allocation: a stretch there has no byte.
        match NonNull::new(addr) {
            Some(addr) => Self { addr, len },
            None => Self { addr: NonNull::dangling(), len: 0 },
        }
    }

    /// The length in bytes.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no byte in it.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The address `offset` bytes from the start, if there are `count` bytes from there on. It reaches all of the stretch.
    pub fn get(&self, offset: usize, count: usize) -> Option<*mut u8> {
        let end = offset.checked_add(count)?;
        (end <= self.len).then(|| self.addr.as_ptr().wrapping_add(offset))
    }

    /// The bytes of `lower` and then those of `upper` as one slice, whose writes are marked in the view of `lower`.
    ///
    /// `None` if one of them is empty or is not in this stretch, they are not adjacent, one is read-only and
    /// the other not, or the writes to the one [are not marked](BitmapSlice::goes_on_in) where those to the other are.
    #[inline]
    pub fn join<'a, B: BitmapSlice>(
        &self,
        lower: &VolatileSlice<'a, B>,
        upper: &VolatileSlice<'a, B>,
    ) -> Option<VolatileSlice<'a, B>> {
        let offset = self.offset_of(lower)?;
        let next = self.offset_of(upper)?;
        // Both are ends of ranges inside the stretch: no overflow.
        let is_adjacent = next == offset + lower.len();
        let marks_alike = lower.bitmap().goes_on_in(upper.bitmap(), lower.len());
        if !is_adjacent || !marks_alike || lower.is_read_only() != upper.is_read_only() {
            return None;
        }
        let len = lower.len() + upper.len();
        let addr = self.addr.as_ptr().wrapping_add(offset);
        // SAFETY: each of the `len` bytes lies in one of the slices, so it is valid for `'a`; by the type's invariant they
        // may be accessed by this pointer, and all together are at most `isize::MAX` and do not wrap. If they are not valid for
        // writing, the slice is made read-only before anyone gets it.
        let slice = unsafe { VolatileSlice::from_raw_parts(addr, len, lower.bitmap().clone()) };
        Some(if lower.is_read_only() { slice.read_only() } else { slice })
    }

    /// How far the slice is from the start, if it has a byte and all of its bytes are inside.
    #[inline]
    fn offset_of<B>(&self, slice: &VolatileSlice<'_, B>) -> Option<usize> {
        if slice.is_empty() {
            return None;
        }
        let (addr, _) = slice.parts();
        let offset = addr.addr().get().checked_sub(self.addr.addr().get())?;
        let rest = self.len.checked_sub(offset)?;
        (slice.len() <= rest).then_some(offset)
    }
}

impl fmt::Debug for Stretch {
    /// Shows the length, never the host address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stretch").field("len", &format_args!("{:#x}", self.len)).finish()
    }
}
