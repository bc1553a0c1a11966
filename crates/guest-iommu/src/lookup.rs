//! The question to the table: is all of a range mapped, and to what?

use std::fmt;
use std::iter::FusedIterator;
use std::ops::Deref;

use guest_address::{GuestAddress, GuestRange};
use guest_memory::Permissions;

use crate::error::Error;
use crate::iotlb::Iotlb;
use crate::ranges::{Asked, IovaRange, MappedRange, length};

/// Which parts of a range could not be looked up. All of them lie in the range.
///
/// As an error it names the first part.
///
/// ```
/// use guest_iommu::{GuestAddress, Iotlb, IovaRange};
/// use guest_memory::Permissions::{Read, Write};
///
/// let mut iotlb = Iotlb::new();
/// iotlb.set_mapping(GuestAddress(0x1000), GuestAddress(0x8000), 0x1000, Read)?;
/// let fails = Iotlb::lookup(&iotlb, GuestAddress(0x800), 0x1000, Write).unwrap_err();
/// assert_eq!(fails.misses, [IovaRange { base: GuestAddress(0x800), length: 0x800 }]);
/// assert_eq!(fails.access_fails, [IovaRange { base: GuestAddress(0x1000), length: 0x800 }]);
/// # Ok::<(), guest_iommu::Error>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IotlbFails {
    /// Those that are not mapped.
    pub misses: Vec<IovaRange>,
    /// Those that are mapped, but not for the access.
    pub access_fails: Vec<IovaRange>,
}

impl IotlbFails {
    fn is_empty(&self) -> bool {
        self.misses.is_empty() && self.access_fails.is_empty()
    }

    /// The error of a translation of `length` bytes from `iova` on that these are the reason for.
    ///
    /// ```
    /// use guest_iommu::{Error, GuestAddress, Iotlb};
    /// use guest_memory::Permissions;
    ///
    /// let fails = Iotlb::lookup(&Iotlb::new(), GuestAddress(0x1000), 4, Permissions::Read).unwrap_err();
    /// let error = fails.cannot_resolve(GuestAddress(0x1000), 4);
    /// assert!(matches!(error, Error::CannotResolve { .. }));
    /// ```
    pub fn cannot_resolve(&self, iova: GuestAddress, length: usize) -> Error {
        let iova_range = IovaRange { base: iova, length };
        Error::CannotResolve { iova_range, reason: self.to_string() }
    }
}

impl fmt::Display for IotlbFails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.misses.first(), self.access_fails.first()) {
            (Some(miss), _) => write!(f, "{miss} are not mapped")?,
            (None, Some(fail)) => write!(f, "{fail} are not mapped for the access")?,
            (None, None) => f.write_str("nothing failed")?,
        }
        match self.misses.len() + self.access_fails.len() {
            0 | 1 => Ok(()),
            count => write!(f, ", and {:#x} other ranges", count - 1),
        }
    }
}

impl std::error::Error for IotlbFails {}

/// The guest addresses that a range of a device's addresses is mapped to, piece by piece, in the order of the range.
///
/// It holds `D`, which is often the guard of a lock on the table. Take what is needed of it and let it go before anything else
/// is translated: a second guard of the same thread can wait for ever behind a writer that waits for the first.
///
/// ```
/// use guest_iommu::{GuestAddress, Iotlb, MappedRange};
/// use guest_memory::Permissions::Read;
///
/// let mut iotlb = Iotlb::new();
/// iotlb.set_mapping(GuestAddress(0x1000), GuestAddress(0x8000), 0x1000, Read)?;
/// iotlb.set_mapping(GuestAddress(0x2000), GuestAddress(0x4000), 0x1000, Read)?;
/// let mut pieces = Iotlb::lookup(&iotlb, GuestAddress(0x1ff0), 0x20, Read).unwrap();
/// assert_eq!(pieces.next(), Some(MappedRange { base: GuestAddress(0x8ff0), length: 0x10 }));
/// assert_eq!(pieces.next(), Some(MappedRange { base: GuestAddress(0x4000), length: 0x10 }));
/// assert_eq!(pieces.next(), None);
/// # Ok::<(), guest_iommu::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct IotlbIterator<D: Deref<Target = Iotlb>> {
    iotlb: D,
    access: Permissions,
    /// The next piece, if it is known already.
    head: Option<MappedRange>,
    /// The range from there on.
    rest: Option<GuestRange>,
}

