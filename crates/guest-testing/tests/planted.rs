//! The conformance kit finds what is wrong: each of these memories has one fault.

#![expect(clippy::unwrap_used, reason = "what a test cannot make fails the test")]

use std::sync::atomic::Ordering;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;

use guest_atomic::GuestMemoryAtomic;
use guest_dirty::{AtomicBitmap, RefSlice};
use guest_memory::{
    AtomicAccess, Bytes, GuestAddress, GuestMemory, GuestMemoryError, GuestMemoryRegion,
    GuestMemoryResult, GuestRegionCollection, IoMemory, IoMemorySliceIterator, MemoryRegionAddress,
    Permissions, ReadVolatile, SliceRegion, VolatileSlice, WholeBytes, WriteVolatile,
};
use guest_testing::conformance::{Check, Difference, Holes, check_whole_accesses};
use guest_testing::{Probe, TestMemory};
use guest_volatile::{BS, Bitmap, BitmapSlice, Both, WithBitmapSlice};
use rstest::rstest;

type Ranges<'a> = &'a [(GuestAddress, usize)];

fn honest(ranges: Ranges<'_>) -> TestMemory {
    Probe::new().memory(ranges).unwrap()
}

/// What a memory for devices does wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// After a border it goes on one byte too far.
    SkipsAByteAtABorder,
    /// It forgets the bytes after a border.
    EndsAtABorder,
    /// It forgets the error where the memory ends.
    EndsInSilence,
    /// What it has at hand is the byte before.
    AtHandIsElsewhere,
    /// It says that there is one byte more.
    CheckRangeIsLong,
    /// It says that there is one byte less.
    CheckRangeIsShort,
    /// It does not know what lies at the top.
    NoTop,
    /// It panics at the top.
    PanicsAtTheTop,
    /// It goes on after an error.
    GoesOn,
}

struct Wrong {
    inner: TestMemory,
    fault: Fault,
}

type Items<'a> = Vec<GuestMemoryResult<VolatileSlice<'a, BS<'a, <Wrong as IoMemory>::Bitmap>>>>;

struct Iter<'a>(std::iter::Fuse<std::vec::IntoIter<<Items<'a> as IntoIterator>::Item>>);

impl<'a> Iterator for Iter<'a> {
    type Item = <Items<'a> as IntoIterator>::Item;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

impl std::iter::FusedIterator for Iter<'_> {}

impl<'a> IoMemorySliceIterator<'a, BS<'a, <Wrong as IoMemory>::Bitmap>> for Iter<'a> {}

impl Wrong {
    fn slices(&self, addr: GuestAddress, count: usize) -> Items<'_> {
        GuestMemory::get_slices(&self.inner, addr, count).collect()
    }
}

impl IoMemory for Wrong {
    type PhysicalMemory = TestMemory;
    type Bitmap = <<TestMemory as GuestMemory>::R as GuestMemoryRegion>::B;

    fn check_range(&self, addr: GuestAddress, count: usize, _: Permissions) -> bool {
        let count = match self.fault {
            Fault::CheckRangeIsLong => count.saturating_sub(1),
            Fault::CheckRangeIsShort if count > 0 => count.saturating_add(1),
            _ => count,
        };
        GuestMemory::check_range(&self.inner, addr, count)
    }

    fn get_slices<'a>(
        &'a self,
        addr: GuestAddress,
        count: usize,
        _: Permissions,
    ) -> GuestMemoryResult<impl IoMemorySliceIterator<'a, BS<'a, Self::Bitmap>>> {
        let mut items = self.slices(addr, count);
        match self.fault {
            Fault::SkipsAByteAtABorder if items.len() > 1 && items[1].is_ok() => {
                let done = items[0].as_ref().unwrap().len();
                items.truncate(1);
                items.extend(self.slices(GuestAddress(addr.0 + done as u64 + 1), count - done));
            }
            Fault::EndsAtABorder => items.truncate(1),
            Fault::EndsInSilence => items.retain(Result::is_ok),
            Fault::GoesOn if items.last().is_some_and(Result::is_err) => {
                items.push(Err(GuestMemoryError::InvalidBackendAddress));
            }
            Fault::NoTop if addr.0 > u64::MAX - 8 && count > 0 => {
                items = vec![Err(GuestMemoryError::InvalidGuestAddress(addr))];
            }
            Fault::PanicsAtTheTop => {
                assert!(count == 0 || addr.0.checked_add(count as u64).is_some(), "planted");
            }
            _ => {}
        }
        Ok(Iter(items.into_iter().fuse()))
    }

    fn find_io_slice(
        &self,
        addr: GuestAddress,
        count: usize,
        _: Permissions,
    ) -> Option<VolatileSlice<'_, BS<'_, Self::Bitmap>>> {
        if self.fault != Fault::AtHandIsElsewhere || count == 0 {
            return None;
        }
        let before = GuestAddress(addr.0.checked_sub(1)?);
        // All is there, but what is given is not it.
        if !GuestMemory::check_range(&self.inner, before, count + 1) {
            return None;
        }
        GuestMemory::get_slice(&self.inner, before, count).ok()
    }
}

