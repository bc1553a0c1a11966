//! A bitmap that tells the trace which access wrote.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use guest_memory::GuestAddress;
use guest_volatile::{Bitmap, BitmapSlice, WithBitmapSlice};

use crate::probe::{Probe, Ticket};

/// Which bytes of a region were written, each for itself, and by which access.
pub struct Recorder {
    probe: Probe,
    start: GuestAddress,
    marks: Box<[AtomicBool]>,
}

/// A view of a [`Recorder`], as a slice has it: it knows which access the slice was given for.
#[derive(Clone, Copy)]
pub struct RecorderSlice<'a> {
    recorder: &'a Recorder,
    offset: usize,
    ticket: Option<Ticket>,
}

impl Recorder {
    pub(crate) fn new(probe: Probe, start: GuestAddress, len: usize) -> Self {
        let marks = (0..len).map(|_| AtomicBool::new(false)).collect();
        Self { probe, start, marks }
    }

    /// The view of the slice at `offset` that is given for an access.
    pub(crate) fn view(&self, offset: usize, ticket: Ticket) -> RecorderSlice<'_> {
        RecorderSlice { recorder: self, offset, ticket: Some(ticket) }
    }

    pub(crate) fn probe(&self) -> &Probe {
        &self.probe
    }
}

impl<'a> WithBitmapSlice<'a> for Recorder {
    type S = RecorderSlice<'a>;
}

impl Bitmap for Recorder {
    /// Marks bytes in the region. One past its end is a mistake of whoever marks.
    ///
    /// # Panics
    ///
    /// If a byte is past the end.
    fn mark_dirty(&self, offset: usize, len: usize) {
        let end = offset.checked_add(len).filter(|&end| end <= self.marks.len());
        let end = end.expect("a mark is of bytes of the region");
        for mark in &self.marks[offset..end] {
            mark.store(true, Ordering::Release);
        }
    }

    fn dirty_at(&self, offset: usize) -> bool {
        self.marks.get(offset).is_some_and(|mark| mark.load(Ordering::Acquire))
    }

    fn slice_at(&self, offset: usize) -> RecorderSlice<'_> {
        RecorderSlice { recorder: self, offset, ticket: None }
    }

    fn dirty_bytes(&self, offset: usize, len: usize) -> Option<usize> {
        let end = offset.saturating_add(len).min(self.marks.len());
        Some((offset..end).filter(|&at| self.dirty_at(at)).count())
    }
}

impl WithBitmapSlice<'_> for RecorderSlice<'_> {
    type S = Self;
}

impl BitmapSlice for RecorderSlice<'_> {}

impl Bitmap for RecorderSlice<'_> {
    fn mark_dirty(&self, offset: usize, len: usize) {
        let offset = self.offset + offset;
        self.recorder.mark_dirty(offset, len);
        if let Some(ticket) = self.ticket
            && len > 0
        {
            let addr = GuestAddress(self.recorder.start.0 + offset as u64);
            self.recorder.probe.written(ticket, addr, len);
        }
    }

    fn dirty_at(&self, offset: usize) -> bool {
        self.recorder.dirty_at(self.offset + offset)
    }

    fn slice_at(&self, offset: usize) -> Self {
        Self { offset: self.offset + offset, ..*self }
    }

    fn dirty_bytes(&self, offset: usize, len: usize) -> Option<usize> {
        self.recorder.dirty_bytes(self.offset + offset, len)
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dirty = self.dirty_bytes(0, self.marks.len());
        f.debug_struct("Recorder").field("start", &self.start).field("dirty", &dirty).finish()
    }
}

impl fmt::Debug for RecorderSlice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecorderSlice").field("offset", &self.offset).finish()
    }
}
