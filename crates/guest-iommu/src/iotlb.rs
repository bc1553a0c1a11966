//! The table of translations.

use std::fmt;
use std::ops::RangeInclusive;

use guest_address::{GuestAddress, GuestRange};
use guest_memory::Permissions;
use rangemap::RangeInclusiveMap;

use crate::error::Error;
use crate::ranges::Asked;

/// Where a run of addresses is mapped to.
///
/// Neighbours in the table become one run if their values are equal, so equal values must mean one straight line: the same
/// distance, in the same direction. The target's start would not do, as two pages may be mapped to the same one. Nor would the
/// distance modulo 2^64 do: where one page is mapped to the last page there is and the next one to page 0, that is equal,
/// and the line breaks between them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mapping {
    /// What to add to an address, modulo 2^64.
    distance: u64,
    /// Whether the target lies below.
    down: bool,
    permissions: Permissions,
}

impl Mapping {
    /// The guest address that `iova` is mapped to, which must be in the run.
    #[inline]
    pub(crate) fn target(self, iova: GuestAddress) -> GuestAddress {
        // It wraps exactly where the target lies below, by the meaning of the fields.
        GuestAddress(iova.0.wrapping_add(self.distance))
    }

    #[inline]
    pub(crate) fn allows(self, access: Permissions) -> bool {
        self.permissions.allow(access)
    }
}

/// A table of translations: which ranges of a device's addresses are mapped to which guest addresses, and for
/// what.
///
/// It is a cache, as in hardware: what is missing may be asked for elsewhere, what is invalidated must be taken out. It knows
/// no pages; ranges may start and end at any byte, and may hold the last address there is.
///
/// The table grows with what is mapped, and whoever may map can make it grow; [`len`](Self::len) tells an
/// [`Iommu`](crate::Iommu) when to throw out what it can ask for again.
///
/// ```
/// use guest_iommu::{GuestAddress, Iotlb, MappedRange};
/// use guest_memory::Permissions::{Read, Write};
///
/// let mut iotlb = Iotlb::new();
/// iotlb.set_mapping(GuestAddress(0x1000), GuestAddress(0x8000), 0x2000, Read)?;
///
/// let mapped: Vec<_> = Iotlb::lookup(&iotlb, GuestAddress(0x1ff0), 0x20, Read).unwrap().collect();
/// assert_eq!(mapped, [MappedRange { base: GuestAddress(0x8ff0), length: 0x20 }]);
/// assert!(Iotlb::lookup(&iotlb, GuestAddress(0x1ff0), 0x20, Write).is_err());
/// # Ok::<(), guest_iommu::Error>(())
/// ```
///
/// # Invariants
///
/// Every address of a run has a target: adding the distance to it wraps exactly if the target lies below.
#[derive(Clone, Default)]
pub struct Iotlb {
    runs: RangeInclusiveMap<u64, Mapping>,
}

impl Iotlb {
    /// A table without mappings.
    ///
    /// ```
    /// use guest_iommu::Iotlb;
    /// assert!(Iotlb::new().is_empty());
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Maps `length` bytes from `iova` on to those from `map_to` on, for accesses that `perm` permits. What was mapped there
    /// before is replaced. A length of 0 maps nothing.
    ///
    /// # Errors
    ///
    /// [`Overflow`](Error::Overflow) if either range passes the end of the address space; the table is as it was then.
    ///
    /// ```
    /// use guest_iommu::{GuestAddress, Iotlb};
    /// use guest_memory::Permissions;
    ///
    /// let (mut iotlb, top) = (Iotlb::new(), GuestAddress(u64::MAX - 0xfff));
    /// iotlb.set_mapping(top, GuestAddress(0x8000), 0x1000, Permissions::ReadWrite)?;
    /// assert!(iotlb.set_mapping(top, GuestAddress(0x8000), 0x1001, Permissions::Read).is_err());
    /// assert!(iotlb.set_mapping(GuestAddress(0), top, 0x1001, Permissions::Read).is_err());
    /// # Ok::<(), guest_iommu::Error>(())
    /// ```
    pub fn set_mapping(
        &mut self,
        iova: GuestAddress,
        map_to: GuestAddress,
        length: usize,
        perm: Permissions,
    ) -> Result<(), Error> {
        let range = match Asked::new(iova, length) {
            Asked::Nothing => return Ok(()),
            Asked::Bytes(range) => range,
            Asked::PastTheTop => return Err(Error::Overflow { base: iova, length }),
        };
        let Asked::Bytes(_) = Asked::new(map_to, length) else {
            return Err(Error::Overflow { base: map_to, length });
        };
        // INVARIANT: the last target is an address, so no sum passes the top but by the distance being negative.
        let mapping = Mapping {
            distance: map_to.0.wrapping_sub(iova.0),
            down: map_to < iova,
            permissions: perm,
        };
        self.runs.insert(inclusive(&range), mapping);
        Ok(())
    }

