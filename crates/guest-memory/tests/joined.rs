//! Neighbours whose memory is in one stretch are one slice to whoever asks for both; all others stay apart.

#![expect(unsafe_code, reason = "makes a stretch of the test's own memory, and slices in it")]

mod common;

use std::sync::Arc;

use common::{Source, Step, counting, pages};
use guest_memory::{
    Bytes, GuestAddress, GuestMemory, GuestMemoryError, GuestMemoryRegion, GuestMemoryRegionBytes,
    GuestMemoryResult, GuestRegionCollection, GuestUsize, MemoryRegionAddress, Permissions,
    SliceRegion, Stretch, VolatileSlice, WindowError, WindowMemory,
};
use proptest::prelude::*;

const PAGE: usize = 0x1000;

/// Pages of this process, of which regions take some.
struct Ram {
    addr: *mut u8,
    stretch: Stretch,
}

// SAFETY: an address of memory that is never given back.
unsafe impl Send for Ram {}
// SAFETY: as for `Send`.
unsafe impl Sync for Ram {}

impl Ram {
    fn new(count: usize) -> Arc<Self> {
        let addr = pages(count * PAGE).as_mut_ptr();
        // SAFETY: one allocation that is never freed; the borrow of it ends here.
        let stretch = unsafe { Stretch::new(addr, count * PAGE) };
        Arc::new(Self { addr, stretch })
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Habit {
    Plain,
    /// Is not in a stretch, by its own word.
    Alone,
    ReadOnly,
    /// Gives no slice to a map to keep.
    Asked,
    /// Has a page less in its slice than it says.
    Short,
}

/// Some pages of a `Ram`, at the guest address that its offset in it is.
struct Pages {
    ram: Arc<Ram>,
    first: usize,
    count: usize,
    at: u64,
    habit: Habit,
}

impl GuestMemoryRegion for Pages {
    type B = ();

    fn len(&self) -> GuestUsize {
        (self.count * PAGE) as u64
    }

    fn start_addr(&self) -> GuestAddress {
        GuestAddress(self.at)
    }

    fn bitmap(&self) {}

    fn get_slice(
        &self,
        at: MemoryRegionAddress,
        count: usize,
    ) -> GuestMemoryResult<VolatileSlice<'_>> {
        let addr = self.ram.addr.wrapping_add(self.first * PAGE);
        let short = usize::from(self.habit == Habit::Short);
        // SAFETY: pages of the memory, which is never given back and of which there is no reference.
        let whole = unsafe { VolatileSlice::new(addr, (self.count - short) * PAGE) };
        let slice = whole.subslice(usize::try_from(at.0).expect("an offset"), count)?;
        Ok(if self.habit == Habit::ReadOnly { slice.read_only() } else { slice })
    }

    fn as_volatile_slice(&self) -> GuestMemoryResult<VolatileSlice<'_>> {
        let short = usize::from(self.habit == Habit::Short);
        self.get_slice(MemoryRegionAddress(0), (self.count - short) * PAGE)
    }

    fn direct_slice(&self) -> Option<VolatileSlice<'_>> {
        if self.habit == Habit::Asked { None } else { self.as_volatile_slice().ok() }
    }

    fn stretch(&self) -> Option<&Stretch> {
        (self.habit != Habit::Alone).then_some(&self.ram.stretch)
    }
}

impl GuestMemoryRegionBytes for Pages {}

type Map = GuestRegionCollection<Pages>;

const BASE: u64 = 0x10_0000;

/// Regions of so many pages and such habits, one after the other, in the guest and here.
fn neighbours(habits: &[(usize, Habit)]) -> Map {
    neighbours_at(BASE, habits)
}

/// As [`neighbours`], from `base` on.
fn neighbours_at(base: u64, habits: &[(usize, Habit)]) -> Map {
    let ram = Ram::new(habits.iter().map(|(count, _)| count).sum());
    let mut first = 0;
    let regions = habits.iter().map(|&(count, habit)| {
        let at = base + (first * PAGE) as u64;
        let region = Pages { ram: ram.clone(), first, count, at, habit };
        first += count;
        region
    });
    Map::from_regions(regions.collect()).expect("in order")
}

