//! How memory is mapped: what is asked for, and what is checked before the system is asked.

#![expect(unsafe_code, reason = "takes pointers to memory that a caller has mapped")]

use std::fmt;

use guest_address::GuestAddress;
use guest_memory::FileOffset;
use guest_volatile::{Bitmap, NewBitmap};
use nix::sys::stat::{FileStat, SFlag, fstat};

use crate::error::{Error, Result};
use crate::mapping::Mapping;
use crate::pages::{huge_page, page_size};
use crate::placement::Wishes;
use crate::region::MmapRegion;
use crate::span::GuestSpan;
use crate::sys;

/// Asks for a [`MmapRegion`], one wish after the other.
///
/// Without further wishes it is anonymous memory, private, readable and writable, not reserved before it is used.
///
/// ```
/// use guest_mmap::MmapRegionBuilder;
/// let region = MmapRegionBuilder::<()>::new(0x1000).with_mmap_prot(libc::PROT_READ).build()?;
/// assert_eq!(region.size(), 0x1000);
/// # Ok::<(), guest_mmap::MmapRegionError>(())
/// ```
#[derive(Debug)]
pub struct MmapRegionBuilder<B = ()> {
    size: usize,
    prot: i32,
    flags: Option<i32>,
    file_offset: Option<FileOffset>,
    place: Place,
    hugetlbfs: Option<bool>,
    wishes: Wishes,
    bitmap: B,
}

/// Where memory is to be.
enum Place {
    /// Where the system likes.
    Anywhere,
    /// Where a caller says that it is.
    Given(*mut u8),
    /// Where a span has a guest address.
    InSpan(GuestSpan, GuestAddress),
}

impl fmt::Debug for Place {
    /// Shows no host address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anywhere => f.write_str("Anywhere"),
            Self::Given(_) => f.write_str("Given"),
            Self::InSpan(_, addr) => f.debug_tuple("InSpan").field(addr).finish(),
        }
    }
}

impl<B: Bitmap + Default> MmapRegionBuilder<B> {
    /// Asks for `size` bytes, with a bitmap as its type's default is.
    pub fn new(size: usize) -> Self {
        Self::new_with_bitmap(size, B::default())
    }
}

impl<B: Bitmap> MmapRegionBuilder<B> {
    /// Asks for `size` bytes, whose writes are marked in `bitmap`.
    pub fn new_with_bitmap(size: usize, bitmap: B) -> Self {
        Self {
            size,
            prot: libc::PROT_READ | libc::PROT_WRITE,
            flags: None,
            file_offset: None,
            place: Place::Anywhere,
            hugetlbfs: None,
            wishes: Wishes::default(),
            bitmap,
        }
    }

    /// Asks for a protection: `PROT_` constants of `mmap(2)`. `PROT_WRITE` includes `PROT_READ`.
    ///
    /// An access that the protection forbids will be an error.
    #[must_use]
    pub fn with_mmap_prot(mut self, prot: i32) -> Self {
        self.prot = prot;
        self
    }

    /// Asks for flags: `MAP_` constants of `mmap(2)`.
    ///
    /// `MAP_NORESERVE` with huge pages is taken at its word: an access is a `SIGBUS` if there is no page left. Without
    /// it the system either has the pages or refuses the mapping.
    #[must_use]
    pub fn with_mmap_flags(mut self, flags: i32) -> Self {
        self.flags = Some(flags);
        self
    }

    /// Asks for a file's bytes from an offset on, which is a multiple of the page size.
    #[must_use]
    pub fn with_file_offset(mut self, file_offset: FileOffset) -> Self {
        self.file_offset = Some(file_offset);
        self
    }

    /// Notes whether the memory is of huge pages by hugetlbfs. To get them, map a file of hugetlbfs or use the flag
    /// `MAP_HUGETLB`; then it is noted without being told.
    #[must_use]
    pub fn with_hugetlbfs(mut self, hugetlbfs: bool) -> Self {
        self.hugetlbfs = Some(hugetlbfs);
        self
    }

    /// Lets the memory be of transparent huge pages (`MADV_HUGEPAGE`), wherever a whole one fits: that is for the system to
    /// choose. In a [span](GuestSpan) they fit where they do in the guest.
    ///
    /// [`MmapRegion::placement`] tells whether the system knows of them; for files it needs one that has them, such as a memfd
    /// where `/sys/kernel/mm/transparent_hugepage/shmem_enabled` is `advise`.
    #[must_use]
    pub fn with_transparent_huge_pages(mut self) -> Self {
        self.wishes.transparent_huge_pages = true;
        self
    }

