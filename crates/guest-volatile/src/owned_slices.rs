//! Slices of many owners, found by number and address: what a table of regions looks into at each access.

#![expect(unsafe_code, reason = "keeps addresses apart from the borrows that vouch for them")]

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;
use core::ops::Range;
use core::ptr::NonNull;

use crate::bitmap::{BS, Bitmap};
use crate::owned::{OwnedSlice, SliceOf};
use crate::owned_entry::{Entry, MARGIN};
use crate::owned_list::{Link, OwnedList};
use crate::slice::{Extent, VolatileSlice};

/// Slices with their owners, and places: each stands for one of the slices at an address, several may stand for one.
///
/// A place answers in a few instructions or not at all: an access of up to 16 bytes is one comparison, any other two. What it
/// does not answer, the [list](Self::slices) does: a place stands for a writable slice of 16 bytes or more, and an access
/// through it starts 16 bytes before the end at the latest. Where the slice [goes on](OwnedList::new) in the next, so does a place
/// that is found by its number, and its end is that of the last one: who has several may have them as one, and pays nothing for it.
///
/// Neither the slices nor the places change. A clone shares both.
///
/// ```
/// use std::sync::Arc;
/// use guest_volatile::{OwnedSlice, OwnedSlices, SliceOf, VolatileSlice};
///
/// struct Whole;
///
/// impl SliceOf<VolatileSlice<'static>> for Whole {
///     type B = ();
///
///     fn slice<'a>(owner: &'a VolatileSlice<'static>) -> Option<VolatileSlice<'a>> {
///         Some(*owner)
///     }
///
///     fn bitmap(_: &VolatileSlice<'static>) {}
/// }
///
/// let region = Arc::new(VolatileSlice::from(Vec::leak(vec![0; 64])));
/// let slice = OwnedSlice::<_, Whole>::new(region, usize::MAX);
/// // Place 0 is vacant, place 1 is the slice, at 0x1000.
/// let slices = OwnedSlices::new(vec![slice].into(), [None, Some((0, 0x1000))]);
/// let place = slices.place(1).expect("the second of two");
/// place.get(0x1010, 8).expect("it is inside").write_obj(7_u64, 0)?;
/// assert!(place.get(0xff8, 8).is_none());
/// assert!(place.get(0x1038, 8).is_none()); // close to the end: ask the list
/// assert!(slices.slices().get(0).is_some_and(|slice| slice.get(0x38, 8).is_some()));
/// # Ok::<(), guest_volatile::Error>(())
/// ```
///
/// What it gives cannot outlive it:
///
/// ```compile_fail,E0505
/// # use std::sync::Arc;
/// # use guest_volatile::{OwnedSlice, OwnedSlices, SliceOf, VolatileSlice};
/// # struct Whole;
/// # impl SliceOf<VolatileSlice<'static>> for Whole {
/// #     type B = ();
/// #     fn slice<'a>(owner: &'a VolatileSlice<'static>) -> Option<VolatileSlice<'a>> {
/// #         Some(*owner)
/// #     }
/// #     fn bitmap(_: &VolatileSlice<'static>) {}
/// # }
/// # let region = Arc::new(VolatileSlice::from(Vec::leak(vec![0; 64])));
/// # let slice = OwnedSlice::<_, Whole>::new(region, usize::MAX);
/// let slices = OwnedSlices::new(vec![slice].into(), [Some((0, 0))]);
/// let part = slices.place(0).and_then(|place| place.get(0, 8)).expect("it is inside");
/// drop(slices);
/// part.write_obj(7_u64, 0)?;
/// # Ok::<(), guest_volatile::Error>(())
/// ```
///
/// # Invariants
///
/// - `entries` and `steps` are those of `kept`, which are never changed, and dropped with it.
/// - There are at least `direct` entries, and more than each of the steps says.
/// - Each of them is vacant, or of one of the slices of `kept`, as the invariants of `Entry` say.
///
/// They stay true because the `Arc` keeps the slices as they are, and each of them keeps its owner in its place, alive and
/// shared, as [`OwnedSlice`] explains.
pub struct OwnedSlices<O, P> {
    // At hand, so that an access does not look where they are.
    entries: NonNull<Entry<O>>,
    direct: usize,
    steps: NonNull<[u16]>,
    kept: Arc<Kept<O, P>>,
}

struct Kept<O, P> {
    slices: OwnedList<O, P>,
    entries: Vec<Entry<O>>,
    steps: Vec<u16>,
}

// SAFETY: besides the share of the slices, it is an address of entries, and of numbers, which are shared as those in `kept` are.
unsafe impl<O: Send + Sync, P> Send for OwnedSlices<O, P> {}
// SAFETY: as for `Send`.
unsafe impl<O: Send + Sync, P> Sync for OwnedSlices<O, P> {}

