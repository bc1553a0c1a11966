//! Loads, stores and read-modify-writes that other CPUs see whole and in order.

#![expect(
    unsafe_code,
    reason = "calls the instructions of atomics on memory that the slice has checked"
)]

use core::sync::atomic::{
    AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicIsize, AtomicU8, AtomicU16, AtomicU32,
    AtomicU64, AtomicUsize, Ordering,
};

use crate::byte_valued::ByteValued;
use crate::sys;

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

    /// Loads the integer at `this`, or finds that the memory cannot be reached.
    ///
    /// By default it takes a reference, and does not recover from a fault. The integers of the standard library do neither: they
    /// take an instruction that is in the table, where there is one.
    ///
    /// # Safety
    ///
    /// The bytes at `this` must be [valid](crate#valid) for reading, and aligned.
    ///
    /// # Panics
    ///
    /// As [`load`](Self::load).
    #[inline(always)]
    unsafe fn load_at(this: *const Self, order: Ordering) -> Option<Self::V>
    where
        Self: Sized,
    {
        // SAFETY: aligned and valid, by the caller's promise. The reference lives for one operation.
        Some(unsafe { &*this }.load(order))
    }

    /// Stores an integer at `this`, and says whether it did: the memory may not be to be reached.
    ///
    /// As for [`load_at`](Self::load_at).
    ///
    /// # Safety
    ///
    /// The bytes at `this` must be [valid](crate#valid) for writing, and aligned.
    ///
    /// # Panics
    ///
    /// As [`store`](Self::store).
    #[inline(always)]
    unsafe fn store_at(this: *mut Self, val: Self::V, order: Ordering) -> bool
    where
        Self: Sized,
    {
        // SAFETY: aligned and valid, by the caller's promise. The reference lives for one operation.
        unsafe { &*this }.store(val, order);
        true
    }
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
    ) -> Result<Self::V, Self::V>;

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

    /// [`compare_exchange`](Self::compare_exchange) at `this`, or finds that the memory cannot be reached.
    ///
    /// As for [`AtomicInteger::load_at`], and so are the three that follow.
    ///
    /// # Safety
    ///
    /// The bytes at `this` must be [valid](crate#valid) for reading and writing, and aligned.
    ///
    /// # Panics
    ///
    /// As [`compare_exchange`](Self::compare_exchange).
    #[inline(always)]
    unsafe fn compare_exchange_at(
        this: *mut Self,
        current: Self::V,
        new: Self::V,
        success: Ordering,
        failure: Ordering,
    ) -> Option<Result<Self::V, Self::V>>
    where
        Self: Sized,
    {
        // SAFETY: aligned and valid, by the caller's promise. The reference lives for one operation.
        Some(unsafe { &*this }.compare_exchange(current, new, success, failure))
    }

    /// [`fetch_add`](Self::fetch_add) at `this`, or finds that the memory cannot be reached.
    ///
    /// # Safety
    ///
    /// As for [`compare_exchange_at`](Self::compare_exchange_at).
    #[inline(always)]
    unsafe fn fetch_add_at(this: *mut Self, val: Self::V, order: Ordering) -> Option<Self::V>
    where
        Self: Sized,
    {
        // SAFETY: aligned and valid, by the caller's promise. The reference lives for one operation.
        Some(unsafe { &*this }.fetch_add(val, order))
    }

    /// [`fetch_and`](Self::fetch_and) at `this`, or finds that the memory cannot be reached.
    ///
    /// # Safety
    ///
    /// As for [`compare_exchange_at`](Self::compare_exchange_at).
    #[inline(always)]
    unsafe fn fetch_and_at(this: *mut Self, val: Self::V, order: Ordering) -> Option<Self::V>
    where
        Self: Sized,
    {
        // SAFETY: aligned and valid, by the caller's promise. The reference lives for one operation.
        Some(unsafe { &*this }.fetch_and(val, order))
    }

    /// [`fetch_or`](Self::fetch_or) at `this`, or finds that the memory cannot be reached.
    ///
    /// # Safety
    ///
    /// As for [`compare_exchange_at`](Self::compare_exchange_at).
    #[inline(always)]
    unsafe fn fetch_or_at(this: *mut Self, val: Self::V, order: Ordering) -> Option<Self::V>
    where
        Self: Sized,
    {
        // SAFETY: aligned and valid, by the caller's promise. The reference lives for one operation.
        Some(unsafe { &*this }.fetch_or(val, order))
    }
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
    ($($int:ty, $atomic:ty, $width:ident as $bits:ty;)*) => {$(
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

            #[inline(always)]
            unsafe fn load_at(this: *const Self, order: Ordering) -> Option<$int> {
                // SAFETY: the caller's promise, and it has the size of `$bits`.
                unsafe { sys::$width::load(this.cast(), order) }.map(|before| <$int>::from_ne_bytes(before.to_ne_bytes()))
            }

            #[inline(always)]
            unsafe fn store_at(this: *mut Self, val: $int, order: Ordering) -> bool {
                // SAFETY: as before.
                unsafe { sys::$width::store(this.cast(), <$bits>::from_ne_bytes(val.to_ne_bytes()), order) }
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
            ) -> Result<$int, $int> {
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

            #[inline(always)]
            unsafe fn compare_exchange_at(
                this: *mut Self,
                current: $int,
                new: $int,
                success: Ordering,
                failure: Ordering,
            ) -> Option<Result<$int, $int>> {
                let (dst, new) = (this.cast(), <$bits>::from_ne_bytes(new.to_ne_bytes()));
                // SAFETY: the caller's promise, and it has the size of `$bits`.
                unsafe { sys::$width::compare_exchange(dst, <$bits>::from_ne_bytes(current.to_ne_bytes()), new, success, failure) }
                    .map(|before| <$int>::from_ne_bytes(before.to_ne_bytes()))
                    .map(|before| if before == current { Ok(before) } else { Err(before) })
            }

            #[inline(always)]
            unsafe fn fetch_add_at(this: *mut Self, val: $int, order: Ordering) -> Option<$int> {
                // SAFETY: as before.
                unsafe { sys::$width::fetch_add(this.cast(), <$bits>::from_ne_bytes(val.to_ne_bytes()), order) }
                    .map(|before| <$int>::from_ne_bytes(before.to_ne_bytes()))
            }

            #[inline(always)]
            unsafe fn fetch_and_at(this: *mut Self, val: $int, order: Ordering) -> Option<$int> {
                // SAFETY: as before.
                unsafe { sys::$width::fetch_and(this.cast(), <$bits>::from_ne_bytes(val.to_ne_bytes()), order) }
                    .map(|before| <$int>::from_ne_bytes(before.to_ne_bytes()))
            }

            #[inline(always)]
            unsafe fn fetch_or_at(this: *mut Self, val: $int, order: Ordering) -> Option<$int> {
                // SAFETY: as before.
                unsafe { sys::$width::fetch_or(this.cast(), <$bits>::from_ne_bytes(val.to_ne_bytes()), order) }
                    .map(|before| <$int>::from_ne_bytes(before.to_ne_bytes()))
            }
        }

        impl AtomicAccess for $int {
            type A = $atomic;
        }

        const _: () = assert!(align_of::<$atomic>() == size_of::<$int>());
    )*};
}

atomics! {
    u8, AtomicU8, one as u8;
    u16, AtomicU16, two as u16;
    u32, AtomicU32, four as u32;
    u64, AtomicU64, eight as u64;
    usize, AtomicUsize, word as usize;
    i8, AtomicI8, one as u8;
    i16, AtomicI16, two as u16;
    i32, AtomicI32, four as u32;
    i64, AtomicI64, eight as u64;
    isize, AtomicIsize, word as usize;
}
