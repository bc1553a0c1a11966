//! Taking the bits as a transaction.

use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use crate::bitmap::AtomicBitmap;
use crate::discipline::Discipline;
use crate::error::{Overrun, TakeError};
use crate::masks::{BITS, Ones, count};
use crate::runs::Runs;
use crate::taken::Taken;

/// Bits that were taken out of a bitmap and are not yet given up: the pages to copy.
///
/// While it lives, the bits are here and not in the bitmap, which meanwhile collects new ones.
/// [`commit`](Self::commit) drops them, once the pages are where they should be; dropping the token
/// in any other way (an early return, a panic) puts them back, so that the next harvest names these
/// pages again.
///
/// ```
/// use guest_dirty::{AtomicBitmap, DEFAULT_PAGE_SIZE};
///
/// let bitmap = AtomicBitmap::new(0x10_0000, DEFAULT_PAGE_SIZE);
/// bitmap.set_bit(7);
///
/// fn send(_page: usize) -> Result<(), &'static str> {
///     Err("connection lost")
/// }
/// let round = || {
///     let harvest = bitmap.take().map_err(|_| "the bitmap is too short")?;
///     for page in harvest.pages() {
///         send(page)?;
///     }
///     harvest.commit();
///     Ok::<(), &'static str>(())
/// };
/// assert!(round().is_err());
/// assert!(bitmap.is_bit_set(7)); // nothing is lost
/// ```
///
/// # Invariants
///
/// `taken` has only bits that were taken from `bitmap`.
#[must_use = "a harvest that is dropped puts its bits back; `commit` it when the pages are safe"]
pub struct Harvest<'a> {
    bitmap: &'a AtomicBitmap,
    taken: Taken,
}

/// Room for the bits of a harvest: none at first, and what a harvest has left.
///
/// # Invariants
///
/// There are no bits in it.
#[derive(Default)]
pub struct HarvestBuffer(Taken);

impl fmt::Debug for HarvestBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HarvestBuffer").finish_non_exhaustive()
    }
}

impl AtomicBitmap {
    /// Takes all bits, until they are [committed](Harvest::commit) or put back.
    ///
    /// Of two harvests at the same time each bit is in one. A mark that comes meanwhile is in this
    /// harvest or in the next.
    ///
    /// Where marks are [`Checked`](crate::Marking::Checked) it calls the heavy half of the fence once, if any bit is set.
    /// [`take_all`](Self::take_all) does so once for many bitmaps.
    ///
    /// # Errors
    ///
    /// [`Overrun`](TakeError::Overrun) if pages past the end were marked: what this harvest would name is
    /// not all that was written. The error comes again until
    /// [`acknowledge_overrun`](Self::acknowledge_overrun). [`Unfenced`](TakeError::Unfenced) if the fence failed. The bits stay in
    /// either case.
    pub fn take(&self) -> Result<Harvest<'_>, TakeError> {
        self.take_with(HarvestBuffer::default())
    }

    /// As [`take`](Self::take), with room for the bits that another harvest has left.
    ///
    /// Fresh memory costs a page fault for each of its pages, which may cost more than the harvest. In rounds, as of a
    /// migration, one buffer serves all.
    ///
    /// # Errors
    ///
    /// As [`take`](Self::take); the buffer is gone then.
    ///
    /// ```
    /// use guest_dirty::{AtomicBitmap, DEFAULT_PAGE_SIZE, HarvestBuffer};
    ///
    /// let bitmap = AtomicBitmap::new(0x10_0000, DEFAULT_PAGE_SIZE);
    /// let mut buffer = HarvestBuffer::default();
    /// for round in 0..3 {
    ///     bitmap.set_bit(round);
    ///     let harvest = bitmap.take_with(buffer)?;
    ///     assert!(harvest.pages().eq([round]));
    ///     buffer = harvest.commit_into_buffer();
    /// }
    /// # Ok::<(), guest_dirty::TakeError>(())
    /// ```
    pub fn take_with(&self, buffer: HarvestBuffer) -> Result<Harvest<'_>, TakeError> {
        let harvest = Harvest::new(self, buffer);
        // Without a bit that was cleared, nobody's look is out of date. If it fails, the drop puts them back.
        if !harvest.is_empty() {
            self.discipline().fence()?;
        }
        Ok(harvest.unless_overrun()?)
    }

    /// Takes all bits of many bitmaps, as [`take`](Self::take) does of one, by one call of the fence.
    ///
    /// For memory of many regions, each with its bitmap.
    ///
    /// # Errors
    ///
    /// As [`take`](Self::take), if any of them fails; all bits of all bitmaps stay then.
    ///
    /// ```
    /// use guest_dirty::{AtomicBitmap, DEFAULT_PAGE_SIZE};
    ///
    /// let bitmaps = [0x1000, 0x2000].map(|len| AtomicBitmap::new(len, DEFAULT_PAGE_SIZE));
    /// bitmaps[1].set_bit(0);
    /// let harvests = AtomicBitmap::take_all(&bitmaps)?;
    /// assert_eq!(harvests.iter().map(|harvest| harvest.count()).collect::<Vec<_>>(), [0, 1]);
    /// harvests.into_iter().for_each(|harvest| harvest.commit());
    /// # Ok::<(), guest_dirty::TakeError>(())
    /// ```
    pub fn take_all<'a, I>(bitmaps: I) -> Result<Vec<Harvest<'a>>, TakeError>
    where
        I: IntoIterator<Item = &'a Self>,
    {
        let harvests: Vec<_> = bitmaps
            .into_iter()
            .map(|bitmap| Harvest::new(bitmap, HarvestBuffer::default()))
            .collect();
        let cleared = harvests.iter().filter(|harvest| !harvest.is_empty());
        Discipline::fence_all(cleared.map(|harvest| harvest.bitmap.discipline()))?;
        // At the first error the rest is dropped, and what is collected.
        harvests.into_iter().map(|harvest| Ok(harvest.unless_overrun()?)).collect()
    }

    /// As [`take`](Self::take), of a bitmap that nobody else uses meanwhile: at the speed of memory, without a locked
    /// instruction, and without a fence.
    ///
    /// # Errors
    ///
    /// An [`Overrun`], as of [`take`](Self::take).
    ///
    /// ```
    /// use guest_dirty::{AtomicBitmap, DEFAULT_PAGE_SIZE};
    ///
    /// let mut bitmap = AtomicBitmap::new(0x10_0000, DEFAULT_PAGE_SIZE);
    /// bitmap.set_bit(7);
    /// assert!(bitmap.take_mut()?.pages().eq([7])); // and dropped
    /// assert!(bitmap.is_bit_set(7));
    /// # Ok::<(), guest_dirty::Overrun>(())
    /// ```
    pub fn take_mut(&mut self) -> Result<Harvest<'_>, Overrun> {
        self.take_mut_with(HarvestBuffer::default())
    }

    /// As [`take_mut`](Self::take_mut), with room for the bits that another harvest has left.
    ///
    /// # Errors
    ///
    /// As [`take_mut`](Self::take_mut); the buffer is gone then.
    pub fn take_mut_with(&mut self, buffer: HarvestBuffer) -> Result<Harvest<'_>, Overrun> {
        let HarvestBuffer(mut taken) = buffer;
        self.bits_mut().take_alone(&mut taken);
        // INVARIANT: the bits are those of the bitmap.
        Harvest { bitmap: self, taken }.unless_overrun()
    }
}

