//! The operations of atomics.
//!
//! How each order comes about:
//!
//! - A relaxed load is `ldr`, a relaxed store `str`: whole, as they are aligned, and of one place all agree on the order of its values.
//! - All other loads are `ldar`, all other stores `stlr`. What follows the load in the program is seen to happen after it, what precedes the store before it, and a `ldar`
//!   is not seen before a `stlr` that precedes it, of whatever place (Arm ARM, B2.3.10, "Load-Acquire, Store-Release"). So those that are sequentially consistent are in one order.
//! - A read-modify-write, by a pair of instructions or by one, acquires as `ldar` and releases as `stlr`. If it does not store, it has still acquired.
//!
//! That is how the compiler translates its own atomics, and its fences to `dmb`, so these go together with them; a guest of the architecture does
//! the same. A relaxed access, a copy or an object has no place in any order but that of the value itself.
//!
//! None of the assembly says `readonly` or `nomem`, so the compiler moves no other access across it.

#![expect(unsafe_code, reason = "this is the room that touches guest bytes")]

/// One width of them, with the suffix of its instructions and the modifier of its registers. All are given an aligned address, and say `None` or
/// `false` where it faults.
macro_rules! width {
    ($name:ident, $int:ty, $s:literal, $m:literal) => {
        /// Integers of one width.
        pub(crate) mod $name {
            use core::arch::asm;
            use core::sync::atomic::Ordering;

            macro_rules! load_by {
                ($instruction:literal, $src:expr) => {{
                    let (value, after): (u64, *const $int);
                    // SAFETY: it reads the integer at the address, which is valid by the promise of the caller of the function, and touches
                    // neither the stack nor the flags. Where it faults it goes on as if it had read something.
                    unsafe {
                        asm!(
                            at_risk!(concat!($instruction, $s, " {value", $m, "}, [{src}]"), "89f"),
                            "87:",
                            aside!("89:", "mov {src}, xzr", "b 87b",),
                            src = inout(reg) $src => after,
                            value = lateout(reg) value,
                            options(nostack, preserves_flags)
                        );
                    }
                    if after.is_null() { None } else { Some(value as $int) }
                }};
            }

            /// Loads an integer, with any ordering that a load can have.
            ///
            /// # Safety
            ///
            /// Its bytes at `src` must be [valid](crate#valid) for reading, and aligned.
            #[inline(always)]
            pub(crate) unsafe fn load(src: *const $int, order: Ordering) -> Option<$int> {
                match order {
                    Ordering::Relaxed => load_by!("ldr", src),
                    _ => load_by!("ldar", src),
                }
            }

            macro_rules! store_by {
                ($instruction:literal, $dst:expr, $value:expr) => {
                    // SAFETY: it writes the integer at the address, which is valid by the promise of the caller of the function, and touches
                    // neither the stack nor the flags. Where it faults it goes on at the label, as declared.
                    unsafe {
                        asm!(
                            at_risk!(concat!($instruction, $s, " {value", $m, "}, [{dst}]"), "{fault}"),
                            dst = in(reg) $dst,
                            value = in(reg) $value,
                            fault = label { return false },
                            options(nostack, preserves_flags)
                        )
                    }
                };
            }

            /// Stores an integer, with any ordering that a store can have, and says whether it did.
            ///
            /// # Safety
            ///
            /// Its bytes at `dst` must be [valid](crate#valid) for writing, and aligned.
            #[inline(always)]
            pub(crate) unsafe fn store(dst: *mut $int, value: $int, order: Ordering) -> bool {
                match order {
                    Ordering::Relaxed => store_by!("str", dst, value),
                    _ => store_by!("stlr", dst, value),
                }
                true
            }

            /// Stores `new` if `current` is there, and returns what was there.
            ///
            /// # Safety
            ///
            /// Its bytes at `dst` must be [valid](crate#valid) for reading and writing, and aligned.
            #[inline(always)]
            #[allow(clippy::cast_lossless, reason = "of one width it is the only way: `usize`")]
            pub(crate) unsafe fn compare_exchange(
                dst: *mut $int,
                current: $int,
                new: $int,
                _success: Ordering,
                _failure: Ordering,
            ) -> Option<$int> {
                compare_exchange!($int, $s, $m, dst, current, new)
            }

            /// Adds `value`, wrapping, and returns what was there.
            ///
            /// # Safety
            ///
            /// As for [`compare_exchange`].
            #[inline(always)]
            pub(crate) unsafe fn fetch_add(dst: *mut $int, value: $int, _order: Ordering) -> Option<$int> {
                fetch_add!($int, $s, $m, dst, value)
            }

            /// Keeps the bits that `value` has, and returns what was there.
            ///
            /// # Safety
            ///
            /// As for [`compare_exchange`].
            #[inline(always)]
            pub(crate) unsafe fn fetch_and(dst: *mut $int, value: $int, _order: Ordering) -> Option<$int> {
                fetch_and!($int, $s, $m, dst, value)
            }

            /// Sets the bits that `value` has, and returns what was there.
            ///
            /// # Safety
            ///
            /// As for [`compare_exchange`].
            #[inline(always)]
            pub(crate) unsafe fn fetch_or(dst: *mut $int, value: $int, _order: Ordering) -> Option<$int> {
                fetch_or!($int, $s, $m, dst, value)
            }
        }
    };
}

width! { one, u8, "b", ":w" }
width! { two, u16, "h", ":w" }
width! { four, u32, "", ":w" }
width! { eight, u64, "", ":x" }
width! { word, usize, "", ":x" }
