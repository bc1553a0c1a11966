//! Memory filled from and emptied into places of files, and as streams that take lists: one call an operation, however many
//! regions; and chains of buffers as one list.

mod common;

use std::io::ErrorKind;

use common::{Disk, Map, all_bytes, counting, map, marked, pages, region, three};
use guest_memory::{
    Bytes, GatherSlices, GuestAddress, GuestMemory, GuestMemoryError as E, GuestMemoryRegion,
    GuestMemoryResult, GuestRegionCollection, IoMemory, IoMemorySliceIterator, Permissions,
    PositionalBytes, ReadVolatileAt, SliceRegion, VolatileSlice,
};
use guest_volatile::{BS, BitmapSlice, Error as VolatileError};
use rstest::rstest;

/// The border of two regions is at 0x1000.
const BORDER: GuestAddress = GuestAddress(0xff0);

fn two() -> Map {
    map(&[(0, 0x1000), (0x1000, 0x1000)])
}

/// `count` neighbours of 16 bytes each, from 0 on.
fn many(count: usize) -> Map {
    map(&(0..count).map(|number| (16 * number as u64, 16)).collect::<Vec<_>>())
}

/// How bytes are moved.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    ReadAt,
    ReadExactAt,
    WriteAt,
    WriteAllAt,
    /// `Bytes::read_volatile_from`, of a source that takes lists.
    Read,
    ReadExact,
    Write,
    WriteAll,
}

use Way::*;

const EVERY_WAY: [Way; 8] =
    [ReadAt, ReadExactAt, WriteAt, WriteAllAt, Read, ReadExact, Write, WriteAll];

impl Way {
    fn once(self) -> bool {
        matches!(self, ReadAt | WriteAt | Read | Write)
    }

    fn reads(self) -> bool {
        matches!(self, ReadAt | ReadExactAt | Read | ReadExact)
    }

    fn go<M: IoMemory>(
        self,
        memory: &M,
        addr: GuestAddress,
        disk: &mut Disk,
        count: usize,
    ) -> GuestMemoryResult<usize> {
        match self {
            ReadAt => memory.read_volatile_from_at(addr, disk, 0, count),
            ReadExactAt => memory.read_exact_volatile_from_at(addr, disk, 0, count).map(|()| count),
            WriteAt => memory.write_volatile_to_at(addr, disk, 0, count),
            WriteAllAt => memory.write_all_volatile_to_at(addr, disk, 0, count).map(|()| count),
            Read => memory.read_volatile_from(addr, disk, count),
            ReadExact => memory.read_exact_volatile_from(addr, disk, count).map(|()| count),
            Write => memory.write_volatile_to(addr, disk, count),
            WriteAll => memory.write_all_volatile_to(addr, disk, count).map(|()| count),
        }
    }

    /// Moves bytes, and sees that the first `moved` from `start` of all the memory's bytes and no other were.
    #[track_caller]
    fn play(
        self,
        memory: &Map,
        addr: GuestAddress,
        disk: &mut Disk,
        count: usize,
        (start, moved): (usize, usize),
    ) -> GuestMemoryResult<usize> {
        for (number, region) in memory.iter().enumerate() {
            let whole = region.as_volatile_slice().expect("it is there");
            if !whole.is_read_only() {
                whole.write_slice(&vec![200 + number as u8 % 50; whole.len()], 0).expect("whole");
            }
        }
        let (before, on_disk) = (all_bytes(memory), disk.bytes.borrow().clone());
        let result = self.go(memory, addr, disk, count);
        let (mut expected, mut expected_disk) = (before.clone(), on_disk.clone());
        if self.reads() {
            expected[start..start + moved].copy_from_slice(&on_disk[..moved]);
        } else {
            expected_disk[..moved].copy_from_slice(&before[start..start + moved]);
        }
        assert!(all_bytes(memory) == expected, "{self:?}: the memory");
        assert!(*disk.bytes.borrow() == expected_disk, "{self:?}: the disk");
        result
    }
}

