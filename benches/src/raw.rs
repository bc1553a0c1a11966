//! The baseline: memory by host addresses that are translated and checked already.
//!
//! No program that serves a guest can be as fast: it has to look where a guest address lies, and whether. But the
//! distance to this is what all of our code costs.

#![expect(unsafe_code, reason = "a raw pointer is what everything else is compared with")]

use std::fmt;
use std::hint::black_box;
use std::marker::PhantomData;
use std::ptr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use guest_address::GuestAddress;
use guest_memory::{ByteValued, GuestMemory, GuestMemoryRegion as _};
use guest_mmap::GuestMemoryMmap;

use crate::layout::Layout;
use crate::ours;
use crate::timing::each;

/// Where the regions of a guest's memory lie on the host: translation for those who prepare a measurement, which is no
/// use of what is measured.
///
/// # Invariants
///
/// As many bytes at each `host` as its part has are [valid](guest_memory::guest_volatile#valid) for `'m`, for reading and
/// writing.
#[derive(Clone)]
pub struct Hosts<'m> {
    parts: Vec<Part>,
    memory: PhantomData<&'m [u8]>,
}

/// One region.
#[derive(Clone, Copy)]
struct Part {
    start: u64,
    len: usize,
    host: *mut u8,
}

impl<'m> Hosts<'m> {
    /// Those of our own memory.
    ///
    /// # Panics
    ///
    /// If a region may not be written.
    pub fn of<M: GuestMemory>(memory: &'m M) -> Self {
        let part = |region: &'m M::R| {
            let slice = region.as_volatile_slice().expect("the region is mapped as a whole");
            let guard = slice.host_ptr_mut();
            // The guard's pointer is to as many bytes as it says, none if they may not be written.
            assert_eq!(guard.len(), slice.len(), "the memory may not be written");
            Part { start: region.start_addr().0, len: slice.len(), host: guard.as_ptr() }
        };
        // INVARIANT: the slices are valid for as long as the memory is borrowed, and may be written.
        Self { parts: memory.iter().map(part).collect(), memory: PhantomData }
    }

    /// Those of somebody's memory: guest address, length and host address of each region.
    ///
    /// # Safety
    ///
    /// As many bytes at each host address must be [valid](guest_memory::guest_volatile#valid) for `'m`, for reading and
    /// writing.
    pub unsafe fn new(parts: impl IntoIterator<Item = (u64, usize, *mut u8)>) -> Self {
        let part = |(start, len, host)| Part { start, len, host };
        // INVARIANT: the caller's promise.
        Self { parts: parts.into_iter().map(part).collect(), memory: PhantomData }
    }

    /// Writes ones to `size` bytes at each of the addresses: fresh memory is one single page of zeros, which is always in
    /// the cache.
    ///
    /// # Panics
    ///
    /// If one of the ranges is not in the memory.
    pub fn touch(&self, table: &[u64], size: usize) {
        let mut once = table.to_vec();
        once.sort_unstable();
        once.dedup();
        for byte in once.into_iter().flat_map(|addr| addr..addr + size as u64) {
            let host = self.at(byte, 1);
            // SAFETY: `at` gives an address that is valid for writing a byte.
            unsafe { host.write_volatile(1) };
        }
    }

    /// Writes an integer.
    ///
    /// # Panics
    ///
    /// If its bytes do not lie in one region.
    pub fn put(&self, addr: u64, value: u64) {
        let host = self.at(addr, size_of::<u64>()).cast::<u64>();
        // SAFETY: `at` gives an address that is valid for writing eight bytes.
        unsafe { host.write_unaligned(value) };
    }

    /// The host address of `size` bytes in one region, which are valid for `'m`, for reading and writing.
    pub(crate) fn at(&self, addr: u64, size: usize) -> *mut u8 {
        // The last that does not start above: there are hundreds of them, and thousands of addresses.
        let next = self.parts.partition_point(|part| part.start <= addr);
        let part = self.parts[next.checked_sub(1).expect("there is memory below")];
        let offset = usize::try_from(addr - part.start).expect("a guest's memory fits in ours");
        let room = part.len.checked_sub(offset).expect("the range starts in the region");
        assert!(size <= room, "the range lies in one region");
        part.host.wrapping_add(offset)
    }
}

