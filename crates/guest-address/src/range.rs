//! A non-empty range of guest-physical addresses.

use core::fmt;

use crate::address::Address;
use crate::spaces::{GuestAddress, GuestUsize};

pub use def::GuestRange;

/// The two ends, with everything that can set them.
mod def {
    use super::{GuestAddress, GuestUsize};

    /// A non-empty range of guest-physical addresses, held by its first and its last byte.
    ///
    /// Holding one tells you that the range has at least one byte, that it does not wrap, and that
    /// its length is a `u64`. It does not tell you that any memory is there.
    ///
    /// Its ends are inclusive, because an exclusive end cannot be written down for a range that
    /// ends at the last byte of the address space. There is no empty range, because it would have
    /// no last byte; a length of 0 is met once, in [`new`](Self::new), not in every question below.
    ///
    /// Ranges are in the order of their starts, and of their last bytes where they start alike.
    ///
    /// # Invariants
    ///
    /// * `start <= last`.
    /// * `last - start < u64::MAX`, so the length fits a `u64`. The one range that this rules out
    ///   is that of all 2^64 bytes.
    ///
    /// Nobody can make one that breaks them:
    ///
    /// ```
    /// use guest_address::{GuestAddress, GuestRange};
    ///
    /// let range = GuestRange::from_inclusive(GuestAddress(0x1000), GuestAddress(0x1fff));
    /// assert_eq!(range, GuestRange::new(GuestAddress(0x1000), 0x1000));
    /// ```
    ///
    /// ```compile_fail,E0451
    /// use guest_address::{GuestAddress, GuestRange};
    ///
    /// let range = GuestRange { start: GuestAddress(0x1000), last: GuestAddress(0xfff) };
    /// ```
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub struct GuestRange {
        start: GuestAddress,
        last: GuestAddress,
    }

    impl GuestRange {
        /// Makes the range of `len` bytes from `start` on.
        ///
        /// `None` if `len` is 0, or if the last byte would lie past the end of the address space. A
        /// range may end at the last byte of the address space.
        ///
        /// ```
        /// use guest_address::{GuestAddress, GuestRange};
        ///
        /// const RAM: GuestRange = GuestRange::new(GuestAddress(0x1000), 0x1000).unwrap();
        /// assert_eq!(RAM.last(), GuestAddress(0x1fff));
        ///
        /// let top = GuestAddress(0xffff_ffff_ffff_f000);
        /// assert!(GuestRange::new(top, 0x1000).is_some());
        /// assert_eq!(GuestRange::new(top, 0x1001), None);
        /// assert_eq!(GuestRange::new(top, 0), None);
        /// ```
        #[inline]
        pub const fn new(start: GuestAddress, len: GuestUsize) -> Option<Self> {
            let Some(distance) = len.checked_sub(1) else { return None };
            let Some(last) = start.0.checked_add(distance) else { return None };
            // INVARIANT: `last` is `start` plus `distance` without overflow, and `distance` is at
            // most `u64::MAX - 1`.
            Some(Self { start, last: GuestAddress(last) })
        }

        /// Makes the range from the byte at `start` to the byte at `last`, both included.
        ///
        /// `None` if `last` lies below `start`, or if the range would be the whole address space:
        /// its length, 2^64, is no `u64`.
        ///
        /// ```
        /// use guest_address::{GuestAddress, GuestRange};
        ///
        /// let one = GuestRange::from_inclusive(GuestAddress(7), GuestAddress(7)).unwrap();
        /// assert_eq!(one.len(), 1);
        ///
        /// assert_eq!(GuestRange::from_inclusive(GuestAddress(7), GuestAddress(6)), None);
        /// assert_eq!(GuestRange::from_inclusive(GuestAddress(0), GuestAddress(u64::MAX)), None);
        /// ```
        #[inline]
        pub const fn from_inclusive(start: GuestAddress, last: GuestAddress) -> Option<Self> {
            // INVARIANT: a distance exists only if `start <= last`, and the guard bounds it.
            match last.0.checked_sub(start.0) {
                Some(distance) if distance < GuestUsize::MAX => Some(Self { start, last }),
                _ => None,
            }
        }

        /// Returns the address of the first byte.
        ///
        /// ```
        /// use guest_address::{GuestAddress, GuestRange};
        ///
        /// let range = GuestRange::new(GuestAddress(0x1000), 0x1000).unwrap();
        /// assert_eq!(range.start(), GuestAddress(0x1000));
        /// ```
        #[inline(always)]
        pub const fn start(&self) -> GuestAddress {
            self.start
        }

        /// Returns the address of the last byte, which is part of the range.
        ///
        /// ```
        /// use guest_address::{GuestAddress, GuestRange};
        ///
        /// let range = GuestRange::new(GuestAddress(0x1000), 0x1000).unwrap();
        /// assert_eq!(range.last(), GuestAddress(0x1fff));
        /// ```
        #[inline(always)]
        pub const fn last(&self) -> GuestAddress {
            self.last
        }
    }
}

