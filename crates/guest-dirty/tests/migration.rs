//! Whole migrations of memory that is written meanwhile, by the slices that devices use: the copy is the memory.

#![expect(unsafe_code, reason = "makes slices of memory with a dirty bitmap")]

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use guest_dirty::{AtomicBitmap, HarvestBuffer, RefSlice, SwitchedBitmap};
use guest_volatile::{Bitmap, BitmapSlice, VolatileSlice};

/// Pages of some words of the bitmap, and two words of its summary.
const PAGES: usize = 5000;
const PAGE_SIZE: usize = 64;
const SIZE: usize = PAGES * PAGE_SIZE;
const TIME: Duration = Duration::from_millis(300);

/// How long it goes on: as many times longer as `STRESS` says.
fn time() -> Duration {
    let times = std::env::var("STRESS").ok().and_then(|times| times.parse().ok());
    TIME * times.unwrap_or(1)
}

/// Numbers that look random (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % end
    }
}

/// Writes in all the sizes that devices write, most of them to a few pages, until it is stopped.
fn write<B: BitmapSlice>(
    ram: &VolatileSlice<'_, B>,
    mut numbers: Numbers,
    stopped: &AtomicBool,
) -> u64 {
    let mut count = 0_u64;
    let mut data = [0_u8; 20 * PAGE_SIZE];
    while !stopped.load(Ordering::Relaxed) {
        count += 1;
        let page = if numbers.below(4) == 0 { numbers.below(PAGES) } else { numbers.below(3) };
        let offset = page * PAGE_SIZE + numbers.below(PAGE_SIZE);
        let written = match numbers.below(64) {
            0 => {
                data.fill(count.to_le_bytes()[0]);
                ram.write(&data[..1 + numbers.below(data.len())], offset).map(drop)
            }
            1 => ram.write_slice(&count.to_le_bytes()[..3], offset),
            2 => ram.store(count, offset & !7, Ordering::Release),
            _ => ram.write_obj(count, offset & !7),
        };
        // What does not fit was written as far as it did.
        let _partly = written.is_err();
    }
    count
}

/// Memory, and what was copied of it.
struct Ram {
    bytes: Vec<u64>,
    copy: Vec<u8>,
}

impl Ram {
    /// Copies all of the memory after `start`, then what `bitmap` names, while two writers mark in views of `marks`; in the end
    /// both are the same.
    fn migrate<'a, B: Bitmap>(&mut self, marks: &'a B, bitmap: &AtomicBitmap, start: impl FnOnce())
    where
        RefSlice<'a, B>: BitmapSlice + Send + Sync,
    {
        let addr = self.bytes.as_mut_ptr().cast();
        // SAFETY: the bytes are an exclusive borrow, which is used by nobody else as long as the
        // slice lives, and the bitmap starts where they do.
        let ram = unsafe { VolatileSlice::with_bitmap(addr, SIZE, RefSlice::new(marks, 0), None) };
        let (stopped, writes) = (AtomicBool::new(false), AtomicU64::new(0));
        let copy = &mut self.copy;
        let mut buffer = HarvestBuffer::default();
        let mut round = |copy: &mut Vec<u8>| {
            let harvest = bitmap.take_with(core::mem::take(&mut buffer)).expect("the fence holds");
            for run in harvest.runs() {
                ram.read_slice(&mut copy[run.clone()], run.start).expect("it is memory");
            }
            let count = harvest.count();
            buffer = harvest.commit_into_buffer();
            count
        };
        thread::scope(|scope| {
            for seed in 1..3 {
                let (ram, stopped, writes) = (&ram, &stopped, &writes);
                scope.spawn(move || {
                    writes.fetch_add(write(ram, Numbers(seed), stopped), Ordering::Relaxed);
                });
            }
            thread::sleep(TIME / 10);
            start();
            ram.read_slice(copy, 0).expect("it is memory");
            let deadline = Instant::now() + time();
            while Instant::now() < deadline {
                round(copy);
            }
            stopped.store(true, Ordering::Relaxed);
        });
        round(copy);
        assert_eq!(round(copy), 0);
        let mut last = vec![0; SIZE];
        ram.read_slice(&mut last, 0).expect("it is memory");
        let lost = (0..PAGES).filter(|page| {
            last[page * PAGE_SIZE..][..PAGE_SIZE] != copy[page * PAGE_SIZE..][..PAGE_SIZE]
        });
        assert_eq!(lost.count(), 0, "pages of {} writes", writes.load(Ordering::Relaxed));
    }

    fn new() -> Self {
        Self { bytes: vec![0; SIZE / 8], copy: vec![0; SIZE] }
    }
}

fn page_size() -> NonZeroUsize {
    NonZeroUsize::new(PAGE_SIZE).expect("64 is not 0")
}

#[test]
fn a_migration_by_a_bitmap_is_the_memory() {
    for new in [AtomicBitmap::new, AtomicBitmap::new_strict] {
        let bitmap = new(SIZE, page_size());
        // What was written before is in the first copy.
        Ram::new().migrate(&bitmap, &bitmap, || bitmap.reset());
    }
}

#[test]
fn a_migration_by_a_switch_is_the_memory_again_and_again() {
    for new in [AtomicBitmap::new, AtomicBitmap::new_strict] {
        let switch = SwitchedBitmap::from(new(SIZE, page_size()));
        let mut ram = Ram::new();
        for _ in 0..3 {
            ram.migrate(&switch, switch.bitmap(), || switch.start().expect("the fence holds"));
            switch.stop();
        }
    }
}
