//! Guest memory as it is thought of: bytes by address, and which of their pages were written.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// The size of a page, in bytes, of the guest's and of the dirty bitmap's.
pub const PAGE: u64 = 0x1000;

/// The bytes of a region, and the pages of it that were written since they were last asked for.
#[derive(Debug)]
pub struct Region {
    pub bytes: Vec<u8>,
    pub dirty: BTreeSet<u64>,
}

/// A map: the regions by their first address. A clone shares the regions, as a changed map does.
#[derive(Clone, Debug, Default)]
pub struct Model {
    pub regions: BTreeMap<u64, Rc<RefCell<Region>>>,
}

impl Model {
    /// Whether a region of `len` bytes at `start` passes the top or overlaps one that is there.
    pub fn refuses(&self, start: u64, len: u64) -> bool {
        let Some(last) = start.checked_add(len - 1) else { return true };
        self.regions.iter().any(|(&other, region)| {
            let other_last = other + (region.borrow().bytes.len() as u64 - 1);
            start <= other_last && other <= last
        })
    }

    pub fn insert(&mut self, start: u64, len: u64) {
        let region = Region { bytes: vec![0; len as usize], dirty: BTreeSet::new() };
        self.regions.insert(start, Rc::new(RefCell::new(region)));
    }

    /// The region that has a byte at `addr`, and the byte's offset in it.
    pub fn find(&self, addr: u64) -> Option<(&Rc<RefCell<Region>>, usize)> {
        let (&start, region) = self.regions.range(..=addr).next_back()?;
        let offset = (addr - start) as usize;
        (offset < region.borrow().bytes.len()).then_some((region, offset))
    }

    /// How many of `count` bytes from `addr` on have memory, up to the first that has none.
    pub fn reach(&self, addr: u64, count: usize) -> usize {
        (0..count)
            .take_while(|&done| {
                addr.checked_add(done as u64).is_some_and(|addr| self.find(addr).is_some())
            })
            .count()
    }

    /// Whether `count` bytes from `addr` on, at least one, lie in one region.
    pub fn in_one_region(&self, addr: u64, count: usize) -> bool {
        self.find(addr)
            .is_some_and(|(region, offset)| region.borrow().bytes.len() - offset >= count)
    }

    /// The first `count` bytes from `addr` on, which have memory.
    pub fn bytes(&self, addr: u64, count: usize) -> Vec<u8> {
        let byte = |done| {
            let (region, offset) = self.find(addr + done as u64).expect("the caller has asked");
            region.borrow().bytes[offset]
        };
        (0..count).map(byte).collect()
    }

    /// Writes bytes that all have memory, and marks their pages.
    pub fn put(&self, addr: u64, data: &[u8]) {
        for (done, &byte) in data.iter().enumerate() {
            let (region, offset) = self.find(addr + done as u64).expect("the caller has asked");
            let mut region = region.borrow_mut();
            region.bytes[offset] = byte;
            region.dirty.insert(offset as u64 / PAGE);
        }
    }
}
