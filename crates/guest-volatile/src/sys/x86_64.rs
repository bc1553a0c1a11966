//! The accesses on x86-64: single instructions, as inline assembly.
//!
//! Assembly, because the bytes race with the guest: what the compiler cannot look into it cannot tear,
//! fetch twice, or take for a data race. x86-64 does an aligned access of 1, 2, 4 or 8 bytes whole
//! (Intel SDM volume 3, 9.1.1; AMD APM volume 2, 7.3.2), and unaligned ones in one instruction as well.
//!
//! An instruction that touches guest bytes has an entry in a table, which says where to go on if it faults. After a
//! load that is a stub that makes its address null; a further load of the same object, from there, faults as well (or, where something is mapped at null,
//! reads what nobody looks at), so one test after the last says it of all. After a store it is a label, which costs nothing.

#![expect(unsafe_code, reason = "this is the room that touches guest bytes")]

use core::arch::asm;
use core::arch::x86_64::__m128i;

use super::Offset;

#[macro_use]
mod table;
mod processor;
mod blocks;
mod downwards;
mod locked;

pub(crate) use blocks::{copy_forward, quick_copy_forward};
pub(crate) use downwards::{copy_backward, copy_forward_near};
pub(crate) use locked::*;
#[cfg(all(any(target_os = "linux", target_os = "android"), feature = "fault"))]
pub(crate) use table::table;

/// Whether accesses say that they faulted, if somebody takes the signal.
pub(crate) const RECOVERS: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// Whether an ordered load of an atomic is known not to write.
pub(crate) const LOADS_ONLY_READ: bool = true;

/// Ranges that overlap at this distance or more are copied upwards as those that do not: no block reads what it wrote.
pub(crate) const FAR: usize = 128;

/// Sixteen bytes on their way through a register.
pub(crate) type Sixteen = __m128i;

macro_rules! loads {
    ($($load:ident, $value:ty, $register:ident, $wide:ty, $instruction:literal;)*) => {$(
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
                    aside!("89:", "mov {src:e}, 0", "jmp 87b",),
                    src = inout(reg) *src,
                    value = lateout($register) value,
                    at = const O::BYTES,
                    options(nostack, preserves_flags, readonly)
                );
            }
            value as $value
        }
    )*};
}

loads! {
    // Wider than the byte: a register of 8 bits would keep, and wait for, what the rest of it held before.
    load1, u8, reg, u32, "movzx {value:e}, byte ptr [{src} + {at}]";
    load2, u16, reg, u32, "movzx {value:e}, word ptr [{src} + {at}]";
    load4, u32, reg, u32, "mov {value:e}, dword ptr [{src} + {at}]";
    load8, u64, reg, u64, "mov {value}, qword ptr [{src} + {at}]";
    load16, Sixteen, xmm_reg, Sixteen, "movups {value}, [{src} + {at}]";
}

macro_rules! stores {
    ($($store:ident, $value:ty, $register:ident, $instruction:literal;)*) => {$(
        /// Stores one value, `O` bytes from an address of any alignment, and says whether it did: it does not where it faults.
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
                    value = in($register) value,
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
    store1, u8, reg_byte, "mov byte ptr [{dst} + {at}], {value}";
    store2, u16, reg, "mov word ptr [{dst} + {at}], {value:x}";
    store4, u32, reg, "mov dword ptr [{dst} + {at}], {value:e}";
    store8, u64, reg, "mov qword ptr [{dst} + {at}], {value}";
    store16, Sixteen, xmm_reg, "movups [{dst} + {at}], {value}";
}

macro_rules! puts {
    ($($put:ident, $value:ty, $register:ident, $instruction:literal;)*) => {$(
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
                    aside!("89:", "mov {dst:e}, 0", "jmp 87b",),
                    dst = inout(reg) dst => after,
                    value = in($register) value,
                    options(nostack, preserves_flags)
                );
            }
            !after.is_null()
        }
    )*};
}

puts! {
    put1, u8, reg_byte, "mov byte ptr [{dst}], {value}";
    put2, u16, reg, "mov word ptr [{dst}], {value:x}";
    put4, u32, reg, "mov dword ptr [{dst}], {value:e}";
    put8, u64, reg, "mov qword ptr [{dst}], {value}";
}
