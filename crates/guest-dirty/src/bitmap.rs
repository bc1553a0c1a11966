//! The bitmap: a bit for each page, set by whoever writes it.

use core::fmt;
use core::num::NonZeroUsize;

use guest_volatile::{Fence, NewBitmap};

use crate::discipline::{Discipline, Marking};
use crate::error::{BitmapError, Overrun};
use crate::pages::Pages;
use crate::past_end::PastEnd;
use crate::words::Words;

/// The size of a page where nobody says another: 4 KiB.
///
/// It is a constant, not the page size of the host, because a bitmap that travels (to a file, to another host) should mean the same there. It is the
/// page of KVM's dirty log on x86. A log counts in pages of the host: where these are larger, as on
/// some arm64 hosts, give their size to [`AtomicBitmap::new`].
pub const DEFAULT_PAGE_SIZE: NonZeroUsize = NonZeroUsize::new(0x1000).expect("4 KiB is not 0");

/// A dirty bitmap that any number of threads mark and harvest at the same time.
///
/// Offsets are in bytes from the start of the memory that the bitmap is about, pages are counted
/// from there. A length that is no multiple of the page size is rounded up: the last page is a
/// whole one to marks and questions, and cut to the length in the [runs of a
/// harvest](crate::Harvest::runs).
///
/// A set bit tells you that somebody wrote to the page since it was last taken, or may have. A
/// clear one tells you that nobody who marks did.
///
/// Marks past the end never panic, in no build: a guard marks when it is dropped, where a panic
/// would abort, and in some machines a guest has a say in the offset. They set what lies inside,
/// and leave an [`Overrun`] behind, which [`take`](Self::take) returns as an error.
///
/// # Invariants
///
/// `bits` are those of `pages`, no more and no fewer, and `discipline` lets marks look at joined offsets only where `pages` can be looked at.
pub struct AtomicBitmap {
    pages: Pages,
    bits: Words,
    past_end: PastEnd,
    discipline: Discipline,
}

impl AtomicBitmap {
    /// A clean bitmap over `byte_size` bytes in pages of `page_size` bytes, which may be any
    /// number.
    ///
    /// Its marks are [`Checked`](Marking::Checked) if a [`Fence`] is to be had, which is asked for here by a system call, and
    /// [`Strict`](Marking::Strict) if not.
    ///
    /// ```
    /// use guest_dirty::{AtomicBitmap, DEFAULT_PAGE_SIZE};
    /// assert_eq!(AtomicBitmap::new(0x1801, DEFAULT_PAGE_SIZE).len(), 2);
    /// ```
    pub fn new(byte_size: usize, page_size: NonZeroUsize) -> Self {
        Self::with_discipline(byte_size, page_size, Discipline::best)
    }

    /// As [`new`](Self::new), with marks that are [`Strict`](Marking::Strict) on every machine: no system call is made here,
    /// or for a harvest.
    ///
    /// For programs that may not call `membarrier(2)`, for threads that nobody may interrupt, and for memory that
    /// is written by marks of the bitmap more rarely than it is harvested.
    ///
    /// ```
    /// use guest_dirty::{AtomicBitmap, DEFAULT_PAGE_SIZE, Marking};
    ///
    /// let bitmap = AtomicBitmap::new_strict(0x10_0000, DEFAULT_PAGE_SIZE);
    /// assert_eq!(bitmap.marking(), Marking::Strict);
    /// ```
    pub fn new_strict(byte_size: usize, page_size: NonZeroUsize) -> Self {
        Self::with_discipline(byte_size, page_size, Discipline::strict)
    }

    /// As [`new`](Self::new), with no marks until its discipline turns them on. They look first then.
    pub(crate) fn new_off(byte_size: usize, page_size: NonZeroUsize, fence: Fence) -> Self {
        Self::with_discipline(byte_size, page_size, |joined| Discipline::off(joined, fence))
    }

