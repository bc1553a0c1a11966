//! `iovec`s that are lent to an engine of the caller's own.

use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use libc::iovec;

use crate::bitmap::BitmapSlice;
use crate::error::Result;
use crate::iovec::{source, target};
use crate::list::mark_first;
use crate::slice::VolatileSlice;

/// The `iovec`s of a list of slices, for those who make the system call themselves, or hand it to io_uring or libaio.
///
/// Implemented by `[VolatileSlice]`. Calls that this crate makes for you are
/// [`ReadVolatileAt`](crate::ReadVolatileAt) and [`WriteVolatileAt`](crate::WriteVolatileAt).
pub trait AsIovecs<'a, B: BitmapSlice> {
    /// The slices that have bytes, for the engine to read from: a `writev(2)`.
    ///
    /// # Errors
    ///
    /// [`NotReadable`](crate::Error::NotReadable) if one of them may not be read.
    ///
    /// ```
    /// use guest_volatile::{AsIovecs, VolatileSlice};
    /// let (mut low, mut high) = (*b"ab", *b"cde");
    /// let list = [VolatileSlice::from(&mut low[..]), VolatileSlice::from(&mut high[..])];
    /// let iovecs = list.as_iovecs()?;
    /// assert_eq!((iovecs.len(), iovecs.as_slice()[1].iov_len), (2, 3));
    /// # Ok::<(), guest_volatile::Error>(())
    /// ```
    fn as_iovecs(&self) -> Result<Iovecs<'a>>;

    /// The slices that have bytes, for the engine to write to: a `readv(2)`. Dropped, they are marked dirty.
    ///
    /// # Errors
    ///
    /// [`NotWritable`](crate::Error::NotWritable) if one of them is read-only.
    ///
    /// ```
    /// use guest_volatile::{AsIovecs, VolatileSlice};
    /// use std::{fs::File, os::fd::AsRawFd};
    /// let (mut low, mut high) = ([7u8; 2], [7u8; 4]);
    /// let list = [VolatileSlice::from(&mut low[..]), VolatileSlice::from(&mut high[..])];
    /// let (zeros, iovecs) = (File::open("/dev/zero").unwrap(), list.as_iovecs_mut()?);
    /// // SAFETY: the iovecs are those of memory that is lent until `written`; the call is over before.
    /// let count = unsafe { libc::readv(zeros.as_raw_fd(), iovecs.as_ptr(), 2) };
    /// iovecs.written(usize::try_from(count).expect("zeros do not fail"));
    /// assert_eq!((low, high), ([0; 2], [0; 4]));
    /// # Ok::<(), guest_volatile::Error>(())
    /// ```
    fn as_iovecs_mut(&self) -> Result<IovecsMut<'a, B>>;
}

impl<'a, B: BitmapSlice> AsIovecs<'a, B> for [VolatileSlice<'a, B>] {
    fn as_iovecs(&self) -> Result<Iovecs<'a>> {
        let iovecs = with_bytes(self).map(source).collect::<Result<_>>()?;
        Ok(Iovecs { iovecs, guest: PhantomData })
    }

    fn as_iovecs_mut(&self) -> Result<IovecsMut<'a, B>> {
        let iovecs = with_bytes(self).map(target).collect::<Result<_>>()?;
        let slices = with_bytes(self).cloned().collect();
        Ok(IovecsMut { iovecs, slices, written: usize::MAX })
    }
}

fn with_bytes<'s, 'a, B>(
    bufs: &'s [VolatileSlice<'a, B>],
) -> impl Iterator<Item = &'s VolatileSlice<'a, B>> {
    bufs.iter().filter(|buf| !buf.is_empty())
}

/// `iovec`s of volatile memory for somebody else to read from.
///
/// Looking at them is safe; who hands them to a system call keeps its rules. They stay where they are when this value
/// moves, and cannot outlive the memory:
///
/// ```compile_fail,E0505
/// use guest_volatile::{AsIovecs, VolatileSlice};
/// let mut ram = vec![0u8; 16];
/// let iovecs = [VolatileSlice::from(&mut ram[..])].as_iovecs().unwrap();
/// drop(ram);
/// iovecs.as_ptr();
/// ```
///
/// but the list that they were taken from:
///
/// ```
/// use guest_volatile::{AsIovecs, VolatileSlice};
/// let mut ram = vec![0u8; 16];
/// let iovecs = [VolatileSlice::from(&mut ram[..])].as_iovecs().unwrap();
/// iovecs.as_ptr();
/// drop(ram);
/// ```
///
/// # An engine that goes on by itself
///
/// An asynchronous engine uses the memory after the call that submits a request. The borrow of the memory ends where this value
/// ends, so it must be kept until the engine has reported the request done, cancelled ones included: only then may the value
/// be dropped, forgotten or marked as written. Where it cannot be kept, something else must keep the memory mapped, such as a
/// shared handle of the map.
pub struct Iovecs<'a> {
    iovecs: Vec<iovec>,
    guest: PhantomData<&'a u8>,
}

impl Iovecs<'_> {
    /// The `iovec`s. None is of no bytes.
    pub fn as_slice(&self) -> &[iovec] {
        &self.iovecs
    }

    /// The address of the first `iovec`.
    pub fn as_ptr(&self) -> *const iovec {
        self.iovecs.as_ptr()
    }

    /// The number of `iovec`s. A system call of Linux takes 1024.
    pub fn len(&self) -> usize {
        self.iovecs.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.iovecs.is_empty()
    }
}

/// `iovec`s of volatile memory for somebody else to write to.
///
/// When it is dropped, all of the memory is marked dirty; [`written`](Self::written) marks less where one knows better, which
/// is nearly always. What is said of [`Iovecs`] holds for these, too.
///
/// ```compile_fail,E0505
/// use guest_volatile::{AsIovecs, VolatileSlice};
/// let mut ram = vec![0u8; 16];
/// let iovecs = [VolatileSlice::from(&mut ram[..])].as_iovecs_mut().unwrap();
/// drop(ram);
/// iovecs.written(4);
/// ```
///
/// # Marks without the guard
///
/// What is forgotten is not marked. An engine that cannot keep the guard until the end of a request keeps the guest addresses, and
/// at the end takes the slices from the memory again, and says of them what was `written`.
pub struct IovecsMut<'a, B: BitmapSlice = ()> {
    iovecs: Vec<iovec>,
    slices: Vec<VolatileSlice<'a, B>>,
    written: usize,
}

impl<B: BitmapSlice> IovecsMut<'_, B> {
    /// The `iovec`s. None is of no bytes.
    pub fn as_slice(&self) -> &[iovec] {
        &self.iovecs
    }

    /// The address of the first `iovec`.
    pub fn as_ptr(&self) -> *const iovec {
        self.iovecs.as_ptr()
    }

    /// The number of `iovec`s. A system call of Linux takes 1024.
    pub fn len(&self) -> usize {
        self.iovecs.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.iovecs.is_empty()
    }

    /// Ends the guard, with the first `count` bytes of the list written, as a `readv(2)` does, and no other.
    pub fn written(mut self, count: usize) {
        self.written = count;
    }
}

impl<B: BitmapSlice> Drop for IovecsMut<'_, B> {
    fn drop(&mut self) {
        mark_first(&self.slices, self.written);
    }
}

impl fmt::Debug for Iovecs<'_> {
    /// Shows the shape, never a host address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iovecs").field("len", &self.len()).finish()
    }
}

impl<B: BitmapSlice> fmt::Debug for IovecsMut<'_, B> {
    /// Shows the shape, never a host address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IovecsMut").field("slices", &self.slices).finish()
    }
}