    /// Has all pages there before the memory is used (`MADV_POPULATE_WRITE`, or `MADV_POPULATE_READ` if it is read-only; Linux
    /// 5.14), so that no access waits for one. It takes as long as the system needs to fill them with zeros. No byte
    /// changes, and none is marked dirty.
    ///
    /// Pages that cannot be had are an error here, where without it the first access would be a signal: of a file on a disk
    /// that is full, or of huge pages that were not reserved.
    ///
    /// An older system has no way to do this that writes nothing, which would be the guest's bytes if the memory is shared: so it
    /// is not done then, and [`MmapRegion::placement`] tells. Nor is it done for memory without access.
    #[must_use]
    pub fn with_prefault(mut self) -> Self {
        self.wishes.prefault = true;
        self
    }

    /// Asks for memory where `span` has the guest address `addr`, so that it lies in this process as it does in the guest. It
    /// is for [`GuestRegionMmap::new`](crate::GuestRegionMmap::new) at that address.
    ///
    /// What else is asked for holds as elsewhere. Of this and memory given by a pointer the last asked for is taken.
    ///
    /// ```
    /// use guest_memory::{GuestAddress, GuestRange};
    /// use guest_mmap::{GuestRegionMmap, GuestSpan, MmapRegionBuilder};
    ///
    /// let span = GuestSpan::new(GuestRange::new(GuestAddress(0), 1 << 30).unwrap())?;
    /// let rom = MmapRegionBuilder::<()>::new(0x1000)
    ///     .with_mmap_prot(libc::PROT_READ)
    ///     .with_span(&span, GuestAddress(0xf_f000))
    ///     .build()?;
    /// let region = GuestRegionMmap::new(rom, GuestAddress(0xf_f000)).expect("it is inside");
    /// # Ok::<(), guest_mmap::MmapRegionError>(())
    /// ```
    #[must_use]
    pub fn with_span(mut self, span: &GuestSpan, addr: GuestAddress) -> Self {
        self.place = Place::InSpan(span.clone(), addr);
        self
    }

    /// Asks for memory that is mapped already, at a page's start. It is not unmapped with the region, and what else is
    /// asked for is noted, not checked. The wishes for pages are asked of the system all the same.
    ///
    /// # Safety
    ///
    /// The bytes at `raw_ptr`, as many as the region has, must be [valid](guest_volatile#valid) for as long as the region
    /// lives: for reading if the protection asked for includes it, and for writing likewise.
    #[must_use]
    pub unsafe fn with_raw_mmap_pointer(mut self, raw_ptr: *mut u8) -> Self {
        self.place = Place::Given(raw_ptr);
        self
    }

    /// Maps the memory.
    ///
    /// # Errors
    ///
    /// Those of [`MmapRegionError`](crate::MmapRegionError); nothing is mapped then.
    pub fn build(self) -> Result<MmapRegion<B>> {
        // No processor has memory that may be written and not read; a slice can do both or only read.
        let prot =
            if self.prot & libc::PROT_WRITE != 0 { self.prot | libc::PROT_READ } else { self.prot };
        let file = self.file_offset.as_ref();
        let flags = self.flags.unwrap_or_else(|| default_flags(file));
        let is_checked = !matches!(self.place, Place::Given(_));
        if let (Some(file), true) = (file, is_checked) {
            check_file(file, self.size)?;
        }
        let mapping = match self.place {
            Place::Anywhere => Mapping::new(self.size, prot, flags, file)?,
            Place::InSpan(span, addr) => {
                Mapping::in_span(&span, addr, self.size, prot, flags, file)?
            }
            // SAFETY: the promise of `with_raw_mmap_pointer`: the bytes are mapped as long as the region lives.
            Place::Given(addr) => unsafe { Mapping::foreign(addr, self.size) }?,
        };
        let placement = self.wishes.ask(mapping.addr(), mapping.size(), prot)?;
        let hugetlbfs = self.hugetlbfs.or(huge_page(file, flags).map(|_| true));
        // INVARIANT: it was mapped with this protection, or is valid for it by the promise of `with_raw_mmap_pointer`.
        Ok(MmapRegion {
            mapping,
            bitmap: self.bitmap,
            file_offset: self.file_offset,
            prot,
            flags,
            hugetlbfs,
            placement,
        })
    }
}

