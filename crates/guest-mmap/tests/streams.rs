//! Streams over descriptors, straight into and out of mapped memory.
#![cfg(feature = "rawfd")]

mod common;

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use common::{memfd, place};
use guest_address::GuestAddress;
use guest_dirty::AtomicBitmap;
use guest_memory::{
    Bytes, GuestMemory, GuestMemoryError, GuestMemoryRegion, ReadVolatile, VolatileSlice,
    WriteVolatile,
};
use guest_mmap::{GuestMemoryMmap, GuestRegionMmap, MmapRegionBuilder};
use guest_volatile::{BitmapSlice, Result};

/// [0x1000, 0x3000) and [0x3000, 0x5003), a hole, and [0x8000, 0x9000).
fn memory() -> GuestMemoryMmap<AtomicBitmap> {
    GuestMemoryMmap::from_ranges(&[
        (GuestAddress(0x1000), 0x2000),
        (GuestAddress(0x3000), 0x2003),
        (GuestAddress(0x8000), 0x1000),
    ])
    .expect("the ranges make a map")
}

/// The guest addresses of the dirty pages.
fn dirty_pages(memory: &GuestMemoryMmap<AtomicBitmap>) -> Vec<u64> {
    let of_region = |region: &GuestRegionMmap<AtomicBitmap>| {
        let start = region.start_addr().0;
        let mapping = region.get_mmap();
        let harvest = mapping.bitmap().take().expect("no mark is past the end");
        harvest.pages().map(|page| start + 0x1000 * page as u64).collect::<Vec<_>>()
    };
    memory.iter().flat_map(of_region).collect()
}

/// Bytes of which no two neighbours are alike.
fn pattern(len: usize) -> Vec<u8> {
    (0..=250_u8).cycle().take(len).collect()
}

/// A file that holds `bytes`, at its start.
fn file_of(bytes: &[u8]) -> File {
    let mut file = memfd(0);
    file.write_all(bytes).expect("a memfd takes everything");
    file.rewind().expect("a memfd has a position");
    file
}

/// Counts the calls, each of which is one system call.
struct Counted<T> {
    stream: T,
    calls: Vec<usize>,
}

impl<T> Counted<T> {
    fn new(stream: T) -> Self {
        Self { stream, calls: Vec::new() }
    }
}

impl<T: ReadVolatile> ReadVolatile for Counted<T> {
    fn read_volatile<B: BitmapSlice>(&mut self, buf: &mut VolatileSlice<'_, B>) -> Result<usize> {
        let count = self.stream.read_volatile(buf)?;
        self.calls.push(count);
        Ok(count)
    }
}

impl<T: WriteVolatile> WriteVolatile for Counted<T> {
    fn write_volatile<B: BitmapSlice>(&mut self, buf: &VolatileSlice<'_, B>) -> Result<usize> {
        let count = self.stream.write_volatile(buf)?;
        self.calls.push(count);
        Ok(count)
    }
}

/// How many `read(2)` and `write(2)` this thread has made, if the system counts.
fn system_calls() -> Option<(usize, usize)> {
    let io = fs::read_to_string("/proc/thread-self/io").ok()?;
    let number = |name| io.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    Some((number("syscr:")?, number("syscw:")?))
}

/// How many `read(2)` and `write(2)` the call makes, if the system counts.
fn system_calls_of(call: impl FnOnce()) -> Option<(usize, usize)> {
    let (reads, writes) = system_calls()?;
    let (reads_again, _) = system_calls()?;
    call();
    let (reads_after, writes_after) = system_calls()?;
    // To look costs reads, too: as many each time.
    let looking = reads_again - reads;
    Some((reads_after - reads_again - looking, writes_after - writes))
}

#[test]
fn a_file_fills_two_regions() {
    let bytes = pattern(0x2003);
    let memory = memory();
    let mut file = file_of(&bytes);
    memory.read_exact_volatile_from(GuestAddress(0x2ffd), &mut file, 0x2003).unwrap();
    let mut read = vec![0; 0x2003];
    memory.read_slice(&mut read, GuestAddress(0x2ffd)).unwrap();
    assert!(read == bytes);
    assert_eq!(file.stream_position().unwrap(), 0x2003);
    assert_eq!(dirty_pages(&memory), [0x2000, 0x3000, 0x4000]);
}

