//! A part of a slice together with what keeps its memory valid, for many small accesses.

#![expect(unsafe_code, reason = "accesses memory through pointers that `def` has checked")]

mod def;

use core::hint::black_box;
use core::sync::atomic::Ordering;

pub use def::OwnedWindow;
use def::View;

use crate::access;
use crate::atomic_integer::{AtomicAccess, AtomicUpdate};
use crate::byte_valued::ByteValued;
use crate::error::{Error, Result as VolatileResult, WindowError};
use crate::owned::SliceOf;

type Result<T> = core::result::Result<T, WindowError>;

impl<O, P> OwnedWindow<O, P> {
    /// Reads the object at `offset`.
    ///
    /// An object of 1, 2, 4 or 8 bytes at a host address aligned to its size is read by one load. At other addresses and
    /// sizes each byte is read once, in no given order.
    ///
    /// # Errors
    ///
    /// [`OutOfBounds`](WindowError::OutOfBounds) unless all its bytes lie inside, [`Faulted`](WindowError::Faulted) if they cannot be
    /// reached.
    #[inline(always)]
    pub fn read_obj<T: ByteValued>(&self, offset: usize) -> Result<T> {
        match self.readable(offset, size_of::<T>()) {
            // SAFETY: `readable` gave the address of `size_of::<T>()` valid bytes, and any bytes are a `T`.
            Some(src) => match unsafe { access::read(src.as_ptr()) } {
                Some(value) => Ok(value),
                None => {
                    // So that it is a branch that is not taken, and not one value chosen of two.
                    black_box(());
                    Err(WindowError::Faulted)
                }
            },
            // Nothing can be read anywhere.
            None if size_of::<T>() == 0 => Ok(T::zeroed()),
            None => Err(WindowError::OutOfBounds),
        }
    }

    /// Reads `buf.len()` bytes from `offset` on. 1, 2, 4 or 8 bytes by one load, if both sides are aligned to that number.
    ///
    /// # Errors
    ///
    /// [`OutOfBounds`](WindowError::OutOfBounds) unless all the bytes lie inside; none has been read then.
    /// [`Faulted`](WindowError::Faulted) if they cannot all be reached; what lies before the first that cannot has been read.
    #[inline]
    pub fn read_slice(&self, buf: &mut [u8], offset: usize) -> Result<()> {
        match self.readable(offset, buf.len()) {
            Some(src) => {
                // SAFETY: `readable` gave the address of `buf.len()` valid bytes. The target is an exclusive borrow, so by the
                // meaning of valid it does not overlap them.
                match unsafe { access::copy(buf.as_mut_ptr(), src.as_ptr(), buf.len()) } {
                    Ok(()) => Ok(()),
                    Err(_) => Err(WindowError::Faulted),
                }
            }
            None if buf.is_empty() => Ok(()),
            None => Err(WindowError::OutOfBounds),
        }
    }
}

impl<O, P: SliceOf<O>> OwnedWindow<O, P> {
    /// Writes `value` to `offset`, and marks its bytes dirty.
    ///
    /// An object of 1, 2, 4 or 8 bytes at a host address aligned to its size is written by one store. At other addresses and
    /// sizes each byte is written once, in no given order.
    ///
    /// # Errors
    ///
    /// [`OutOfBounds`](WindowError::OutOfBounds) unless all its bytes lie inside,
    /// [`NotWritable`](WindowError::NotWritable) if the window is read-only; nothing has been written then.
    /// [`Faulted`](WindowError::Faulted) if they cannot all be reached; what lies before the first that cannot has been written.
    #[inline(always)]
    pub fn write_obj<T: ByteValued>(&self, value: T, offset: usize) -> Result<()> {
        match self.writable(offset, size_of::<T>()) {
            Some(dst) => {
                // SAFETY: `writable` gave the address of `size_of::<T>()` valid, writable bytes, and `T` has no padding.
                if unsafe { access::write(dst.as_ptr(), value) } {
                    self.mark(offset, size_of::<T>());
                    return Ok(());
                }
                self.write_obj_again(value, offset)
            }
            None if size_of::<T>() == 0 => Ok(()),
            None => Err(self.refusal(offset, size_of::<T>())),
        }
    }

    /// Writes all of `buf` from `offset` on, and marks the bytes dirty. 1, 2, 4 or 8 bytes by one store, if both sides are
    /// aligned to that number.
    ///
    /// # Errors
    ///
    /// As [`write_obj`](Self::write_obj): it writes all or nothing, if it does not fault.
    #[inline]
    pub fn write_slice(&self, buf: &[u8], offset: usize) -> Result<()> {
        match self.writable(offset, buf.len()) {
            Some(dst) => {
                // SAFETY: `writable` gave the address of `buf.len()` valid, writable bytes. The source is a shared borrow, so by
                // the meaning of valid it does not overlap them.
                match unsafe { access::copy(dst.as_ptr(), buf.as_ptr(), buf.len()) } {
                    Ok(()) => {
                        self.mark(offset, buf.len());
                        Ok(())
                    }
                    Err(_) => self.write_again(buf, offset),
                }
            }
            None if buf.is_empty() => Ok(()),
            None => Err(self.refusal(offset, buf.len())),
        }
    }

    /// Loads the integer at `offset`, whole, with memory ordering `order`.
    ///
    /// # Errors
    ///
    /// [`OutOfBounds`](WindowError::OutOfBounds) unless all its bytes lie inside,
    /// [`Misaligned`](WindowError::Misaligned) unless its host address is aligned to its size,
    /// [`InvalidOrdering`](WindowError::InvalidOrdering) for `Release` and `AcqRel`, [`Faulted`](WindowError::Faulted) if they cannot
    /// be reached.
    #[inline(always)]
    pub fn load<T: AtomicAccess>(&self, offset: usize, order: Ordering) -> Result<T> {
        self.whole(self.to_load(offset, size_of::<T::A>()), offset, move |slice, at| {
            slice.load(at, order)
        })
    }

