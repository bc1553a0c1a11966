//! Real files by place, sockets and chains of buffers, straight into and out of mapped memory in several regions: one system
//! call an operation, and the dirty pages of what came.
#![cfg(feature = "rawfd")]

mod common;

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixDatagram;

use common::memfd;
use guest_address::GuestAddress;
use guest_dirty::AtomicBitmap;
use guest_memory::{
    Bytes, GatherSlices, GuestMemory, GuestMemoryError, GuestMemoryRegion, Permissions,
    PositionalBytes, ReadVolatileAt, WriteVolatileAt,
};
use guest_mmap::{GuestMemoryMmap, GuestRegionMmap};
use proptest::collection::vec;
use proptest::prelude::*;

const PAGE: usize = 0x1000;

type Memory = GuestMemoryMmap<AtomicBitmap>;

/// `count` neighbours of one page each, from 0x1000 on; the odd ones were mapped first, so that none is the next of another on
/// the host.
fn pages(count: usize) -> Memory {
    let odd_first = (1..count).step_by(2).chain((0..count).step_by(2));
    let mut regions: Vec<_> = odd_first
        .map(|number| GuestAddress((PAGE * (number + 1)) as u64))
        .map(|start| GuestRegionMmap::from_range(start, PAGE, None).expect("a page can be mapped"))
        .collect();
    regions.sort_by_key(GuestMemoryRegion::start_addr);
    Memory::from_regions(regions).expect("sorted, and not overlapping")
}

/// The guest addresses of the dirty pages.
fn dirty_pages(memory: &Memory) -> Vec<u64> {
    let of_region = |region: &GuestRegionMmap<AtomicBitmap>| {
        let start = region.start_addr().0;
        let mapping = region.get_mmap();
        let harvest = mapping.bitmap().take().expect("no mark is past the end");
        let pages = harvest.pages().map(|page| start + (PAGE * page) as u64).collect::<Vec<_>>();
        harvest.commit();
        pages
    };
    memory.iter().flat_map(of_region).collect()
}

fn page_addresses(pages: std::ops::Range<usize>) -> Vec<u64> {
    pages.map(|number| (PAGE * (number + 1)) as u64).collect()
}

/// Bytes of which no two neighbours are alike.
fn pattern(len: usize) -> Vec<u8> {
    (1..=251_u8).cycle().take(len).collect()
}

fn file_of(bytes: &[u8]) -> File {
    let mut file = memfd(0);
    file.write_all(bytes).expect("a memfd takes everything");
    file
}

/// How many system calls that read and that write this thread has made, if the system counts.
fn system_calls() -> Option<(usize, usize)> {
    let io = fs::read_to_string("/proc/thread-self/io").ok()?;
    let number = |name| io.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    Some((number("syscr:")?, number("syscw:")?))
}

/// Sees that `operation` makes as many of them, if the system counts.
#[track_caller]
fn with_calls<T>(expected: (usize, usize), operation: impl FnOnce() -> T) -> T {
    let (before, again) = (system_calls(), system_calls());
    let result = operation();
    match (before, again, system_calls()) {
        (Some(before), Some(again), Some(after)) => {
            // To look costs reads, too: as many each time.
            let reads = after.0 - again.0 - (again.0 - before.0);
            assert_eq!((reads, after.1 - again.1), expected);
        }
        _ => println!("skipped: the system does not count its calls"),
    }
    result
}