#[test]
fn two_regions_fill_a_file() {
    let bytes = pattern(0x2003);
    let memory = memory();
    memory.write_slice(&bytes, GuestAddress(0x2ffd)).unwrap();
    let mut file = memfd(0);
    memory.write_all_volatile_to(GuestAddress(0x2ffd), &mut file, 0x2003).unwrap();
    let mut written = vec![0; 0x2003];
    file.read_exact_at(&mut written, 0).unwrap();
    assert!(written == bytes);
    assert_eq!(file.metadata().unwrap().len(), 0x2003);

    let mut again = memfd(0);
    let count = memory.write_volatile_to(GuestAddress(0x2ffd), &mut again, 0x2003).unwrap();
    let mut written = vec![0; count];
    again.read_exact_at(&mut written, 0).unwrap();
    assert!(written == bytes[..count] && count >= 3);
}

#[test]
fn a_short_read_is_short() {
    // 9: the socket has 10 bytes now and 22 later. The border of the regions is 0x10 bytes away.
    let memory = memory();
    let bytes = pattern(32);
    let (mut peer, mut socket) = UnixStream::pair().unwrap();
    peer.write_all(&bytes[..10]).unwrap();
    let addr = GuestAddress(0x2ff0);
    let count = memory.read_volatile_from(addr, &mut socket, 32).unwrap();
    peer.write_all(&bytes[10..]).unwrap();
    assert_eq!(count, 10);
    let rest = GuestAddress(addr.0 + 10);
    memory.read_exact_volatile_from(rest, &mut socket, 22).unwrap();
    assert_eq!(memory.read_obj::<[u8; 32]>(addr).unwrap()[..], bytes);
}

#[test]
fn an_exact_read_waits_for_all_of_it() {
    // 10
    let memory = memory();
    let bytes = pattern(32);
    let (mut peer, socket) = UnixStream::pair().unwrap();
    let mut socket = Counted::new(socket);
    let addr = GuestAddress(0x2ff0);
    thread::scope(|scope| {
        scope.spawn(|| {
            peer.write_all(&bytes[..10]).unwrap();
            thread::sleep(Duration::from_millis(50));
            peer.write_all(&bytes[10..]).unwrap();
        });
        memory.read_exact_volatile_from(addr, &mut socket, 32).unwrap();
    });
    assert_eq!(memory.read_obj::<[u8; 32]>(addr).unwrap()[..], bytes);
    assert_eq!(socket.calls, [10, 6, 16]);
}

#[test]
fn the_end_of_a_file_tells_how_far_it_came() {
    // 10
    let memory = memory();
    let mut file = file_of(&pattern(0x1010));
    let error = memory.read_exact_volatile_from(GuestAddress(0x2000), &mut file, 0x2000);
    let GuestMemoryError::PartialBuffer { expected: 0x2000, completed: 0x1010 } =
        error.unwrap_err()
    else {
        panic!("another error")
    };
    // 20: what came is marked, and nothing else.
    assert_eq!(dirty_pages(&memory), [0x2000, 0x3000]);
}

#[test]
fn a_sink_that_is_full_tells_how_far_it_came() {
    // 10: /dev/full takes nothing and says so.
    let memory = memory();
    let mut full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let error = memory.write_all_volatile_to(GuestAddress(0x1000), &mut full, 0x10).unwrap_err();
    let GuestMemoryError::IOError(error) = error else { panic!("{error:?}") };
    assert_eq!(error.raw_os_error(), Some(libc::ENOSPC));
    assert!(dirty_pages(&memory).is_empty());
}