fn difference_of(fault: Fault) -> Difference {
    let make = |ranges: Ranges<'_>| Wrong { inner: honest(ranges), fault };
    Check::new().try_run(make).expect_err("a fault was planted")
}

#[rstest]
#[case(Fault::SkipsAByteAtABorder)]
#[case(Fault::EndsAtABorder)]
#[case(Fault::EndsInSilence)]
#[case(Fault::AtHandIsElsewhere)]
#[case(Fault::CheckRangeIsLong)]
#[case(Fault::CheckRangeIsShort)]
#[case(Fault::NoTop)]
#[case(Fault::PanicsAtTheTop)]
#[case(Fault::GoesOn)]
fn a_faulty_memory_is_found_out_and_its_trace_is_short(#[case] fault: Fault) {
    let difference = difference_of(fault);
    println!("{difference}");
    // A write, so that there is something to differ, and what shows it; in the ranges on both sides of a border.
    assert!(difference.operations().count() <= 3, "{difference}");
    assert!((1..=2).contains(&difference.ranges().len()), "{difference}");
}

#[test]
fn a_difference_is_found_again_first_by_its_seed() {
    let difference = difference_of(Fault::SkipsAByteAtABorder);
    let make =
        |ranges: Ranges<'_>| Wrong { inner: honest(ranges), fault: Fault::SkipsAByteAtABorder };
    let again = Check::new().seed(difference.seed()).sequences(1).try_run(make).unwrap_err();
    assert_eq!(again.to_string(), difference.to_string());
    let text = difference.to_string();
    assert!(text.contains(&format!("GUEST_TESTING_SEED={:#x}", difference.seed())), "{text}");
    assert!(text.ends_with(difference.what()), "{text}");
}

#[test]
#[should_panic(expected = "GUEST_TESTING_SEED")]
fn a_check_panics_with_the_trace() {
    Check::new().run(|ranges: Ranges<'_>| Wrong { inner: honest(ranges), fault: Fault::NoTop });
}

// A map in small pieces tears the integers that lie in two of them.
#[test]
fn a_memory_whose_pieces_end_inside_of_ranges_is_found_out() {
    let difference = Check::new().try_run(|ranges: Ranges<'_>| {
        let probe = Probe::new();
        probe.short_slices(7);
        probe.memory(ranges).unwrap()
    });
    assert!(difference.unwrap_err().what().contains("inside of a range"));
}

#[test]
fn a_memory_that_fails_once_is_found_out() {
    let difference = Check::new().try_run(|ranges: Ranges<'_>| {
        let probe = Probe::new();
        probe.fail_at(20);
        probe.memory(ranges).unwrap()
    });
    assert!(difference.is_err());
}

#[test]
fn a_byte_that_changes_by_itself_is_found_out() {
    let difference = Check::new().try_run(|ranges: Ranges<'_>| {
        let probe = Probe::new();
        probe.flip(ranges[0].0, 1, 0xff, 1);
        probe.memory(ranges).unwrap()
    });
    assert!(difference.is_err());
}

#[test]
fn a_memory_that_stops_where_it_should_refuse_is_found_out() {
    assert!(Check::new().holes(Holes::Refuse).try_run(honest).is_err());
}

#[test]
fn a_memory_that_is_written_though_read_only_is_found_out() {
    assert!(Check::new().read_only().try_run(honest).is_err());
}

#[test]
#[should_panic(expected = "the memory is not as plain bytes are")]
fn a_map_that_is_not_swapped_is_found_out() {
    Check::new().run_swapping(|ranges| GuestMemoryAtomic::new(honest(ranges)), |_, _| {});
}

