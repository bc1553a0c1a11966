//! Access to the bytes behind an address, whatever kind of address it is.

use core::sync::atomic::Ordering;

use guest_volatile::{AtomicAccess, AtomicUpdate, ByteValued, ReadVolatile, WriteVolatile};

/// Bytes that are read and written by an address of type `A`: a guest address in a memory map, an
/// address in a region, an offset in a slice.
///
/// Every write is marked dirty, after the bytes are in place. The guest may change the bytes between
/// any two accesses: whoever checks a value must use the copy that was checked.
pub trait Bytes<A> {
    /// What can go wrong.
    type E;

    /// Writes bytes of `buf` from `addr` on, and returns how many: up to the first that has no place.
    ///
    /// # Errors
    ///
    /// If not even one byte could be written, though `buf` is not empty.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// let memory = map(); // [0x1000, 0x3000) and [0x8000, 0x9000)
    /// assert_eq!(memory.write(&[1; 16], GuestAddress(0x2ff8))?, 8);
    /// assert!(memory.write(&[1; 16], GuestAddress(0x3000)).is_err());
    /// # Ok::<(), GuestMemoryError>(())
    /// ```
    fn write(&self, buf: &[u8], addr: A) -> Result<usize, Self::E>;

    /// Reads bytes from `addr` on into `buf`, and returns how many: up to the first that is not there.
    ///
    /// # Errors
    ///
    /// If not even one byte could be read, though `buf` is not empty.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// let memory = map(); // [0x1000, 0x3000) and [0x8000, 0x9000)
    /// assert_eq!(memory.read(&mut [0; 16], GuestAddress(0x2ff8))?, 8);
    /// # Ok::<(), GuestMemoryError>(())
    /// ```
    fn read(&self, buf: &mut [u8], addr: A) -> Result<usize, Self::E>;

    /// Writes all of `buf` from `addr` on.
    ///
    /// # Errors
    ///
    /// If some bytes have no place; those before them have been written, and the error tells how many.
    /// [`WholeBytes::write_whole`] writes nothing then.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// let memory = map(); // [0x1000, 0x3000) and [0x8000, 0x9000)
    /// memory.write_slice(b"across two regions", GuestAddress(0x1ff8))?;
    /// # Ok::<(), GuestMemoryError>(())
    /// ```
    fn write_slice(&self, buf: &[u8], addr: A) -> Result<(), Self::E>;

    /// Reads all of `buf` from `addr` on.
    ///
    /// # Errors
    ///
    /// If some bytes are not there; those before them have been read, and the error tells how many.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// let memory = map(); // [0x1000, 0x3000) and [0x8000, 0x9000)
    /// let result = memory.read_slice(&mut [0; 16], GuestAddress(0x2ff8));
    /// assert!(matches!(result, Err(GuestMemoryError::PartialBuffer { expected: 16, completed: 8 })));
    /// ```
    fn read_slice(&self, buf: &mut [u8], addr: A) -> Result<(), Self::E>;

    /// Writes an object at `addr`. 1, 2, 4 or 8 bytes, aligned on the host, by one store.
    ///
    /// # Errors
    ///
    /// As [`write_slice`](Self::write_slice).
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// let memory = map();
    /// memory.write_obj(0x1234_u32, GuestAddress(0x1000))?;
    /// # Ok::<(), GuestMemoryError>(())
    /// ```
    fn write_obj<T: ByteValued>(&self, val: T, addr: A) -> Result<(), Self::E> {
        self.write_slice(val.as_slice(), addr)
    }

    /// Reads the object at `addr`. 1, 2, 4 or 8 bytes, aligned on the host, by one load.
    ///
    /// # Errors
    ///
    /// As [`read_slice`](Self::read_slice).
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// let memory = map();
    /// let flags: u16 = memory.read_obj(GuestAddress(0x1000))?;
    /// # Ok::<(), GuestMemoryError>(())
    /// ```
    fn read_obj<T: ByteValued>(&self, addr: A) -> Result<T, Self::E> {
        let mut value = T::zeroed();
        self.read_slice(value.as_mut_slice(), addr)?;
        Ok(value)
    }

