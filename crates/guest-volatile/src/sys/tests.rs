//! Both engines move exactly the bytes that they are asked to move, whatever the alignment.

/// What is around a copy on each side, to see that it stays as it was.
const GUARD: usize = 16;
/// The most bytes that one copy here moves.
const MOST: usize = 8193;
const ROOM: usize = GUARD + 16 + MOST + GUARD;
const BACKGROUND: u8 = 0xee;

/// Memory whose first byte has a high alignment, so that an offset is an alignment.
#[derive(Clone, Copy, PartialEq)]
#[repr(align(64))]
struct Aligned([u8; ROOM]);

impl Aligned {
    fn filled(byte: impl Fn(usize) -> u8) -> Self {
        Self(core::array::from_fn(byte))
    }
}

/// All short lengths, and those around the places where the engines change their ways.
fn lengths() -> impl Iterator<Item = usize> {
    (0..=600).chain(1022..=1026).chain(4095..=4097).chain(MOST - 2..=MOST)
}

/// A pattern without a period that a copy's steps have.
fn pattern(index: usize) -> u8 {
    (index % 251) as u8
}

/// Loads and stores one value at each alignment.
macro_rules! width {
    ($name:ident, $int:ty, $load:ident, $store:ident) => {
        #[test]
        fn $name() {
            const SIZE: usize = size_of::<$int>();
            let source = Aligned::filled(pattern);
            for offset in GUARD..GUARD + 16 {
                let bytes: [u8; SIZE] = core::array::from_fn(|index| pattern(offset + index));
                // SAFETY: the value lies in the test's own array.
                let value = unsafe { engine::$load::<Start>(&mut source.0[offset..].as_ptr()) };
                assert_eq!(value, <$int>::from_ne_bytes(bytes), "load at {offset}");

                let mut target = Aligned::filled(|_| BACKGROUND);
                // SAFETY: as before.
                assert!(unsafe { engine::$store::<Start>(target.0[offset..].as_mut_ptr(), value) });
                let mut model = [BACKGROUND; ROOM];
                model[offset..offset + SIZE].copy_from_slice(&bytes);
                assert!(target.0 == model, "store at {offset}");
            }
        }
    };
}

macro_rules! engine {
    ($engine:ident) => {
        mod $engine {
            #![expect(unsafe_code, reason = "calls the engine on memory of the test")]

            use super::super::Start;
            use super::super::$engine as engine;
            use super::*;
            use crate::error::Fault;

            type Copy = unsafe fn(*mut u8, *const u8, usize) -> Result<(), Fault>;

            fn copies_exactly(copy: Copy) {
                let source = Aligned::filled(pattern);
                let mut target = Aligned::filled(|_| BACKGROUND);
                for len in lengths() {
                    for (from, to) in (0..256).map(|both| (both / 16, both % 16)) {
                        let (from, start) = (GUARD + from, GUARD + to);
                        let end = start + len;
                        let src = source.0[from..].as_ptr();
                        let dst = target.0[start..].as_mut_ptr();
                        // SAFETY: `len` bytes lie in both arrays, which are the test's own.
                        unsafe { copy(dst, src, len) }.unwrap();
                        assert_eq!(target.0[start..end], source.0[from..from + len], "{from} {to}");
                        let around = [&target.0[start - GUARD..start], &target.0[end..end + GUARD]];
                        assert_eq!(around, [&[BACKGROUND; GUARD]; 2], "around {len} {from} {to}");
                        target.0[start..end].fill(BACKGROUND);
                    }
                }
            }

            #[test]
            fn copies_upwards_move_each_byte_of_the_range_and_no_other() {
                copies_exactly(engine::copy_forward);
            }

            #[test]
            fn copies_downwards_move_each_byte_of_the_range_and_no_other() {
                copies_exactly(engine::copy_backward);
            }

            #[test]
            fn copies_upwards_are_right_for_a_target_below_an_overlapping_source() {
                let start = Aligned::filled(pattern);
                for len in (0..=200).chain([1023, 1024, 2000]) {
                    for shift in 1..=80 {
                        let (mut memory, mut model) = (start, start);
                        model.0.copy_within(GUARD + shift..GUARD + shift + len, GUARD);
                        let dst = memory.0[GUARD..].as_mut_ptr();
                        let src = dst.wrapping_add(shift);
                        // SAFETY: both ranges lie in the test's own array.
                        unsafe { engine::copy_forward_near(dst, src, len) }.unwrap();
                        assert!(memory == model, "{len} bytes down by {shift}");
                    }
                }
            }

            #[test]
            fn copies_downwards_are_right_for_a_target_inside_the_source() {
                let start = Aligned::filled(pattern);
                for len in (0..=200).chain([1023, 1024, 2000]) {
                    for shift in 0..=80 {
                        let (mut memory, mut model) = (start, start);
                        model.0.copy_within(GUARD..GUARD + len, GUARD + shift);
                        let src = memory.0[GUARD..].as_mut_ptr();
                        let dst = src.wrapping_add(shift);
                        // SAFETY: both ranges lie in the test's own array.
                        unsafe { engine::copy_backward(dst, src, len) }.unwrap();
                        assert!(memory == model, "{len} bytes up by {shift}");
                    }
                }
            }

            width!(one_byte_is_loaded_and_stored_at_any_address, u8, load1, store1);
            width!(two_bytes_are_loaded_and_stored_at_any_address, u16, load2, store2);
            width!(four_bytes_are_loaded_and_stored_at_any_address, u32, load4, store4);
            width!(eight_bytes_are_loaded_and_stored_at_any_address, u64, load8, store8);

            #[test]
            fn sixteen_bytes_are_loaded_and_stored_at_any_address() {
                let source = Aligned::filled(pattern);
                for offset in GUARD..GUARD + 16 {
                    let mut target = Aligned::filled(|_| BACKGROUND);
                    let mut src = source.0[offset..].as_ptr();
                    // SAFETY: the value lies in the test's own array.
                    let value = unsafe { engine::load16::<Start>(&mut src) };
                    let dst = target.0[offset..].as_mut_ptr();
                    // SAFETY: as before.
                    assert!(unsafe { engine::store16::<Start>(dst, value) });
                    let mut model = [BACKGROUND; ROOM];
                    model[offset..offset + 16].copy_from_slice(&source.0[offset..offset + 16]);
                    assert!(target.0 == model, "at {offset}");
                }
            }
        }
    };
}

engine!(portable);

#[cfg(all(
    target_arch = "x86_64",
    target_pointer_width = "64",
    target_feature = "sse2",
    not(guest_volatile_portable)
))]
engine!(x86_64);

#[cfg(all(
    target_arch = "aarch64",
    target_pointer_width = "64",
    not(target_os = "none"),
    not(guest_volatile_portable)
))]
engine!(aarch64);
