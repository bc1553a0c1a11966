//! Data between the image and guest memory by what the published `vm-memory` has: a seek, and a system call a descriptor.
//!
//! It is here to be measured against. A model to copy is the other room, `vectored`.

use std::io::{Seek as _, SeekFrom};

use vm_memory::bitmap::BitmapSlice;
use vm_memory::{
    Bytes as _, GuestMemoryError, ReadVolatile, VolatileMemoryError, VolatileSlice, WriteVolatile,
};

use crate::image::Image;
use crate::memory::{Memory, Range};

/// Moves data of one map.
pub(crate) struct Transfer<'m> {
    memory: &'m Memory,
}

impl<'m> Transfer<'m> {
    pub(crate) fn new(memory: &'m Memory) -> Self {
        Self { memory }
    }

    pub(crate) fn memory(&self) -> &'m Memory {
        self.memory
    }

    /// The published crate walks regions unseen.
    pub(crate) fn crossings(&self) -> u64 {
        0
    }

    /// Fills the ranges, one after the other, from a place of the image.
    ///
    /// # Errors
    ///
    /// If some range is not there; if the image ends or fails. What was moved is marked.
    pub(crate) fn fill(
        &mut self,
        image: &Image,
        ranges: &[Range],
        offset: u64,
    ) -> Result<(), GuestMemoryError> {
        seek(image, offset)?;
        for (addr, len) in ranges {
            self.memory.read_exact_volatile_from(*addr, &mut Counted(image), *len)?;
        }
        Ok(())
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
        seek(image, offset)?;
        for (addr, len) in ranges {
            self.memory.write_all_volatile_to(*addr, &mut Counted(image), *len)?;
        }
        Ok(())
    }
}

fn seek(image: &Image, offset: u64) -> Result<(), GuestMemoryError> {
    image.count_call();
    (&image.file).seek(SeekFrom::Start(offset)).map_err(GuestMemoryError::IOError)?;
    Ok(())
}

/// The image from its position on, with its calls counted.
struct Counted<'a>(&'a Image);

impl ReadVolatile for Counted<'_> {
    fn read_volatile<B: BitmapSlice>(
        &mut self,
        buf: &mut VolatileSlice<'_, B>,
    ) -> Result<usize, VolatileMemoryError> {
        self.0.count_call();
        (&self.0.file).read_volatile(buf)
    }
}

impl WriteVolatile for Counted<'_> {
    fn write_volatile<B: BitmapSlice>(
        &mut self,
        buf: &VolatileSlice<'_, B>,
    ) -> Result<usize, VolatileMemoryError> {
        self.0.count_call();
        (&self.0.file).write_volatile(buf)
    }
}