impl<O, P> OwnedSlices<O, P> {
    /// These slices, with a place for each item: which of the slices it stands for, with those that it goes on in, and at what
    /// address that starts; or none.
    ///
    /// # Panics
    ///
    /// If there is no slice of that number.
    pub fn new(
        slices: OwnedList<O, P>,
        places: impl IntoIterator<Item = Option<(usize, u64)>>,
    ) -> Self {
        let entries = entries(&slices, places, |_, link| link.parts());
        Self::keep(entries.len(), Kept { slices, entries, steps: Vec::new() })
    }

    /// As [`new`](Self::new), with an item for each slice, in their order: the numbers of the places that stand for it, and the
    /// address that it starts at. The numbers ascend; what an earlier slice has stays its own.
    ///
    /// It takes less time than to name the places one by one.
    pub fn in_order(
        slices: OwnedList<O, P>,
        places: impl IntoIterator<Item = (Range<usize>, u64)>,
    ) -> Self {
        let mut places = places.into_iter();
        let mut entries = Vec::with_capacity(slices.len());
        slices.for_each(|slice, link| {
            let Some((numbers, start)) = places.next() else { return };
            let entry = Entry::new(slice, link.parts(), start);
            if entries.len() < numbers.start {
                leave_out(&mut entries, numbers.start);
            }
            if entries.len() < numbers.end {
                entries.push(entry);
                if entries.len() < numbers.end {
                    repeat(&mut entries, numbers.end);
                }
            }
        });
        Self::keep(entries.len(), Kept { slices, entries, steps: Vec::new() })
    }

    /// As [`new`](Self::new), of which a place is found by way of a step, which says its number; many small steps may name few
    /// places. One that names a place that there is not stands for nothing. A place stands for its slice alone: where steps are
    /// coarse, the next may be meant.
    ///
    /// # Panics
    ///
    /// As for [`new`](Self::new).
    pub fn with_steps(
        slices: OwnedList<O, P>,
        places: impl IntoIterator<Item = Option<(usize, u64)>>,
        mut steps: Vec<u16>,
    ) -> Self {
        let alone = |slice: &OwnedSlice<O, P>, _| {
            let (_, addr, extent) = slice.parts();
            (addr, extent.len())
        };
        let mut entries = entries(&slices, places, alone);
        // A step cannot tell more of them, and one of them is none.
        entries.truncate(usize::from(u16::MAX));
        // The cast is of a number up to that.
        let vacant = entries.len() as u16;
        entries.push(Entry::VACANT);
        for step in &mut steps {
            *step = vacant.min(*step);
        }
        Self::keep(0, Kept { slices, entries, steps })
    }

    fn keep(direct: usize, kept: Kept<O, P>) -> Self {
        let kept = Arc::new(kept);
        // INVARIANT: what a `Vec` has does not move with it, and nobody changes what is shared. `new` has as many entries as it
        // says and no steps, `with_steps` has made each step the number of an entry; both made them of these slices.
        Self {
            entries: NonNull::from(&kept.entries[..]).cast(),
            direct,
            steps: NonNull::from(&kept.steps[..]),
            kept,
        }
    }

    /// The slices.
    pub fn slices(&self) -> &OwnedList<O, P> {
        &self.kept.slices
    }

    /// The number of places, with those that are vacant.
    pub fn places(&self) -> usize {
        self.kept.entries.len()
    }

    /// The number of steps: 0 if places are found by their number.
    pub fn steps(&self) -> usize {
        self.kept.steps.len()
    }

    /// The place of that number, or of that step if there are steps.
    #[inline(always)]
    pub fn place(&self, number: usize) -> Option<Place<'_, O, P>> {
        let number = if number < self.direct {
            number
        } else {
            // SAFETY: by the type's invariant they are alive and never changed as long as `self` is borrowed.
            let steps = unsafe { self.steps.as_ref() };
            usize::from(*steps.get(number)?)
        };
        // SAFETY: by the type's invariant there are more entries than `number`.
        let entry = unsafe { self.entries.add(number) };
        // SAFETY: so it is one of them, and like the steps they are alive and never changed.
        let entry = unsafe { entry.as_ref() };
        // INVARIANT: one of the entries of `self`.
        Some(Place { entry, slices: PhantomData })
    }
}

/// Has vacant entries follow until there are `len`. Not inline, as [`repeat`] is not: a loop would take the registers of a slice
/// that has one place and no gap before it, as most have.
#[inline(never)]
fn leave_out<O>(entries: &mut Vec<Entry<O>>, len: usize) {
    entries.resize(len, Entry::VACANT);
}

/// Has the last entry follow until there are `len`. It takes none: a reference would have each be written to memory twice.
#[inline(never)]
fn repeat<O>(entries: &mut Vec<Entry<O>>, len: usize) {
    entries.resize(len, entries.last().copied().unwrap_or(Entry::VACANT));
}

