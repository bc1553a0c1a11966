//! Any sequence of accesses to any map does what it does to a plain list of bytes, and so does any change of the map.

mod common;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use common::{Sink, Source, Step, counting};
use guest_memory::{
    AtomicAccess, AtomicUpdate, Bytes, GuestAddress, GuestMemory, GuestMemoryError as E,
    GuestMemoryRegion, GuestRegionCollection, GuestRegionCollectionError, MemoryRegionAddress,
    SliceRegion, WholeBytes,
};
use proptest::collection::vec;
use proptest::prelude::*;

type Map<'m> = GuestRegionCollection<SliceRegion<'m>>;

/// Where the addresses of a case lie. The last one leaves no room above.
const ORIGINS: [u64; 4] = [0, 0x1000, (1 << 40) - 0x40, u64::MAX - WINDOW + 1];
/// How many addresses a case is about.
const WINDOW: u64 = 0x80;
/// How many bytes all regions of a case have together, at most.
const RAM: usize = 0x400;

/// The regions of a map as they should be: the bytes of each, by its first address.
type Model = BTreeMap<u64, Vec<u8>>;

/// A region to be: where it starts, how long it is, and how far from an aligned host address.
#[derive(Clone, Copy, Debug)]
struct Plan {
    start: u64,
    len: usize,
    odd: usize,
}

#[derive(Clone, Debug)]
enum Op {
    Read(u64, usize),
    Write(u64, usize),
    WriteWhole(u64, usize),
    Object(u64, usize),
    FetchAdd(u64, usize),
    CompareExchange(u64, usize, bool),
    ReadFrom(u64, usize, Vec<Step>),
    ReadExactFrom(u64, usize, Vec<Step>),
    WriteTo(u64, usize, Vec<Step>),
    WriteAllTo(u64, usize, Vec<Step>),
    Remove(u64, bool),
    Insert(usize),
}

/// Distances from the origin, also a little below and above the window, if there is room.
fn place() -> impl Strategy<Value = u64> {
    prop_oneof![9 => 0..WINDOW, 1 => WINDOW..WINDOW + 8, 1 => u64::MAX - 8..=u64::MAX]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (1_usize..40).prop_map(Step::Move),
        1 => Just(Step::Fail(ErrorKind::Interrupted)),
        1 => Just(Step::Fail(ErrorKind::TimedOut)),
        1 => Just(Step::Move(0)),
    ];
    vec(step, 0..8)
}

fn count() -> impl Strategy<Value = usize> {
    prop_oneof![1 => Just(0_usize), 4 => 1_usize..10, 4 => 1_usize..0x60, 1 => Just(0x100_usize)]
}

fn op() -> impl Strategy<Value = Op> {
    let width = || 0_usize..4;
    prop_oneof![
        3 => (place(), count()).prop_map(|(at, count)| Op::Read(at, count)),
        3 => (place(), count()).prop_map(|(at, count)| Op::Write(at, count)),
        2 => (place(), count()).prop_map(|(at, count)| Op::WriteWhole(at, count)),
        4 => (place(), 0_usize..8).prop_map(|(at, kind)| Op::Object(at, kind)),
        2 => (place(), width()).prop_map(|(at, width)| Op::FetchAdd(at, width)),
        2 => (place(), width(), any::<bool>()).prop_map(|(at, w, hit)| Op::CompareExchange(at, w, hit)),
        2 => (place(), count(), steps()).prop_map(|(at, count, steps)| Op::ReadFrom(at, count, steps)),
        2 => (place(), count(), steps()).prop_map(|(at, count, steps)| Op::ReadExactFrom(at, count, steps)),
        2 => (place(), count(), steps()).prop_map(|(at, count, steps)| Op::WriteTo(at, count, steps)),
        2 => (place(), count(), steps()).prop_map(|(at, count, steps)| Op::WriteAllTo(at, count, steps)),
        1 => (place(), prop::bool::weighted(0.9)).prop_map(|(at, right)| Op::Remove(at, right)),
        2 => (0_usize..8).prop_map(Op::Insert),
    ]
}

