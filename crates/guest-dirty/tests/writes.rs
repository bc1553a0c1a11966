//! Writes to volatile memory mark the pages that they touch, and no other.

#![expect(unsafe_code, reason = "makes slices of memory with a dirty bitmap")]

use core::sync::atomic::Ordering;

use guest_dirty::{AtomicBitmap, RefSlice};
use guest_volatile::{
    Bitmap, BitmapSlice, HostPtrMut, NewBitmap, ReadVolatile, Result, VolatileMemory, VolatileSlice,
};
use rstest::rstest;

/// 3 pages of memory and their bitmap.
struct Ram {
    bytes: Vec<u64>,
    dirty: AtomicBitmap,
}

type Slice<'a> = VolatileSlice<'a, RefSlice<'a, AtomicBitmap>>;
type Guard<'a> = HostPtrMut<'a, RefSlice<'a, AtomicBitmap>>;

impl Ram {
    fn new() -> Self {
        Self { bytes: vec![0; 0x3000 / 8], dirty: AtomicBitmap::with_len(0x3000) }
    }

    /// Lends the memory to `access`, and returns the pages that are dirty after it.
    fn pages_after(&mut self, access: impl FnOnce(Slice<'_>)) -> Vec<usize> {
        let bitmap = RefSlice::new(&self.dirty, 0);
        let addr = self.bytes.as_mut_ptr().cast();
        // SAFETY: the bytes are an exclusive borrow, which is used by nobody else as long as the
        // slice lives, and the bitmap starts where they do.
        access(unsafe { VolatileSlice::with_bitmap(addr, 0x3000, bitmap, None) });
        self.dirty.take().expect("no mark is past the end").pages().collect()
    }
}

fn pages_after(access: impl FnOnce(Slice<'_>)) -> Vec<usize> {
    Ram::new().pages_after(access)
}

/// A source that gives `0` bytes at a time, whatever the target holds.
struct Trickle(usize);

impl ReadVolatile for Trickle {
    fn read_volatile<B: BitmapSlice>(&mut self, buf: &mut VolatileSlice<'_, B>) -> Result<usize> {
        buf.write(&vec![7; self.0], 0)
    }
}

#[test]
fn a_source_that_gives_less_marks_what_it_gave() {
    let pages = pages_after(|ram| {
        let part = ram.offset(0xff8).unwrap();
        assert_eq!(part.read_volatile_from(0, &mut Trickle(0x10), part.len()).unwrap(), 0x10);
    });
    assert_eq!(pages, [0, 1]);

    let pages = pages_after(|ram| {
        assert_eq!(ram.read_volatile_from(0xff8, &mut Trickle(0x10), 0x3000).unwrap(), 0x10);
    });
    assert_eq!(pages, [0, 1]);
}

#[test]
fn a_source_that_gives_nothing_marks_nothing() {
    let pages = pages_after(|ram| {
        assert_eq!(ram.read_volatile_from(0xff8, &mut Trickle(0), 0x100).unwrap(), 0);
        assert_eq!(ram.read_volatile_from(0xff8, &mut Trickle(1), 0).unwrap(), 0);
    });
    assert!(pages.is_empty());
}

#[test]
fn a_source_that_ends_marks_what_it_gave() {
    let pages = pages_after(|ram| {
        let mut source = &[7; 0x1800][..];
        assert!(ram.read_exact_volatile_from(0x800, &mut source, 0x2800).is_err());
    });
    assert_eq!(pages, [0, 1]);
}

#[rstest]
#[case::write(&[0, 1], |ram: Slice<'_>| assert_eq!(ram.write(&[1; 2], 0xfff).unwrap(), 2))]
#[case::write_of_nothing(&[], |ram: Slice<'_>| assert_eq!(ram.write(&[], 0xfff).unwrap(), 0))]
#[case::write_that_does_not_fit(&[2], |ram: Slice<'_>| {
    assert_eq!(ram.write(&[1; 0x100], 0x2ff8).unwrap(), 8);
})]
#[case::write_past_the_end(&[], |ram: Slice<'_>| assert!(ram.write(&[1], 0x3000).is_err()))]
#[case::write_slice(&[1], |ram: Slice<'_>| ram.write_slice(&[1; 0x1000], 0x1000).unwrap())]
#[case::write_slice_that_does_not_fit(&[2], |ram: Slice<'_>| {
    assert!(ram.write_slice(&[1; 9], 0x2ff8).is_err());
})]
#[case::write_whole(&[0, 1, 2], |ram: Slice<'_>| ram.write_whole(&[1; 0x3000], 0).unwrap())]
#[case::write_whole_that_does_not_fit(&[], |ram: Slice<'_>| {
    assert!(ram.write_whole(&[1; 9], 0x2ff8).is_err());
})]
#[case::write_obj(&[1], |ram: Slice<'_>| ram.write_obj(1_u64, 0x1ff8).unwrap())]
#[case::write_obj_across_pages(&[1, 2], |ram: Slice<'_>| ram.write_obj(1_u64, 0x1ff9).unwrap())]
#[case::write_obj_that_does_not_fit(&[2], |ram: Slice<'_>| {
    assert!(ram.write_obj(1_u64, 0x2ff9).is_err());
})]
#[case::copy_from(&[0, 1], |ram: Slice<'_>| ram.copy_from(&[1_u32; 0x401]))]
#[case::copy_of_slices(&[1], |ram: Slice<'_>| {
    let target = ram.subslice(0x1000, 0x10).unwrap();
    ram.subslice(0xff0, 0x20).unwrap().copy_to_volatile_slice(target);
})]
#[case::reference(&[2], |ram: Slice<'_>| ram.get_ref::<u32>(0x2000).unwrap().store(1))]
#[case::array(&[1], |ram: Slice<'_>| ram.get_array_ref::<u32>(0xff0, 8).unwrap().store(4, 1))]
#[case::store(&[2], |ram: Slice<'_>| ram.store(1_u32, 0x2ffc, Ordering::Release).unwrap())]
#[case::fetch_add(&[1], |ram: Slice<'_>| {
    assert_eq!(ram.fetch_add(0_u16, 0x1ffe, Ordering::Relaxed).unwrap(), 0);
})]
#[case::fetch_and(&[1], |ram: Slice<'_>| {
    assert_eq!(ram.fetch_and(0_u16, 0x1ffe, Ordering::Relaxed).unwrap(), 0);
})]
#[case::fetch_or(&[1], |ram: Slice<'_>| {
    assert_eq!(ram.fetch_or(0_u16, 0x1ffe, Ordering::Relaxed).unwrap(), 0);
})]
#[case::store_that_is_misaligned(&[], |ram: Slice<'_>| {
    assert!(ram.store(1_u32, 2, Ordering::Release).is_err());
})]
fn a_write_marks_exactly_its_pages(#[case] pages: &[usize], #[case] write: fn(Slice<'_>)) {
    assert_eq!(pages_after(write), pages);
}

