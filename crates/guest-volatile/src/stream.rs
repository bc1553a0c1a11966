//! Sources and sinks of bytes that guest memory is filled from and emptied into.

#[cfg(feature = "alloc")]
use alloc::vec::Vec;

use crate::bitmap::BitmapSlice;
use crate::error::Result;
use crate::list;
use crate::slice::VolatileSlice;

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
        self.read_exact_vectored_volatile(&mut [buf.clone()])
    }

    /// Reads into the slices of `bufs`, one after the other as if they were one, and returns how many bytes that gave.
    /// They are marked dirty.
    ///
    /// A source that can reads all of them by one call: a file descriptor by one `readv(2)`. By default it is one call of
    /// [`read_volatile`](Self::read_volatile) a slice, up to the first short one. Either way no byte is skipped.
    ///
    /// # Errors
    ///
    /// As [`read_volatile`](Self::read_volatile), with the number of bytes read if it is not 0.
    ///
    /// ```
    /// use guest_volatile::{ReadVolatile, VolatileSlice};
    /// let (mut low, mut high) = ([0u8; 2], [0u8; 4]);
    /// let list = [VolatileSlice::from(&mut low[..]), VolatileSlice::from(&mut high[..])];
    /// assert_eq!((&b"abcde"[..]).read_vectored_volatile(&list)?, 5);
    /// assert_eq!((low, high), (*b"ab", *b"cde\0"));
    /// # Ok::<(), guest_volatile::Error>(())
    /// ```
    fn read_vectored_volatile<B: BitmapSlice>(
        &mut self,
        bufs: &[VolatileSlice<'_, B>],
    ) -> Result<usize> {
        // A slice of its own for each call: a source may move the one it gets along as it fills it.
        list::one_by_one(bufs, |buf, _| self.read_volatile(&mut buf.clone()))
    }

    /// Reads until the slices of `bufs` are full, over short reads and interruptions. What the list holds afterwards is not
    /// said: it is moved along as it is filled.
    ///
    /// # Errors
    ///
    /// As [`read_exact_volatile`](Self::read_exact_volatile).
    ///
    /// ```
    /// use guest_volatile::{ReadVolatile, VolatileSlice};
    /// let (mut low, mut high) = ([0u8; 2], [0u8; 4]);
    /// let mut list = [VolatileSlice::from(&mut low[..]), VolatileSlice::from(&mut high[..])];
    /// assert!((&b"abcde"[..]).read_exact_vectored_volatile(&mut list).is_err()); // 5 of 6
    /// ```
    #[inline]
    fn read_exact_vectored_volatile<B: BitmapSlice>(
        &mut self,
        bufs: &mut [VolatileSlice<'_, B>],
    ) -> Result<()> {
        let at_once = if self.is_read_vectored() { usize::MAX } else { 1 };
        list::all_of(bufs, |rest, _| self.read_vectored_volatile(&rest[..rest.len().min(at_once)]))
    }

    /// Whether [`read_vectored_volatile`](Self::read_vectored_volatile) is one call for all slices.
    ///
    /// As `std::io::Read::is_read_vectored`. Who implements that method says so here. Of others
    /// [`read_exact_vectored_volatile`](Self::read_exact_vectored_volatile) fills one slice after the other, and so sees
    /// that a source has ended even where that falls on the border of two slices.
    ///
    /// ```
    /// use guest_volatile::ReadVolatile;
    /// assert!(!(&b"abc"[..]).is_read_vectored());
    /// ```
    fn is_read_vectored(&self) -> bool {
        false
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
        self.write_all_vectored_volatile(&mut [buf.clone()])
    }

    /// Writes from the slices of `bufs`, one after the other as if they were one, and returns how many bytes that took.
    ///
    /// A sink that can takes all of them by one call: a file descriptor by one `writev(2)`. By default it is one call of
    /// [`write_volatile`](Self::write_volatile) a slice, up to the first short one.
    ///
    /// # Errors
    ///
    /// As [`write_volatile`](Self::write_volatile), with the number of bytes taken if it is not 0.
    ///
    /// ```
    /// use guest_volatile::{VolatileSlice, WriteVolatile};
    /// let (mut low, mut high) = (*b"ab", *b"cde");
    /// let list = [VolatileSlice::from(&mut low[..]), VolatileSlice::from(&mut high[..])];
    /// let mut sink = Vec::new();
    /// assert_eq!(sink.write_vectored_volatile(&list)?, 5);
    /// assert_eq!(sink, b"abcde");
    /// # Ok::<(), guest_volatile::Error>(())
    /// ```
    fn write_vectored_volatile<B: BitmapSlice>(
        &mut self,
        bufs: &[VolatileSlice<'_, B>],
    ) -> Result<usize> {
        list::one_by_one(bufs, |buf, _| self.write_volatile(buf))
    }

    /// Writes all of the slices of `bufs`, over short writes and interruptions. Each byte of them is read once. What the
    /// list holds afterwards is not said: it is moved along as it is emptied.
    ///
    /// # Errors
    ///
    /// As [`write_all_volatile`](Self::write_all_volatile).
    ///
    /// ```
    /// use guest_volatile::{Error, VolatileSlice, WriteVolatile};
    /// let (mut low, mut high) = (*b"ab", *b"cde");
    /// let mut list = [VolatileSlice::from(&mut low[..]), VolatileSlice::from(&mut high[..])];
    /// let mut room = [0u8; 4];
    /// let result = (&mut room[..]).write_all_vectored_volatile(&mut list);
    /// assert!(matches!(result, Err(Error::PartialBuffer { expected: 5, completed: 4 })));
    /// ```
    #[inline]
    fn write_all_vectored_volatile<B: BitmapSlice>(
        &mut self,
        bufs: &mut [VolatileSlice<'_, B>],
    ) -> Result<()> {
        let at_once = if self.is_write_vectored() { usize::MAX } else { 1 };
        list::all_of(bufs, |rest, _| self.write_vectored_volatile(&rest[..rest.len().min(at_once)]))
    }

    /// Whether [`write_vectored_volatile`](Self::write_vectored_volatile) is one call for all slices.
    ///
    /// As `std::io::Write::is_write_vectored`. Who implements that method says so here.
    ///
    /// ```
    /// use guest_volatile::WriteVolatile;
    /// assert!(!Vec::new().is_write_vectored());
    /// ```
    fn is_write_vectored(&self) -> bool {
        false
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
        let count = list::retry(|| src.read_volatile(&mut target.clone()))
            .map_err(|error| error.further(offset))?;
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
        src.read_exact_vectored_volatile(&mut [self.subslice(offset, count)?])
            .map_err(|error| error.further(offset))
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
        let count =
            list::retry(|| dst.write_volatile(&source)).map_err(|error| error.further(offset))?;
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
        dst.write_all_vectored_volatile(&mut [self.subslice(offset, count)?])
            .map_err(|error| error.further(offset))
    }
}

impl ReadVolatile for &[u8] {
    fn read_volatile<B: BitmapSlice>(&mut self, buf: &mut VolatileSlice<'_, B>) -> Result<usize> {
        let count = buf.len().min(self.len());
        // Short where the memory faults: what follows is not taken from the source.
        let count = buf.write(&self[..count], 0)?;
        *self = &self[count..];
        Ok(count)
    }
}

impl WriteVolatile for &mut [u8] {
    fn write_volatile<B: BitmapSlice>(&mut self, buf: &VolatileSlice<'_, B>) -> Result<usize> {
        let count = buf.len().min(self.len());
        let all = core::mem::take(self);
        // Short where the memory faults: what follows is still to be filled.
        let result = buf.read(&mut all[..count], 0);
        *self = &mut all[*result.as_ref().unwrap_or(&0)..];
        result
    }
}

#[cfg(feature = "alloc")]
impl WriteVolatile for Vec<u8> {
    fn write_volatile<B: BitmapSlice>(&mut self, buf: &VolatileSlice<'_, B>) -> Result<usize> {
        let start = self.len();
        self.resize(start + buf.len(), 0);
        let result = buf.read(&mut self[start..], 0);
        // Short where the memory faults.
        self.truncate(start + result.as_ref().unwrap_or(&0));
        result
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
