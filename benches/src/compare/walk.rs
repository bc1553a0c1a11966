//! The walk of a virtio device over its rings, by hand: what a chain costs in accesses.

use std::hint::black_box;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use guest_memory::{GuestAddress, GuestWindow, Permissions, WindowMemory as _};
use guest_mmap::GuestRegionMmap;

use crate::compare::contestant::Memory;
use crate::compare::contestants::Ours;
use crate::compare::maps::{Plain, add_all_and_scattered};
use crate::compare::session::{Session, Setting};
use crate::layout::Layout;
use crate::raw::{Hosts, Place};

/// The number of descriptors, of which every chain has two: a request, and a buffer for the answer.
const SIZE: u16 = 256;
const CHAINS: u16 = SIZE / 2;

/// The bytes of an answer with data.
const DATA: usize = 4096;

/// A descriptor's flag: there is one more.
const NEXT: u64 = 1;

/// Where the parts of a queue lie.
#[derive(Clone, Debug)]
pub(crate) struct Rings {
    descriptors: u64,
    available: u64,
    used: u64,
    buffers: Vec<u64>,
}

impl Rings {
    /// In the first region; the buffers are anywhere.
    fn new(layout: &Layout) -> Self {
        let start = layout.ranges()[0].0 + 0x10_0000;
        let buffers = layout.addresses(DATA).into_iter().take(CHAINS.into()).collect();
        Self { descriptors: start, available: start + 0x1000, used: start + 0x2000, buffers }
    }

    fn descriptor(&self, index: u16) -> u64 {
        self.descriptors + u64::from(index) * 16
    }

    fn available_index(&self) -> u64 {
        self.available + 2
    }

    fn available_entry(&self, turn: u16) -> u64 {
        self.available + 4 + u64::from(turn % SIZE) * 2
    }

    fn used_index(&self) -> u64 {
        self.used + 2
    }

    fn used_entry(&self, turn: u16) -> u64 {
        self.used + 4 + u64::from(turn % SIZE) * 8
    }

    /// Writes what a driver has written: all chains, and entries for them.
    fn fill(&self, hosts: &Hosts<'_>) {
        hosts.touch(&self.buffers, DATA);
        hosts.touch(&[self.available, self.used], 0x1000);
        for chain in 0..CHAINS {
            let head = chain * 2;
            let second = u64::from(head + 1);
            let request = self.buffers[usize::from(CHAINS - 1 - chain)];
            hosts.put(self.descriptor(head), request);
            hosts.put(self.descriptor(head) + 8, 16 | NEXT << 32 | second << 48);
            hosts.put(self.descriptor(head + 1), self.buffers[usize::from(chain)]);
            hosts.put(self.descriptor(head + 1) + 8, DATA as u64);
        }
        for entry in (0..SIZE).step_by(4) {
            let heads = (0..4).map(|at| u64::from((entry + at) % CHAINS * 2) << (16 * at));
            // Four at once; the entries are aligned to four bytes.
            hosts.put(self.available_entry(entry), heads.sum());
        }
    }
}

/// A queue as a device sees it, by whatever reaches its memory.
trait Queue {
    fn available(&self) -> u16;
    fn head(&self, turn: u16) -> u16;
    fn descriptor(&self, index: u16) -> [u64; 2];
    /// Answers with data, in the buffer of a descriptor.
    fn answer(&self, data: &[u8; DATA], index: u16, addr: u64);
    fn use_up(&self, turn: u16, element: [u32; 2]);
    fn publish(&self, used: u16);
}

/// Each access by its guest address.
struct ByAddress<'a, M> {
    memory: &'a M,
    rings: &'a Rings,
}

impl<M: Memory> Queue for ByAddress<'_, M> {
    #[inline(always)]
    fn available(&self) -> u16 {
        self.memory.load(self.rings.available_index())
    }

    #[inline(always)]
    fn head(&self, turn: u16) -> u16 {
        self.memory.read(self.rings.available_entry(turn))
    }

    #[inline(always)]
    fn descriptor(&self, index: u16) -> [u64; 2] {
        self.memory.read(self.rings.descriptor(index))
    }

    #[inline(always)]
    fn answer(&self, data: &[u8; DATA], _: u16, addr: u64) {
        self.memory.write_slice(data, addr);
    }

    #[inline(always)]
    fn use_up(&self, turn: u16, element: [u32; 2]) {
        self.memory.write(element, self.rings.used_entry(turn));
    }

    #[inline(always)]
    fn publish(&self, used: u16) {
        self.memory.store(used, self.rings.used_index());
    }
}

/// Rings that were looked up once; the buffers are where the guest says.
struct Pinned<'a> {
    memory: &'a Ours<()>,
    descriptors: GuestWindow<GuestRegionMmap>,
    available: GuestWindow<GuestRegionMmap>,
    used: GuestWindow<GuestRegionMmap>,
}

impl<'a> Pinned<'a> {
    fn new(memory: &'a Ours<()>, rings: &Rings) -> Self {
        let window = |addr, len| {
            let window =
                memory.map_itself().window(GuestAddress(addr), len, Permissions::ReadWrite);
            window.expect("the ring lies in one region")
        };
        Self {
            memory,
            descriptors: window(rings.descriptors, usize::from(SIZE) * 16),
            available: window(rings.available, 4 + usize::from(SIZE) * 2),
            used: window(rings.used, 4 + usize::from(SIZE) * 8),
        }
    }
}

