//! A bitmap that records only while somebody wants to know.

use core::fmt;
use core::num::NonZeroUsize;
use std::sync::OnceLock;

use guest_volatile::{Bitmap, Fence, FenceError, NewBitmap, WithBitmapSlice};

use crate::bitmap::{AtomicBitmap, DEFAULT_PAGE_SIZE};
use crate::discipline::Discipline;
use crate::slice::RefSlice;
use crate::sync::{AtomicBool, Ordering};
use crate::taken::Taken;

/// A dirty bitmap that is off, until a migration or a snapshot [starts](Self::start) it.
///
/// While it is off, a mark is a load and a branch (two of each after it was on once), and nothing is dirty. It is for memory that is tracked
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
/// The bits (one for each page, and a 64th of that for their summary: 2 MiB for 64 GiB in pages of 4 KiB) are allocated when the bitmap is
/// first started, or asked for by [`bitmap`](Self::bitmap), and stay for the next time. Where there is no fence they are there from
/// the beginning, as marks are recorded.
///
/// Bits that are not there yet are one more way to be off: a writer who finds none looked before `start` called the heavy half, since `start`
/// put them there before. A writer who finds them finds them clear and off, as they were made.
pub struct SwitchedBitmap {
    /// None as long as nobody wanted it; then nothing is marked.
    bitmap: OnceLock<AtomicBitmap>,
    /// How it is to be made.
    byte_size: usize,
    page_size: NonZeroUsize,
    /// None only where the bitmap is made already.
    fence: Option<Fence>,
    /// Whether somebody wants to know.
    on: AtomicBool,
}

impl SwitchedBitmap {
    /// A bitmap over `byte_size` bytes in pages of `page_size` bytes, which is off.
    ///
    /// It asks for a fence as [`AtomicBitmap::new`] does, and has no memory for bits yet if there is one.
    pub fn new(byte_size: usize, page_size: NonZeroUsize) -> Self {
        match Fence::register() {
            Ok(fence) => Self {
                bitmap: OnceLock::new(),
                byte_size,
                page_size,
                fence: Some(fence),
                on: AtomicBool::new(false),
            },
            Err(_) => Self::from(AtomicBitmap::new_strict(byte_size, page_size)),
        }
    }

    /// Clears the bitmap and turns it on. Every write that is not visible to the caller when this has returned
    /// will be marked; so copy all of the memory after it.
    ///
    /// The first time it allocates the bits, too. It is one call for a migration: for the bitmaps of many regions there is [`start_all`](Self::start_all).
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
            let bitmap = one.bitmap();
            // What the bits were about is copied with all the rest. The fence below is for these, too.
            bitmap.bits().take(&mut Taken::default());
            bitmap.discipline().turn_on();
        }
        Discipline::fence_all(bitmaps.clone().map(|one| one.bitmap().discipline()))?;
        bitmaps.for_each(|one| one.on.store(true, Ordering::Release));
        Ok(())
    }

    /// Turns the bitmap off: writes that come after this need not be marked. Bits that are set stay for a last
    /// harvest, and go when it is started again.
    pub fn stop(&self) {
        self.on.store(false, Ordering::Relaxed);
        if let Some(bitmap) = self.bitmap.get() {
            bitmap.discipline().turn_off();
        }
    }

    /// Whether it was started, and not stopped since.
    pub fn is_on(&self) -> bool {
        self.on.load(Ordering::Acquire)
    }

    /// The bitmap that is switched: to harvest, to merge, to look. If nobody wanted it before, its bits are allocated.
    ///
    /// It shows what is recorded, be that wanted or not. What is marked through it, and not through the switch, is recorded always.
    pub fn bitmap(&self) -> &AtomicBitmap {
        self.bitmap.get_or_init(|| match self.fence {
            Some(fence) => AtomicBitmap::new_off(self.byte_size, self.page_size, fence),
            None => AtomicBitmap::new_strict(self.byte_size, self.page_size),
        })
    }

    /// The bitmap, while somebody wants to know.
    fn wanted(&self) -> Option<&AtomicBitmap> {
        self.bitmap.get().filter(|_| self.is_on())
    }
}

impl From<AtomicBitmap> for SwitchedBitmap {
    /// A switch for this bitmap, which is off.
    fn from(bitmap: AtomicBitmap) -> Self {
        bitmap.discipline().turn_off();
        Self {
            byte_size: bitmap.byte_size(),
            page_size: bitmap.page_size(),
            bitmap: OnceLock::from(bitmap),
            fence: None,
            on: AtomicBool::new(false),
        }
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
        if let Some(bitmap) = self.bitmap.get()
            && !bitmap.discipline().is_off()
        {
            bitmap.set_addr_range(offset, len);
        }
    }

    /// Never while it is off.
    #[inline]
    fn dirty_at(&self, offset: usize) -> bool {
        self.wanted().is_some_and(|bitmap| bitmap.dirty_at(offset))
    }

    #[inline]
    fn slice_at(&self, offset: usize) -> RefSlice<'_, Self> {
        RefSlice::new(self, offset)
    }

    /// None of the bytes while it is off.
    fn dirty_bytes(&self, offset: usize, len: usize) -> Option<usize> {
        self.wanted().map_or(Some(0), |bitmap| bitmap.dirty_bytes(offset, len))
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
    /// Shows the bitmap if its bits are there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SwitchedBitmap")
            .field("on", &self.is_on())
            .field("bitmap", &self.bitmap.get())
            .finish()
    }
}
