//! A position in a range of guest addresses that goes up from piece to piece, and never wraps.

use guest_address::{Address, GuestAddress};

/// What is left of a range of guest addresses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walk {
    /// Where it goes on, or `None` past the last address there is.
    addr: Option<GuestAddress>,
    left: usize,
}

/// Where a walk stands.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Position {
    /// At the end of the range.
    Done,
    /// At an address, with so many bytes to go, which are not 0.
    At(GuestAddress, usize),
    /// Past the end of the address space, before the end of the range.
    PastTheTop,
}

impl Walk {
    /// The range of `count` bytes from `addr` on.
    pub(crate) fn new(addr: GuestAddress, count: usize) -> Self {
        Self { addr: Some(addr), left: count }
    }

    pub(crate) fn position(&self) -> Position {
        match (self.left, self.addr) {
            (0, _) => Position::Done,
            (left, Some(addr)) => Position::At(addr, left),
            (_, None) => Position::PastTheTop,
        }
    }

    /// Goes up by `count` bytes, or to the end if that comes first.
    pub(crate) fn advance(&mut self, count: usize) {
        let count = count.min(self.left);
        self.left -= count;
        self.addr = self.addr.and_then(|addr| addr.checked_add(count as u64));
    }

    /// Goes to the end.
    pub(crate) fn finish(&mut self) {
        self.left = 0;
    }
}