impl GuestRange {
    /// Returns the number of bytes, which is at least 1.
    ///
    /// There is no `is_empty` beside it: no range is empty, so the answer would be no news.
    ///
    /// ```
    /// use guest_address::{GuestAddress, GuestRange};
    ///
    /// let range = GuestRange::new(GuestAddress(0x1000), 0x1000).unwrap();
    /// assert_eq!(range.len(), 0x1000);
    /// ```
    #[inline(always)]
    pub const fn len(&self) -> GuestUsize {
        // Neither overflows: by the type invariant, `start <= last` and `last - start < u64::MAX`.
        self.last().0 - self.start().0 + 1
    }

    /// Says whether the byte at `addr` is part of the range.
    ///
    /// ```
    /// use guest_address::{GuestAddress, GuestRange};
    ///
    /// let range = GuestRange::new(GuestAddress(0x1000), 0x1000).unwrap();
    /// assert!(range.contains(GuestAddress(0x1fff)));
    /// assert!(!range.contains(GuestAddress(0x2000)));
    /// ```
    #[inline(always)]
    pub fn contains(&self, addr: GuestAddress) -> bool {
        self.start() <= addr && addr <= self.last()
    }

    /// Returns how far `addr` lies above the start, or `None` if it is not part of the range.
    ///
    /// ```
    /// use guest_address::{GuestAddress, GuestRange};
    ///
    /// let range = GuestRange::new(GuestAddress(0x1000), 0x1000).unwrap();
    /// assert_eq!(range.offset_of(GuestAddress(0x1234)), Some(0x234));
    /// assert_eq!(range.offset_of(GuestAddress(0xfff)), None);
    /// assert_eq!(range.offset_of(GuestAddress(0x2000)), None);
    /// ```
    #[inline]
    pub fn offset_of(&self, addr: GuestAddress) -> Option<GuestUsize> {
        addr.checked_offset_from(self.start()).filter(|_| addr <= self.last())
    }

    /// Says whether every byte of `other` is part of this range.
    ///
    /// ```
    /// use guest_address::{GuestAddress, GuestRange};
    ///
    /// let ram = GuestRange::new(GuestAddress(0x1000), 0x1000).unwrap();
    /// let ring = GuestRange::new(GuestAddress(0x1ff0), 0x10).unwrap();
    /// let long = GuestRange::new(GuestAddress(0x1ff0), 0x11).unwrap();
    /// assert!(ram.contains_range(&ring));
    /// assert!(!ram.contains_range(&long));
    /// ```
    #[inline(always)]
    pub fn contains_range(&self, other: &Self) -> bool {
        self.start() <= other.start() && other.last() <= self.last()
    }

    /// Says whether the two ranges have a byte in common.
    ///
    /// ```
    /// use guest_address::{GuestAddress, GuestRange};
    ///
    /// let low = GuestRange::new(GuestAddress(0x1000), 0x1000).unwrap();
    /// let high = GuestRange::new(GuestAddress(0x1fff), 0x1000).unwrap();
    /// let next = GuestRange::new(GuestAddress(0x2000), 0x1000).unwrap();
    /// assert!(low.overlaps(&high));
    /// assert!(!low.overlaps(&next));
    /// ```
    #[inline(always)]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.start() <= other.last() && other.start() <= self.last()
    }

    /// Says whether `other` starts right after this range: no byte in common, none in between.
    ///
    /// It asks about one direction only. A range that ends at the last byte of the address space
    /// is followed by nothing; the next address is not 0.
    ///
    /// ```
    /// use guest_address::{GuestAddress, GuestRange};
    ///
    /// let low = GuestRange::new(GuestAddress(0x1000), 0x1000).unwrap();
    /// let next = GuestRange::new(GuestAddress(0x2000), 0x1000).unwrap();
    /// assert!(low.is_followed_by(&next));
    /// assert!(!next.is_followed_by(&low));
    /// ```
    #[inline]
    pub fn is_followed_by(&self, other: &Self) -> bool {
        self.last().checked_add(1) == Some(other.start())
    }

    /// Returns the bytes that both ranges have, or `None` if there are none.
    ///
    /// ```
    /// use guest_address::{GuestAddress, GuestRange};
    ///
    /// let low = GuestRange::new(GuestAddress(0x1000), 0x1000).unwrap();
    /// let high = GuestRange::new(GuestAddress(0x1ff0), 0x1000).unwrap();
    /// let next = GuestRange::new(GuestAddress(0x2000), 0x1000).unwrap();
    /// assert_eq!(low.intersection(&high), GuestRange::new(GuestAddress(0x1ff0), 0x10));
    /// assert_eq!(low.intersection(&next), None);
    /// ```
    #[inline]
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        // The ends cross exactly if no byte is in both; `from_inclusive` sees that.
        Self::from_inclusive(self.start().max(other.start()), self.last().min(other.last()))
    }
}

/// Both ends in hex, both included, in full width so that a list of ranges lines up.
///
/// ```
/// use guest_address::{GuestAddress, GuestRange};
///
/// let range = GuestRange::new(GuestAddress(0x1000), 0x1000).unwrap();
/// assert_eq!(range.to_string(), "[0x0000000000001000, 0x0000000000001fff]");
/// ```
impl fmt::Display for GuestRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{:#018x}, {:#018x}]", self.start(), self.last())
    }
}
