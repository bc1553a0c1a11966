//! Any sequence of mappings, invalidations and accesses by a device does what a table of bytes does.

#![no_main]
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::sync::RwLock;

use arbitrary::Arbitrary;
use guest_iommu::{IommuMemory, Iotlb};
use guest_memory::{
    Bytes, GuestAddress, GuestMemoryError, GuestRegionCollection, IoMemory, Permissions,
    SliceRegion,
};
use libfuzzer_sys::fuzz_target;

/// The guest's memory: so many bytes at address 0.
const RAM: usize = 256;
/// How many of the device's addresses there are, half of them at the bottom and half at the top.
const WINDOW: u64 = 256;

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Access {
    No,
    Read,
    Write,
    Both,
}

impl Access {
    fn permissions(self) -> Permissions {
        match self {
            Self::No => Permissions::No,
            Self::Read => Permissions::Read,
            Self::Write => Permissions::Write,
            Self::Both => Permissions::ReadWrite,
        }
    }
}

#[derive(Arbitrary, Debug)]
enum Op {
    Set { iova: u8, gpa: u16, len: u16, access: Access },
    SetAnywhere { iova: u64, gpa: u64, len: usize },
    Invalidate { iova: u8, len: u16 },
    InvalidateAnywhere { iova: u64, len: usize },
    InvalidateAll,
    Lookup { iova: u8, len: u16, access: Access },
    Read { iova: u8, len: u8 },
    Write { iova: u8, len: u8, byte: u8 },
    Swap,
}

/// An address in the window.
fn iova(number: u8) -> u64 {
    u64::from(number).wrapping_sub(WINDOW / 2)
}

/// Addresses from `iova` on, unless they pass the top.
fn range(iova: u64, len: usize) -> Option<Vec<u64>> {
    let Some(last) = (len as u64).checked_sub(1) else { return Some(Vec::new()) };
    iova.checked_add(last).map(|last| (iova..=last).collect())
}

/// The translation of each byte of the device's.
type Model = HashMap<u64, (u64, Permissions)>;

fn lookup(iotlb: &Iotlb, model: &Model, iova: u64, len: usize, access: Permissions) {
    let result = Iotlb::lookup(iotlb, GuestAddress(iova), len, access);
    let Some(bytes) = range(iova, len) else {
        assert!(result.is_err());
        return;
    };
    let misses: Vec<u64> = bytes.iter().copied().filter(|iova| !model.contains_key(iova)).collect();
    let is_denied = |iova: &u64| model.get(iova).is_some_and(|(_, has)| !has.allow(access));
    let denied: Vec<u64> = bytes.iter().copied().filter(is_denied).collect();
    match result {
        Ok(pieces) => {
            assert!(misses.is_empty() && denied.is_empty());
            let found = pieces.flat_map(|piece| {
                range(piece.base.0, piece.length).expect("a piece does not wrap")
            });
            let wanted = bytes.iter().map(|iova| model[iova].0);
            assert!(found.eq(wanted));
        }
        Err(fails) => {
            let flat = |ranges: Vec<guest_iommu::IovaRange>| -> Vec<u64> {
                let bytes = ranges.into_iter().flat_map(|fail| {
                    range(fail.base.0, fail.length).expect("it is clipped to the request")
                });
                bytes.collect()
            };
            assert_eq!(flat(fails.misses), misses);
            assert_eq!(flat(fails.access_fails), denied);
            assert!(!misses.is_empty() || !denied.is_empty());
        }
    }
}

/// The bytes of RAM behind a range of the device's, up to the first without any; `None` if not all of it is mapped so.
fn behind(model: &Model, iova: u64, len: usize, access: Permissions) -> Option<Vec<usize>> {
    let gpas = range(iova, len)?.into_iter().map(|iova| {
        model.get(&iova).filter(|(_, has)| has.allow(access)).map(|(gpa, _)| *gpa as usize)
    });
    let gpas: Vec<usize> = gpas.collect::<Option<_>>()?;
    Some(gpas.into_iter().take_while(|&gpa| gpa < RAM).collect())
}

/// Compares a count with what should have been moved.
fn moved(result: Result<usize, GuestMemoryError>, reach: Option<usize>, len: usize) -> usize {
    match (result, reach) {
        (Ok(count), Some(reach)) => {
            assert_eq!(count, reach);
            count
        }
        (Ok(count), None) => {
            panic!("{count} of {len} bytes were moved, of which not all are mapped")
        }
        (Err(error), Some(reach)) => {
            assert!(reach == 0 && len > 0, "{error}");
            0
        }
        (Err(_), None) => 0,
    }
}

