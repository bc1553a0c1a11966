//! The programs: all operations, or a single one.
//!
//! Those of a single operation are generic over the setting, which is always [`Alone`](super::Alone): so each is compiled
//! in its own program, and not in this library, where it had the company of all others.

use crate::compare::maps::{Plain, Recorded};
use crate::compare::session::{Company, Session, Setting};
use crate::compare::{
    create, dirty, files, harvest, lookups, objects, prefault, sizes, slices, snapshot, walk,
};
use crate::layout::Layout;

/// All operations.
///
/// # Panics
///
/// If the command line is wrong, or the system has no room for the memory.
pub fn company() {
    let session = Session::from_command_line();
    for regions in [1, 4, 64, 512] {
        let maps = Plain::new(Layout::dimms(regions));
        objects::all::<Company>(&session, &maps);
        lookups::all::<Company>(&session, &maps);
        match regions {
            4 => of_four(&session, &maps),
            512 => create::derive(&session, &maps),
            _ => {}
        }
    }
    harvest::all(&session);
    create::create(&session);
    prefault::all(&session);
    sizes::all(&session);
}

/// What is measured on four regions alone.
fn of_four(session: &Session, maps: &Plain) {
    slices::all::<Company>(session, maps);
    snapshot::all(session, maps);
    files::all(session, maps);
    walk::all::<Company>(session, maps);
    dirty::all::<Company>(session, maps, &Recorded::new(maps.layout.clone()));
}

/// Reads of 32 bits.
///
/// # Panics
///
/// As [`company`].
pub fn read<S: Setting>() {
    let session = Session::from_command_line();
    for regions in [1, 4, 512] {
        objects::read_u32::<S>(&session, &Plain::new(Layout::dimms(regions)));
    }
}

/// Writes of 32 bits.
///
/// # Panics
///
/// As [`company`].
pub fn write<S: Setting>() {
    let session = Session::from_command_line();
    for regions in [1, 4, 512] {
        objects::write_u32::<S>(&session, &Plain::new(Layout::dimms(regions)));
    }
}

/// Loads and stores of 16 bits.
///
/// # Panics
///
/// As [`company`].
pub fn atomics<S: Setting>() {
    let session = Session::from_command_line();
    objects::atomics::<S>(&session, &Plain::new(Layout::dimms(4)));
}

/// Slices, not accessed.
///
/// # Panics
///
/// As [`company`].
pub fn slice<S: Setting>() {
    let session = Session::from_command_line();
    for regions in [1, 4, 512] {
        lookups::one::<S>(&session, &Plain::new(Layout::dimms(regions)), "get_slice");
    }
}

/// Copies of 256 bytes.
///
/// # Panics
///
/// As [`company`].
pub fn copy<S: Setting>() {
    let session = Session::from_command_line();
    slices::reads::<S>(&session, &Plain::new(Layout::dimms(4)), "256B", 256);
}

/// Chains of a queue, in which each kind of access has one user.
///
/// # Panics
///
/// As [`company`].
pub fn chain<S: Setting>() {
    let session = Session::from_command_line();
    walk::all::<S>(&session, &Plain::new(Layout::dimms(4)));
}
