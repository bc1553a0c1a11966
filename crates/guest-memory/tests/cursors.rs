//! A cursor gives the answers and errors of its map, whatever it has been used for before.

mod common;

use std::sync::atomic::Ordering;

use common::{all_bytes, map, marked, pages, three};
use guest_memory::guest_volatile::VolatileSlice;
use guest_memory::{
    AtomicAccess, ByteValued, Bytes, GuestAddress, GuestCursor, GuestMemory, GuestMemoryError as E,
    GuestMemoryResult, GuestRegionCollection, SliceRegion,
};
use proptest::collection::vec;
use proptest::prelude::*;
use rstest::rstest;

use Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

/// What was done, as text: errors are compared by what they say of the case.
fn said<T: std::fmt::Debug>(result: &GuestMemoryResult<T>) -> String {
    format!("{result:?}")
}

#[derive(Clone, Debug)]
enum Op {
    Read(u64, usize),
    Write(u64, usize),
    ReadObj(u64, usize),
    WriteObj(u64, usize),
    Load(u64, usize, Ordering),
    Store(u64, usize, Ordering),
}

fn object(kind: usize) -> usize {
    [0, 1, 2, 3, 4, 8, 16, 17, 40][kind % 9]
}

/// The two ways to the memory, which are to be the same.
trait Access {
    fn read(&mut self, buf: &mut [u8], addr: GuestAddress) -> GuestMemoryResult<()>;
    fn write(&mut self, buf: &[u8], addr: GuestAddress) -> GuestMemoryResult<()>;
    fn read_obj<T: ByteValued>(&mut self, addr: GuestAddress) -> GuestMemoryResult<T>;
    fn write_obj<T: ByteValued>(&mut self, val: T, addr: GuestAddress) -> GuestMemoryResult<()>;
    fn load<T: AtomicAccess>(&mut self, addr: GuestAddress, o: Ordering) -> GuestMemoryResult<T>;
    fn store<T: AtomicAccess>(
        &mut self,
        val: T,
        a: GuestAddress,
        o: Ordering,
    ) -> GuestMemoryResult<()>;
}

macro_rules! access {
    ($type:ty) => {
        impl<M: GuestMemory> Access for $type {
            fn read(&mut self, buf: &mut [u8], addr: GuestAddress) -> GuestMemoryResult<()> {
                self.read_slice(buf, addr)
            }
            fn write(&mut self, buf: &[u8], addr: GuestAddress) -> GuestMemoryResult<()> {
                self.write_slice(buf, addr)
            }
            fn read_obj<T: ByteValued>(&mut self, addr: GuestAddress) -> GuestMemoryResult<T> {
                <$type>::read_obj(self, addr)
            }
            fn write_obj<T: ByteValued>(
                &mut self,
                val: T,
                addr: GuestAddress,
            ) -> GuestMemoryResult<()> {
                <$type>::write_obj(self, val, addr)
            }
            fn load<T: AtomicAccess>(
                &mut self,
                addr: GuestAddress,
                o: Ordering,
            ) -> GuestMemoryResult<T> {
                <$type>::load(self, addr, o)
            }
            fn store<T: AtomicAccess>(
                &mut self,
                val: T,
                a: GuestAddress,
                o: Ordering,
            ) -> GuestMemoryResult<()> {
                <$type>::store(self, val, a, o)
            }
        }
    };
}

/// A map, as it is accessed without a cursor.
struct Plain<'m, M>(&'m M);

impl<M: GuestMemory> Plain<'_, M> {
    fn read_slice(&self, buf: &mut [u8], addr: GuestAddress) -> GuestMemoryResult<()> {
        self.0.read_slice(buf, addr)
    }
    fn write_slice(&self, buf: &[u8], addr: GuestAddress) -> GuestMemoryResult<()> {
        self.0.write_slice(buf, addr)
    }
    fn read_obj<T: ByteValued>(&self, addr: GuestAddress) -> GuestMemoryResult<T> {
        self.0.read_obj(addr)
    }
    fn write_obj<T: ByteValued>(&self, val: T, addr: GuestAddress) -> GuestMemoryResult<()> {
        self.0.write_obj(val, addr)
    }
    fn load<T: AtomicAccess>(&self, addr: GuestAddress, o: Ordering) -> GuestMemoryResult<T> {
        self.0.load(addr, o)
    }
    fn store<T: AtomicAccess>(
        &self,
        val: T,
        a: GuestAddress,
        o: Ordering,
    ) -> GuestMemoryResult<()> {
        self.0.store(val, a, o)
    }
}