    fn with_discipline(
        byte_size: usize,
        page_size: NonZeroUsize,
        discipline: impl FnOnce(bool) -> Discipline,
    ) -> Self {
        let pages = Pages::new(byte_size, page_size);
        let discipline = discipline(pages.can_be_looked_at());
        let bits = Words::new(pages.count());
        // INVARIANT: bits for that many pages.
        Self { pages, bits, past_end: PastEnd::default(), discipline }
    }

    /// Makes the bitmap longer by `additional_size` bytes, and keeps its bits.
    ///
    /// The new length is the sum of the bytes, and then rounded up: bytes that fit into what was
    /// missing from the last page add no page, and if that page was dirty, they are dirty too.
    ///
    /// # Errors
    ///
    /// [`Overflow`](BitmapError::Overflow) and [`OutOfMemory`](BitmapError::OutOfMemory); the
    /// bitmap is as it was then.
    ///
    /// ```
    /// use guest_dirty::{AtomicBitmap, DEFAULT_PAGE_SIZE};
    ///
    /// let mut bitmap = AtomicBitmap::new(0x1800, DEFAULT_PAGE_SIZE);
    /// bitmap.set_bit(1);
    /// bitmap.enlarge(0x1800)?;
    /// assert_eq!((bitmap.byte_size(), bitmap.len()), (0x3000, 3));
    /// assert!(bitmap.is_bit_set(1) && !bitmap.is_bit_set(2));
    /// # Ok::<(), guest_dirty::BitmapError>(())
    /// ```
    pub fn enlarge(&mut self, additional_size: usize) -> Result<(), BitmapError> {
        let Some(pages) = self.pages.enlarged(additional_size) else {
            let byte_size = self.byte_size();
            return Err(BitmapError::Overflow { byte_size, additional: additional_size });
        };
        let count = pages.count();
        self.bits.enlarge(count).map_err(|_| BitmapError::OutOfMemory { pages: count })?;
        // INVARIANT: there are bits for that many pages now.
        self.pages = pages;
        self.discipline.rejoin(pages.can_be_looked_at());
        Ok(())
    }

    /// Whether page `index` is dirty. A page past the end is not.
    #[inline]
    pub fn is_bit_set(&self, index: usize) -> bool {
        self.bits.is_set(index)
    }

    /// Whether the page of the byte at `addr` is dirty. A page past the end is not.
    #[inline]
    pub fn is_addr_set(&self, addr: usize) -> bool {
        self.is_bit_set(self.pages.page_of(addr))
    }

