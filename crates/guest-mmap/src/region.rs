//! Mapped memory, with its dirty bitmap and the facts about it.

#![expect(unsafe_code, reason = "makes slices of the memory that it keeps mapped")]

use std::fmt;
use std::os::fd::AsRawFd;

use guest_memory::FileOffset;
use guest_volatile::{
    BS, Bitmap, Error as VolatileError, Stretch, VolatileMemory, VolatileSlice, compute_offset,
};
use nix::sys::stat::{SFlag, fstat};

use crate::error::Result;
use crate::mapping::Mapping;
use crate::placement::Placement;
use crate::sys;

/// A piece of memory that is mapped into this process, with a dirty bitmap.
///
/// Holding one says that the memory is mapped. It does not say that it stays as it is: the guest, devices and whoever
/// shares the file write it. What the protection forbids is an error of the access, not a signal.
///
/// A file that another process truncates under the mapping is beyond this: an access past the new end is
/// still a `SIGBUS`, as is one to a page that the file system cannot give (a disk that is full or broken). Construction
/// checks the size, where the file has one.
///
/// # Invariants
///
/// The bytes of `mapping` are [valid](guest_volatile#valid) as long as it lives, for what `prot` permits: reading, or
/// both reading and writing. (But for what is said above of files, where the system cannot keep it.)
#[derive(Debug)]
pub struct MmapRegion<B = ()> {
    pub(crate) mapping: Mapping,
    pub(crate) bitmap: B,
    pub(crate) file_offset: Option<FileOffset>,
    pub(crate) prot: i32,
    pub(crate) flags: i32,
    pub(crate) hugetlbfs: Option<bool>,
    pub(crate) placement: Placement,
}

impl<B> MmapRegion<B> {
    /// The address of the first byte in this process.
    pub fn as_ptr(&self) -> *mut u8 {
        self.mapping.addr().as_ptr()
    }

    /// The length in bytes.
    pub fn size(&self) -> usize {
        self.mapping.size()
    }

    /// The place in a file that is mapped, if one is.
    pub fn file_offset(&self) -> Option<&FileOffset> {
        self.file_offset.as_ref()
    }

    /// The protection, as `mmap(2)` has it.
    pub fn prot(&self) -> i32 {
        self.prot
    }

    /// The flags, as `mmap(2)` has them.
    pub fn flags(&self) -> i32 {
        self.flags
    }

    /// Whether the memory is unmapped with the region; memory given by a pointer is not.
    pub fn owned(&self) -> bool {
        self.mapping.is_owned()
    }

    /// Notes whether the memory is of huge pages by hugetlbfs.
    pub fn set_hugetlbfs(&mut self, hugetlbfs: bool) {
        self.hugetlbfs = Some(hugetlbfs);
    }

    /// Whether the memory is of huge pages by hugetlbfs: as noted, or found when it was mapped.
    pub fn is_hugetlbfs(&self) -> Option<bool> {
        self.hugetlbfs
    }

    /// What came of the wishes for the memory's pages, when it was mapped.
    pub fn placement(&self) -> Placement {
        self.placement
    }

    /// The dirty bitmap.
    pub fn bitmap(&self) -> &B {
        &self.bitmap
    }

    /// The host addresses that the memory may be joined with its neighbours' in, if it is in a [span](crate::GuestSpan).
    pub fn stretch(&self) -> Option<&Stretch> {
        self.mapping.stretch()
    }

    /// Whether this and `other` map a byte of the same file.
    ///
    /// A regular file (a memfd is one) is the same by its device and inode, whatever the descriptors; anything else
    /// only by the descriptor, because what two openings of a device map is known to its driver.
    pub fn fds_overlap<T>(&self, other: &MmapRegion<T>) -> bool {
        let (Some(here), Some(there)) = (self.file_offset(), other.file_offset()) else {
            return false;
        };
        let ends = |place: &FileOffset, size: usize| {
            (place.start(), place.start().saturating_add(size as u64))
        };
        let (start, end) = ends(here, self.size());
        let (other_start, other_end) = ends(there, other.size());
        start < other_end && other_start < end && same_file(here, there)
    }

