//! Windows on memory with a page out of reach.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use guest_volatile::{BS, Bitmap, OwnedWindow, SliceOf, VolatileSlice, WindowError};

use crate::common::Log;
use crate::memory::{BOTH, PAGE, Pages};

struct Region {
    pages: Pages,
    log: Log,
}

struct All;

impl SliceOf<Region> for All {
    type B = Log;

    fn slice(owner: &Region) -> Option<VolatileSlice<'_, BS<'_, Log>>> {
        Some(owner.log.watch(owner.pages.slice()))
    }

    fn bitmap(owner: &Region) -> BS<'_, Log> {
        owner.log.slice_at(0)
    }
}

const START: usize = PAGE - 100;

#[test]
fn every_access_says_that_it_faulted_and_marks_what_it_may_have_written() {
    for why in BOTH {
        let region = Arc::new(Region { pages: Pages::new(why), log: Log::default() });
        let window = OwnedWindow::<_, All>::new(Arc::clone(&region), START, 300).unwrap();
        let faulted = Err(WindowError::Faulted);
        assert_eq!(window.write_slice(&[1; 100], 0), Ok(()));
        assert_eq!(region.log.take(), [(START, 100)]);
        assert_eq!(window.write_slice(&[2; 200], 10), faulted);
        assert_eq!(region.log.take(), [(START + 10, 200)]);
        assert_eq!(window.write_obj([3_u8; 40], 95), faulted);
        assert_eq!(region.log.take(), [(START + 95, 40)]);
        let mut buf = [0; 200];
        assert_eq!(window.read_slice(&mut buf, 10), faulted);
        assert_eq!(buf[..85], [2; 85]);
        assert_eq!(buf[85..90], [3; 5]);
        assert_eq!(buf[90..], [0; 110]);
        assert_eq!(window.read_obj::<u64>(99).err(), Some(WindowError::Faulted));
        assert_eq!(window.read_obj::<[u8; 200]>(0).err(), Some(WindowError::Faulted));
        assert_eq!(window.write_obj(7_u32, 100), faulted);
        assert_eq!(region.log.take(), [(START + 100, 4)]);
        assert_eq!(window.store(7_u32, 100, Relaxed), faulted);
        assert_eq!(window.store(7_u32, 100, SeqCst), faulted);
        assert_eq!(window.load::<u32>(100, SeqCst).err(), Some(WindowError::Faulted));
        assert_eq!(window.fetch_add(1_u16, 100, SeqCst).err(), Some(WindowError::Faulted));
        let result = window.compare_exchange(0_u8, 1, 100, SeqCst, SeqCst);
        assert_eq!(result.err(), Some(WindowError::Faulted));
        assert_eq!(region.log.take(), []);
    }
}