fuzz_target!(|ops: Vec<Op>| {
    let mut ram = vec![0; RAM];
    let region = SliceRegion::new(GuestAddress(0), &mut ram).expect("it is not empty");
    let map = GuestRegionCollection::from_regions(vec![region]).expect("it is one region");
    let mut memory = IommuMemory::new(map.clone(), RwLock::new(Iotlb::new()), true, ());
    let (mut model, mut bytes) = (Model::new(), vec![0_u8; RAM]);
    for op in ops.into_iter().take(200) {
        match op {
            Op::Set { iova: number, gpa, len, access } => {
                let (at, gpa, len) =
                    (iova(number), u64::from(gpa % 0x120), usize::from(len % 0x120));
                let mut table = memory.iommu().write().unwrap();
                let result = table.set_mapping(
                    GuestAddress(at),
                    GuestAddress(gpa),
                    len,
                    access.permissions(),
                );
                assert_eq!(result.is_ok(), range(at, len).is_some());
                if result.is_ok() {
                    let gpas = gpa..;
                    let mapped = range(at, len).unwrap_or_default().into_iter().zip(gpas);
                    model.extend(mapped.map(|(at, gpa)| (at, (gpa, access.permissions()))));
                }
            }
            Op::SetAnywhere { iova, gpa, len } => {
                // Only that it says yes or no; then everything is forgotten.
                let mut table = memory.iommu().write().unwrap();
                let (iova, gpa) = (GuestAddress(iova), GuestAddress(gpa));
                let fits =
                    |addr: GuestAddress| len == 0 || addr.0.checked_add(len as u64 - 1).is_some();
                let result = table.set_mapping(iova, gpa, len, Permissions::ReadWrite);
                assert_eq!(result.is_ok(), fits(iova) && fits(gpa));
                if result.is_ok() && len > 0 {
                    let found = Iotlb::lookup(&*table, iova, len, Permissions::Read);
                    let total: u128 = found.unwrap().map(|piece| piece.length as u128).sum();
                    assert_eq!(total, len as u128);
                }
                table.invalidate_all();
                model.clear();
            }
            Op::Invalidate { iova: number, len } => {
                let (at, len) = (iova(number), usize::from(len % 0x120));
                let mut table = memory.iommu().write().unwrap();
                let result = table.invalidate_mapping(GuestAddress(at), len);
                assert_eq!(result.is_ok(), range(at, len).is_some());
                model.retain(|&iova, _| iova < at || iova - at >= len as u64);
            }
            Op::InvalidateAnywhere { iova, len } => {
                let result =
                    memory.iommu().write().unwrap().invalidate_mapping(GuestAddress(iova), len);
                let fits = len == 0 || iova.checked_add(len as u64 - 1).is_some();
                assert_eq!(result.is_ok(), fits);
                model.retain(|&at, _| at < iova || at - iova >= len as u64);
            }
            Op::InvalidateAll => {
                memory.iommu().write().unwrap().invalidate_all();
                model.clear();
            }
            Op::Lookup { iova: number, len, access } => {
                let table = memory.iommu().read().unwrap();
                let len = usize::from(len % 0x120);
                lookup(&table, &model, iova(number), len, access.permissions());
            }
            Op::Read { iova: number, len } => {
                let (at, len) = (iova(number), usize::from(len));
                let there = behind(&model, at, len, Permissions::Read);
                let mut buf = vec![0; len];
                let result = memory.read(&mut buf, GuestAddress(at));
                let count = moved(result, there.as_ref().map(Vec::len), len);
                let wanted = there.unwrap_or_default().into_iter().map(|gpa| bytes[gpa]);
                assert!(buf[..count].iter().copied().eq(wanted.take(count)));
                let can =
                    behind(&model, at, len, Permissions::Read).is_some_and(|b| b.len() == len);
                if can {
                    assert!(memory.check_range(GuestAddress(at), len, Permissions::Read));
                }
            }
            Op::Write { iova: number, len, byte } => {
                let (at, len) = (iova(number), usize::from(len));
                let there = behind(&model, at, len, Permissions::Write);
                let result = memory.write(&vec![byte; len], GuestAddress(at));
                let count = moved(result, there.as_ref().map(Vec::len), len);
                for gpa in there.unwrap_or_default().into_iter().take(count) {
                    bytes[gpa] = byte;
                }
            }
            Op::Swap => memory = memory.with_replaced_backend(map.clone()),
        }
    }
});