#[test]
fn a_mebibyte_is_one_system_call() {
    // 13
    const SIZE: usize = 1 << 20;
    let memory = GuestMemoryMmap::<()>::from_ranges(&[(GuestAddress(0x1000), SIZE)]).unwrap();
    let bytes = pattern(SIZE);
    let mut source = Counted::new(file_of(&bytes));
    let calls = system_calls_of(|| {
        assert_eq!(
            memory.read_volatile_from(GuestAddress(0x1000), &mut source, SIZE).unwrap(),
            SIZE
        );
    });
    assert_eq!(source.calls, [SIZE]);
    match calls {
        Some(calls) => assert_eq!(calls, (1, 0)),
        None => println!("skipped: the system does not count its calls"),
    }

    let mut sink = Counted::new(memfd(0));
    let calls = system_calls_of(|| {
        memory.write_all_volatile_to(GuestAddress(0x1000), &mut sink, SIZE).unwrap();
    });
    assert_eq!(sink.calls, [SIZE]);
    if let Some(calls) = calls {
        assert_eq!(calls, (0, 1));
    }
    let mut written = vec![0; SIZE];
    sink.stream.read_exact_at(&mut written, 0).unwrap();
    assert!(written == bytes);
}

#[test]
fn a_failed_read_marks_its_whole_target() {
    // 20: the kernel does not say what it wrote before it failed.
    let memory = memory();
    let mut write_only = OpenOptions::new().write(true).open("/dev/null").unwrap();
    let error = memory.read_volatile_from(GuestAddress(0x1ff8), &mut write_only, 0x10).unwrap_err();
    let GuestMemoryError::IOError(error) = error else { panic!("{error:?}") };
    assert_eq!(error.raw_os_error(), Some(libc::EBADF));
    assert_eq!(dirty_pages(&memory), [0x1000, 0x2000]);
}

#[test]
fn a_short_read_marks_what_came() {
    // 20: 0x10 bytes of 0x3000 at 0xff8 of the region.
    let memory = memory();
    let mut file = file_of(&pattern(0x10));
    let count = memory.read_volatile_from(GuestAddress(0x1ff8), &mut file, 0x3000).unwrap();
    assert_eq!(count, 8 + 8);
    assert_eq!(dirty_pages(&memory), [0x1000, 0x2000]);
}

#[test]
fn nothing_is_read_into_a_hole() {
    // 8
    let memory = memory();
    let mut file = Counted::new(file_of(&pattern(0x20)));
    assert_eq!(memory.read_volatile_from(GuestAddress(0x4ffb), &mut file, 0x20).unwrap(), 8);
    assert_eq!(file.stream.stream_position().unwrap(), 8);
    let error = memory.read_volatile_from(GuestAddress(0x5003), &mut file, 0x20).unwrap_err();
    assert!(matches!(error, GuestMemoryError::InvalidGuestAddress(GuestAddress(0x5003))));
    assert_eq!(file.calls, [8]);
}

#[test]
fn read_only_memory_takes_nothing_from_a_descriptor() {
    // 29
    let mapping = MmapRegionBuilder::<()>::new(0x1000)
        .with_mmap_prot(libc::PROT_READ)
        .with_file_offset(place(&memfd(0x1000), 0))
        .build()
        .unwrap();
    let region = GuestRegionMmap::new(mapping, GuestAddress(0)).unwrap();
    let memory = GuestMemoryMmap::from_regions(vec![region]).unwrap();
    let mut file = file_of(&pattern(0x10));
    assert!(memory.read_volatile_from(GuestAddress(0), &mut file, 0x10).is_err());
    assert_eq!(file.stream_position().unwrap(), 0);
    // It gives all the same.
    memory.write_all_volatile_to(GuestAddress(0), &mut memfd(0), 0x1000).unwrap();
}

#[test]
fn memory_reads_from_the_file_it_is_mapped_from() {
    // The kernel copies between the same pages; that is no reason to hang or fail.
    let file = file_of(&pattern(0x1_0000));
    let ranges = [(GuestAddress(0), 0x1_0000, Some(place(&file, 0)))];
    let memory = GuestMemoryMmap::<()>::from_ranges_with_files(ranges).unwrap();
    let mut source = file.try_clone().unwrap();
    memory.read_exact_volatile_from(GuestAddress(0x8000), &mut source, 0x1000).unwrap();
    let mut read = vec![0; 0x1000];
    memory.read_slice(&mut read, GuestAddress(0x8000)).unwrap();
    assert!(read == pattern(0x1000));
}
