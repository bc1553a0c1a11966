//! Loads, stores and read-modify-writes that other CPUs see whole and in order.

#![expect(unsafe_code, reason = "takes atomics out of guest memory for one operation")]

use core::sync::atomic::{
    AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicIsize, AtomicU8, AtomicU16, AtomicU32,
    AtomicU64, AtomicUsize, Ordering, fence,
};

use crate::bitmap::BitmapSlice;
use crate::byte_valued::ByteValued;
use crate::error::{Error, Result};
use crate::object::refusal;
use crate::slice::VolatileSlice;

/// An atomic integer of the standard library.
///
/// # Safety
///
/// The type must be an integer's atomic: of the integer's size, aligned to it, valid for any bytes,
/// and changed by atomic instructions alone.
pub unsafe trait AtomicInteger: Sync + Send {
    /// The integer that it holds.
    type V;

    /// An atomic that holds `v`.
    ///
    /// ```
    /// use core::sync::atomic::{AtomicU16, Ordering};
    /// use guest_volatile::AtomicInteger;
    /// let atomic = <AtomicU16 as AtomicInteger>::new(1);
    /// assert_eq!(AtomicInteger::load(&atomic, Ordering::Relaxed), 1);
    /// ```
    fn new(v: Self::V) -> Self;

    /// Loads the integer.
    ///
    /// # Panics
    ///
    /// If `order` is `Release` or `AcqRel`.
    ///
    /// ```
    /// use core::sync::atomic::{AtomicU16, Ordering};
    /// use guest_volatile::AtomicInteger;
    /// assert_eq!(AtomicInteger::load(&AtomicU16::new(1), Ordering::Acquire), 1);
    /// ```
    fn load(&self, order: Ordering) -> Self::V;

    /// Stores an integer.
    ///
    /// # Panics
    ///
    /// If `order` is `Acquire` or `AcqRel`.
    ///
    /// ```
    /// use core::sync::atomic::{AtomicU16, Ordering};
    /// use guest_volatile::AtomicInteger;
    /// let atomic = AtomicU16::new(1);
    /// AtomicInteger::store(&atomic, 2, Ordering::Release);
    /// assert_eq!(atomic.into_inner(), 2);
    /// ```
    fn store(&self, val: Self::V, order: Ordering);
}

/// An atomic integer that can be changed in one step.
///
/// # Safety
///
/// As for [`AtomicInteger`].
pub unsafe trait AtomicUpdate: AtomicInteger {
    /// Stores `new` if the integer is `current`; returns what it was, as `Ok` if it was `current`.
    ///
    /// # Errors
    ///
    /// The integer that was there instead of `current`.
    ///
    /// # Panics
    ///
    /// If `failure` is `Release` or `AcqRel`.
    ///
    /// ```
    /// use core::sync::atomic::{AtomicU16, Ordering::SeqCst};
    /// use guest_volatile::AtomicUpdate;
    /// assert_eq!(AtomicUpdate::compare_exchange(&AtomicU16::new(1), 2, 3, SeqCst, SeqCst), Err(1));
    /// ```
    fn compare_exchange(
        &self,
        current: Self::V,
        new: Self::V,
        success: Ordering,
        failure: Ordering,
    ) -> core::result::Result<Self::V, Self::V>;

    /// Adds `val`, wrapping, and returns what the integer was.
    ///
    /// ```
    /// use core::sync::atomic::{AtomicU16, Ordering};
    /// use guest_volatile::AtomicUpdate;
    /// assert_eq!(AtomicUpdate::fetch_add(&AtomicU16::new(1), 2, Ordering::Relaxed), 1);
    /// ```
    fn fetch_add(&self, val: Self::V, order: Ordering) -> Self::V;

    /// Keeps the bits that `val` has, and returns what the integer was.
    ///
    /// ```
    /// use core::sync::atomic::{AtomicU16, Ordering};
    /// use guest_volatile::AtomicUpdate;
    /// assert_eq!(AtomicUpdate::fetch_and(&AtomicU16::new(3), 2, Ordering::Relaxed), 3);
    /// ```
    fn fetch_and(&self, val: Self::V, order: Ordering) -> Self::V;

    /// Sets the bits that `val` has, and returns what the integer was.
    ///
    /// ```
    /// use core::sync::atomic::{AtomicU16, Ordering};
    /// use guest_volatile::AtomicUpdate;
    /// assert_eq!(AtomicUpdate::fetch_or(&AtomicU16::new(1), 2, Ordering::Relaxed), 1);
    /// ```
    fn fetch_or(&self, val: Self::V, order: Ordering) -> Self::V;
}

/// A plain integer that guest memory can be asked for atomically.
pub trait AtomicAccess:
    ByteValued
    + From<<<Self as AtomicAccess>::A as AtomicInteger>::V>
    + Into<<<Self as AtomicAccess>::A as AtomicInteger>::V>
{
    /// The atomic that does it.
    type A: AtomicInteger;
}

