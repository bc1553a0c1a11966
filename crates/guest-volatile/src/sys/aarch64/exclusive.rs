//! Read-modify-writes by a pair of exclusive instructions, which every processor of the architecture has.
//!
//! The load acquires and the store releases, whatever order is asked for: that is what the compiler makes of the strongest, and the weaker ones are rare
//! on guest memory. The store is done only if nobody has written the place since the load; else both are tried again. A load after which nothing is stored leaves
//! the processor watching a place that the next such load changes. A fault of either ends it.

/// The body of a change by `$instruction`, which makes the new value of what was there and another.
macro_rules! change {
    ($instruction:literal, $int:ty, $s:literal, $m:literal, $dst:expr, $value:expr) => {{
        let (before, after): (u64, *mut $int);
        // SAFETY: it reads and writes the integer at the address, which is valid by the promise of the caller of the function, and touches neither
        // the stack nor the flags. Where it faults it goes on as if it had read something.
        unsafe {
            core::arch::asm!(
                "2:",
                at_risk!(concat!("ldaxr", $s, " {before", $m, "}, [{at}]"), "89f"),
                concat!($instruction, " {new", $m, "}, {before", $m, "}, {value", $m, "}"),
                at_risk!(concat!("stlxr", $s, " {failed:w}, {new", $m, "}, [{at}]"), "89f"),
                "cbnz {failed:w}, 2b",
                "87:",
                aside!("89:", "mov {at}, xzr", "b 87b",),
                at = inout(reg) $dst => after,
                value = in(reg) $value,
                before = out(reg) before,
                new = out(reg) _,
                failed = out(reg) _,
                options(nostack, preserves_flags)
            );
        }
        if after.is_null() { None } else { Some(before as $int) }
    }};
}

/// The body of an addition.
macro_rules! fetch_add {
    ($($of:tt)*) => {
        change!("add", $($of)*)
    };
}

/// The body of a change that keeps the bits that both have.
macro_rules! fetch_and {
    ($($of:tt)*) => {
        change!("and", $($of)*)
    };
}

/// The body of a change that has the bits of both.
macro_rules! fetch_or {
    ($($of:tt)*) => {
        change!("orr", $($of)*)
    };
}

/// The body of a compare-and-exchange.
macro_rules! compare_exchange {
    ($int:ty, $s:literal, $m:literal, $dst:expr, $current:expr, $new:expr) => {{
        let (before, after): (u64, *mut $int);
        // SAFETY: it reads and perhaps writes the integer at the address, which is valid by the promise of the caller of the function, and touches neither
        // the stack nor the flags. Where it faults it goes on as if it had read something.
        unsafe {
            core::arch::asm!(
                "2:",
                at_risk!(concat!("ldaxr", $s, " {before", $m, "}, [{at}]"), "89f"),
                // Both have zeroes above the integer.
                "eor {failed}, {before}, {current}",
                "cbnz {failed}, 87f",
                at_risk!(concat!("stlxr", $s, " {failed:w}, {new", $m, "}, [{at}]"), "89f"),
                "cbnz {failed:w}, 2b",
                "87:",
                aside!("89:", "mov {at}, xzr", "b 87b",),
                at = inout(reg) $dst => after,
                current = in(reg) $current as u64,
                new = in(reg) $new,
                before = out(reg) before,
                failed = out(reg) _,
                options(nostack, preserves_flags)
            );
        }
        if after.is_null() { None } else { Some(before as $int) }
    }};
}
