//! Where an address lies, without access.

use crate::compare::contestant::Memory;
use crate::compare::maps::{Plain, add_all};
use crate::compare::objects::case;
use crate::compare::session::{Session, Setting};
use crate::raw::Place;
use crate::timing::each;

/// The rows of this room.
const ROWS: [&str; 3] = ["find_region", "get_slice", "check_range"];

/// The length of the ranges that are asked for.
const LEN: usize = 64;

/// All of them. The raw contestant reads a byte, to tell how fast the machine is.
pub(crate) fn all<S: Setting>(session: &Session, maps: &Plain) {
    for row in ROWS {
        one::<S>(session, maps, row);
    }
}

/// The operation of one row.
pub(crate) fn one<S: Setting>(session: &Session, maps: &Plain, row: &'static str) {
    if !session.wants(row) {
        return;
    }
    let raw = maps.raw();
    for (name, table) in maps.tables(LEN) {
        let places: Vec<_> = table.iter().map(|addr| Place::<u8>::at(&raw, *addr)).collect();
        let Some(mut group) = session.group::<S>(row, case(maps, "64B", name)) else { return };
        group.add("raw", |count| each(&places, count, |place| place.read().into()));
        match row {
            "find_region" => add_all!(S, group, maps, |memory| |count| {
                each(&table, count, |addr| memory.find(addr))
            }),
            "get_slice" => add_all!(S, group, maps, |memory| |count| {
                each(&table, count, |addr| memory.slice(addr, LEN))
            }),
            _ => add_all!(S, group, maps, |memory| |count| {
                each(&table, count, |addr| memory.check(addr, LEN).into())
            }),
        }
        group.run();
    }
}
