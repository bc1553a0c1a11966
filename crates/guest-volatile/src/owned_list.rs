//! Slices of many owners in a row, some of which go on in the next: what the places of a table are taken from.

#![expect(unsafe_code, reason = "makes slices over the borders of those that it has")]

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::iter::once;
use core::ptr::NonNull;

use crate::bitmap::{BS, Bitmap};
use crate::owned::{OwnedSlice, SliceOf};
use crate::slice::{Extent, VolatileSlice};
use crate::stretch::Stretch;

/// How many slices are shared at once: a list that is made of another copies one such group and shares the others. Of 512
/// slices, that is 16 groups and at most 32 owners, whose counts are what costs.
const GROUP: usize = 32;

/// Slices with their owners, in a row, each of which may go on in the next: then they are one slice to whoever asks for bytes
/// of both.
///
/// It does not change; [`with`](Self::with) and [`without`](Self::without) make another list, which shares most of this one.
///
/// ```
/// use std::sync::Arc;
/// use guest_volatile::{OwnedList, OwnedSlice, SliceOf, VolatileSlice};
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
/// let slice = |len| {
///     let region = Arc::new(VolatileSlice::from(Vec::leak(vec![0; len])));
///     OwnedSlice::<_, Whole>::new(region, usize::MAX)
/// };
/// let list = OwnedList::new(vec![slice(64), slice(32)], |_, _, _| true);
/// let larger = list.with(1, slice(16), |_, _, _| true);
/// let lengths = |list: &OwnedList<_, Whole>| list.iter().map(|slice| slice.len()).collect::<Vec<_>>();
/// assert_eq!((lengths(&list), lengths(&larger)), (vec![64, 32], vec![64, 16, 32]));
/// assert_eq!(lengths(&larger.without(0)), [16, 32]);
/// // They are in no stretch, so none goes on in the next.
/// assert!(list.joined(0, 60, 8).is_none());
/// ```
///
/// # Invariants
///
/// There is a link for each slice of the groups, in their order. That of a slice which does not go on in the next has no
/// stretch, and the address and end of the slice. Where one has a stretch:
///
/// - it is that of the slice's owner, and `addr`, a pointer to all of the stretch, is the address of the slice's first byte;
/// - it is also that of the next link, unless that has none;
/// - the next slice lies in it too, and starts where this one ends; both have bytes, and are read-only or writable alike;
/// - `end` is that of the next link.
///
/// They stay true because each slice keeps its owner in its place, alive and shared, as [`OwnedSlice`] explains: that a
/// borrow as long as the share's life could exist goes for the stretch as it does for the slice.
pub struct OwnedList<O, P> {
    groups: Vec<Arc<[OwnedSlice<O, P>]>>,
    links: Vec<Link>,
}

/// How far the memory reaches from the start of a slice on; see the invariants of [`OwnedList`].
#[derive(Clone, Copy)]
pub(crate) struct Link {
    /// None unless it goes on in the next.
    stretch: Option<NonNull<Stretch>>,
    addr: NonNull<u8>,
    end: usize,
}

impl Link {
    /// The link of a slice that does not go on in the next.
    fn apart<O, P>(slice: &OwnedSlice<O, P>) -> Self {
        let (_, addr, extent) = slice.parts();
        // No slice wraps around the address space, but its end may be there.
        Self { stretch: None, addr, end: addr.addr().get().wrapping_add(extent.len()) }
    }

    /// The address of the first byte of the slice, and how many there are from it on.
    #[inline]
    pub(crate) fn parts(self) -> (NonNull<u8>, usize) {
        (self.addr, self.end.wrapping_sub(self.addr.addr().get()))
    }
}

// SAFETY: besides the slices, it is addresses, of what the owners have and lend to anyone: of stretches, which are compared, and
// of bytes that may be accessed by anyone at any time.
unsafe impl<O: Send + Sync, P> Send for OwnedList<O, P> {}
// SAFETY: as for `Send`.
unsafe impl<O: Send + Sync, P> Sync for OwnedList<O, P> {}

impl<O, P> OwnedList<O, P> {
    /// The number of slices.
    pub fn len(&self) -> usize {
        self.links.len()
    }

    /// Whether there is no slice.
    pub fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// The slice of that number, without those it goes on in.
    pub fn get(&self, index: usize) -> Option<&OwnedSlice<O, P>> {
        let (group, at) = self.find(index);
        self.groups.get(group)?.get(at)
    }

