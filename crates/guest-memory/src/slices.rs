//! The slices of a range, one after the other.

use core::iter::FusedIterator;

use guest_address::GuestAddress;
use guest_volatile::{BitmapSlice, VolatileSlice};

use crate::error::{Error, Result};
use crate::memory::{GuestMemory, GuestMemorySliceIterator, MS, rest};
use crate::region::GuestMemoryRegion;
use crate::walk::Position;

/// The slices that a range of memory lies in, in order: each holds at least one byte, together they hold the range. It
/// ends after the first error.
pub trait IoMemorySliceIterator<'a, B: BitmapSlice>:
    Iterator<Item = Result<VolatileSlice<'a, B>>> + FusedIterator + Sized
{
    /// The slices up to the first error, if there is one before it.
    ///
    /// # Errors
    ///
    /// If the very first item is one.
    ///
    /// ```
    /// # use guest_memory::{GuestAddress, GuestMemory, GuestMemoryError, GuestRegionCollection, IoMemorySliceIterator, SliceRegion};
    /// # let map = || include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map.rs"));
    /// let memory = map(); // [0x1000, 0x3000) and [0x8000, 0x9000)
    /// let slices = IoMemorySliceIterator::stop_on_error(memory.get_slices(GuestAddress(0x1800), 0x4000))?;
    /// assert_eq!(slices.map(|slice| slice.len()).sum::<usize>(), 0x1800);
    /// # Ok::<(), GuestMemoryError>(())
    /// ```
    fn stop_on_error(self) -> Result<impl Iterator<Item = VolatileSlice<'a, B>>> {
        let mut items = self;
        let first = items.next().transpose()?;
        Ok(first.into_iter().chain(items.map_while(Result::ok)))
    }
}

impl<'a, M: GuestMemory + ?Sized> GuestMemorySliceIterator<'a, M> {
    /// The slices up to the first error, if there is one before it.
    ///
    /// # Errors
    ///
    /// If the very first item is one.
    pub fn stop_on_error(self) -> Result<impl Iterator<Item = VolatileSlice<'a, MS<'a, M>>>> {
        IoMemorySliceIterator::stop_on_error(self)
    }
}

impl<'a, M: GuestMemory + ?Sized> Iterator for GuestMemorySliceIterator<'a, M> {
    type Item = Result<VolatileSlice<'a, MS<'a, M>>>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let item = match self.walk.position() {
            Position::Done => return None,
            Position::PastTheTop => Err(Error::GuestAddressOverflow),
            Position::At(addr, left) => first_slice(self.memory, addr, left),
        };
        match &item {
            Ok(slice) => self.walk.advance(slice.len()),
            Err(_) => self.walk.finish(),
        }
        Some(item)
    }
}

impl<M: GuestMemory + ?Sized> FusedIterator for GuestMemorySliceIterator<'_, M> {}

impl<'a, M: GuestMemory + ?Sized> IoMemorySliceIterator<'a, MS<'a, M>>
    for GuestMemorySliceIterator<'a, M>
{
}

/// The slices of a memory of anybody's making, held to what was asked for: none is empty, and together they are as long as the
/// range, or end with an error.
pub(crate) struct Pieces<I> {
    slices: I,
    left: usize,
}

impl<I> Pieces<I> {
    pub(crate) fn new(slices: I, count: usize) -> Self {
        Self { slices, left: count }
    }

    /// The next piece, or `None` at the end of the range.
    #[inline(always)]
    pub(crate) fn next<'a, B: BitmapSlice>(&mut self) -> Option<Result<VolatileSlice<'a, B>>>
    where
        I: IoMemorySliceIterator<'a, B>,
    {
        if self.left == 0 {
            return None;
        }
        let error = match self.slices.next() {
            Some(Ok(slice)) if slice.len() > self.left => {
                let piece = slice.subslice(0, self.left).map_err(Error::from);
                self.left = 0;
                return Some(piece);
            }
            Some(Ok(slice)) if !slice.is_empty() => {
                self.left -= slice.len();
                return Some(Ok(slice));
            }
            Some(Err(error)) => error,
            _ => Error::InvalidBackendAddress,
        };
        self.left = 0;
        Some(Err(error))
    }
}

/// The slice at the start of the `left` bytes from `addr` on: as many of them as lie in one piece.
#[inline(always)]
fn first_slice<M: GuestMemory + ?Sized>(
    memory: &M,
    addr: GuestAddress,
    left: usize,
) -> Result<VolatileSlice<'_, MS<'_, M>>> {
    let found = match memory.find_slice(addr, left) {
        Some(slice) if slice.len() == left => return Ok(slice),
        _ => memory.find_joined(addr, left),
    };
    match found {
        // A memory of somebody else's making may give another length than was asked for.
        Some(slice) if !slice.is_empty() && slice.len() <= left => Ok(slice),
        _ => slice_of_region(memory, addr, left),
    }
}

/// The same by asking the region.
#[cold]
#[inline(never)]
fn slice_of_region<M: GuestMemory + ?Sized>(
    memory: &M,
    addr: GuestAddress,
    left: usize,
) -> Result<VolatileSlice<'_, MS<'_, M>>> {
    let (region, inside) =
        memory.to_region_addr(addr).ok_or_else(|| Error::InvalidGuestAddress(addr))?;
    let count = rest(region, inside, left);
    if count == 0 {
        return Err(Error::InvalidBackendAddress);
    }
    let slice = region.get_slice(inside, count).map_err(|error| error.located(addr))?;
    // A region that gives less than it has gets the benefit of the doubt, one that gives more is cut, and
    // one that gives nothing would keep the walk where it is for ever.
    match slice.len() {
        0 => Err(Error::InvalidBackendAddress),
        len if len > count => Ok(slice.subslice(0, count)?),
        _ => Ok(slice),
    }
}