// One call an operation, in one region or several; more than 1024 pieces are more than a call takes.
#[rstest]
#[case::one(1)]
#[case::two(2)]
#[case::three(3)]
#[case::forty(40)]
#[case::as_many_as_a_call_takes(1024)]
#[case::more(1500)]
fn many_regions_are_one_call(#[case] regions: usize) {
    let memory = many(regions);
    for way in EVERY_WAY {
        // From the fifth byte to the last but five; more than there is, where it need not be all.
        let count = 16 * regions - 10;
        let mut disk = Disk::new();
        let result = way.play(&memory, GuestAddress(5), &mut disk, count, (5, count));
        assert_eq!(result.expect("no failure"), count, "{way:?}");
        let mut lengths = vec![16; regions];
        lengths[0] -= 5;
        lengths[regions - 1] -= 5;
        let lists: Vec<(u64, Vec<usize>)> = lengths
            .chunks(1024)
            .enumerate()
            .map(|(number, list)| (if number == 0 { 0 } else { 16 * 1024 - 5 }, list.to_vec()))
            .collect();
        assert_eq!(disk.asked(), lists, "{way:?}");
    }
}

// A device that gives just what the first region takes has given it: nothing is asked of it again.
#[rstest]
#[case::in_the_first(10)]
#[case::at_the_border(16)]
#[case::in_the_second(17)]
fn one_transfer_is_one_call_however_short(#[case] moved: usize) {
    for way in EVERY_WAY.into_iter().filter(|way| way.once()) {
        let mut disk = Disk::moving(&[moved]);
        let result = way.play(&two(), BORDER, &mut disk, 32, (0xff0, moved));
        assert_eq!(result.expect("no failure"), moved, "{way:?}");
        assert_eq!(disk.asked(), [(0, vec![16, 16])], "{way:?}");
    }
}

// SEMANTICS 10: 10 bytes and then 22, without a hole, and each at its place in the file.
#[test]
fn an_exact_transfer_goes_on_where_it_came_to() {
    for way in EVERY_WAY.into_iter().filter(|way| !way.once()) {
        let mut disk = Disk::moving(&[10, 8]);
        let result = way.play(&two(), BORDER, &mut disk, 32, (0xff0, 32));
        assert_eq!(result.expect("no failure"), 32, "{way:?}");
        assert_eq!(disk.asked(), [(0, vec![16, 16]), (10, vec![6, 16]), (18, vec![14])], "{way:?}");
    }
}

// SEMANTICS 11.
#[test]
fn an_interruption_is_tried_again() {
    for way in EVERY_WAY {
        for memory in [two(), map(&[(0, 0x2000)]), many(0x200)] {
            let mut disk = Disk::new().failing(0, ErrorKind::Interrupted);
            let result = way.play(&memory, BORDER, &mut disk, 32, (0xff0, 32));
            assert_eq!(result.expect("no failure"), 32, "{way:?}");
            assert_eq!(disk.asked().len(), 2, "{way:?}");
        }
    }
}

// SEMANTICS 11: a failure keeps the count and the cause.
#[test]
fn a_failure_after_progress_keeps_the_count() {
    for way in EVERY_WAY {
        for memory in [two(), map(&[(0, 0x2000)]), many(0x200)] {
            let mut disk = Disk::moving(&[10]).failing(1, ErrorKind::TimedOut);
            match way.play(&memory, BORDER, &mut disk, 32, (0xff0, 10)) {
                Ok(count) => assert!(way.once() && count == 10, "{way:?}"),
                Err(E::IOErrorAfter { completed: 10, error }) => {
                    assert!(!way.once() && error.kind() == ErrorKind::TimedOut, "{way:?}");
                }
                other => panic!("{way:?}: {other:?}"),
            }
            let mut disk = Disk::new().failing(0, ErrorKind::TimedOut);
            match way.play(&memory, BORDER, &mut disk, 32, (0xff0, 0)) {
                Err(E::IOError(error)) => assert_eq!(error.kind(), ErrorKind::TimedOut),
                other => panic!("{way:?}: {other:?}"),
            }
        }
    }
}