/// What a bitmap does wrong.
#[derive(Clone, Copy, Debug)]
enum Slip {
    /// It forgets the last byte of a long write.
    ForgetsALastByte,
    /// It forgets that views have an offset.
    ForgetsTheOffset,
    /// It marks one byte too many.
    MarksTooMuch,
}

/// A view of a bitmap, with a fault.
#[derive(Clone, Copy, Debug)]
struct Slipping {
    view: RefSlice<'static, AtomicBitmap>,
    slip: Option<Slip>,
}

impl WithBitmapSlice<'_> for Slipping {
    type S = Self;
}

impl BitmapSlice for Slipping {}

impl Bitmap for Slipping {
    fn mark_dirty(&self, offset: usize, len: usize) {
        let len = match self.slip {
            Some(Slip::ForgetsALastByte) if len > 8 => len - 1,
            Some(Slip::MarksTooMuch) if len > 8 => len + 1,
            _ => len,
        };
        self.view.mark_dirty(offset, len);
    }

    fn dirty_at(&self, offset: usize) -> bool {
        self.view.dirty_at(offset)
    }

    fn slice_at(&self, offset: usize) -> Self {
        let offset = if matches!(self.slip, Some(Slip::ForgetsTheOffset)) { 0 } else { offset };
        Self { view: self.view.slice_at(offset), slip: self.slip }
    }
}

type Marked = SliceRegion<'static, Both<(), Slipping>>;

fn slipping(ranges: Ranges<'_>, slip: Option<Slip>) -> GuestRegionCollection<Marked> {
    let region = |&(start, len): &(GuestAddress, usize)| {
        let bitmap: &AtomicBitmap =
            Box::leak(Box::new(AtomicBitmap::new(len, 1.try_into().unwrap())));
        let view = Slipping { view: bitmap.slice_at(0), slip };
        let slice = VolatileSlice::from(vec![0; len].leak()).also_marking(view);
        SliceRegion::with_slice(start, slice).unwrap()
    };
    GuestRegionCollection::from_regions(ranges.iter().map(region).collect()).unwrap()
}