#[test]
fn reads_never_mark() {
    let pages = pages_after(|ram| {
        let mut buf = [0; 0x3000];
        ram.read(&mut buf, 0).unwrap();
        ram.read_slice(&mut buf, 0).unwrap();
        ram.read_obj::<u64>(0xffc).unwrap();
        ram.load::<u32>(0x1000, Ordering::Acquire).unwrap();
        ram.get_ref::<u32>(0x1000).unwrap().load();
        ram.get_array_ref::<u32>(0, 8).unwrap().load(3);
        ram.copy_to(&mut buf);
        let mut sink = Vec::new();
        ram.write_volatile_to(0, &mut sink, 0x3000).unwrap();
        ram.write_all_volatile_to(0, &mut &mut buf[..], 0x3000).unwrap();
        ram.copy_to_volatile_slice(VolatileSlice::from(&mut buf[..]));
        ram.host_ptr();
        ram.subslice(0x1000, 0x1000).unwrap();
    });
    assert!(pages.is_empty());
}

#[test]
fn a_compare_exchange_marks_only_when_it_stores() {
    let mut ram = Ram::new();
    let exchange = |ram: &Slice<'_>, current: u32| {
        ram.compare_exchange(current, 5, 0x1000, Ordering::AcqRel, Ordering::Acquire).unwrap()
    };
    assert!(ram.pages_after(|ram| assert_eq!(exchange(&ram, 1), Err(0))).is_empty());
    assert_eq!(ram.pages_after(|ram| assert_eq!(exchange(&ram, 0), Ok(0))), [1]);
}

#[rstest]
#[case::whole(&[0, 1], |guard: Guard<'_>| drop(guard))]
#[case::a_part(&[0], |guard: Guard<'_>| guard.written(8))]
#[case::nothing(&[], |guard: Guard<'_>| guard.written(0))]
#[case::more_than_all(&[0, 1], |guard: Guard<'_>| guard.written(0x3000))]
fn a_guard_for_writing_marks_when_it_ends(#[case] pages: &[usize], #[case] end: fn(Guard<'_>)) {
    assert_eq!(pages_after(|ram| end(ram.subslice(0xff8, 0x10).unwrap().host_ptr_mut())), pages);
}

#[test]
fn a_guard_for_writing_marks_nothing_before_it_ends() {
    let pages = pages_after(|ram| {
        let dirty_bytes = || ram.bitmap().dirty_bytes(0, 0x3000);
        let guard = ram.host_ptr_mut();
        assert_eq!(dirty_bytes(), Some(0));
        drop(guard);
        assert_eq!(dirty_bytes(), Some(0x3000));
    });
    assert_eq!(pages, [0, 1, 2]);
}

#[test]
fn parts_carry_the_offset_along() {
    let parts: [fn(Slice<'_>) -> Slice<'_>; 5] = [
        |ram| ram.split_at(0x1800).unwrap().1,
        |ram| ram.offset(0x1800).unwrap(),
        |ram| ram.subslice(0x1800, 0x900).unwrap(),
        |ram| ram.offset(0x1000).unwrap().offset(0x800).unwrap(),
        |ram| ram.split_at(0x1000).unwrap().1.subslice(0x800, 0x900).unwrap(),
    ];
    for part in parts {
        assert_eq!(pages_after(|ram| part(ram).write_slice(&[1], 0x7ff).unwrap()), [1]);
        assert_eq!(pages_after(|ram| part(ram).write_slice(&[1], 0x800).unwrap()), [2]);
        assert_eq!(pages_after(|ram| part(ram).write_obj(1_u16, 0x7ff).unwrap()), [1, 2]);
    }
}

#[test]
fn the_first_part_of_a_split_keeps_its_start() {
    let pages = pages_after(|ram| ram.split_at(0x1800).unwrap().0.write_slice(&[1], 8).unwrap());
    assert_eq!(pages, [0]);
}

#[test]
fn a_refused_write_marks_nothing() {
    let pages = pages_after(|ram| {
        let ram = ram.read_only();
        assert!(ram.write(&[1], 0).is_err());
        assert!(ram.store(1_u8, 0, Ordering::Release).is_err());
        assert!(ram.read_volatile_from(0, &mut Trickle(1), 1).is_err());
        drop(ram.host_ptr_mut());
    });
    assert!(pages.is_empty());
}
