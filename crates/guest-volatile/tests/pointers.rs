//! Pointers in the published shape: named without parameters, and as blind as vm-memory's.

#![expect(unsafe_code, reason = "writes through a pointer, as its users do")]

mod common;

use common::{Log, Ram};
use guest_volatile::{Bitmap as _, PtrGuard, PtrGuardMut, VolatileMemory as _, VolatileSlice};

/// As users write it: nothing here that a lifetime could come from.
fn guards_of<B: guest_volatile::BitmapSlice>(
    slices: &[VolatileSlice<'static, B>],
) -> Vec<(PtrGuard, PtrGuardMut)> {
    slices.iter().map(|slice| (slice.ptr_guard(), slice.ptr_guard_mut())).collect()
}

#[test]
fn guards_are_named_without_parameters() {
    let memory = VolatileSlice::from(vec![0; 64].leak());
    let guards = guards_of(&[memory, memory.subslice(8, 4).unwrap()]);
    let shapes = guards.iter().map(|(reading, writing)| (reading.len(), writing.len()));
    assert_eq!(shapes.collect::<Vec<_>>(), [(64, 64), (4, 4)]);
    assert_eq!(guards[1].0.as_ptr(), guards[0].0.as_ptr().wrapping_add(8));
    assert_eq!(guards[1].1.as_ptr().cast_const(), guards[1].0.as_ptr());
}

#[test]
fn guards_of_objects_and_rows_count_bytes() {
    let mut ram = [0; 64];
    let memory = VolatileSlice::from(&mut ram[..]);
    let object = memory.get_ref::<u32>(4).unwrap();
    assert_eq!((object.ptr_guard().len(), object.ptr_guard_mut().len()), (4, 4));
    assert_eq!(object.ptr_guard().as_ptr(), memory.ptr_guard().as_ptr().wrapping_add(4));
    let row = memory.get_array_ref::<u16>(6, 5).unwrap();
    assert_eq!((row.ptr_guard().len(), row.ptr_guard_mut().len()), (10, 10));
    assert_eq!(row.ptr_guard_mut().as_ptr(), memory.ptr_guard_mut().as_ptr().wrapping_add(6));
    let nothing = memory.subslice(64, 0).unwrap();
    assert!(nothing.ptr_guard().is_empty() && nothing.ptr_guard_mut().is_empty());
}

#[test]
fn a_guard_marks_nothing_and_the_slice_is_there_to_mark() {
    let (mut ram, log) = (Ram::<64>::zeroed(), Log::default());
    let memory = log.watch(ram.slice()).subslice(8, 8).unwrap();
    let guard = memory.ptr_guard_mut();
    // SAFETY: the guard's bytes are those of the test's own array.
    unsafe { guard.as_ptr().write_bytes(7, 4) };
    assert_eq!(log.take_marks(), []);
    memory.bitmap().mark_dirty(0, 4);
    let marks: Vec<_> = log.take_marks().into_iter().map(|mark| (mark.start, mark.bytes)).collect();
    assert_eq!(marks, [(8, vec![7; 4])]);
}

#[test]
fn a_guard_for_writing_into_read_only_memory_is_empty() {
    let mut ram = [0; 16];
    let memory = VolatileSlice::from(&mut ram[..]).read_only();
    assert_eq!((memory.ptr_guard().len(), memory.ptr_guard_mut().len()), (16, 0));
}

#[test]
fn guards_do_not_show_host_addresses() {
    let mut ram = [0; 16];
    let memory = VolatileSlice::from(&mut ram[..]);
    let (reading, writing) = (memory.ptr_guard(), memory.ptr_guard_mut());
    assert_eq!(
        format!("{reading:?} {writing:?}"),
        "PtrGuard { len: 0x10 } PtrGuardMut { len: 0x10 }"
    );
}
