//! Objects read from and written to a piece of volatile memory.

#![expect(unsafe_code, reason = "moves objects through pointers that the slice has checked")]

use crate::access;
use crate::bitmap::BitmapSlice;
use crate::byte_valued::ByteValued;
use crate::error::{Error, Result};
use crate::slice::VolatileSlice;

impl<B: BitmapSlice> VolatileSlice<'_, B> {
    /// Reads the object at `offset`.
    ///
    /// An object of 1, 2, 4 or 8 bytes at a host address aligned to its size is read by one load: never
    /// a mix of two values. At other addresses and sizes each byte is read once, in no given order.
    ///
    /// # Errors
    ///
    /// [`OutOfBounds`](Error::OutOfBounds) if there is no byte at `offset`,
    /// [`PartialBuffer`](Error::PartialBuffer) if there are too few, [`Faulted`](Error::Faulted) if the memory cannot be reached.
    #[inline(always)]
    pub fn read_obj<T: ByteValued>(&self, offset: usize) -> Result<T> {
        if let Some(src) = self.readable(offset, size_of::<T>())
            // SAFETY: `readable` gave the address of `size_of::<T>()` valid bytes, and any bytes are a `T`.
            && let Some(value) = unsafe { access::read(src) }
        {
            return Ok(value);
        }
        self.clone().read_obj_again(offset)
    }

    /// What stands in the way of a read, or the object after all.
    #[cold]
    #[inline(never)]
    fn read_obj_again<T: ByteValued>(self, offset: usize) -> Result<T> {
        match self.readable(offset, size_of::<T>()) {
            // SAFETY: `readable` gave the address of `size_of::<T>()` valid bytes, and any bytes are a `T`.
            Some(src) => unsafe { access::read_again(src) }.map_err(|fault| fault.at(offset)),
            // Nothing can be read anywhere.
            None if size_of::<T>() == 0 => Ok(T::zeroed()),
            None => Err(shortage(offset, size_of::<T>(), self.len())),
        }
    }

    /// Writes `value` to `offset`, and marks its bytes dirty.
    ///
    /// An object of 1, 2, 4 or 8 bytes at a host address aligned to its size is written by one store. At
    /// other addresses and sizes each byte is written once, in no given order.
    ///
    /// # Errors
    ///
    /// [`OutOfBounds`](Error::OutOfBounds) if there is no byte at `offset`,
    /// [`PartialBuffer`](Error::PartialBuffer) if there are too few (as many as there are have been written),
    /// [`NotWritable`](Error::NotWritable) if the slice is read-only, [`Faulted`](Error::Faulted) if the memory cannot be reached
    /// (what is before that has been written; all is marked).
    #[inline(always)]
    pub fn write_obj<T: ByteValued>(&self, value: T, offset: usize) -> Result<()> {
        if let Some(dst) = self.writable(offset, size_of::<T>())
            // SAFETY: `writable` gave the address of `size_of::<T>()` valid bytes, and `T` has no padding.
            && unsafe { access::write(dst, value) }
        {
            self.bitmap().mark_dirty(offset, size_of::<T>());
            return Ok(());
        }
        self.clone().write_obj_again(value, offset)
    }

    /// What stands in the way of a write, or the object after all: whole, if it is to be.
    #[cold]
    #[inline(never)]
    fn write_obj_again<T: ByteValued>(self, value: T, offset: usize) -> Result<()> {
        let size = size_of::<T>();
        let Some(dst) = self.writable(offset, size) else {
            return self.write_slice_in_part(value.as_slice(), offset);
        };
        // SAFETY: `writable` gave the address of `size` valid bytes, and `T` has no padding.
        match unsafe { access::write_again(dst, value) } {
            Ok(()) => {
                self.bitmap().mark_dirty(offset, size);
                Ok(())
            }
            Err(fault) => Err(self.faulted(offset, size, fault)),
        }
    }

    /// Reads as many elements from the start of the slice as it and `buf` hold, and returns their number.
    ///
    /// Elements of 2, 4 or 8 bytes are each read by one load, if the slice's host address is aligned to their size. If the memory
    /// faults, it is the number of those before that.
    pub fn copy_to<T: ByteValued>(&self, buf: &mut [T]) -> usize {
        let count = elements::<T>(self.len()).min(buf.len());
        // No overflow: it is no more than `buf` has.
        let size = count * size_of::<T>();
        let Some(src) = self.readable(0, size) else { return 0 };
        if one_by_one::<T>() {
            for (index, element) in buf.iter_mut().take(count).enumerate() {
                // SAFETY: `index < count`, so the element lies in the `size` bytes that are valid by `readable`,
                // and any bytes are a `T`.
                let value = unsafe { access::read(src.wrapping_add(index * size_of::<T>())) };
                let Some(value) = value else { return index };
                *element = value;
            }
            return count;
        }
        // SAFETY: `size` bytes are valid by `readable`; `buf` has at least as many, and any bytes are a `T`.
        match unsafe { access::copy(buf.as_mut_ptr().cast(), src, size) } {
            Ok(()) => count,
            Err(fault) => elements::<T>(fault.completed()),
        }
    }

    /// Writes as many elements to the start of the slice as it and `buf` hold, and marks them dirty.
    ///
    /// Elements of 2, 4 or 8 bytes are each written by one store, if the slice's host address is aligned to their size.
    /// A read-only slice takes none. If the memory faults, it is those before that, and all are marked;
    /// [`write_slice`](Self::write_slice) says so.
    pub fn copy_from<T: ByteValued>(&self, buf: &[T]) {
        let count = elements::<T>(self.len()).min(buf.len());
        // No overflow: it is no more than `buf` has.
        let size = count * size_of::<T>();
        let Some(dst) = self.writable(0, size) else { return };
        if one_by_one::<T>() {
            for (index, element) in buf.iter().take(count).enumerate() {
                let to = dst.wrapping_add(index * size_of::<T>());
                // SAFETY: `index < count`, so the element lies in the `size` bytes that are valid by `writable`,
                // and `T` has no padding.
                if unsafe { access::write(to, *element) } {
                    continue;
                }
                // SAFETY: as before.
                if unsafe { access::write_again(to, *element) }.is_err() {
                    break;
                }
            }
        } else {
            // SAFETY: `size` bytes are valid by `writable`; `buf` has at least as many, without padding.
            let _ = unsafe { access::copy(dst, buf.as_ptr().cast(), size) };
        }
        // Also where it faulted, as all writes.
        self.bitmap().mark_dirty(0, size);
    }
}

/// How many `T` fit into `len` bytes. Any number of those without size.
fn elements<T>(len: usize) -> usize {
    len.checked_div(size_of::<T>()).unwrap_or(usize::MAX)
}

/// Whether an array of `T` is moved by the element, to keep each whole, rather than as a run of bytes.
const fn one_by_one<T>() -> bool {
    matches!(size_of::<T>(), 2 | 4 | 8)
}

/// Why not all of `expected` bytes at `offset` are among `len` bytes.
#[cold]
fn shortage(offset: usize, expected: usize, len: usize) -> Error {
    match len.checked_sub(offset) {
        None | Some(0) => Error::OutOfBounds { addr: offset },
        Some(completed) => Error::PartialBuffer { expected, completed },
    }
}

/// The error of an access to `count` bytes at `offset`, which the slice refused.
#[cold]
pub(crate) fn refusal<B>(slice: &VolatileSlice<'_, B>, offset: usize, count: usize) -> Error {
    if slice.readable(offset, count).is_some() {
        Error::NotWritable
    } else {
        crate::slice::out_of_reach(offset, count)
    }
}
