//! A slice of volatile memory is bytes by offset: its own methods, under the traits' names.

use core::sync::atomic::Ordering;

use guest_volatile::{
    AtomicAccess, AtomicUpdate, BitmapSlice, ByteValued, Error as VolatileError, ReadVolatile,
    VolatileSlice, WriteVolatile,
};

use crate::bytes::{Bytes, WholeBytes};

type Result<T> = core::result::Result<T, VolatileError>;

impl<B: BitmapSlice> Bytes<usize> for VolatileSlice<'_, B> {
    type E = VolatileError;

    #[inline]
    fn write(&self, buf: &[u8], addr: usize) -> Result<usize> {
        self.write(buf, addr)
    }

    #[inline]
    fn read(&self, buf: &mut [u8], addr: usize) -> Result<usize> {
        self.read(buf, addr)
    }

    #[inline]
    fn write_slice(&self, buf: &[u8], addr: usize) -> Result<()> {
        self.write_slice(buf, addr)
    }

    #[inline]
    fn read_slice(&self, buf: &mut [u8], addr: usize) -> Result<()> {
        self.read_slice(buf, addr)
    }

    #[inline(always)]
    fn write_obj<T: ByteValued>(&self, val: T, addr: usize) -> Result<()> {
        self.write_obj(val, addr)
    }

    #[inline(always)]
    fn read_obj<T: ByteValued>(&self, addr: usize) -> Result<T> {
        self.read_obj(addr)
    }

    fn read_volatile_from<F: ReadVolatile>(
        &self,
        addr: usize,
        src: &mut F,
        count: usize,
    ) -> Result<usize> {
        self.read_volatile_from(addr, src, count)
    }

    fn read_exact_volatile_from<F: ReadVolatile>(
        &self,
        addr: usize,
        src: &mut F,
        count: usize,
    ) -> Result<()> {
        self.read_exact_volatile_from(addr, src, count)
    }

    fn write_volatile_to<F: WriteVolatile>(
        &self,
        addr: usize,
        dst: &mut F,
        count: usize,
    ) -> Result<usize> {
        self.write_volatile_to(addr, dst, count)
    }

    fn write_all_volatile_to<F: WriteVolatile>(
        &self,
        addr: usize,
        dst: &mut F,
        count: usize,
    ) -> Result<()> {
        self.write_all_volatile_to(addr, dst, count)
    }

    #[inline(always)]
    fn store<T: AtomicAccess>(&self, val: T, addr: usize, order: Ordering) -> Result<()> {
        self.store(val, addr, order)
    }

    #[inline(always)]
    fn load<T: AtomicAccess>(&self, addr: usize, order: Ordering) -> Result<T> {
        self.load(addr, order)
    }
}

impl<B: BitmapSlice> WholeBytes<usize> for VolatileSlice<'_, B> {
    fn write_whole(&self, buf: &[u8], addr: usize) -> Result<()> {
        self.write_whole(buf, addr)
    }

    fn compare_exchange<T: AtomicAccess<A: AtomicUpdate>>(
        &self,
        current: T,
        new: T,
        addr: usize,
        success: Ordering,
        failure: Ordering,
    ) -> Result<core::result::Result<T, T>> {
        self.compare_exchange(current, new, addr, success, failure)
    }

    fn fetch_add<T: AtomicAccess<A: AtomicUpdate>>(
        &self,
        val: T,
        addr: usize,
        order: Ordering,
    ) -> Result<T> {
        self.fetch_add(val, addr, order)
    }

    fn fetch_and<T: AtomicAccess<A: AtomicUpdate>>(
        &self,
        val: T,
        addr: usize,
        order: Ordering,
    ) -> Result<T> {
        self.fetch_and(val, addr, order)
    }

    fn fetch_or<T: AtomicAccess<A: AtomicUpdate>>(
        &self,
        val: T,
        addr: usize,
        order: Ordering,
    ) -> Result<T> {
        self.fetch_or(val, addr, order)
    }
}
