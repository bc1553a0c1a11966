//! Runs of bytes, whose length the compiler does not know.

use std::hint::black_box;
use std::time::Duration;

use crate::compare::contestant::Memory;
use crate::compare::maps::{Plain, add_all, add_all_and_scattered};
use crate::compare::objects::case;
use crate::compare::session::{Session, Setting};
use crate::raw::{Copies, Halves};
use crate::timing::each;

const SIZES: [(&str, usize); 8] = [
    ("16B", 16),
    ("64B", 64),
    ("128B", 128),
    ("256B", 256),
    ("512B", 512),
    ("4KiB", 4 << 10),
    ("64KiB", 64 << 10),
    ("1MiB", 1 << 20),
];

const ACROSS: [(&str, usize); 3] = [("16B", 16), ("64B", 64), ("256B", 256)];

/// All of them.
pub(crate) fn all<S: Setting>(session: &Session, maps: &Plain) {
    for (name, size) in SIZES {
        reads::<S>(session, maps, name, size);
        writes::<S>(session, maps, name, size);
    }
    for (name, size) in ACROSS {
        across::<S>(session, maps, name, size);
    }
}

pub(crate) fn reads<S: Setting>(session: &Session, maps: &Plain, size_name: &str, size: usize) {
    if !session.wants("read_slice") {
        return;
    }
    let raw = maps.raw();
    let size = black_box(size);
    for (name, table) in maps.tables(size) {
        let case = case(maps, size_name, name);
        let Some(mut group) = session.group::<S>("read_slice", case) else { return };
        let mut copies = Copies::at(&raw, &table, size);
        group.add("raw", move |count| copies.read(count));
        add_all!(S, group, maps, |memory| reading(memory, &table, size));
        group.run();
    }
}

fn writes<S: Setting>(session: &Session, maps: &Plain, size_name: &str, size: usize) {
    if !session.wants("write_slice") {
        return;
    }
    let raw = maps.raw();
    let buffer = black_box(vec![1; size]);
    for (name, table) in maps.tables(size) {
        let case = case(maps, size_name, name);
        let Some(mut group) = session.group::<S>("write_slice", case) else { return };
        let mut copies = Copies::at(&raw, &table, size);
        group.add("raw", move |count| copies.write(count));
        add_all!(S, group, maps, |memory| |count| {
            each(&table, count, |addr| {
                memory.write_slice(&buffer, addr);
                black_box(addr);
                0
            })
        });
        group.run();
    }
}

/// A half from one region, a half from the next.
fn across<S: Setting>(session: &Session, maps: &Plain, size_name: &str, size: usize) {
    if !session.wants("read_across") {
        return;
    }
    let raw = maps.raw();
    let table = maps.touched(maps.layout.borders(size), size);
    let case = case(maps, size_name, "border");
    let Some(mut group) = session.group::<S>("read_across", case) else { return };
    let mut halves = Halves::at(&raw, &table, size);
    group.add("raw", move |count| halves.read(count));
    add_all_and_scattered!(S, group, maps, |memory| reading(memory, &table, size));
    group.run();
}

/// Reads `size` bytes at each address of the table.
fn reading<'a, M: Memory>(
    memory: &'a M,
    table: &'a [u64],
    size: usize,
) -> impl FnMut(u64) -> Duration + 'a {
    let mut buffer = vec![0; size];
    move |count| {
        each(table, count, |addr| {
            memory.read_slice(&mut buffer, addr);
            black_box(buffer.as_ptr());
            0
        })
    }
}