impl Queue for Pinned<'_> {
    #[inline(always)]
    fn available(&self) -> u16 {
        self.available.load(2, Ordering::Acquire).expect("it is in the ring")
    }

    #[inline(always)]
    fn head(&self, turn: u16) -> u16 {
        self.available.read_obj(4 + usize::from(turn % SIZE) * 2).expect("it is in the ring")
    }

    #[inline(always)]
    fn descriptor(&self, index: u16) -> [u64; 2] {
        self.descriptors.read_obj(usize::from(index) * 16).expect("it is in the table")
    }

    #[inline(always)]
    fn answer(&self, data: &[u8; DATA], _: u16, addr: u64) {
        self.memory.write_slice(data, addr);
    }

    #[inline(always)]
    fn use_up(&self, turn: u16, element: [u32; 2]) {
        let offset = 4 + usize::from(turn % SIZE) * 8;
        self.used.write_obj(element, offset).expect("it is in the ring");
    }

    #[inline(always)]
    fn publish(&self, used: u16) {
        self.used.store(used, 2, Ordering::Release).expect("it is in the ring");
    }
}

/// Each access by a host address that was found before.
struct Raw<'m> {
    available: Place<'m, u16>,
    heads: Box<[Place<'m, u16>; SIZE as usize]>,
    descriptors: Box<[Place<'m, [u64; 2]>; SIZE as usize]>,
    buffers: Box<[Place<'m, [u8; DATA]>; SIZE as usize]>,
    used: Box<[Place<'m, [u32; 2]>; SIZE as usize]>,
    published: Place<'m, u16>,
}

impl<'m> Raw<'m> {
    fn new(hosts: &Hosts<'m>, rings: &Rings) -> Self {
        let buffer = |index: u16| rings.buffers[usize::from(index) / 2];
        Self {
            available: Place::at(hosts, rings.available_index()),
            heads: places(hosts, |turn| rings.available_entry(turn)),
            descriptors: places(hosts, |index| rings.descriptor(index)),
            buffers: places(hosts, buffer),
            used: places(hosts, |turn| rings.used_entry(turn)),
            published: Place::at(hosts, rings.used_index()),
        }
    }
}

/// The places of what there is once a descriptor.
fn places<'m, T: guest_memory::ByteValued>(
    hosts: &Hosts<'m>,
    addr: impl Fn(u16) -> u64,
) -> Box<[Place<'m, T>; SIZE as usize]> {
    Box::new(std::array::from_fn(|index| Place::at(hosts, addr(index as u16))))
}

impl Queue for Raw<'_> {
    #[inline(always)]
    fn available(&self) -> u16 {
        self.available.load()
    }

    #[inline(always)]
    fn head(&self, turn: u16) -> u16 {
        self.heads[usize::from(turn % SIZE)].read()
    }

    #[inline(always)]
    fn descriptor(&self, index: u16) -> [u64; 2] {
        self.descriptors[usize::from(index % SIZE)].read()
    }

    #[inline(always)]
    fn answer(&self, data: &[u8; DATA], index: u16, _: u64) {
        self.buffers[usize::from(index % SIZE)].copy_from(data);
    }

    #[inline(always)]
    fn use_up(&self, turn: u16, element: [u32; 2]) {
        self.used[usize::from(turn % SIZE)].write(element);
    }

    #[inline(always)]
    fn publish(&self, used: u16) {
        self.published.store(used);
    }
}

/// Serves so many chains; returns how long it took.
#[inline]
fn serve(queue: &impl Queue, count: u64, data: Option<&[u8; DATA]>) -> Duration {
    let mut sum = 0;
    let mut turn = 0_u16;
    let start = Instant::now();
    for _ in 0..count {
        // What the driver has made available says nothing here: it has always made more.
        let available = queue.available();
        let head = queue.head(turn);
        let [request, about] = queue.descriptor(head);
        let mut answered = 0;
        if about & NEXT << 32 != 0 {
            let second = (about >> 48) as u16;
            let [addr, about] = queue.descriptor(second);
            answered = about as u32;
            if let Some(data) = data {
                queue.answer(data, second, addr);
            }
        }
        queue.use_up(turn, [head.into(), answered]);
        turn = turn.wrapping_add(1);
        queue.publish(turn);
        sum ^= request ^ u64::from(available);
    }
    black_box(sum);
    start.elapsed()
}

/// Both rows: chains of metadata alone, and with data.
pub(crate) fn all<S: Setting>(session: &Session, maps: &Plain) {
    let rings = Rings::new(&maps.layout);
    maps.all().iter().for_each(|hosts| rings.fill(hosts));
    let data = black_box([1; DATA]);
    for (row, data) in [("chain", None), ("chain_4k", Some(&data))] {
        let case = format!("n={}", maps.layout.ranges().len());
        let Some(mut group) = session.group::<S>(row, case) else { continue };
        let raw = Raw::new(&maps.raw(), &rings);
        group.add("raw", move |count| serve(&raw, count, data));
        let rings = &rings;
        add_all_and_scattered!(S, group, maps, |memory| move |count| {
            serve(&ByAddress { memory, rings }, count, data)
        });
        if S::COMPANY {
            let pinned = Pinned::new(&maps.ours, rings);
            group.add("window", move |count| serve(&pinned, count, data));
        }
        group.run();
    }
}
