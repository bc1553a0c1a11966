//! Windows on guest memory: where there is one, what it may do, and that nothing a guest says later changes it.

mod common;

use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Release, SeqCst};

use common::{all_bytes, counting, map, marked, pages, region, three};
use guest_memory::guest_volatile::{Bitmap, VolatileSlice};
use guest_memory::{
    Bytes, GuestAddress, GuestMemory, GuestMemoryError as E, GuestMemoryRegion,
    GuestMemoryRegionBytes, GuestMemoryResult, GuestRegionCollection, GuestUsize, GuestWindow,
    MemoryRegionAddress, Permissions, SliceRegion, WindowError, WindowMemory,
};
use rstest::rstest;

use Permissions::{No, Read, ReadWrite, Write};

/// How opening a window fails.
#[derive(Debug, PartialEq)]
enum Refusal {
    NoMemory,
    NotContiguous,
    Denied,
    Unreachable,
    Short,
}

fn refusal(error: &E) -> Refusal {
    match error {
        E::InvalidGuestAddress(_) => Refusal::NoMemory,
        E::NotContiguous { .. } => Refusal::NotContiguous,
        E::AccessDenied { access: Write, .. } => Refusal::Denied,
        E::HostAddressNotAvailable => Refusal::Unreachable,
        E::InvalidBackendAddress => Refusal::Short,
        other => panic!("{other:?} is none that a window has"),
    }
}

const MAX: usize = usize::MAX;

// As `get_slice`: regions are [0x1000, 0x2000), [0x2000, 0x3000) and [0x8000, 0x9000).
#[rstest]
#[case::all(0x1000, 0x1000, None)]
#[case::first(0x1000, 1, None)]
#[case::last(0x1fff, 1, None)]
#[case::nothing(0x1fff, 0, None)]
#[case::nothing_in_a_hole(0x3000, 0, Some(Refusal::NoMemory))]
#[case::below(0xfff, 2, Some(Refusal::NoMemory))]
#[case::in_a_hole(0x3000, 1, Some(Refusal::NoMemory))]
#[case::across_two_regions(0x1fff, 2, Some(Refusal::NotContiguous))]
#[case::into_a_hole(0x2fff, 2, Some(Refusal::NotContiguous))]
#[case::too_much(0x8000, 0x1001, Some(Refusal::NotContiguous))]
#[case::the_most(0x8000, MAX, Some(Refusal::NotContiguous))]
#[case::above(0x9000, 1, Some(Refusal::NoMemory))]
#[case::at_the_top(u64::MAX, 1, Some(Refusal::NoMemory))]
fn there_is_a_window_where_there_is_a_slice(
    #[case] addr: u64,
    #[case] len: usize,
    #[case] expected: Option<Refusal>,
    #[values(Read, Write, ReadWrite)] access: Permissions,
) {
    let (memory, addr) = (three(), GuestAddress(addr));
    let result = memory.window(addr, len, access);
    assert_eq!(result.as_ref().err().map(refusal), expected);
    assert_eq!(memory.get_slice(addr, len).is_ok(), expected.is_none());
    if let Ok(window) = result {
        assert_eq!((window.start_addr(), window.len()), (addr, len));
        assert_eq!(window.is_empty(), len == 0);
        let region = memory.find_arc(addr).expect("it is in one");
        assert!(Arc::ptr_eq(window.region(), region));
    }
}

// SEMANTICS 2.
#[test]
fn a_window_may_end_at_the_last_address() {
    let memory = map(&[(u64::MAX - 0xfff, 0x1000)]);
    let window = memory.window(GuestAddress(u64::MAX - 7), 8, ReadWrite).unwrap();
    window.write_obj(0x0102_0304_0506_0708_u64, 0).unwrap();
    assert_eq!(memory.read_obj(GuestAddress(u64::MAX - 7)).ok(), window.read_obj::<u64>(0).ok());
    assert_eq!(window.read_obj::<u8>(8), Err(WindowError::OutOfBounds));
    assert_eq!(window.part(8, 0).unwrap().len(), 0);
    let result = memory.window(GuestAddress(u64::MAX - 7), 9, Read);
    assert!(matches!(result, Err(E::NotContiguous { len: 9, .. })));
}

