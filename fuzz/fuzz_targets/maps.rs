//! Any sequence of map, unmap, access, swap and harvest does what a list of bytes does.

#![no_main]
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arbitrary::Arbitrary;
use guest_atomic::{GuestMemoryAtomic, GuestMemoryLoadGuard};
use guest_dirty::AtomicBitmap;
use guest_memory::{
    Bytes, GuestAddress, GuestAddressSpace, GuestMemory, GuestMemoryError as Error,
    GuestMemoryRegion, ReadVolatile, VolatileSlice, WholeBytes, guest_volatile,
};
use guest_memory_fuzz::model::{Model, PAGE};
use guest_mmap::{GuestMemoryMmap, GuestRegionMmap};
use libfuzzer_sys::fuzz_target;

type Map = GuestMemoryMmap<AtomicBitmap>;

/// Where regions are: at the bottom, around 1 MiB, across 4 GiB, at the top.
const BASES: [u64; 4] = [0, 0x10_0000, 0xffff_c000, u64::MAX - 0x7fff];

/// An address near regions.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Place {
    base: u8,
    offset: u16,
}

impl Place {
    fn addr(self) -> u64 {
        let base = BASES[usize::from(self.base) % BASES.len()];
        base.wrapping_add(u64::from(self.offset) % 0x9000).wrapping_sub(0x800)
    }
}

#[derive(Arbitrary, Debug)]
enum Op {
    Plug { base: u8, page: u8, pages: u8 },
    Unplug { which: u8 },
    Hold,
    LetGo { which: u8 },
    Write { map: u8, at: Place, len: u16, byte: u8, whole: bool },
    Read { map: u8, at: Place, len: u16 },
    WriteObject { map: u8, at: Place, value: u64, size: u8 },
    ReadObject { map: u8, at: Place, size: u8 },
    Store { map: u8, at: Place, value: u64, size: u8 },
    Load { map: u8, at: Place, size: u8 },
    Look { map: u8, at: Place, len: u32 },
    Stream { map: u8, at: Place, len: u16, gives: Vec<u8>, exact: bool },
    Harvest { which: u8, commit: bool },
}

/// A source that gives as many bytes at a time as it is told, then ends.
struct Source {
    gives: std::vec::IntoIter<u8>,
    next: u8,
}

impl ReadVolatile for Source {
    fn read_volatile<B: guest_volatile::BitmapSlice>(
        &mut self,
        buf: &mut VolatileSlice<'_, B>,
    ) -> guest_volatile::Result<usize> {
        let count = self.gives.next().map_or(0, usize::from).min(buf.len());
        for offset in 0..count {
            buf.write_obj(self.next, offset)?;
            self.next = self.next.wrapping_add(1);
        }
        Ok(count)
    }
}

/// The maps under test, each beside its model: the one in force, then those that are held.
struct World {
    space: GuestMemoryAtomic<Map>,
    model: Model,
    held: Vec<(GuestMemoryLoadGuard<Map>, Model)>,
}

impl World {
    fn map(&self, which: u8) -> (GuestMemoryLoadGuard<Map>, Model) {
        match (usize::from(which) % (self.held.len() + 1)).checked_sub(1) {
            None => (self.space.memory(), self.model.clone()),
            Some(index) => self.held[index].clone(),
        }
    }

    fn plug(&mut self, start: u64, len: u64) {
        let region = GuestRegionMmap::from_range(GuestAddress(start), len as usize, None);
        if start.checked_add(len - 1).is_none() {
            assert!(region.is_err());
            return;
        }
        let guard = self.space.lock().expect("it is never poisoned");
        match guard.insert_region(Arc::new(region.expect("a few pages are to be had"))) {
            Ok(next) => {
                assert!(!self.model.refuses(start, len));
                guard.replace(next);
                self.model.insert(start, len);
            }
            Err(_) => assert!(self.model.refuses(start, len)),
        }
    }

