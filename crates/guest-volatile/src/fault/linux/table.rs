//! The table of recoverable instructions, as the handler searches it.

#![expect(unsafe_code, reason = "reads what the assembly put into a section of this binary")]

use core::slice;

/// Two distances in bytes, each from where it stands itself: to an instruction, and to where it goes on if it faults.
#[repr(C)]
struct Entry {
    instruction: i32,
    fixup: i32,
}

/// An instruction's address, and the address at which it goes on if it faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Recovery {
    instruction: usize,
    fixup: usize,
}

/// All recoverable instructions of this binary, by address.
#[derive(Debug)]
pub(super) struct Table(Box<[Recovery]>);

/// The address that `distance` bytes from where the number itself stands.
fn target(distance: &i32) -> usize {
    // No overflow: the linker has computed it as the difference of two addresses.
    (&raw const *distance as usize).wrapping_add_signed(*distance as isize)
}

impl Table {
    /// That of this binary.
    pub(super) fn of_this_binary() -> Self {
        let [start, stop] = crate::sys::table();
        let count = (stop as usize).wrapping_sub(start as usize) / size_of::<Entry>();
        // SAFETY: the linker has put all sections of the name between the two addresses, one after the other; each consists of
        // entries of 8 bytes that are aligned to 4, and none of them is ever written after the program was loaded.
        let entries = unsafe { slice::from_raw_parts(start.cast::<Entry>(), count) };
        let mut table: Box<[Recovery]> = entries
            .iter()
            .map(|entry| Recovery {
                instruction: target(&entry.instruction),
                fixup: target(&entry.fixup),
            })
            .collect();
        table.sort_unstable();
        Self(table)
    }

    /// Where the instruction at this address goes on if it faults, if it is one of them. Safe in a signal.
    pub(super) fn fixup(&self, instruction: usize) -> Option<usize> {
        let found = self.0.binary_search_by_key(&instruction, |entry| entry.instruction).ok()?;
        self.0.get(found).map(|entry| entry.fixup)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn the_table_has_the_instructions_of_this_binary_and_no_other() {
        let table = Table::of_this_binary();
        assert!(table.len() > 100, "{} entries", table.len());
        // No function starts with one of them.
        assert_eq!(table.fixup(Table::of_this_binary as *const () as usize), None);
        for pair in table.0.windows(2) {
            assert!(pair[0].instruction < pair[1].instruction, "one entry for each");
        }
        for entry in &table.0 {
            assert_eq!(table.fixup(entry.instruction), Some(entry.fixup));
            assert_eq!(table.fixup(entry.instruction + 1), None, "an instruction of one byte");
        }
    }
}
