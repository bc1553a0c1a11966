//! Sources and sinks of bytes that guest memory is filled from and emptied into.

#[cfg(feature = "alloc")]
use alloc::vec::Vec;

use crate::bitmap::BitmapSlice;
use crate::error::Result;
use crate::slice::{VolatileSlice, complete};

/// A source of bytes that can put them straight into volatile memory.
///
/// As [`std::io::Read`], but the target is memory that the guest may change meanwhile, so it is no `&mut [u8]`.
pub trait ReadVolatile {
    /// Reads once into the start of `buf`, and returns how many bytes that gave. They are marked dirty.
    ///
    /// Fewer than `buf` holds are no error; none at all means the end of the source, or an empty `buf`. An error with
    /// [`is_interrupted`](crate::Error::is_interrupted) may be tried again, and is not tried again here.
    ///
    /// # Errors
    ///
    /// Those of the source, and [`NotWritable`](crate::Error::NotWritable).
    ///
    /// ```
    /// use guest_volatile::{ReadVolatile, VolatileSlice};
    /// # let mut ram = [0u8; 4];
    /// let mut memory = VolatileSlice::from(&mut ram[..]);
    /// let mut source = &b"abcdef"[..];
    /// assert_eq!(source.read_volatile(&mut memory)?, 4);
    /// assert_eq!(source, b"ef");
    /// # Ok::<(), guest_volatile::Error>(())
    /// ```
    fn read_volatile<B: BitmapSlice>(&mut self, buf: &mut VolatileSlice<'_, B>) -> Result<usize>;

    /// Reads until `buf` is full, over short reads and interruptions.
    ///
    /// # Errors
    ///
    /// [`PartialBuffer`](crate::Error::PartialBuffer) at the end of the source, with the number of bytes read; the
    /// source's own, with that number too if it is not 0.
    ///
    /// ```
    /// use guest_volatile::{Error, ReadVolatile, VolatileSlice};
    /// # let mut ram = [0u8; 4];
    /// let mut memory = VolatileSlice::from(&mut ram[..]);
    /// let result = (&b"abc"[..]).read_exact_volatile(&mut memory);
    /// assert!(matches!(result, Err(Error::PartialBuffer { expected: 4, completed: 3 })));
    /// ```
    fn read_exact_volatile<B: BitmapSlice>(
        &mut self,
        buf: &mut VolatileSlice<'_, B>,
    ) -> Result<()> {
        all_of(buf, |mut rest| self.read_volatile(&mut rest))
    }
}

/// A sink of bytes that can take them straight from volatile memory.
///
/// As [`std::io::Write`], but the source is memory that the guest may change meanwhile, so it is no `&[u8]`.
pub trait WriteVolatile {
    /// Writes once from the start of `buf`, and returns how many bytes that took.
    ///
    /// Fewer than `buf` holds are no error; none at all means that the sink is full, or `buf` empty. An error with
    /// [`is_interrupted`](crate::Error::is_interrupted) may be tried again, and is not tried again here.
    ///
    /// # Errors
    ///
    /// Those of the sink.
    ///
    /// ```
    /// use guest_volatile::{VolatileSlice, WriteVolatile};
    /// let mut ram = *b"abcdef";
    /// let mut sink = Vec::new();
    /// assert_eq!(sink.write_volatile(&VolatileSlice::from(&mut ram[..]))?, 6);
    /// assert_eq!(sink, b"abcdef");
    /// # Ok::<(), guest_volatile::Error>(())
    /// ```
    fn write_volatile<B: BitmapSlice>(&mut self, buf: &VolatileSlice<'_, B>) -> Result<usize>;

    /// Writes all of `buf`, over short writes and interruptions. Each byte of it is read once.
    ///
    /// # Errors
    ///
    /// [`PartialBuffer`](crate::Error::PartialBuffer) if the sink takes no more, with the number of bytes taken; the
    /// sink's own, with that number too if it is not 0.
    ///
    /// ```
    /// use guest_volatile::{Error, VolatileSlice, WriteVolatile};
    /// let mut ram = *b"abcdef";
    /// let mut room = [0u8; 4];
    /// let result = (&mut room[..]).write_all_volatile(&VolatileSlice::from(&mut ram[..]));
    /// assert!(matches!(result, Err(Error::PartialBuffer { expected: 6, completed: 4 })));
    /// ```
    fn write_all_volatile<B: BitmapSlice>(&mut self, buf: &VolatileSlice<'_, B>) -> Result<()> {
        all_of(buf, |rest| self.write_volatile(&rest))
    }
}

/// Calls `transfer` on what is left of `buf` until nothing is, over short transfers and interruptions.
fn all_of<'a, B: BitmapSlice>(
    buf: &VolatileSlice<'a, B>,
    mut transfer: impl FnMut(VolatileSlice<'a, B>) -> Result<usize>,
) -> Result<()> {
    let mut completed = 0;
    while completed < buf.len() {
        match retry(|| transfer(buf.offset(completed)?)) {
            Ok(0) => break,
            // A stream may lie about its count; nothing here relies on it.
            Ok(count) => completed += count.min(buf.len() - completed),
            Err(error) => return Err(error.after(completed, buf.len() - completed)),
        }
    }
    complete(buf.len(), completed)
}

/// Calls `transfer` until it is not interrupted.
fn retry(mut transfer: impl FnMut() -> Result<usize>) -> Result<usize> {
    loop {
        match transfer() {
            Err(error) if error.is_interrupted() => {}
            result => return result,
        }
    }
}

impl<B: BitmapSlice> VolatileSlice<'_, B> {
    /// Reads once from `src` into the bytes from `offset` on, `count` or as many as there are, and returns how
    /// many that gave: 0 if there are none to fill, or no more in `src`. They are marked dirty. An interrupted read is
    /// tried again.
    ///
    /// # Errors
    ///
    /// [`OutOfBounds`](crate::Error::OutOfBounds) if `offset` is past the end and `count` is not 0, and those of
    /// [`ReadVolatile::read_volatile`].
    pub fn read_volatile_from<F: ReadVolatile>(
        &self,
        offset: usize,
        src: &mut F,
        count: usize,
    ) -> Result<usize> {
        let target = self.rest(offset, count)?;
        if target.is_empty() {
            return Ok(0);
        }
        // A slice of its own for each call: a source may move the one it gets along as it fills it.
        let count = retry(|| src.read_volatile(&mut target.clone()))?;
        // A source may lie about its count.
        Ok(count.min(target.len()))
    }