    /// The slices, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &OwnedSlice<O, P>> {
        self.groups.iter().flat_map(|group| group.iter())
    }

    /// Calls `use_slice` for each slice with its link, in their order: faster than an iterator of both.
    #[inline(always)]
    pub(crate) fn for_each(&self, mut use_slice: impl FnMut(&OwnedSlice<O, P>, Link)) {
        let mut links = &self.links[..];
        for group in &self.groups {
            let (these, others) = links.split_at(group.len());
            for (slice, link) in group.iter().zip(these) {
                use_slice(slice, *link);
            }
            links = others;
        }
    }

    /// The group that the slice of that number is in, and its number there. One past the last is at the end of the last group.
    fn find(&self, index: usize) -> (usize, usize) {
        let (mut group, mut at) = (0, index);
        for slices in self.groups.iter().take(self.groups.len().saturating_sub(1)) {
            if at < slices.len() {
                break;
            }
            (group, at) = (group + 1, at - slices.len());
        }
        (group, at)
    }

    /// These slices without the one at `index`. The one before it then goes on in none.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    pub fn without(&self, index: usize) -> Self {
        let (group, at) = self.find(index);
        let mut groups = self.groups.clone();
        let slices = &groups[group];
        let left: Arc<[_]> = slices[..at].iter().chain(&slices[at + 1..]).cloned().collect();
        if left.is_empty() {
            groups.remove(group);
        } else {
            groups[group] = left;
        }
        let mut links = self.links.clone();
        links.remove(index);
        // INVARIANT: the links are those of the slices that are left, and each but the one before has the next that it had.
        let mut list = Self { groups, links };
        list.part_from_next(index);
        list.settle(index);
        list
    }

    /// Has the slice before `index`, if there is one, go on in none.
    fn part_from_next(&mut self, index: usize) {
        if let Some(below) = index.checked_sub(1)
            && let Some(slice) = self.get(below)
        {
            self.links[below] = Link::apart(slice);
        }
    }

    /// Tells those that go on in the slice before `index` where that ends now.
    fn settle(&mut self, index: usize) {
        let (below, _) = self.links.split_at_mut(index);
        if let Some((changed, below)) = below.split_last_mut() {
            for link in below.iter_mut().rev().take_while(|link| link.stretch.is_some()) {
                link.end = changed.end;
            }
        }
    }
}

impl<O, P: SliceOf<O>> OwnedList<O, P> {
    /// These slices, of which one may go on in the next if `follows` says that of its number, of itself and of the next: it does
    /// if they are next to each other in one [stretch](SliceOf::stretch), as [`Stretch::join`] says.
    pub fn new(
        slices: Vec<OwnedSlice<O, P>>,
        follows: impl Fn(usize, &OwnedSlice<O, P>, &OwnedSlice<O, P>) -> bool,
    ) -> Self {
        let mut links: Vec<_> = slices.iter().map(Link::apart).collect();
        for (index, pair) in slices.windows(2).enumerate().rev() {
            if follows(index, &pair[0], &pair[1])
                && let Some(link) = joint(&pair[0], &pair[1], links[index + 1], None)
            {
                links[index] = link;
            }
        }
        let mut groups = Vec::with_capacity(slices.len().div_ceil(GROUP));
        let mut slices = slices.into_iter();
        while !slices.as_slice().is_empty() {
            groups.push(slices.by_ref().take(GROUP).collect());
        }
        // INVARIANT: each slice is apart, or as `joint` says of it and the link of the next, which was made before.
        Self { groups, links }
    }

