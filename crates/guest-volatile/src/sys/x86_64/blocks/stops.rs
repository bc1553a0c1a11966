//! Each way to copy stops where memory does, also those that this processor would not choose: each of their instructions is in the table.

use core::ptr;

use super::*;
use crate::sys::x86_64::downwards::copy_backward;

const PAGE: usize = 0x1000;
/// Where the page is that nobody can reach; there is memory on both sides of it.
const HOLE: usize = 4 * PAGE;

/// Memory with a hole, for as long as the process lives.
fn memory() -> *mut u8 {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: the address is the system's choice, so no other mapping is replaced.
    let addr = unsafe { libc::mmap(ptr::null_mut(), 6 * PAGE, access, kind, -1, 0) };
    assert_ne!(addr, libc::MAP_FAILED);
    let memory = addr.cast::<u8>();
    let hole = memory.wrapping_add(HOLE).cast();
    // SAFETY: the page is one of those that were just mapped, and nobody has used it.
    assert_eq!(unsafe { libc::mprotect(hole, PAGE, libc::PROT_NONE) }, 0);
    memory
}

fn set(at: *mut u8, byte: u8) {
    // SAFETY: the tests name bytes of their own memory that are not in the hole.
    unsafe { at.write_volatile(byte) };
}

fn get(at: *const u8) -> u8 {
    // SAFETY: as above.
    unsafe { at.read_volatile() }
}

/// Two memories, and one where each byte tells its place.
fn pair() -> (*mut u8, *mut u8) {
    crate::fault::install().expect("there is recovery here");
    let (source, target) = (memory(), memory());
    for at in (0..HOLE).chain(HOLE + PAGE..6 * PAGE) {
        set(source.wrapping_add(at), (at % 251 + 1) as u8);
    }
    (source, target)
}

type Kernel = unsafe fn(*mut u8, *const u8, usize) -> usize;

#[test]
fn upwards_each_kernel_says_how_far_it_came_and_the_rest_finds_the_byte() {
    let (source, target) = pair();
    let mut kernels: Vec<(&str, Kernel)> = vec![("narrow", move_narrow), ("string", move_string)];
    if Processor::this().has_wide_registers() {
        kernels.push(("wide", move_wide));
    }
    for (name, kernel) in kernels {
        for before in (0..300).chain([1000, 0x2000]) {
            for (beyond, skew) in [(1, 0), (3, 1), (15, 9), (64, 0), (200, 77)] {
                for side in [Access::Read, Access::Write] {
                    let (to_end, elsewhere) = (HOLE - before, skew);
                    let (from, to) = match side {
                        Access::Read => (to_end, elsewhere),
                        Access::Write => (elsewhere, to_end),
                    };
                    let (src, dst) = (source.wrapping_add(from), target.wrapping_add(to));
                    (0..before).for_each(|at| set(dst.wrapping_add(at), 0));
                    let len = before + beyond;
                    let what = (name, before, beyond, side);
                    // SAFETY: `len` bytes are mapped at both; where they cannot be reached, that is what is tried.
                    let done = unsafe { kernel(dst, src, len) };
                    assert!(done <= before && before - done < SHORT, "{what:?}: {done}");
                    // SAFETY: as before.
                    let result = unsafe { go_on(dst, src, len, done) };
                    assert_eq!(result, Err(Fault::new(before, side)), "{what:?}");
                    let same = |at| get(dst.wrapping_add(at)) == get(src.wrapping_add(at));
                    assert!((0..before).all(same), "{what:?}");
                }
            }
        }
    }
}

#[test]
fn downwards_a_block_may_end_anywhere() {
    let (source, target) = pair();
    let elsewhere = PAGE;
    for side in [Access::Read, Access::Write] {
        for (len, out) in [(64, 16), (64, 32), (64, 48), (64, 64), (64, 1), (200, 70), (15, 3)] {
            // Of the bytes, `out` are in the hole: the first ones, or the last ones.
            for (start, done) in [(HOLE + PAGE - out, len - out), (HOLE + out - len, 0)] {
                let (from, to) = match side {
                    Access::Read => (start, elsewhere),
                    Access::Write => (elsewhere, start),
                };
                let (src, dst) = (source.wrapping_add(from), target.wrapping_add(to));
                let moved = len - done..len;
                moved.clone().for_each(|at| set(dst.wrapping_add(at), 0));
                // SAFETY: `len` bytes are mapped at both; where they cannot be reached, that is what is tried.
                let result = unsafe { copy_backward(dst, src, len) };
                assert_eq!(result, Err(Fault::new(done, side)), "{len} {out} {side:?}");
                let same = |at| get(dst.wrapping_add(at)) == get(src.wrapping_add(at));
                assert!(moved.into_iter().all(same), "{len} {out} {side:?}");
            }
        }
    }
}