/// The lengths of the slices of a range, in pages; 0 where it ends with an error.
fn lengths(memory: &Map, addr: u64, pages: usize) -> Vec<usize> {
    let slices = memory.get_slices(GuestAddress(addr), pages * PAGE);
    slices.map(|slice| slice.map_or(0, |slice| slice.len() / PAGE)).collect()
}

#[test]
fn three_neighbours_are_one_slice() {
    let memory = neighbours(&[(2, Habit::Plain), (1, Habit::Plain), (3, Habit::Plain)]);
    let all = memory.get_slice(GuestAddress(BASE), 6 * PAGE).unwrap();
    memory.write_slice(&counting(6 * PAGE), GuestAddress(BASE)).unwrap();
    let mut bytes = vec![0; 6 * PAGE];
    all.read_slice(&mut bytes, 0).unwrap();
    assert_eq!(bytes, counting(6 * PAGE));
    // Each by itself says the same.
    for (index, region) in memory.iter().enumerate() {
        let start = usize::try_from(region.start_addr().0 - BASE).unwrap();
        let mut own = vec![0; usize::try_from(region.len()).unwrap()];
        region.read_slice(&mut own, MemoryRegionAddress(0)).unwrap();
        assert_eq!(own, bytes[start..start + own.len()], "region {index}");
    }
    assert_eq!(lengths(&memory, BASE + PAGE as u64, 5), [5]);
    assert_eq!(lengths(&memory, BASE + PAGE as u64, 6), [5, 0]);
    assert!(memory.get_slice(GuestAddress(BASE + 1), 6 * PAGE).is_err());
    assert!(memory.check_range(GuestAddress(BASE), 6 * PAGE));
    assert!(!memory.check_range(GuestAddress(BASE), 6 * PAGE + 1));
}

#[test]
fn a_stream_over_a_border_is_one_call() {
    let memory = neighbours(&[(1, Habit::Plain), (1, Habit::Plain)]);
    let mut source = Source::new([Step::Move(0x20), Step::Move(0x20)]);
    memory.read_exact_volatile_from(GuestAddress(BASE + 0xff0), &mut source, 0x20).unwrap();
    assert_eq!(source.asked, [0x20]);
}

#[rstest::rstest]
#[case::alone(Habit::Alone)]
#[case::read_only(Habit::ReadOnly)]
#[case::asked(Habit::Asked)]
#[case::short(Habit::Short)]
fn one_that_is_not_like_its_neighbours_stays_apart(#[case] habit: Habit) {
    let memory = neighbours(&[(2, Habit::Plain), (2, Habit::Plain), (3, habit), (2, Habit::Plain)]);
    let short = usize::from(habit == Habit::Short);
    assert_eq!(lengths(&memory, BASE, 6 - short), [4, 2 - short]);
    let error = memory.get_slice(GuestAddress(BASE), 5 * PAGE).unwrap_err();
    assert!(matches!(error, GuestMemoryError::InvalidBackendAddress), "{error:?}");
    if habit != Habit::Short {
        assert_eq!(lengths(&memory, BASE, 9), [4, 3, 2]);
        let mut bytes = vec![1; 9 * PAGE];
        memory.read_slice(&mut bytes, GuestAddress(BASE)).unwrap();
        assert!(bytes.iter().all(|byte| *byte == 0));
    }
}

#[test]
fn neighbours_here_that_are_none_in_the_guest_stay_apart() {
    let ram = Ram::new(4);
    let region = |first, at| Pages { ram: ram.clone(), first, count: 1, at, habit: Habit::Plain };
    // A hole in the guest, and the pages of the last two swapped.
    let memory = Map::from_regions(vec![
        region(0, 0),
        region(1, 0x2000),
        region(3, 0x3000),
        region(2, 0x4000),
    ])
    .unwrap();
    assert_eq!(lengths(&memory, 0, 2), [1, 0]);
    assert_eq!(lengths(&memory, 0x2000, 3), [1, 1, 1]);
}