#[test]
fn one_call_reads_and_writes_40_regions() {
    for count in [1, 2, 3, 40] {
        let memory = pages(count);
        let (addr, len) =
            (GuestAddress(0x1ffd - 0x1000 * u64::from(count == 1)), PAGE * (count - 1) + 1);
        let (addr, len) = if count == 1 { (GuestAddress(0x1003), 0xff0) } else { (addr, len) };
        let bytes = pattern(len + 5);
        let (source, sink) = (file_of(&bytes), memfd(0));

        let done = with_calls((1, 0), || memory.read_volatile_from_at(addr, &source, 5, len));
        assert_eq!(done.unwrap(), len);
        let mut read = vec![0; len];
        memory.read_slice(&mut read, addr).unwrap();
        assert!(read == bytes[5..]);
        assert_eq!(dirty_pages(&memory), page_addresses(0..count));

        let done = with_calls((0, 1), || memory.write_volatile_to_at(addr, &sink, 3, len));
        assert_eq!(done.unwrap(), len);
        let mut written = vec![0; len + 3];
        sink.read_exact_at(&mut written, 0).unwrap();
        assert!(written[3..] == bytes[5..] && written[..3] == [0; 3]);
        assert!(dirty_pages(&memory).is_empty());

        // The streams, which had one call a region.
        let (mut source, mut sink) = (file_of(&bytes), memfd(0));
        std::io::Seek::rewind(&mut source).unwrap();
        let done = with_calls((1, 0), || memory.read_exact_volatile_from(addr, &mut source, len));
        done.unwrap();
        assert_eq!(dirty_pages(&memory), page_addresses(0..count));
        with_calls((0, 1), || memory.write_all_volatile_to(addr, &mut sink, len)).unwrap();
        sink.read_exact_at(&mut written[3..], 0).unwrap();
        assert!(written[3..] == bytes[..len]);
    }
}

// SEMANTICS 20: 0x10 bytes of 0x3000 at 0xff8 of the first region dirty two pages, over two regions.
#[test]
fn the_end_of_a_file_marks_what_came() {
    let memory = pages(4);
    let file = file_of(&pattern(0x110));
    let addr = GuestAddress(0x1ff8);
    assert_eq!(memory.read_volatile_from_at(addr, &file, 0x100, 0x3000).unwrap(), 0x10);
    assert_eq!(dirty_pages(&memory), page_addresses(0..2));
    let error = memory.read_exact_volatile_from_at(addr, &file, 0x108, 0x3000).unwrap_err();
    let GuestMemoryError::PartialBuffer { expected: 0x3000, completed: 8 } = error else {
        panic!("{error:?}")
    };
    // Exactly up to the border: not the page behind it.
    assert_eq!(dirty_pages(&memory), page_addresses(0..1));
}

// SEMANTICS 20: the kernel does not say what it wrote before it failed. It says that it wrote nothing if there was nothing.
#[test]
fn a_failed_read_marks_its_whole_target_in_every_region() {
    let memory = pages(4);
    let directory = File::open("/").unwrap();
    let error = memory.read_volatile_from_at(GuestAddress(0x1ff8), &directory, 0, 0x1010);
    let GuestMemoryError::IOError(error) = error.unwrap_err() else { panic!("another error") };
    assert_eq!(error.raw_os_error(), Some(libc::EISDIR));
    assert_eq!(dirty_pages(&memory), page_addresses(0..3));

    let (_peer, socket) = UnixDatagram::pair().unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut socket = OwnedFd::from(socket);
    let error = memory.read_volatile_from(GuestAddress(0x1ff8), &mut socket, 0x1010).unwrap_err();
    let GuestMemoryError::IOError(error) = error else { panic!("{error:?}") };
    assert_eq!(error.raw_os_error(), Some(libc::EAGAIN));
    assert!(dirty_pages(&memory).is_empty());
}

// A packet that fits into the first region, to the byte, is a whole packet: the next one is not touched.
#[test]
fn a_packet_is_one_operation_wherever_it_ends() {
    let memory = pages(3);
    let (sender, receiver) = UnixDatagram::pair().unwrap();
    receiver.set_nonblocking(true).unwrap();
    let mut receiver = OwnedFd::from(receiver);
    let addr = GuestAddress(0x1ff0);
    for len in [1, 15, 16, 17, 0x1010] {
        let (packet, next) = (pattern(len), vec![99; 0x20]);
        sender.send(&packet).unwrap();
        sender.send(&next).unwrap();
        assert_eq!(memory.read_volatile_from(addr, &mut receiver, 0x1800).unwrap(), len);
        let mut got = vec![0; len];
        memory.read_slice(&mut got, addr).unwrap();
        assert!(got == packet);
        assert_eq!(memory.read_volatile_from(addr, &mut receiver, 0x1800).unwrap(), 0x20);
        // And the other way.
        assert_eq!(memory.write_volatile_to(addr, &mut receiver, len).unwrap(), len);
        assert_eq!(sender.recv(&mut vec![0; 0x2000]).unwrap(), len);
    }
}

