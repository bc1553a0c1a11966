//! A piece of volatile memory, and runs of bytes to and from it.

#![expect(unsafe_code, reason = "copies bytes through pointers that `def` has checked")]

mod def;

pub(crate) use def::{Extent, out_of_reach};
pub use def::{MmapInfo, VolatileSlice};

use crate::access;
use crate::bitmap::BitmapSlice;
use crate::error::{Error, Fault, Result};

impl<'a, B: BitmapSlice> VolatileSlice<'a, B> {
    /// Splits the slice into the first `mid` bytes and the rest.
    ///
    /// # Errors
    ///
    /// [`OutOfBounds`](Error::OutOfBounds) if `mid` is more than the length.
    pub fn split_at(&self, mid: usize) -> Result<(Self, Self)> {
        Ok((self.subslice(0, mid)?, self.offset(mid)?))
    }

    /// The bytes from `count` on to the end.
    ///
    /// # Errors
    ///
    /// [`OutOfBounds`](Error::OutOfBounds) if `count` is more than the length.
    pub fn offset(&self, count: usize) -> Result<VolatileSlice<'a, B>> {
        match self.len().checked_sub(count) {
            Some(rest) => self.subslice(count, rest),
            None => Err(Error::OutOfBounds { addr: count }),
        }
    }

    /// The bytes from `offset` on, `count` or as many as there are.
    ///
    /// # Errors
    ///
    /// [`OutOfBounds`](Error::OutOfBounds) if there is none at `offset` and `count` is not 0.
    #[inline]
    pub(crate) fn up_to(&self, offset: usize, count: usize) -> Result<Self> {
        let rest = self.len().saturating_sub(offset);
        if rest == 0 && count != 0 {
            return Err(Error::OutOfBounds { addr: offset });
        }
        // Nothing, asked for at any offset, is the nothing at the start.
        self.subslice(if count == 0 { 0 } else { offset }, count.min(rest))
    }

    /// Reads bytes from `offset` on into `buf`, as many as there are, and returns their number.
    ///
    /// Each byte is read once. 1, 2, 4 or 8 bytes are read by one load, if the host addresses of both
    /// sides are aligned to that number.
    ///
    /// # Errors
    ///
    /// [`OutOfBounds`](Error::OutOfBounds) if there is no byte at `offset`, and `buf` is not empty;
    /// [`Faulted`](Error::Faulted) if the first byte cannot be reached.
    #[inline]
    pub fn read(&self, buf: &mut [u8], offset: usize) -> Result<usize> {
        let from = self.up_to(offset, buf.len())?;
        match from.fill_buffer(buf) {
            Err(error) => error.or_part(offset),
            all => all,
        }
    }

    /// Writes bytes of `buf` from `offset` on, as many as there is room for, and returns their number.
    ///
    /// Each byte is written once; then exactly these bytes are marked dirty. 1, 2, 4 or 8 bytes are
    /// written by one store, if the host addresses of both sides are aligned to that number.
    ///
    /// # Errors
    ///
    /// [`OutOfBounds`](Error::OutOfBounds) if there is no byte at `offset`, and `buf` is not empty;
    /// [`NotWritable`](Error::NotWritable) if the slice is read-only; [`Faulted`](Error::Faulted) if the first byte cannot be
    /// reached.
    #[inline]
    pub fn write(&self, buf: &[u8], offset: usize) -> Result<usize> {
        let to = self.up_to(offset, buf.len())?;
        match to.take_buffer(buf) {
            Err(error) => error.or_part(offset),
            all => all,
        }
    }

    /// Reads `buf.len()` bytes from `offset` on.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read), and [`PartialBuffer`](Error::PartialBuffer) if there are fewer bytes:
    /// those that are there have been read. So have those before the one that [`Faulted`](Error::Faulted).
    #[inline]
    pub fn read_slice(&self, buf: &mut [u8], offset: usize) -> Result<()> {
        if let Some(src) = self.readable(offset, buf.len()) {
            // SAFETY: `readable` gave the address of `buf.len()` valid bytes. The target is an exclusive borrow,
            // so by the meaning of valid it does not overlap them.
            return match unsafe { access::copy(buf.as_mut_ptr(), src, buf.len()) } {
                Ok(()) => Ok(()),
                Err(fault) => Err(fault.at(offset)),
            };
        }
        self.clone().read_slice_in_part(buf, offset)
    }

    /// Writes all of `buf` from `offset` on.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write), and [`PartialBuffer`](Error::PartialBuffer) if there is less room:
    /// as much as fits has been written. [`write_whole`](Self::write_whole) writes nothing then. What lies before a byte that
    /// [`Faulted`](Error::Faulted) has been written, too.
    #[inline]
    pub fn write_slice(&self, buf: &[u8], offset: usize) -> Result<()> {
        if let Some(dst) = self.writable(offset, buf.len()) {
            // SAFETY: `writable` gave the address of `buf.len()` valid bytes. The source is a shared borrow,
            // so by the meaning of valid it does not overlap them.
            return match unsafe { access::copy(dst, buf.as_ptr(), buf.len()) } {
                Ok(()) => {
                    self.bitmap().mark_dirty(offset, buf.len());
                    Ok(())
                }
                Err(fault) => Err(self.clone().faulted(offset, buf.len(), fault)),
            };
        }
        self.clone().write_slice_in_part(buf, offset)
    }

    /// The error of a write of `count` bytes at `offset` that faulted, when all of them are marked.
    ///
    /// All, and not what was completed: an access that faults is begun again, and the second time it may come less far, if somebody takes
    /// away memory in between. What the first time wrote beyond that may have other mappings.
    #[cold]
    #[inline(never)]
    pub(crate) fn faulted(self, offset: usize, count: usize, fault: Fault) -> Error {
        self.bitmap().mark_dirty(offset, count);
        fault.at(offset)
    }

    // By value, like all that is off the common path: what is lent must lie in memory, a copy stays in registers.

    #[cold]
    #[inline(never)]
    fn read_slice_in_part(self, buf: &mut [u8], offset: usize) -> Result<()> {
        let from = self.up_to(offset, buf.len())?;
        match from.fill_buffer(buf) {
            Ok(completed) => complete(buf.len(), completed),
            Err(error) => Err(error.further(offset)),
        }
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn write_slice_in_part(self, buf: &[u8], offset: usize) -> Result<()> {
        let to = self.up_to(offset, buf.len())?;
        match to.take_buffer(buf) {
            Ok(completed) => complete(buf.len(), completed),
            Err(error) => Err(error.further(offset)),
        }
    }

    /// Writes all of `buf` from `offset` on, or nothing.
    ///
    /// # Errors
    ///
    /// As [`subslice`](Self::subslice), and [`NotWritable`](Error::NotWritable); no byte has been
    /// touched then.
    pub fn write_whole(&self, buf: &[u8], offset: usize) -> Result<()> {
        if buf.is_empty() {
            return Ok(());
        }
        let to = self.subslice(offset, buf.len())?;
        to.take_buffer(buf).map(drop).map_err(|error| error.further(offset))
    }

    /// Copies as many bytes as both slices hold to the start of `slice`, as `memmove(3)` does: the
    /// two may overlap.
    ///
    /// What was written is marked in the bitmap of `slice`. A read-only `slice` takes nothing, and one that faults not all;
    /// [`try_copy_to_volatile_slice`](Self::try_copy_to_volatile_slice) says so.
    pub fn copy_to_volatile_slice<S: BitmapSlice>(&self, slice: VolatileSlice<'_, S>) {
        let _ = self.try_copy_to_volatile_slice(slice);
    }

    /// As [`copy_to_volatile_slice`](Self::copy_to_volatile_slice), with an answer: the number of bytes.
    ///
    /// # Errors
    ///
    /// [`NotWritable`](Error::NotWritable) if `slice` is read-only; [`Faulted`](Error::Faulted) if the memory cannot be reached, with
    /// the offset in this slice where it was to be read, in `slice` where it was to be written.
    ///
    /// ```
    /// use guest_volatile::VolatileSlice;
    /// let (mut low, mut high) = (*b"abcd", [0u8; 3]);
    /// let (low, high) = (VolatileSlice::from(&mut low[..]), VolatileSlice::from(&mut high[..]));
    /// assert_eq!(low.try_copy_to_volatile_slice(high)?, 3);
    /// assert!(low.try_copy_to_volatile_slice(high.read_only()).is_err());
    /// # Ok::<(), guest_volatile::Error>(())
    /// ```
    #[expect(clippy::needless_pass_by_value, reason = "the published shape; a slice is a view")]
    pub fn try_copy_to_volatile_slice<S: BitmapSlice>(
        &self,
        slice: VolatileSlice<'_, S>,
    ) -> Result<usize> {
        let count = self.len().min(slice.len());
        if count == 0 {
            return Ok(0);
        }
        let src = self.readable(0, count).ok_or(Error::NotReadable)?;
        let dst = slice.writable(0, count).ok_or(Error::NotWritable)?;
        // SAFETY: `count` bytes are valid at both, by `readable` and `writable`.
        match unsafe { access::copy_overlapping(dst, src, count) } {
            Ok(()) => {
                slice.bitmap().mark_dirty(0, count);
                Ok(count)
            }
            Err(fault) if access::goes_downwards(dst, src, count) => {
                let completed = fault.completed();
                // No overflow: fewer than all were done.
                let left = count - completed;
                // All, as where it goes upwards.
                slice.bitmap().mark_dirty(0, count);
                Err(Error::Faulted { addr: left - 1, completed, access: fault.access() })
            }
            Err(fault) => Err(slice.clone().faulted(0, count, fault)),
        }
    }

    /// Reads the whole slice into the start of `buf`, which is not shorter.
    #[inline]
    fn fill_buffer(&self, buf: &mut [u8]) -> Result<usize> {
        let count = self.len().min(buf.len());
        let src = self.readable(0, count).ok_or(Error::NotReadable)?;
        // SAFETY: `readable` gave the address of `count` valid bytes; `buf` is an exclusive borrow of at least as many,
        // which by the meaning of valid does not overlap them.
        match unsafe { access::copy(buf.as_mut_ptr(), src, count) } {
            Ok(()) => Ok(count),
            Err(fault) => Err(fault.at(0)),
        }
    }

    /// Writes the whole slice from the start of `buf`, which is not shorter, and marks it.
    #[inline]
    fn take_buffer(&self, buf: &[u8]) -> Result<usize> {
        let count = self.len().min(buf.len());
        if count == 0 {
            return Ok(0);
        }
        let dst = self.writable(0, count).ok_or(Error::NotWritable)?;
        // SAFETY: `writable` gave the address of `count` valid bytes; `buf` is a shared borrow of at least as many,
        // which by the meaning of valid does not overlap them.
        match unsafe { access::copy(dst, buf.as_ptr(), count) } {
            Ok(()) => {
                self.bitmap().mark_dirty(0, count);
                Ok(count)
            }
            Err(fault) => Err(self.clone().faulted(0, count, fault)),
        }
    }
}

/// `Ok` if all `expected` bytes were moved.
#[inline]
pub(crate) fn complete(expected: usize, completed: usize) -> Result<()> {
    if completed == expected { Ok(()) } else { Err(Error::PartialBuffer { expected, completed }) }
}
