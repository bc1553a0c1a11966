//! The baseline: memory by host addresses that are translated and checked already.
//!
//! No program that serves a guest can be as fast: it has to look where a guest address lies, and whether. But the
//! distance to this is what all of our code costs.

#![expect(unsafe_code, reason = "a raw pointer is what everything else is compared with")]

use std::fmt;
use std::hint::black_box;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use guest_address::GuestAddress;
use guest_memory::{ByteValued, GuestMemory};

use crate::timing::each;

/// The host address of an object in guest memory.
///
/// # Invariants
///
/// `size_of::<T>()` bytes at `at` are [valid](guest_memory::guest_volatile#valid) for `'m`, for reading and writing,
/// and `at` is aligned for `T`.
#[derive(Clone, Copy)]
pub struct Place<'m, T> {
    at: *mut T,
    memory: PhantomData<&'m T>,
}

impl<'m, T: ByteValued> Place<'m, T> {
    /// The places of objects at these addresses.
    ///
    /// # Panics
    ///
    /// If there is no memory at one of them, or it is not aligned on the host or may not be written.
    pub fn of<M: GuestMemory>(memory: &'m M, addresses: &[GuestAddress]) -> Vec<Self> {
        let place = |&addr| {
            let at = host_address(memory, addr, size_of::<T>()).cast::<T>();
            assert!(at.is_aligned(), "the object is not aligned");
            // INVARIANT: by `host_address`, and the line above.
            Self { at, memory: PhantomData }
        };
        addresses.iter().map(place).collect()
    }

    /// Reads the object.
    #[inline(always)]
    pub fn read(self) -> T {
        // SAFETY: by the type's invariant it is aligned and valid for reading; any bytes are a `T`.
        unsafe { self.at.read_volatile() }
    }

    /// Writes the object.
    #[inline(always)]
    pub fn write(self, value: T) {
        // SAFETY: by the type's invariant it is aligned and valid for writing.
        unsafe { self.at.write_volatile(value) }
    }
}

impl Place<'_, u16> {
    /// Loads the integer with acquire ordering.
    #[inline(always)]
    pub fn load(self) -> u16 {
        // SAFETY: by the type's invariant it is aligned and valid; the reference lives for one operation.
        unsafe { AtomicU16::from_ptr(self.at) }.load(Ordering::Acquire)
    }

    /// Stores the integer with release ordering.
    #[inline(always)]
    pub fn store(self, value: u16) {
        // SAFETY: by the type's invariant it is aligned and valid; the reference lives for one operation.
        unsafe { AtomicU16::from_ptr(self.at) }.store(value, Ordering::Release);
    }
}

impl<T> fmt::Debug for Place<'_, T> {
    /// Says nothing: a host address is nobody's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").finish_non_exhaustive()
    }
}

/// `memcpy(3)` to and from guest memory.
///
/// # Invariants
///
/// `buffer.len()` bytes at each of `places` are [valid](guest_memory::guest_volatile#valid) for `'m`, for reading and
/// writing.
pub struct Copies<'m> {
    places: Vec<*mut u8>,
    buffer: Vec<u8>,
    memory: PhantomData<&'m [u8]>,
}

impl<'m> Copies<'m> {
    /// Copies of `size` bytes at these addresses.
    ///
    /// # Panics
    ///
    /// If one of the ranges does not lie in one region, or may not be written.
    pub fn of<M: GuestMemory>(memory: &'m M, addresses: &[GuestAddress], size: usize) -> Self {
        // INVARIANT: by `host_address`; the buffer keeps its length.
        Self {
            places: addresses.iter().map(|&addr| host_address(memory, addr, size)).collect(),
            buffer: vec![0; size],
            memory: PhantomData,
        }
    }

    /// Copies so many times from guest memory; returns how long it took.
    pub fn read(&mut self, count: u64) -> Duration {
        let (buffer, len) = (self.buffer.as_mut_ptr(), black_box(self.buffer.len()));
        each(&self.places, count, |place| {
            // SAFETY: by the type's invariant the source is valid for reading; the buffer is of that length, and by the
            // meaning of valid it does not overlap the source.
            unsafe { buffer.copy_from_nonoverlapping(place, len) };
            black_box(buffer);
            0
        })
    }

    /// Copies so many times to guest memory; returns how long it took.
    pub fn write(&mut self, count: u64) -> Duration {
        let (buffer, len) = (self.buffer.as_ptr(), black_box(self.buffer.len()));
        each(&self.places, count, |place| {
            // SAFETY: by the type's invariant the target is valid for writing; the buffer is of that length, and by the
            // meaning of valid it does not overlap the target.
            unsafe { place.copy_from_nonoverlapping(buffer, len) };
            black_box(place);
            0
        })
    }
}

impl fmt::Debug for Copies<'_> {
    /// Shows the shape, never the bytes or their host addresses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Copies").field("size", &self.buffer.len()).finish_non_exhaustive()
    }
}

/// The host address of `size` bytes, which are valid for as long as the memory is borrowed, for reading and
/// writing.
fn host_address<M: GuestMemory>(memory: &M, addr: GuestAddress, size: usize) -> *mut u8 {
    let slice = memory.get_slice(addr, size).expect("the range lies in one region");
    let guard = slice.host_ptr_mut();
    // The guard's pointer is to as many bytes as it says, none if they may not be written.
    assert_eq!(guard.len(), size, "the memory may not be written");
    guard.as_ptr()
}