    fn unplug(&mut self, which: u8) {
        let count = self.model.regions.len();
        let Some(index) = usize::from(which).checked_rem(count) else { return };
        let (start, len) = {
            let (&start, region) =
                self.model.regions.iter().nth(index).expect("it is below the count");
            (start, region.borrow().bytes.len() as u64)
        };
        let guard = self.space.lock().expect("it is never poisoned");
        let (next, region) = guard.remove_region(GuestAddress(start), len).expect("it is there");
        assert_eq!(region.start_addr(), GuestAddress(start));
        guard.replace(next);
        self.model.regions.remove(&start);
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Plug { base, page, pages } => {
                let base = BASES[usize::from(base) % BASES.len()];
                let start = base + u64::from(page % 8) * PAGE;
                self.plug(start, u64::from(pages % 3 + 1) * PAGE);
            }
            Op::Unplug { which } => self.unplug(which),
            Op::Hold if self.held.len() < 12 => {
                self.held.push((self.space.memory(), self.model.clone()));
            }
            Op::Hold => {}
            Op::LetGo { which } => {
                if let Some(index) = usize::from(which).checked_rem(self.held.len()) {
                    self.held.swap_remove(index);
                }
            }
            Op::Write { map, at, len, byte, whole } => {
                let (map, model) = self.map(map);
                write(&map, &model, at.addr(), &vec![byte; usize::from(len % 0x2800)], whole);
            }
            Op::Read { map, at, len } => {
                let (map, model) = self.map(map);
                read(&map, &model, at.addr(), usize::from(len % 0x2800));
            }
            Op::WriteObject { map, at, value, size } => {
                let (map, model) = self.map(map);
                let (addr, bytes) = (at.addr(), value.to_ne_bytes());
                let (result, len) = match size % 4 {
                    0 => (map.write_obj(bytes[0], GuestAddress(addr)), 1),
                    1 => (map.write_obj(value as u16, GuestAddress(addr)), 2),
                    2 => (map.write_obj(value as u32, GuestAddress(addr)), 4),
                    _ => (map.write_obj(value, GuestAddress(addr)), 8),
                };
                let reach = model.reach(addr, len);
                model.put(addr, &bytes[..reach]);
                whole(result, addr, reach, len);
            }
            Op::ReadObject { map, at, size } => {
                let (map, model) = self.map(map);
                let addr = at.addr();
                let (result, len) = match size % 4 {
                    0 => (map.read_obj::<u8>(GuestAddress(addr)).map(u64::from), 1),
                    1 => (map.read_obj::<u16>(GuestAddress(addr)).map(u64::from), 2),
                    2 => (map.read_obj::<u32>(GuestAddress(addr)).map(u64::from), 4),
                    _ => (map.read_obj::<u64>(GuestAddress(addr)), 8),
                };
                let reach = model.reach(addr, len);
                if let Ok(value) = result {
                    assert_eq!(value.to_ne_bytes()[..len], model.bytes(addr, reach));
                }
                whole(result.map(drop), addr, reach, len);
            }
            Op::Store { map, at, value, size } => {
                let (map, model) = self.map(map);
                let (addr, bytes) = (at.addr(), value.to_ne_bytes());
                let order = Ordering::Release;
                let (result, len) = match size % 4 {
                    0 => (map.store(bytes[0], GuestAddress(addr), order), 1),
                    1 => (map.store(value as u16, GuestAddress(addr), order), 2),
                    2 => (map.store(value as u32, GuestAddress(addr), order), 4),
                    _ => (map.store(value, GuestAddress(addr), order), 8),
                };
                if atomic(&result, &model, addr, len) {
                    model.put(addr, &bytes[..len]);
                }
            }
            Op::Load { map, at, size } => {
                let (map, model) = self.map(map);
                let (addr, order) = (at.addr(), Ordering::Acquire);
                let (result, len) = match size % 4 {
                    0 => (map.load::<u8>(GuestAddress(addr), order).map(u64::from), 1),
                    1 => (map.load::<u16>(GuestAddress(addr), order).map(u64::from), 2),
                    2 => (map.load::<u32>(GuestAddress(addr), order).map(u64::from), 4),
                    _ => (map.load::<u64>(GuestAddress(addr), order), 8),
                };
                if atomic(&result, &model, addr, len) {
                    assert_eq!(result.unwrap().to_ne_bytes()[..len], model.bytes(addr, len));
                }
            }
            Op::Look { map, at, len } => {
                let (map, model) = self.map(map);
                look(&map, &model, at.addr(), (len % 0x9000) as usize);
            }
            Op::Stream { map, at, len, gives, exact } => {
                let (map, model) = self.map(map);
                stream(&map, &model, at.addr(), usize::from(len % 0x2800), gives, exact);
            }
            Op::Harvest { which, commit } => self.harvest(which, commit),
        }
    }

    fn harvest(&self, which: u8, commit: bool) {
        let count = self.model.regions.len();
        let Some(index) = usize::from(which).checked_rem(count) else { return };
        let (&start, model) = self.model.regions.iter().nth(index).expect("it is below the count");
        let map = self.space.memory();
        let region = map.find_region(GuestAddress(start)).expect("it is in the model");
        let mapping = region.get_mmap();
        let harvest = mapping.bitmap().take().expect("no mark is past the end");
        let pages: BTreeSet<u64> =
            harvest.runs().flat_map(|run| run.start as u64 / PAGE..run.end as u64 / PAGE).collect();
        assert_eq!(pages, model.borrow().dirty);
        if commit {
            harvest.commit();
            model.borrow_mut().dirty.clear();
        }
    }
}