#[test]
fn lent_bytes_that_happen_to_be_neighbours_stay_apart() {
    let (lower, upper) = pages(2 * PAGE).split_at_mut(PAGE);
    let memory = GuestRegionCollection::from_regions(vec![
        SliceRegion::new(GuestAddress(0), lower).unwrap(),
        SliceRegion::new(GuestAddress(0x1000), upper).unwrap(),
    ])
    .unwrap();
    let error = memory.get_slice(GuestAddress(0xfff), 2).unwrap_err();
    assert!(matches!(error, GuestMemoryError::InvalidBackendAddress));
    assert_eq!(memory.get_slices(GuestAddress(0xfff), 2).count(), 2);
}

#[test]
fn a_run_may_end_at_the_last_address() {
    let ram = Ram::new(2);
    let top = u64::MAX - 0x1fff;
    let region = |first, at| Pages { ram: ram.clone(), first, count: 1, at, habit: Habit::Plain };
    let memory = Map::from_regions(vec![region(0, top), region(1, top + 0x1000)]).unwrap();
    assert_eq!(memory.get_slice(GuestAddress(top), 0x2000).unwrap().len(), 0x2000);
    assert_eq!(memory.read(&mut [0; 0x20], GuestAddress(u64::MAX - 7)).unwrap(), 8);
    assert_eq!(lengths(&memory, top, 3), [2, 0]);
}

#[test]
fn an_old_map_keeps_the_memory_of_its_runs() {
    let memory = neighbours(&[(1, Habit::Plain), (1, Habit::Plain), (1, Habit::Plain)]);
    let middle = GuestAddress(BASE + PAGE as u64);
    let (smaller, region) = memory.remove_region(middle, PAGE as u64).unwrap();
    let weak = Arc::downgrade(&region);
    drop(region);
    assert_eq!((lengths(&memory, BASE, 3), lengths(&smaller, BASE, 3)), (vec![3], vec![1, 0]));
    let run = memory.clone();
    drop((memory, smaller));
    assert!(weak.upgrade().is_some());
    assert_eq!(lengths(&run, BASE, 3), [3]);
    drop(run);
    assert!(weak.upgrade().is_none());
}

/// How far from `base`, where the first region is, the one starts that has the byte so far from it, and whether that may be
/// written; `None` where there is no memory.
fn look(base: u64, memory: &Map, offset: usize) -> Option<(u64, bool)> {
    let addr = GuestAddress(base.wrapping_add(offset as u64));
    let found = memory.find_region(addr).map(|region| region.start_addr().0 - base);
    assert_eq!(memory.read_obj::<u8>(addr).is_ok(), found.is_some(), "{addr}");
    assert_eq!(memory.get_slice(addr, 1).is_ok(), found.is_some(), "{addr}");
    assert_eq!(memory.check_range(addr, 1), found.is_some(), "{addr}");
    found.map(|start| (start, memory.write_obj(0_u8, addr).is_ok()))
}

// All of it is one piece, for which one place stands: it ends where the memory does, and says of no address which region it is in.
#[rstest::rstest]
#[case::few_places(0)]
#[case::steps(BASE)]
#[case::far_above(1 << 40)]
fn a_map_that_is_one_piece_has_its_regions_and_its_ends(#[case] base: u64) {
    let memory = neighbours_at(base, &[(2, Habit::Plain), (1, Habit::Plain), (3, Habit::Plain)]);
    for (offset, start) in [
        (0, 0),
        (2 * PAGE - 1, 0),
        (2 * PAGE, 2 * PAGE),
        (3 * PAGE - 1, 2 * PAGE),
        (3 * PAGE, 3 * PAGE),
        (6 * PAGE - 17, 3 * PAGE),
        (6 * PAGE - 1, 3 * PAGE),
    ] {
        assert_eq!(look(base, &memory, offset), Some((start as u64, true)), "{offset:#x}");
    }
    for offset in [0_usize.wrapping_sub(1), 6 * PAGE, 7 * PAGE, usize::MAX / 2] {
        assert_eq!(look(base, &memory, offset), None, "{offset:#x}");
    }
    let end = base + 6 * PAGE as u64;
    for size in [1, 2, 4, 8, 15, 16, 17, 64, PAGE + 1] {
        let last = GuestAddress(end - size as u64);
        assert!(memory.check_range(last, size) && !memory.check_range(last, size + 1));
        assert!(memory.get_slice(last, size).is_ok() && memory.get_slice(last, size + 1).is_err());
        let mut bytes = vec![1; size + 1];
        assert_eq!(memory.read(&mut bytes, last).unwrap(), size);
    }
    for addr in [base.wrapping_sub(1), end, end + 8, u64::MAX - 7, u64::MAX] {
        assert!(memory.read_obj::<u64>(GuestAddress(addr)).is_err(), "{addr:#x}");
        assert!(!memory.check_range(GuestAddress(addr), 8));
        assert!(!memory.check_range(GuestAddress(addr), usize::MAX));
    }
}

