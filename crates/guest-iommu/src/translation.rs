//! A translation that is taken out of the table at once, under a lease, so that the table is free again.
//!
//! Why not keep the guard of the table? Whoever works on a piece may access memory again: a second read lock in one
//! thread hangs if a writer came in between, and a guest can arrange that. And an invalidation would wait behind a
//! slow disk just to change the table.

use std::{iter, option, vec};

use guest_address::GuestAddress;
use guest_memory::{GuestMemory, Permissions};
use guest_volatile::{BS, Bitmap};

use crate::error::Error;
use crate::iommu::Iommu;
use crate::leased::LeasedSlice;
use crate::memory::IommuMemory;
use crate::ranges::{Asked, IovaRange, MappedRange};

/// What a range is mapped to, piece by piece. One piece, which is the rule, needs no allocation.
pub(crate) type Pieces = iter::Chain<option::IntoIter<MappedRange>, vec::IntoIter<MappedRange>>;

/// No piece.
pub(crate) fn no_pieces() -> Pieces {
    None.into_iter().chain(Vec::new())
}

impl<M: GuestMemory, I: Iommu, V: Bitmap> IommuMemory<M, I, V> {
    /// What the range is mapped to, all of it, and the view of it, whose lease is as old as the translation.
    pub(crate) fn pieces(
        &self,
        addr: GuestAddress,
        count: usize,
        access: Permissions,
    ) -> Result<(Pieces, LeasedSlice<'_, BS<'_, V>>), Error> {
        match Asked::new(addr, count) {
            Asked::Nothing => return Ok((no_pieces(), self.view_at(addr))),
            Asked::PastTheTop => return Err(Error::Overflow { base: addr, length: count }),
            Asked::Bytes(_) => {}
        }
        let mut mapped = self.iommu().translate(addr, count, access)?;
        // Under the guard, and not before: while the IOMMU waits for a mapping, nobody should have to wait for us.
        let view = self.view_at(addr);
        let first = mapped.next();
        let rest: Vec<_> = mapped.collect();
        let mut lengths = first.iter().chain(&rest).map(|piece| piece.length);
        // An IOMMU that has looked up another range than it was asked for would lead the access astray.
        match lengths.try_fold(0_usize, usize::checked_add) {
            Some(total) if total == count => Ok((first.into_iter().chain(rest), view)),
            _ => Err(wrong_length(addr, count)),
        }
    }

    /// What the range is mapped to, if it has a byte and is mapped to one piece, and the view of it, whose lease is as
    /// old as the translation.
    #[inline]
    pub(crate) fn one_piece(
        &self,
        addr: GuestAddress,
        count: usize,
        access: Permissions,
    ) -> Option<(GuestAddress, LeasedSlice<'_, BS<'_, V>>)> {
        let Asked::Bytes(_) = Asked::new(addr, count) else { return None };
        let mut mapped = self.iommu().translate(addr, count, access).ok()?;
        let piece = mapped.next().filter(|piece| piece.length == count)?;
        // Under the guard, as above.
        mapped.next().is_none().then(|| (piece.base, self.view_at(addr)))
    }

    /// The view of the bitmap by the device's addresses from `addr` on, with a new lease.
    #[inline]
    fn view_at(&self, addr: GuestAddress) -> LeasedSlice<'_, BS<'_, V>> {
        // An address that is no `usize` is past the end of every bitmap.
        self.leased().slice_at(usize::try_from(addr.0).unwrap_or(usize::MAX))
    }
}

#[cold]
fn wrong_length(base: GuestAddress, length: usize) -> Error {
    let range = IovaRange { base, length };
    Error::IommuMisconfigured { reason: format!("it translated another range than {range}") }
}
