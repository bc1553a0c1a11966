//! Read-modify-writes by single instructions, which processors from ARMv8.1 on have (`lse`).
//!
//! They acquire and release, whatever order is asked for, as the pairs of the room `exclusive` do, which are for those that have not.

/// The body of a change by `$instruction`.
macro_rules! change {
    ($instruction:literal, $int:ty, $s:literal, $m:literal, $dst:expr, $value:expr) => {{
        let (before, after): (u64, *mut $int);
        // SAFETY: it reads and writes the integer at the address, which is valid by the promise of the caller of the function, and touches neither
        // the stack nor the flags. Where it faults it goes on as if it had read something.
        unsafe {
            core::arch::asm!(
                at_risk!(concat!($instruction, "al", $s, " {value", $m, "}, {before", $m, "}, [{at}]"), "89f"),
                "87:",
                aside!("89:", "mov {at}, xzr", "b 87b",),
                at = inout(reg) $dst => after,
                value = in(reg) $value,
                before = lateout(reg) before,
                options(nostack, preserves_flags)
            );
        }
        if after.is_null() { None } else { Some(before as $int) }
    }};
}

/// The body of an addition.
macro_rules! fetch_add {
    ($($of:tt)*) => {
        change!("ldadd", $($of)*)
    };
}

/// The body of a change that keeps the bits that both have: it clears those that the value has not.
macro_rules! fetch_and {
    ($int:ty, $s:literal, $m:literal, $dst:expr, $value:expr) => {
        change!("ldclr", $int, $s, $m, $dst, !$value)
    };
}

/// The body of a change that has the bits of both.
macro_rules! fetch_or {
    ($($of:tt)*) => {
        change!("ldset", $($of)*)
    };
}

/// The body of a compare-and-exchange.
macro_rules! compare_exchange {
    ($int:ty, $s:literal, $m:literal, $dst:expr, $current:expr, $new:expr) => {{
        let (before, after): (u64, *mut $int);
        // SAFETY: it reads and perhaps writes the integer at the address, which is valid by the promise of the caller of the function, and touches neither
        // the stack nor the flags. Where it faults it goes on as if it had not found `$current`.
        unsafe {
            core::arch::asm!(
                at_risk!(concat!("casal", $s, " {current", $m, "}, {new", $m, "}, [{at}]"), "89f"),
                "87:",
                aside!("89:", "mov {at}, xzr", "b 87b",),
                at = inout(reg) $dst => after,
                current = inout(reg) $current as u64 => before,
                new = in(reg) $new,
                options(nostack, preserves_flags)
            );
        }
        if after.is_null() { None } else { Some(before as $int) }
    }};
}
