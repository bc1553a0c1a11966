//! Any map, any accesses: mapped memory agrees with plain bytes, and its bitmaps name exactly the pages that were written.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use guest_address::{GuestAddress, GuestUsize};
use guest_dirty::AtomicBitmap;
use guest_memory::{Bytes, GuestMemory, GuestMemoryError, GuestMemoryRegion, WholeBytes};
use guest_mmap::GuestMemoryMmap;
use proptest::prelude::*;

const PAGE: usize = 0x1000;

/// A map as plain bytes: `None` where there is a hole. Index 0 is the guest address `base`.
#[derive(Clone)]
struct Model {
    base: u64,
    bytes: Vec<Option<u8>>,
    /// Starts and lengths of the regions.
    regions: Vec<(usize, usize)>,
    /// The index of a region, and the page in it.
    dirty: BTreeSet<(usize, usize)>,
}

impl Model {
    fn addr(&self, index: usize) -> GuestAddress {
        GuestAddress(self.base.wrapping_add(index as u64))
    }

    /// How many of `len` bytes from `index` on there are, up to the first hole.
    fn there(&self, index: usize, len: usize) -> usize {
        let rest = self.bytes.get(index..).unwrap_or(&[]);
        rest.iter().take(len).take_while(|byte| byte.is_some()).count()
    }

    /// The region that `index` is in, and the offset in it.
    fn place(&self, index: usize) -> Option<(usize, usize)> {
        let inside = |&(start, len): &(usize, usize)| (start..start + len).contains(&index);
        let region = self.regions.iter().position(inside)?;
        Some((region, index - self.regions[region].0))
    }

    /// Whether an integer of `size` bytes at `index` lies in one region, aligned on the host: mappings start at pages.
    fn holds_atomic(&self, index: usize, size: usize) -> bool {
        self.place(index).is_some_and(|(region, offset)| {
            offset.is_multiple_of(size) && offset + size <= self.regions[region].1
        })
    }

    fn read(&self, index: usize, count: usize) -> Vec<u8> {
        self.bytes.iter().skip(index).take(count).map(|byte| byte.expect("there")).collect()
    }

    fn write(&mut self, index: usize, bytes: &[u8]) {
        for (index, byte) in (index..).zip(bytes) {
            self.bytes[index] = Some(*byte);
            let (region, offset) = self.place(index).expect("a byte is in a region");
            self.dirty.insert((region, offset / PAGE));
        }
    }
}

/// Something done to the memory, at an index and with bytes of any number.
#[derive(Clone, Debug)]
enum Access {
    Read(usize, usize),
    ReadSlice(usize, usize),
    ReadObject(usize),
    Load(usize),
    WriteVolatileTo(usize, usize),
    WriteAllVolatileTo(usize, usize),
    Write(usize, Vec<u8>),
    WriteSlice(usize, Vec<u8>),
    WriteWhole(usize, Vec<u8>),
    WriteByte(usize, u8),
    WriteObject(usize, u64),
    WriteArray(usize, [u8; 13]),
    Store(usize, u32),
    FetchAdd(usize, u16),
    CompareExchange(usize, u64),
    ReadVolatileFrom(usize, usize, Vec<u8>),
    ReadExactVolatileFrom(usize, usize, Vec<u8>),
}

/// Regions after one another, with holes between some.
fn model() -> impl Strategy<Value = Model> {
    let hole = prop_oneof![Just(0), 1..40_usize, Just(PAGE)];
    let len = prop_oneof![1..40_usize, 1..3 * PAGE, Just(PAGE)];
    let base = prop_oneof![Just(Some(0)), Just(Some(7)), Just(Some((1 << 32) + 1)), Just(None)];
    (prop::collection::vec((hole, len), 1..5), base).prop_map(|(parts, base)| {
        let mut bytes = Vec::new();
        let mut regions = Vec::new();
        for (hole, len) in parts {
            bytes.resize(bytes.len() + hole, None);
            regions.push((bytes.len(), len));
            bytes.resize(bytes.len() + len, Some(0));
        }
        // Without a base, the last region ends with the address space.
        let base = base.unwrap_or((bytes.len() as u64).wrapping_neg());
        Model { base, bytes, regions, dirty: BTreeSet::new() }
    })
}

