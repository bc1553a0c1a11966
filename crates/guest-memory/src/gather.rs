//! Several ranges of guest memory as one list of slices: a chain of descriptors.

use guest_address::GuestAddress;
use guest_volatile::{BS, Error as VolatileError, VolatileSlice};

use crate::error::Result;
use crate::io_memory::IoMemory;
use crate::lists::{at_hand, gather_pieces};
use crate::permissions::Permissions;

/// Takes the slices of several ranges of guest memory at once.
///
/// A chain of descriptors names buffers all over guest memory, and is one operation on one file. Here all of its buffers
/// are looked up and checked before a byte moves; then the list is read or written by one system call, with
/// [`ReadVolatileAt::read_vectored_volatile_at`](guest_volatile::ReadVolatileAt::read_vectored_volatile_at) and its siblings,
/// or lent to an engine by `as_iovecs` (feature `rawfd` of guest-volatile).
///
/// Every [`IoMemory`] has it.
pub trait GatherSlices: IoMemory {
    /// Adds the slices that each of `ranges` lies in to `list`, in order, and returns how many bytes they are.
    ///
    /// Each range is an address and a number of bytes; one of 0 bytes adds nothing, wherever it is. The list is the
    /// caller's: a `Vec`, or something that keeps a few on the stack. It grows by at least one slice a range, so a caller
    /// who takes ranges from a guest bounds their number, as virtio bounds a chain by its queue's size.
    ///
    /// # Errors
    ///
    /// If some byte of some range is not there or may not be accessed so, or there are more bytes than a `usize` counts. The list then
    /// holds the slices of what comes before; nothing was read or written.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// let memory = map(); // [0x1000, 0x3000) and [0x8000, 0x9000)
    /// let chain = [(GuestAddress(0x8000), 3), (GuestAddress(0x1ffc), 7)];
    /// let mut list = Vec::new();
    /// assert_eq!(memory.gather_slices(chain, Permissions::Write, &mut list)?, 10);
    /// assert_eq!(list.len(), 3); // the second range is in two regions
    ///
    /// b"ten bytes."[..].read_exact_vectored_volatile_at(&mut list, 0)?;
    /// assert_eq!(memory.read_obj::<[u8; 3]>(GuestAddress(0x8000))?, *b"ten");
    /// assert_eq!(memory.read_obj::<[u8; 7]>(GuestAddress(0x1ffc))?, *b" bytes.");
    /// # Ok::<(), GuestMemoryError>(())
    /// ```
    fn gather_slices<'a>(
        &'a self,
        ranges: impl IntoIterator<Item = (GuestAddress, usize)>,
        access: Permissions,
        list: &mut impl Extend<VolatileSlice<'a, BS<'a, Self::Bitmap>>>,
    ) -> Result<usize> {
        let mut total = 0_usize;
        for (addr, count) in ranges {
            let sum = total.checked_add(count);
            total = sum.ok_or(VolatileError::Overflow { base: total, offset: count })?;
            if count == 0 {
                continue;
            }
            match at_hand(self, addr, count, access) {
                Some(slice) => list.extend([slice]),
                None => gather_pieces(self, addr, count, access, list)?,
            }
        }
        Ok(total)
    }
}

impl<M: IoMemory + ?Sized> GatherSlices for M {}
