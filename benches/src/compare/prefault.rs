//! Memory whose pages are there before it is used.

use std::time::{Duration, Instant};

use guest_mmap::{MmapRegionBuilder, Wish};

use crate::calls::map_and_advise;
use crate::compare::session::{Company, Session};

/// A quarter of the target's GiB: all of it takes a second a sample on some machines, and no other path.
const SIZE: usize = 256 << 20;

/// In small pages and in huge ones, beside the system calls alone. To unmap is not counted.
pub(crate) fn all(session: &Session) {
    if let Some(mut group) = session.group::<Company>("prefault", "small 256MiB") {
        group.add("raw", |count| map_and_advise(SIZE, &[libc::MADV_POPULATE_WRITE], count));
        group.add("ours", |count| map(count, MmapRegionBuilder::with_prefault));
        group.run();
    }
    if let Some(mut group) = session.group::<Company>("prefault", "huge 256MiB") {
        let advices = [libc::MADV_HUGEPAGE, libc::MADV_POPULATE_WRITE];
        group.add("raw", move |count| map_and_advise(SIZE, &advices, count));
        group.add("ours", |count| {
            map(count, |builder| builder.with_transparent_huge_pages().with_prefault())
        });
        group.run();
    }
}

fn map(count: u64, wish: fn(MmapRegionBuilder) -> MmapRegionBuilder) -> Duration {
    let mut took = Duration::ZERO;
    for _ in 0..count {
        let start = Instant::now();
        let region = wish(MmapRegionBuilder::new(SIZE)).build().expect("there is memory");
        took += start.elapsed();
        assert_eq!(region.placement().prefault, Wish::Granted, "the system can do it");
    }
    took
}
