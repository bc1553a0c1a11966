//! Bytes by guest address, for every memory: one slice where there is one, which is nearly always, and
//! piece by piece where there is not.
//!
//! The first way is inlined, and never comes back from a call: whatever does not fit leaves it for good, by a cold branch to
//! the second way, which starts from the beginning and gives the same answer to everything. The first builds no error.

use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use guest_address::GuestAddress;
use guest_volatile::{
    AtomicAccess, AtomicUpdate, BS, ByteValued, Error as VolatileError, ReadVolatile,
    VolatileSlice, WriteVolatile,
};

use crate::bytes::{Bytes, WholeBytes};
use crate::error::{Error, Result};
use crate::io_memory::IoMemory;
use crate::lists::{
    at_hand, gather_pieces, over_borders, transfer_lists, two_at_hand, uninterrupted,
};
use crate::permissions::Permissions;
use crate::slices::Pieces;
use crate::transfer::{Progress, transfer};

/// Runs `operation`, which does nothing where it fails, on the one piece that holds an integer of type `T`.
#[inline(always)]
fn in_one_piece<'a, M: IoMemory + ?Sized, T, U>(
    memory: &'a M,
    addr: GuestAddress,
    access: Permissions,
    operation: impl Fn(VolatileSlice<'a, BS<'a, M::Bitmap>>) -> core::result::Result<U, VolatileError>,
) -> Result<U> {
    if let Some(slice) = at_hand(memory, addr, size_of::<T>(), access)
        && let Ok(result) = operation(slice)
    {
        return Ok(result);
    }
    in_first_piece(memory, addr, size_of::<T>(), access, operation)
}

/// As [`in_one_piece`], without a short way.
#[cold]
#[inline(never)]
fn in_first_piece<'a, M: IoMemory + ?Sized, U>(
    memory: &'a M,
    addr: GuestAddress,
    len: usize,
    access: Permissions,
    operation: impl Fn(VolatileSlice<'a, BS<'a, M::Bitmap>>) -> core::result::Result<U, VolatileError>,
) -> Result<U> {
    match Pieces::new(memory.get_slices(addr, len, access)?, len).next() {
        Some(Ok(piece)) if piece.len() == len => {
            operation(piece).map_err(|error| Error::at(addr, error))
        }
        Some(Err(error)) => Err(error),
        _ => Err(Error::NotContiguous { addr, len }),
    }
}

/// Reads what lies over borders, at once or piece by piece; `result` is one of [`Progress`].
#[cold]
#[inline(never)]
fn read_in_pieces<M: IoMemory + ?Sized, U>(
    memory: &M,
    buf: &mut [u8],
    addr: GuestAddress,
    result: fn(Progress) -> Result<U>,
) -> Result<U> {
    let count = buf.len();
    if let Some(joined) = over_borders(memory, addr, count, Permissions::Read)
        && joined.read_slice(buf, 0).is_ok()
    {
        return result(Progress::all(addr, count, Permissions::Read));
    }
    if let Some([lower, upper]) = two_at_hand(memory, addr, count, Permissions::Read)
        && let Some((first, second)) = buf.split_at_mut_checked(lower.len())
        && lower.read_slice(first, 0).is_ok()
        && upper.read_slice(second, 0).is_ok()
    {
        return result(Progress::all(addr, count, Permissions::Read));
    }
    read_each_piece(memory, buf, addr, result)
}

/// Writes what lies over borders, at once or piece by piece; `result` is one of [`Progress`].
#[cold]
#[inline(never)]
fn write_in_pieces<M: IoMemory + ?Sized, U>(
    memory: &M,
    buf: &[u8],
    addr: GuestAddress,
    result: fn(Progress) -> Result<U>,
) -> Result<U> {
    let count = buf.len();
    if let Some(joined) = over_borders(memory, addr, count, Permissions::Write)
        && joined.write_slice(buf, 0).is_ok()
    {
        return result(Progress::all(addr, count, Permissions::Write));
    }
    // Nothing stands in the way of either, so nothing is written twice, but for what comes before a fault.
    if let Some([lower, upper]) = two_at_hand(memory, addr, count, Permissions::Write)
        && let Some((first, second)) = buf.split_at_checked(lower.len())
        && lower.write_slice(first, 0).is_ok()
        && upper.write_slice(second, 0).is_ok()
    {
        return result(Progress::all(addr, count, Permissions::Write));
    }
    write_each_piece(memory, buf, addr, result)
}

