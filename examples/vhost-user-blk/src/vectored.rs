//! Data between the image and guest memory: one system call a request, straight to and from the guest's buffers.
//!
//! This is the one room that knows the layers below `vm-memory`: all buffers of a request are looked up and checked, then
//! `preadv(2)` or `pwritev(2)` moves the bytes, whatever descriptors and regions they lie in.

use guest_memory::{GatherSlices as _, GuestMemoryError, Permissions};
use guest_volatile::{
    BS, BitmapSlice, Error as VolatileError, ReadVolatileAt, VolatileSlice, WriteVolatileAt,
};

use crate::image::Image;
use crate::marks::Marks;
use crate::memory::{Memory, Range};

/// Moves data of one map. It keeps its list of buffers from request to request, so that none allocates.
pub(crate) struct Transfer<'m> {
    memory: &'m Memory,
    list: Vec<VolatileSlice<'m, BS<'m, Marks>>>,
    /// Borders of regions that ranges lay across.
    crossings: u64,
}

impl<'m> Transfer<'m> {
    pub(crate) fn new(memory: &'m Memory) -> Self {
        Self { memory, list: Vec::new(), crossings: 0 }
    }

    pub(crate) fn memory(&self) -> &'m Memory {
        self.memory
    }

    /// How many borders of regions lay within ranges until now.
    pub(crate) fn crossings(&self) -> u64 {
        self.crossings
    }

    /// Fills the ranges, one after the other, from a place of the image.
    ///
    /// # Errors
    ///
    /// If some range is not there, before anything is moved; if the image ends or fails. What was moved is marked.
    pub(crate) fn fill(
        &mut self,
        image: &Image,
        ranges: &[Range],
        offset: u64,
    ) -> Result<(), GuestMemoryError> {
        self.gather(ranges, Permissions::Write)?;
        Ok(image.read_exact_vectored_volatile_at(&mut self.list, offset)?)
    }

    /// Empties the ranges, one after the other, into a place of the image.
    ///
    /// # Errors
    ///
    /// As [`fill`](Self::fill).
    pub(crate) fn empty(
        &mut self,
        image: &Image,
        ranges: &[Range],
        offset: u64,
    ) -> Result<(), GuestMemoryError> {
        self.gather(ranges, Permissions::Read)?;
        Ok(image.write_all_vectored_volatile_at(&mut self.list, offset)?)
    }

    /// Looks all ranges up. There is a slice for each, or one for each region that it lies in; none of them is empty.
    fn gather(&mut self, ranges: &[Range], access: Permissions) -> Result<(), GuestMemoryError> {
        self.list.clear();
        self.memory.gather_slices(ranges.iter().copied(), access, &mut self.list)?;
        self.crossings += self.list.len().saturating_sub(ranges.len()) as u64;
        Ok(())
    }
}

// The image hands on to its file, and counts.

impl ReadVolatileAt for Image {
    fn read_volatile_at<B: BitmapSlice>(
        &self,
        buf: &VolatileSlice<'_, B>,
        offset: u64,
    ) -> Result<usize, VolatileError> {
        self.count_call();
        self.file.read_volatile_at(buf, offset)
    }

    fn read_vectored_volatile_at<B: BitmapSlice>(
        &self,
        bufs: &[VolatileSlice<'_, B>],
        offset: u64,
    ) -> Result<usize, VolatileError> {
        self.count_call();
        self.file.read_vectored_volatile_at(bufs, offset)
    }
}

impl WriteVolatileAt for Image {
    fn write_volatile_at<B: BitmapSlice>(
        &self,
        buf: &VolatileSlice<'_, B>,
        offset: u64,
    ) -> Result<usize, VolatileError> {
        self.count_call();
        self.file.write_volatile_at(buf, offset)
    }

    fn write_vectored_volatile_at<B: BitmapSlice>(
        &self,
        bufs: &[VolatileSlice<'_, B>],
        offset: u64,
    ) -> Result<usize, VolatileError> {
        self.count_call();
        self.file.write_vectored_volatile_at(bufs, offset)
    }
}
