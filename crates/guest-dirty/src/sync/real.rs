//! The language's own.

pub(crate) use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};

/// What is in a word that nobody else uses meanwhile.
#[inline(always)]
pub(crate) fn value(word: &mut AtomicU64) -> u64 {
    *word.get_mut()
}

/// Takes what is in a word that nobody else uses meanwhile.
#[inline(always)]
pub(crate) fn take(word: &mut AtomicU64) -> u64 {
    core::mem::take(word.get_mut())
}
