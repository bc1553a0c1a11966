//! Slices in a row go on in the next where they may and nowhere else, whatever is put in and taken out; and each owner goes when
//! the last list that has it does.

#![cfg(feature = "std")]
#![expect(unsafe_code, reason = "makes a stretch of the test's own memory, and slices in it")]

mod common;

use std::sync::Arc;

use common::Log;
use guest_volatile::{
    BS, Bitmap, OwnedList, OwnedSlice, OwnedSlices, SliceOf, Stretch, VolatileSlice,
};
use proptest::prelude::*;

/// The bytes of a cell, which is what a region has.
const LEN: usize = 32;
/// The number of cells: more than a list shares at once.
const CELLS: usize = 100;

/// Memory that is never given back, whose bytes count up by the cell.
struct Ram {
    addr: *mut u8,
    stretch: Stretch,
    log: Log,
}

// SAFETY: an address of memory that is never given back.
unsafe impl Send for Ram {}
// SAFETY: as for `Send`.
unsafe impl Sync for Ram {}

impl Ram {
    fn new() -> Arc<Self> {
        let memory: Vec<u8> = (0..CELLS * LEN).map(|at| (at / LEN) as u8).collect();
        let addr = memory.leak().as_mut_ptr();
        // SAFETY: bytes of one allocation, which is never freed. The borrow of them ended before.
        let stretch = unsafe { Stretch::new(addr, CELLS * LEN) };
        Arc::new(Self { addr, stretch, log: Log::default() })
    }
}

/// A cell. Some say that they are in no stretch, some are read-only.
struct Cell {
    ram: Arc<Ram>,
    number: usize,
}

impl Cell {
    fn is_alone(number: usize) -> bool {
        number % 11 == 3
    }

    fn is_read_only(number: usize) -> bool {
        number % 7 >= 5
    }
}

struct Whole;

impl SliceOf<Cell> for Whole {
    type B = Log;

    fn slice(cell: &Cell) -> Option<VolatileSlice<'_, BS<'_, Log>>> {
        let addr = cell.ram.addr.wrapping_add(cell.number * LEN);
        // SAFETY: bytes of the allocation, which is never freed and of which there is no reference.
        let slice = unsafe { VolatileSlice::with_bitmap(addr, LEN, Self::bitmap(cell), None) };
        Some(if Cell::is_read_only(cell.number) { slice.read_only() } else { slice })
    }

    fn bitmap(cell: &Cell) -> BS<'_, Log> {
        cell.ram.log.slice_at(cell.number * LEN)
    }

    fn stretch(cell: &Cell) -> Option<&Stretch> {
        (!Cell::is_alone(cell.number)).then_some(&cell.ram.stretch)
    }
}

type Slot = OwnedSlice<Cell, Whole>;
type List = OwnedList<Cell, Whole>;

fn slot(ram: &Arc<Ram>, number: usize) -> Slot {
    OwnedSlice::new(Arc::new(Cell { ram: ram.clone(), number }), usize::MAX)
}

fn number(slot: &Slot) -> usize {
    slot.owner().expect("each has one").number
}

/// Whether the guest's address of the one goes on in that of the other, which are those of the cells.
fn follows(_: usize, lower: &Slot, upper: &Slot) -> bool {
    number(lower) + 1 == number(upper)
}

/// How many cells are one piece from the first of `cells` on.
fn run(cells: &[usize]) -> usize {
    let go_on = |pair: &&[usize]| {
        let alike = Cell::is_read_only(pair[0]) == Cell::is_read_only(pair[1]);
        pair[0] + 1 == pair[1] && alike && !pair.iter().any(|cell| Cell::is_alone(*cell))
    };
    1 + cells.windows(2).take_while(go_on).count()
}

