//! Whether marks look before they lock, and what a harvest owes them for it.

use guest_volatile::{Fence, FenceError};

use crate::sync::{AtomicUsize, Ordering};

/// How marks are set.
///
/// Which one a bitmap has is told by [`AtomicBitmap::marking`](crate::AtomicBitmap::marking).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marking {
    /// A mark looks first, and does nothing if its bits are set. In return, who clears bits calls the
    /// heavy half of a [`Fence`] before reading the pages.
    Checked,
    /// A mark is a locked instruction for each word of 64 pages, and needs nobody's help.
    Strict,
}

/// The state that marks obey, and the fence that whoever clears bits calls.
///
/// A mark joins the state to its offset, and so has asked for both by one look: an offset with [`BLIND`] in it has no page.
///
/// # Invariants
///
/// The state is [`STRICT`], or there is a fence. It becomes [`STRICT`] when every mark that was begun in another
/// state is past a barrier; so whoever reads [`STRICT`] owes nothing.
///
/// `checked` is [`CHECKED`] or [`APART`], and a state that is one of these two is `checked`.
pub(crate) struct Discipline {
    state: AtomicUsize,
    checked: usize,
    fence: Option<Fence>,
}

/// What is set in all states but [`CHECKED`].
pub(crate) const BLIND: usize = !(usize::MAX >> 1);

/// Marks look first.
const CHECKED: usize = 0;
/// As [`CHECKED`], where no page is found by what is joined.
const APART: usize = BLIND;
/// Marks lock; all that looked are past.
const STRICT: usize = BLIND | 1;
/// Marks lock, since a fence failed; one that looked may still be on its way.
const UNSETTLED: usize = BLIND | 2;
/// As [`UNSETTLED`], while somebody calls the fence to end that.
const SETTLING: usize = BLIND | 3;
/// Nothing is marked. Only the room `switched` lets a bitmap be so.
const OFF: usize = BLIND | 4;

impl Discipline {
    /// Marks that look first, if there is a fence to be had. `joined` says whether they may look at the page of a
    /// [joined](Self::join) offset.
    pub(crate) fn best(joined: bool) -> Self {
        match Fence::register() {
            Ok(fence) => Self::look(checked(joined), fence),
            Err(_) => Self::strict(joined),
        }
    }

    pub(crate) fn strict(joined: bool) -> Self {
        // INVARIANT: there was no mark yet.
        Self { state: AtomicUsize::new(STRICT), checked: checked(joined), fence: None }
    }

    /// No marks, until they look first.
    pub(crate) fn off(joined: bool, fence: Fence) -> Self {
        // INVARIANT: there is a fence.
        Self { state: AtomicUsize::new(OFF), checked: checked(joined), fence: Some(fence) }
    }

    /// Marks that look first, of which `checked` is the state.
    fn look(checked: usize, fence: Fence) -> Self {
        // INVARIANT: there is a fence.
        Self { state: AtomicUsize::new(checked), checked, fence: Some(fence) }
    }

    /// The same for bits of their own, which nobody has marked yet.
    pub(crate) fn anew(&self) -> Self {
        match (self.fence, self.marking()) {
            (Some(fence), Marking::Checked) => Self::look(self.checked, fence),
            // INVARIANT: there was no mark yet.
            _ => Self { state: AtomicUsize::new(STRICT), checked: self.checked, fence: None },
        }
    }

    /// As of now the bitmap has other pages, of which `joined` says what it says in [`best`](Self::best).
    pub(crate) fn rejoin(&mut self, joined: bool) {
        let (old, new) = (self.checked, checked(joined));
        self.checked = new;
        self.turn(|state| (state == old).then_some(new));
    }

    pub(crate) fn marking(&self) -> Marking {
        match self.state.load(Ordering::Relaxed) {
            CHECKED | APART | OFF => Marking::Checked,
            _ => Marking::Strict,
        }
    }

    /// Whether a mark may look first, and leave it at that. The light half of the fence comes before this.
    #[inline(always)]
    pub(crate) fn looks(&self) -> bool {
        // Of all states, these two have nothing else.
        self.state.load(Ordering::Relaxed) & !BLIND == CHECKED
    }

    /// The offset itself, if a mark may look at its page and leave it at that; or else one with [`BLIND`] in it, which has no page there. The
    /// light half of the fence comes before this.
    #[inline(always)]
    pub(crate) fn join(&self, offset: usize) -> usize {
        offset | self.state.load(Ordering::Relaxed)
    }

    /// Whether nothing is to be marked. The light half of the fence comes before this.
    #[inline(always)]
    pub(crate) fn is_off(&self) -> bool {
        self.state.load(Ordering::Relaxed) == OFF
    }

    /// After bits were cleared and before their pages are read: sees to it that who looked at these bits, and
    /// left it at that, has written what it was about.
    ///
    /// If it fails then marks lock from now on, and the bits must be put back.
    pub(crate) fn fence(&self) -> Result<(), FenceError> {
        Self::fence_all([self])
    }

    /// As [`fence`](Self::fence) for each, by one barrier for all of them.
    pub(crate) fn fence_all<'a, I>(all: I) -> Result<(), FenceError>
    where
        I: IntoIterator<Item = &'a Self, IntoIter: Clone>,
    {
        let all = all.into_iter();
        // Those in which marks lock already: after the barrier none that looked is left of them. (Those that come to lock
        // meanwhile, by the failure of another thread's barrier, may have marks that begin to look after ours.)
        all.clone().for_each(|one| one.turn(|state| (state == UNSETTLED).then_some(SETTLING)));
        let owing = |one: &&Self| one.state.load(Ordering::Acquire) != STRICT;
        let Some(fence) = all.clone().filter(owing).find_map(|one| one.fence) else {
            return Ok(());
        };
        let result = fence.heavy();
        all.for_each(|one| match result {
            // INVARIANT: the barrier came after marks began to lock.
            Ok(()) => one.turn(|state| (state == SETTLING).then_some(STRICT)),
            Err(_) => one.turn(|state| (state != STRICT).then_some(UNSETTLED)),
        });
        result
    }

    /// Takes the caller's word that every mark that was begun when marks still looked is past a barrier.
    pub(crate) fn settle(&self) {
        // INVARIANT: by the caller's word.
        self.turn(|state| matches!(state, UNSETTLED | SETTLING).then_some(STRICT));
    }

    /// Whether there may be marks of which nobody knows that they are past a barrier.
    pub(crate) fn is_unsettled(&self) -> bool {
        matches!(self.state.load(Ordering::Acquire), UNSETTLED | SETTLING)
    }

    /// Lets nothing be marked, if there is a fence to end that by. Marks on their way may still come.
    pub(crate) fn turn_off(&self) {
        // INVARIANT: there is a fence, as the state is not `STRICT`.
        self.turn(|state| matches!(state, CHECKED | APART).then_some(OFF));
    }

    /// Lets everything be marked again. What is written before the next [`fence`](Self::fence) may not be.
    pub(crate) fn turn_on(&self) {
        // INVARIANT: there is a fence, as the state is not `STRICT`.
        self.turn(|state| (state == OFF).then_some(self.checked));
    }

    /// Changes the state as `to` says of the present one.
    fn turn(&self, to: impl Fn(usize) -> Option<usize>) {
        // Acquire and release: with a change of the state goes what was known when it was made.
        let _unchanged = self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, to).is_err();
    }
}

/// The state in which marks look.
fn checked(joined: bool) -> usize {
    if joined { CHECKED } else { APART }
}