    /// Reads from `src` into the bytes from `addr` on, up to `count`, and returns how many that gave.
    ///
    /// It reads once for all pieces of memory where the source can, a file descriptor by `readv(2)`, else once for each piece,
    /// and stops at a short read: no byte is ever skipped. An interrupted read is tried again.
    ///
    /// # Errors
    ///
    /// If not even one byte was read because there is no memory at `addr`, or `src` failed.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// let memory = map();
    /// let mut source = &b"ten bytes."[..];
    /// assert_eq!(memory.read_volatile_from(GuestAddress(0x1ffc), &mut source, 32)?, 10);
    /// # Ok::<(), GuestMemoryError>(())
    /// ```
    fn read_volatile_from<F>(&self, addr: A, src: &mut F, count: usize) -> Result<usize, Self::E>
    where
        F: ReadVolatile;

    /// Reads `count` bytes from `src` into the bytes from `addr` on, over short reads and interruptions.
    ///
    /// # Errors
    ///
    /// If the source ends, or the memory; the error tells how many bytes were read.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// let memory = map();
    /// let mut source = &b"ten bytes."[..];
    /// memory.read_exact_volatile_from(GuestAddress(0x1ffc), &mut source, 10)?;
    /// # Ok::<(), GuestMemoryError>(())
    /// ```
    fn read_exact_volatile_from<F>(
        &self,
        addr: A,
        src: &mut F,
        count: usize,
    ) -> Result<(), Self::E>
    where
        F: ReadVolatile;

    /// Writes to `dst` from the bytes from `addr` on, up to `count`, and returns how many that took.
    ///
    /// It writes once for all pieces of memory where the sink can, else once for each, and stops at a short write. An
    /// interrupted write is tried again.
    ///
    /// # Errors
    ///
    /// If not even one byte was written because there is no memory at `addr`, or `dst` failed.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// let memory = map();
    /// let mut sink = Vec::new();
    /// assert_eq!(memory.write_volatile_to(GuestAddress(0x1ffc), &mut sink, 32)?, 32);
    /// # Ok::<(), GuestMemoryError>(())
    /// ```
    fn write_volatile_to<F>(&self, addr: A, dst: &mut F, count: usize) -> Result<usize, Self::E>
    where
        F: WriteVolatile;

    /// Writes `count` bytes to `dst` from the bytes from `addr` on, over short writes and interruptions.
    ///
    /// # Errors
    ///
    /// If the sink takes no more, or the memory ends; the error tells how many bytes were written.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// let memory = map();
    /// let mut sink = Vec::new();
    /// memory.write_all_volatile_to(GuestAddress(0x1ffc), &mut sink, 32)?;
    /// # Ok::<(), GuestMemoryError>(())
    /// ```
    fn write_all_volatile_to<F>(&self, addr: A, dst: &mut F, count: usize) -> Result<(), Self::E>
    where
        F: WriteVolatile;

    /// Stores an integer at `addr`, whole, with memory ordering `order`.
    ///
    /// # Errors
    ///
    /// If there is no memory, not in one piece, not aligned on the host (three different errors), or the ordering is not
    /// one for a store.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// use std::sync::atomic::Ordering;
    /// let memory = map();
    /// memory.store(1_u16, GuestAddress(0x1002), Ordering::Release)?;
    /// assert!(memory.store(1_u16, GuestAddress(0x1003), Ordering::Release).is_err());
    /// # Ok::<(), GuestMemoryError>(())
    /// ```
    fn store<T: AtomicAccess>(&self, val: T, addr: A, order: Ordering) -> Result<(), Self::E>;

