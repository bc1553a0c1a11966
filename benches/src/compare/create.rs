//! Maps as things: made, and made of others.

use std::time::{Duration, Instant};

use crate::calls::map_and_unmap;
use crate::compare::contestant::Memory;
use crate::compare::contestants::{Facade, Ours, V016, V018};
use crate::compare::maps::{Plain, add_all};
use crate::compare::session::{Company, Session};
use crate::layout::Layout;

/// Maps and unmaps memory for all regions; no byte is accessed.
pub(crate) fn create(session: &Session) {
    for regions in [1, 512] {
        let layout = &Layout::dimms(regions);
        let Some(mut group) = session.group::<Company>("create", format!("n={regions}")) else {
            return;
        };
        group.add("raw", move |count| map_and_unmap(layout, count));
        group.add("0.16", move |count| make(count, || <V016<()>>::map(layout)));
        group.add("0.18", move |count| make(count, || <V018<()>>::map(layout)));
        group.add("ours", move |count| make(count, || <Ours<()>>::map(layout)));
        group.add("facade", move |count| make(count, || <Facade<()>>::map(layout)));
        group.add("scattered", move |count| make(count, || <Ours<()>>::scattered(layout)));
        group.add("span", move |count| make(count, || <Ours<()>>::in_span(layout)));
        group.run();
    }
}

fn make<M>(count: u64, map: impl Fn() -> M) -> Duration {
    let start = Instant::now();
    for _ in 0..count {
        drop(map());
    }
    start.elapsed()
}

/// A map with one region more than the one it is made of. The drop of the new one is not counted.
pub(crate) fn derive(session: &Session, maps: &Plain) {
    let case = format!("n={}", maps.layout.ranges().len());
    let Some(mut group) = session.group::<Company>("derive", case) else { return };
    add_all!(Company, group, maps, |memory| {
        let (rest, last) = memory.split_last();
        move |count| {
            let mut took = Duration::ZERO;
            for _ in 0..count {
                let start = Instant::now();
                let whole = rest.with(&last);
                took += start.elapsed();
                drop(whole);
            }
            took
        }
    });
    group.run();
}