impl MmapRegionBuilder {
    /// As [`build`](Self::build), with a bitmap that is made once there is memory of that length: for a length that no memory
    /// has, it would be the allocator that fails, which aborts the process.
    pub(crate) fn build_with_new_bitmap<B: NewBitmap>(self) -> Result<MmapRegion<B>> {
        let region = self.build()?;
        let bitmap = B::with_len(region.size());
        Ok(region.with_bitmap(bitmap))
    }
}

/// The flags where nobody says others.
fn default_flags(file: Option<&FileOffset>) -> i32 {
    match file {
        None => libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
        // A huge page that is not reserved may be missing at the first access, which then is a SIGBUS.
        Some(_) if huge_page(file, 0).is_some() => libc::MAP_SHARED,
        Some(_) => libc::MAP_SHARED | libc::MAP_NORESERVE,
    }
}

/// Checks that the file has the bytes, if it is one that says so.
fn check_file(place: &FileOffset, size: usize) -> Result<()> {
    let page_size = page_size() as u64;
    let end = place.start().checked_add(size as u64).ok_or(Error::InvalidOffsetLength)?;
    if i64::try_from(end).is_err() {
        return Err(Error::InvalidOffsetLength);
    }
    if !place.start().is_multiple_of(page_size) {
        return Err(Error::UnalignedOffset { start: place.start(), page_size });
    }
    match fstat(place.file()).ok().and_then(|status| file_size(&status)) {
        Some(len) if end > len => Err(Error::MappingPastEof),
        _ => Ok(()),
    }
}

/// The size in bytes, if it is a file that can be asked: a character device cannot, nor can a driver's own file.
fn file_size(status: &FileStat) -> Option<u64> {
    match SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT {
        SFlag::S_IFREG => u64::try_from(status.st_size).ok(),
        SFlag::S_IFBLK => sys::block_device_size(status.st_rdev),
        _ => None,
    }
}

impl<B: NewBitmap> MmapRegion<B> {
    /// Maps `size` bytes of anonymous memory: private, readable and writable.
    ///
    /// # Errors
    ///
    /// Those of [`MmapRegionBuilder::build`].
    ///
    /// ```
    /// use guest_memory::VolatileMemory;
    /// let region = guest_mmap::MmapRegion::<()>::new(0x1000)?;
    /// region.get_ref::<u32>(0)?.store(7);
    /// assert_eq!(region.get_ref::<u32>(0)?.load(), 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(size: usize) -> Result<Self> {
        MmapRegionBuilder::new(size).build_with_new_bitmap()
    }

    /// Maps `size` bytes of a file: shared, readable and writable. The mapping outlives the descriptor.
    ///
    /// # Errors
    ///
    /// Those of [`MmapRegionBuilder::build`].
    pub fn from_file(file_offset: FileOffset, size: usize) -> Result<Self> {
        MmapRegionBuilder::new(size).with_file_offset(file_offset).build_with_new_bitmap()
    }

    /// Maps `size` bytes, of a file if one is given, with the protection and flags of `mmap(2)`.
    ///
    /// # Errors
    ///
    /// Those of [`MmapRegionBuilder::build`].
    pub fn build(
        file_offset: Option<FileOffset>,
        size: usize,
        prot: i32,
        flags: i32,
    ) -> Result<Self> {
        let mut builder = MmapRegionBuilder::new(size).with_mmap_prot(prot).with_mmap_flags(flags);
        if let Some(file_offset) = file_offset {
            builder = builder.with_file_offset(file_offset);
        }
        builder.build_with_new_bitmap()
    }

    /// A region of `size` bytes at `addr` that are mapped already, with this protection and these flags.
    ///
    /// # Errors
    ///
    /// Those of [`MmapRegionBuilder::build`].
    ///
    /// # Safety
    ///
    /// As for [`MmapRegionBuilder::with_raw_mmap_pointer`].
    pub unsafe fn build_raw(addr: *mut u8, size: usize, prot: i32, flags: i32) -> Result<Self> {
        let builder = MmapRegionBuilder::new(size).with_mmap_prot(prot).with_mmap_flags(flags);
        // SAFETY: the caller's promise.
        unsafe { builder.with_raw_mmap_pointer(addr) }.build_with_new_bitmap()
    }
}