    /// Loads the integer at `addr`, whole, with memory ordering `order`.
    ///
    /// # Errors
    ///
    /// As [`store`](Self::store), for an ordering that is not one for a load.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// use std::sync::atomic::Ordering;
    /// let memory = map();
    /// let index: u16 = memory.load(GuestAddress(0x1002), Ordering::Acquire)?;
    /// # Ok::<(), GuestMemoryError>(())
    /// ```
    fn load<T: AtomicAccess>(&self, addr: A, order: Ordering) -> Result<T, Self::E>;
}

/// What happens to bytes whole or not at all.
pub trait WholeBytes<A>: Bytes<A> {
    /// Writes all of `buf` from `addr` on, or nothing: the whole range is checked first.
    ///
    /// # Errors
    ///
    /// If some bytes have no place. No byte has been touched then.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// let memory = map(); // [0x1000, 0x3000) and [0x8000, 0x9000)
    /// assert!(memory.write_whole(&[1; 16], GuestAddress(0x2ff8)).is_err());
    /// assert_eq!(memory.read_obj::<u64>(GuestAddress(0x2ff8))?, 0);
    /// # Ok::<(), GuestMemoryError>(())
    /// ```
    fn write_whole(&self, buf: &[u8], addr: A) -> Result<(), Self::E>;

    /// Stores `new` at `addr` if `current` is there, in one step; returns what was there, as `Ok` if it
    /// was `current`. Marks the bytes dirty if it stores.
    ///
    /// # Errors
    ///
    /// As [`Bytes::store`].
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// use std::sync::atomic::Ordering::SeqCst;
    /// let memory = map();
    /// assert_eq!(memory.compare_exchange(0_u32, 5, GuestAddress(0x1000), SeqCst, SeqCst)?, Ok(0));
    /// assert_eq!(memory.compare_exchange(0_u32, 5, GuestAddress(0x1000), SeqCst, SeqCst)?, Err(5));
    /// # Ok::<(), GuestMemoryError>(())
    /// ```
    fn compare_exchange<T: AtomicAccess<A: AtomicUpdate>>(
        &self,
        current: T,
        new: T,
        addr: A,
        success: Ordering,
        failure: Ordering,
    ) -> Result<Result<T, T>, Self::E>;

    /// Adds `val` to the integer at `addr`, wrapping, in one step; returns what it was.
    ///
    /// # Errors
    ///
    /// As [`Bytes::store`]; any ordering is good.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// use std::sync::atomic::Ordering::Relaxed;
    /// assert_eq!(map().fetch_add(1_u16, GuestAddress(0x1000), Relaxed)?, 0);
    /// # Ok::<(), GuestMemoryError>(())
    /// ```
    fn fetch_add<T: AtomicAccess<A: AtomicUpdate>>(
        &self,
        val: T,
        addr: A,
        order: Ordering,
    ) -> Result<T, Self::E>;

    /// Clears the bits of the integer at `addr` that `val` has not, in one step; returns what it was.
    ///
    /// # Errors
    ///
    /// As [`Bytes::store`]; any ordering is good.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// use std::sync::atomic::Ordering::Relaxed;
    /// assert_eq!(map().fetch_and(!1_u16, GuestAddress(0x1000), Relaxed)?, 0);
    /// # Ok::<(), GuestMemoryError>(())
    /// ```
    fn fetch_and<T: AtomicAccess<A: AtomicUpdate>>(
        &self,
        val: T,
        addr: A,
        order: Ordering,
    ) -> Result<T, Self::E>;

    /// Sets the bits of the integer at `addr` that `val` has, in one step; returns what it was.
    ///
    /// # Errors
    ///
    /// As [`Bytes::store`]; any ordering is good.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// use std::sync::atomic::Ordering::Relaxed;
    /// assert_eq!(map().fetch_or(1_u16, GuestAddress(0x1000), Relaxed)?, 0);
    /// # Ok::<(), GuestMemoryError>(())
    /// ```
    fn fetch_or<T: AtomicAccess<A: AtomicUpdate>>(
        &self,
        val: T,
        addr: A,
        order: Ordering,
    ) -> Result<T, Self::E>;
}