/// Regions with gaps between them, or none, and spare ones that may lie anywhere.
fn plans() -> impl Strategy<Value = (Vec<Plan>, Vec<Plan>)> {
    let gaps = prop_oneof![2 => Just(0_u64), 1 => 1_u64..10];
    let chain = vec((gaps, 1_usize..24, 0_usize..9), 1..=6).prop_map(|parts| {
        let mut next = 0;
        let mut regions = Vec::new();
        for (gap, len, odd) in parts {
            let start = next + gap;
            if start + len as u64 <= WINDOW {
                regions.push(Plan { start, len, odd });
                next = start + len as u64;
            }
        }
        regions
    });
    let spare = (0..WINDOW - 24, 1_usize..24, 0_usize..9).prop_map(|(start, len, odd)| Plan {
        start,
        len,
        odd,
    });
    (chain.prop_filter("a map has a region", |chain| !chain.is_empty()), vec(spare, 0..4))
}

/// What a map says and does, beside what it should.
struct Case<'m> {
    origin: u64,
    memory: Map<'m>,
    model: Model,
    /// Regions that are not in the map, with their bytes.
    spare: Vec<(Arc<SliceRegion<'m>>, Vec<u8>)>,
    written: u8,
}

/// How a run of bytes ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Complete,
    Hole(u64),
    Top,
}

