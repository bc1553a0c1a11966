//! Bytes on the heap that start at a page, for as long as a region wants them.

use std::sync::{Mutex, PoisonError};

use guest_volatile::VolatileSlice;

/// The alignment of what is given out: that of a mapping.
const PAGE: usize = 0x1000;

/// What was given back. Memory that was once lent to a slice for ever cannot go back to the allocator by safe code, so it goes
/// to the next who wants some.
static FREE: Mutex<Vec<VolatileSlice<'static>>> = Mutex::new(Vec::new());

/// Zeroed bytes that start at a page. Nobody else has them.
#[derive(Debug)]
pub(crate) struct Pages {
    /// All that was allocated: whole pages.
    all: VolatileSlice<'static>,
    len: usize,
}

impl Pages {
    /// `len` bytes of zero.
    pub(crate) fn new(len: usize) -> Self {
        let size = len.next_multiple_of(PAGE).max(PAGE);
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        // One of just this size: a large one is not spent on a small region.
        let place = free.iter().position(|slice| slice.len() == size);
        let all = match place.map(|place| free.swap_remove(place)) {
            Some(used) => {
                used.copy_from(&vec![0_u8; size]);
                used
            }
            None => fresh(size),
        };
        Self { all, len }
    }

    /// The bytes, for as long as they are not given back.
    pub(crate) fn slice(&self) -> VolatileSlice<'_> {
        // It cannot fail: the length was rounded up.
        self.all.subslice(0, self.len).unwrap_or(self.all)
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // Every slice that was made of them borrowed `self`, so none is left.
        FREE.lock().unwrap_or_else(PoisonError::into_inner).push(self.all);
    }
}

fn fresh(size: usize) -> VolatileSlice<'static> {
    let bytes = vec![0_u8; size + PAGE].leak();
    let start = bytes.as_ptr().align_offset(PAGE);
    VolatileSlice::from(&mut bytes[start..start + size])
}
