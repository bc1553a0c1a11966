//! A device copies, all the while another process makes the file behind its memory shorter and longer.

#![cfg(all(
    feature = "fault",
    any(target_arch = "x86_64", target_arch = "aarch64"),
    target_pointer_width = "64",
    target_os = "linux",
    not(guest_volatile_portable)
))]

mod common;

use std::fs::File;
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;

use guest_dirty::AtomicBitmap;
use guest_memory::{
    Bytes, GuestAddress, GuestCursor, GuestMemory, GuestMemoryError as E, GuestMemoryRegion,
    Permissions, WholeBytes, WindowError, WindowMemory,
};
use guest_mmap::{GuestMemoryMmap, fault};
use guest_volatile::Bitmap;

const PAGE: u64 = 0x1000;
/// Of the file, and so of each of its two regions half of it.
const PAGES: u64 = 16;
const START: u64 = 0x10_0000;
/// Not a byte that anybody writes.
const BACKGROUND: u8 = 0xee;
const PATTERN: u8 = 0x5a;

/// How long the file stays as it is: as long as some accesses take, at least.
const SOME_ACCESSES: Duration = Duration::from_micros(20);

/// The file's two halves, beside each other in the guest.
fn map(file: &File) -> GuestMemoryMmap<AtomicBitmap> {
    let half = PAGES / 2 * PAGE;
    GuestMemoryMmap::from_ranges_with_files([
        (GuestAddress(START), half as usize, Some(common::place(file, 0))),
        (GuestAddress(START + half), half as usize, Some(common::place(file, half))),
    ])
    .expect("two regions of a file that has them")
}

/// A few numbers that do not repeat soon.
struct Random(u64);