// SEMANTICS 10: at the end of the file.
#[test]
fn the_end_of_a_file_keeps_the_count() {
    for way in EVERY_WAY {
        for end in [0, 10, 16, 20] {
            for memory in [two(), map(&[(0, 0x2000)]), many(0x200)] {
                let mut disk = Disk::new();
                disk.bytes.borrow_mut().truncate(end);
                match way.play(&memory, BORDER, &mut disk, 32, (0xff0, end)) {
                    Ok(count) => assert!(way.once() && count == end, "{way:?}"),
                    Err(E::PartialBuffer { expected: 32, completed }) => {
                        assert!(!way.once() && completed == end, "{way:?}");
                    }
                    other => panic!("{way:?}: {other:?}"),
                }
            }
        }
    }
}

// SEMANTICS 8: what comes before a hole is moved, by one call; a first byte in a hole moves nothing.
#[test]
fn a_hole_is_where_it_ends() {
    for way in EVERY_WAY {
        // [0x1000, 0x2000), [0x2000, 0x3000), and a hole.
        for (addr, list) in [(0x2ff0, vec![16]), (0x1ff0, vec![16, 0x1000])] {
            let (mut disk, moved) = (Disk::new(), list.iter().sum());
            let start = addr as usize - 0x1000;
            let result = way.play(&three(), GuestAddress(addr), &mut disk, 0x2000, (start, moved));
            match result {
                Ok(count) => assert!(way.once() && count == moved, "{way:?}"),
                Err(E::PartialBuffer { expected: 0x2000, completed }) => {
                    assert!(!way.once() && completed == moved, "{way:?}");
                }
                other => panic!("{way:?}: {other:?}"),
            }
            assert_eq!(disk.asked(), [(0, list)], "{way:?}");
        }
        let mut disk = Disk::new();
        let result = way.play(&three(), GuestAddress(0x3000), &mut disk, 32, (0, 0));
        assert!(matches!(result, Err(E::InvalidGuestAddress(GuestAddress(0x3000)))), "{way:?}");
        assert_eq!(disk.asked(), [], "{way:?}");
    }
}

// SEMANTICS 2, 4.
#[test]
fn the_top_of_the_address_space_is_where_it_ends() {
    let memory = map(&[(u64::MAX - 0x1f, 16), (u64::MAX - 0xf, 16)]);
    for way in EVERY_WAY {
        let mut disk = Disk::new();
        let addr = GuestAddress(u64::MAX - 0x17);
        let result = way.play(&memory, addr, &mut disk, 32, (8, 24));
        assert!(matches!(result, Ok(24) | Err(E::PartialBuffer { expected: 32, completed: 24 })));
        assert_eq!(disk.asked(), [(0, vec![8, 16])], "{way:?}");
        let result = way.play(&memory, addr, &mut Disk::new(), 24, (8, 24));
        assert_eq!(result.expect("it ends at the top"), 24);
    }
}

// SEMANTICS 6: nothing, anywhere, without a call.
#[rstest]
#[case(0)]
#[case(0x1000)]
#[case(0x5000)]
#[case(u64::MAX)]
fn nothing_is_moved_without_a_call(#[case] addr: u64) {
    for way in EVERY_WAY {
        let mut disk = Disk::new().failing(0, ErrorKind::Other);
        assert_eq!(way.go(&two(), GuestAddress(addr), &mut disk, 0).expect("nothing"), 0);
        assert_eq!(disk.asked(), [], "{way:?}");
    }
    let memory = two();
    let far = memory.read_volatile_from_at(GuestAddress(addr), &Disk::new(), u64::MAX, 0);
    assert_eq!(far.expect("nothing"), 0);
}

/// [0, 0x1000), [0x1000, 0x2000) for reading only, [0x2000, 0x3000).
fn with_read_only() -> Map {
    let read_only = VolatileSlice::from(pages(0x1000)).read_only();
    let middle = SliceRegion::with_slice(GuestAddress(0x1000), read_only).expect("not empty");
    GuestRegionCollection::from_regions(vec![region(0, 0x1000), middle, region(0x2000, 0x1000)])
        .expect("sorted")
}