#[rstest::rstest]
#[case::few_places(0)]
#[case::steps(BASE)]
fn a_map_is_one_piece_no_more_when_its_middle_is_unplugged(#[case] base: u64) {
    let memory = neighbours_at(base, &[(1, Habit::Plain), (1, Habit::Plain), (1, Habit::Plain)]);
    let page = PAGE as u64;
    let see = |memory: &Map| {
        [0, PAGE, 2 * PAGE].map(|offset| look(base, memory, offset + 8).map(|(start, _)| start))
    };
    memory.write_slice(&counting(3 * PAGE), GuestAddress(base)).unwrap();
    let (without_middle, middle) = memory.remove_region(GuestAddress(base + page), page).unwrap();
    let (without_first, _) = memory.remove_region(GuestAddress(base), page).unwrap();
    let (without_last, _) = memory.remove_region(GuestAddress(base + 2 * page), page).unwrap();
    assert_eq!(see(&without_middle), [Some(0), None, Some(2 * page)]);
    assert_eq!(see(&without_first), [None, Some(page), Some(2 * page)]);
    assert_eq!(see(&without_last), [Some(0), Some(page), None]);
    let over_the_first = GuestAddress(base + page - 4);
    assert!(without_middle.read_obj::<u64>(over_the_first).is_err());
    assert!(without_last.read_obj::<u64>(over_the_first).is_ok());
    // The old map is as it was, and so is one in which it is plugged in again.
    let again = without_middle.insert_region(middle).unwrap();
    for memory in [memory, again] {
        assert_eq!(see(&memory), [Some(0), Some(page), Some(2 * page)]);
        assert!(memory.read_obj::<u64>(over_the_first).is_ok());
        assert_eq!(lengths(&memory, base, 3), [3]);
    }
}

#[rstest::rstest]
#[case::alone(Habit::Alone)]
#[case::read_only(Habit::ReadOnly)]
#[case::asked(Habit::Asked)]
fn a_map_with_one_region_of_another_kind_is_not_one_piece(
    #[case] habit: Habit,
    #[values(0, 1, 2)] which: usize,
    #[values(0, BASE)] base: u64,
) {
    let mut habits = [(1, Habit::Plain); 3];
    habits[which].1 = habit;
    let memory = neighbours_at(base, &habits);
    for number in 0..3 {
        let writable = !(number == which && habit == Habit::ReadOnly);
        for offset in [number * PAGE, number * PAGE + PAGE - 1] {
            assert_eq!(look(base, &memory, offset), Some(((number * PAGE) as u64, writable)));
        }
    }
    assert!(memory.check_range(GuestAddress(base), 3 * PAGE));
    let page = GuestAddress(base + (which * PAGE) as u64);
    let written = memory.write_slice(&[1; PAGE], page);
    assert_eq!(written.is_err(), habit == Habit::ReadOnly);
}

// Where it is one piece and where it is not, a map of regions that may only be read is never written.
#[rstest::rstest]
#[case(&[(3, Habit::ReadOnly)])]
#[case(&[(1, Habit::ReadOnly), (2, Habit::ReadOnly)])]
fn a_piece_that_may_only_be_read_is_not_written(#[case] habits: &[(usize, Habit)]) {
    let memory = neighbours(habits);
    for offset in [0, PAGE - 4, PAGE, 3 * PAGE - 8] {
        let addr = GuestAddress(BASE + offset as u64);
        assert_eq!(memory.read_obj::<u64>(addr).unwrap(), 0);
        let error = memory.write_obj(1_u64, addr).unwrap_err();
        assert!(matches!(error, GuestMemoryError::AccessDenied { .. }), "{error:?}");
        assert!(memory.get_slice(addr, 8).unwrap().is_read_only());
    }
}

