//! A map of the guest's physical memory: regions, found by guest address.

use guest_address::{Address, GuestAddress, MemoryRegionAddress};
use guest_volatile::{BS, VolatileSlice};

use crate::error::{Error, Result};
use crate::region::GuestMemoryRegion;
use crate::walk::{Position, Walk};

/// The view into the dirty bitmap of the regions of the memory `M` that lives for `'a`.
pub type MS<'a, M> = BS<'a, <<M as GuestMemory>::R as GuestMemoryRegion>::B>;

/// The slices that a range of guest memory lies in, in the order of addresses; ends with an error at the first
/// byte that has no memory.
///
/// Made by [`GuestMemory::get_slices`].
#[derive(Debug)]
pub struct GuestMemorySliceIterator<'a, M: ?Sized> {
    pub(crate) memory: &'a M,
    pub(crate) walk: Walk,
}

/// A collection of regions that do not overlap: the memory of a guest.
///
/// Implement [`iter`](Self::iter), and [`find_region`](Self::find_region) if there is a faster way than to look at
/// one region after the other; everything else follows. [`GuestRegionCollection`](crate::GuestRegionCollection)
/// is the implementation to use.
pub trait GuestMemory {
    /// The regions' type.
    type R: GuestMemoryRegion;

    /// The number of regions.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// assert_eq!(map().num_regions(), 3);
    /// ```
    fn num_regions(&self) -> usize {
        self.iter().count()
    }

    /// The region that `addr` is in.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// let memory = map(); // [0x1000, 0x3000) and [0x8000, 0x9000)
    /// assert_eq!(memory.find_region(GuestAddress(0x2fff)).unwrap().start_addr(), GuestAddress(0x2000));
    /// assert!(memory.find_region(GuestAddress(0x3000)).is_none());
    /// ```
    fn find_region(&self, addr: GuestAddress) -> Option<&Self::R> {
        self.iter().find(|region| region.to_region_addr(addr).is_some())
    }

    /// The regions, in the order of addresses.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// let starts: Vec<_> = map().iter().map(|region| region.start_addr().0).collect();
    /// assert_eq!(starts, [0x1000, 0x2000, 0x8000]);
    /// ```
    fn iter(&self) -> impl Iterator<Item = &Self::R>;

    /// Calls `cb` with each region and its number, until it fails.
    ///
    /// # Errors
    ///
    /// The first that `cb` gives.
    ///
    /// ```
    /// # #![allow(deprecated)]
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// map().with_regions(|_, region| if region.len() == 0x1000 { Ok(()) } else { Err("odd") }).unwrap();
    /// ```
    #[deprecated(since = "0.1.0", note = "use `iter()`")]
    fn with_regions<F, E>(&self, cb: F) -> core::result::Result<(), E>
    where
        F: Fn(usize, &Self::R) -> core::result::Result<(), E>,
    {
        self.iter().enumerate().try_for_each(|(index, region)| cb(index, region))
    }

    /// Calls `cb`, which may keep state, with each region and its number, until it fails.
    ///
    /// # Errors
    ///
    /// The first that `cb` gives.
    ///
    /// ```
    /// # #![allow(deprecated)]
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// let mut bytes = 0;
    /// map().with_regions_mut(|_, region| Ok::<_, ()>(bytes += region.len())).unwrap();
    /// assert_eq!(bytes, 0x3000);
    /// ```
    #[deprecated(since = "0.1.0", note = "use `iter()`")]
    fn with_regions_mut<F, E>(&self, mut cb: F) -> core::result::Result<(), E>
    where
        F: FnMut(usize, &Self::R) -> core::result::Result<(), E>,
    {
        self.iter().enumerate().try_for_each(|(index, region)| cb(index, region))
    }

    /// Maps each region with its number to a value by `mapf`, and folds the values into `init` by `foldf`.
    ///
    /// ```
    /// # #![allow(deprecated)]
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// let bytes = map().map_and_fold(0, |(_, region)| region.len(), |sum, len| sum + len);
    /// assert_eq!(bytes, 0x3000);
    /// ```
    #[deprecated(since = "0.1.0", note = "use `iter()`")]
    fn map_and_fold<F, G, T>(&self, init: T, mapf: F, foldf: G) -> T
    where
        F: Fn((usize, &Self::R)) -> T,
        G: Fn(T, T) -> T,
    {
        self.iter().enumerate().map(mapf).fold(init, foldf)
    }

