//! A file in memory that takes lists, and writes down how it was asked.

use std::cell::RefCell;
use std::io::{Error as IoError, ErrorKind};

use guest_memory::{ReadVolatile, ReadVolatileAt, VolatileSlice, WriteVolatile, WriteVolatileAt};
use guest_volatile::{BitmapSlice, Error, Result};

use super::counting;

/// A file of 0x10000 numbers, by place or as a stream, that moves at most so many bytes a call.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    pub(crate) bytes: RefCell<Vec<u8>>,
    /// The offset and the lengths of the slices of each call.
    pub(crate) calls: RefCell<Vec<(u64, Vec<usize>)>>,
    /// What calls move, one after the other; all they can, when it is empty.
    pub(crate) moves: RefCell<Vec<usize>>,
    /// What fails: the call of this number.
    pub(crate) fails: Option<(usize, ErrorKind)>,
    position: u64,
}

impl Disk {
    pub(crate) fn new() -> Self {
        let bytes = RefCell::new(counting(0x1_0000));
        let (calls, moves) = (RefCell::default(), RefCell::default());
        Self { bytes, calls, moves, fails: None, position: 0 }
    }

    pub(crate) fn moving(moves: &[usize]) -> Self {
        let disk = Self::new();
        disk.moves.borrow_mut().extend(moves.iter().rev());
        disk
    }

    pub(crate) fn failing(self, call: usize, kind: ErrorKind) -> Self {
        Self { fails: Some((call, kind)), ..self }
    }

    /// The calls since the last time.
    pub(crate) fn asked(&self) -> Vec<(u64, Vec<usize>)> {
        self.calls.take()
    }

    /// How many bytes the call moves.
    fn call<B: BitmapSlice>(&self, bufs: &[VolatileSlice<'_, B>], offset: u64) -> Result<usize> {
        let mut calls = self.calls.borrow_mut();
        calls.push((offset, bufs.iter().map(VolatileSlice::len).collect()));
        if let Some((call, kind)) = self.fails
            && calls.len() == call + 1
        {
            return Err(Error::IOError(IoError::from(kind)));
        }
        let len: usize = bufs.iter().map(VolatileSlice::len).sum();
        let most = self.moves.borrow_mut().pop().unwrap_or(usize::MAX);
        let left = self.bytes.borrow().len().saturating_sub(offset as usize);
        Ok(len.min(most).min(left))
    }
}

impl ReadVolatileAt for Disk {
    fn read_volatile_at<B: BitmapSlice>(
        &self,
        buf: &VolatileSlice<'_, B>,
        offset: u64,
    ) -> Result<usize> {
        self.read_vectored_volatile_at(std::slice::from_ref(buf), offset)
    }

    fn read_vectored_volatile_at<B: BitmapSlice>(
        &self,
        bufs: &[VolatileSlice<'_, B>],
        offset: u64,
    ) -> Result<usize> {
        let count = self.call(bufs, offset)?;
        let (bytes, start) = (self.bytes.borrow(), offset as usize);
        let mut rest = &bytes[start..start + count];
        for buf in bufs {
            let (now, later) = rest.split_at(buf.len().min(rest.len()));
            buf.write_slice(now, 0)?;
            rest = later;
        }
        Ok(count)
    }
}

impl WriteVolatileAt for Disk {
    fn write_volatile_at<B: BitmapSlice>(
        &self,
        buf: &VolatileSlice<'_, B>,
        offset: u64,
    ) -> Result<usize> {
        self.write_vectored_volatile_at(std::slice::from_ref(buf), offset)
    }

    fn write_vectored_volatile_at<B: BitmapSlice>(
        &self,
        bufs: &[VolatileSlice<'_, B>],
        offset: u64,
    ) -> Result<usize> {
        let count = self.call(bufs, offset)?;
        let (mut bytes, start) = (self.bytes.borrow_mut(), offset as usize);
        let mut rest = &mut bytes[start..start + count];
        for buf in bufs {
            let now;
            (now, rest) = rest.split_at_mut(buf.len().min(rest.len()));
            buf.read_slice(now, 0)?;
        }
        Ok(count)
    }
}

impl ReadVolatile for Disk {
    fn read_volatile<B: BitmapSlice>(&mut self, buf: &mut VolatileSlice<'_, B>) -> Result<usize> {
        self.read_vectored_volatile(std::slice::from_ref(buf))
    }

    fn read_vectored_volatile<B: BitmapSlice>(
        &mut self,
        bufs: &[VolatileSlice<'_, B>],
    ) -> Result<usize> {
        let count = self.read_vectored_volatile_at(bufs, self.position)?;
        self.position += count as u64;
        Ok(count)
    }

    fn is_read_vectored(&self) -> bool {
        true
    }
}

impl WriteVolatile for Disk {
    fn write_volatile<B: BitmapSlice>(&mut self, buf: &VolatileSlice<'_, B>) -> Result<usize> {
        self.write_vectored_volatile(std::slice::from_ref(buf))
    }

    fn write_vectored_volatile<B: BitmapSlice>(
        &mut self,
        bufs: &[VolatileSlice<'_, B>],
    ) -> Result<usize> {
        let count = self.write_vectored_volatile_at(bufs, self.position)?;
        self.position += count as u64;
        Ok(count)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}