// SEMANTICS 29: it is not written, and no later byte is; it is read like any other.
#[test]
fn read_only_memory_is_where_a_read_ends() {
    for way in EVERY_WAY {
        for count in [32, 0x1020] {
            let (memory, mut disk) = (with_read_only(), Disk::new());
            let moved = if way.reads() { 16 } else { count };
            match way.play(&memory, BORDER, &mut disk, count, (0xff0, moved)) {
                Ok(done) => assert!(done == moved, "{way:?}"),
                Err(E::PartialBuffer { expected, completed: 16 }) => {
                    assert!(way.reads() && !way.once() && expected == count, "{way:?}");
                }
                other => panic!("{way:?}: {other:?}"),
            }
            assert_eq!(disk.asked().len(), 1, "{way:?}");
            let mut disk = Disk::new();
            let result = way.play(
                &memory,
                GuestAddress(0x1010),
                &mut disk,
                16,
                (0x1010, if way.reads() { 0 } else { 16 }),
            );
            match result {
                Err(E::AccessDenied { addr: GuestAddress(0x1010), access: Permissions::Write }) => {
                    assert!(way.reads() && disk.asked().is_empty());
                }
                other => assert!(!way.reads() && other.is_ok(), "{way:?}: {other:?}"),
            }
        }
    }
}

// SEMANTICS 20: exactly the bytes that came, in the bitmap of each region.
#[rstest]
#[case::in_the_first(10, &[(0xff8, 8)], &[(0, 2)])]
#[case::up_to_the_border(8, &[(0xff8, 8)], &[])]
#[case::all(0x3000, &[(0xff8, 8)], &[(0, 0x2ff8)])]
fn a_short_read_marks_what_came(
    #[case] moved: usize,
    #[case] lower_marks: &[(usize, usize)],
    #[case] upper_marks: &[(usize, usize)],
) {
    for way in EVERY_WAY.into_iter().filter(|way| way.once()) {
        let ((lower, lower_log), (upper, upper_log)) =
            (marked(0x1000, 0x1000), marked(0x2000, 0x3000));
        let memory = GuestRegionCollection::from_regions(vec![lower, upper]).expect("sorted");
        let mut disk = Disk::moving(&[moved]);
        let done = way.go(&memory, GuestAddress(0x1ff8), &mut disk, 0x3000);
        assert_eq!(done.expect("no failure"), moved);
        let some = |marks: Vec<(usize, usize)>| -> Vec<_> {
            marks.into_iter().filter(|&(_, len)| len != 0).collect()
        };
        let marks = (some(lower_log.take()), some(upper_log.take()));
        let expected = if way.reads() { (lower_marks, upper_marks) } else { (&[][..], &[][..]) };
        assert_eq!((&marks.0[..], &marks.1[..]), expected, "{way:?}");
    }
}

// No sum of offsets wraps.
#[test]
fn a_place_past_every_file_is_an_error_or_its_end() {
    let (memory, source) = (many(1500), vec![7; 10]);
    let addr = GuestAddress(3);
    assert_eq!(memory.read_volatile_from_at(addr, &source, u64::MAX, 100).expect("the end"), 0);
    let exact = memory.read_exact_volatile_from_at(addr, &source, u64::MAX - 5, 100);
    assert!(matches!(exact, Err(E::PartialBuffer { expected: 100, completed: 0 })));

    /// Claims to move everything.
    struct Liar;
    impl ReadVolatileAt for Liar {
        fn read_volatile_at<B: BitmapSlice>(
            &self,
            _: &VolatileSlice<'_, B>,
            _: u64,
        ) -> Result<usize, VolatileError> {
            Ok(usize::MAX)
        }
    }
    // The second list would start past the last place, and so would the second piece of the first.
    let all = 16 * 1500 - 3;
    let far = memory.read_volatile_from_at(addr, &Liar, u64::MAX - 5, all);
    assert_eq!(far.expect("the first piece"), 13);
    // And a lie is not believed.
    assert_eq!(memory.read_volatile_from_at(addr, &Liar, 0, all).expect("a lie"), all);
    assert_eq!(two().read_volatile_from_at(BORDER, &Liar, 0, 32).expect("a lie"), 32);
    assert_eq!(two().read_volatile_from_at(BORDER, &Liar, 0, 16).expect("a lie"), 16);
    two().read_exact_volatile_from_at(BORDER, &Liar, 0, 16).expect("a lie");
}

/// Memory behind a translation that turns its pages of 16 bytes around, and permits to write the first half of them.
struct Turned(Map);

