//! Which layouts get which table, and that the likely slot of an address is the right one in nearly all cases.

use alloc::sync::Arc;
use alloc::vec::Vec;

use guest_address::{GuestAddress, GuestRange};

use super::{Slot, Table, graded_index};
use crate::lent::SliceRegion;
use crate::region::GuestMemoryRegion;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// A table of ranges, each a start and a length; the memory behind each is a byte.
fn table(ranges: &[(u64, u64)]) -> Table<SliceRegion<'static>> {
    let slot = |&(start, len): &(u64, u64)| {
        let byte = alloc::vec![0].leak();
        let range = GuestRange::new(GuestAddress(start), len).unwrap();
        let region = SliceRegion::new(range.start(), byte).unwrap();
        (range, Slot::new(range, Arc::new(region)))
    };
    Table::new(ranges.iter().map(slot).collect())
}

impl Table<SliceRegion<'static>> {
    /// The start of the region that the first look suggests.
    fn guess(&self, addr: u64) -> Option<u64> {
        let region = self.likely(GuestAddress(addr))?.region()?;
        Some(region.start_addr().0)
    }

    /// The addresses, out of these, at which the first look suggests another region than this.
    fn misses(&self, start: u64, addresses: impl IntoIterator<Item = u64>) -> Vec<u64> {
        addresses.into_iter().filter(|&addr| self.guess(addr) != Some(start)).collect()
    }
}

#[test]
fn neighbours_get_even_steps_and_one_slot_each() {
    let ranges: Vec<_> = (0..512).map(|number| (number * 128 * MIB, 128 * MIB)).collect();
    let table = table(&ranges);
    assert_eq!((table.even.len(), table.graded.len(), table.shift), (512, 0, 27));
    for (start, len) in ranges {
        assert!(table.misses(start, [start, start + len / 2, start + len - 1]).is_empty());
    }
}

#[test]
fn memory_around_the_hole_below_4_gib_gets_even_steps() {
    let ranges = [(0, 3 * GIB), (4 * GIB, 60 * GIB)];
    let table = table(&ranges);
    assert_eq!((table.even.len(), table.graded.len(), table.shift), (16, 0, 32));
    for (start, len) in ranges {
        assert!(table.misses(start, [start, start + len / 2, start + len - 1]).is_empty());
    }
}

// A PC's memory: the hole of 384 KiB, or less, below 1 MiB would need very many even steps.
#[test]
fn small_holes_below_much_memory_get_graded_steps() {
    for second in [768 * KIB, 896 * KIB, MIB] {
        for last in [8 * GIB, 64 * GIB, 1024 * GIB, u64::MAX - 4 * GIB] {
            let ranges = [(0, 640 * KIB), (second, 3 * GIB - second), (4 * GIB, last)];
            let table = table(&ranges);
            assert!(table.even.is_empty());
            assert!(table.graded.len() < 500, "{}", table.graded.len());
            for (start, len) in ranges {
                let addresses = [start, start + len / 3, start + len / 2, start + len - 1];
                assert!(table.misses(start, addresses).is_empty(), "{start:#x}");
            }
        }
    }
}

#[test]
fn one_region_gets_one_slot_or_two() {
    for (start, len) in
        [(0, 1), (0x1000, 0x1000), (5 * GIB, 1024 * GIB), (u64::MAX, 1), (1, u64::MAX)]
    {
        let table = table(&[(start, len)]);
        assert!(table.even.len() <= 2 && table.graded.is_empty());
        assert!(table.misses(start, [start, start + (len - 1)]).is_empty());
    }
}

// The map is searched for those that get no slot; they have one behind the others.
#[test]
fn where_regions_share_a_slot_the_longest_has_it() {
    let many = 1 << 50;
    let ranges = [(many, 1), (many + 1, 5), (many + 6, 0x1000), (many + 0x2000, 2)];
    let table = table(&ranges);
    assert_eq!(table.graded.len(), graded_index(GuestAddress(many)) + 1 + 3);
    assert_eq!(table.guess(many), Some(many + 6));
    for (start, len) in ranges {
        let (region, at) = table.find(GuestAddress(start + len - 1)).unwrap();
        assert_eq!((region.start_addr().0, at.0), (start, len - 1));
    }
    let listed: Vec<_> = table.regions().map(|region| region.start_addr().0).collect();
    assert_eq!(listed, ranges.map(|(start, _)| start));
    assert_eq!(table.to_vec().len(), 4);
}

// A slot is a guess: what an address in a hole selects is not its region.
#[test]
fn a_wrong_guess_is_not_believed() {
    let table = table(&[(0x1000, 0x10), (0x8000, 0x10)]);
    for addr in [0, 0xfff, 0x1010, 0x7fff, 0x8010, u64::MAX] {
        assert!(table.find(GuestAddress(addr)).is_none());
        assert!(table.find_slice(GuestAddress(addr), 1).is_none());
        assert!(!table.holds(GuestAddress(addr), 1));
    }
}

#[test]
fn an_empty_table_has_nothing_anywhere() {
    for table in [Table::empty(), table(&[])] {
        assert_eq!((table.len(), table.regions().count()), (0, 0));
        assert!(table.find(GuestAddress(0)).is_none());
        assert!(table.find(GuestAddress(u64::MAX)).is_none());
    }
}

#[test]
fn graded_steps_rise_without_a_gap() {
    let mut last = 0;
    assert_eq!(graded_index(GuestAddress(0)), 0);
    // Every address up to here, and the ends of every step above.
    let small = 1..0x1000_u64;
    let large = (12..64).flat_map(|power| (8..16).map(move |part| part << (power - 3)));
    for addr in small.chain(large) {
        let (below, here) =
            (graded_index(GuestAddress(addr - 1)), graded_index(GuestAddress(addr)));
        assert!(below == last, "{addr:#x}");
        assert!(here == last || here == last + 1, "{addr:#x}");
        last = here;
    }
    assert_eq!(graded_index(GuestAddress(u64::MAX)), 495);
}