impl Case<'_> {
    /// The pieces of the regions that a range lies in, each a region's start, a place in it and a length, and how it ends.
    fn pieces(&self, addr: u64, count: usize) -> (Vec<(u64, usize, usize)>, End) {
        let (mut pieces, mut left, mut next) = (Vec::new(), count, Some(addr));
        while left > 0 {
            let Some(here) = next else { return (pieces, End::Top) };
            let region = self.model.range(..=here).next_back();
            let Some((start, bytes)) =
                region.filter(|(start, bytes)| here - *start < bytes.len() as u64)
            else {
                return (pieces, End::Hole(here));
            };
            let inside = (here - start) as usize;
            let len = left.min(bytes.len() - inside);
            pieces.push((*start, inside, len));
            left -= len;
            next = here.checked_add(len as u64);
        }
        (pieces, End::Complete)
    }

    fn bytes(&self, addr: u64, count: usize) -> Vec<u8> {
        let (pieces, _) = self.pieces(addr, count);
        let piece = |&(start, inside, len): &(u64, usize, usize)| {
            self.model[&start][inside..inside + len].to_vec()
        };
        pieces.iter().flat_map(piece).collect()
    }

    fn put(&mut self, addr: u64, data: &[u8]) {
        let (pieces, _) = self.pieces(addr, data.len());
        let mut rest = data;
        for (start, inside, len) in pieces {
            let (now, later) = rest.split_at(len);
            let bytes = self.model.get_mut(&start).expect("it is that of a piece");
            bytes[inside..inside + len].copy_from_slice(now);
            rest = later;
        }
    }

    /// Bytes that were not written before.
    fn fresh(&mut self, count: usize) -> Vec<u8> {
        self.written = self.written.wrapping_add(1);
        (0..count).map(|at| self.written ^ (at as u8).wrapping_mul(7)).collect()
    }

    /// What an access that may be partial should say.
    fn partial(&self, addr: u64, count: usize) -> Result<usize, E> {
        let (pieces, end) = self.pieces(addr, count);
        match (pieces.iter().map(|piece| piece.2).sum(), end) {
            (0, End::Hole(at)) => Err(E::InvalidGuestAddress(GuestAddress(at))),
            (done, _) => Ok(done),
        }
    }

    /// What an access to all of the bytes should say.
    fn whole(&self, addr: u64, count: usize) -> Result<(), E> {
        match self.partial(addr, count)? {
            done if done == count => Ok(()),
            completed => Err(E::PartialBuffer { expected: count, completed }),
        }
    }

    /// What a transfer does: how far it comes, and what ends it. One call for each piece, or as many as it takes.
    fn streamed(
        &self,
        addr: u64,
        count: usize,
        steps: &[Step],
        exact: bool,
    ) -> (usize, Result<(), E>) {
        let (pieces, end) = self.pieces(addr, count);
        let mut steps =
            steps.iter().filter(|step| !matches!(step, Step::Fail(ErrorKind::Interrupted)));
        let mut done = 0;
        for (_, _, len) in pieces {
            let mut left = len;
            while left > 0 {
                match steps.next() {
                    Some(Step::Fail(kind)) => return (done, Err(E::IOError((*kind).into()))),
                    None | Some(Step::Move(0)) => return (done, Ok(())),
                    Some(Step::Move(most)) => {
                        done += left.min(*most);
                        left -= left.min(*most);
                    }
                    Some(_) => unreachable!("no such step is made"),
                }
                if !exact && left > 0 {
                    return (done, Ok(()));
                }
            }
        }
        let ended = match end {
            End::Hole(at) => Err(E::InvalidGuestAddress(GuestAddress(at))),
            End::Top => Err(E::GuestAddressOverflow),
            End::Complete => Ok(()),
        };
        (done, ended)
    }

    fn atomic<T: AtomicNumber>(&mut self, addr: u64, exchange: Option<bool>) {
        let size = size_of::<T>();
        let (pieces, end) = self.pieces(addr, size);
        let at = GuestAddress(addr);
        let aligned =
            self.memory.get_host_address(at).is_ok_and(|host| (host as usize).is_multiple_of(size));
        let expected = match (pieces.len(), end) {
            (0, End::Hole(_)) => Err(E::InvalidGuestAddress(at)),
            (1, End::Complete) if aligned => Ok(T::from_bytes(&self.bytes(addr, size))),
            (1, End::Complete) => Err(E::Misaligned { addr: at, alignment: size }),
            _ => Err(E::NotContiguous { addr: at, len: size }),
        };
        same(&self.memory.load::<T>(at, SeqCst), &expected);
        let seven = T::from_number(7);
        match (exchange, expected) {
            (None, expected) => {
                same(&self.memory.fetch_add(seven, at, SeqCst), &expected);
                if let Ok(was) = expected {
                    self.put(addr, was.plus(seven).as_slice());
                }
            }
            (Some(hit), Ok(was)) => {
                let current = if hit { was } else { was.plus(seven) };
                let exchanged = self.memory.compare_exchange(current, seven, at, SeqCst, SeqCst);
                same(&exchanged, &Ok(if hit { Ok(was) } else { Err(was) }));
                if hit {
                    self.put(addr, seven.as_slice());
                }
            }
            (Some(_), expected) => {
                let exchanged = self.memory.compare_exchange(seven, seven, at, SeqCst, SeqCst);
                same(&exchanged.map(drop), &expected.map(drop));
            }
        }
    }

    fn object<const N: usize>(&mut self, addr: u64) {
        let (expected, at) = (self.whole(addr, N), GuestAddress(addr));
        let read = self.memory.read_obj::<[u8; N]>(at);
        match &read {
            Ok(value) => assert_eq!(value[..], self.bytes(addr, N)),
            Err(error) => same(&Err(error), &expected.as_ref().copied()),
        }
        let value: [u8; N] = self.fresh(N).try_into().expect("there are N");
        same(&self.memory.write_obj(value, at), &expected);
        self.put(addr, &value[..self.partial(addr, N).unwrap_or(0)]);
    }

    fn run(&mut self, op: &Op) {
        let at = |offset: u64| self.origin.wrapping_add(offset);
        match *op {
            Op::Read(offset, count) => {
                let (addr, expected) = (at(offset), self.partial(at(offset), count));
                let mut buf = vec![0xee; count + 1];
                let read = self.memory.read(&mut buf[..count], GuestAddress(addr));
                same(&read, &expected);
                let done = expected.unwrap_or(0);
                assert_eq!(buf[..done], self.bytes(addr, done));
                assert!(buf[done..].iter().all(|&byte| byte == 0xee));
                let read = self.memory.read_slice(&mut buf[..count], GuestAddress(addr));
                same(&read, &self.whole(addr, count));
                assert_eq!(buf[..done], self.bytes(addr, done));
                assert!(buf[done..].iter().all(|&byte| byte == 0xee));
            }
            Op::Write(offset, count) => {
                let (addr, expected) = (at(offset), self.partial(at(offset), count));
                let data = self.fresh(count);
                if count % 2 == 0 {
                    same(&self.memory.write(&data, GuestAddress(addr)), &expected);
                } else {
                    let written = self.memory.write_slice(&data, GuestAddress(addr));
                    same(&written, &self.whole(addr, count));
                }
                self.put(addr, &data[..expected.unwrap_or(0)]);
            }
            Op::WriteWhole(offset, count) => {
                let addr = at(offset);
                let data = self.fresh(count);
                let expected = match self.pieces(addr, count).1 {
                    End::Complete => Ok(()),
                    End::Hole(at) => Err(E::InvalidGuestAddress(GuestAddress(at))),
                    End::Top => Err(E::GuestAddressOverflow),
                };
                same(&self.memory.write_whole(&data, GuestAddress(addr)), &expected);
                if expected.is_ok() {
                    self.put(addr, &data);
                }
            }
            Op::Object(offset, kind) => match (kind, at(offset)) {
                (0, addr) => self.object::<0>(addr),
                (1, addr) => self.object::<1>(addr),
                (2, addr) => self.object::<2>(addr),
                (3, addr) => self.object::<4>(addr),
                (4, addr) => self.object::<8>(addr),
                (5, addr) => self.object::<16>(addr),
                (6, addr) => self.object::<13>(addr),
                (_, addr) => self.object::<40>(addr),
            },
            Op::FetchAdd(offset, width) => self.any_atomic(at(offset), width, None),
            Op::CompareExchange(offset, width, hit) => {
                self.any_atomic(at(offset), width, Some(hit));
            }
            Op::ReadFrom(offset, count, ref steps)
            | Op::ReadExactFrom(offset, count, ref steps) => {
                let exact = matches!(op, Op::ReadExactFrom(..));
                let addr = at(offset);
                let (done, ended) = self.streamed(addr, count, steps, exact);
                let mut source = Source::new(steps.iter().cloned());
                let at = GuestAddress(addr);
                if exact {
                    let read = self.memory.read_exact_volatile_from(at, &mut source, count);
                    same(&read, &exactly(done, count, ended));
                } else {
                    let read = self.memory.read_volatile_from(at, &mut source, count);
                    same(&read, &partly(done, ended));
                }
                self.put(addr, &counting(done));
            }
            Op::WriteTo(offset, count, ref steps) | Op::WriteAllTo(offset, count, ref steps) => {
                let exact = matches!(op, Op::WriteAllTo(..));
                let addr = at(offset);
                let (done, ended) = self.streamed(addr, count, steps, exact);
                let mut sink = Sink::new(steps.iter().cloned());
                let at = GuestAddress(addr);
                if exact {
                    let written = self.memory.write_all_volatile_to(at, &mut sink, count);
                    same(&written, &exactly(done, count, ended));
                } else {
                    let written = self.memory.write_volatile_to(at, &mut sink, count);
                    same(&written, &partly(done, ended));
                }
                assert_eq!(sink.taken, self.bytes(addr, done));
            }
            Op::Remove(offset, right) => {
                let region = self.model.range(..=at(offset)).next_back();
                let (start, len) =
                    region.map_or((at(offset), 1), |(start, bytes)| (*start, bytes.len()));
                let size = len as u64 + u64::from(!right);
                match self.memory.remove_region(GuestAddress(start), size) {
                    Ok((memory, region)) => {
                        let bytes = self.model.remove(&start).expect("it was there");
                        assert!(right);
                        self.memory = memory;
                        self.spare.push((region, bytes));
                    }
                    Err(error) => {
                        assert_eq!(error, GuestRegionCollectionError::NoMemoryRegion);
                        assert!(!right || !self.model.contains_key(&start));
                    }
                }
            }
            Op::Insert(number) => {
                let Some((region, bytes)) = self.spare.get(number).cloned() else { return };
                let (first, last) = (region.start_addr().0, region.last_addr().0);
                let mut others = self.model.iter();
                let overlaps = others.any(|(start, bytes)| {
                    *start <= last && first <= start + (bytes.len() as u64 - 1)
                });
                match self.memory.insert_region(region) {
                    Ok(memory) => {
                        assert!(!overlaps);
                        self.memory = memory;
                        self.model.insert(first, bytes);
                        self.spare.swap_remove(number);
                    }
                    Err(error) => {
                        assert_eq!(error, GuestRegionCollectionError::MemoryRegionOverlap);
                        assert!(overlaps);
                    }
                }
            }
        }
    }

    fn any_atomic(&mut self, addr: u64, width: usize, exchange: Option<bool>) {
        match width {
            0 => self.atomic::<u8>(addr, exchange),
            1 => self.atomic::<u16>(addr, exchange),
            2 => self.atomic::<u32>(addr, exchange),
            _ => self.atomic::<u64>(addr, exchange),
        }
    }

    /// Asserts that the map is that of the model: the same regions, the same bytes, and the same answers everywhere.
    fn check(&self) {
        let regions: Vec<_> = self.memory.iter().map(|r| (r.start_addr().0, r.len())).collect();
        let expected: Vec<_> =
            self.model.iter().map(|(start, bytes)| (*start, bytes.len() as u64)).collect();
        assert_eq!(regions, expected);
        assert_eq!(self.memory.num_regions(), expected.len());
        for (region, bytes) in self.memory.iter().zip(self.model.values()) {
            let mut found = vec![0; bytes.len()];
            let start = MemoryRegionAddress(0);
            region.read_slice(&mut found, start).expect("it is as long as that");
            assert_eq!(&found, bytes);
        }
        for addr in (0..WINDOW + 2).map(|offset| self.origin.wrapping_add(offset)) {
            let inside = self.partial(addr, 1).is_ok();
            assert_eq!(self.memory.find_region(GuestAddress(addr)).is_some(), inside);
            for count in [0, 1, 4, 0x20] {
                let (pieces, end) = self.pieces(addr, count);
                let at = GuestAddress(addr);
                assert_eq!(self.memory.check_range(at, count), end == End::Complete);
                let mut lens: Vec<_> = self
                    .memory
                    .get_slices(at, count)
                    .map(|slice| slice.map(|s| s.len()).ok())
                    .collect();
                if end != End::Complete {
                    assert_eq!(lens.pop(), Some(None));
                }
                assert!(lens.into_iter().eq(pieces.iter().map(|piece| Some(piece.2))));
                let one =
                    if count == 0 { inside } else { pieces.len() == 1 && end == End::Complete };
                assert_eq!(self.memory.get_slice(at, count).is_ok(), one);
            }
        }
    }
}

