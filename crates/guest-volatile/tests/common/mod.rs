//! What the tests share: memory of a known alignment, and a dirty bitmap that writes down every mark.

#![allow(dead_code, reason = "each test uses a part of it")]
#![expect(unsafe_code, reason = "makes a slice with a bitmap of a slice without one")]

pub(crate) mod files;
#[cfg(feature = "alloc")]
pub(crate) mod region;

use std::fmt;
use std::process::Command;
use std::sync::Mutex;

use guest_volatile::{Bitmap, BitmapSlice, VolatileSlice, WithBitmapSlice};

/// Memory whose first byte has a high alignment, so that an offset says how an address is aligned.
#[repr(align(64))]
pub(crate) struct Ram<const N: usize>(pub(crate) [u8; N]);

impl<const N: usize> Ram<N> {
    /// Bytes of zero.
    pub(crate) fn zeroed() -> Self {
        Self([0; N])
    }

    /// Bytes that count from 1 to 251, over and over.
    pub(crate) fn counting() -> Self {
        Self(std::array::from_fn(|index| (index % 251 + 1) as u8))
    }

    /// The bytes, as volatile memory.
    pub(crate) fn slice(&mut self) -> VolatileSlice<'_> {
        VolatileSlice::from(&mut self.0[..])
    }
}

/// The command that runs this program, if it is not the processor that does: what cargo was told for a target that it cannot run itself.
pub(crate) fn emulator() -> Option<Command> {
    let told =
        cfg!(target_arch = "aarch64").then_some("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER")?;
    let told = std::env::var(told).ok()?;
    let mut words = told.split_whitespace();
    let mut command = Command::new(words.next()?);
    command.args(words);
    Some(command)
}

/// The command that runs this program again.
pub(crate) fn this_program() -> Command {
    let program = std::env::current_exe().expect("this test");
    match emulator() {
        Some(mut command) => {
            command.arg(program);
            command
        }
        None => Command::new(program),
    }
}

/// All bytes of `slice`.
pub(crate) fn bytes<B: BitmapSlice>(slice: &VolatileSlice<'_, B>) -> Vec<u8> {
    let mut bytes = vec![0; slice.len()];
    slice.read_slice(&mut bytes, 0).expect("its own length");
    bytes
}

/// One call of `mark_dirty` with a length that is not 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The first byte that it marked.
    pub(crate) start: usize,
    /// What the marked bytes were when it did.
    pub(crate) bytes: Vec<u8>,
}

/// A bitmap that keeps the marks instead of bits.
#[derive(Debug, Default)]
pub(crate) struct Log(Mutex<Vec<(usize, usize, Vec<u8>)>>);

impl Log {
    /// `memory`, with every write to it marked here.
    pub(crate) fn watch<'a>(&'a self, memory: VolatileSlice<'a>) -> VolatileSlice<'a, View<'a>> {
        let view = View { log: self, base: 0, memory: Some(memory) };
        let addr = memory.host_ptr_mut().as_ptr();
        // SAFETY: the memory's bytes are valid for `'a`, and writable, or the guard would be of no length.
        unsafe { VolatileSlice::with_bitmap(addr, memory.len(), view, None) }
    }

    /// The marks since the last call, as start and length.
    pub(crate) fn take(&self) -> Vec<(usize, usize)> {
        let marks = std::mem::take(&mut *self.0.lock().expect("no panic while it is held"));
        marks.into_iter().map(|(start, len, _)| (start, len)).collect()
    }

    /// The marks since the last call, with what the bytes were when they were marked.
    pub(crate) fn take_marks(&self) -> Vec<Mark> {
        let marks = std::mem::take(&mut *self.0.lock().expect("no panic while it is held"));
        marks.into_iter().map(|(start, _, bytes)| Mark { start, bytes }).collect()
    }
}

impl<'a> WithBitmapSlice<'a> for Log {
    type S = View<'a>;
}

impl Bitmap for Log {
    fn mark_dirty(&self, offset: usize, len: usize) {
        self.slice_at(offset).mark_dirty(0, len);
    }

    fn dirty_at(&self, offset: usize) -> bool {
        let marks = self.0.lock().expect("no panic while it is held");
        marks.iter().any(|(start, len, _)| (*start..*start + *len).contains(&offset))
    }

    fn slice_at(&self, offset: usize) -> View<'_> {
        View { log: self, base: offset, memory: None }
    }
}

/// A view into a [`Log`] from some offset on.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    log: &'a Log,
    base: usize,
    /// All the memory that the log is about, to see what is in place when a mark comes.
    memory: Option<VolatileSlice<'a>>,
}

impl WithBitmapSlice<'_> for View<'_> {
    type S = Self;
}

impl BitmapSlice for View<'_> {
    fn goes_on_in(&self, next: &Self, len: usize) -> bool {
        std::ptr::eq(self.log, next.log) && self.base + len == next.base
    }
}

impl Bitmap for View<'_> {
    fn mark_dirty(&self, offset: usize, len: usize) {
        // By the trait's word: a length of 0 records nothing.
        if len == 0 {
            return;
        }
        let start = self.base.checked_add(offset).expect("an offset inside the memory");
        let mut bytes = Vec::new();
        if let Some(memory) = &self.memory {
            let marked = memory.subslice(start, len).expect("a mark inside the memory");
            // Of memory that faults, as much as is there.
            bytes = vec![0; len];
            let _ = marked.read_slice(&mut bytes, 0);
        }
        self.log.0.lock().expect("no panic while it is held").push((start, len, bytes));
    }

    fn dirty_at(&self, offset: usize) -> bool {
        self.log.dirty_at(self.base + offset)
    }

    fn slice_at(&self, offset: usize) -> Self {
        let base = self.base.checked_add(offset).expect("an offset inside the memory");
        Self { base, ..*self }
    }
}

impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("base", &self.base).finish()
    }
}
