//! Loads, stores and read-modify-writes that other CPUs see whole and in order.

#![expect(unsafe_code, reason = "calls atomic operations on memory that the slice has checked")]

use core::sync::atomic::{Ordering, fence};

use crate::atomic_integer::{AtomicAccess, AtomicInteger, AtomicUpdate};
use crate::bitmap::BitmapSlice;
use crate::error::{Access, Error, Fault, Result};
use crate::object::refusal;
use crate::slice::VolatileSlice;
use crate::sys;

impl<B: BitmapSlice> VolatileSlice<'_, B> {
    /// Loads the integer at `offset`, whole, with memory ordering `order`.
    ///
    /// # Errors
    ///
    /// [`OutOfBounds`](Error::OutOfBounds) unless all its bytes lie inside,
    /// [`Misaligned`](Error::Misaligned) unless its host address is aligned to its size,
    /// [`InvalidOrdering`](Error::InvalidOrdering) for `Release` and `AcqRel`, [`Faulted`](Error::Faulted) if they cannot be
    /// reached.
    #[inline(always)]
    pub fn load<T: AtomicAccess>(&self, offset: usize, order: Ordering) -> Result<T> {
        if matches!(order, Ordering::Release | Ordering::AcqRel) {
            return Err(Error::InvalidOrdering(order));
        }
        let Some(src) = self.readable(offset, size_of::<T::A>()) else {
            return Err(refusal(self, offset, size_of::<T::A>()));
        };
        let atomic = aligned::<T::A>(src, offset)?;
        // SAFETY: `aligned` gave the address of an aligned atomic in valid bytes.
        match unsafe { load_from(atomic, self.is_read_only(), order) } {
            Some(value) => Ok(value.into()),
            None => Err(Fault::new(0, Access::Read).at(offset)),
        }
    }

    /// Stores `val` at `offset`, whole, with memory ordering `order`, and marks its bytes dirty.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load), with [`InvalidOrdering`](Error::InvalidOrdering) for `Acquire` and `AcqRel`, and
    /// [`NotWritable`](Error::NotWritable) if the slice is read-only.
    #[inline(always)]
    pub fn store<T: AtomicAccess>(&self, val: T, offset: usize, order: Ordering) -> Result<()> {
        if matches!(order, Ordering::Acquire | Ordering::AcqRel) {
            return Err(Error::InvalidOrdering(order));
        }
        let val = val.into();
        self.update::<T::A, _>(offset, |atomic| {
            // SAFETY: `update` gives the address of an aligned atomic in valid, writable bytes.
            unsafe { T::A::store_at(atomic, val, order) }.then_some(((), true))
        })
    }

    /// Stores `new` at `offset` if `current` is there, in one step; returns what was there, as `Ok` if it was
    /// `current`. Marks the bytes dirty if it stores.
    ///
    /// # Errors
    ///
    /// As [`store`](Self::store); [`InvalidOrdering`](Error::InvalidOrdering) if `failure` is `Release` or `AcqRel`.
    #[inline]
    pub fn compare_exchange<T: AtomicAccess<A: AtomicUpdate>>(
        &self,
        current: T,
        new: T,
        offset: usize,
        success: Ordering,
        failure: Ordering,
    ) -> Result<core::result::Result<T, T>> {
        if matches!(failure, Ordering::Release | Ordering::AcqRel) {
            return Err(Error::InvalidOrdering(failure));
        }
        let (current, new) = (current.into(), new.into());
        let result = self.update::<T::A, _>(offset, |atomic| {
            // SAFETY: `update` gives the address of an aligned atomic in valid, writable bytes.
            let result =
                unsafe { T::A::compare_exchange_at(atomic, current, new, success, failure) }?;
            let stored = result.is_ok();
            Some((result, stored))
        })?;
        Ok(result.map(T::from).map_err(T::from))
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
        let val = val.into();
        let before = self.update::<T::A, _>(offset, |atomic| {
            // SAFETY: `update` gives the address of an aligned atomic in valid, writable bytes.
            Some((unsafe { T::A::fetch_add_at(atomic, val, order) }?, true))
        })?;
        Ok(before.into())
    }

    /// Clears the bits of the integer at `offset` that `val` has not, in one step; returns what it was, and marks it
    /// dirty.
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
        let val = val.into();
        let before = self.update::<T::A, _>(offset, |atomic| {
            // SAFETY: `update` gives the address of an aligned atomic in valid, writable bytes.
            Some((unsafe { T::A::fetch_and_at(atomic, val, order) }?, true))
        })?;
        Ok(before.into())
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
        let val = val.into();
        let before = self.update::<T::A, _>(offset, |atomic| {
            // SAFETY: `update` gives the address of an aligned atomic in valid, writable bytes.
            Some((unsafe { T::A::fetch_or_at(atomic, val, order) }?, true))
        })?;
        Ok(before.into())
    }

    /// Runs one operation on the atomic at `offset`, and marks it dirty if the operation says that it stored; it says `None` if it
    /// faulted.
    ///
    /// The operation holds nothing else: conversions from and to the caller's type are the caller's code, which may
    /// panic, and no store may go unmarked. The address that it is given is of an aligned atomic in bytes that are valid for reading and
    /// writing.
    #[inline(always)]
    fn update<A: AtomicInteger, R>(
        &self,
        offset: usize,
        operation: impl FnOnce(*mut A) -> Option<(R, bool)>,
    ) -> Result<R> {
        let Some(dst) = self.writable(offset, size_of::<A>()) else {
            return Err(refusal(self, offset, size_of::<A>()));
        };
        let atomic = aligned::<A>(dst, offset)?;
        let Some((result, stored)) = operation(atomic.cast_mut()) else {
            return Err(Fault::new(0, Access::Write).at(offset));
        };
        if stored {
            self.bitmap().mark_dirty(offset, size_of::<A>());
        }
        Ok(result)
    }
}