impl Iotlb {
    /// What `length` bytes from `iova` on are mapped to, if all of them are mapped, and for `access`.
    ///
    /// No byte is mapped to nothing, wherever it is.
    ///
    /// # Errors
    ///
    /// If some are not: which, clipped to what was asked for. A range that passes the end of the address space is a miss
    /// as a whole, and no mapping will ever help it.
    ///
    /// ```
    /// use guest_iommu::{GuestAddress, Iotlb};
    /// use guest_memory::Permissions::ReadWrite;
    ///
    /// let mut iotlb = Iotlb::new();
    /// let last = GuestAddress(u64::MAX);
    /// iotlb.set_mapping(last, GuestAddress(0x8000), 1, ReadWrite)?;
    /// assert!(Iotlb::lookup(&iotlb, last, 1, ReadWrite).is_ok());
    /// assert!(Iotlb::lookup(&iotlb, last, 2, ReadWrite).is_err());
    /// # Ok::<(), guest_iommu::Error>(())
    /// ```
    pub fn lookup<D: Deref<Target = Self>>(
        this: D,
        iova: GuestAddress,
        length: usize,
        access: Permissions,
    ) -> Result<IotlbIterator<D>, IotlbFails> {
        let range = match Asked::new(iova, length) {
            Asked::Bytes(range) => range,
            Asked::Nothing => {
                return Ok(IotlbIterator { iotlb: this, access, head: None, rest: None });
            }
            Asked::PastTheTop => {
                let misses = vec![IovaRange { base: iova, length }];
                return Err(IotlbFails { misses, access_fails: Vec::new() });
            }
        };
        // Nearly always all of it is in one run.
        if let Some((head, None)) = this.head_of(range, access) {
            return Ok(IotlbIterator { iotlb: this, access, head: Some(head), rest: None });
        }
        let fails = this.fails_of(range, access);
        if fails.is_empty() {
            Ok(IotlbIterator { iotlb: this, access, head: None, rest: Some(range) })
        } else {
            Err(fails)
        }
    }

    /// What the start of the range is mapped to, as far as it is one piece, and the rest of the range.
    #[inline]
    fn head_of(
        &self,
        range: GuestRange,
        access: Permissions,
    ) -> Option<(MappedRange, Option<GuestRange>)> {
        let (run_last, mapping) = self.run_at(range.start())?;
        if !mapping.allows(access) {
            return None;
        }
        let last = run_last.min(range.last());
        let head = GuestRange::from_inclusive(range.start(), last)?;
        let mapped = MappedRange { base: mapping.target(head.start()), length: length(&head) };
        Some((mapped, after(last, range)))
    }

    /// The parts of the range that are not mapped, or not for the access.
    fn fails_of(&self, range: GuestRange, access: Permissions) -> IotlbFails {
        let mut fails = IotlbFails { misses: Vec::new(), access_fails: Vec::new() };
        let mut rest = Some(range);
        for (part, mapping) in self.runs_in(range) {
            if let Some(hole) = rest.and_then(|rest| before(part.start(), rest)) {
                fails.misses.push(iovas(&hole));
            }
            if !mapping.allows(access) {
                fails.access_fails.push(iovas(&part));
            }
            rest = after(part.last(), range);
        }
        fails.misses.extend(rest.as_ref().map(iovas));
        fails
    }
}

/// The part of `range` below `addr`.
fn before(addr: GuestAddress, range: GuestRange) -> Option<GuestRange> {
    GuestRange::from_inclusive(range.start(), GuestAddress(addr.0.checked_sub(1)?))
}

/// The part of `range` above `addr`.
#[inline]
fn after(addr: GuestAddress, range: GuestRange) -> Option<GuestRange> {
    GuestRange::from_inclusive(GuestAddress(addr.0.checked_add(1)?), range.last())
}

fn iovas(range: &GuestRange) -> IovaRange {
    IovaRange { base: range.start(), length: length(range) }
}

impl<D: Deref<Target = Iotlb>> Iterator for IotlbIterator<D> {
    type Item = MappedRange;

    fn next(&mut self) -> Option<MappedRange> {
        if let Some(head) = self.head.take() {
            return Some(head);
        }
        // The lookup found all of it. A `D` that is another table by now is the end, and no panic.
        let (head, rest) = self.iotlb.head_of(self.rest.take()?, self.access)?;
        self.rest = rest;
        Some(head)
    }
}

impl<D: Deref<Target = Iotlb>> FusedIterator for IotlbIterator<D> {}