impl fmt::Debug for Hosts<'_> {
    /// Says nothing of where it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hosts").field("regions", &self.parts.len()).finish_non_exhaustive()
    }
}

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
        let hosts = Hosts::of(memory);
        addresses.iter().map(|addr| Self::at(&hosts, addr.0)).collect()
    }

    /// The place of the object at this address.
    ///
    /// # Panics
    ///
    /// If there is no memory, or it is not aligned on the host.
    pub fn at(hosts: &Hosts<'m>, addr: u64) -> Self {
        let at = hosts.at(addr, size_of::<T>()).cast::<T>();
        assert!(at.is_aligned(), "the object is not aligned");
        // INVARIANT: by `Hosts::at`, and the line above.
        Self { at, memory: PhantomData }
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

    /// Writes a long object, by `memcpy(3)`.
    #[inline(always)]
    pub fn copy_from(self, value: &T) {
        // SAFETY: by the type's invariant it is aligned and valid for writing, and by the meaning of valid no reference
        // overlaps it.
        unsafe { self.at.copy_from_nonoverlapping(value, 1) }
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

/// A ring of host addresses in memory of its own, each of which says where the next one is.
///
/// # Invariants
///
/// Nobody else has the memory. `at` and what is found there, and so on, are places of objects in it.
pub struct Ring {
    _memory: GuestMemoryMmap,
    at: *mut u64,
}

impl Ring {
    /// A ring through these addresses of a memory of that layout, in their order.
    ///
    /// # Panics
    ///
    /// If there are none, or there is no memory at one of them.
    pub fn new(layout: &Layout, order: &[u64]) -> Self {
        let memory = ours::map(layout);
        let hosts = Hosts::of(&memory);
        for (here, next) in order.iter().zip(order.iter().cycle().skip(1)) {
            hosts.put(*here, Place::<u64>::at(&hosts, *next).at.expose_provenance() as u64);
        }
        let at = Place::at(&hosts, order[0]).at;
        // INVARIANT: the memory is new, and these were the last writes; the ring is closed.
        Self { _memory: memory, at }
    }

    /// Goes so many steps; returns how long it took.
    pub fn chase(&mut self, count: u64) -> Duration {
        let start = Instant::now();
        for _ in 0..count {
            // SAFETY: by the type's invariant it is the place of an object, aligned as `Place` checks.
            let next = unsafe { self.at.read_volatile() };
            // INVARIANT: what is found there is such a place again.
            self.at = ptr::with_exposed_provenance_mut(next as usize);
        }
        start.elapsed()
    }
}

impl fmt::Debug for Ring {
    /// Says nothing of where it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").finish_non_exhaustive()
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
        let table: Vec<u64> = addresses.iter().map(|addr| addr.0).collect();
        Self::at(&Hosts::of(memory), &table, size)
    }

    /// Copies of `size` bytes at these addresses.
    ///
    /// # Panics
    ///
    /// If one of the ranges does not lie in one region.
    pub fn at(hosts: &Hosts<'m>, table: &[u64], size: usize) -> Self {
        // INVARIANT: by `Hosts::at`; the buffer keeps its length.
        Self {
            places: table.iter().map(|&addr| hosts.at(addr, size)).collect(),
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

/// As [`Copies`], of which a half lies in one region and the other in the next: two calls of `memcpy(3)`.
///
/// # Invariants
///
/// Half of `buffer.len()` bytes at both of each pair of `places` are [valid](guest_memory::guest_volatile#valid) for `'m`,
/// for reading and writing.
pub struct Halves<'m> {
    places: Vec<(*mut u8, *mut u8)>,
    buffer: Vec<u8>,
    memory: PhantomData<&'m [u8]>,
}

impl<'m> Halves<'m> {
    /// Copies of `size` bytes at these addresses.
    ///
    /// # Panics
    ///
    /// If the halves do not lie in a region each.
    pub fn at(hosts: &Hosts<'m>, table: &[u64], size: usize) -> Self {
        let half = size / 2;
        let place = |&addr| (hosts.at(addr, half), hosts.at(addr + half as u64, half));
        // INVARIANT: by `Hosts::at`; the buffer keeps its length.
        Self {
            places: table.iter().map(place).collect(),
            buffer: vec![0; 2 * half],
            memory: PhantomData,
        }
    }

    /// Copies so many times from guest memory; returns how long it took.
    pub fn read(&mut self, count: u64) -> Duration {
        let half = black_box(self.buffer.len() / 2);
        let (low, high) = self.buffer.split_at_mut(half);
        let (len, low, high) = (low.len(), low.as_mut_ptr(), high.as_mut_ptr());
        each(&self.places, count, |(first, second)| {
            // SAFETY: by the type's invariant the source is valid for reading; the buffer's half is of that length, and by
            // the meaning of valid it does not overlap the source.
            unsafe { low.copy_from_nonoverlapping(first, len) };
            // SAFETY: likewise.
            unsafe { high.copy_from_nonoverlapping(second, len) };
            black_box(low);
            0
        })
    }
}

impl fmt::Debug for Halves<'_> {
    /// Shows the shape, never the bytes or their host addresses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Halves").field("size", &self.buffer.len()).finish_non_exhaustive()
    }
}