/// An integer, seen as bytes.
trait AtomicNumber: AtomicAccess<A: AtomicUpdate> + PartialEq + std::fmt::Debug {
    fn from_number(number: u8) -> Self;
    fn from_bytes(bytes: &[u8]) -> Self;
    fn plus(self, other: Self) -> Self;
}

macro_rules! atomic_numbers {
    ($($int:ty)*) => {$(
        impl AtomicNumber for $int {
            fn from_number(number: u8) -> Self {
                number.into()
            }
            fn from_bytes(bytes: &[u8]) -> Self {
                Self::from_ne_bytes(bytes.try_into().expect("as many as it has"))
            }
            fn plus(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
        }
    )*};
}

atomic_numbers!(u8 u16 u32 u64);

/// What a transfer says that may be partial.
fn partly(done: usize, ended: Result<(), E>) -> Result<usize, E> {
    match ended {
        Err(error) if done == 0 => Err(error),
        _ => Ok(done),
    }
}

/// What a transfer says that should not be partial.
fn exactly(completed: usize, expected: usize, ended: Result<(), E>) -> Result<(), E> {
    match ended {
        _ if completed == expected => Ok(()),
        Err(error) if completed == 0 => Err(error),
        Err(E::IOError(error)) => Err(E::IOErrorAfter { completed, error }),
        _ => Err(E::PartialBuffer { expected, completed }),
    }
}

/// Asserts that two results are the same; errors cannot be compared but by what they show.
#[track_caller]
fn same<T: std::fmt::Debug, E: std::fmt::Debug>(found: &Result<T, E>, expected: &Result<T, E>) {
    assert_eq!(format!("{found:?}"), format!("{expected:?}"));
}

/// Takes the memory of a region from what is left of all memory.
fn take<'m>(origin: u64, plan: Plan, ram: &mut &'m mut [u8]) -> SliceRegion<'m> {
    let rest = std::mem::take(ram);
    let (_, rest) = rest.split_at_mut(rest.as_ptr().align_offset(16) + plan.odd);
    let (own, rest) = rest.split_at_mut(plan.len);
    *ram = rest;
    let start = GuestAddress(origin.wrapping_add(plan.start));
    SliceRegion::new(start, own).expect("it lies in the window")
}

