//! Memory behind an IOMMU is as its bytes are.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::SeqCst;

use guest_iommu::GuestAddress;
use guest_memory::{Bytes, IoMemory, Permissions, WholeBytes};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use crate::common::{self, Memory, bytewise, dirty_gpas, dirty_iovas, memory_with, runs};
use crate::pages::{Pages, WINDOW, page, permissions};

/// A page of the memory's law, in bytes.
const PAGE: u64 = 16;

/// The guest's memory: neighbours, holes, and the last bytes there are.
const REGIONS: [(u64, usize); 4] =
    [(PAGE, 32), (3 * PAGE, 16), (6 * PAGE, 32), (u64::MAX - (2 * PAGE - 1), 32)];

/// Something that is done to a memory behind an IOMMU.
#[derive(Clone, Debug)]
enum Deed {
    Map { iova: u64, gpa: u64, pages: u64, perm: Permissions },
    Unmap { iova: u64, pages: u64 },
    Switch(bool),
    Access { way: Way, addr: u64, len: usize },
}

#[derive(Clone, Copy, Debug)]
enum Way {
    Write,
    WriteSlice,
    WriteWhole,
    Read,
    ReadSlice,
    StreamIn,
    StreamOut,
    Store,
    Load,
    Add,
    Check,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    use Way::*;
    let page = || page(PAGE);
    let way = prop::sample::select(vec![
        Write, WriteSlice, WriteWhole, Read, ReadSlice, StreamIn, StreamOut, Store, Load, Add,
        Check,
    ]);
    let deed = prop_oneof![
        8 => (page(), page(), 1..=WINDOW, permissions())
            .prop_map(|(iova, gpa, pages, perm)| Deed::Map { iova, gpa, pages, perm }),
        2 => (page(), 1..=WINDOW).prop_map(|(iova, pages)| Deed::Unmap { iova, pages }),
        1 => prop::bool::weighted(0.8).prop_map(Deed::Switch),
        16 => (way, page(), 0..PAGE, 0_usize..50)
            .prop_map(|(way, page, offset, len)| Deed::Access { way, addr: page + offset, len }),
    ];
    prop::collection::vec(deed, 1..60)
}

/// The memory, byte by byte.
struct Model {
    table: Pages,
    bytes: BTreeMap<u64, u8>,
    on: bool,
    gpas: BTreeMap<u64, ()>,
    iovas: BTreeMap<u64, ()>,
}

impl Model {
    fn new() -> Self {
        let bytes = REGIONS
            .iter()
            .flat_map(|&(start, len)| (0..len as u64).map(move |offset| (start + offset, 0)));
        let table = Pages::new(PAGE);
        let (gpas, iovas) = (BTreeMap::new(), BTreeMap::new());
        Self { table, bytes: bytes.collect(), on: true, gpas, iovas }
    }

    /// The guest addresses of the bytes from `addr` on, up to the first without memory; `None` if the access is refused.
    fn reach(&self, addr: u64, len: usize, access: Permissions) -> Option<Vec<u64>> {
        let gpas: Vec<Option<u64>> = (0..len as u64)
            .map(|offset| {
                let addr = addr.checked_add(offset)?;
                if !self.on {
                    return Some(addr);
                }
                let (gpa, perm) = self.table.pages.get(&u128::from(addr / PAGE))?;
                perm.allow(access).then_some(*gpa as u64 * PAGE + addr % PAGE)
            })
            .collect();
        if self.on && gpas.contains(&None) {
            return None;
        }
        let there =
            gpas.into_iter().map_while(|gpa| gpa.filter(|gpa| self.bytes.contains_key(gpa)));
        Some(there.collect())
    }

    /// As `reach`, where all is refused that has no first byte.
    fn some(&self, addr: u64, len: usize, access: Permissions) -> Option<Vec<u64>> {
        self.reach(addr, len, access).filter(|gpas| len == 0 || !gpas.is_empty())
    }

    fn write(&mut self, addr: u64, gpas: &[u64], bytes: &[u8]) {
        for (offset, (&gpa, &byte)) in gpas.iter().zip(bytes).enumerate() {
            self.bytes.insert(gpa, byte);
            self.gpas.insert(gpa, ());
            if self.on {
                self.iovas.insert(addr + offset as u64, ());
            }
        }
    }

    fn read(&self, gpas: &[u64]) -> Vec<u8> {
        gpas.iter().map(|gpa| self.bytes[gpa]).collect()
    }
}

