//! Those of loom.
//!
//! loom takes sequentially consistent operations for acquire and release, and has fences that are what they should be. So a word's
//! sequentially consistent operations are made of these: a fence and the operation. That is a little more than the language
//! promises, and what its implementations do.
//!
//! Under `cfg(loom_planted)` the fences are left out, and the summary's protocol must be seen to fail.

use core::sync::atomic::Ordering;

pub(crate) use loom::sync::atomic::{AtomicBool, AtomicUsize};

/// A word of bits.
#[derive(Default)]
pub(crate) struct AtomicU64(loom::sync::atomic::AtomicU64);

impl AtomicU64 {
    pub(crate) fn new(value: u64) -> Self {
        Self(loom::sync::atomic::AtomicU64::new(value))
    }

    pub(crate) fn load(&self, order: Ordering) -> u64 {
        self.0.load(match fenced(order) {
            Ordering::SeqCst => Ordering::Acquire,
            order => order,
        })
    }

    pub(crate) fn store(&self, value: u64, order: Ordering) {
        self.0.store(value, order);
    }

    pub(crate) fn swap(&self, value: u64, order: Ordering) -> u64 {
        self.0.swap(value, fenced(order))
    }

    pub(crate) fn fetch_or(&self, bits: u64, order: Ordering) -> u64 {
        self.0.fetch_or(bits, fenced(order))
    }

    pub(crate) fn fetch_and(&self, bits: u64, order: Ordering) -> u64 {
        self.0.fetch_and(bits, fenced(order))
    }
}

fn fenced(order: Ordering) -> Ordering {
    if order == Ordering::SeqCst && !cfg!(loom_planted) {
        loom::sync::atomic::fence(Ordering::SeqCst);
    }
    order
}

/// What is in a word that nobody else uses meanwhile.
pub(crate) fn value(word: &mut AtomicU64) -> u64 {
    word.0.with_mut(|value| *value)
}

/// Takes what is in a word that nobody else uses meanwhile.
pub(crate) fn take(word: &mut AtomicU64) -> u64 {
    word.0.with_mut(core::mem::take)
}
