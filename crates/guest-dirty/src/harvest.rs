//! Taking the bits as a transaction.

use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use crate::bitmap::AtomicBitmap;
use crate::error::Overrun;
use crate::runs::Runs;

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
/// `words` has none of the bits, or as many words as the bitmap, and then only bits that were taken
/// from it.
#[must_use = "a harvest that is dropped puts its bits back; `commit` it when the pages are safe"]
pub struct Harvest<'a> {
    bitmap: &'a AtomicBitmap,
    words: Vec<u64>,
}

impl AtomicBitmap {
    /// Takes all bits, until they are [committed](Harvest::commit) or put back.
    ///
    /// Of two harvests at the same time each bit is in one. A mark that comes meanwhile is in this
    /// harvest or in the next.
    ///
    /// # Errors
    ///
    /// An [`Overrun`] if pages past the end were marked: what this harvest would name is not all
    /// that was written. The bits stay, and the error comes again until
    /// [`acknowledge_overrun`](Self::acknowledge_overrun).
    pub fn take(&self) -> Result<Harvest<'_>, Overrun> {
        // INVARIANT: the words have no bit yet, and get none but those that are taken.
        let mut harvest = Harvest { bitmap: self, words: self.bits().empty() };
        self.bits().take(&mut harvest.words);
        // After the bits: a mark that overran tells so before it sets any bit. If it did, the drop
        // puts them back.
        match self.overrun() {
            None => Ok(harvest),
            Some(overrun) => Err(overrun),
        }
    }
}

impl Harvest<'_> {
    /// Drops the bits: the pages are copied, or need not be.
    pub fn commit(mut self) {
        // INVARIANT: none of the bits.
        self.words = Vec::new();
    }

    /// All words of the bitmap: bit `i` of word `w` is that of page `w * 64 + i`, set if the page
    /// is dirty.
    ///
    /// [`merge_words`](AtomicBitmap::merge_words) takes them as they are.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// The dirty pages, in ascending order.
    pub fn pages(&self) -> impl Iterator<Item = usize> + Clone {
        Runs::new(&self.words).flatten()
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
    /// # Ok::<(), guest_dirty::Overrun>(())
    /// ```
    pub fn runs(&self) -> impl Iterator<Item = Range<usize>> + Clone {
        let pages = self.bitmap.pages();
        Runs::new(&self.words).map(|run| pages.bytes(&run))
    }

    /// The number of dirty pages.
    pub fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether no page is dirty.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }
}

impl Drop for Harvest<'_> {
    /// Puts the bits back, if they were not committed.
    fn drop(&mut self) {
        self.bitmap.bits().put_back(&self.words);
    }
}

impl fmt::Debug for Harvest<'_> {
    /// Shows how many pages there are, not which.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Harvest").field("count", &self.count()).finish_non_exhaustive()
    }
}
