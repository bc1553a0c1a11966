//! `membarrier(2)`.

#![expect(unsafe_code, reason = "makes a system call for which the C library has no function")]

use core::ffi::c_int;

use super::error::FenceError;

// `enum membarrier_cmd` of linux/membarrier.h, which the libc crate has for Android only.
const PRIVATE_EXPEDITED: c_int = 1 << 3;
const REGISTER_PRIVATE_EXPEDITED: c_int = 1 << 4;

pub(super) fn register() -> Result<(), FenceError> {
    membarrier(REGISTER_PRIVATE_EXPEDITED)
}

pub(super) fn barrier() -> Result<(), FenceError> {
    match membarrier(PRIVATE_EXPEDITED) {
        // The process is not registered: it is the child of one that was, on a kernel where that is not inherited, which
        // nothing that is written down excludes. What counts is the barrier that comes after it is registered.
        Err(FenceError::Refused { errno: libc::EPERM }) => {
            register()?;
            membarrier(PRIVATE_EXPEDITED)
        }
        result => result,
    }
}

fn membarrier(command: c_int) -> Result<(), FenceError> {
    const NO_FLAGS: c_int = 0;
    // SAFETY: membarrier(2) takes two integers, and touches no memory of the caller's.
    let result = unsafe { libc::syscall(libc::SYS_membarrier, command, NO_FLAGS) };
    if result == 0 { Ok(()) } else { Err(FenceError::Refused { errno: errno() }) }
}

/// What the last system call of this thread failed with.
fn errno() -> i32 {
    #[cfg(target_os = "android")]
    use libc::__errno as location;
    #[cfg(not(target_os = "android"))]
    use libc::__errno_location as location;

    // SAFETY: the function has no precondition.
    let location = unsafe { location() };
    // SAFETY: it is the address of this thread's own `errno`, which lives as long as the thread.
    unsafe { location.read() }
}
