//! An address type of another crate gets right answers from the provided methods: all of them,
//! for an address space so small that every case can be tried.

use core::ops::{BitAnd, BitOr};

use guest_address::{Address, AddressValue};

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Ord, PartialOrd)]
struct PortAddress(u8);

impl AddressValue for PortAddress {
    type V = u8;
}

impl Address for PortAddress {
    fn new(addr: u8) -> Self {
        Self(addr)
    }
    fn raw_value(&self) -> u8 {
        self.0
    }
    fn checked_offset_from(&self, base: Self) -> Option<u8> {
        self.0.checked_sub(base.0)
    }
    fn checked_add(&self, other: u8) -> Option<Self> {
        self.0.checked_add(other).map(Self)
    }
    fn overflowing_add(&self, other: u8) -> (Self, bool) {
        let (sum, wrapped) = self.0.overflowing_add(other);
        (Self(sum), wrapped)
    }
    fn unchecked_add(&self, offset: u8) -> Self {
        Self(self.0 + offset)
    }
    fn checked_sub(&self, other: u8) -> Option<Self> {
        self.0.checked_sub(other).map(Self)
    }
    fn overflowing_sub(&self, other: u8) -> (Self, bool) {
        let (difference, wrapped) = self.0.overflowing_sub(other);
        (Self(difference), wrapped)
    }
    fn unchecked_sub(&self, other: u8) -> Self {
        Self(self.0 - other)
    }
}

impl BitAnd<u8> for PortAddress {
    type Output = Self;
    fn bitand(self, mask: u8) -> Self {
        Self(self.0 & mask)
    }
}

impl BitOr<u8> for PortAddress {
    type Output = Self;
    fn bitor(self, bits: u8) -> Self {
        Self(self.0 | bits)
    }
}

/// Every address with every other number.
fn all_pairs() -> impl Iterator<Item = (PortAddress, u8)> {
    (0..=u8::MAX).flat_map(|addr| (0..=u8::MAX).map(move |other| (PortAddress(addr), other)))
}

#[test]
fn alignment_is_a_search_for_the_next_multiple() {
    for (addr, alignment) in all_pairs() {
        // The model looks for multiples one by one; no bit is masked in it.
        let is_multiple =
            |candidate: &u8| alignment.is_power_of_two() && candidate.is_multiple_of(alignment);
        let up = (addr.0..=u8::MAX).find(is_multiple);
        let down = (0..=addr.0).rev().find(is_multiple);
        let aligned = alignment.is_power_of_two().then(|| is_multiple(&addr.0));

        assert_eq!(addr.checked_align_up(alignment), up.map(PortAddress));
        assert_eq!(addr.checked_align_down(alignment), down.map(PortAddress));
        assert_eq!(addr.checked_is_aligned(alignment), aligned);
        if let Some(up) = up {
            assert_eq!(addr.unchecked_align_up(alignment), PortAddress(up));
        }
    }
}

#[test]
fn masks_and_offsets_are_those_of_the_raw_value() {
    for (addr, other) in all_pairs() {
        assert_eq!(addr.mask(other), addr.0 & other);
        if let Some(offset) = addr.checked_offset_from(PortAddress(other)) {
            assert_eq!(addr.unchecked_offset_from(PortAddress(other)), offset);
        }
    }
    assert_eq!((PortAddress::zero(), PortAddress::one()), (0, 1));
}
