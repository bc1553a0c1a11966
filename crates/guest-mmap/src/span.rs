//! Guest addresses whose memory is in one piece in this process too.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use guest_address::{Address, GuestAddress, GuestRange};

use crate::error::{Error, Result};
use crate::pages::page_size;
use crate::reserved::{Lent, Reserved};

/// The sizes of huge pages, for which a span is placed as the guest has it: its memory can be of these pages then.
const HUGE_PAGES: [usize; 2] = [1 << 30, 2 << 20];

/// A range of guest addresses for which as many addresses of this process are reserved.
///
/// Memory that is mapped in a span lies there as it lies in the guest: regions that are neighbours in the guest are
/// neighbours here, and a map gives a buffer over their border as one slice, to be copied at once and passed in one system
/// call. The span is made for as much as there may ever be, boot memory and what will be plugged in later:
///
/// ```
/// use std::sync::Arc;
/// use guest_memory::{Bytes, GuestAddress, GuestMemory, GuestRange};
/// use guest_mmap::{GuestMemoryMmap, GuestSpan};
///
/// let span = GuestSpan::new(GuestRange::new(GuestAddress(0), 1 << 40).unwrap())?; // up to 1 TiB
/// let boot = span.map_region(GuestAddress(0), 64 << 20, None)?;
/// let memory: GuestMemoryMmap = GuestMemoryMmap::from_regions(vec![boot])?;
///
/// // Later:
/// let plugged = span.map_region(GuestAddress(64 << 20), 64 << 20, None)?;
/// let memory = memory.insert_region(Arc::new(plugged))?;
/// let buffer = memory.get_slice(GuestAddress((64 << 20) - 0x1000), 0x2000)?; // over the border
/// assert_eq!(buffer.len(), 0x2000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # What it takes
///
/// Addresses, and no memory: what is reserved is mapped without access, so it counts for the limit of a process's addresses
/// (`RLIMIT_AS`), and for that of locked ones after `mlockall(2)`, not for what the system commits. It is placed so that a
/// guest address at a multiple of 2 MiB is one here, and of 1 GiB likewise, if the span is as long; for that it takes as many
/// addresses more, if there are so many.
///
/// To map a region is one system call, as outside of a span; two, if it is of a file or of other flags than the default. Huge
/// pages can be moved into a span since Linux 5.16.
///
/// Regions that have a dirty bitmap each are not joined, since a write over a border must be marked in both. Views of one
/// bitmap at their offsets, such as `guest_dirty::ArcSlice`, are.
///
/// # When memory goes
///
/// A region's range goes back to the span when the region does: after the last map, slice or guard that has it. It is without
/// access then, in one step, so that no mapping of another thread can come between, and may be mapped anew. The addresses
/// go when the span and all of its regions have. A copy of a span is the same span.
#[derive(Clone)]
pub struct GuestSpan {
    reserved: Arc<Reserved>,
    range: GuestRange,
    /// The address of the first page.
    start: GuestAddress,
    page_size: usize,
}

impl GuestSpan {
    /// Reserves addresses for `range`, rounded to whole pages.
    ///
    /// # Errors
    ///
    /// [`TooBig`](crate::MmapRegionError::TooBig) if a process cannot have as many addresses;
    /// [`Mmap`](crate::MmapRegionError::Mmap) if this one cannot.
    pub fn new(range: GuestRange) -> Result<Self> {
        let page_size = page_size();
        let start = GuestAddress(range.start().0 & !(page_size as u64 - 1));
        // Neither can overflow: the start is no higher than the last address.
        let past_the_start = usize::try_from(range.last().0 - start.0).unwrap_or(usize::MAX);
        let len =
            past_the_start.checked_add(1).and_then(|len| len.checked_next_multiple_of(page_size));
        let len = len.and_then(NonZeroUsize::new).filter(|len| isize::try_from(len.get()).is_ok());
        let len = len.ok_or(Error::TooBig { size: past_the_start })?;
        // The cast takes the low bits, which are all that alignment asks for.
        let phase = start.0 as usize;
        let aligns = HUGE_PAGES.into_iter().filter(|align| *align <= len.get()).chain([page_size]);
        let mut refused = None;
        for align in aligns.filter_map(NonZeroUsize::new) {
            match Reserved::new(len, align, phase & (align.get() - 1)) {
                Ok(reserved) => return Ok(Self { reserved, range, start, page_size }),
                // There may still be room for less.
                Err(error) => refused = Some(error),
            }
        }
        Err(refused.map_or(Error::TooBig { size: len.get() }, Error::Mmap))
    }

    /// The guest addresses.
    pub fn range(&self) -> GuestRange {
        self.range
    }

    /// Lends the pages of `len` bytes at `addr`, which is a multiple of `page`.
    pub(crate) fn lend(&self, addr: GuestAddress, len: usize, page: usize) -> Result<Lent> {
        let page = page.max(self.page_size);
        if !addr.0.is_multiple_of(page as u64) {
            return Err(Error::UnalignedInSpan { addr, page_size: page });
        }
        let pages = len.checked_next_multiple_of(page).and_then(NonZeroUsize::new);
        let pages = pages.ok_or(Error::TooBig { size: len })?;
        let offset = addr.checked_offset_from(self.start).and_then(|at| usize::try_from(at).ok());
        let outside = || Error::OutsideSpan { addr, size: len };
        let offset = offset.ok_or_else(outside)?;
        if !self.reserved.holds(offset, pages) {
            return Err(outside());
        }
        // Huge pages that are larger than what the span is placed by: to find out by a move that fails would lose the place.
        if !self.reserved.is_aligned(offset, page) {
            return Err(Error::UnalignedInSpan { addr, page_size: page });
        }
        self.reserved.lend(offset, pages).ok_or(Error::SpanInUse { addr, size: len })
    }
}

impl fmt::Debug for GuestSpan {
    /// Shows the guest addresses and what is lent, never a host address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuestSpan")
            .field("range", &self.range)
            .field("reserved", &self.reserved)
            .finish()
    }
}