/// As [`read_in_pieces`], without a short way.
#[inline(never)]
fn read_each_piece<M: IoMemory + ?Sized, U>(
    memory: &M,
    buf: &mut [u8],
    addr: GuestAddress,
    result: fn(Progress) -> Result<U>,
) -> Result<U> {
    result(transfer(memory, addr, buf.len(), Permissions::Read, |piece, done| {
        let rest = &mut buf[done..];
        let count = rest.len().min(piece.len());
        piece.read_slice(&mut rest[..count], 0).map(|()| count)
    }))
}

/// As [`write_in_pieces`], without a short way.
#[inline(never)]
fn write_each_piece<M: IoMemory + ?Sized, U>(
    memory: &M,
    buf: &[u8],
    addr: GuestAddress,
    result: fn(Progress) -> Result<U>,
) -> Result<U> {
    result(transfer(memory, addr, buf.len(), Permissions::Write, |piece, done| {
        let rest = &buf[done..];
        let count = rest.len().min(piece.len());
        piece.write_slice(&rest[..count], 0).map(|()| count)
    }))
}

#[cold]
#[inline(never)]
fn read_obj_in_pieces<M: IoMemory + ?Sized, T: ByteValued>(
    memory: &M,
    addr: GuestAddress,
) -> Result<T> {
    let mut value = T::zeroed();
    read_in_pieces(memory, value.as_mut_slice(), addr, Progress::whole)?;
    Ok(value)
}

#[cold]
#[inline(never)]
fn write_obj_in_pieces<M: IoMemory + ?Sized, T: ByteValued>(
    memory: &M,
    val: &T,
    addr: GuestAddress,
) -> Result<()> {
    write_in_pieces(memory, val.as_slice(), addr, Progress::whole)
}

impl<M: IoMemory + ?Sized> Bytes<GuestAddress> for M {
    type E = Error;

    #[inline]
    fn write(&self, buf: &[u8], addr: GuestAddress) -> Result<usize> {
        if let Some(slice) = at_hand(self, addr, buf.len(), Permissions::Write)
            && slice.quick_write_slice(buf, 0)
        {
            return Ok(buf.len());
        }
        write_in_pieces(self, buf, addr, Progress::partial)
    }

    #[inline]
    fn read(&self, buf: &mut [u8], addr: GuestAddress) -> Result<usize> {
        if let Some(slice) = at_hand(self, addr, buf.len(), Permissions::Read)
            && slice.quick_read_slice(buf, 0)
        {
            return Ok(buf.len());
        }
        read_in_pieces(self, buf, addr, Progress::partial)
    }

    #[inline]
    fn write_slice(&self, buf: &[u8], addr: GuestAddress) -> Result<()> {
        if let Some(slice) = at_hand(self, addr, buf.len(), Permissions::Write)
            && slice.quick_write_slice(buf, 0)
        {
            return Ok(());
        }
        write_in_pieces(self, buf, addr, Progress::whole)
    }

    #[inline]
    fn read_slice(&self, buf: &mut [u8], addr: GuestAddress) -> Result<()> {
        if let Some(slice) = at_hand(self, addr, buf.len(), Permissions::Read)
            && slice.quick_read_slice(buf, 0)
        {
            return Ok(());
        }
        read_in_pieces(self, buf, addr, Progress::whole)
    }

    #[inline(always)]
    fn write_obj<T: ByteValued>(&self, val: T, addr: GuestAddress) -> Result<()> {
        if let Some(slice) = at_hand(self, addr, size_of::<T>(), Permissions::Write)
            && slice.quick_write_obj(val, 0)
        {
            return Ok(());
        }
        // A copy of it to be lent, so that the value itself needs no place in memory.
        let lent = val;
        write_obj_in_pieces(self, &lent, addr)
    }

    #[inline(always)]
    fn read_obj<T: ByteValued>(&self, addr: GuestAddress) -> Result<T> {
        if let Some(slice) = at_hand(self, addr, size_of::<T>(), Permissions::Read)
            && let Some(value) = slice.quick_read_obj(0)
        {
            return Ok(value);
        }
        read_obj_in_pieces(self, addr)
    }

