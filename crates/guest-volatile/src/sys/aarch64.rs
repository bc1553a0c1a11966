//! The accesses on aarch64: single instructions, as inline assembly.
//!
//! Assembly, because the bytes race with the guest: what the compiler cannot look into it cannot tear,
//! fetch twice, or take for a data race. Every processor of the architecture does an aligned access of 1, 2, 4 or 8 bytes by
//! general registers whole, and a pair of them as two such accesses (Arm ARM, B2.2.1, "Requirements for single-copy atomicity"); an unaligned
//! one is done in one instruction, but not whole.
//!
//! Whole also means that it is done or not at all where it faults. Any other store, one that crosses two pages in particular, may have stored a part of what it has
//! when it faults (same place, and D1.3.3 on the state after a data abort). Who begins one again must not depend on what it has overwritten.
//!
//! An instruction that touches guest bytes has an entry in a table, which says where to go on if it faults. After a
//! load that is a stub that makes its address null; a further load of the same object, from there, faults as well (or, where something is mapped at null,
//! reads what nobody looks at), so one test after the last says it of all. After a store it is a label, which costs nothing.

#![expect(unsafe_code, reason = "this is the room that touches guest bytes")]

use core::arch::asm;

use super::Offset;

#[macro_use]
mod table;
mod blocks;
mod overlapping;
#[cfg(not(target_feature = "lse"))]
#[macro_use]
mod exclusive;
#[cfg(target_feature = "lse")]
#[macro_use]
mod single;
mod atomics;

pub(crate) use atomics::*;
pub(crate) use blocks::{copy_forward, quick_copy_forward};
pub(crate) use overlapping::{copy_backward, copy_forward_near};
#[cfg(all(any(target_os = "linux", target_os = "android"), any(test, feature = "fault")))]
pub(crate) use table::table;

/// Whether accesses say that they faulted, if somebody takes the signal.
pub(crate) const RECOVERS: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// Whether an ordered load of an atomic is known not to write.
pub(crate) const LOADS_ONLY_READ: bool = true;

/// Ranges that overlap at this distance or more are copied upwards as those that do not: no block reads what it wrote.
pub(crate) const FAR: usize = 64;

/// Sixteen bytes on their way through two registers: those of vectors are not there on every target.
pub(crate) type Sixteen = [u64; 2];

macro_rules! loads {
    ($($load:ident, $value:ty, $wide:ty, $instruction:literal;)*) => {$(
        /// Loads one value, `O` bytes from an address of any alignment; makes the address null where it faults.
        ///
        /// # Safety
        ///
        /// The bytes of the value there must be [valid](crate#valid) for reading, or the address null after a fault.
        #[inline(always)]
        pub(crate) unsafe fn $load<O: Offset>(src: &mut *const u8) -> $value {
            let value: $wide;
            // SAFETY: the instruction reads the bytes of one value at `src + O::BYTES`, valid by the caller's promise, and touches
            // neither the stack nor the flags. Where it faults it goes on as if it had read something.
            unsafe {
                asm!(
                    at_risk!($instruction, "89f"),
                    "87:",
                    aside!("89:", "mov {src}, xzr", "b 87b",),
                    src = inout(reg) *src,
                    value = lateout(reg) value,
                    at = const O::BYTES,
                    options(nostack, preserves_flags, readonly)
                );
            }
            value as $value
        }
    )*};
}

loads! {
    load1, u8, u32, "ldrb {value:w}, [{src}, #{at}]";
    load2, u16, u32, "ldrh {value:w}, [{src}, #{at}]";
    load4, u32, u32, "ldr {value:w}, [{src}, #{at}]";
    load8, u64, u64, "ldr {value}, [{src}, #{at}]";
}