/// Lengths up to a few bytes or a few pages, from places everywhere and often near a border.
fn access(model: &Model) -> impl Strategy<Value = Access> + use<> {
    let borders: Vec<_> =
        model.regions.iter().flat_map(|(start, len)| [*start, *start + *len]).collect();
    let all = model.bytes.len();
    let near = (prop::sample::select(borders), 0..16_usize)
        .prop_map(move |(border, down)| border.saturating_sub(down).min(all - 1));
    let at = || prop_oneof![0..all, near.clone()].boxed();
    let len = || prop_oneof![0..20_usize, 0..2 * PAGE].boxed();
    let bytes = || len().prop_flat_map(|len| prop::collection::vec(any::<u8>(), len)).boxed();
    prop_oneof![
        (at(), len()).prop_map(|(at, len)| Access::Read(at, len)),
        (at(), len()).prop_map(|(at, len)| Access::ReadSlice(at, len)),
        at().prop_map(Access::ReadObject),
        at().prop_map(Access::Load),
        (at(), len()).prop_map(|(at, len)| Access::WriteVolatileTo(at, len)),
        (at(), len()).prop_map(|(at, len)| Access::WriteAllVolatileTo(at, len)),
        (at(), bytes()).prop_map(|(at, bytes)| Access::Write(at, bytes)),
        (at(), bytes()).prop_map(|(at, bytes)| Access::WriteSlice(at, bytes)),
        (at(), bytes()).prop_map(|(at, bytes)| Access::WriteWhole(at, bytes)),
        (at(), any::<u8>()).prop_map(|(at, value)| Access::WriteByte(at, value)),
        (at(), any::<u64>()).prop_map(|(at, value)| Access::WriteObject(at, value)),
        (at(), any::<[u8; 13]>()).prop_map(|(at, value)| Access::WriteArray(at, value)),
        (at(), any::<u32>()).prop_map(|(at, value)| Access::Store(at, value)),
        (at(), any::<u16>()).prop_map(|(at, value)| Access::FetchAdd(at, value)),
        (at(), any::<u64>()).prop_map(|(at, value)| Access::CompareExchange(at, value)),
        (at(), len(), bytes())
            .prop_map(|(at, len, bytes)| Access::ReadVolatileFrom(at, len, bytes)),
        (at(), len(), bytes())
            .prop_map(|(at, len, bytes)| Access::ReadExactVolatileFrom(at, len, bytes)),
    ]
}

fn case() -> impl Strategy<Value = (Model, Vec<Access>)> {
    model().prop_flat_map(|model| {
        let accesses = prop::collection::vec(access(&model), 0..24);
        (Just(model), accesses)
    })
}

type Memory = GuestMemoryMmap<AtomicBitmap>;
type Checked = Result<(), TestCaseError>;

/// What an access that may be partial has to answer, when `there` of `len` bytes can be moved.
fn check_partial(
    result: Result<usize, GuestMemoryError>,
    addr: GuestAddress,
    len: usize,
    there: usize,
) -> Checked {
    match result {
        Ok(count) => {
            prop_assert_eq!(count, there);
            prop_assert!(there > 0 || len == 0);
        }
        Err(GuestMemoryError::InvalidGuestAddress(told)) => {
            prop_assert_eq!(told, addr);
            prop_assert!(there == 0 && len > 0);
        }
        Err(error) => prop_assert!(false, "{error:?}"),
    }
    Ok(())
}