#[test]
fn bytes_in_two_regions_are_a_pair_of_slices() {
    use Habit::{Alone, ReadOnly, Short};
    let memory = neighbours(&[(1, Alone), (1, Alone), (1, Short), (1, Alone), (1, ReadOnly)]);
    let pair = |offset: usize, count| {
        let pair = memory.find_pair(GuestAddress(BASE + offset as u64), count)?;
        Some(pair.map(|slice| slice.len()))
    };
    for before in [1, 8, 15, 16, 17, PAGE] {
        for after in [1, 15, 16, PAGE - 15] {
            assert_eq!(pair(PAGE - before, before + after), Some([before, after]));
        }
        // In one region alone, or in three.
        assert_eq!(pair(PAGE - before, before), None);
        assert_eq!(pair(PAGE - before, before + PAGE + 1), None);
    }
    // The third has less than it says; what follows the fourth may only be read, so that no place stands for it.
    assert_eq!(pair(2 * PAGE - 8, 16), None);
    assert_eq!(pair(3 * PAGE - 8, 16), None);
    assert_eq!(pair(4 * PAGE - 8, 16), None);
    assert_eq!((pair(PAGE, 0), pair(PAGE, 1)), (None, None));
    assert!(memory.find_pair(GuestAddress(u64::MAX - 7), 16).is_none());
    assert!(memory.find_pair(GuestAddress(BASE - 8), 16).is_none());
    assert!(memory.find_pair(GuestAddress(BASE), usize::MAX).is_none());

    // Each byte is where it was, whoever asks.
    memory.write_slice(&counting(2 * PAGE), GuestAddress(BASE)).unwrap();
    let [lower, upper] = memory.find_pair(GuestAddress(BASE + PAGE as u64 - 3), 8).unwrap();
    let mut bytes = [0; 8];
    lower.read_slice(&mut bytes[..3], 0).unwrap();
    upper.read_slice(&mut bytes[3..], 0).unwrap();
    assert_eq!(bytes[..], counting(2 * PAGE)[PAGE - 3..PAGE + 5]);
}

// Windows

#[test]
fn a_window_over_regions_that_are_one_piece_is_as_the_slice() {
    let memory = neighbours(&[(1, Habit::Plain); 4]);
    memory.write_slice(&counting(4 * PAGE), GuestAddress(BASE)).unwrap();
    for (offset, len) in [(PAGE - 4, 8), (PAGE - 1, 2), (PAGE, 2 * PAGE), (8, 4 * PAGE - 8)] {
        let addr = GuestAddress(BASE + offset as u64);
        let window = memory.window(addr, len, Permissions::ReadWrite).unwrap();
        assert_eq!((window.start_addr(), window.len()), (addr, len));
        let region = memory.find_arc(addr).unwrap();
        assert!(Arc::ptr_eq(window.region(), region));
        let (mut bytes, mut seen) = (vec![0; len], vec![0; len]);
        window.read_slice(&mut bytes, 0).unwrap();
        memory.read_slice(&mut seen, addr).unwrap();
        assert_eq!(bytes, seen);
        window.write_obj(0xa5_u8, len - 1).unwrap();
        let last = GuestAddress(addr.0 + len as u64 - 1);
        assert_eq!(memory.read_obj::<u8>(last).unwrap(), 0xa5);
        assert_eq!(window.read_obj::<u8>(len), Err(WindowError::OutOfBounds));
        let part = window.part(len - 1, 1).unwrap();
        assert_eq!((part.start_addr(), part.read_obj::<u8>(0)), (last, Ok(0xa5)));
    }
    let refused = |offset: usize, len| {
        memory.window(GuestAddress(BASE + offset as u64), len, Permissions::Read).unwrap_err()
    };
    for (offset, len) in [(0, 4 * PAGE + 1), (4 * PAGE - 1, 2), (PAGE - 1, usize::MAX)] {
        let error = refused(offset, len);
        assert!(matches!(error, GuestMemoryError::NotContiguous { .. }), "{error:?}");
    }
}

