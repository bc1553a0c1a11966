//! Integers that are accessed whole, compared with the model.

use std::fmt::Debug;
use std::sync::atomic::Ordering::{Acquire, Release, SeqCst};

use guest_memory::{
    AtomicAccess, AtomicUpdate, Bytes, GuestAddress, IoMemory, Permissions, WholeBytes,
};

use crate::conformance::bench::Bench;
use crate::conformance::model::{End, Expected};
use crate::conformance::op::{Kind, Op};
use crate::conformance::pieces::{at_hand, pieces};

/// An integer, seen as bytes.
pub(super) trait Number: AtomicAccess<A: AtomicUpdate> + PartialEq + Debug {
    fn from_bytes(bytes: &[u8]) -> Self {
        let mut value = Self::zeroed();
        value.as_mut_slice().copy_from_slice(bytes);
        value
    }

    fn plus(self, other: Self) -> Self;
    fn and(self, other: Self) -> Self;
    fn or(self, other: Self) -> Self;
}

macro_rules! numbers {
    ($($int:ty)*) => {$(
        impl Number for $int {
            fn plus(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            fn and(self, other: Self) -> Self {
                self & other
            }
            fn or(self, other: Self) -> Self {
                self | other
            }
        }
    )*};
}

numbers!(u8 u16 u32 u64);

impl<M: IoMemory> Bench<'_, M> {
    pub(super) fn atomic(&mut self, op: &Op) -> Result<(), String> {
        match op.len {
            1 => self.atomic_of::<u8>(op),
            2 => self.atomic_of::<u16>(op),
            4 => self.atomic_of::<u32>(op),
            _ => self.atomic_of::<u64>(op),
        }
    }

    fn atomic_of<T: Number>(&mut self, op: &Op) -> Result<(), String> {
        let (at, size) = (GuestAddress(op.at), size_of::<T>());
        let access = match op.kind {
            Kind::Load => Permissions::Read,
            Kind::Store => Permissions::Write,
            _ => Permissions::ReadWrite,
        };
        let expected = self.one_piece(op.at, size, access)?;
        let given = T::from_bytes(&op.data(size));
        let was = (expected == Expected::Done(size))
            .then(|| T::from_bytes(&self.model.bytes(op.at, size)));
        let memory = self.memory;
        // What it says, what it shows of before, and what it leaves.
        let (found, shown, left) = match op.kind {
            Kind::Load => {
                if memory.load::<T>(at, Release).is_ok() {
                    return Err("a load was releasing".into());
                }
                let found = memory.load::<T>(at, SeqCst);
                let value = found.as_ref().ok().copied();
                (found.map(drop), value, None)
            }
            Kind::Store => {
                if memory.store(given, at, Acquire).is_ok() {
                    return Err("a store was acquiring".into());
                }
                (memory.store(given, at, SeqCst), was, Some(given))
            }
            Kind::CompareExchange => {
                // Half of them find what they look for.
                let hit = op.stamp.is_multiple_of(2);
                let current = was.map_or(given, |was| {
                    if hit { was } else { was.plus(T::from_bytes(&vec![1; size])) }
                });
                let found = memory.compare_exchange(current, given, at, SeqCst, SeqCst);
                let value = found.as_ref().ok().map(|found| match found {
                    Ok(value) | Err(value) => *value,
                });
                if found.as_ref().is_ok_and(|found| found.is_ok() != hit) {
                    return Err(format!("compare_exchange gave {found:?}, where {was:?} was"));
                }
                (found.map(drop), value, hit.then_some(given))
            }
            Kind::FetchAnd => {
                let found = memory.fetch_and(given, at, SeqCst);
                let value = found.as_ref().ok().copied();
                (found.map(drop), value, was.map(|was| was.and(given)))
            }
            Kind::FetchOr => {
                let found = memory.fetch_or(given, at, SeqCst);
                let value = found.as_ref().ok().copied();
                (found.map(drop), value, was.map(|was| was.or(given)))
            }
            _ => {
                let found = memory.fetch_add(given, at, SeqCst);
                let value = found.as_ref().ok().copied();
                (found.map(drop), value, was.map(|was| was.plus(given)))
            }
        };
        expected.check("it", &found.map(|()| size))?;
        if shown != was {
            return Err(format!("it found {shown:x?}, where {was:x?} was"));
        }
        if let (Some(left), true) = (left, was.is_some()) {
            self.model.put(op.at, left.as_slice());
        }
        Ok(())
    }

    /// What an access to an integer should say.
    fn one_piece(&self, addr: u64, size: usize, access: Permissions) -> Result<Expected, String> {
        let first = match at_hand(self.memory, self.model, addr, size, access)? {
            Some(slice) => Some(slice),
            None => {
                let slices = pieces(self.memory, self.model, self.settings, addr, size, access)?;
                slices.into_iter().next()
            }
        };
        Ok(match (self.model.reach(addr, size), first) {
            ((0, end), _) => end.error(),
            _ if self.refuses(access) => Expected::Refused,
            ((_, End::Complete), Some(slice)) if slice.len() == size => {
                // The address is looked at, and never used.
                let host = slice.ptr_guard().as_ptr() as usize;
                if host.is_multiple_of(size) { Expected::Done(size) } else { Expected::Misaligned }
            }
            _ => Expected::NotContiguous,
        })
    }
}