/// What an access that has to be whole answers, when `there` of `len` bytes can be moved.
fn check_whole<T>(
    result: Result<T, GuestMemoryError>,
    addr: GuestAddress,
    len: usize,
    there: usize,
) -> Checked {
    match result {
        Ok(_) => prop_assert_eq!(there, len),
        Err(GuestMemoryError::PartialBuffer { expected, completed }) => {
            prop_assert_eq!((expected, completed), (len, there));
            prop_assert!(there < len);
        }
        Err(error) => check_partial(Err(error), addr, len, there)?,
    }
    Ok(())
}

/// Does it to both, and compares what they answer.
fn run(access: Access, memory: &Memory, model: &mut Model) -> Checked {
    match access {
        Access::Read(at, len) => {
            let (addr, there) = (model.addr(at), model.there(at, len));
            let mut buf = vec![0; len];
            check_partial(memory.read(&mut buf, addr), addr, len, there)?;
            prop_assert_eq!(&buf[..there], model.read(at, there));
        }
        Access::ReadSlice(at, len) => {
            let (addr, there) = (model.addr(at), model.there(at, len));
            let mut buf = vec![0; len];
            check_whole(memory.read_slice(&mut buf, addr), addr, len, there)?;
            prop_assert_eq!(&buf[..there], model.read(at, there));
        }
        Access::ReadObject(at) => {
            let (addr, there) = (model.addr(at), model.there(at, 8));
            let result = memory.read_obj::<u64>(addr);
            if let Ok(value) = &result {
                prop_assert_eq!(&value.to_ne_bytes()[..], model.read(at, 8));
            }
            check_whole(result, addr, 8, there)?;
        }
        Access::Load(at) => {
            let result = memory.load::<u32>(model.addr(at), Acquire);
            prop_assert_eq!(result.is_ok(), model.holds_atomic(at, 4), "{:?}", result);
            if let Ok(value) = result {
                prop_assert_eq!(&value.to_ne_bytes()[..], model.read(at, 4));
            }
        }
        Access::WriteVolatileTo(at, len) => {
            let (addr, there) = (model.addr(at), model.there(at, len));
            let mut sink = Vec::new();
            check_partial(memory.write_volatile_to(addr, &mut sink, len), addr, len, there)?;
            prop_assert_eq!(sink, model.read(at, there));
        }
        Access::WriteAllVolatileTo(at, len) => {
            let (addr, there) = (model.addr(at), model.there(at, len));
            let mut sink = Vec::new();
            check_whole(memory.write_all_volatile_to(addr, &mut sink, len), addr, len, there)?;
            prop_assert_eq!(sink, model.read(at, there));
        }
        Access::Write(at, bytes) => {
            let (addr, there) = (model.addr(at), model.there(at, bytes.len()));
            check_partial(memory.write(&bytes, addr), addr, bytes.len(), there)?;
            model.write(at, &bytes[..there]);
        }
        Access::WriteSlice(at, bytes) => {
            let (addr, there) = (model.addr(at), model.there(at, bytes.len()));
            check_whole(memory.write_slice(&bytes, addr), addr, bytes.len(), there)?;
            model.write(at, &bytes[..there]);
        }
        Access::WriteWhole(at, bytes) => {
            let whole = model.there(at, bytes.len()) == bytes.len();
            let result = memory.write_whole(&bytes, model.addr(at));
            prop_assert_eq!(result.is_ok(), whole, "{:?}", result);
            if whole {
                model.write(at, &bytes);
            }
        }
        Access::WriteByte(at, value) => {
            let (addr, there) = (model.addr(at), model.there(at, 1));
            check_whole(memory.write_obj(value, addr), addr, 1, there)?;
            model.write(at, &[value][..there]);
        }
        Access::WriteObject(at, value) => {
            let (addr, there) = (model.addr(at), model.there(at, 8));
            check_whole(memory.write_obj(value, addr), addr, 8, there)?;
            model.write(at, &value.to_ne_bytes()[..there]);
        }
        Access::WriteArray(at, value) => {
            let (addr, there) = (model.addr(at), model.there(at, 13));
            check_whole(memory.write_obj(value, addr), addr, 13, there)?;
            model.write(at, &value[..there]);
        }
        Access::Store(at, value) => {
            let result = memory.store(value, model.addr(at), Release);
            prop_assert_eq!(result.is_ok(), model.holds_atomic(at, 4), "{:?}", result);
            if result.is_ok() {
                model.write(at, &value.to_ne_bytes());
            }
        }
        Access::FetchAdd(at, value) => {
            let result = memory.fetch_add(value, model.addr(at), Relaxed);
            prop_assert_eq!(result.is_ok(), model.holds_atomic(at, 2), "{:?}", result);
            if let Ok(before) = result {
                prop_assert_eq!(&before.to_ne_bytes()[..], model.read(at, 2));
                model.write(at, &before.wrapping_add(value).to_ne_bytes());
            }
        }
        Access::CompareExchange(at, new) => {
            // Of 0, which is there often; where it is not, nothing is stored and nothing marked.
            let result = memory.compare_exchange(0_u64, new, model.addr(at), Relaxed, Relaxed);
            prop_assert_eq!(result.is_ok(), model.holds_atomic(at, 8), "{:?}", result);
            if let Ok(before) = result {
                let (Ok(before) | Err(before)) = before;
                prop_assert_eq!(&before.to_ne_bytes()[..], model.read(at, 8));
                if before == 0 {
                    model.write(at, &new.to_ne_bytes());
                }
            }
        }
        Access::ReadVolatileFrom(at, len, bytes) => {
            let (addr, room) = (model.addr(at), model.there(at, len));
            let there = room.min(bytes.len());
            let result = memory.read_volatile_from(addr, &mut &bytes[..], len);
            match result {
                // The end of the source, which is no error.
                Ok(0) if room > 0 => prop_assert_eq!(there, 0),
                result => check_partial(result, addr, len, there)?,
            }
            model.write(at, &bytes[..there]);
        }
        Access::ReadExactVolatileFrom(at, len, bytes) => {
            let (addr, room) = (model.addr(at), model.there(at, len));
            let there = room.min(bytes.len());
            let result = memory.read_exact_volatile_from(addr, &mut &bytes[..], len);
            check_whole(result, addr, len, there)?;
            model.write(at, &bytes[..there]);
        }
    }
    Ok(())
}

