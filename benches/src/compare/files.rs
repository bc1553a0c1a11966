//! Streams over descriptors: one block of a disk, from a file in memory.

use std::fs::File;
use std::io::Seek as _;
use std::time::{Duration, Instant};

use crate::calls::{Buffer, memory_file};
use crate::compare::contestant::Memory;
use crate::compare::maps::{Plain, add_all, add_all_and_scattered};
use crate::compare::session::{Company, Session};

/// A block.
const BLOCK: usize = 4096;

/// How many blocks a file has.
const BLOCKS: u64 = 64;

/// What a raw call does with a buffer.
type Call<'m> = fn(Buffer<'m>, &File) -> isize;

/// All of them.
pub(crate) fn all(session: &Session, maps: &Plain) {
    let tables = [
        (maps.layout.addresses(BLOCK), "4KiB", false),
        (maps.layout.borders(BLOCK), "4KiB border", true),
    ];
    for (table, case, across) in tables {
        let table = maps.touched(table, BLOCK);
        let raw = maps.raw();
        let buffer = if across { Buffer::halves } else { Buffer::whole };
        let buffers: Vec<_> = table.iter().map(|addr| buffer(&raw, *addr, BLOCK)).collect();
        let [(read, read_call), (write, write_call)]: [(_, Call<'_>); 2] = if across {
            [("read_fd_across", Buffer::read_vectored), ("write_fd_across", Buffer::write_vectored)]
        } else {
            [("read_fd", Buffer::read), ("write_fd", Buffer::write)]
        };
        let file = || memory_file(BLOCK * BLOCKS as usize);
        if let Some(mut group) = session.group::<Company>(read, case) {
            group.add("raw", call(&buffers, read_call, file()));
            add_all_and_scattered!(Company, group, maps, |memory| {
                let (mut disk, table) = (file(), &table);
                move |count| {
                    stream(&mut disk, table, count, |disk, addr| {
                        memory.read_from(addr, disk, BLOCK);
                    })
                }
            });
            group.run();
        }
        if let Some(mut group) = session.group::<Company>(write, case) {
            group.add("raw", call(&buffers, write_call, file()));
            add_all_and_scattered!(Company, group, maps, |memory| {
                let (mut disk, table) = (file(), &table);
                move |count| {
                    stream(&mut disk, table, count, |disk, addr| {
                        memory.write_to(addr, disk, BLOCK);
                    })
                }
            });
            group.run();
        }
        if !across {
            positional(session, maps, &table, &buffers);
        }
    }
}

/// A system call for each buffer.
fn call<'a>(
    buffers: &'a [Buffer<'a>],
    call: Call<'a>,
    mut disk: File,
) -> impl FnMut(u64) -> Duration + 'a {
    move |count| {
        stream(&mut disk, buffers, count, |disk, buffer| {
            assert_eq!(call(buffer, disk), BLOCK.cast_signed(), "the file is long enough");
        })
    }
}

/// Blocks from anywhere in the file. Who has no call for it seeks first.
fn positional(session: &Session, maps: &Plain, table: &[u64], buffers: &[Buffer<'_>]) {
    let Some(mut group) = session.group::<Company>("read_fd_at", "4KiB") else { return };
    let file = || memory_file(BLOCK * BLOCKS as usize);
    let disk = file();
    group.add("raw", move |count| {
        offsets(buffers, count, |buffer, offset| {
            let read = buffer.read_at(&disk, offset.cast_signed());
            assert_eq!(read, BLOCK.cast_signed(), "the file is long enough");
        })
    });
    add_all!(Company, group, maps, |memory| {
        let mut disk = file();
        move |count| {
            offsets(table, count, |addr, offset| {
                memory.read_from_at(addr, &mut disk, offset, BLOCK);
            })
        }
    });
    group.run();
}

/// Does so many operations, which take one block after the other, from the start when all have been taken.
fn stream<T: Copy>(
    disk: &mut File,
    table: &[T],
    count: u64,
    mut operation: impl FnMut(&mut File, T),
) -> Duration {
    disk.rewind().expect("it is a file");
    let mut left = BLOCKS;
    let start = Instant::now();
    for (_, item) in (0..count).zip(table.iter().cycle()) {
        if left == 0 {
            disk.rewind().expect("it is a file");
            left = BLOCKS;
        }
        operation(disk, *item);
        left -= 1;
    }
    start.elapsed()
}

/// Does so many operations, each on a block far from the one before.
fn offsets<T: Copy>(table: &[T], count: u64, mut operation: impl FnMut(T, u64)) -> Duration {
    let start = Instant::now();
    for (turn, item) in (0..count).zip(table.iter().cycle()) {
        operation(*item, turn * 37 % BLOCKS * BLOCK as u64);
    }
    start.elapsed()
}