    /// Unmaps the memory now, and tells how that went; to drop the region tells nobody. Memory given by a pointer stays.
    ///
    /// # Errors
    ///
    /// [`Mmap`](crate::MmapRegionError::Mmap) if the system refuses, which leaves the memory mapped for ever.
    pub fn unmap(self) -> Result<()> {
        self.mapping.unmap()
    }

    /// The same memory with another bitmap.
    pub(crate) fn with_bitmap<T>(self, bitmap: T) -> MmapRegion<T> {
        // INVARIANT: the same mapping, with the same protection.
        MmapRegion {
            mapping: self.mapping,
            bitmap,
            file_offset: self.file_offset,
            prot: self.prot,
            flags: self.flags,
            hugetlbfs: self.hugetlbfs,
            placement: self.placement,
        }
    }

    /// Writes in a few words what the memory is.
    pub(crate) fn fmt_backing(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.file_offset() {
            Some(place) => {
                let name = sys::file_name(place.file())
                    .unwrap_or_else(|| format!("descriptor {}", place.file().as_raw_fd()));
                // A peer who sent the descriptor has named it: what is no letter must not reach a terminal or a log.
                write!(f, "file {} at {:#x}", name.escape_debug(), place.start())?;
            }
            None if self.owned() => f.write_str("anonymous")?,
            None => f.write_str("given by pointer")?,
        }
        if self.owned() {
            // `MAP_SHARED_VALIDATE` has the bit too.
            let shared = self.flags & libc::MAP_SHARED != 0;
            f.write_str(if shared { ", shared" } else { ", private" })?;
        }
        match (self.is_readable(), self.is_writable()) {
            (_, true) => Ok(()),
            (true, false) => f.write_str(", read-only"),
            (false, false) => f.write_str(", no access"),
        }
    }

    fn is_readable(&self) -> bool {
        self.prot & libc::PROT_READ != 0
    }

    fn is_writable(&self) -> bool {
        self.prot & libc::PROT_WRITE != 0
    }
}

fn same_file(one: &FileOffset, other: &FileOffset) -> bool {
    if one.file().as_raw_fd() == other.file().as_raw_fd() {
        return true;
    }
    match (fstat(one.file()), fstat(other.file())) {
        (Ok(one), Ok(other)) => {
            let is_regular =
                SFlag::from_bits_truncate(one.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG;
            is_regular && (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
        }
        _ => false,
    }
}

impl<B: Bitmap> VolatileMemory for MmapRegion<B> {
    type B = B;

    #[inline]
    fn len(&self) -> usize {
        self.size()
    }

    #[inline]
    fn get_slice(
        &self,
        offset: usize,
        count: usize,
    ) -> std::result::Result<VolatileSlice<'_, BS<'_, B>>, VolatileError> {
        let end = compute_offset(offset, count)?;
        if end > self.size() {
            return Err(VolatileError::OutOfBounds { addr: end });
        }
        // To get no bytes is no access.
        if count != 0 && !self.is_readable() {
            return Err(VolatileError::NotReadable);
        }
        let addr = self.as_ptr().wrapping_add(offset);
        let bitmap = self.bitmap.slice_at(offset);
        // SAFETY: the bytes lie inside the mapping, as was just checked, which lives as long as `self` is borrowed. If there are
        // any, they are valid for reading, by the type's invariant; where they are not for writing, the slice is made
        // read-only before anyone gets it. Offset 0 of the bitmap's view stands for the byte at `addr`.
        let slice = unsafe { VolatileSlice::with_bitmap(addr, count, bitmap, None) };
        Ok(if self.is_writable() { slice } else { slice.read_only() })
    }
}