macro_rules! atomics {
    ($($int:ty, $atomic:ty;)*) => {$(
        // SAFETY: the standard library says that it has the integer's size and bit validity, and it is aligned
        // to its size where the target has it at all.
        unsafe impl AtomicInteger for $atomic {
            type V = $int;

            #[inline(always)]
            fn new(v: $int) -> Self {
                <$atomic>::new(v)
            }

            #[inline(always)]
            fn load(&self, order: Ordering) -> $int {
                <$atomic>::load(self, order)
            }

            #[inline(always)]
            fn store(&self, val: $int, order: Ordering) {
                <$atomic>::store(self, val, order);
            }
        }

        // SAFETY: as for `AtomicInteger`.
        unsafe impl AtomicUpdate for $atomic {
            #[inline(always)]
            fn compare_exchange(
                &self,
                current: $int,
                new: $int,
                success: Ordering,
                failure: Ordering,
            ) -> core::result::Result<$int, $int> {
                <$atomic>::compare_exchange(self, current, new, success, failure)
            }

            #[inline(always)]
            fn fetch_add(&self, val: $int, order: Ordering) -> $int {
                <$atomic>::fetch_add(self, val, order)
            }

            #[inline(always)]
            fn fetch_and(&self, val: $int, order: Ordering) -> $int {
                <$atomic>::fetch_and(self, val, order)
            }

            #[inline(always)]
            fn fetch_or(&self, val: $int, order: Ordering) -> $int {
                <$atomic>::fetch_or(self, val, order)
            }
        }

        impl AtomicAccess for $int {
            type A = $atomic;
        }

        const _: () = assert!(align_of::<$atomic>() == size_of::<$int>());
    )*};
}

atomics! {
    u8, AtomicU8;
    u16, AtomicU16;
    u32, AtomicU32;
    u64, AtomicU64;
    usize, AtomicUsize;
    i8, AtomicI8;
    i16, AtomicI16;
    i32, AtomicI32;
    i64, AtomicI64;
    isize, AtomicIsize;
}

impl<B: BitmapSlice> VolatileSlice<'_, B> {
    /// Loads the integer at `offset`, whole, with memory ordering `order`.
    ///
    /// # Errors
    ///
    /// [`OutOfBounds`](Error::OutOfBounds) unless all its bytes lie inside,
    /// [`Misaligned`](Error::Misaligned) unless its host address is aligned to its size,
    /// [`InvalidOrdering`](Error::InvalidOrdering) for `Release` and `AcqRel`.
    #[inline(always)]
    pub fn load<T: AtomicAccess>(&self, offset: usize, order: Ordering) -> Result<T> {
        if matches!(order, Ordering::Release | Ordering::AcqRel) {
            return Err(Error::InvalidOrdering(order));
        }
        let Some(src) = self.readable(offset, size_of::<T::A>()) else {
            return Err(refusal(self, offset, size_of::<T::A>()));
        };
        let atomic = aligned::<T::A>(src, offset)?;
        // SAFETY: `aligned` gave the address of an aligned atomic in valid bytes. The reference lives for one load.
        let atomic = unsafe { &*atomic };
        if self.is_read_only() {
            return Ok(load_read_only(atomic, order).into());
        }
        Ok(atomic.load(order).into())
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
        self.update::<T::A, _>(offset, |atomic| (atomic.store(val, order), true))
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
            let result = atomic.compare_exchange(current, new, success, failure);
            let stored = result.is_ok();
            (result, stored)
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
        self.update::<T::A, _>(offset, |atomic| (atomic.fetch_add(val, order), true)).map(T::from)
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
        self.update::<T::A, _>(offset, |atomic| (atomic.fetch_and(val, order), true)).map(T::from)
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
        self.update::<T::A, _>(offset, |atomic| (atomic.fetch_or(val, order), true)).map(T::from)
    }

    /// Runs one operation on the atomic at `offset`, and marks it dirty if the operation says that it stored.
    ///
    /// The operation holds nothing else: conversions from and to the caller's type are the caller's code, which may
    /// panic, and no store may go unmarked.
    #[inline(always)]
    fn update<A: AtomicInteger, R>(
        &self,
        offset: usize,
        operation: impl FnOnce(&A) -> (R, bool),
    ) -> Result<R> {
        let Some(dst) = self.writable(offset, size_of::<A>()) else {
            return Err(refusal(self, offset, size_of::<A>()));
        };
        let atomic = aligned::<A>(dst, offset)?;
        // SAFETY: `aligned` gave the address of an aligned atomic in valid, writable bytes. The reference lives for
        // one operation.
        let (result, stored) = operation(unsafe { &*atomic });
        if stored {
            self.bitmap().mark_dirty(offset, size_of::<A>());
        }
        Ok(result)
    }
}

/// Loads from memory that is mapped for reading only, where the standard library allows only relaxed loads: those
/// that order may be made of instructions that write. Fences order this one.
#[cold]
fn load_read_only<A: AtomicInteger>(atomic: &A, order: Ordering) -> A::V {
    if order == Ordering::SeqCst {
        fence(Ordering::SeqCst);
    }
    let value = atomic.load(Ordering::Relaxed);
    if order != Ordering::Relaxed {
        fence(Ordering::Acquire);
    }
    value
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