    /// The number of pages.
    #[expect(
        clippy::len_without_is_empty,
        reason = "`is_empty` would be taken for \"nothing is dirty\""
    )]
    pub fn len(&self) -> usize {
        self.pages.count()
    }

    /// The number of bytes that the bitmap is about, as asked for: not rounded.
    pub fn byte_size(&self) -> usize {
        self.pages.byte_size()
    }

    /// The size of a page in bytes.
    pub fn page_size(&self) -> NonZeroUsize {
        self.pages.page_size()
    }

    /// How marks are set now.
    ///
    /// It turns from [`Checked`](Marking::Checked) to [`Strict`](Marking::Strict), for good, when a fence fails.
    pub fn marking(&self) -> Marking {
        self.discipline.marking()
    }

    /// Whether a fence failed, and no later one and no [`settle`](Self::settle) has made up for it: until then a harvest
    /// calls the fence again, and is refused if it fails again.
    pub fn is_unsettled(&self) -> bool {
        self.discipline.is_unsettled()
    }

    /// Takes the caller's word that all writers have been stopped, or met, since a fence failed, so that harvests go on
    /// without one.
    ///
    /// What is asked for is that each thread that marks has done something that orders it before this call (released a lock
    /// that the caller took, answered a message, ended), after a harvest returned [`Unfenced`](crate::TakeError::Unfenced).
    /// To pause the devices and let them go on is enough. If it is not so, a page may be lost; nothing worse happens.
    ///
    /// Where nothing is unsettled, this does nothing.
    pub fn settle(&self) {
        self.discipline.settle();
    }

    /// Tells of marks past the end, if there were any since the last
    /// [`acknowledge_overrun`](Self::acknowledge_overrun).
    pub fn overrun(&self) -> Option<Overrun> {
        self.past_end().get()
    }

    /// Tells of marks past the end, and forgets them, so that [`take`](Self::take) works again.
    ///
    /// Acknowledge first, and then make up for what was lost, for example by copying all of the
    /// memory: what is marked past the end from now on is reported anew.
    ///
    /// ```
    /// use guest_dirty::{AtomicBitmap, DEFAULT_PAGE_SIZE, TakeError};
    ///
    /// let bitmap = AtomicBitmap::new(0x3000, DEFAULT_PAGE_SIZE);
    /// bitmap.set_bit(3);
    /// if let Err(TakeError::Overrun(overrun)) = bitmap.take() {
    ///     assert_eq!(overrun.end, 0x4000);
    ///     assert_eq!(bitmap.acknowledge_overrun(), Some(overrun));
    ///     bitmap.set_addr_range(0, bitmap.byte_size()); // copy all of it, to be safe
    /// }
    /// assert_eq!(bitmap.take()?.count(), 3);
    /// # Ok::<(), guest_dirty::TakeError>(())
    /// ```
    pub fn acknowledge_overrun(&self) -> Option<Overrun> {
        self.past_end().take()
    }

    /// The bits, for the rooms that mark, harvest and merge.
    #[inline(always)]
    pub(crate) fn bits(&self) -> &Words {
        &self.bits
    }

    /// The bits, of a bitmap that nobody else uses meanwhile: what marks left to a fence is in memory.
    pub(crate) fn bits_mut(&mut self) -> &mut Words {
        self.discipline.settle();
        &mut self.bits
    }

    /// What marks and harvests owe each other, likewise.
    #[inline(always)]
    pub(crate) fn discipline(&self) -> &Discipline {
        &self.discipline
    }

    /// The pages, likewise.
    #[inline(always)]
    pub(crate) fn pages(&self) -> &Pages {
        &self.pages
    }

    /// The marks past the end, for the room that marks.
    pub(crate) fn past_end(&self) -> &PastEnd {
        &self.past_end
    }
}

impl Default for AtomicBitmap {
    /// A bitmap over nothing, to be enlarged.
    fn default() -> Self {
        Self::new(0, DEFAULT_PAGE_SIZE)
    }
}

impl NewBitmap for AtomicBitmap {
    /// A clean bitmap over `len` bytes in pages of [`DEFAULT_PAGE_SIZE`].
    fn with_len(len: usize) -> Self {
        Self::new(len, DEFAULT_PAGE_SIZE)
    }
}

impl Clone for AtomicBitmap {
    /// A bitmap of its own with the same bits, and the same overrun. Bits that change meanwhile may
    /// be in it or not.
    fn clone(&self) -> Self {
        // The bits first: whose copy has a bit of a mark that overran, has the overrun.
        let bits = self.bits.clone();
        let past_end = self.past_end.clone();
        // INVARIANT: the same pages, and bits for them.
        Self { pages: self.pages, bits, past_end, discipline: self.discipline.anew() }
    }
}

impl fmt::Debug for AtomicBitmap {
    /// Shows the shape and how many pages are dirty, not which.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dirty = self.pages.all().map_or(0, |all| self.bits.count(all));
        f.debug_struct("AtomicBitmap")
            .field("byte_size", &format_args!("{:#x}", self.byte_size()))
            .field("page_size", &format_args!("{:#x}", self.page_size()))
            .field("pages", &self.len())
            .field("dirty", &dirty)
            .field("overrun", &self.overrun())
            .finish()
    }
}