impl Random {
    /// One below `end`.
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// The pages of the file that are marked.
fn marked(memory: &GuestMemoryMmap<AtomicBitmap>) -> Vec<u64> {
    let is_marked = |page: &u64| {
        let (region, inside) =
            memory.to_region_addr(GuestAddress(START + page * PAGE)).expect("a page of it");
        region.bitmap().dirty_at(inside.0 as usize)
    };
    let pages = (0..PAGES).filter(is_marked).collect();
    for region in memory.iter() {
        region.get_mmap().bitmap().reset();
    }
    pages
}

/// The pages that `count` bytes from `addr` on lie in.
fn pages_of(addr: GuestAddress, count: usize) -> Vec<u64> {
    if count == 0 {
        return Vec::new();
    }
    let first = (addr.0 - START) / PAGE;
    let last = (addr.0 - START + count as u64 - 1) / PAGE;
    (first..=last).collect()
}

/// The pages of the bytes that were written are marked, and none beside the access. (Begun again after a fault it may come less far than
/// before, and what it wrote then is marked, too.)
#[track_caller]
fn assert_marked(
    memory: &GuestMemoryMmap<AtomicBitmap>,
    addr: GuestAddress,
    done: usize,
    len: usize,
) {
    let (marked, all) = (marked(memory), pages_of(addr, len));
    assert!(pages_of(addr, done).iter().all(|page| marked.contains(page)), "{addr} {done}");
    assert!(marked.iter().all(|page| all.contains(page)), "{addr} {len}");
}

/// How many bytes an access of `len` bytes at `addr` moved. A fault may be anywhere: a page may go when half of it is done.
#[track_caller]
fn moved<T>(result: Result<T, E>, addr: GuestAddress, len: usize, faults: &mut u64) -> usize {
    let (at, completed) = match result {
        Ok(_) => return len,
        Err(E::ReadFaulted { addr, completed } | E::WriteFaulted { addr, completed }) => {
            (addr, completed)
        }
        Err(error) => panic!("{error}"),
    };
    *faults += 1;
    assert!(completed < len, "{completed} of {len}");
    assert_eq!(at.0, addr.0 + completed as u64);
    completed
}

/// What a page may show that is there, or was away in between.
fn is_of_the_file(byte: u8) -> bool {
    byte == PATTERN || byte == 0
}

/// One access of each kind, at places that `random` says; how many of them faulted.
fn accesses(memory: &GuestMemoryMmap<AtomicBitmap>, random: &mut Random) -> u64 {
    let mut faults = 0;
    let most = [64, 300, 5000, 3 * PAGE][random.below(4) as usize];
    let len = 1 + random.below(most) as usize;
    let addr = GuestAddress(START + random.below(PAGES * PAGE - len as u64));

    let mut buf = vec![BACKGROUND; len];
    let done = moved(memory.read_slice(&mut buf, addr), addr, len, &mut faults);
    assert!(buf[..done].iter().all(|&byte| is_of_the_file(byte)), "{addr} {len} {done}");
    assert!(marked(memory).is_empty());

    let done = moved(memory.write_slice(&vec![PATTERN; len], addr), addr, len, &mut faults);
    assert_marked(memory, addr, done, len);

    let source = vec![PATTERN; len];
    let result = memory.read_exact_volatile_from(addr, &mut &source[..], len);
    let done = moved(result, addr, len, &mut faults);
    assert_marked(memory, addr, done, len);

    let mut sink = Vec::new();
    let result = memory.write_all_volatile_to(addr, &mut sink, len);
    assert_eq!(moved(result, addr, len, &mut faults), sink.len());
    assert!(sink.iter().all(|&byte| is_of_the_file(byte)));

    let word = GuestAddress(addr.0 & !7);
    let result = memory.read_obj::<u64>(word);
    assert!(
        result.as_ref().map_or(true, |word| word.to_ne_bytes().into_iter().all(is_of_the_file))
    );
    moved(result, word, 8, &mut faults);
    moved(memory.load::<u32>(word, Ordering::Acquire), word, 4, &mut faults);
    let value = 0x5a5a_5a5a_5a5a_5a5a_u64;
    let done = moved(memory.store(value, word, Ordering::SeqCst), word, 8, &mut faults);
    assert_marked(memory, word, done, 8);
    let done = moved(memory.fetch_or(value, word, Ordering::AcqRel), word, 8, &mut faults);
    assert_marked(memory, word, done, 8);

    let mut cursor = GuestCursor::new(memory);
    for _ in 0..2 {
        let done = moved(cursor.write_obj([PATTERN; 24], word), word, 24, &mut faults);
        assert_marked(memory, word, done, 24);
        moved(cursor.read_obj::<[u8; 24]>(word), word, 24, &mut faults);
    }
    let window = memory.window(word, 8, Permissions::ReadWrite).expect("it is mapped");
    for result in [window.write_obj(value, 0), window.read_obj::<u64>(0).map(drop)] {
        assert!(matches!(result, Ok(()) | Err(WindowError::Faulted)), "{result:?}");
    }
    marked(memory);
    faults
}

/// The command that runs this program again: by an emulator, if cargo was told of one for a target that the machine cannot run itself.
fn this_program() -> Command {
    let program = std::env::current_exe().expect("this test");
    let told = std::env::var("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER").unwrap_or_default();
    let mut words = told.split_whitespace();
    match words.next() {
        Some(emulator) if cfg!(target_arch = "aarch64") => {
            let mut command = Command::new(emulator);
            command.args(words).arg(program);
            command
        }
        _ => Command::new(program),
    }
}

/// The other process: that many rounds, after which the file is at its shortest.
fn other_process(file: &File, rounds: u32) -> Child {
    let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
    this_program()
        .args(["--exact", "the_other_process", "--nocapture"])
        .env("GUEST_MMAP_TRUNCATED_FILE", path)
        .env("GUEST_MMAP_TRUNCATIONS", rounds.to_string())
        .stdout(Stdio::null())
        .spawn()
        .expect("it runs")
}

/// Not a test of its own: what the tests run in another process.
#[test]
fn the_other_process() {
    let Ok(path) = std::env::var("GUEST_MMAP_TRUNCATED_FILE") else { return };
    let rounds = std::env::var("GUEST_MMAP_TRUNCATIONS").expect("it is set, too");
    let file = File::options().read(true).write(true).open(path).expect("the parent's file");
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..rounds.parse::<u32>().expect("a number") {
        file.set_len(PAGES * PAGE).expect("it may be longer");
        std::thread::sleep(SOME_ACCESSES);
        file.set_len(random.below(PAGES) * PAGE).expect("it may be shorter");
        std::thread::sleep(SOME_ACCESSES);
    }
    file.set_len(0).expect("it may be shorter");
}

#[test]
fn a_device_outlives_any_number_of_truncations_with_every_count_right() {
    let rounds = std::env::var("GUEST_MEMORY_TRUNCATIONS")
        .map_or(10_000, |rounds| rounds.parse().expect("a number of rounds"));
    fault::install().expect("it is supported here");
    let file = common::memfd(PAGES * PAGE);
    let memory = map(&file);
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let mut other = other_process(&file, rounds);
    let (mut passes, mut faults) = (0_u64, 0);
    let status = loop {
        faults += accesses(&memory, &mut random);
        passes += 1;
        if passes.is_multiple_of(64)
            && let Some(status) = other.try_wait().expect("it is a child")
        {
            break status;
        }
    };
    assert!(status.success());
    // Now there is nothing left.
    let at_the_end = accesses(&memory, &mut random);
    assert!(at_the_end >= 4, "{at_the_end}");
    println!("{rounds} rounds: {passes} passes, {faults} faults");
}

/// An access of two regions, of which the second is out of reach.
#[test]
fn an_access_of_two_regions_counts_from_its_start() {
    fault::install().expect("it is supported here");
    let file = common::memfd(PAGES * PAGE);
    let memory = map(&file);
    let border = START + PAGES / 2 * PAGE;
    let addr = GuestAddress(border - 100);
    file.set_len(PAGES / 2 * PAGE).expect("it may be shorter");
    let mut buf = [0; 300];
    let is_read =
        |result| matches!(result, Err(E::ReadFaulted { addr, completed: 100 }) if addr.0 == border);
    let is_written = |result| matches!(result, Err(E::WriteFaulted { addr, completed: 100 }) if addr.0 == border);
    assert!(is_read(memory.read_slice(&mut buf, addr)));
    assert_eq!(memory.read(&mut buf, addr).expect("100 of them"), 100);
    assert!(is_read(memory.read_obj::<[u8; 200]>(addr).map(drop)));
    assert!(is_written(memory.write_slice(&buf, addr)));
    assert_eq!(memory.write(&buf, addr).expect("100 of them"), 100);
    assert!(is_written(memory.write_obj([1_u8; 200], addr)));
    assert!(is_written(memory.write_whole(&buf, addr)));
    assert!(is_written(memory.read_exact_volatile_from(addr, &mut &buf[..], 300)));
    assert!(is_read(memory.write_all_volatile_to(addr, &mut Vec::new(), 300)));
    // Both that were to be written, since nobody knows how far it came the first time.
    assert_eq!(marked(&memory), [PAGES / 2 - 1, PAGES / 2]);

    let zeroes = common::memfd(0x1000);
    assert!(is_written(memory.read_exact_volatile_from(addr, &mut &zeroes, 300)));
    assert!(is_read(memory.write_all_volatile_to(addr, &mut &zeroes, 300)));
    let region = memory.find_region(GuestAddress(border)).expect("it is there");
    let inside = guest_memory::MemoryRegionAddress(0x20);
    let result = region.read_obj::<u64>(inside);
    assert!(
        matches!(result, Err(E::ReadFaulted { addr, completed: 0 }) if addr.0 == border + 0x20),
        "{result:?}"
    );
    let result = memory.fetch_add(1_u16, GuestAddress(border + 2), Ordering::SeqCst);
    assert!(
        matches!(result, Err(E::WriteFaulted { addr, completed: 0 }) if addr.0 == border + 2),
        "{result:?}"
    );
}