impl<'a> Harvest<'a> {
    /// Takes all bits. What their marks were about may still be on its way.
    fn new(bitmap: &'a AtomicBitmap, buffer: HarvestBuffer) -> Self {
        // INVARIANT: there is no bit yet, and there come none but those that are taken.
        let mut harvest = Self { bitmap, taken: buffer.0 };
        bitmap.bits().take(&mut harvest.taken);
        harvest
    }

    /// The harvest, unless it is not all that was marked.
    fn unless_overrun(self) -> Result<Self, Overrun> {
        // After the bits: a mark that overran tells so before it sets any bit. If it did, the drop puts them back.
        match self.bitmap.overrun() {
            None => Ok(self),
            Some(overrun) => Err(overrun),
        }
    }
}

impl Harvest<'_> {
    /// Drops the bits: the pages are copied, or need not be.
    pub fn commit(self) {
        self.commit_into_buffer();
    }

    /// As [`commit`](Self::commit), and keeps what the bits were in, for [another harvest](AtomicBitmap::take_with).
    pub fn commit_into_buffer(mut self) -> HarvestBuffer {
        // INVARIANT: none of the bits.
        let mut taken = core::mem::take(&mut self.taken);
        taken.clear();
        HarvestBuffer(taken)
    }

    /// The words of the bitmap that have bits, each with its number, in ascending order: bit `i` of word `w` is that of
    /// page `w * 64 + i`, set if the page is dirty.
    pub fn words(&self) -> impl Iterator<Item = (usize, u64)> + Clone {
        self.taken.iter().filter(|(_, bits)| *bits != 0)
    }

    /// All words of the bitmap, in a row: bit `i` of word `w` is that of page `w * 64 + i`, set if the page
    /// is dirty.
    ///
    /// [`merge_words`](AtomicBitmap::merge_words) takes them as they are. The row is as long as the bitmap, however few
    /// pages are dirty.
    pub fn to_words(&self) -> Vec<u64> {
        self.taken.in_a_row(self.bitmap.bits().len())
    }

    /// The dirty pages, in ascending order.
    pub fn pages(&self) -> impl Iterator<Item = usize> + Clone {
        self.taken.iter().flat_map(|(word, bits)| Ones(bits).map(move |bit| word * BITS + bit))
    }

    /// The dirty bytes, as ranges of offsets in ascending order. Adjacent pages are one range; a
    /// last page that is cut short ends with the memory.
    ///
    /// ```
    /// use guest_dirty::{AtomicBitmap, DEFAULT_PAGE_SIZE};
    ///
    /// let bitmap = AtomicBitmap::new(0x4800, DEFAULT_PAGE_SIZE);
    /// for page in [0, 1, 4] {
    ///     bitmap.set_bit(page);
    /// }
    /// let harvest = bitmap.take()?;
    /// assert!(harvest.runs().eq([0..0x2000, 0x4000..0x4800]));
    /// # harvest.commit();
    /// # Ok::<(), guest_dirty::TakeError>(())
    /// ```
    pub fn runs(&self) -> impl Iterator<Item = Range<usize>> + Clone {
        let pages = self.bitmap.pages();
        Runs::new(self.taken.iter()).map(|run| pages.bytes(&run))
    }

    /// The number of dirty pages.
    pub fn count(&self) -> usize {
        self.taken.iter().map(|(_, bits)| count(bits)).sum()
    }

    /// Whether no page is dirty.
    pub fn is_empty(&self) -> bool {
        self.taken.is_empty()
    }
}

impl Drop for Harvest<'_> {
    /// Puts the bits back, if they were not committed.
    fn drop(&mut self) {
        self.bitmap.bits().put_back(&self.taken);
    }
}

impl fmt::Debug for Harvest<'_> {
    /// Shows how many pages there are, not which.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Harvest").field("count", &self.count()).finish_non_exhaustive()
    }
}