#[test]
fn a_chain_of_buffers_is_one_call() {
    let memory = pages(3);
    let chain = [(0x3ff0, 16), (0x1000, 0), (0x1ffe, 0x1004), (0x1000, 1)];
    let chain = chain.map(|(addr, count)| (GuestAddress(addr), count));
    let mut list = Vec::new();
    let total = memory.gather_slices(chain, Permissions::Write, &mut list).unwrap();
    assert_eq!((total, list.len()), (16 + 0x1004 + 1, 1 + 3 + 1));
    let (bytes, copy) = (pattern(total + 9), memfd(0));
    let file = file_of(&bytes);
    with_calls((1, 0), || file.read_exact_vectored_volatile_at(&mut list.clone(), 9)).unwrap();
    with_calls((0, 1), || copy.write_all_vectored_volatile_at(&mut list, 0)).unwrap();
    let mut written = vec![0; total];
    copy.read_exact_at(&mut written, 0).unwrap();
    assert!(written == bytes[9..]);
    assert_eq!(dirty_pages(&memory), page_addresses(0..3));
}

/// What is done to the memory and to the file.
#[derive(Clone, Debug)]
enum Op {
    Read(u64, u64, usize),
    ReadExact(u64, u64, usize),
    Write(u64, u64, usize),
    WriteAll(u64, u64, usize),
    /// A chain of buffers, read or written by one call.
    Chain(Vec<(u64, usize)>, u64, bool),
}

const SIZE: usize = 5 * PAGE;

fn op() -> impl Strategy<Value = Op> {
    // Around the borders, and anywhere; the memory is [0x1000, 0x6000).
    let addr = || {
        prop_oneof![
            4 => (1..=6_u64, 0..8_u64).prop_map(|(page, less)| page * 0x1000 - less),
            1 => 0xff0..0x6010_u64,
        ]
    };
    let count = || prop_oneof![3 => 0..40_usize, 1 => 0..SIZE + 10];
    let offset = || prop_oneof![3 => 0..0x4000_u64, 1 => 0x3ff0..0x4010_u64];
    prop_oneof![
        (addr(), offset(), count()).prop_map(|(addr, at, count)| Op::Read(addr, at, count)),
        (addr(), offset(), count()).prop_map(|(addr, at, count)| Op::ReadExact(addr, at, count)),
        (addr(), offset(), count()).prop_map(|(addr, at, count)| Op::Write(addr, at, count)),
        (addr(), offset(), count()).prop_map(|(addr, at, count)| Op::WriteAll(addr, at, count)),
        (vec((addr(), count()), 0..12), offset(), any::<bool>())
            .prop_map(|(chain, at, reads)| Op::Chain(chain, at, reads)),
    ]
}

/// What the memory and the file are to be.
struct Model {
    ram: Vec<u8>,
    disk: Vec<u8>,
    dirty: [bool; 5],
}

impl Model {
    /// How many of `count` bytes at `addr` there are, and where.
    fn part(addr: u64, count: usize) -> (usize, usize) {
        match addr.checked_sub(0x1000).map(|at| at as usize) {
            Some(at) if at < SIZE => (at, count.min(SIZE - at)),
            _ => (0, 0),
        }
    }

    fn fill(&mut self, at: usize, offset: u64, count: usize) -> usize {
        let offset = (offset as usize).min(self.disk.len());
        let count = count.min(self.disk.len() - offset);
        self.ram[at..at + count].copy_from_slice(&self.disk[offset..offset + count]);
        if count != 0 {
            self.dirty[at / PAGE..=(at + count - 1) / PAGE].fill(true);
        }
        count
    }