    /// Reads `count` bytes from `src` into the bytes from `offset` on, and marks them dirty.
    ///
    /// # Errors
    ///
    /// As [`subslice`](Self::subslice), and those of [`ReadVolatile::read_exact_volatile`].
    pub fn read_exact_volatile_from<F: ReadVolatile>(
        &self,
        offset: usize,
        src: &mut F,
        count: usize,
    ) -> Result<()> {
        if count == 0 {
            return Ok(());
        }
        let target = self.subslice(offset, count)?;
        all_of(&target, |mut rest| src.read_volatile(&mut rest))
    }

    /// Writes once to `dst` from the bytes from `offset` on, `count` or as many as there are, and returns how
    /// many that took: 0 if there are none, or `dst` is full. An interrupted write is tried again.
    ///
    /// # Errors
    ///
    /// [`OutOfBounds`](crate::Error::OutOfBounds) if `offset` is past the end and `count` is not 0, and those of
    /// [`WriteVolatile::write_volatile`].
    pub fn write_volatile_to<F: WriteVolatile>(
        &self,
        offset: usize,
        dst: &mut F,
        count: usize,
    ) -> Result<usize> {
        let source = self.rest(offset, count)?;
        if source.is_empty() {
            return Ok(0);
        }
        let count = retry(|| dst.write_volatile(&source))?;
        Ok(count.min(source.len()))
    }

    /// The bytes from `offset` on, `count` or as many as there are: none at the end.
    fn rest(&self, offset: usize, count: usize) -> Result<Self> {
        if offset == self.len() {
            return self.subslice(offset, 0);
        }
        self.up_to(offset, count)
    }

    /// Writes `count` bytes to `dst` from the bytes from `offset` on.
    ///
    /// # Errors
    ///
    /// As [`subslice`](Self::subslice), and those of [`WriteVolatile::write_all_volatile`].
    pub fn write_all_volatile_to<F: WriteVolatile>(
        &self,
        offset: usize,
        dst: &mut F,
        count: usize,
    ) -> Result<()> {
        if count == 0 {
            return Ok(());
        }
        let source = self.subslice(offset, count)?;
        all_of(&source, |rest| dst.write_volatile(&rest))
    }
}

impl ReadVolatile for &[u8] {
    fn read_volatile<B: BitmapSlice>(&mut self, buf: &mut VolatileSlice<'_, B>) -> Result<usize> {
        let count = buf.len().min(self.len());
        let (now, later) = self.split_at(count);
        buf.write_slice(now, 0)?;
        *self = later;
        Ok(count)
    }
}

impl WriteVolatile for &mut [u8] {
    fn write_volatile<B: BitmapSlice>(&mut self, buf: &VolatileSlice<'_, B>) -> Result<usize> {
        let count = buf.len().min(self.len());
        let (now, later) = core::mem::take(self).split_at_mut(count);
        *self = later;
        buf.read_slice(now, 0)?;
        Ok(count)
    }
}

#[cfg(feature = "alloc")]
impl WriteVolatile for Vec<u8> {
    fn write_volatile<B: BitmapSlice>(&mut self, buf: &VolatileSlice<'_, B>) -> Result<usize> {
        let start = self.len();
        self.resize(start + buf.len(), 0);
        buf.read(&mut self[start..], 0)
    }
}

#[cfg(feature = "std")]
impl<T: AsRef<[u8]>> ReadVolatile for std::io::Cursor<T> {
    fn read_volatile<B: BitmapSlice>(&mut self, buf: &mut VolatileSlice<'_, B>) -> Result<usize> {
        let all = self.get_ref().as_ref();
        // A position past the end is the end.
        let start =
            usize::try_from(self.position()).map_or(all.len(), |start| start.min(all.len()));
        let count = (&all[start..]).read_volatile(buf)?;
        self.set_position(self.position() + count as u64);
        Ok(count)
    }
}

#[cfg(feature = "std")]
impl WriteVolatile for std::io::Cursor<&mut [u8]> {
    fn write_volatile<B: BitmapSlice>(&mut self, buf: &VolatileSlice<'_, B>) -> Result<usize> {
        let position = self.position();
        let all = &mut **self.get_mut();
        let start = usize::try_from(position).map_or(all.len(), |start| start.min(all.len()));
        let count = (&mut all[start..]).write_volatile(buf)?;
        self.set_position(position + count as u64);
        Ok(count)
    }
}