#[rstest::rstest]
#[case::alone(Habit::Alone)]
#[case::read_only(Habit::ReadOnly)]
#[case::asked(Habit::Asked)]
#[case::short(Habit::Short)]
fn a_window_does_not_go_on_in_a_region_of_another_kind(#[case] habit: Habit) {
    let memory = neighbours(&[(1, Habit::Plain), (2, habit), (1, Habit::Plain)]);
    let open = |offset: usize, len| {
        memory.window(GuestAddress(BASE + offset as u64), len, Permissions::Read)
    };
    assert!(open(PAGE - 8, 8).is_ok());
    for offset in [PAGE - 8, 3 * PAGE - 8] {
        let error = open(offset, 16).unwrap_err();
        assert!(matches!(error, GuestMemoryError::NotContiguous { .. }), "{error:?}");
    }
}

#[test]
fn a_window_over_regions_that_may_only_be_read_is_for_reading() {
    let memory = neighbours(&[(1, Habit::ReadOnly), (1, Habit::ReadOnly)]);
    let addr = GuestAddress(BASE + PAGE as u64 - 8);
    let window = memory.window(addr, 16, Permissions::Read).unwrap();
    assert!(window.is_read_only());
    assert_eq!(window.read_obj::<[u8; 16]>(0), Ok([0; 16]));
    assert_eq!(window.write_obj(0_u8, 0), Err(WindowError::NotWritable));
    let error = memory.window(addr, 16, Permissions::Write).unwrap_err();
    assert!(matches!(error, GuestMemoryError::AccessDenied { .. }), "{error:?}");
}

#[test]
fn a_window_keeps_the_regions_that_it_lies_in_and_no_other() {
    let memory = neighbours(&[(1, Habit::Plain); 4]);
    let weak: Vec<_> = (0..4)
        .map(|number| {
            let addr = GuestAddress(BASE + (number * PAGE) as u64);
            Arc::downgrade(memory.find_arc(addr).unwrap())
        })
        .collect();
    let border = GuestAddress(BASE + 2 * PAGE as u64 - 4);
    let window = memory.window(border, 8, Permissions::ReadWrite).unwrap();
    drop(memory);
    let alive = || weak.iter().map(|region| region.strong_count() > 0).collect::<Vec<_>>();
    assert_eq!(alive(), [false, true, true, false]);
    window.write_obj(7_u64, 0).unwrap();
    let part = window.part(6, 2).unwrap();
    drop(window);
    assert_eq!(part.read_obj::<u16>(0), Ok(0));
    assert_eq!(alive(), [false, true, true, false]);
    drop(part);
    assert_eq!(alive(), [false; 4]);
}

proptest! {
    // Plugged and unplugged in any order, a map has the same slices as one made of the regions at once: the longest there are.
    #[test]
    fn slices_are_as_long_as_the_memory_goes_on(
        steps in prop::collection::vec((0..12_usize, any::<bool>()), 1..40),
    ) {
        const COUNT: usize = 12;
        let ram = Ram::new(COUNT);
        let region = |page: usize| {
            // Every fifth page is not to be written, so that runs end there too.
            let habit = if page % 5 == 4 { Habit::ReadOnly } else { Habit::Plain };
            let at = BASE + (page * PAGE) as u64;
            Arc::new(Pages { ram: ram.clone(), first: page, count: 1, at, habit })
        };
        let mut plugged = [false; COUNT];
        let mut memory = Map::new();
        for (page, plugs) in steps {
            let addr = GuestAddress(BASE + (page * PAGE) as u64);
            let changed = if plugs {
                memory.insert_region(region(page)).ok()
            } else {
                memory.remove_region(addr, PAGE as u64).ok().map(|(smaller, _)| smaller)
            };
            prop_assert_eq!(changed.is_some(), plugged[page] != plugs);
            memory = changed.unwrap_or(memory);
            plugged[page] = plugs;

            for start in 0..COUNT {
                let kind = |page: usize| plugged[page].then_some(page % 5 == 4);
                let same = (start..COUNT).take_while(|&page| kind(page) == kind(start)).count();
                let expected = if plugged[start] { same } else { 0 };
                let addr = BASE + (start * PAGE) as u64;
                prop_assert_eq!(lengths(&memory, addr, COUNT)[0], expected);
                prop_assert_eq!(memory.get_slice(GuestAddress(addr), same * PAGE).is_ok(), plugged[start]);
                prop_assert!(memory.get_slice(GuestAddress(addr), same * PAGE + 1).is_err());
            }
        }
    }
}
