//! Which layouts get which table, and that the likely place of an address is the right one in nearly all cases.

use alloc::sync::Arc;
use alloc::vec::Vec;

use guest_address::{GuestAddress, GuestRange};

use super::{Joints, PLACES_MIN, STEPS_MAX, STEPS_MIN, Table, lay_out, slot};
use crate::lent::SliceRegion;
use crate::region::GuestMemoryRegion;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// The bytes of memory at the start of each range of [`table`].
const MEMORY: usize = 64;

/// A table of ranges, each a start and a length, with memory at the start.
fn table(ranges: &[(u64, u64)]) -> Table<SliceRegion<'static>> {
    let with_slot = |&(start, len): &(u64, u64)| {
        let memory = alloc::vec![0; MEMORY].leak();
        let range = GuestRange::new(GuestAddress(start), len).unwrap();
        // The region may be said to have more or fewer bytes, but passes no end.
        let at = start.min(u64::MAX - MEMORY as u64);
        let region = SliceRegion::new(GuestAddress(at), memory).unwrap();
        (range, slot(range, Arc::new(region)))
    };
    let (ranges, slots) = ranges.iter().map(with_slot).unzip();
    Table::new(ranges, slots)
}

impl Table<SliceRegion<'static>> {
    /// The number of steps or places by which an address selects.
    fn selected(&self) -> usize {
        (0..).find(|&number| self.regions.place(number).is_none()).unwrap()
    }

    /// Whether the first look suggests, for each of these addresses, the region that starts at `start`.
    fn finds(&self, start: u64, addresses: impl IntoIterator<Item = u64>) -> bool {
        let steps = lay_out(&self.ranges, self.shift);
        let index = |addr: u64| steps[(addr >> self.shift) as usize] as usize;
        // What has memory shows that the place is of that region too, unless it is too little for a place.
        let has_memory = self.find_slice(GuestAddress(start), 1).is_some();
        let few = self.find_slot(GuestAddress(start)).unwrap().1.len() < 16;
        (has_memory || few)
            && addresses.into_iter().all(|addr| self.ranges[index(addr)].start().0 == start)
    }
}

#[test]
fn neighbours_get_one_place_each() {
    let ranges: Vec<_> = (0..512).map(|number| (number * 128 * MIB, 128 * MIB)).collect();
    let table = table(&ranges);
    assert_eq!((table.slots.places(), table.slots.steps(), table.shift), (512, 0, 27));
    for (start, len) in ranges {
        assert!(table.finds(start, [start, start + len / 2, start + len - 1]));
    }
}

#[test]
fn memory_around_the_hole_below_4_gib_gets_few_places() {
    let ranges = [(0, 3 * GIB), (4 * GIB, 60 * GIB)];
    let table = table(&ranges);
    assert_eq!((table.slots.places(), table.slots.steps(), table.shift), (16, 0, 32));
    for (start, len) in ranges {
        assert!(table.finds(start, [start, start + len / 2, start + len - 1]));
    }
}

// A PC's memory: the hole of 384 KiB, or less, below 1 MiB would need very many places.
#[test]
fn small_holes_below_much_memory_get_steps() {
    for second in [768 * KIB, 896 * KIB, MIB] {
        for last in [4 * GIB, 60 * GIB, 252 * GIB, 1020 * GIB] {
            let ranges = [(0, 640 * KIB), (second, 3 * GIB - second), (4 * GIB, last)];
            let table = table(&ranges);
            // The three, and one that is vacant.
            assert_eq!(table.slots.places(), 4);
            let steps = (4 * GIB + last) >> table.shift;
            assert_eq!((table.slots.steps() as u64, table.selected() as u64), (steps, steps));
            assert!(steps <= STEPS_MAX && steps <= (4 * GIB + last) / (256 * KIB));
            for (start, len) in ranges {
                let addresses = [start, start + len / 3, start + len / 2, start + len - 1];
                // Where steps small enough would be too many, the smallest region goes without.
                if start != 0 || second == MIB || last < 1020 * GIB {
                    assert!(table.finds(start, addresses), "{start:#x} {second:#x} {last:#x}");
                }
            }
            assert!(table.find_slice(GuestAddress(second - 1), 1).is_none());
            assert!(table.find(GuestAddress(640 * KIB - 1)).is_some());
            assert!(table.find(GuestAddress(640 * KIB)).is_none());
        }
    }
}

#[test]
fn a_pc_with_very_many_dimms_gets_steps_too() {
    let mut ranges = Vec::from([(0, 640 * KIB), (MIB, 3 * GIB - MIB)]);
    ranges.extend((0..510).map(|number| (4 * GIB + number * 128 * MIB, 128 * MIB)));
    let table = table(&ranges);
    assert_eq!((table.slots.places(), table.shift), (513, 20));
    for (start, len) in ranges {
        assert!(table.finds(start, [start, start + len / 2, start + len - 1]));
    }
}

// However far apart they are, the table stays in proportion to the memory.
#[test]
fn little_memory_far_apart_gets_few_steps() {
    for top in [1 << 40, 1 << 62, u64::MAX - 0xfff] {
        let ranges = [(0x1000, 0x1000), (0x3000, 0x1000), (top, 0x1000)];
        let table = table(&ranges);
        assert!(table.selected() as u64 <= STEPS_MIN);
        for (start, len) in ranges {
            let (_, at) = table.find(GuestAddress(start + (len - 1))).unwrap();
            assert_eq!(at.0, len - 1);
            let region = table.find_arc(GuestAddress(start)).unwrap();
            assert_eq!(region.start_addr(), GuestAddress(start));
        }
        assert!(table.find(GuestAddress(0x2000)).is_none());
    }
}

