//! A bitmap that records only while somebody wants to know.

use core::fmt;
use core::num::NonZeroUsize;
use core::sync::atomic::{AtomicBool, Ordering};

use guest_volatile::{Bitmap, Fence, FenceError, NewBitmap, WithBitmapSlice};

use crate::bitmap::{AtomicBitmap, DEFAULT_PAGE_SIZE};
use crate::discipline::Discipline;
use crate::slice::RefSlice;
use crate::taken::Taken;

/// A dirty bitmap that is off, until a migration or a snapshot [starts](Self::start) it.
///
/// While it is off, a mark is a load and a branch, and nothing is dirty. It is for memory that is tracked
/// for some seconds of a long life, and is given to a map as the type of its bitmaps:
///
/// ```
/// use guest_dirty::{SwitchedBitmap, TakeError};
/// use guest_volatile::{Bitmap, NewBitmap};
///
/// let bitmap = SwitchedBitmap::with_len(0x10_0000);
/// bitmap.mark_dirty(0x1000, 8);
/// assert!(!bitmap.dirty_at(0x1000));
///
/// bitmap.start()?;
/// // Copy all of the memory, once. What is written from now on, or not visible yet, is marked:
/// bitmap.mark_dirty(0x2000, 8);
/// let harvest = bitmap.bitmap().take()?;
/// assert!(harvest.pages().eq([2])); // copy it again
/// harvest.commit();
/// bitmap.stop();
/// # Ok::<(), TakeError>(())
/// ```
///
/// # No write is lost
///
/// Writers look at the switch as they look at bits: after their bytes, and after the light half of a [`Fence`]. `start`
/// turns the switch, and then calls the heavy half. A writer who saw the switch off did so before its moment in that
/// call, and its bytes are visible to whoever copies the memory after `start` has returned. All others mark.
///
/// # Where there is no fence
///
/// There nothing orders the look at a switch but a barrier that costs as much as a mark. So the marks of
/// [strict](crate::Marking::Strict) bitmaps are recorded all the time, and the switch only hides them.
///
/// # Memory
///
/// The bits are allocated with the bitmap, a bit for each page and a 64th of that for their summary: 2 MiB for 64 GiB, in
/// pages of 4 KiB. To allocate them by `start` would need a pointer that writers take from an atomic. The standard library's cell for that
/// needs std, and all others unsafe code, which this crate forbids; 1/32000 of the memory was not worth either.
pub struct SwitchedBitmap {
    bitmap: AtomicBitmap,
    /// Whether somebody wants to know.
    on: AtomicBool,
}

impl SwitchedBitmap {
    /// A bitmap over `byte_size` bytes in pages of `page_size` bytes, which is off.
    ///
    /// It asks for a fence as [`AtomicBitmap::new`] does.
    pub fn new(byte_size: usize, page_size: NonZeroUsize) -> Self {
        Self::from(AtomicBitmap::new(byte_size, page_size))
    }

    /// Clears the bitmap and turns it on. Every write that is not visible to the caller when this has returned
    /// will be marked; so copy all of the memory after it.
    ///
    /// It is one call for a migration: for the bitmaps of many regions there is [`start_all`](Self::start_all).
    /// If the bitmap is on, it starts anew.
    ///
    /// # Errors
    ///
    /// That of the fence; the bitmap is off then. Marks are recorded nevertheless from now on, as where there is no fence, so that
    /// after [`AtomicBitmap::settle`] it can be started without one.
    pub fn start(&self) -> Result<(), FenceError> {
        Self::start_all([self])
    }

    /// Starts many bitmaps, by one call of the fence.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start); all are off then.
    pub fn start_all<'a, I>(bitmaps: I) -> Result<(), FenceError>
    where
        I: IntoIterator<Item = &'a Self, IntoIter: Clone>,
    {
        let bitmaps = bitmaps.into_iter();
        for one in bitmaps.clone() {
            one.on.store(false, Ordering::Relaxed);
            // What the bits were about is copied with all the rest. The fence below is for these, too.
            one.bitmap.bits().take(&mut Taken::default());
            one.bitmap.discipline().turn_on();
        }
        Discipline::fence_all(bitmaps.clone().map(|one| one.bitmap.discipline()))?;
        bitmaps.for_each(|one| one.on.store(true, Ordering::Release));
        Ok(())
    }

    /// Turns the bitmap off: writes that come after this need not be marked. Bits that are set stay for a last
    /// harvest, and go when it is started again.
    pub fn stop(&self) {
        self.on.store(false, Ordering::Relaxed);
        self.bitmap.discipline().turn_off();
    }

    /// Whether it was started, and not stopped since.
    pub fn is_on(&self) -> bool {
        self.on.load(Ordering::Acquire)
    }

    /// The bitmap that is switched: to harvest, to merge, to look.
    ///
    /// It shows what is recorded, be that wanted or not. What is marked through it, and not through the switch, is recorded always.
    pub fn bitmap(&self) -> &AtomicBitmap {
        &self.bitmap
    }
}

impl From<AtomicBitmap> for SwitchedBitmap {
    /// A switch for this bitmap, which is off.
    fn from(bitmap: AtomicBitmap) -> Self {
        bitmap.discipline().turn_off();
        Self { bitmap, on: AtomicBool::new(false) }
    }
}

impl<'a> WithBitmapSlice<'a> for SwitchedBitmap {
    type S = RefSlice<'a, Self>;
}

impl Bitmap for SwitchedBitmap {
    #[inline(always)]
    fn mark_dirty(&self, offset: usize, len: usize) {
        // After the bytes that the mark is about, and before the look.
        Fence::light();
        if !self.bitmap.discipline().is_off() {
            self.bitmap.set_addr_range(offset, len);
        }
    }

    /// Never while it is off.
    #[inline]
    fn dirty_at(&self, offset: usize) -> bool {
        self.is_on() && self.bitmap.dirty_at(offset)
    }

    #[inline]
    fn slice_at(&self, offset: usize) -> RefSlice<'_, Self> {
        RefSlice::new(self, offset)
    }

    /// None of the bytes while it is off.
    fn dirty_bytes(&self, offset: usize, len: usize) -> Option<usize> {
        if self.is_on() { self.bitmap.dirty_bytes(offset, len) } else { Some(0) }
    }
}

impl Default for SwitchedBitmap {
    /// A bitmap over nothing.
    fn default() -> Self {
        Self::new(0, DEFAULT_PAGE_SIZE)
    }
}

impl NewBitmap for SwitchedBitmap {
    /// A bitmap over `len` bytes in pages of [`DEFAULT_PAGE_SIZE`], which is off.
    fn with_len(len: usize) -> Self {
        Self::new(len, DEFAULT_PAGE_SIZE)
    }
}

impl fmt::Debug for SwitchedBitmap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SwitchedBitmap")
            .field("on", &self.is_on())
            .field("bitmap", &self.bitmap)
            .finish()
    }
}
