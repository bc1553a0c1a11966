//! What is asked of the pages of a mapping, and what the system makes of it.

use std::ptr::NonNull;

use crate::error::{Error, Result};
use crate::sys;

/// What became of a wish.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wish {
    /// Nobody asked.
    #[default]
    NotAsked,
    /// The system did what was asked.
    Granted,
    /// The system cannot do it: it is too old or is built without, or the memory is of a kind for which it is not done.
    NotGranted,
}

/// What came of the wishes for the pages of a [`MmapRegion`](crate::MmapRegion).
///
/// It tells what was the case when the memory was mapped. The system may take pages away later, as it may any.
///
/// ```
/// use guest_mmap::{MmapRegionBuilder, Wish};
///
/// let region = MmapRegionBuilder::<()>::new(8 << 20)
///     .with_transparent_huge_pages()
///     .with_prefault()
///     .build()?;
/// if region.placement().prefault != Wish::Granted {
///     println!("the guest's first accesses will be slow");
/// }
/// # Ok::<(), guest_mmap::MmapRegionError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Placement {
    /// Whether the memory may be of transparent huge pages. That it is, the system does not say.
    pub transparent_huge_pages: Wish,
    /// Whether all pages were there.
    pub prefault: Wish,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wishes {
    pub(crate) transparent_huge_pages: bool,
    pub(crate) prefault: bool,
}

impl Wishes {
    /// Asks the system for it, for `size` bytes at `addr`, the start of a page, that are mapped with this protection.
    pub(crate) fn ask(self, addr: NonNull<u8>, size: usize, prot: i32) -> Result<Placement> {
        let told = |is_granted| if is_granted { Wish::Granted } else { Wish::NotGranted };
        let mut placement = Placement::default();
        // Before there are pages: those that are there stay as small as they are.
        if self.transparent_huge_pages {
            let is_granted = sys::allow_huge_pages(addr, size);
            placement.transparent_huge_pages = told(is_granted.map_err(Error::HugePages)?);
        }
        if self.prefault {
            let is_granted = if prot & libc::PROT_WRITE != 0 {
                sys::populate_for_writing(addr, size)
            } else if prot & libc::PROT_READ != 0 {
                sys::populate_for_reading(addr, size)
            } else {
                // Nobody can reach the pages.
                Ok(false)
            };
            placement.prefault = told(is_granted.map_err(Error::Prefault)?);
        }
        Ok(placement)
    }
}
