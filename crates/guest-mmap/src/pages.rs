//! The sizes of pages.

use std::io;

use guest_memory::FileOffset;
use nix::unistd::{SysconfVar, sysconf};

use crate::error::{Error, Result};
use crate::sys;

/// The size of a page of this system in bytes, a power of two.
pub(crate) fn page_size() -> usize {
    // POSIX has no system without it.
    let size = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    size.and_then(|size| usize::try_from(size).ok()).unwrap_or(4096)
}

/// The size of the huge pages that a mapping has, if it has any.
pub(crate) fn huge_page(file: Option<&FileOffset>, flags: i32) -> Option<usize> {
    match file {
        // mmap(2) takes no other pages than the file's, whatever the flags.
        Some(place) => sys::huge_page_of_file(place.file()).ok().flatten(),
        None => sys::huge_page_of_flags(flags),
    }
}

/// The size of the pages of a mapping of `len` bytes that is to be moved, 1 if they are not huge.
///
/// The system moves whole huge pages, also where the mapping was asked for in less. So where it does not tell their size (a
/// jail without `/proc`, a filter of system calls), the mapping is refused: it might be moved over what is behind its place.
/// What can be mapped only at multiples of some number has pages of that size here; the system moves it anywhere, and then
/// nobody can access it.
pub(crate) fn page_to_move(file: Option<&FileOffset>, flags: i32, len: usize) -> Result<usize> {
    match file {
        Some(place) => {
            let page = sys::huge_page_of_file(place.file()).map_err(Error::Mmap)?;
            match page {
                Some(page) => Ok(page),
                None => whole(sys::dax_alignment(place.file()).map_err(Error::Mmap)?, len),
            }
        }
        None => told(flags, sys::huge_page_of_flags(flags)),
    }
}

/// The alignment, or 1 if there is none. A length that is no multiple of it cannot be mapped, and would be rounded if it could.
fn whole(alignment: Option<usize>, len: usize) -> Result<usize> {
    match alignment {
        Some(alignment) if !len.is_multiple_of(alignment) => {
            Err(Error::Mmap(io::ErrorKind::InvalidInput.into()))
        }
        alignment => Ok(alignment.unwrap_or(1)),
    }
}

/// The size that was told, or 1 if the flags ask for no huge pages.
fn told(flags: i32, page: Option<usize>) -> Result<usize> {
    match page {
        Some(page) => Ok(page),
        None if flags & sys::HUGE_FLAGS == 0 => Ok(1),
        None => Err(Error::Mmap(io::ErrorKind::Unsupported.into())),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::{told, whole};

    #[test]
    fn huge_pages_of_unknown_size_are_not_taken_for_small_ones() {
        assert!(told(libc::MAP_HUGETLB | libc::MAP_PRIVATE, None).is_err());
        assert_eq!(told(libc::MAP_HUGETLB, Some(2 << 20)).unwrap(), 2 << 20);
        assert_eq!(told(libc::MAP_PRIVATE, None).unwrap(), 1);
    }
    #[test]
    fn what_is_mapped_at_multiples_alone_is_mapped_in_multiples() {
        assert_eq!(whole(Some(2 << 20), 4 << 20).unwrap(), 2 << 20);
        assert!(whole(Some(2 << 20), (4 << 20) - 0x1000).is_err());
        assert_eq!(whole(None, 0x1001).unwrap(), 1);
    }
}