/// Does to both what the way says, with bytes that were not used before, and compares.
fn access(
    memory: &Memory,
    model: &mut Model,
    way: Way,
    addr: u64,
    len: usize,
    stamp: u8,
) -> TestCaseResult {
    use Permissions::{Read, ReadWrite, Write};
    let at = GuestAddress(addr);
    let bytes: Vec<u8> =
        (0..len).map(|index| stamp.wrapping_mul(50).wrapping_add(index as u8)).collect();
    let mut buf = vec![0xee; len];
    match way {
        Way::Write => {
            let gpas = model.some(addr, len, Write);
            let result = memory.write(&bytes, at).ok();
            prop_assert_eq!(result, gpas.as_ref().map(Vec::len));
            model.write(addr, &gpas.unwrap_or_default(), &bytes);
        }
        Way::WriteSlice => {
            let gpas = model.reach(addr, len, Write).unwrap_or_default();
            prop_assert_eq!(memory.write_slice(&bytes, at).is_ok(), gpas.len() == len);
            model.write(addr, &gpas, &bytes);
        }
        Way::WriteWhole => {
            let gpas = model.reach(addr, len, Write).filter(|gpas| gpas.len() == len);
            prop_assert_eq!(memory.write_whole(&bytes, at).is_ok(), gpas.is_some());
            model.write(addr, &gpas.unwrap_or_default(), &bytes);
        }
        Way::Read => {
            let gpas = model.some(addr, len, Read);
            let result = memory.read(&mut buf, at).ok();
            prop_assert_eq!(result, gpas.as_ref().map(Vec::len));
            let read = model.read(&gpas.unwrap_or_default());
            prop_assert_eq!(&buf[..read.len()], &read[..]);
        }
        Way::ReadSlice => {
            let gpas = model.reach(addr, len, Read).unwrap_or_default();
            prop_assert_eq!(memory.read_slice(&mut buf, at).is_ok(), gpas.len() == len);
            prop_assert_eq!(&buf[..gpas.len()], &model.read(&gpas)[..]);
        }
        Way::StreamIn => {
            let gpas = model.reach(addr, len, Write).unwrap_or_default();
            let result = memory.read_exact_volatile_from(at, &mut &bytes[..], len);
            prop_assert_eq!(result.is_ok(), gpas.len() == len);
            model.write(addr, &gpas, &bytes);
        }
        Way::StreamOut => {
            let gpas = model.reach(addr, len, Read).unwrap_or_default();
            let mut sink = Vec::new();
            let result = memory.write_all_volatile_to(at, &mut sink, len);
            prop_assert_eq!(result.is_ok(), gpas.len() == len);
            prop_assert_eq!(sink, model.read(&gpas));
        }
        Way::Store | Way::Load | Way::Add => {
            let wanted = match way {
                Way::Store => Write,
                Way::Load => Read,
                _ => ReadWrite,
            };
            // Pages are longer than it, so an aligned one lies in one page.
            let gpas = model.reach(addr, 2, wanted);
            let gpas = gpas.filter(|gpas| gpas.len() == 2 && addr.is_multiple_of(2));
            let was = gpas.as_ref().map(|gpas| model.read(gpas));
            let was = was.map(|bytes| u16::from_ne_bytes([bytes[0], bytes[1]]));
            let value = u16::from(stamp) * 0x101;
            let next = match way {
                Way::Store => {
                    prop_assert_eq!(memory.store(value, at, SeqCst).is_ok(), was.is_some());
                    Some(value)
                }
                Way::Load => {
                    prop_assert_eq!(memory.load::<u16>(at, SeqCst).ok(), was);
                    None
                }
                _ => {
                    prop_assert_eq!(memory.fetch_add(value, at, SeqCst).ok(), was);
                    was.map(|was| was.wrapping_add(value))
                }
            };
            if let (Some(gpas), Some(next)) = (gpas, next) {
                model.write(addr, &gpas, &next.to_ne_bytes());
            }
        }
        Way::Check => {
            for wanted in [Permissions::No, Read, Write, ReadWrite] {
                let reach = model.reach(addr, len, wanted).is_some_and(|gpas| gpas.len() == len);
                prop_assert_eq!(memory.check_range(at, len, wanted), reach);
                if let Some(slice) = memory.find_io_slice(at, len, wanted) {
                    prop_assert!(reach && slice.len() == len);
                    prop_assert_eq!(slice.is_read_only(), model.on && !wanted.has_write());
                }
            }
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn memory_behind_an_iommu_is_as_its_bytes_are(deeds in deeds()) {
        // The bitmap holds the lowest window.
        let bitmap = bytewise((2 * WINDOW * PAGE) as usize);
        let (mut memory, mut model) = (memory_with(&REGIONS, bitmap), Model::new());
        for (stamp, deed) in deeds.into_iter().enumerate() {
            match deed {
                Deed::Map { iova, gpa, pages, perm } => {
                    let len = (pages * PAGE) as usize;
                    let result = common::table(&memory)
                        .set_mapping(GuestAddress(iova), GuestAddress(gpa), len, perm);
                    let numbers = (model.table.numbers(iova, len), model.table.numbers(gpa, len));
                    let (Some(iovas), Some(gpas)) = numbers else {
                        prop_assert!(result.is_err());
                        continue;
                    };
                    model.table.pages.extend(iovas.zip(gpas.map(|gpa| (gpa, perm))));
                }
                Deed::Unmap { iova, pages } => {
                    let len = (pages * PAGE) as usize;
                    let _ = common::table(&memory).invalidate_mapping(GuestAddress(iova), len);
                    let first = u128::from(iova / PAGE);
                    let numbers = first..first + u128::from(pages);
                    model.table.pages.retain(|number, _| !numbers.contains(number));
                }
                Deed::Switch(on) => {
                    memory.set_iommu_enabled(on);
                    model.on = on;
                }
                Deed::Access { way, addr, len } => {
                    access(&memory, &mut model, way, addr, len, stamp as u8)?;
                }
            }
            prop_assert!(memory.past_leases().are_over());
        }
        // Marked is what was written, by either address, and nothing else.
        prop_assert_eq!(dirty_gpas(memory.get_backend()), runs(model.gpas.into_keys()));
        let (low, high): (Vec<_>, Vec<_>) =
            model.iovas.into_keys().partition(|&addr| addr < memory.bitmap().len() as u64);
        prop_assert_eq!(dirty_iovas(&memory), runs(low.into_iter()));
        prop_assert_eq!(memory.bitmap().overrun().is_some(), !high.is_empty());
        let mut all = model.bytes.into_iter();
        memory.set_iommu_enabled(false);
        prop_assert!(all.all(|(gpa, byte)| memory.read_obj::<u8>(GuestAddress(gpa)).ok() == Some(byte)));
    }
}