fn dirty_pages(memory: &Memory) -> BTreeSet<(usize, usize)> {
    let of_region = |(index, region): (usize, &guest_mmap::GuestRegionMmap<AtomicBitmap>)| {
        let mapping = region.get_mmap();
        let harvest = mapping.bitmap().take().expect("no mark is past the end");
        harvest.pages().map(|page| (index, page)).collect::<Vec<_>>()
    };
    memory.iter().enumerate().flat_map(of_region).collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(200)
    })]

    #[test]
    fn memory_is_bytes_with_dirty_pages((mut model, accesses) in case()) {
        let ranges: Vec<_> =
            model.regions.iter().map(|&(start, len)| (model.addr(start), len)).collect();
        let memory = Memory::from_ranges(&ranges).expect("the ranges make a map");
        let mapped: GuestUsize = memory.iter().map(GuestMemoryRegion::len).sum();
        prop_assert_eq!(mapped, model.bytes.iter().flatten().count() as u64);

        for access in accesses {
            let what = format!("{access:?}");
            run(access, &memory, &mut model)?;
            // Exactly the pages of the bytes written, after each access: never fewer, and none without need.
            prop_assert_eq!(&dirty_pages(&memory), &model.dirty, "after {}", what);
        }
        for &(start, len) in &model.regions {
            let mut bytes = vec![0; len];
            memory.read_slice(&mut bytes, model.addr(start)).expect("a region is there");
            prop_assert!(bytes == model.read(start, len));
        }
    }
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "regions at {:#x} and {:x?}", self.base, self.regions)
    }
}