/// What is said of an access that wants all of `len` bytes, of which `reach` have memory.
fn whole(result: Result<(), Error>, addr: u64, reach: usize, len: usize) {
    match result {
        Ok(()) => assert_eq!(reach, len),
        Err(Error::InvalidGuestAddress(at)) => assert_eq!((at.0, reach), (addr, 0)),
        Err(Error::PartialBuffer { expected, completed }) => {
            assert_eq!((expected, completed), (len, reach));
            assert!(reach < len && reach > 0);
        }
        Err(error) => panic!("{error}"),
    }
}

/// Whether an atomic access succeeded; it has to be right that it did or did not.
fn atomic<T>(result: &Result<T, Error>, model: &Model, addr: u64, len: usize) -> bool {
    match result {
        Ok(_) => assert!(model.in_one_region(addr, len) && addr.is_multiple_of(len as u64)),
        Err(Error::InvalidGuestAddress(_)) => assert_eq!(model.reach(addr, 1), 0),
        Err(Error::NotContiguous { .. }) => assert!(!model.in_one_region(addr, len)),
        Err(Error::Misaligned { .. }) => {
            assert!(model.in_one_region(addr, len) && !addr.is_multiple_of(len as u64));
        }
        Err(error) => panic!("{error}"),
    }
    result.is_ok()
}

fn write(map: &Map, model: &Model, addr: u64, data: &[u8], all_or_nothing: bool) {
    let reach = model.reach(addr, data.len());
    if all_or_nothing {
        let result = map.write_whole(data, GuestAddress(addr));
        assert_eq!(result.is_ok(), reach == data.len());
        if result.is_ok() {
            model.put(addr, data);
        }
        return;
    }
    match map.write(data, GuestAddress(addr)) {
        Ok(count) => assert_eq!(count, reach),
        Err(_) => assert!(reach == 0 && !data.is_empty()),
    }
    model.put(addr, &data[..reach]);
}

fn read(map: &Map, model: &Model, addr: u64, len: usize) {
    let (mut buf, reach) = (vec![0xa5; len], model.reach(addr, len));
    match map.read(&mut buf, GuestAddress(addr)) {
        Ok(count) => assert_eq!(count, reach),
        Err(_) => assert!(reach == 0 && len > 0),
    }
    assert_eq!(buf[..reach], model.bytes(addr, reach));
    assert!(buf[reach..].iter().all(|&byte| byte == 0xa5));
}

fn look(map: &Map, model: &Model, addr: u64, len: usize) {
    let at = GuestAddress(addr);
    let reach = model.reach(addr, len);
    assert_eq!(map.find_region(at).is_some(), model.find(addr).is_some());
    assert_eq!(GuestMemory::check_range(map, at, len), reach == len);
    let there = addr.checked_add(len as u64).filter(|&there| model.find(there).is_some());
    assert_eq!(map.checked_offset(at, len), there.map(GuestAddress));
    if len > 0 && model.in_one_region(addr, len) {
        assert_eq!(map.get_slice(at, len).expect("it is in one region").len(), len);
    }
    let mut slices = GuestMemory::get_slices(map, at, len);
    let found: usize = slices.by_ref().map_while(Result::ok).map(|slice| slice.len()).sum();
    assert_eq!(found, reach);
    assert!(slices.next().is_none());
}

fn stream(map: &Map, model: &Model, addr: u64, len: usize, gives: Vec<u8>, exact: bool) {
    let mut source = Source { gives: gives.clone().into_iter(), next: 1 };
    let reach = model.reach(addr, len);
    let moved = if exact {
        match map.read_exact_volatile_from(GuestAddress(addr), &mut source, len) {
            Ok(()) => len,
            Err(Error::PartialBuffer { expected, completed }) => {
                assert_eq!(expected, len);
                completed
            }
            Err(_) => {
                assert!(reach == 0 && len > 0);
                0
            }
        }
    } else {
        match map.read_volatile_from(GuestAddress(addr), &mut source, len) {
            Ok(count) => count,
            Err(_) => {
                assert!(reach == 0 && len > 0);
                0
            }
        }
    };
    assert!(moved <= reach);
    let data: Vec<u8> = (1..=255_u8).chain([0]).cycle().take(moved).collect();
    model.put(addr, &data);
    // No byte of the source is lost: what it gave was moved.
    assert_eq!(source.next, (moved as u8).wrapping_add(1));
}

fuzz_target!(|ops: Vec<Op>| {
    let mut world = World {
        space: GuestMemoryAtomic::new(Map::new()),
        model: Model::default(),
        held: Vec::new(),
    };
    for op in ops.into_iter().take(200) {
        world.run(op);
    }
});