/// The list has these cells, and each reaches as far as it should, as do the places.
fn assert_is(list: &List, ram: &Ram, cells: &[usize]) {
    assert_eq!(list.iter().map(number).collect::<Vec<_>>(), cells);
    assert_eq!((list.len(), list.is_empty()), (cells.len(), cells.is_empty()));
    let by_cell = cells.iter().map(|&cell| (cell..cell + 1, (cell * LEN) as u64));
    let places = OwnedSlices::in_order(list.clone(), by_cell);
    for (index, &cell) in cells.iter().enumerate() {
        assert_eq!(list.get(index).map(number), Some(cell));
        let run = run(&cells[index..]);
        let lengths = |count| list.joined(index, 1, count).map(|slice| slice.len());
        let expected = |count: usize| (run > 1).then(|| count.min(run * LEN - 1));
        assert_eq!([lengths(40), lengths(usize::MAX)], [expected(40), expected(usize::MAX)]);
        assert!(list.joined(index, run * LEN, 1).is_none());
        let start = (cell * LEN) as u64;
        let place = places.place(cell).expect("there is one");
        if Cell::is_read_only(cell) {
            assert!(!place.holds(start, 1));
            continue;
        }
        assert!(place.holds(start, run * LEN) && !place.holds(start, run * LEN + 1));
        let whole = place.get(start, run * LEN).expect("it holds them");
        let last = (run * LEN - 1, (cell + run - 1) as u8);
        assert_eq!(whole.read_obj::<u8>(last.0).expect("it is inside"), last.1);
        whole.write_obj(last.1, last.0).expect("it is inside");
        assert_eq!(ram.log.take(), [(cell * LEN + last.0, 1)]);
    }
    assert!(list.get(cells.len()).is_none() && list.joined(cells.len(), 0, 1).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_sequence_of_cells_put_in_and_taken_out_is_as_a_list_made_at_once(
        first in prop::collection::btree_set(0..CELLS, 0..CELLS),
        steps in prop::collection::vec(0..CELLS, 0..60),
    ) {
        let ram = Ram::new();
        let mut cells: Vec<usize> = first.into_iter().collect();
        let mut list = List::new(cells.iter().map(|&cell| slot(&ram, cell)).collect(), follows);
        assert_is(&list, &ram, &cells);
        for cell in steps {
            list = match cells.binary_search(&cell) {
                Ok(index) => {
                    cells.remove(index);
                    list.without(index)
                }
                Err(index) => {
                    cells.insert(index, cell);
                    list.with(index, slot(&ram, cell), follows)
                }
            };
            assert_is(&list, &ram, &cells);
        }
        // The list before each has been dropped, so what it alone had is gone: each cell has a share of the memory.
        prop_assert_eq!(Arc::strong_count(&ram), 1 + cells.len());
    }
}

#[test]
fn a_list_keeps_its_owners_when_another_made_of_it_has_lost_them() {
    let ram = Ram::new();
    let list = List::new((0..CELLS).map(|cell| slot(&ram, cell)).collect(), follows);
    let smaller = (0..90).fold(list.clone(), |list, _| list.without(2));
    assert_is(&smaller, &ram, &[0, 1, 92, 93, 94, 95, 96, 97, 98, 99]);
    assert_is(&list, &ram, &(0..CELLS).collect::<Vec<_>>());
    drop(list);
    // Those in one group with what is left, and no others.
    assert_eq!(Arc::strong_count(&ram), 1 + 10);
}

#[test]
fn slices_stay_apart_unless_the_caller_says_they_follow() {
    let ram = Ram::new();
    let slots = || vec![slot(&ram, 0), slot(&ram, 1), slot(&ram, 2)];
    for list in [List::new(slots(), |_, _, _| false), List::from(slots())] {
        assert!((0..3).all(|index| list.joined(index, 0, 8).is_none()));
        // Nor do they by what is put in elsewhere.
        let list = list.with(3, slot(&ram, 4), |_, _, _| true);
        assert!((0..4).all(|index| list.joined(index, 0, 8).is_none()));
    }
    let list = List::new(slots(), |index, _, _| index == 1);
    assert!(list.joined(0, 0, 8).is_none());
    assert_eq!(list.joined(1, 8, usize::MAX).unwrap().len(), 2 * LEN - 8);
}

#[test]
#[should_panic(expected = "out of")]
fn a_slice_that_there_is_not_cannot_be_taken_out() {
    let ram = Ram::new();
    let _ = List::from(vec![slot(&ram, 0)]).without(1);
}

#[test]
#[should_panic(expected = "index")]
fn a_slice_cannot_be_put_in_past_the_end() {
    let ram = Ram::new();
    let _ = List::from(vec![slot(&ram, 0)]).with(2, slot(&ram, 1), follows);
}

// A step may be coarser than the slices are long, so that its place is asked for what is in the next.
#[test]
fn a_place_that_a_step_names_ends_with_its_slice() {
    let ram = Ram::new();
    let list = List::new(vec![slot(&ram, 0), slot(&ram, 1)], follows);
    let by_number = OwnedSlices::new(list.clone(), [Some((0, 0)), Some((1, LEN as u64))]);
    let by_step = OwnedSlices::with_steps(list, [Some((0, 0)), Some((1, LEN as u64))], vec![0, 1]);
    let counts = |slices: &OwnedSlices<_, _>| {
        let place = slices.place(0).unwrap();
        (0..=2 * LEN + 1).filter(|count| place.holds(0, *count)).count() - 1
    };
    assert_eq!((counts(&by_number), counts(&by_step)), (2 * LEN, LEN));
}
