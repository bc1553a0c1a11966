//! An access touches no byte outside of its range: there is a page without access on each side.

#![cfg(all(unix, feature = "std"))]
#![expect(unsafe_code, reason = "maps pages, and makes slices of them")]

use std::ptr;
use std::slice;

use guest_volatile::VolatileSlice;

/// A page to read and write between two that a touch of ends the test.
struct Page {
    start: *mut u8,
    size: usize,
}

impl Page {
    fn new() -> Self {
        // SAFETY: asks for a number.
        let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        let size = usize::try_from(size).expect("a page has a size");
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: new memory, at no particular place.
        let all = unsafe { libc::mmap(ptr::null_mut(), 3 * size, libc::PROT_NONE, flags, -1, 0) };
        assert_ne!(all, libc::MAP_FAILED);
        let start = all.cast::<u8>().wrapping_add(size);
        // SAFETY: the page in the middle of what was mapped, which nobody else knows.
        let result =
            unsafe { libc::mprotect(start.cast(), size, libc::PROT_READ | libc::PROT_WRITE) };
        assert_eq!(result, 0);
        Self { start, size }
    }

    /// The first, or the last, `len` bytes.
    fn bytes(&mut self, len: usize, at_the_end: bool) -> &mut [u8] {
        let offset = if at_the_end { self.size - len } else { 0 };
        // SAFETY: they lie in the page, which is ours alone for as long as `self` is borrowed.
        unsafe { slice::from_raw_parts_mut(self.start.wrapping_add(offset), len) }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let all = self.start.wrapping_sub(self.size);
        // SAFETY: what `new` mapped, all of it; no slice of it is left.
        unsafe { libc::munmap(all.cast(), 3 * self.size) };
    }
}

/// Every short length, and some around what the engines tell apart.
fn lengths(most: usize) -> impl Iterator<Item = usize> {
    (0..=600).chain((600..=most).step_by(61)).chain(most - 33..=most)
}

#[test]
fn a_copy_stays_inside_its_range_at_both_ends_of_both_sides() {
    let (mut guest, mut own) = (Page::new(), Page::new());
    for len in lengths(guest.size) {
        for ends in 0..4 {
            let memory = VolatileSlice::from(guest.bytes(len, ends & 1 != 0));
            let buf = own.bytes(len, ends & 2 != 0);
            buf.fill(len as u8);
            memory.write_slice(buf, 0).unwrap();
            buf.fill(0xff);
            memory.read_slice(buf, 0).unwrap();
            assert!(buf.iter().all(|&byte| byte == len as u8), "{len} {ends}");
        }
    }
}

#[test]
fn a_copy_between_slices_stays_inside_at_both_ends_in_both_directions() {
    let mut guest = Page::new();
    let size = guest.size;
    for len in lengths(size - 1) {
        let memory = VolatileSlice::from(guest.bytes(size, false));
        // Up and down by a byte: the ranges overlap, and each end of the page is one of theirs.
        let (low, high) = (memory.subslice(0, len).unwrap(), memory.subslice(1, len).unwrap());
        low.copy_to_volatile_slice(high);
        high.copy_to_volatile_slice(low);
        let memory = memory.offset(size - 1 - len).unwrap();
        let (low, high) = (memory.subslice(0, len).unwrap(), memory.subslice(1, len).unwrap());
        low.copy_to_volatile_slice(high);
        high.copy_to_volatile_slice(low);
    }
}

/// Objects of all sizes up to where they are copied as runs of bytes.
macro_rules! objects {
    ($($size:literal)*) => {
        #[test]
        fn an_object_stays_inside_its_range_at_both_ends() {
            let mut guest = Page::new();
            $(
                for at_the_end in [false, true] {
                    let memory = VolatileSlice::from(guest.bytes($size, at_the_end));
                    let value: [u8; $size] = std::array::from_fn(|index| index as u8);
                    memory.write_obj(value, 0).unwrap();
                    assert_eq!(memory.read_obj::<[u8; $size]>(0).unwrap(), value);
                }
            )*
        }
    };
}

objects! {
    1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 40 47 48 49 63 64 65 79
    80 95 96 97 111 112 113 120 124 126 127 128 129 130 255 256 600
}
