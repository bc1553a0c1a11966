//! Writes that are recorded.

use std::hint::black_box;

use crate::company::beside;
use crate::compare::contestant::Memory;
use crate::compare::maps::{Plain, Recorded, add_all};
use crate::compare::session::{Session, Setting};
use crate::raw::{Copies, Place};
use crate::timing::each;

/// All of them. The pages are dirty already, since every address was written before.
pub(crate) fn all<S: Setting>(session: &Session, plain: &Plain, maps: &Recorded) {
    objects::<S>(session, plain, maps);
    pages::<S>(session, maps);
    same_page::<S>(session, maps);
}

/// Beside a write that nobody records, through the same crate.
fn objects<S: Setting>(session: &Session, plain: &Plain, maps: &Recorded) {
    if !session.wants("write_obj_recorded") {
        return;
    }
    let raw = maps.raw();
    let value = black_box(1_u64);
    for (name, table) in maps.tables(size_of::<u64>()) {
        plain.touched(table.clone(), size_of::<u64>());
        let places: Vec<_> = table.iter().map(|addr| Place::<u64>::at(&raw, *addr)).collect();
        let case = format!("u64 n=4 {name}");
        let Some(mut group) = session.group::<S>("write_obj_recorded", case) else { return };
        group.add("raw", |count| {
            each(&places, count, |place| {
                place.write(value);
                0
            })
        });
        group.add("plain", |count| {
            each(&table, count, |addr| {
                plain.ours.write(value, addr);
                0
            })
        });
        add_all!(S, group, maps, |memory| {
            table.iter().for_each(|addr| memory.write(value, *addr));
            |count| {
                each(&table, count, |addr| {
                    memory.write(value, addr);
                    0
                })
            }
        });
        group.run();
    }
}

fn pages<S: Setting>(session: &Session, maps: &Recorded) {
    const SIZE: usize = 4096;
    if !session.wants("write_slice_recorded") {
        return;
    }
    let raw = maps.raw();
    let buffer = black_box(vec![1; SIZE]);
    for (name, table) in maps.tables(SIZE) {
        let case = format!("4KiB n=4 {name}");
        let Some(mut group) = session.group::<S>("write_slice_recorded", case) else { return };
        let mut copies = Copies::at(&raw, &table, SIZE);
        group.add("raw", move |count| copies.write(count));
        add_all!(S, group, maps, |memory| {
            table.iter().for_each(|addr| memory.write_slice(&buffer, *addr));
            |count| {
                each(&table, count, |addr| {
                    memory.write_slice(&buffer, addr);
                    black_box(addr);
                    0
                })
            }
        });
        group.run();
    }
}

/// Two threads write different lines of one page.
fn same_page<S: Setting>(session: &Session, maps: &Recorded) {
    let page = maps.layout.ranges()[0].0;
    let table = [page + 2048; 1024];
    let value = black_box(1_u64);
    let raw = maps.raw();
    let places: Vec<_> = table.iter().map(|addr| Place::<u64>::at(&raw, *addr)).collect();
    let Some(mut group) = session.group::<S>("write_same_page", "u64 2-threads") else { return };
    // A thread starts and ends in each sample.
    group.longer(8);
    group.add("raw", |count| {
        each(&places, count, |place| {
            place.write(value);
            0
        })
    });
    add_all!(S, group, maps, |memory| |count| {
        beside(
            || memory.write(value, page),
            || {
                each(&table, count, |addr| {
                    memory.write(value, addr);
                    0
                })
            },
        )
    });
    group.run();
}
