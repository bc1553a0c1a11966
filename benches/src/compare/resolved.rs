//! Accesses whose place was looked up before: by a cursor that remembers the region, by a window on a range.

use std::sync::atomic::Ordering;

use guest_memory::{GuestAddress, GuestCursor, GuestWindow, Permissions, WindowMemory as _};
use guest_mmap::{GuestMemoryMmap, GuestRegionMmap};

use crate::compare::contestant::Object;
use crate::compare::session::Group;
use crate::timing::each;

/// A window on all addresses of a table, with their offsets in it; `None` if they do not lie in one region.
fn window(
    memory: &GuestMemoryMmap,
    table: &[u64],
    size: usize,
) -> Option<(GuestWindow<GuestRegionMmap>, Vec<usize>)> {
    let (first, last) = (*table.iter().min()?, *table.iter().max()?);
    let len = (last - first) as usize + size;
    let window = memory.window(GuestAddress(first), len, Permissions::ReadWrite).ok()?;
    Some((window, table.iter().map(|addr| (addr - first) as usize).collect()))
}

/// Adds reads through a cursor, and through a window where one holds all addresses.
pub(crate) fn add_reads<'a, T: Object>(
    group: &mut Group<'a>,
    memory: &'a GuestMemoryMmap,
    table: &'a [u64],
    digest: impl Fn(T) -> u64 + Copy + 'a,
) {
    group.add("cursor", move |count| {
        let mut cursor = GuestCursor::new(memory);
        each(table, count, |addr| {
            digest(cursor.read_obj::<T>(GuestAddress(addr)).expect("memory is there"))
        })
    });
    if let Some((window, offsets)) = window(memory, table, size_of::<T>()) {
        group.add("window", move |count| {
            each(&offsets, count, |offset| {
                digest(window.read_obj::<T>(offset).expect("it is in the window"))
            })
        });
    }
}

/// Adds writes, likewise.
pub(crate) fn add_writes<'a, T: Object + 'a>(
    group: &mut Group<'a>,
    memory: &'a GuestMemoryMmap,
    table: &'a [u64],
    value: T,
) {
    group.add("cursor", move |count| {
        let mut cursor = GuestCursor::new(memory);
        each(table, count, |addr| {
            cursor.write_obj(value, GuestAddress(addr)).expect("memory is there");
            0
        })
    });
    if let Some((window, offsets)) = window(memory, table, size_of::<T>()) {
        group.add("window", move |count| {
            each(&offsets, count, |offset| {
                window.write_obj(value, offset).expect("it is in the window");
                0
            })
        });
    }
}

/// Adds loads through a window.
pub(crate) fn add_loads<'a>(group: &mut Group<'a>, memory: &GuestMemoryMmap, table: &[u64]) {
    let Some((window, offsets)) = window(memory, table, size_of::<u16>()) else { return };
    group.add("window", move |count| {
        each(&offsets, count, |offset| {
            window.load::<u16>(offset, Ordering::Acquire).expect("it is in the window").into()
        })
    });
}

/// Adds stores through a window.
pub(crate) fn add_stores<'a>(
    group: &mut Group<'a>,
    memory: &GuestMemoryMmap,
    table: &[u64],
    value: u16,
) {
    let Some((window, offsets)) = window(memory, table, size_of::<u16>()) else { return };
    group.add("window", move |count| {
        each(&offsets, count, |offset| {
            window.store(value, offset, Ordering::Release).expect("it is in the window");
            0
        })
    });
}
