//! A table of pages, which knows no ranges.

use std::collections::BTreeMap;

use guest_iommu::{GuestAddress, IotlbFails, IovaRange, MappedRange};
use guest_memory::Permissions;
use proptest::prelude::*;

/// The pages of a window.
pub(super) const WINDOW: u64 = 8;

pub(super) fn permissions() -> impl Strategy<Value = Permissions> {
    prop_oneof![
        1 => Just(Permissions::No),
        1 => Just(Permissions::Read),
        1 => Just(Permissions::Write),
        4 => Just(Permissions::ReadWrite),
    ]
}

/// A page at the bottom, at the middle or at the top of the address space.
pub(super) fn page(size: u64) -> impl Strategy<Value = u64> {
    let top = u64::MAX / size - (WINDOW - 1);
    (prop_oneof![1 => Just(0), 1 => Just(top / 2), 2 => Just(top)], 0..WINDOW)
        .prop_map(move |(window, page)| (window + page) * size)
}

/// Which guest page each page is mapped to, and for what. Pages are numbers; the last one ends at the top.
pub(super) struct Pages {
    pub(super) size: u128,
    pub(super) pages: BTreeMap<u128, (u128, Permissions)>,
}

/// What a byte is, as a lookup sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Seen {
    Miss,
    Denied(u128, Permissions),
    Mapped(u128, Permissions),
}

impl Seen {
    /// What the byte `count` bytes on is, if it goes on like this.
    fn on(self, count: u128) -> Self {
        match self {
            Self::Miss => Self::Miss,
            Self::Denied(gpa, perm) => Self::Denied(gpa + count, perm),
            Self::Mapped(gpa, perm) => Self::Mapped(gpa + count, perm),
        }
    }
}

impl Pages {
    pub(super) fn new(size: u64) -> Self {
        Self { size: u128::from(size), pages: BTreeMap::new() }
    }

    /// The pages of `len` bytes from `addr` on, unless they pass the top.
    pub(super) fn numbers(&self, addr: u64, len: usize) -> Option<std::ops::Range<u128>> {
        let (addr, len) = (u128::from(addr), len as u128);
        (addr + len <= 1 << 64).then(|| addr / self.size..(addr + len) / self.size)
    }

    /// What the bytes of a range are, as runs of bytes that go on alike.
    fn runs(&self, iova: u64, len: usize, access: Permissions) -> Vec<(u128, u128, Seen)> {
        let (start, end) = (u128::from(iova), u128::from(iova) + len as u128);
        let mut runs: Vec<(u128, u128, Seen)> = Vec::new();
        let mut addr = start;
        while addr < end {
            let (number, offset) = (addr / self.size, addr % self.size);
            let here = (self.size - offset).min(end - addr);
            let seen = match self.pages.get(&number) {
                None => Seen::Miss,
                Some(&(gpa, perm)) if perm.allow(access) => {
                    Seen::Mapped(gpa * self.size + offset, perm)
                }
                Some(&(gpa, perm)) => Seen::Denied(gpa * self.size + offset, perm),
            };
            match runs.last_mut() {
                Some((_, len, before)) if before.on(*len) == seen => *len += here,
                _ => runs.push((addr, here, seen)),
            }
            addr += here;
        }
        runs
    }

    /// What a lookup has to say.
    pub(super) fn lookup(
        &self,
        iova: u64,
        len: usize,
        access: Permissions,
    ) -> Result<Vec<MappedRange>, IotlbFails> {
        let base = |addr: u128| GuestAddress(addr as u64);
        if u128::from(iova) + len as u128 > 1 << 64 {
            let misses = vec![IovaRange { base: GuestAddress(iova), length: len }];
            return Err(IotlbFails { misses, access_fails: vec![] });
        }
        let mut mapped = Vec::new();
        let mut fails = IotlbFails { misses: vec![], access_fails: vec![] };
        for (addr, len, seen) in self.runs(iova, len, access) {
            let (failed, length) =
                (IovaRange { base: base(addr), length: len as usize }, len as usize);
            match seen {
                Seen::Miss => fails.misses.push(failed),
                Seen::Denied(..) => fails.access_fails.push(failed),
                Seen::Mapped(gpa, _) => mapped.push(MappedRange { base: base(gpa), length }),
            }
        }
        if fails.misses.is_empty() && fails.access_fails.is_empty() {
            Ok(mapped)
        } else {
            Err(fails)
        }
    }
}
