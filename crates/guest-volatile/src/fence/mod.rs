//! A memory barrier that one side pays for.
//!
//! Two threads that each write one thing and then read the other's need a full barrier between the
//! two on both sides (Dekker's pattern). Where one of them does it billions of times and the other
//! once a second, the frequent one can do with a barrier for the compiler alone, if the rare one makes
//! the kernel interrupt every CPU that runs the process: `membarrier(2)`.

mod error;

#[cfg(all(
    feature = "fence",
    any(target_os = "linux", target_os = "android"),
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod linux;
#[cfg(all(
    feature = "fence",
    any(target_os = "linux", target_os = "android"),
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
use linux as sys;

#[cfg(not(all(
    feature = "fence",
    any(target_os = "linux", target_os = "android"),
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
mod other;
#[cfg(not(all(
    feature = "fence",
    any(target_os = "linux", target_os = "android"),
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
use other as sys;

pub use error::FenceError;

use core::sync::atomic::{Ordering, compiler_fence, fence};

/// The right to the heavy half of an asymmetric memory barrier.
///
/// Holding one says: the kernel has registered this process, and offers `membarrier(2)` with
/// `MEMBARRIER_CMD_PRIVATE_EXPEDITED`. It does not say that the next call will succeed: a seccomp
/// filter may have come meanwhile, so [`heavy`](Self::heavy) returns a result that must be looked at.
///
/// # What the pair does
///
/// The frequent side writes A, calls [`light`](Self::light), and reads B. The rare side writes B, calls
/// [`heavy`](Self::heavy), and reads A after it succeeded. Then at least one of the two sees what the
/// other wrote. For each thread of the process there is a moment during the call at which, in the words of the
/// man page, "all memory accesses to user-space addresses match program order". If the frequent side's
/// read of B comes before its moment, so does its write of A, and the rare side sees that; if it comes after, it sees B.
/// This is what C++'s Concurrency TS calls a lightweight and a heavyweight fence (P1202).
///
/// ```
/// use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
/// use guest_volatile::Fence;
///
/// static WROTE: AtomicBool = AtomicBool::new(false);
/// static CLOSED: AtomicBool = AtomicBool::new(false);
///
/// // Often, in any thread:
/// WROTE.store(true, Relaxed);
/// Fence::light();
/// let seen = CLOSED.load(Relaxed);
///
/// // Rarely: after this, a writer who did not see CLOSED is one whose WROTE is seen here.
/// if let Ok(fence) = Fence::register() {
///     CLOSED.store(true, Relaxed);
///     fence.heavy()?;
///     assert!(seen || WROTE.load(Relaxed));
/// }
/// # Ok::<(), guest_volatile::FenceError>(())
/// ```
///
/// # Where it is to be had
///
/// With the feature `fence`, on Linux since 4.14, on x86-64 and arm64. Not on riscv64, whose kernels up to 6.8
/// lacked the barrier that the call relies on when they switch processes, nor where nobody has looked. Elsewhere
/// [`register`](Self::register) says [`Unsupported`](FenceError::Unsupported).
///
/// # Whom it reaches
///
/// All threads that share the memory of the caller, whatever they do: one in the kernel, or off the CPU, is past a barrier
/// anyhow; one that runs a virtual CPU leaves the guest for a moment. **Not other processes**: who
/// shares a piece of memory with them cannot order their accesses by this. A child of `fork` is another process; it
/// inherits the registration, and its own barriers reach its own threads.
///
/// # What it costs
///
/// The light half is no instruction. The heavy half is a system call (0.4 us on a virtual machine) and an
/// interrupt for each CPU that runs another thread of the process (some microseconds). To register
/// costs as much, and some milliseconds for the first time in a process that has threads already.
///
/// # Seccomp
///
/// `membarrier` must be allowed for threads that register or call the heavy half. A filter that
/// returns an error is reported as one; a filter that kills, kills.
///
/// # Why not `mprotect`
///
/// Some libraries make a page read-only where `membarrier` is missing, since that interrupts all CPUs on the
/// way. It does not where the hardware broadcasts the change: on arm64, and on AMD since Linux 6.15.
#[derive(Clone, Copy, Debug)]
pub struct Fence(());

impl Fence {
    /// Registers the process with the kernel, so that the heavy half works. To do so again is cheap.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](FenceError::Unsupported) in a build without it, [`Refused`](FenceError::Refused) by a kernel or a
    /// filter without it.
    pub fn register() -> Result<Self, FenceError> {
        sys::register()?;
        Ok(Self(()))
    }

    /// The light half: what the thread did before it, it did before what it does after it, as far as the other
    /// side's [`heavy`](Self::heavy) half is concerned.
    ///
    /// For all others it is a barrier of the compiler alone, and orders nothing.
    #[inline(always)]
    pub fn light() {
        compiler_fence(Ordering::SeqCst);
    }

    /// The heavy half, which makes each light half of another thread a full barrier that comes before or after it.
    ///
    /// # Errors
    ///
    /// [`Refused`](FenceError::Refused): nothing was ordered.
    pub fn heavy(self) -> Result<(), FenceError> {
        // The kernel has barriers at both ends of its work, but none where it sees that there is no other
        // thread, or only one CPU. Next to the call these two are nothing.
        fence(Ordering::SeqCst);
        sys::barrier()?;
        fence(Ordering::SeqCst);
        Ok(())
    }
}