    /// Takes out what is mapped in the `length` bytes from `iova` on. What is mapped beside them stays, also of a mapping
    /// that they cut in two. A length of 0 takes out nothing.
    ///
    /// Slices that were translated before [stay usable](crate#the-lease); to wait for them is
    /// [`IommuMemory::past_leases`](crate::IommuMemory::past_leases).
    ///
    /// # Errors
    ///
    /// [`Overflow`](Error::Overflow) if the range passes the end of the address space. Everything from `iova` up is
    /// taken out then: to forget too much costs a lookup, to forget too little would be a hole.
    ///
    /// ```
    /// use guest_iommu::{GuestAddress, Iotlb};
    /// use guest_memory::Permissions::Read;
    ///
    /// let mut iotlb = Iotlb::new();
    /// iotlb.set_mapping(GuestAddress(0x1000), GuestAddress(0x8000), 0x3000, Read)?;
    /// iotlb.invalidate_mapping(GuestAddress(0x2000), 0x1000)?;
    /// assert!(Iotlb::lookup(&iotlb, GuestAddress(0x1000), 0x1000, Read).is_ok());
    /// assert!(Iotlb::lookup(&iotlb, GuestAddress(0x2000), 0x1000, Read).is_err());
    /// assert!(Iotlb::lookup(&iotlb, GuestAddress(0x3000), 0x1000, Read).is_ok());
    /// # Ok::<(), guest_iommu::Error>(())
    /// ```
    pub fn invalidate_mapping(&mut self, iova: GuestAddress, length: usize) -> Result<(), Error> {
        match Asked::new(iova, length) {
            Asked::Nothing => Ok(()),
            Asked::Bytes(range) => {
                self.runs.remove(inclusive(&range));
                Ok(())
            }
            Asked::PastTheTop => {
                self.runs.remove(iova.0..=u64::MAX);
                Err(Error::Overflow { base: iova, length })
            }
        }
    }

    /// Takes out all mappings.
    ///
    /// ```
    /// use guest_iommu::{GuestAddress, Iotlb};
    /// use guest_memory::Permissions;
    ///
    /// let mut iotlb = Iotlb::new();
    /// iotlb.set_mapping(GuestAddress(0x1000), GuestAddress(0x8000), 0x1000, Permissions::Read)?;
    /// iotlb.invalidate_all();
    /// assert!(iotlb.is_empty());
    /// # Ok::<(), guest_iommu::Error>(())
    /// ```
    pub fn invalidate_all(&mut self) {
        self.runs.clear();
    }

    /// How many entries the table has. Neighbours that go on in a straight line, with the same permissions, are one.
    ///
    /// ```
    /// use guest_iommu::{GuestAddress, Iotlb};
    /// use guest_memory::Permissions::Read;
    ///
    /// let mut iotlb = Iotlb::new();
    /// iotlb.set_mapping(GuestAddress(0x1000), GuestAddress(0x8000), 0x1000, Read)?;
    /// iotlb.set_mapping(GuestAddress(0x2000), GuestAddress(0x9000), 0x1000, Read)?;
    /// assert_eq!(iotlb.len(), 1);
    /// iotlb.set_mapping(GuestAddress(0x3000), GuestAddress(0x9000), 0x1000, Read)?;
    /// assert_eq!(iotlb.len(), 2);
    /// # Ok::<(), guest_iommu::Error>(())
    /// ```
    pub fn len(&self) -> usize {
        self.runs.len()
    }

    /// Whether nothing is mapped.
    ///
    /// ```
    /// use guest_iommu::Iotlb;
    /// assert!(Iotlb::default().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The last address of the run that `iova` is in, and where the run is mapped to.
    #[inline]
    pub(crate) fn run_at(&self, iova: GuestAddress) -> Option<(GuestAddress, Mapping)> {
        let (run, mapping) = self.runs.get_key_value(&iova.0)?;
        Some((GuestAddress(*run.end()), *mapping))
    }

    /// The parts of `range` that are mapped, from the bottom up.
    pub(crate) fn runs_in(&self, range: GuestRange) -> impl Iterator<Item = (GuestRange, Mapping)> {
        self.runs.overlapping(inclusive(&range)).filter_map(move |(run, mapping)| {
            let start = range.start().0.max(*run.start());
            let last = range.last().0.min(*run.end());
            // They overlap, and the part is no longer than `range`: it is never `None`.
            GuestRange::from_inclusive(GuestAddress(start), GuestAddress(last))
                .map(|part| (part, *mapping))
        })
    }
}

fn inclusive(range: &GuestRange) -> RangeInclusive<u64> {
    range.start().0..=range.last().0
}

impl fmt::Debug for Iotlb {
    /// Shows the entries, in hex.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.runs.iter().map(|(run, mapping)| {
            let (start, last) = (*run.start(), *run.end());
            let target = mapping.target(GuestAddress(start));
            let permissions = mapping.permissions;
            (format!("[{start:#x}, {last:#x}]"), format!("{target} ({permissions})"))
        });
        f.write_str("Iotlb ")?;
        let mut map = f.debug_map();
        for (run, target) in entries {
            map.entry(&format_args!("{run}"), &format_args!("{target}"));
        }
        map.finish()
    }
}
