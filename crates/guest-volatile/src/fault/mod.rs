//! Faults on guest memory become errors.
//!
//! Memory that is mapped may still be out of reach: the file behind it was made shorter by whoever else owns it, its page is broken,
//! or somebody protected it. The processor faults, the kernel sends `SIGBUS` or `SIGSEGV`, and the process ends. [`install`] sets a
//! handler for both: if the instruction is one of those by which this crate reaches guest bytes, the access returns
//! [`Error::Faulted`](crate::Error::Faulted) instead, which says where, after how many bytes, and whether reading or writing.
//!
//! ```
//! # fn main() -> std::io::Result<()> {
//! # if guest_volatile::fault::install().is_err() { return Ok(()) } // not here
//! use guest_volatile::{Access, Error, VolatileSlice, fault};
//!
//! fault::install()?; // once, early in `main`
//!
//! # fn map_two_pages_of_a_file_of_one() -> VolatileSlice<'static> {
//! #     use std::os::fd::AsRawFd;
//! #     let path = std::env::temp_dir().join(format!("guest-volatile-fault-{}", std::process::id()));
//! #     let file = std::fs::File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
//! #     std::fs::remove_file(&path).unwrap();
//! #     file.set_len(0x1000).unwrap();
//! #     let (prot, shared) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
//! #     unsafe {
//! #         let addr = libc::mmap(std::ptr::null_mut(), 0x2000, prot, shared, file.as_raw_fd(), 0);
//! #         VolatileSlice::new(addr.cast(), 0x2000)
//! #     }
//! # }
//! let memory = map_two_pages_of_a_file_of_one();
//! let mut buf = [0; 0x1800];
//! let result = memory.read_slice(&mut buf, 0x800);
//! let expected = Error::Faulted { addr: 0x1000, completed: 0x800, access: Access::Read };
//! assert_eq!(result.unwrap_err().to_string(), expected.to_string());
//! # Ok(())
//! # }
//! ```
//!
//! # What is taken
//!
//! A signal is taken if the kernel sent it for the very instruction (its `si_code` is positive, and not that of a memory error found elsewhere,
//! `BUS_MCEERR_AO`), and the instruction is in the table that the assembly of this crate fills. All else goes on to the action that was
//! there before: other faults, and signals sent by `kill(2)` or `sigqueue(3)`. Recovery is for Linux on x86-64 and on aarch64; elsewhere, and with
//! `--cfg guest_volatile_portable`, accesses are the compiler's, and [`install`] says that it is not supported.
//!
//! What is not taken: accesses through pointers and references that were given out (`HostPtr`, `PtrGuard`, `get_atomic_ref`), and atomics of
//! others' making ([`AtomicInteger`](crate::AtomicInteger)). System calls never raise a signal; their `EFAULT` is the same error.
//!
//! # What it costs
//!
//! Without a fault, nothing but a test of a register after a load or a copy, which is there with and without this. A fault costs the kernel's signal, three to some ten
//! times, since the access is begun again to see how far it comes, and the loads of one object that follow the first to fault, fault too.
//!
//! # In company
//!
//! The action that was there before is called as the kernel would have: with the same signal, the very `siginfo_t` and context, its mask, and without the signal
//! blocked if it said `SA_NODEFER`. `SA_RESETHAND` is kept. It runs on the alternate stack, if the thread has one, whether or not
//! it said `SA_ONSTACK`. If it was the default, it is put back, and the fault happens again; a signal that would be ignored still is, but
//! for a fault, which the kernel does not let anybody ignore. A handler that puts the default in its place when a signal was sent, as the standard library's
//! does, is not called again: recovery stays, and the next such signal has its default.
//!
//! The handler says `SA_ONSTACK`, since the standard library's, which tells of a stack overflow, is among those that are
//! called, and on an overflow there is no other stack left. The library has given such a stack to the main thread and to all of its own; it
//! needs some hundred bytes besides what the kernel puts there. On a thread without one it runs on the thread's stack.
//!
//! Who sets a handler of these signals later must call the one that it finds, as this one does; then the order does not matter. A thread that blocks
//! `SIGBUS` or `SIGSEGV` is killed when it faults, by the kernel's rule.
//!
//! Each linked binary has its own table: a program and a `cdylib` in it that both contain this crate both have to install, and each looks into its own and
//! calls the other. A Rust `dylib`, from which accesses are inlined into other binaries, is not covered there.
//!
//! # What the handler does
//!
//! It is safe in a signal: it reads memory that is never freed, takes no lock, allocates nothing and calls nothing but, in the cases above,
//! `sigaction(2)`, `pthread_sigmask(3)`, `tgkill(2)`. It searches a sorted copy of the table, which is made when it is installed.
//! A seccomp filter has to allow `rt_sigaction` once, and `rt_sigreturn`.

#[cfg(all(
    any(all(target_arch = "x86_64", target_feature = "sse2"), target_arch = "aarch64"),
    target_pointer_width = "64",
    any(target_os = "linux", target_os = "android"),
    not(guest_volatile_portable)
))]
mod linux;
#[cfg(all(
    any(all(target_arch = "x86_64", target_feature = "sse2"), target_arch = "aarch64"),
    target_pointer_width = "64",
    any(target_os = "linux", target_os = "android"),
    not(guest_volatile_portable)
))]
use linux as sys;

#[cfg(not(all(
    any(all(target_arch = "x86_64", target_feature = "sse2"), target_arch = "aarch64"),
    target_pointer_width = "64",
    any(target_os = "linux", target_os = "android"),
    not(guest_volatile_portable)
)))]
mod nowhere;
#[cfg(not(all(
    any(all(target_arch = "x86_64", target_feature = "sse2"), target_arch = "aarch64"),
    target_pointer_width = "64",
    any(target_os = "linux", target_os = "android"),
    not(guest_volatile_portable)
)))]
use nowhere as sys;

/// Sets the handler for the whole process, if it is not set yet. From then on faults on guest memory are errors.
///
/// It stays for as long as the process does. Calling it again does nothing, in particular not if somebody else's handler has come before it
/// meanwhile, which calls it, one hopes.
///
/// # Errors
///
/// `Unsupported`, where there is no recovery; else those of `sigaction(2)`, which has none to give but by a seccomp filter.
///
/// ```
/// # if guest_volatile::fault::install().is_err() { return Ok(()) } // not here
/// use guest_volatile::fault;
/// fault::install()?;
/// assert!(fault::is_installed());
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn install() -> std::io::Result<()> {
    sys::install()
}

/// Whether [`install`] has succeeded in this process.
///
/// ```
/// use guest_volatile::fault;
/// let recovers = fault::install().is_ok();
/// assert_eq!(fault::is_installed(), recovers);
/// ```
pub fn is_installed() -> bool {
    sys::is_installed()
}