    /// These slices and `slice`, which becomes the one at `index`, with what `follows` says of it and of the one before.
    ///
    /// # Panics
    ///
    /// If there are fewer slices than `index`.
    #[must_use]
    pub fn with(
        &self,
        index: usize,
        slice: OwnedSlice<O, P>,
        follows: impl Fn(usize, &OwnedSlice<O, P>, &OwnedSlice<O, P>) -> bool,
    ) -> Self {
        let mut links = Vec::with_capacity(self.links.len() + 1);
        links.extend_from_slice(&self.links);
        links.insert(index, Link::apart(&slice));
        let (group, at) = self.find(index);
        let mut groups = self.groups.clone();
        let others = groups.get(group).map_or(&[][..], |group| group);
        let (lower, upper) = others.split_at(at);
        let all = lower.iter().cloned().chain(once(slice)).chain(upper.iter().cloned());
        let is_full = others.len() >= GROUP;
        let mut all: Vec<_> = all.collect();
        let upper = if is_full { all.split_off(GROUP / 2) } else { Vec::new() };
        match groups.get_mut(group) {
            Some(group) => *group = all.into(),
            None => groups.push(all.into()),
        }
        if !upper.is_empty() {
            groups.insert(group + 1, upper.into());
        }
        // INVARIANT: the slices are those, in the order of their links, and the two whose next is another go on in none.
        let mut list = Self { groups, links };
        list.part_from_next(index);
        for at in [Some(index), index.checked_sub(1)].into_iter().flatten() {
            let below = at.checked_sub(1).and_then(|below| list.links.get(below)).copied();
            if let (Some(lower), Some(upper)) = (list.get(at), list.get(at + 1))
                && follows(at, lower, upper)
                && let Some(link) = joint(lower, upper, list.links[at + 1], below)
            {
                // INVARIANT: as `joint` says.
                list.links[at] = link;
            }
        }
        list.settle(index);
        list
    }

    /// The bytes from `offset` in the slice of that number on, `count` of them or to the end of those it goes on in; `None` if it
    /// goes on in none, or there is no byte.
    #[inline]
    pub fn joined(
        &self,
        index: usize,
        offset: usize,
        count: usize,
    ) -> Option<VolatileSlice<'_, BS<'_, P::B>>> {
        let link = *self.links.get(index)?;
        link.stretch?;
        let slice = self.get(index)?;
        let (addr, len) = link.parts();
        let count = count.min(len.checked_sub(offset)?);
        if count == 0 {
            return None;
        }
        let extent = Extent::of_part(count);
        let extent = if slice.parts().2.is_read_only() { extent.read_only() } else { extent };
        let bitmap = P::bitmap(slice.owner()?).slice_at(offset);
        // SAFETY: there is a byte at `offset`, and none is at null.
        let addr = unsafe { NonNull::new_unchecked(addr.as_ptr().wrapping_add(offset)) };
        // SAFETY: by the type's invariant the bytes are in slices of owners that are alive and shared as long as `self` is
        // borrowed, all writable or all for reading only, one after the other in a stretch which `addr` is a pointer to all of.
        Some(unsafe { VolatileSlice::from_extent(addr, extent, bitmap) })
    }
}

/// The link by which `lower` goes on in `upper`, if it does: `next` is the link of `upper`, and `below` that of the slice before
/// `lower`, if that may go on in it.
fn joint<O, P: SliceOf<O>>(
    lower: &OwnedSlice<O, P>,
    upper: &OwnedSlice<O, P>,
    next: Link,
    below: Option<Link>,
) -> Option<Link> {
    let stretch = P::stretch(lower.owner()?)?;
    let here = Some(NonNull::from(stretch));
    let theirs = [P::stretch(upper.owner()?).map(NonNull::from), next.stretch.or(here)];
    let before = below.and_then(|below| below.stretch).or(here);
    if theirs != [here; 2] || before != here {
        return None;
    }
    let joined = stretch.join(&lower.get(0, lower.len())?, &upper.get(0, upper.len())?)?;
    // INVARIANT: `join` has compared the places in the stretch and the permissions, and gave a pointer to all of it.
    Some(Link { stretch: here, addr: joined.parts().0, end: next.end })
}

impl<O, P> From<Vec<OwnedSlice<O, P>>> for OwnedList<O, P> {
    /// These slices, each apart from the others.
    fn from(slices: Vec<OwnedSlice<O, P>>) -> Self {
        let links = slices.iter().map(Link::apart).collect();
        // INVARIANT: none goes on in another.
        Self {
            groups: if slices.is_empty() { Vec::new() } else { alloc::vec![slices.into()] },
            links,
        }
    }
}

impl<O, P> Clone for OwnedList<O, P> {
    /// The same slices, shared.
    fn clone(&self) -> Self {
        // INVARIANT: the same.
        Self { groups: self.groups.clone(), links: self.links.clone() }
    }
}

impl<O: fmt::Debug, P> fmt::Debug for OwnedList<O, P> {
    /// Shows the slices, never a host address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