    /// The last address of the last region; 0 if there is no region.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// assert_eq!(map().last_addr(), GuestAddress(0x8fff));
    /// ```
    fn last_addr(&self) -> GuestAddress {
        self.iter().map(GuestMemoryRegion::last_addr).max().unwrap_or_default()
    }

    /// The region that `addr` is in, and the address in it.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// let memory = map(); // [0x1000, 0x3000) and [0x8000, 0x9000)
    /// let (region, inside) = memory.to_region_addr(GuestAddress(0x2010)).unwrap();
    /// assert_eq!((region.start_addr(), inside), (GuestAddress(0x2000), MemoryRegionAddress(0x10)));
    /// ```
    fn to_region_addr(&self, addr: GuestAddress) -> Option<(&Self::R, MemoryRegionAddress)> {
        let region = self.find_region(addr)?;
        Some((region, region.to_region_addr(addr)?))
    }

    /// Whether there is memory at `addr`.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// assert!(map().address_in_range(GuestAddress(0x2fff)));
    /// assert!(!map().address_in_range(GuestAddress(0x3000)));
    /// ```
    fn address_in_range(&self, addr: GuestAddress) -> bool {
        self.find_region(addr).is_some()
    }

    /// `addr`, if there is memory at it.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// assert_eq!(map().check_address(GuestAddress(0x2fff)), Some(GuestAddress(0x2fff)));
    /// assert_eq!(map().check_address(GuestAddress(0x3000)), None);
    /// ```
    fn check_address(&self, addr: GuestAddress) -> Option<GuestAddress> {
        self.address_in_range(addr).then_some(addr)
    }

    /// Whether there is memory at every one of `len` bytes from `base` on. It is where `len` is 0.
    ///
    /// ```
    /// # use guest_memory::{GuestAddress, GuestMemory, GuestMemoryError, GuestRegionCollection, SliceRegion};
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// let memory = map(); // [0x1000, 0x3000) and [0x8000, 0x9000)
    /// assert!(memory.check_range(GuestAddress(0x1000), 0x2000));
    /// assert!(!memory.check_range(GuestAddress(0x1000), 0x2001));
    /// assert!(!memory.check_range(GuestAddress(0x8000), usize::MAX));
    /// ```
    fn check_range(&self, base: GuestAddress, len: usize) -> bool {
        covers(self, base, len)
    }

    /// The address `offset` bytes past `base`, if there is memory at that one byte.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// let memory = map(); // [0x1000, 0x3000) and [0x8000, 0x9000)
    /// assert_eq!(memory.checked_offset(GuestAddress(0x1000), 0x7000), Some(GuestAddress(0x8000)));
    /// assert_eq!(memory.checked_offset(GuestAddress(0x1000), 0x2000), None);
    /// ```
    fn checked_offset(&self, base: GuestAddress, offset: usize) -> Option<GuestAddress> {
        base.checked_add(offset as u64).and_then(|addr| self.check_address(addr))
    }

    /// Calls `f` for each region that `count` bytes from `addr` on lie in: with the bytes done before, the bytes to
    /// do in this region, the address in it, and the region. `f` says how many bytes it did; after fewer than it
    /// was given it is called again for the rest, after 0 it is over. Returns the bytes done, up to a hole.
    ///
    /// # Errors
    ///
    /// If there is no memory at `addr`, those of `f`, and [`CallbackOutOfRange`](Error::CallbackOutOfRange) if `f` says that it
    /// did more bytes than it was given.
    ///
    /// ```
    /// # #![allow(deprecated)]
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// let memory = map(); // [0x1000, 0x3000) and [0x8000, 0x9000)
    /// let done = memory.try_access(0x4000, GuestAddress(0x1800), |_, count, _, _| Ok(count))?;
    /// assert_eq!(done, 0x1800);
    /// # Ok::<(), GuestMemoryError>(())
    /// ```
    #[deprecated(since = "0.1.0", note = "use `get_slices()`")]
    fn try_access<F>(&self, count: usize, addr: GuestAddress, mut f: F) -> Result<usize>
    where
        F: FnMut(usize, usize, MemoryRegionAddress, &Self::R) -> Result<usize>,
    {
        let mut walk = Walk::new(addr, count);
        let mut total = 0;
        while let Position::At(addr, left) = walk.position() {
            let Some((region, inside)) = self.to_region_addr(addr) else { break };
            let part = rest(region, inside, left);
            if part == 0 {
                break;
            }
            match f(total, part, inside, region)? {
                0 => return Ok(total),
                done if done > part => return Err(Error::CallbackOutOfRange),
                done => {
                    total += done;
                    walk.advance(done);
                }
            }
        }
        if total == 0 && count != 0 { Err(Error::InvalidGuestAddress(addr)) } else { Ok(total) }
    }