macro_rules! stores {
    ($($store:ident, $value:ty, $instruction:literal;)*) => {$(
        /// Stores one value, `O` bytes from an address of any alignment, and says whether it did: not where it faults, but for a part of
        /// it if the address is not aligned.
        ///
        /// # Safety
        ///
        /// The bytes of the value there must be [valid](crate#valid) for writing.
        #[inline(always)]
        #[must_use]
        pub(crate) unsafe fn $store<O: Offset>(dst: *mut u8, value: $value) -> bool {
            // SAFETY: the instruction writes the bytes of one value at `dst + O::BYTES`, valid by the caller's promise, and touches
            // neither the stack nor the flags. Where it faults it goes on at the label, as declared.
            unsafe {
                asm!(
                    at_risk!($instruction, "{fault}"),
                    dst = in(reg) dst,
                    value = in(reg) value,
                    at = const O::BYTES,
                    fault = label { return false },
                    options(nostack, preserves_flags)
                );
            }
            true
        }
    )*};
}

stores! {
    store1, u8, "strb {value:w}, [{dst}, #{at}]";
    store2, u16, "strh {value:w}, [{dst}, #{at}]";
    store4, u32, "str {value:w}, [{dst}, #{at}]";
    store8, u64, "str {value}, [{dst}, #{at}]";
}

macro_rules! puts {
    ($($put:ident, $value:ty, $instruction:literal;)*) => {$(
        /// Stores one value, and says whether it did, as `store*` do: by a test, as after a load. The compiler keeps less in registers around
        /// a jump out of assembly, which is worth it for several stores in a row, and not for one.
        ///
        /// # Safety
        ///
        /// The bytes of the value at `dst` must be [valid](crate#valid) for writing.
        #[inline(always)]
        #[must_use]
        pub(crate) unsafe fn $put(dst: *mut u8, value: $value) -> bool {
            let after: *mut u8;
            // SAFETY: the instruction writes the bytes of one value at `dst`, valid by the caller's promise, and touches
            // neither the stack nor the flags. Where it faults it goes on as if it had written something.
            unsafe {
                asm!(
                    at_risk!($instruction, "89f"),
                    "87:",
                    aside!("89:", "mov {dst}, xzr", "b 87b",),
                    dst = inout(reg) dst => after,
                    value = in(reg) value,
                    options(nostack, preserves_flags)
                );
            }
            !after.is_null()
        }
    )*};
}

puts! {
    put1, u8, "strb {value:w}, [{dst}]";
    put2, u16, "strh {value:w}, [{dst}]";
    put4, u32, "str {value:w}, [{dst}]";
    put8, u64, "str {value}, [{dst}]";
}

/// Loads sixteen bytes, `O` bytes from an address of any alignment; makes the address null where it faults.
///
/// # Safety
///
/// These 16 bytes must be [valid](crate#valid) for reading, or the address null after a fault.
#[inline(always)]
pub(crate) unsafe fn load16<O: Offset>(src: &mut *const u8) -> Sixteen {
    let (low, high);
    // SAFETY: the instruction reads 16 bytes at `src + O::BYTES`, valid by the caller's promise, and touches neither the stack nor the
    // flags. Where it faults it goes on as if it had read something.
    unsafe {
        asm!(
            at_risk!("ldp {low}, {high}, [{src}, #{at}]", "89f"),
            "87:",
            aside!("89:", "mov {src}, xzr", "b 87b",),
            src = inout(reg) *src,
            low = lateout(reg) low,
            high = lateout(reg) high,
            at = const O::BYTES,
            options(nostack, preserves_flags, readonly)
        );
    }
    [low, high]
}

/// Stores sixteen bytes, `O` bytes from an address of any alignment, and says whether it did: not where it faults, but for a part of them.
///
/// # Safety
///
/// These 16 bytes must be [valid](crate#valid) for writing.
#[inline(always)]
#[must_use]
pub(crate) unsafe fn store16<O: Offset>(dst: *mut u8, value: Sixteen) -> bool {
    // SAFETY: the instruction writes 16 bytes at `dst + O::BYTES`, valid by the caller's promise, and touches neither the stack nor the
    // flags. Where it faults it goes on at the label, as declared.
    unsafe {
        asm!(
            at_risk!("stp {low}, {high}, [{dst}, #{at}]", "{fault}"),
            dst = in(reg) dst,
            low = in(reg) value[0],
            high = in(reg) value[1],
            at = const O::BYTES,
            fault = label { return false },
            options(nostack, preserves_flags)
        );
    }
    true
}