proptest! {
    // SEMANTICS 1, 4 to 12, 14, 16 to 18.
    #[test]
    fn a_map_does_what_a_list_of_bytes_does(
        origin in prop::sample::select(&ORIGINS[..]),
        (regions, spare) in plans(),
        ops in vec(op(), 1..24),
    ) {
        let mut ram = vec![0; RAM];
        let mut ram = &mut ram[..];
        let model = regions
            .iter()
            .map(|plan| (origin.wrapping_add(plan.start), vec![0; plan.len]))
            .collect();
        let list = regions.iter().map(|&plan| take(origin, plan, &mut ram)).collect();
        let memory = GuestRegionCollection::from_regions(list).expect("sorted, and not overlapping");
        let spare = spare
            .iter()
            .map(|&plan| (Arc::new(take(origin, plan, &mut ram)), vec![0; plan.len]))
            .collect();
        let mut case = Case { origin, memory, model, spare, written: 0 };
        for op in &ops {
            case.run(op);
        }
        case.check();
    }

    // SEMANTICS 1: regions of any length at any address, crowded or far apart.
    #[test]
    fn an_address_is_found_wherever_regions_lie(
        starts in vec((any::<u64>(), 0_u32..64, 1_usize..40), 1..40),
        nearby in any::<u64>(),
    ) {
        // The shift brings many of them down to where the neighbours are close.
        let mut plans: Vec<(u64, usize)> =
            starts.iter().map(|&(start, shift, len)| (start >> shift, len)).collect();
        plans.sort_unstable();
        let mut next = Some(0);
        plans.retain(|&(start, len)| {
            let fits = next.is_some_and(|next| next <= start)
                && start.checked_add(len as u64 - 1).is_some();
            if fits {
                next = start.checked_add(len as u64);
            }
            fits
        });
        prop_assume!(!plans.is_empty());
        let mut ram = vec![0; plans.iter().map(|plan| plan.1).sum()];
        let mut rest = &mut ram[..];
        let mut regions = Vec::new();
        for &(start, len) in &plans {
            let (own, later) = std::mem::take(&mut rest).split_at_mut(len);
            rest = later;
            regions.push(SliceRegion::new(GuestAddress(start), own).unwrap());
        }
        let memory = GuestRegionCollection::from_regions(regions).unwrap();
        let ends = plans.iter().flat_map(|&(start, len)| {
            let last = start + (len as u64 - 1);
            [start.wrapping_sub(1), start, last, last.wrapping_add(1), start ^ (nearby >> 50)]
        });
        for addr in ends.chain([nearby, 0, u64::MAX]) {
            let expected = plans
                .iter()
                .find(|(start, len)| addr.checked_sub(*start).is_some_and(|at| at < *len as u64))
                .map(|&(start, _)| (start, addr - start));
            let found = memory.to_region_addr(GuestAddress(addr));
            prop_assert_eq!(found.map(|(region, at)| (region.start_addr().0, at.0)), expected);
            prop_assert_eq!(memory.check_range(GuestAddress(addr), 1), expected.is_some());
            prop_assert_eq!(memory.write_obj(1_u8, GuestAddress(addr)).is_ok(), expected.is_some());
        }
    }
}