    /// The address in this process of the byte at `addr`.
    ///
    /// # Errors
    ///
    /// If there is no memory at `addr`, or it has no address in this process.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// assert!(map().get_host_address(GuestAddress(0x1010)).is_ok());
    /// assert!(map().get_host_address(GuestAddress(0x3000)).is_err());
    /// ```
    fn get_host_address(&self, addr: GuestAddress) -> Result<*mut u8> {
        let (region, inside) =
            self.to_region_addr(addr).ok_or_else(|| Error::InvalidGuestAddress(addr))?;
        region.get_host_address(inside)
    }

    /// The one slice that all `count` bytes from `addr` on lie in, if it is at hand and `count` is not 0.
    ///
    /// Every access by guest address asks this first, so an implementation that knows a short way should take it, and no
    /// other: `None` says nothing, and an access then takes the way of [`get_slices`](Self::get_slices). Whoever wants the slice
    /// asks [`get_slice`](Self::get_slice).
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// let memory = map(); // [0x1000, 0x3000) and [0x8000, 0x9000)
    /// assert!(memory.find_slice(GuestAddress(0x1ff0), 0x10).is_some());
    /// assert!(memory.find_slice(GuestAddress(0x1ff0), 0x11).is_none()); // in two regions
    /// ```
    #[inline]
    fn find_slice(
        &self,
        addr: GuestAddress,
        count: usize,
    ) -> Option<VolatileSlice<'_, MS<'_, Self>>> {
        if count == 0 {
            return None;
        }
        let (region, inside) = self.to_region_addr(addr)?;
        let slice = region.get_slice(inside, count).ok()?;
        (slice.len() == count).then_some(slice)
    }

    /// The slice of several regions whose memory is [one piece](GuestMemoryRegion::stretch): from `addr` to its end, or `count` bytes
    /// of it.
    ///
    /// The general way asks this where [`find_slice`](Self::find_slice) knows nothing, before it goes from region to region. `None`
    /// says nothing, and is what a map gives by default: then slices end where regions do.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// let memory = map(); // [0x1000, 0x3000) and [0x8000, 0x9000)
    /// assert!(memory.find_joined(GuestAddress(0x1ff0), 0x20).is_none()); // two regions, of memory from anywhere
    /// ```
    #[inline]
    fn find_joined(
        &self,
        addr: GuestAddress,
        count: usize,
    ) -> Option<VolatileSlice<'_, MS<'_, Self>>> {
        let _ = (addr, count);
        None
    }

    /// The two slices that the `count` bytes from `addr` on lie in, if they lie in two neighbouring regions and are at hand.
    ///
    /// The general way asks this where neither [`find_slice`](Self::find_slice) nor [`find_joined`](Self::find_joined) knows
    /// anything, before it goes from region to region. `None` says nothing.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// let memory = map(); // [0x1000, 0x2000), [0x2000, 0x3000) and [0x8000, 0x9000)
    /// let pair = memory.find_pair(GuestAddress(0x1ff0), 0x30).expect("both are at hand");
    /// assert_eq!(pair.map(|slice| slice.len()), [0x10, 0x20]);
    /// assert!(memory.find_pair(GuestAddress(0x2ff0), 0x20).is_none()); // a hole follows
    /// ```
    #[inline]
    fn find_pair(
        &self,
        addr: GuestAddress,
        count: usize,
    ) -> Option<[VolatileSlice<'_, MS<'_, Self>>; 2]> {
        let [lower, upper] = in_two(self, addr, count)?;
        Some([self.find_slice(lower.0, lower.1)?, self.find_slice(upper.0, upper.1)?])
    }