#[rstest]
#[case(No, true)]
#[case(Read, true)]
#[case(Write, false)]
#[case(ReadWrite, false)]
fn what_may_be_done_is_what_was_asked_for(#[case] access: Permissions, #[case] read_only: bool) {
    let memory = three();
    let window = memory.window(GuestAddress(0x1000), 16, access).unwrap();
    assert_eq!(window.is_read_only(), read_only);
    assert_eq!(window.as_volatile_slice().is_read_only(), read_only);
    let refused = read_only.then_some(WindowError::NotWritable);
    assert_eq!(window.write_obj(7_u32, 4).err(), refused);
    assert_eq!(window.write_slice(&[7; 4], 4).err(), refused);
    assert_eq!(window.store(7_u32, 4, Release).err(), refused);
    assert_eq!(window.compare_exchange(7_u32, 7, 4, SeqCst, SeqCst).err(), refused);
    assert_eq!(window.fetch_add(7_u32, 4, SeqCst).err(), refused);
    assert_eq!(window.fetch_and(7_u32, 4, SeqCst).err(), refused);
    assert_eq!(window.fetch_or(7_u32, 4, SeqCst).err(), refused);
    let expected = if read_only { 0 } else { 14 & 7 | 7 };
    assert_eq!(window.load(4, Acquire), Ok(expected));
    assert_eq!(window.read_obj(4), Ok(expected));
    assert!(window.clone().read_only().is_read_only());
}

// SEMANTICS 29.
#[test]
fn memory_that_cannot_be_written_has_windows_for_reading() {
    let slice = VolatileSlice::from(pages(0x1000)).read_only();
    let region = SliceRegion::with_slice(GuestAddress(0x1000), slice).unwrap();
    let memory = GuestRegionCollection::from_regions(vec![region]).unwrap();
    let window = memory.window(GuestAddress(0x1800), 8, Read).unwrap();
    assert_eq!(window.read_obj::<u64>(0), Ok(0));
    assert_eq!(window.load::<u64>(0, SeqCst), Ok(0));
    for access in [Write, ReadWrite] {
        let error = memory.window(GuestAddress(0x1800), 8, access).unwrap_err();
        assert!(matches!(error, E::AccessDenied { addr: GuestAddress(0x1800), access: Write }));
    }
}

// SEMANTICS 16: three different errors, the first two when the window is made.
#[test]
fn unmapped_straddling_and_misaligned_are_three_errors() {
    let memory = three();
    let opened = |addr| memory.window(GuestAddress(addr), 4, ReadWrite);
    assert!(matches!(opened(0x3000), Err(E::InvalidGuestAddress(GuestAddress(0x3000)))));
    let straddling = opened(0x1ffe);
    assert!(matches!(straddling, Err(E::NotContiguous { addr: GuestAddress(0x1ffe), len: 4 })));
    let window = opened(0x1ff9).unwrap();
    assert_eq!(window.load::<u16>(0, Acquire), Err(WindowError::Misaligned));
    assert_eq!(window.load::<u16>(1, Release), Err(WindowError::InvalidOrdering));
    assert_eq!(window.store(0_u16, 1, Acquire), Err(WindowError::InvalidOrdering));
    assert_eq!(window.load::<u16>(1, Acquire), Ok(0));
}