/// The entries of places, each of as many bytes as `parts` says of a slice and its link.
fn entries<O, P>(
    slices: &OwnedList<O, P>,
    places: impl IntoIterator<Item = Option<(usize, u64)>>,
    parts: impl Fn(&OwnedSlice<O, P>, Link) -> (NonNull<u8>, usize),
) -> Vec<Entry<O>> {
    let mut at_zero = Vec::with_capacity(slices.len());
    slices.for_each(|slice, link| at_zero.push(Entry::new(slice, parts(slice, link), 0)));
    let entry = |place: Option<(usize, u64)>| {
        place.map_or(Entry::VACANT, |(index, start)| at_zero[index].moved(start))
    };
    places.into_iter().map(entry).collect()
}

/// One place of [`OwnedSlices`]: a slice at an address, or nothing anywhere.
///
/// # Invariants
///
/// The entry is one of an `OwnedSlices<O, P>` that is borrowed for `'a`.
pub struct Place<'a, O, P> {
    entry: &'a Entry<O>,
    slices: PhantomData<&'a OwnedSlices<O, P>>,
}

impl<'a, O, P> Place<'a, O, P> {
    /// Whether all the `count` bytes from `addr` on lie in the slice; `false` says nothing.
    #[inline(always)]
    pub fn holds(self, addr: u64, count: usize) -> bool {
        // Below the start the offset wraps, to far beyond every end.
        let offset = addr.wrapping_sub(self.entry.start);
        if offset >= self.entry.inner {
            return false;
        }
        // SAFETY: `inner` is at most a length, less `MARGIN`, plus 1, and `isize::MAX` is the most that is.
        let rest = unsafe { (self.entry.inner - offset).unchecked_add(MARGIN as u64 - 1) };
        // A constant of up to `MARGIN` is compared when this is compiled: `rest` is no less.
        count as u64 <= rest
    }

    /// The owner of the place's slice, and how far from its start `addr` is, if that lies in it, or in one that it goes on in;
    /// `None` says nothing.
    #[inline(always)]
    pub fn owner(self, addr: u64) -> Option<(&'a O, u64)> {
        if !self.holds(addr, 1) {
            return None;
        }
        // SAFETY: no entry without an owner holds a byte. By the invariant of `OwnedSlices` it is alive, shared and in its place
        // for as long as that is borrowed, which is `'a`.
        let owner = unsafe { &*self.entry.owner };
        Some((owner, addr.wrapping_sub(self.entry.start)))
    }
}

impl<'a, O, P: SliceOf<O>> Place<'a, O, P> {
    /// The `count` bytes from `addr` on, if there are any and they all lie in the slice; `None` says nothing.
    #[inline(always)]
    pub fn get(self, addr: u64, count: usize) -> Option<VolatileSlice<'a, BS<'a, P::B>>> {
        if count == 0 || !self.holds(addr, count) {
            return None;
        }
        // SAFETY: as in `owner`.
        let owner = unsafe { &*self.entry.owner };
        // The cast is of a number below the slice's length.
        let bitmap = P::bitmap(owner).slice_at(addr.wrapping_sub(self.entry.start) as usize);
        let at = self.entry.base.wrapping_add(addr as usize);
        // SAFETY: it is the address of a byte of the slice, as `holds` says, and none is at null.
        let at = unsafe { NonNull::new_unchecked(at) };
        let extent = Extent::of_part(count);
        // SAFETY: with `len` for the slice's length, `rest` in `holds` is `len - MARGIN + 1 - offset + MARGIN - 1`, and `count`
        // at most that: `len - offset`. So it is a part of the slice that `P` gave for `owner`, which is writable and, as in
        // `owner`, valid for `'a`; or of that and those it goes on in, of which all this is as true, by the invariant of `OwnedList`.
        Some(unsafe { VolatileSlice::from_extent(at, extent, bitmap) })
    }
}

impl<O, P> Clone for OwnedSlices<O, P> {
    /// The same slices and places, shared.
    fn clone(&self) -> Self {
        // INVARIANT: the same.
        Self {
            entries: self.entries,
            direct: self.direct,
            steps: self.steps,
            kept: Arc::clone(&self.kept),
        }
    }
}

impl<O, P> Default for OwnedSlices<O, P> {
    /// No slice and no place.
    fn default() -> Self {
        Self::new(Vec::new().into(), [])
    }
}

impl<O, P> Clone for Place<'_, O, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<O, P> Copy for Place<'_, O, P> {}

impl<O: fmt::Debug, P> fmt::Debug for OwnedSlices<O, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedSlices")
            .field("slices", &self.slices())
            .field("places", &self.places())
            .field("steps", &self.steps())
            .finish()
    }
}

impl<O, P> fmt::Debug for Place<'_, O, P> {
    /// Shows the shape, never the host address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place")
            .field("start", &format_args!("{:#x}", self.entry.start))
            .finish_non_exhaustive()
    }
}