    /// The one slice that all `count` bytes from `addr` on lie in. 0 bytes lie in one wherever there is memory.
    ///
    /// # Errors
    ///
    /// If there is no memory at `addr`; [`InvalidBackendAddress`](Error::InvalidBackendAddress) if the bytes do not lie in one
    /// region, nor in several whose memory is in one piece; those of the region.
    ///
    /// ```
    /// # use guest_memory::*;
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// let memory = map(); // [0x1000, 0x3000) and [0x8000, 0x9000)
    /// memory.get_slice(GuestAddress(0x1ff0), 0x10)?.write_obj(7_u64, 8).unwrap();
    /// let result = memory.get_slice(GuestAddress(0x1ff0), 0x11);
    /// assert!(matches!(result, Err(GuestMemoryError::InvalidBackendAddress)));
    /// # Ok::<(), GuestMemoryError>(())
    /// ```
    #[inline]
    fn get_slice(
        &self,
        addr: GuestAddress,
        count: usize,
    ) -> Result<VolatileSlice<'_, MS<'_, Self>>> {
        match self.find_slice(addr, count) {
            Some(slice) if slice.len() == count => Ok(slice),
            _ => slice_or_reason(self, addr, count),
        }
    }

    /// The slices that the `count` bytes from `addr` on lie in, in the order of addresses, each as long as the memory is in one
    /// piece: of one region, or of several that are.
    ///
    /// ```
    /// # use guest_memory::{GuestAddress, GuestMemory, GuestMemoryError, GuestRegionCollection, SliceRegion};
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// let memory = map(); // [0x1000, 0x3000) and [0x8000, 0x9000)
    /// let mut slices = memory.get_slices(GuestAddress(0x1ff0), 0x2000);
    /// assert_eq!(slices.next().unwrap()?.len(), 0x10);
    /// assert_eq!(slices.next().unwrap()?.len(), 0x1000);
    /// assert!(slices.next().unwrap().is_err()); // the hole at 0x3000
    /// assert!(slices.next().is_none());
    /// # Ok::<(), GuestMemoryError>(())
    /// ```
    fn get_slices<'a>(
        &'a self,
        addr: GuestAddress,
        count: usize,
    ) -> GuestMemorySliceIterator<'a, Self> {
        GuestMemorySliceIterator { memory: self, walk: Walk::new(addr, count) }
    }
}

/// Whether there is memory at every one of `len` bytes from `base` on, found by going from region to region.
#[cold]
#[inline(never)]
pub(crate) fn covers<M: GuestMemory + ?Sized>(memory: &M, base: GuestAddress, len: usize) -> bool {
    let mut walk = Walk::new(base, len);
    while let Position::At(addr, left) = walk.position() {
        let found = memory.to_region_addr(addr);
        match found.map(|(region, inside)| rest(region, inside, left)) {
            None | Some(0) => return false,
            Some(count) => walk.advance(count),
        }
    }
    matches!(walk.position(), Position::Done)
}

/// How many of `left` bytes from `inside` on lie in the region: none if it is shorter than it was said to be.
pub(crate) fn rest<R: GuestMemoryRegion>(
    region: &R,
    inside: MemoryRegionAddress,
    left: usize,
) -> usize {
    let rest = region.len().saturating_sub(inside.0);
    usize::try_from(rest).map_or(left, |rest| rest.min(left))
}

/// The part of the bytes that lies in the first region, and the rest: each a start and a length.
#[inline(always)]
pub(crate) fn in_two<M: GuestMemory + ?Sized>(
    memory: &M,
    addr: GuestAddress,
    count: usize,
) -> Option<[(GuestAddress, usize); 2]> {
    let (region, inside) = memory.to_region_addr(addr)?;
    let first = rest(region, inside, count);
    Some([(addr, first), (addr.checked_add(first as u64)?, count - first)])
}

/// The slice that `find_slice` did not find, or the reason why there is none.
#[cold]
#[inline(never)]
fn slice_or_reason<M: GuestMemory + ?Sized>(
    memory: &M,
    addr: GuestAddress,
    count: usize,
) -> Result<VolatileSlice<'_, MS<'_, M>>> {
    if let Some(joined) = memory.find_joined(addr, count)
        && joined.len() == count
    {
        return Ok(joined);
    }
    let (region, inside) =
        memory.to_region_addr(addr).ok_or_else(|| Error::InvalidGuestAddress(addr))?;
    if rest(region, inside, count) < count {
        // Not `NotContiguous`: users' tests compare with what vm-memory says here.
        return Err(Error::InvalidBackendAddress);
    }
    let slice = region.get_slice(inside, count).map_err(|error| error.located(addr))?;
    if slice.len() == count { Ok(slice) } else { Err(Error::InvalidBackendAddress) }
}
