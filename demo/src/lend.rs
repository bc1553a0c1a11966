//! The promise that host memory makes before a guest may be given it.
#![expect(
    unsafe_code,
    reason = "only the owner of a mapping can promise that it stays, and an unsafe trait is how it says so"
)]

use guest_mmap::GuestRegionMmap;
use guest_volatile::Bitmap;

/// Host memory that can be lent to a guest.
///
/// # Safety
///
/// From when the value is shared until it is dropped:
///
/// - [`span`](Lendable::span) gives the same range each time;
/// - that range stays mapped, and nothing else is mapped or allocated in it;
/// - it is as a [valid](guest_volatile#valid) range in all that concerns others: no Rust reference to
///   any of its bytes is used, and host code tolerates that they change at any moment, for a guest
///   writes them without asking.
///
/// The host need not be able to write or even read it: a guest's access that the mapping does not
/// allow fails in the guest's call, not in the host.
pub unsafe trait Lendable: Send + Sync + 'static {
    /// Start and length in bytes of the memory, in the host's address space.
    fn span(&self) -> (*mut u8, usize);
}

// SAFETY:
// - Both numbers are those of the `MmapRegion` that the region got when it was made: it never gets
//   another one, and neither type has a method that changes them.
// - The region owns a share of the `MmapRegion`, which is unmapped when it is dropped, or by `unmap`,
//   which consumes it: neither happens while a share is left. It was mapped at an address of the
//   system's choice (`MAP_FIXED` is refused), so nothing else is there. Where memory was given by a
//   pointer instead, the caller of that `unsafe` function promised that it is valid for as long as
//   the `MmapRegion` lives.
// - guest-mmap makes no reference to mapped memory; it gives out slices, which access by volatile and
//   atomic operations, and raw pointers, which take `unsafe` code to use. A caller who gave a
//   pointer promised *valid* memory. That he may have promised it for reading only is enough: this
//   is about what the host does, and under any promise "a guest's CPU" may access "at any time".
unsafe impl<B: Bitmap + Send + Sync + 'static> Lendable for GuestRegionMmap<B> {
    fn span(&self) -> (*mut u8, usize) {
        (self.as_ptr(), self.size())
    }
}