    fn empty(&mut self, at: usize, offset: u64, count: usize) {
        if count == 0 {
            return;
        }
        let end = offset as usize + count;
        if self.disk.len() < end {
            self.disk.resize(end, 0);
        }
        self.disk[end - count..end].copy_from_slice(&self.ram[at..at + count]);
    }
}

/// The count, or that of the error; 0 for every error without one.
fn count_of(result: Result<usize, GuestMemoryError>) -> usize {
    match result {
        Ok(count) => count,
        Err(GuestMemoryError::PartialBuffer { completed, .. }) => completed,
        Err(GuestMemoryError::InvalidGuestAddress(_)) => 0,
        Err(other) => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    // Any sequence of transfers does to the memory and to a file what it does to two lists of bytes.
    #[test]
    fn memory_and_files_do_what_lists_of_bytes_do(ops in vec(op(), 1..20)) {
        let (memory, file) = (pages(5), memfd(0));
        let mut model = Model { ram: vec![0; SIZE], disk: pattern(0x4000), dirty: [false; 5] };
        file.write_all_at(&model.disk, 0).unwrap();
        for op in &ops {
            match *op {
                Op::Read(addr, offset, count) => {
                    let (at, there) = Model::part(addr, count);
                    let done = memory.read_volatile_from_at(GuestAddress(addr), &file, offset, count);
                    prop_assert_eq!(count_of(done), model.fill(at, offset, there));
                }
                Op::ReadExact(addr, offset, count) => {
                    let (at, there) = Model::part(addr, count);
                    let done = memory.read_exact_volatile_from_at(GuestAddress(addr), &file, offset, count);
                    prop_assert_eq!(count_of(done.map(|()| count)), model.fill(at, offset, there));
                }
                Op::Write(addr, offset, count) => {
                    let (at, there) = Model::part(addr, count);
                    let done = memory.write_volatile_to_at(GuestAddress(addr), &file, offset, count);
                    prop_assert_eq!(count_of(done), there);
                    model.empty(at, offset, there);
                }
                Op::WriteAll(addr, offset, count) => {
                    let (at, there) = Model::part(addr, count);
                    let done = memory.write_all_volatile_to_at(GuestAddress(addr), &file, offset, count);
                    prop_assert_eq!(count_of(done.map(|()| count)), there);
                    model.empty(at, offset, there);
                }
                Op::Chain(ref chain, offset, reads) => {
                    let access = if reads { Permissions::Write } else { Permissions::Read };
                    let mut list = Vec::new();
                    let ranges = chain.iter().map(|&(addr, count)| (GuestAddress(addr), count));
                    let total = memory.gather_slices(ranges, access, &mut list);
                    let whole = chain.iter().all(|&(addr, count)| Model::part(addr, count).1 == count);
                    prop_assert_eq!(total.is_ok(), whole);
                    let Ok(total) = total else { continue };
                    let done = if reads {
                        file.read_vectored_volatile_at(&list, offset).unwrap()
                    } else {
                        file.write_vectored_volatile_at(&list, offset).unwrap()
                    };
                    let mut moved = 0;
                    for &(addr, count) in chain {
                        let (at, there) = Model::part(addr, count);
                        if reads {
                            moved += model.fill(at, offset + moved as u64, there);
                        } else {
                            model.empty(at, offset + moved as u64, there);
                            moved += there;
                        }
                    }
                    prop_assert_eq!(done, moved);
                    prop_assert!(reads || done == total);
                }
            }
        }
        let mut ram = vec![0; SIZE];
        memory.read_slice(&mut ram, GuestAddress(0x1000)).unwrap();
        prop_assert!(ram == model.ram);
        prop_assert_eq!(file.metadata().unwrap().len(), model.disk.len() as u64);
        let mut disk = vec![0; model.disk.len()];
        file.read_exact_at(&mut disk, 0).unwrap();
        prop_assert!(disk == model.disk);
        let dirty: Vec<u64> = (0..5).filter(|&page| model.dirty[page])
            .map(|page| (PAGE * (page + 1)) as u64).collect();
        prop_assert_eq!(dirty_pages(&memory), dirty);
    }
}
