//! The instructions of atomics.
//!
//! Every load of x86-64 acquires and every store releases (Intel SDM volume 3, 9.2.2), and a locked instruction, which `xchg` is by itself, is in the
//! one order of all that are. That is also how the compiler translates its own atomics. None of this says `readonly` or `nomem`, so the
//! compiler moves no other access across it.

#![expect(unsafe_code, reason = "this is the room that touches guest bytes")]

/// One width of them. All are given an aligned address, and say `None` or `false` where it faults.
macro_rules! width {
    ($name:ident, $int:ty, $class:ident, $move:literal, $at:literal, $value:literal, $accumulator:tt) => {
        /// Integers of one width.
        pub(crate) mod $name {
            use core::arch::asm;
            use core::sync::atomic::Ordering;

            /// Loads an integer, with any ordering that a load can have.
            ///
            /// # Safety
            ///
            /// Its bytes at `src` must be [valid](crate#valid) for reading, and aligned.
            #[inline(always)]
            pub(crate) unsafe fn load(src: *const $int, _order: Ordering) -> Option<$int> {
                let (value, after): (u64, *const $int);
                // SAFETY: it reads the integer at `src`, which is valid by the caller's promise, and touches neither the stack nor the
                // flags. Where it faults it goes on as if it had read something.
                unsafe {
                    asm!(
                        at_risk!($move, "89f"),
                        "87:",
                        aside!("89:", "mov {src:e}, 0", "jmp 87b",),
                        src = inout(reg) src => after,
                        value = lateout(reg) value,
                        options(nostack, preserves_flags)
                    );
                }
                if after.is_null() { None } else { Some(value as $int) }
            }

            /// Stores an integer, with any ordering that a store can have.
            ///
            /// # Safety
            ///
            /// Its bytes at `dst` must be [valid](crate#valid) for writing, and aligned.
            #[inline(always)]
            pub(crate) unsafe fn store(dst: *mut $int, value: $int, order: Ordering) -> bool {
                if order != Ordering::SeqCst {
                    // SAFETY: it writes the integer at `dst`, which is valid by the caller's promise, and touches neither the stack nor the
                    // flags. Where it faults it goes on at the label, as declared.
                    unsafe {
                        asm!(
                            at_risk!(concat!("mov ", $at, ", ", $value), "{fault}"),
                            at = in(reg) dst,
                            value = in($class) value,
                            fault = label { return false },
                            options(nostack, preserves_flags)
                        );
                    }
                    return true;
                }
                // SAFETY: the caller's promise is the same.
                unsafe { exchange(dst, value, order) }.is_some()
            }

            update! {
                /// Stores `value`, and returns what was there.
                exchange, $int, $class, concat!("xchg ", $at, ", ", $value)
            }
            update! {
                /// Adds `value`, wrapping, and returns what was there.
                fetch_add, $int, $class, concat!("lock xadd ", $at, ", ", $value)
            }

            /// Stores `new` if `current` is there, and returns what was there.
            ///
            /// # Safety
            ///
            /// Its bytes at `dst` must be [valid](crate#valid) for reading and writing, and aligned.
            #[inline(always)]
            pub(crate) unsafe fn compare_exchange(
                dst: *mut $int,
                current: $int,
                new: $int,
                _success: Ordering,
                _failure: Ordering,
            ) -> Option<$int> {
                let (before, after): ($int, *mut $int);
                // SAFETY: it reads and writes the integer at `dst`, which is valid by the caller's promise, and does not touch the
                // stack. Where it faults it goes on as if it had not found `current`.
                unsafe {
                    asm!(
                        at_risk!(concat!("lock cmpxchg ", $at, ", ", $value), "89f"),
                        "87:",
                        aside!("89:", "mov {at:e}, 0", "jmp 87b",),
                        at = inout(reg) dst => after,
                        value = in($class) new,
                        inout($accumulator) current => before,
                        options(nostack)
                    );
                }
                if after.is_null() { None } else { Some(before) }
            }

            /// Keeps the bits that `value` has, and returns what was there.
            ///
            /// # Safety
            ///
            /// As for [`compare_exchange`].
            #[inline]
            pub(crate) unsafe fn fetch_and(dst: *mut $int, value: $int, order: Ordering) -> Option<$int> {
                // SAFETY: the caller's promise is the same.
                unsafe { fetch_update(dst, order, |before| before & value) }
            }

            /// Sets the bits that `value` has, and returns what was there.
            ///
            /// # Safety
            ///
            /// As for [`compare_exchange`].
            #[inline]
            pub(crate) unsafe fn fetch_or(dst: *mut $int, value: $int, order: Ordering) -> Option<$int> {
                // SAFETY: the caller's promise is the same.
                unsafe { fetch_update(dst, order, |before| before | value) }
            }

            /// Stores what `change` makes of the integer, and returns what it was.
            ///
            /// # Safety
            ///
            /// As for [`compare_exchange`].
            #[inline(always)]
            unsafe fn fetch_update(
                dst: *mut $int,
                order: Ordering,
                change: impl Fn($int) -> $int,
            ) -> Option<$int> {
                // SAFETY: the caller's promise is more.
                let mut before = unsafe { load(dst, Ordering::Relaxed) }?;
                loop {
                    let new = change(before);
                    // SAFETY: the caller's promise is the same.
                    let found = unsafe { compare_exchange(dst, before, new, order, Ordering::Relaxed) }?;
                    if found == before {
                        return Some(before);
                    }
                    before = found;
                }
            }
        }
    };
}

/// A change by one instruction that leaves what was there in the register of the value.
macro_rules! update {
    ($(#[$doc:meta])* $name:ident, $int:ty, $class:ident, $instruction:expr) => {
        $(#[$doc])*
        ///
        /// # Safety
        ///
        /// Its bytes at `dst` must be [valid](crate#valid) for reading and writing, and aligned.
        #[inline(always)]
        pub(crate) unsafe fn $name(dst: *mut $int, value: $int, _order: Ordering) -> Option<$int> {
            let (before, after): ($int, *mut $int);
            // SAFETY: it reads and writes the integer at `dst`, which is valid by the caller's promise, and does not touch the
            // stack. Where it faults it goes on as if it had read something.
            unsafe {
                asm!(
                    at_risk!($instruction, "89f"),
                    "87:",
                    aside!("89:", "mov {at:e}, 0", "jmp 87b",),
                    at = inout(reg) dst => after,
                    value = inout($class) value => before,
                    options(nostack)
                );
            }
            if after.is_null() { None } else { Some(before) }
        }
    };
}

width! { one, u8, reg_byte, "movzx {value:e}, byte ptr [{src}]", "byte ptr [{at}]", "{value}", "al" }
width! { two, u16, reg, "movzx {value:e}, word ptr [{src}]", "word ptr [{at}]", "{value:x}", "ax" }
width! { four, u32, reg, "mov {value:e}, dword ptr [{src}]", "dword ptr [{at}]", "{value:e}", "eax" }
width! { eight, u64, reg, "mov {value}, qword ptr [{src}]", "qword ptr [{at}]", "{value}", "rax" }
width! { word, usize, reg, "mov {value}, qword ptr [{src}]", "qword ptr [{at}]", "{value}", "rax" }