    fn read_volatile_from<F>(&self, addr: GuestAddress, src: &mut F, count: usize) -> Result<usize>
    where
        F: ReadVolatile,
    {
        transfer_lists(self, addr, count, Permissions::Write, |list, _, _| {
            uninterrupted(|| src.read_vectored_volatile(list))
        })
        .partial()
    }

    fn read_exact_volatile_from<F>(
        &self,
        addr: GuestAddress,
        src: &mut F,
        count: usize,
    ) -> Result<()>
    where
        F: ReadVolatile,
    {
        transfer_lists(self, addr, count, Permissions::Write, |list, len, _| {
            src.read_exact_vectored_volatile(list).map(|()| len)
        })
        .whole()
    }

    fn write_volatile_to<F>(&self, addr: GuestAddress, dst: &mut F, count: usize) -> Result<usize>
    where
        F: WriteVolatile,
    {
        transfer_lists(self, addr, count, Permissions::Read, |list, _, _| {
            uninterrupted(|| dst.write_vectored_volatile(list))
        })
        .partial()
    }

    fn write_all_volatile_to<F>(&self, addr: GuestAddress, dst: &mut F, count: usize) -> Result<()>
    where
        F: WriteVolatile,
    {
        transfer_lists(self, addr, count, Permissions::Read, |list, len, _| {
            dst.write_all_vectored_volatile(list).map(|()| len)
        })
        .whole()
    }

    #[inline(always)]
    fn store<T: AtomicAccess>(&self, val: T, addr: GuestAddress, order: Ordering) -> Result<()> {
        in_one_piece::<M, T, _>(self, addr, Permissions::Write, move |slice| {
            slice.store(val, 0, order)
        })
    }

    #[inline(always)]
    fn load<T: AtomicAccess>(&self, addr: GuestAddress, order: Ordering) -> Result<T> {
        in_one_piece::<M, T, _>(self, addr, Permissions::Read, move |slice| slice.load(0, order))
    }
}

impl<M: IoMemory + ?Sized> WholeBytes<GuestAddress> for M {
    fn write_whole(&self, buf: &[u8], addr: GuestAddress) -> Result<()> {
        if buf.is_empty() {
            return Ok(());
        }
        if let Some(slice) = at_hand(self, addr, buf.len(), Permissions::Write)
            && slice.quick_write_slice(buf, 0)
        {
            return Ok(());
        }
        // The pieces are kept: translated again, they might be others.
        let mut pieces = Vec::new();
        gather_pieces(self, addr, buf.len(), Permissions::Write, &mut pieces)?;
        let mut progress = Progress::new(addr, buf.len(), Permissions::Write);
        for piece in pieces {
            let (done, len) = (progress.completed(), piece.len());
            let outcome = piece.write_slice(&buf[done..done + len], 0).map(|()| len);
            if progress.count(outcome, len).is_break() {
                break;
            }
        }
        progress.whole()
    }

    fn compare_exchange<T: AtomicAccess<A: AtomicUpdate>>(
        &self,
        current: T,
        new: T,
        addr: GuestAddress,
        success: Ordering,
        failure: Ordering,
    ) -> Result<core::result::Result<T, T>> {
        in_one_piece::<M, T, _>(self, addr, Permissions::ReadWrite, move |slice| {
            slice.compare_exchange(current, new, 0, success, failure)
        })
    }

    fn fetch_add<T: AtomicAccess<A: AtomicUpdate>>(
        &self,
        val: T,
        addr: GuestAddress,
        order: Ordering,
    ) -> Result<T> {
        in_one_piece::<M, T, _>(self, addr, Permissions::ReadWrite, move |slice| {
            slice.fetch_add(val, 0, order)
        })
    }

    fn fetch_and<T: AtomicAccess<A: AtomicUpdate>>(
        &self,
        val: T,
        addr: GuestAddress,
        order: Ordering,
    ) -> Result<T> {
        in_one_piece::<M, T, _>(self, addr, Permissions::ReadWrite, move |slice| {
            slice.fetch_and(val, 0, order)
        })
    }

    fn fetch_or<T: AtomicAccess<A: AtomicUpdate>>(
        &self,
        val: T,
        addr: GuestAddress,
        order: Ordering,
    ) -> Result<T> {
        in_one_piece::<M, T, _>(self, addr, Permissions::ReadWrite, move |slice| {
            slice.fetch_or(val, 0, order)
        })
    }
}