/// Loads an integer, also from memory that is mapped for reading only.
///
/// # Safety
///
/// The bytes at `atomic` must be [valid](crate#valid) for reading, and aligned; valid for writing, too, if they are not said to be
/// for reading only.
#[inline(always)]
unsafe fn load_from<A: AtomicInteger>(
    atomic: *const A,
    is_read_only: bool,
    order: Ordering,
) -> Option<A::V> {
    if is_read_only && !sys::LOADS_ONLY_READ {
        // SAFETY: the caller's promise is the same.
        return unsafe { load_read_only(atomic, order) };
    }
    // SAFETY: the caller's promise, and an ordered load may write, or does not.
    unsafe { A::load_at(atomic, order) }
}

/// Loads from memory that is mapped for reading only, where the standard library allows only relaxed loads: those
/// that order may be made of instructions that write. Fences order this one.
///
/// # Safety
///
/// The bytes at `atomic` must be [valid](crate#valid) for reading, and aligned.
#[cold]
unsafe fn load_read_only<A: AtomicInteger>(atomic: *const A, order: Ordering) -> Option<A::V> {
    if order == Ordering::SeqCst {
        fence(Ordering::SeqCst);
    }
    // SAFETY: the caller's promise is the same, and a relaxed load only reads.
    let value = unsafe { A::load_at(atomic, Ordering::Relaxed) }?;
    if order != Ordering::Relaxed {
        fence(Ordering::Acquire);
    }
    Some(value)
}

/// The address as that of an atomic, if it has the alignment.
#[inline(always)]
fn aligned<A: AtomicInteger>(addr: *const u8, offset: usize) -> Result<*const A> {
    let atomic = addr.cast::<A>();
    if atomic.is_aligned() {
        Ok(atomic)
    } else {
        Err(Error::Misaligned { addr: offset, alignment: align_of::<A>() })
    }
}
