//! The only way host code here reaches guest memory: one aligned 64-bit word at a time.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use guest_address::GuestAddress;
use guest_atomic::GuestMemoryAtomic;
use guest_memory::{Bytes, GuestAddressSpace, IoMemory};
use guest_mmap::GuestMemoryMmap;
use guest_volatile::Bitmap;

use crate::error::{Access, Error, Result};

/// Guest memory as aligned 64-bit words, each read and written whole.
///
/// A guest runs at the same time, so the order of accesses is part of the contract: whoever sees a
/// word that [`store`](Words::store) wrote also sees everything its writer wrote before it.
/// (The guest's own plain loads and stores have that order by the x86 memory model.)
///
/// A pair of closures is one, too:
///
/// ```
/// use core::sync::atomic::{AtomicU64, Ordering::{Acquire, Release}};
/// use demo::Words;
///
/// let ram = [const { AtomicU64::new(0) }; 512];
/// let words = (
///     |at: u64| Ok(ram[at as usize / 8].load(Acquire)),
///     |at: u64, value: u64| Ok(ram[at as usize / 8].store(value, Release)),
/// );
/// words.store(0x10, 7)?;
/// assert_eq!(words.load(0x10)?, 7);
/// # demo::Result::Ok(())
/// ```
pub trait Words {
    /// Reads the word at guest physical address `at`, with acquire order.
    ///
    /// # Errors
    ///
    /// Where no memory is, or `at` is not a multiple of 8.
    fn load(&self, at: u64) -> Result<u64>;

    /// Writes the word at guest physical address `at`, with release order.
    ///
    /// # Errors
    ///
    /// Where no memory is, or `at` is not a multiple of 8.
    fn store(&self, at: u64, value: u64) -> Result<()>;
}

impl<B: Bitmap> Words for GuestMemoryMmap<B> {
    fn load(&self, at: u64) -> Result<u64> {
        Bytes::load(self, GuestAddress(at), Ordering::Acquire).map_err(|source| Error::Memory {
            at,
            access: Access::Read,
            source: Box::new(source),
        })
    }

    fn store(&self, at: u64, value: u64) -> Result<()> {
        Bytes::store(self, value, GuestAddress(at), Ordering::Release)
            .map_err(|source| Error::Memory { at, access: Access::Write, source: Box::new(source) })
    }
}

/// Every access goes to the map that is current when it starts.
impl<M: IoMemory + Words> Words for GuestMemoryAtomic<M> {
    fn load(&self, at: u64) -> Result<u64> {
        Words::load(&*self.memory(), at)
    }

    fn store(&self, at: u64, value: u64) -> Result<()> {
        Words::store(&*self.memory(), at, value)
    }
}

impl<W: Words + ?Sized> Words for &W {
    fn load(&self, at: u64) -> Result<u64> {
        (**self).load(at)
    }

    fn store(&self, at: u64, value: u64) -> Result<()> {
        (**self).store(at, value)
    }
}

impl<W: Words + ?Sized> Words for Arc<W> {
    fn load(&self, at: u64) -> Result<u64> {
        (**self).load(at)
    }

    fn store(&self, at: u64, value: u64) -> Result<()> {
        (**self).store(at, value)
    }
}

impl<L, S> Words for (L, S)
where
    L: Fn(u64) -> Result<u64>,
    S: Fn(u64, u64) -> Result<()>,
{
    fn load(&self, at: u64) -> Result<u64> {
        self.0(at)
    }

    fn store(&self, at: u64, value: u64) -> Result<()> {
        self.1(at, value)
    }
}
