//! Bits of other makers, in and out.
//!
//! The layout is that of `KVM_GET_DIRTY_LOG` (Linux, `Documentation/virt/kvm/api.rst`: "Bit 0 is
//! the first page in the memory slot"; the kernel sets bits by `set_bit_le`, so the bytes are in
//! little-endian order on every host).

use alloc::vec::Vec;

use crate::bitmap::AtomicBitmap;
use crate::error::BitmapError;
use crate::masks::BITS;

impl AtomicBitmap {
    /// Marks the pages whose bits are set in `words`: bit `i` of word `w` is that of page
    /// `first_page + w * 64 + i`.
    ///
    /// This is how a hypervisor's log gets in: the words that `KVM_GET_DIRTY_LOG` filled, with the
    /// page where the memory slot starts. One page there must be one page here. A word is a number;
    /// on a big-endian host, whose log is a little-endian one nevertheless, use
    /// [`merge_le_bytes`](Self::merge_le_bytes). Bits of words that are clear change nothing.
    ///
    /// The log is empty after it was read. If this fails, `words` is the last place that knows of
    /// these pages.
    ///
    /// # Errors
    ///
    /// [`PastEnd`](BitmapError::PastEnd) if a bit is set that belongs to no page; nothing is merged
    /// then. Words past the end without bits are welcome: logs are rounded up.
    ///
    /// ```
    /// use guest_dirty::{AtomicBitmap, BitmapError, DEFAULT_PAGE_SIZE};
    ///
    /// let bitmap = AtomicBitmap::new(0x10_0000, DEFAULT_PAGE_SIZE);
    /// bitmap.merge_words(0x10, &[0b101])?;
    /// assert!(bitmap.take().unwrap().pages().eq([0x10, 0x12]));
    ///
    /// let error = bitmap.merge_words(0x10, &[1, 1 << 63, 0, 1 << 48]).unwrap_err();
    /// assert_eq!(error, BitmapError::PastEnd { page: 0x100, pages: 0x100 });
    /// # Ok::<(), BitmapError>(())
    /// ```
    pub fn merge_words(&self, first_page: usize, words: &[u64]) -> Result<(), BitmapError> {
        self.merge(first_page, words.iter().copied())
    }

    /// As [`merge_words`](Self::merge_words), of words that came as bytes, in little-endian order:
    /// bit `i` of byte `b` is that of page `first_page + b * 8 + i`. There may be any number of
    /// bytes.
    ///
    /// # Errors
    ///
    /// As [`merge_words`](Self::merge_words).
    ///
    /// ```
    /// use guest_dirty::{AtomicBitmap, DEFAULT_PAGE_SIZE};
    ///
    /// let bitmap = AtomicBitmap::new(0x10_0000, DEFAULT_PAGE_SIZE);
    /// bitmap.merge_le_bytes(0, &[0, 0b11])?;
    /// assert!(bitmap.is_bit_set(8) && bitmap.is_bit_set(9));
    /// # Ok::<(), guest_dirty::BitmapError>(())
    /// ```
    pub fn merge_le_bytes(&self, first_page: usize, bytes: &[u8]) -> Result<(), BitmapError> {
        self.merge(first_page, bytes.chunks(size_of::<u64>()).map(word_of))
    }

    /// The bits as they are, left in their place: bit `i` of word `w` is that of page `w * 64 + i`.
    ///
    /// This is for looking, as at the hypervisor's log for comparison. Marks that come meanwhile
    /// may be in it or not.
    ///
    /// ```
    /// use guest_dirty::{AtomicBitmap, DEFAULT_PAGE_SIZE};
    ///
    /// let bitmap = AtomicBitmap::new(0x10_0000, DEFAULT_PAGE_SIZE);
    /// bitmap.set_bit(65);
    /// assert_eq!(bitmap.to_words(), [0, 0b10, 0, 0]);
    /// ```
    pub fn to_words(&self) -> Vec<u64> {
        self.bits().look()
    }

    fn merge(
        &self,
        first_page: usize,
        words: impl Iterator<Item = u64> + Clone,
    ) -> Result<(), BitmapError> {
        let pages = self.len();
        if let Some(page) = first_past_end(pages, first_page, words.clone()) {
            return Err(BitmapError::PastEnd { page, pages });
        }
        // Each foreign word lies across two of ours, unless `shift` is 0: the upper part of one
        // goes along with the lower part of the next.
        let (first_word, shift) = (first_page / BITS, first_page % BITS);
        let mut upper = 0;
        let mut word = first_word;
        for bits in words {
            self.bits().set_in(word, upper | bits << shift);
            upper = if shift == 0 { 0 } else { bits >> (BITS - shift) };
            // No overflow: a slice has less words than `usize::MAX / 8`, `first_word` is less than
            // `usize::MAX / 64`.
            word += 1;
        }
        self.bits().set_in(word, upper);
        Ok(())
    }
}

/// The first page at or past `pages` whose bit is set, if the first bit is that of `first_page`.
fn first_past_end(
    pages: usize,
    first_page: usize,
    words: impl Iterator<Item = u64>,
) -> Option<usize> {
    // So many of the bits are those of pages.
    let good = pages.saturating_sub(first_page);
    let (word, mut past) = (good / BITS, !0 << (good % BITS));
    let mut page = first_page.saturating_add(word * BITS);
    for bits in words.skip(word) {
        if bits & past != 0 {
            return Some(page.saturating_add((bits & past).trailing_zeros() as usize));
        }
        past = !0;
        page = page.saturating_add(BITS);
    }
    None
}

/// A word of at most 8 bytes; those that are not there are 0.
fn word_of(bytes: &[u8]) -> u64 {
    let mut word = [0; size_of::<u64>()];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}