const PAGES: u64 = 0x20;

impl IoMemory for Turned {
    type PhysicalMemory = Map;
    type Bitmap = ();

    fn check_range(&self, addr: GuestAddress, count: usize, access: Permissions) -> bool {
        self.get_slices(addr, count, access)
            .is_ok_and(|mut slices| slices.all(|slice| slice.is_ok()))
    }

    fn get_slices<'a>(
        &'a self,
        addr: GuestAddress,
        count: usize,
        access: Permissions,
    ) -> GuestMemoryResult<impl IoMemorySliceIterator<'a, BS<'a, ()>>> {
        Ok(Turns { memory: self, addr: addr.0, left: count, access })
    }
}

struct Turns<'a> {
    memory: &'a Turned,
    addr: u64,
    left: usize,
    access: Permissions,
}

impl<'a> Iterator for Turns<'a> {
    type Item = GuestMemoryResult<VolatileSlice<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let (page, offset) = (self.addr / 16, self.addr % 16);
        let count = self.left.min(16 - offset as usize);
        if page >= PAGES || (self.access.has_write() && page >= PAGES / 2) {
            self.left = 0;
            let (addr, access) = (GuestAddress(self.addr), self.access);
            return Some(Err(E::AccessDenied { addr, access }));
        }
        self.addr += count as u64;
        self.left -= count;
        Some(self.memory.0.get_slice(GuestAddress((PAGES - 1 - page) * 16 + offset), count))
    }
}

impl std::iter::FusedIterator for Turns<'_> {}
impl<'a> IoMemorySliceIterator<'a, ()> for Turns<'a> {}

#[rstest]
#[case::one_piece(3, 10, &[10])]
#[case::two(3, 16, &[13, 3])]
#[case::two_up_to_a_border(3, 29, &[13, 16])]
#[case::three(3, 30, &[13, 16, 1])]
#[case::five(3, 64, &[13, 16, 16, 16, 3])]
fn pieces_behind_a_translation_are_one_call(
    #[case] addr: u64,
    #[case] count: usize,
    #[case] list: &[usize],
) {
    for way in EVERY_WAY {
        let memory = Turned(map(&[(0, 16 * PAGES as usize)]));
        let mut disk = Disk::new();
        memory.read_exact_volatile_from_at(GuestAddress(0), &disk, 0x100, 0x100).expect("written");
        disk.asked();
        assert_eq!(way.go(&memory, GuestAddress(addr), &mut disk, count).expect("there"), count);
        assert_eq!(disk.asked(), [(0, list.to_vec())], "{way:?}");
        let mut bytes = vec![0; count];
        memory.read_slice(&mut bytes, GuestAddress(addr)).expect("there");
        assert_eq!(bytes, disk.bytes.borrow()[..count], "{way:?}");
    }
}

#[test]
fn a_translation_that_forbids_is_where_it_ends() {
    let memory = Turned(map(&[(0, 16 * PAGES as usize)]));
    for way in EVERY_WAY {
        let mut disk = Disk::new();
        let border = if way.reads() { 0x100 } else { 0x200 };
        match way.go(&memory, GuestAddress(border - 0x28), &mut disk, 0x100) {
            Ok(0x28) => assert!(way.once(), "{way:?}"),
            Err(E::PartialBuffer { expected: 0x100, completed: 0x28 }) => {}
            other => panic!("{way:?}: {other:?}"),
        }
        assert_eq!(disk.asked(), [(0, vec![8, 16, 16])], "{way:?}");
        let denied = way.go(&memory, GuestAddress(border), &mut disk, 0x100);
        assert!(matches!(denied, Err(E::AccessDenied { addr, .. }) if addr.0 == border));
        assert_eq!(disk.asked(), []);
    }
}

mod gather_slices {
    use super::*;

