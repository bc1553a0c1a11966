//! How to read a hypervisor's dirty log.

/// Bytes that one bit of a dirty log stands for.
pub const PAGE_SIZE: u64 = 4096;

/// Whether the hypervisor keeps a dirty log of a memslot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirtyLog {
    /// It does. The guest's memory is then mapped in 4 KiB pages.
    On,
    /// It does not.
    Off,
}

/// The numbers of the pages that a dirty log names, in rising order.
///
/// ```
/// assert!(demo::pages_in(&[0b101, 1]).eq([0, 2, 64]));
/// ```
pub fn pages_in(log: &[u64]) -> impl Iterator<Item = u64> + '_ {
    (0..).step_by(64).zip(log).flat_map(|(base, &word)| {
        (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| base + bit)
    })
}