#[test]
fn one_region_gets_one_place_or_two() {
    for (start, len) in
        [(0, 1), (0x1000, 0x1000), (5 * GIB, 1024 * GIB), (u64::MAX, 1), (1, u64::MAX)]
    {
        let table = table(&[(start, len)]);
        assert!(table.slots.places() <= 2 && table.slots.steps() == 0);
        assert!(table.finds(start, [start, start + (len - 1)]));
    }
}

// The map is searched for those that get no step.
#[test]
fn where_regions_share_a_step_the_longest_has_it() {
    let many = 1 << 50;
    let ranges = [(many, 1), (many + 1, 5), (many + 6, 0x1000), (many + 0x1010, 2)];
    let table = table(&ranges);
    assert_eq!(table.slots.places(), 5);
    assert!(table.selected() as u64 <= STEPS_MIN);
    assert_eq!(lay_out(&table.ranges, table.shift).last(), Some(&2));
    assert!(table.find_slice(GuestAddress(many + 6), 8).is_some());
    for (start, len) in ranges {
        let (region, at) = table.find(GuestAddress(start + len - 1)).unwrap();
        assert_eq!((region.start_addr().0, at.0), (start, len - 1));
    }
    let listed: Vec<_> = table.regions().map(|region| region.start_addr().0).collect();
    assert_eq!(listed, ranges.map(|(start, _)| start));
    assert_eq!(table.len(), 4);
}

#[test]
fn the_longest_of_those_in_a_step_has_it_in_any_order() {
    let in_order = |ranges: &[(u64, u64)]| {
        let range = |&(start, len): &_| GuestRange::new(GuestAddress(start), len).unwrap();
        lay_out(&ranges.iter().map(range).collect::<Vec<_>>(), 4)
    };
    const NONE: u32 = u32::MAX;
    assert_eq!(in_order(&[(0, 1), (1, 2), (3, 1)]), [1]);
    assert_eq!(in_order(&[(0, 3), (3, 2), (5, 4)]), [2]);
    // The first is the longer, so the second has what is left, which may be nothing.
    assert_eq!(in_order(&[(0, 0x18), (0x18, 0x10)]), [0, 0, 1]);
    assert_eq!(in_order(&[(0, 0x18), (0x18, 0x8), (0x40, 1)]), [0, 0, NONE, NONE, 2]);
    assert_eq!(in_order(&[(0x11, 0xe), (0x1f, 0x11)]), [NONE, 1, 1]);
}

/// What places depend on.
fn shape(table: &Table<SliceRegion<'static>>) -> (u32, usize, usize, bool) {
    (table.shift, table.regions.places(), table.regions.steps(), table.whole.is_some())
}

// However it came about: region by region, in any order, with others that came and went.
#[test]
fn a_derived_table_is_as_one_that_is_made_of_the_regions() {
    let all = [(0, 0x1000), (0x1000, 0x1000), (0x2000, 0x800), (0x2800, 0x80), (0x1_0000, 0x1000)];
    let made = |chosen: u32| {
        let chosen = all.iter().enumerate().filter(|(index, _)| chosen >> index & 1 == 1);
        table(&chosen.map(|(_, range)| *range).collect::<Vec<_>>())
    };
    for chosen in 0..1_u32 << all.len() {
        let before = made(chosen);
        for (index, &(start, len)) in all.iter().enumerate() {
            let addr = GuestAddress(start);
            if chosen >> index & 1 == 1 {
                let (derived, _) = before.without(addr, len).unwrap();
                assert_eq!(shape(&derived), shape(&made(chosen & !(1 << index))));
            } else {
                let range = GuestRange::new(addr, len).unwrap();
                let region = SliceRegion::new(addr, alloc::vec![0; MEMORY].leak()).unwrap();
                let derived = before.with(range, slot(range, Arc::new(region))).unwrap();
                assert_eq!(shape(&derived), shape(&made(chosen | 1 << index)));
            }
        }
    }
}

// It is found whatever the address, and says no more than it has.
#[test]
fn one_region_is_one_piece_and_two_that_were_lent_are_not() {
    for start in [0, 0x1000, 5 * GIB, u64::MAX - 0xfff] {
        let one = table(&[(start, 0x1000)]);
        let place = one.whole.and_then(|number| one.slots.place(number)).unwrap();
        assert!(place.holds(start, 1) && one.holds(GuestAddress(start), 1));
        for addr in [start.wrapping_sub(1), start.wrapping_add(MEMORY as u64)] {
            assert!(one.find_slice(GuestAddress(addr), 1).is_none());
        }
        assert_eq!(one.joints, Joints::None);
    }
    let two = table(&[(0, 0x1000), (0x1000, 0x1000)]);
    assert!(two.whole.is_none() && two.joints == Joints::None);
}

// A place is a guess: what an address in a hole selects is not its region.
#[test]
fn a_wrong_guess_is_not_believed() {
    let table = table(&[(0x1000, 0x10), (0x8000, 0x10)]);
    for addr in [0, 0xfff, 0x1010, 0x7fff, 0x8010, u64::MAX] {
        assert!(table.find(GuestAddress(addr)).is_none());
        assert!(table.find_slice(GuestAddress(addr), 1).is_none());
        assert!(!table.holds(GuestAddress(addr), 1));
    }
    assert!(table.holds(GuestAddress(0x1000), 0x10) && !table.holds(GuestAddress(0x1000), 0x11));
}

#[test]
fn an_empty_table_has_nothing_anywhere() {
    for table in [Table::empty(), table(&[])] {
        assert_eq!((table.len(), table.regions().count()), (0, 0));
        assert!(table.selected() as u64 <= PLACES_MIN);
        assert!(table.find(GuestAddress(0)).is_none());
        assert!(table.find(GuestAddress(u64::MAX)).is_none());
    }
}
