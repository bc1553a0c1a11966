//! Dirty marks that go into the log of a front-end which migrates its guest.
//!
//! Every write to guest memory is marked by `vm-memory`, through the bitmap of the region; this is that bitmap. As long as no
//! front-end has sent a log it does nothing. Used rings need no care of their own: they are written through the same
//! regions, and QEMU logs them at their place in guest memory.
//!
//! Why not `BitmapMmapRegion` of vhost-user-backend: it takes a lock for each mark, counts pages from the start of a region, which is
//! wrong for one that does not start at a page, never ends logging, and gives memory that comes later no log.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use vhost_user_backend::bitmap::{AtomicBitmapMmap, BitmapReplace, MemRegionBitmap, MmapLogReg};
use vm_memory::bitmap::{Bitmap, BitmapSlice, WithBitmapSlice};
use vm_memory::mmap::NewBitmap;
use vm_memory::{Address as _, GuestMemoryRegion};

/// The bytes of guest memory that a bit of the log is for, whatever the page size of the host.
const PAGE: u64 = 0x1000;

/// Whether marks are thrown away. It is one for the process, since nothing else reaches the place where a log is made.
static LOST: AtomicBool = AtomicBool::new(false);

/// Pages that were clean until they were marked.
static MARKED: AtomicU64 = AtomicU64::new(0);

/// How many pages were clean in a log until they were marked, and forgets them.
pub(crate) fn take_count() -> u64 {
    MARKED.swap(0, Ordering::Relaxed)
}

/// Throws away every mark from now on: the negative control of a test of migration.
pub(crate) fn lose_all() {
    LOST.store(true, Ordering::Relaxed);
}

/// The bitmap of one region, clones of which are the same bitmap.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks {
    log: Arc<ArcSwapOption<Log>>,
}

impl Marks {
    /// The log that the region's writes go to.
    pub(crate) fn log(&self) -> Option<Arc<MmapLogReg>> {
        self.log.load().as_ref().map(|log| Arc::clone(&log.bits))
    }

    /// Ends logging.
    pub(crate) fn forget(&self) {
        self.log.store(None);
    }
}

/// A region's part of a log.
#[derive(Debug)]
pub(crate) struct Log {
    bits: Arc<MmapLogReg>,
    /// Where the region starts, and its last byte; the log has a bit for each page in between.
    start: u64,
    last: u64,
}

impl Log {
    /// Sets the bits of the pages that `len` bytes from `offset` on in the region touch.
    ///
    /// Why not look first, and leave a bit alone that is set: the front-end may take the bit and copy the page between our look
    /// and the moment when it can see what we wrote; only a locked operation comes after our write for sure.
    fn mark(&self, offset: usize, len: usize) {
        let Some(beyond) = len.checked_sub(1) else { return };
        let first = self.start.saturating_add(offset as u64).min(self.last);
        let last = first.saturating_add(beyond as u64).min(self.last);
        let (mut page, last) = (first / PAGE, last / PAGE);
        while page <= last {
            // As many pages as there are in this byte.
            let until = (page | 7).min(last);
            let mask = (0xff_u8 << (page % 8)) & (0xff >> (7 - until % 8));
            let clean = mask & !self.byte(page).fetch_or(mask, Ordering::Release);
            if clean != 0 {
                MARKED.fetch_add(u64::from(clean.count_ones()), Ordering::Relaxed);
            }
            page = until + 1;
        }
    }

    fn is_marked(&self, offset: usize) -> bool {
        let page = self.start.saturating_add(offset as u64).min(self.last) / PAGE;
        self.byte(page).load(Ordering::Relaxed) & (1 << (page % 8)) != 0
    }

    /// Checks that the front-end's file is as long as it says: to set a bit behind its end would be a SIGBUS. Nothing
    /// helps against a front-end that cuts the file later, since the back-end crate has it.
    fn check_file(&self) -> io::Result<()> {
        let last: *const AtomicU8 = self.byte(self.last / PAGE);
        // The system looks, and says instead of raising a signal.
        let looked = File::open("/proc/self/mem")?.read_exact_at(&mut [0], last as u64);
        looked
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the log's file is too short"))
    }

    /// The byte with the bit of a page of the region.
    fn byte(&self, page: u64) -> &AtomicU8 {
        // A log of the whole region is in the process's memory, so this is no more than a `usize`.
        &self.bits[(page / 8) as usize]
    }
}

impl MemRegionBitmap for Log {
    fn new<R: GuestMemoryRegion>(region: &R, bits: Arc<MmapLogReg>) -> io::Result<Self> {
        // The length of a log is known in its crate alone; this one fails unless the log has a bit for the region's last page.
        AtomicBitmapMmap::new(region, Arc::clone(&bits))?;
        let (start, last) = (region.start_addr().raw_value(), region.last_addr().raw_value());
        let log = Self { bits, start, last };
        log.check_file()?;
        Ok(log)
    }
}

impl BitmapReplace for Marks {
    type InnerBitmap = Log;

    fn replace(&self, log: Log) {
        self.log.store((!LOST.load(Ordering::Relaxed)).then(|| Arc::new(log)));
    }
}

impl NewBitmap for Marks {
    fn with_len(_: usize) -> Self {
        Self::default()
    }
}

/// What `Marks` shows from an offset on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MarksFrom<'a> {
    marks: &'a Marks,
    offset: usize,
}

impl<'a> WithBitmapSlice<'a> for Marks {
    type S = MarksFrom<'a>;
}

impl Bitmap for Marks {
    fn mark_dirty(&self, offset: usize, len: usize) {
        self.slice_at(offset).mark_dirty(0, len);
    }

    fn dirty_at(&self, offset: usize) -> bool {
        self.slice_at(offset).dirty_at(0)
    }

    fn slice_at(&self, offset: usize) -> MarksFrom<'_> {
        MarksFrom { marks: self, offset }
    }
}

impl WithBitmapSlice<'_> for MarksFrom<'_> {
    type S = Self;
}

impl BitmapSlice for MarksFrom<'_> {}

impl Bitmap for MarksFrom<'_> {
    #[inline]
    fn mark_dirty(&self, offset: usize, len: usize) {
        if let Some(log) = &*self.marks.log.load() {
            log.mark(self.offset.saturating_add(offset), len);
        }
    }

    fn dirty_at(&self, offset: usize) -> bool {
        let log = self.marks.log.load();
        log.as_ref().is_some_and(|log| log.is_marked(self.offset.saturating_add(offset)))
    }

    #[inline]
    fn slice_at(&self, offset: usize) -> Self {
        Self { marks: self.marks, offset: self.offset.saturating_add(offset) }
    }
}
