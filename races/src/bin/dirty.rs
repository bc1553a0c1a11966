//! Who has taken the mark of a page sees the bytes that were written before it was marked.
//!
//! Writers write each page once, and harvesters read the pages that their harvests name; some harvests fail, and others find their
//! marks. With marks that lock, marks that look first, and a bitmap that is switched on while writers wait for it. Planted:
//! pages are marked before they are written.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use guest_dirty::{AtomicBitmap, SwitchedBitmap};
use guest_memory_races::{beside, for_a_while, is_planted};
use guest_volatile::{Bitmap, VolatileSlice};

const PAGE: NonZeroUsize = NonZeroUsize::new(16).expect("16 is not 0");
/// As many as have more than one word of the bitmap.
const PAGES: usize = 300;
const BYTES: usize = PAGES * PAGE.get();
const WRITERS: usize = 2;
/// What is written to a page.
const WRITTEN: [u64; 2] = [1, 2];

/// What the writers and harvesters of a round share.
struct Round<'a, B> {
    memory: VolatileSlice<'a>,
    /// What is marked.
    marks: &'a B,
    /// What is harvested: the same, or a part of it.
    bitmap: &'a AtomicBitmap,
    harvested: AtomicUsize,
}

impl<'a, B: Bitmap> Round<'a, B> {
    fn new(memory: VolatileSlice<'a>, marks: &'a B, bitmap: &'a AtomicBitmap) -> Self {
        Self { memory, marks, bitmap, harvested: AtomicUsize::new(0) }
    }

    /// Writes every page that is this writer's, once.
    fn write(&self, writer: usize) {
        let memory = self.memory.clone().also_marking(self.marks.slice_at(0));
        for page in (writer..PAGES).step_by(WRITERS) {
            let at = page * PAGE.get();
            if is_planted() {
                self.marks.mark_dirty(at, PAGE.get());
                self.memory.write_obj(WRITTEN, at).expect("it is there");
            } else {
                memory.write_obj(WRITTEN, at).expect("it is there");
            }
        }
    }

    /// Harvests until every page was. Every third harvest fails.
    fn harvest(&self) {
        let mut number = 0;
        while self.harvested.load(Ordering::Relaxed) < PAGES {
            number += 1;
            let harvest = self.bitmap.take().expect("the fence holds");
            if number % 3 == 0 {
                drop(harvest);
                continue;
            }
            for page in harvest.pages() {
                let at = page * PAGE.get();
                let read = self.memory.read_obj::<[u64; 2]>(at).expect("it is there");
                assert!(is_planted() || read == WRITTEN, "page {page} is not there yet");
            }
            self.harvested.fetch_add(harvest.count(), Ordering::Relaxed);
            harvest.commit();
        }
    }

    /// Lets all of them run once they have waited for `ready`; `begin` is what makes it so.
    fn run(&self, begin: impl FnOnce(), ready: impl Fn() -> bool + Sync)
    where
        B: Sync,
    {
        let wait = || {
            while !ready() {
                thread::yield_now();
            }
        };
        let wait = &wait;
        let writer = |number| {
            Box::new(move |_: &AtomicBool| {
                wait();
                self.write(number);
            })
        };
        let harvester = Box::new(move |_: &AtomicBool| {
            wait();
            self.harvest();
        });
        let main = || {
            begin();
            self.harvest();
        };
        beside(main, vec![writer(0), writer(1), harvester]);
    }
}

fn main() {
    for_a_while(|_| {
        for new in [AtomicBitmap::new_strict, AtomicBitmap::new] {
            let (mut ram, bitmap) = ([0; BYTES], new(BYTES, PAGE));
            let memory = VolatileSlice::from(&mut ram[..]);
            Round::new(memory, &bitmap, &bitmap).run(|| {}, || true);
        }
        let (mut ram, bitmap) = ([0; BYTES], SwitchedBitmap::new(BYTES, PAGE));
        let memory = VolatileSlice::from(&mut ram[..]);
        let begin = || bitmap.start().expect("the fence holds");
        Round::new(memory, &bitmap, bitmap.bitmap()).run(begin, || bitmap.is_on());
    });
}