#[rstest]
#[case(Slip::ForgetsALastByte)]
#[case(Slip::ForgetsTheOffset)]
#[case(Slip::MarksTooMuch)]
fn a_mark_that_is_wrong_is_found(#[case] slip: Slip) {
    let check = Check::new().marks_by(1.try_into().unwrap());
    check.run(|ranges: Ranges<'_>| slipping(ranges, None));
    let difference = check.try_run(|ranges: Ranges<'_>| slipping(ranges, Some(slip))).unwrap_err();
    println!("{difference}");
    assert!(difference.what().contains("marked"), "{difference}");
    // Who does not ask for marks, is not told.
    Check::new().run(|ranges: Ranges<'_>| slipping(ranges, Some(slip)));
}

/// What a region does wrong whose `Bytes` are of its own making.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Own {
    Nothing,
    /// It writes byte by byte.
    WritesByTheByte,
    /// It reads one byte less than is there.
    ReadsLess,
    /// It writes nothing where not all fits.
    WritesAllOrNothing,
    /// A source fills it from the second byte on.
    SkipsInStreams,
    /// It gives a sink one byte less and says nothing.
    LosesInStreams,
    /// It takes any memory ordering.
    TakesAnyOrder,
    /// A store does nothing.
    StoresNothing,
}

struct OwnRegion {
    inner: SliceRegion<'static>,
    own: Own,
}

impl GuestMemoryRegion for OwnRegion {
    type B = ();

    fn len(&self) -> u64 {
        self.inner.len()
    }

    fn start_addr(&self) -> GuestAddress {
        self.inner.start_addr()
    }

    fn bitmap(&self) {}

    fn get_slice(&self, at: At, count: usize) -> GuestMemoryResult<VolatileSlice<'_>> {
        self.inner.get_slice(at, count)
    }
}

type At = MemoryRegionAddress;

impl Bytes<At> for OwnRegion {
    type E = GuestMemoryError;

    fn write(&self, buf: &[u8], at: At) -> GuestMemoryResult<usize> {
        self.inner.write(buf, at)
    }

    fn read(&self, buf: &mut [u8], at: At) -> GuestMemoryResult<usize> {
        let less = usize::from(self.own == Own::ReadsLess && buf.len() > 1);
        let count = buf.len() - less;
        self.inner.read(&mut buf[..count], at)
    }

    fn write_slice(&self, buf: &[u8], at: At) -> GuestMemoryResult<()> {
        match self.own {
            Own::WritesAllOrNothing => self.inner.write_whole(buf, at),
            Own::WritesByTheByte => buf.iter().enumerate().try_for_each(|(number, &byte)| {
                self.inner.write_obj(byte, MemoryRegionAddress(at.0 + number as u64))?;
                // So that it is surely seen.
                thread::yield_now();
                Ok(())
            }),
            _ => self.inner.write_slice(buf, at),
        }
    }

    fn read_slice(&self, buf: &mut [u8], at: At) -> GuestMemoryResult<()> {
        self.inner.read_slice(buf, at)
    }

    fn read_volatile_from<F>(&self, at: At, src: &mut F, count: usize) -> GuestMemoryResult<usize>
    where
        F: ReadVolatile,
    {
        let fits = at.0 + 1 < self.len();
        let at = if self.own == Own::SkipsInStreams && fits {
            MemoryRegionAddress(at.0 + 1)
        } else {
            at
        };
        self.inner.read_volatile_from(at, src, count)
    }

    fn read_exact_volatile_from<F>(
        &self,
        at: At,
        src: &mut F,
        count: usize,
    ) -> GuestMemoryResult<()>
    where
        F: ReadVolatile,
    {
        self.inner.read_exact_volatile_from(at, src, count)
    }

    fn write_volatile_to<F>(&self, at: At, dst: &mut F, count: usize) -> GuestMemoryResult<usize>
    where
        F: WriteVolatile,
    {
        self.inner.write_volatile_to(at, dst, count)
    }

    fn write_all_volatile_to<F>(&self, at: At, dst: &mut F, count: usize) -> GuestMemoryResult<()>
    where
        F: WriteVolatile,
    {
        let less = usize::from(self.own == Own::LosesInStreams && count > 1);
        self.inner.write_all_volatile_to(at, dst, count - less)
    }

    fn store<T: AtomicAccess>(&self, val: T, at: At, order: Ordering) -> GuestMemoryResult<()> {
        match self.own {
            Own::TakesAnyOrder => self.inner.store(val, at, Relaxed),
            Own::StoresNothing => self.load::<T>(at, Relaxed).map(drop),
            _ => self.inner.store(val, at, order),
        }
    }

    fn load<T: AtomicAccess>(&self, at: At, order: Ordering) -> GuestMemoryResult<T> {
        self.inner.load(at, order)
    }
}

fn own(ranges: Ranges<'_>, own: Own) -> GuestRegionCollection<OwnRegion> {
    let region = |&(start, len): &(GuestAddress, usize)| {
        // The heap aligns as much as this to 16 bytes.
        let inner = SliceRegion::new(start, &mut vec![0; len.max(0x40)].leak()[..len]).unwrap();
        OwnRegion { inner, own }
    };
    GuestRegionCollection::from_regions(ranges.iter().map(region).collect()).unwrap()
}

#[rstest]
#[case(Own::ReadsLess)]
#[case(Own::WritesAllOrNothing)]
#[case(Own::SkipsInStreams)]
#[case(Own::LosesInStreams)]
#[case(Own::TakesAnyOrder)]
#[case(Own::StoresNothing)]
fn a_region_whose_own_bytes_are_wrong_is_found_out(#[case] fault: Own) {
    Check::new().run(|ranges: Ranges<'_>| own(ranges, Own::Nothing));
    let difference = Check::new().try_run(|ranges: Ranges<'_>| own(ranges, fault)).unwrap_err();
    println!("{difference}");
    // It is what was done to the region that shows it.
    let last = difference.operations().last().unwrap();
    assert!(last.starts_with("Region"), "{difference}");
    assert!(difference.operations().count() <= 2, "{difference}");
}

#[test]
#[should_panic(expected = "were torn")]
fn integers_that_are_written_by_the_byte_are_found() {
    let memory = own(&[(GuestAddress(0), 0x40)], Own::WritesByTheByte);
    check_whole_accesses(memory.iter().next().unwrap(), MemoryRegionAddress(8), 1_000_000);
}

#[test]
fn integers_that_are_written_whole_are_not() {
    let memory = own(&[(GuestAddress(0), 0x40)], Own::Nothing);
    check_whole_accesses(memory.iter().next().unwrap(), MemoryRegionAddress(8), 200);
}
