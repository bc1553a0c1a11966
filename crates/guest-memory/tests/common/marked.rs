//! Regions whose writes are written down.

#![expect(
    unsafe_code,
    reason = "a slice of memory and a bitmap of one's own are put together by hand"
)]

use std::sync::{Arc, Mutex};

use guest_memory::{GuestAddress, SliceRegion, VolatileSlice};
use guest_volatile::{Bitmap, BitmapSlice, WithBitmapSlice};

use super::pages;

/// Writes down each mark, as the offset from the start of the region and the length.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    marks: Arc<Mutex<Vec<(usize, usize)>>>,
    offset: usize,
}

impl Log {
    /// The marks since the last call.
    pub(crate) fn take(&self) -> Vec<(usize, usize)> {
        std::mem::take(&mut *self.marks.lock().expect("nobody panics with it"))
    }
}

impl WithBitmapSlice<'_> for Log {
    type S = Self;
}

impl BitmapSlice for Log {}

impl Bitmap for Log {
    fn mark_dirty(&self, offset: usize, len: usize) {
        self.marks.lock().expect("nobody panics with it").push((self.offset + offset, len));
    }

    fn dirty_at(&self, offset: usize) -> bool {
        let at = self.offset + offset;
        let marks = self.marks.lock().expect("nobody panics with it");
        marks.iter().any(|&(start, len)| (start..start + len).contains(&at))
    }

    fn slice_at(&self, offset: usize) -> Self {
        Self { marks: self.marks.clone(), offset: self.offset + offset }
    }

    fn dirty_bytes(&self, offset: usize, len: usize) -> Option<usize> {
        Some((offset..offset + len).filter(|&at| self.dirty_at(at)).count())
    }
}

/// A region of `len` bytes at `start`, and what writes down its writes.
pub(crate) fn marked(start: u64, len: usize) -> (SliceRegion<'static, Log>, Log) {
    let (bytes, log) = (pages(len), Log::default());
    // SAFETY: the bytes were borrowed exclusively for ever, and the borrow ends here; offset 0 is the first of them.
    let slice = unsafe { VolatileSlice::with_bitmap(bytes.as_mut_ptr(), len, log.clone(), None) };
    let region = SliceRegion::with_slice(GuestAddress(start), slice);
    (region.expect("not empty, and below the end"), log)
}