    /// Stores `val` at `offset`, whole, with memory ordering `order`, and marks its bytes dirty.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load), with [`InvalidOrdering`](WindowError::InvalidOrdering) for `Acquire` and `AcqRel`, and
    /// [`NotWritable`](WindowError::NotWritable) if the window is read-only.
    #[inline(always)]
    pub fn store<T: AtomicAccess>(&self, val: T, offset: usize, order: Ordering) -> Result<()> {
        self.whole(self.to_store(offset, size_of::<T::A>()), offset, move |slice, at| {
            slice.store(val, at, order)
        })
    }

    /// Stores `new` at `offset` if `current` is there, in one step; returns what was there, as `Ok` if it was `current`. Marks
    /// the bytes dirty if it stores.
    ///
    /// # Errors
    ///
    /// As [`store`](Self::store); [`InvalidOrdering`](WindowError::InvalidOrdering) if `failure` is `Release` or `AcqRel`.
    #[inline]
    pub fn compare_exchange<T: AtomicAccess<A: AtomicUpdate>>(
        &self,
        current: T,
        new: T,
        offset: usize,
        success: Ordering,
        failure: Ordering,
    ) -> Result<core::result::Result<T, T>> {
        self.whole(self.to_store(offset, size_of::<T::A>()), offset, move |slice, at| {
            slice.compare_exchange(current, new, at, success, failure)
        })
    }

    /// Adds `val` to the integer at `offset`, wrapping, in one step; returns what it was, and marks it dirty.
    ///
    /// # Errors
    ///
    /// As [`store`](Self::store); any ordering is good.
    #[inline]
    pub fn fetch_add<T: AtomicAccess<A: AtomicUpdate>>(
        &self,
        val: T,
        offset: usize,
        order: Ordering,
    ) -> Result<T> {
        self.whole(self.to_store(offset, size_of::<T::A>()), offset, move |slice, at| {
            slice.fetch_add(val, at, order)
        })
    }

    /// Clears the bits of the integer at `offset` that `val` has not, in one step; returns what it was, and marks it dirty.
    ///
    /// # Errors
    ///
    /// As [`store`](Self::store); any ordering is good.
    #[inline]
    pub fn fetch_and<T: AtomicAccess<A: AtomicUpdate>>(
        &self,
        val: T,
        offset: usize,
        order: Ordering,
    ) -> Result<T> {
        self.whole(self.to_store(offset, size_of::<T::A>()), offset, move |slice, at| {
            slice.fetch_and(val, at, order)
        })
    }

    /// Sets the bits of the integer at `offset` that `val` has, in one step; returns what it was, and marks it dirty.
    ///
    /// # Errors
    ///
    /// As [`store`](Self::store); any ordering is good.
    #[inline]
    pub fn fetch_or<T: AtomicAccess<A: AtomicUpdate>>(
        &self,
        val: T,
        offset: usize,
        order: Ordering,
    ) -> Result<T> {
        self.whole(self.to_store(offset, size_of::<T::A>()), offset, move |slice, at| {
            slice.fetch_or(val, at, order)
        })
    }

    /// Runs an atomic operation, which does nothing where it fails, on the slice of one integer, or else on the slice of all,
    /// which says what is wrong at `offset`.
    #[inline(always)]
    fn whole<'a, U>(
        &'a self,
        integer: Option<View<'a, O, P>>,
        offset: usize,
        operation: impl Fn(View<'a, O, P>, usize) -> VolatileResult<U>,
    ) -> Result<U> {
        if let Some(integer) = integer
            && let Ok(result) = operation(integer, 0)
        {
            return Ok(result);
        }
        self.refused_whole(offset, operation)
    }

    #[cold]
    #[inline(never)]
    fn refused_whole<'a, U>(
        &'a self,
        offset: usize,
        operation: impl Fn(View<'a, O, P>, usize) -> VolatileResult<U>,
    ) -> Result<U> {
        operation(self.as_volatile_slice(), offset).map_err(|error| match error {
            Error::NotWritable => WindowError::NotWritable,
            Error::Misaligned { .. } => WindowError::Misaligned,
            Error::InvalidOrdering(_) => WindowError::InvalidOrdering,
            Error::Faulted { .. } => WindowError::Faulted,
            // All the rest is about where it lies.
            _ => WindowError::OutOfBounds,
        })
    }

    /// Writes an object that faulted, and lies inside, once more, to mark what goes.
    #[cold]
    #[inline(never)]
    fn write_obj_again<T: ByteValued>(&self, value: T, offset: usize) -> Result<()> {
        let result = self.as_volatile_slice().write_obj(value, offset);
        result.map_err(|_| WindowError::Faulted)
    }

    /// Writes what faulted, and lies inside, once more, to mark what goes.
    #[cold]
    #[inline(never)]
    fn write_again(&self, buf: &[u8], offset: usize) -> Result<()> {
        let result = self.as_volatile_slice().write_slice(buf, offset);
        result.map_err(|_| WindowError::Faulted)
    }

    /// Why `count` bytes at `offset` may not be written.
    #[cold]
    fn refusal(&self, offset: usize, count: usize) -> WindowError {
        match self.readable(offset, count) {
            Some(_) => WindowError::NotWritable,
            None => WindowError::OutOfBounds,
        }
    }
}