access!(GuestCursor<'_, M>);
access!(Plain<'_, M>);

/// Does one operation, and tells everything that can be seen of it but the memory.
fn act(way: &mut impl Access, op: &Op, value: u8) -> String {
    let at = GuestAddress;
    match *op {
        Op::Read(addr, count) => {
            let mut buf = vec![0xee; count];
            let result = way.read(&mut buf, at(addr));
            format!("{} {buf:?}", said(&result))
        }
        Op::Write(addr, count) => said(&way.write(&vec![value; count], at(addr))),
        Op::ReadObj(addr, kind) => match object(kind) {
            0 => said(&way.read_obj::<[u8; 0]>(at(addr))),
            1 => said(&way.read_obj::<u8>(at(addr))),
            2 => said(&way.read_obj::<u16>(at(addr))),
            3 => said(&way.read_obj::<[u8; 3]>(at(addr))),
            4 => said(&way.read_obj::<u32>(at(addr))),
            8 => said(&way.read_obj::<u64>(at(addr))),
            16 => said(&way.read_obj::<u128>(at(addr))),
            17 => said(&way.read_obj::<[u8; 17]>(at(addr))),
            _ => said(&way.read_obj::<[u64; 5]>(at(addr))),
        },
        Op::WriteObj(addr, kind) => match object(kind) {
            0 => said(&way.write_obj([0_u8; 0], at(addr))),
            1 => said(&way.write_obj(value, at(addr))),
            2 => said(&way.write_obj([value; 2], at(addr))),
            3 => said(&way.write_obj([value; 3], at(addr))),
            4 => said(&way.write_obj([value; 4], at(addr))),
            8 => said(&way.write_obj([value; 8], at(addr))),
            16 => said(&way.write_obj([value; 16], at(addr))),
            17 => said(&way.write_obj([value; 17], at(addr))),
            _ => said(&way.write_obj([value; 40], at(addr))),
        },
        Op::Load(addr, kind, order) => match kind % 4 {
            0 => said(&way.load::<u8>(at(addr), order)),
            1 => said(&way.load::<u16>(at(addr), order)),
            2 => said(&way.load::<u32>(at(addr), order)),
            _ => said(&way.load::<u64>(at(addr), order)),
        },
        Op::Store(addr, kind, order) => match kind % 4 {
            0 => said(&way.store(value, at(addr), order)),
            1 => said(&way.store(u16::from(value), at(addr), order)),
            2 => said(&way.store(u32::from(value), at(addr), order)),
            _ => said(&way.store(u64::from(value), at(addr), order)),
        },
    }
}

/// Where the addresses of a case lie. The last leaves no room above.
const ORIGINS: [u64; 3] = [0, 0x1000, u64::MAX - 0x7f];

fn op() -> impl Strategy<Value = Op> {
    let place = || prop_oneof![9 => 0..0x80_u64, 1 => 0x80..0x90_u64, 1 => u64::MAX - 8..=u64::MAX];
    let count = || prop_oneof![1 => Just(0_usize), 4 => 1_usize..20, 4 => 1_usize..0x60];
    let order =
        || prop_oneof![Just(Relaxed), Just(Acquire), Just(Release), Just(AcqRel), Just(SeqCst)];
    prop_oneof![
        1 => (place(), count()).prop_map(|(at, count)| Op::Read(at, count)),
        1 => (place(), count()).prop_map(|(at, count)| Op::Write(at, count)),
        3 => (place(), 0_usize..9).prop_map(|(at, kind)| Op::ReadObj(at, kind)),
        3 => (place(), 0_usize..9).prop_map(|(at, kind)| Op::WriteObj(at, kind)),
        1 => (place(), 0_usize..4, order()).prop_map(|(at, kind, order)| Op::Load(at, kind, order)),
        1 => (place(), 0_usize..4, order()).prop_map(|(at, kind, order)| Op::Store(at, kind, order)),
    ]
}

/// Regions of a gap before them, a length, how far off an aligned address, and whether they are read-only.
fn regions() -> impl Strategy<Value = Vec<(u64, usize, usize, bool)>> {
    let gap = prop_oneof![2 => Just(0_u64), 1 => 1_u64..10];
    vec((gap, 1_usize..40, 0_usize..9, prop::bool::weighted(0.2)), 1..6)
}

fn build(origin: u64, regions: &[(u64, usize, usize, bool)]) -> Option<common::Map> {
    let (mut next, mut made) = (0, vec![]);
    for &(gap, len, odd, read_only) in regions {
        let start = next + gap;
        next = start + len as u64;
        if next > 0x80 {
            break;
        }
        let slice = VolatileSlice::from(&mut pages(len + odd)[odd..]);
        let slice = if read_only { slice.read_only() } else { slice };
        made.push(SliceRegion::with_slice(GuestAddress(origin + start), slice)?);
    }
    GuestRegionCollection::from_regions(made).ok()
}

proptest! {
    #[test]
    fn a_cursor_is_as_good_as_its_map(
        origin in 0_usize..3,
        regions in regions(),
        ops in vec(op(), 1..60),
    ) {
        let origin = ORIGINS[origin];
        let (Some(memory), Some(other)) = (build(origin, &regions), build(origin, &regions)) else {
            return Ok(());
        };
        let (mut cursor, mut plain) = (GuestCursor::new(&memory), Plain(&other));
        for (number, op) in ops.iter().enumerate() {
            let op = match op.clone() {
                Op::Read(at, x) => Op::Read(origin.wrapping_add(at), x),
                Op::Write(at, x) => Op::Write(origin.wrapping_add(at), x),
                Op::ReadObj(at, x) => Op::ReadObj(origin.wrapping_add(at), x),
                Op::WriteObj(at, x) => Op::WriteObj(origin.wrapping_add(at), x),
                Op::Load(at, x, order) => Op::Load(origin.wrapping_add(at), x, order),
                Op::Store(at, x, order) => Op::Store(origin.wrapping_add(at), x, order),
            };
            let value = number as u8 + 1;
            prop_assert_eq!(act(&mut cursor, &op, value), act(&mut plain, &op, value), "{:?}", op);
            // One that starts afresh as well.
            let mut fresh = GuestCursor::new(&memory);
            prop_assert_eq!(act(&mut fresh, &op, value), act(&mut plain, &op, value), "{:?}", op);
        }
        prop_assert_eq!(all_bytes(&memory), all_bytes(&other));
    }
}

// SEMANTICS 8.
#[test]
fn after_an_error_the_cursor_is_where_it_was_or_better() {
    let memory = three();
    let mut cursor = GuestCursor::new(&memory);
    cursor.write_obj(7_u32, GuestAddress(0x1000)).unwrap();
    assert!(matches!(cursor.read_obj::<u32>(GuestAddress(0x3000)), Err(E::InvalidGuestAddress(_))));
    assert_eq!(cursor.read_obj::<u32>(GuestAddress(0x1000)).unwrap(), 7);
    let result = cursor.write_obj(u64::MAX, GuestAddress(0x2ffc));
    assert!(matches!(result, Err(E::PartialBuffer { expected: 8, completed: 4 })));
    assert_eq!(cursor.read_obj::<u32>(GuestAddress(0x2ffc)).unwrap(), u32::MAX);
    assert_eq!(cursor.memory().num_regions(), 3);
}

// SEMANTICS 16.
#[rstest]
fn unmapped_straddling_and_misaligned_are_three_errors(#[values(false, true)] been_there: bool) {
    let memory = three();
    let mut cursor = GuestCursor::new(&memory);
    if been_there {
        cursor.load::<u32>(GuestAddress(0x1000), SeqCst).unwrap();
    }
    let mut load = |addr| cursor.load::<u32>(GuestAddress(addr), SeqCst);
    assert!(matches!(load(0x3000), Err(E::InvalidGuestAddress(_))));
    assert!(matches!(load(0x1ffe), Err(E::NotContiguous { .. })));
    assert!(matches!(
        load(0x1001),
        Err(E::Misaligned { addr: GuestAddress(0x1001), alignment: 4 })
    ));
}

// SEMANTICS 20, 21.
#[test]
fn writes_are_marked_as_they_are_through_the_map() {
    let (low, low_log) = marked(0x1000, 0x1000);
    let (high, high_log) = marked(0x2000, 0x1000);
    let memory = GuestRegionCollection::from_regions(vec![low, high]).unwrap();
    let mut cursor = GuestCursor::new(&memory);
    for _ in 0..2 {
        cursor.write_obj(1_u32, GuestAddress(0x1010)).unwrap();
        cursor.write_obj([1_u8; 40], GuestAddress(0x1021)).unwrap();
        cursor.write_slice(&[1; 5], GuestAddress(0x1031)).unwrap();
        cursor.store(1_u16, GuestAddress(0x1102), Release).unwrap();
        cursor.read_obj::<u64>(GuestAddress(0x1102)).unwrap();
        assert_eq!(low_log.take(), [(0x10, 4), (0x21, 40), (0x31, 5), (0x102, 2)]);
        assert_eq!(high_log.take(), []);
        // In both: each its part.
        cursor.write_obj([1_u8; 8], GuestAddress(0x1ffd)).unwrap();
        assert_eq!((low_log.take(), high_log.take()), (vec![(0xffd, 3)], vec![(0, 5)]));
        cursor.write_obj(1_u8, GuestAddress(0x2fff)).unwrap();
        assert_eq!((low_log.take(), high_log.take()), (vec![], vec![(0xfff, 1)]));
    }
}

#[test]
fn a_copy_of_a_cursor_goes_its_own_way() {
    let memory = map(&[(0, 0x100), (0x1000, 0x100)]);
    let mut cursor = GuestCursor::new(&memory);
    cursor.write_obj(1_u8, GuestAddress(0)).unwrap();
    let mut copy = cursor.clone();
    copy.write_obj(2_u8, GuestAddress(0x1000)).unwrap();
    assert_eq!(cursor.read_obj::<u8>(GuestAddress(0)).unwrap(), 1);
    assert_eq!(copy.read_obj::<u8>(GuestAddress(0x1000)).unwrap(), 2);
    assert!(format!("{cursor:?}").starts_with("GuestCursor { last: PlacedSlice { start: 0x0, "));
}