    fn lengths<B: BitmapSlice>(list: &[VolatileSlice<'_, B>]) -> Vec<usize> {
        list.iter().map(VolatileSlice::len).collect()
    }

    #[test]
    fn makes_one_list_of_a_chain() {
        let memory = three(); // [0x1000, 0x3000) in two regions, and [0x8000, 0x9000)
        let chain = [(0x8ff0, 16), (0x1ff8, 16), (0x9999, 0), (0x1000, 1)];
        let chain = chain.map(|(addr, count)| (GuestAddress(addr), count));
        let (mut list, disk) = (Vec::new(), Disk::new());
        let total = memory.gather_slices(chain, Permissions::Write, &mut list);
        assert_eq!((total.expect("it is there"), lengths(&list)), (33, vec![16, 8, 8, 1]));
        disk.read_exact_vectored_volatile_at(&mut list, 7).expect("the disk is long");
        assert_eq!(disk.asked(), [(7, vec![16, 8, 8, 1])]);
        let data = &counting(40)[7..];
        assert_eq!(memory.read_obj::<[u8; 16]>(GuestAddress(0x8ff0)).unwrap()[..], data[..16]);
        assert_eq!(memory.read_obj::<[u8; 16]>(GuestAddress(0x1ff8)).unwrap()[..], data[16..32]);
        assert_eq!(memory.read_obj::<u8>(GuestAddress(0x1000)).unwrap(), data[32]);
        // It adds to what there is, and takes the same bytes twice.
        let again = [(GuestAddress(0x1000), 2), (GuestAddress(0x1000), 2)];
        let mut list = vec![memory.get_slice(GuestAddress(0x1000), 3).unwrap()];
        assert_eq!(memory.gather_slices(again, Permissions::Read, &mut list).expect("there"), 4);
        assert_eq!(lengths(&list), [3, 2, 2]);
        let none = memory.gather_slices([], Permissions::Read, &mut list);
        assert_eq!((none.expect("nothing"), list.len()), (0, 3));
    }

    #[rstest]
    #[case::hole(0x2ff0, 17, 0x3000, 2)]
    #[case::hole_at_once(0x3000, 1, 0x3000, 1)]
    #[case::hole_behind_the_last(0x8fff, 2, 0x9000, 2)]
    fn refuses_a_chain_with_a_hole(
        #[case] addr: u64,
        #[case] count: usize,
        #[case] hole: u64,
        #[case] before: usize,
    ) {
        let memory = three();
        let chain = [(0x1000, 4), (addr, count), (0x1000, 4)];
        let chain = chain.map(|(addr, count)| (GuestAddress(addr), count));
        let mut list = Vec::new();
        let result = memory.gather_slices(chain, Permissions::Read, &mut list);
        assert!(matches!(result, Err(E::InvalidGuestAddress(at)) if at.0 == hole), "{result:?}");
        assert_eq!(list.len(), before);
    }

    #[test]
    fn refuses_what_may_not_be_written() {
        let (memory, mut list) = (with_read_only(), Vec::new());
        let chain = [(GuestAddress(0xff8), 16)];
        let result = memory.gather_slices(chain, Permissions::Write, &mut list);
        assert!(matches!(
            result,
            Err(E::AccessDenied { addr: GuestAddress(0x1000), access: Permissions::Write })
        ));
        let mut list = Vec::new();
        assert_eq!(memory.gather_slices(chain, Permissions::Read, &mut list).expect("read"), 16);
        assert_eq!(lengths(&list), [8, 8]);
        let turned = Turned(map(&[(0, 16 * PAGES as usize)]));
        let mut list = Vec::new();
        let chain = [(GuestAddress(0xf8), 16)];
        assert!(turned.gather_slices(chain, Permissions::Write, &mut list).is_err());
        assert_eq!(turned.gather_slices(chain, Permissions::Read, &mut list).expect("read"), 16);
        assert_eq!(lengths(&list), [8, 8, 8]);
    }

    // A chain names the same memory as often as it likes; its length is a number all the same.
    #[test]
    fn refuses_more_bytes_than_can_be_counted() {
        let (memory, mut list) = (three(), Vec::new());
        let chain = [(GuestAddress(0x1000), 0x1000), (GuestAddress(0x1000), usize::MAX)];
        let result = memory.gather_slices(chain, Permissions::Read, &mut list);
        assert!(matches!(
            result,
            Err(E::Volatile(VolatileError::Overflow { base: 0x1000, offset: usize::MAX }))
        ));
        assert_eq!(lengths(&list), [0x1000]);
    }
}