// SEMANTICS 20, 21: through every way to write that a window has.
#[test]
fn a_write_is_marked_where_it_is_in_the_region() {
    let (region, log) = marked(0x1000, 0x1000);
    let memory = GuestRegionCollection::from_regions(vec![region]).unwrap();
    let window = memory.window(GuestAddress(0x1100), 0x100, ReadWrite).unwrap();
    let window = window.part(0x10, 0x80).unwrap();
    type Act = fn(&GuestWindow<SliceRegion<'static, common::Log>>) -> Result<(), WindowError>;
    let acts: [(Act, &[(usize, usize)]); 9] = [
        (|window| window.write_obj(1_u32, 3), &[(0x113, 4)]),
        (|window| window.write_slice(&[1; 7], 0x79), &[(0x189, 7)]),
        (|window| window.store(1_u64, 8, Release), &[(0x118, 8)]),
        (|window| window.compare_exchange(1_u64, 2, 8, SeqCst, SeqCst).map(drop), &[(0x118, 8)]),
        (|window| window.compare_exchange(1_u64, 2, 8, SeqCst, SeqCst).map(drop), &[]),
        (|window| window.fetch_add(1_u8, 9, SeqCst).map(drop), &[(0x119, 1)]),
        (|window| window.fetch_and(1_u16, 2, SeqCst).map(drop), &[(0x112, 2)]),
        (|window| window.fetch_or(1_u16, 4, SeqCst).map(drop), &[(0x114, 2)]),
        (|window| window.read_slice(&mut [0; 0x80], 0), &[]),
    ];
    for (act, marks) in acts {
        act(&window).unwrap();
        assert_eq!(log.take(), marks);
    }
    window.as_volatile_slice().write_obj(1_u8, 1).unwrap();
    assert_eq!(log.take(), [(0x111, 1)]);
    assert_eq!(window.write_slice(&[1; 8], 0x79), Err(WindowError::OutOfBounds));
    assert_eq!(log.take(), []);
    assert!(!window.region().bitmap().dirty_at(0));
}

#[test]
fn a_window_keeps_its_region_when_the_map_is_gone() {
    let memory = three();
    memory.write_obj(7_u32, GuestAddress(0x1010)).unwrap();
    let window = memory.window(GuestAddress(0x1000), 0x20, Read).unwrap();
    drop(memory);
    let read = std::thread::spawn(move || window.read_obj::<u32>(0x10));
    assert_eq!(read.join().unwrap(), Ok(7));
}

#[test]
fn a_window_and_its_map_see_the_same_bytes() {
    let memory = three();
    let window = memory.window(GuestAddress(0x2ff0), 0x10, ReadWrite).unwrap();
    memory.write_slice(&counting(0x10), GuestAddress(0x2ff0)).unwrap();
    let mut bytes = [0; 0x10];
    window.read_slice(&mut bytes, 0).unwrap();
    assert_eq!(bytes[..], counting(0x10));
    window.write_slice(&[9; 0x10], 0).unwrap();
    let all = all_bytes(&memory);
    assert_eq!(all[0x1ff0..0x2000], [9; 0x10]);
    assert!(all[..0x1ff0].iter().chain(&all[0x2000..]).all(|&byte| byte == 0));
}

#[test]
fn an_error_of_a_window_becomes_one_of_the_memory() {
    fn access(window: &GuestWindow<common::Region>) -> GuestMemoryResult<u32> {
        Ok(window.read_obj(0x20)?)
    }
    let window = three().window(GuestAddress(0x1000), 0x20, Read).unwrap();
    let error = access(&window).unwrap_err();
    assert!(matches!(error, E::Window(WindowError::OutOfBounds)));
    assert_eq!(error.to_string(), "the access is out of the window's bounds");
}

#[test]
fn for_debugging_a_window_shows_where_it_is() {
    let window = three().window(GuestAddress(0x1010), 0x20, Read).unwrap();
    let shown = format!("{window:?}");
    assert_eq!(shown, "GuestWindow { start: GuestAddress(0x1010), len: 0x20, read_only: true }");
}

/// A region of 0x100 bytes at 0x1000, which gives a map so many of them to reach directly.
struct Direct {
    memory: SliceRegion<'static>,
    direct: Option<usize>,
}

impl GuestMemoryRegion for Direct {
    type B = ();

    fn len(&self) -> GuestUsize {
        self.memory.len()
    }

    fn start_addr(&self) -> GuestAddress {
        self.memory.start_addr()
    }

    fn bitmap(&self) {}

    fn get_slice(
        &self,
        offset: MemoryRegionAddress,
        count: usize,
    ) -> GuestMemoryResult<VolatileSlice<'_>> {
        self.memory.get_slice(offset, count)
    }

    fn direct_slice(&self) -> Option<VolatileSlice<'_>> {
        self.memory.get_slice(MemoryRegionAddress(0), self.direct?).ok()
    }
}

impl GuestMemoryRegionBytes for Direct {}

// SEMANTICS 37.
#[rstest]
#[case::wants_to_be_asked(None, 8, Some(Refusal::Unreachable))]
#[case::shorter(Some(0x10), 8, None)]
#[case::too_short(Some(0x10), 0x11, Some(Refusal::Short))]
fn a_region_that_is_not_reached_directly_has_no_window(
    #[case] direct: Option<usize>,
    #[case] len: usize,
    #[case] expected: Option<Refusal>,
) {
    let region = Direct { memory: region(0x1000, 0x100), direct };
    let memory = GuestRegionCollection::from_regions(vec![region]).unwrap();
    let result = memory.window(GuestAddress(0x1000), len, ReadWrite);
    assert_eq!(result.as_ref().err().map(refusal), expected);
}

#[test]
fn windows_are_shared_between_threads() {
    fn is_shared<T: Send + Sync + 'static>() {}
    is_shared::<GuestWindow<common::Region>>();
}
