//! The action of a signal that was there before, and how it is called.

#![expect(unsafe_code, reason = "calls handlers of signals, and changes actions and masks")]

use core::ffi;
use core::mem::{self, MaybeUninit};
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};
use std::io;

use libc::{c_int, c_void, siginfo_t};

type Handler = extern "C" fn(c_int);
type HandlerOfInfo = extern "C" fn(c_int, *mut siginfo_t, *mut c_void);

/// Of memory with tags (aarch64), where they are checked later than the access is done: the kernel's number, which the C library has not.
const SEGV_MTEAERR: c_int = 8;

/// An action of a signal.
pub(super) struct Previous {
    signal: c_int,
    action: libc::sigaction,
    /// Whether a handler that is called once was, or one has put the default in its place.
    is_spent: AtomicBool,
}

impl Previous {
    /// The action that `signal` has now.
    pub(super) fn of(signal: c_int) -> io::Result<Self> {
        let mut action = MaybeUninit::uninit();
        // SAFETY: sigaction(2) writes the present action to its third argument, which is the local's place, and with null for the second
        // changes nothing.
        let result = unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call has succeeded, and so has written it.
        let action = unsafe { action.assume_init() };
        Ok(Self { signal, action, is_spent: AtomicBool::new(false) })
    }

    /// Sets `handler` in its place, and returns the action that it really took the place of, if that was set meanwhile.
    pub(super) fn replace(&self, handler: HandlerOfInfo) -> io::Result<Option<Self>> {
        // SAFETY: all zeroes are an action: the default, with an empty mask.
        let mut ours: libc::sigaction = unsafe { mem::zeroed() };
        ours.sa_sigaction = handler as *const () as usize;
        ours.sa_flags =
            libc::SA_SIGINFO | libc::SA_ONSTACK | self.action.sa_flags & libc::SA_RESTART;
        let mut before = MaybeUninit::uninit();
        // SAFETY: both are the places of locals; the handler is a function of this signature, safe in a signal.
        let result = unsafe { libc::sigaction(self.signal, &raw const ours, before.as_mut_ptr()) };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call has succeeded, and so has written it.
        let action: libc::sigaction = unsafe { before.assume_init() };
        let is_same = action.sa_sigaction == self.action.sa_sigaction
            && action.sa_flags == self.action.sa_flags;
        let Self { signal, .. } = *self;
        Ok((!is_same).then_some(Self { signal, action, is_spent: AtomicBool::new(false) }))
    }

    /// Sets the action again.
    pub(super) fn put_back(&self) {
        // SAFETY: it reads the action, which the kernel gave for this signal.
        unsafe { libc::sigaction(self.signal, &raw const self.action, ptr::null_mut()) };
    }

    /// Does what would have been done, and leaves `ours` in place if the signal does not come again. Safe in a signal.
    ///
    /// # Safety
    ///
    /// `info` and `context` must be those of `ours`, which runs for the action's signal now.
    pub(super) unsafe fn call(
        &self,
        info: *mut siginfo_t,
        context: *mut c_void,
        ours: HandlerOfInfo,
    ) {
        let is_once = self.action.sa_flags & libc::SA_RESETHAND != 0;
        let is_spent = if is_once {
            self.is_spent.swap(true, Ordering::Relaxed)
        } else {
            self.is_spent.load(Ordering::Relaxed)
        };
        match self.action.sa_sigaction {
            handler if is_spent || handler == libc::SIG_DFL => {
                // SAFETY: the caller's promise.
                unsafe { self.die(info) };
            }
            libc::SIG_IGN => {
                // SAFETY: `info` is that of the signal, by the caller's promise.
                if is_of_an_instruction(unsafe { &*info }) {
                    // Nobody can ignore what would happen again at once.
                    // SAFETY: the caller's promise.
                    unsafe { self.die(info) };
                }
            }
            handler => {
                self.mask();
                if self.action.sa_flags & libc::SA_SIGINFO != 0 {
                    // SAFETY: who set the action has promised a handler of this signature, by sigaction(2).
                    let handler = unsafe { mem::transmute::<usize, HandlerOfInfo>(handler) };
                    handler(self.signal, info, context);
                } else {
                    // SAFETY: as before, of this one.
                    let handler = unsafe { mem::transmute::<usize, Handler>(handler) };
                    handler(self.signal);
                }
                // SAFETY: `info` is that of the signal, by the caller's promise.
                if !is_of_an_instruction(unsafe { &*info }) {
                    self.stay(ours);
                }
            }
        }
    }

    /// Sets `ours` again, if the handler has put the default in its place. The standard library's does, since it takes each signal for one of an instruction,
    /// which comes again at once. One that was sent does not, and recovery would have gone without a word; the next one finds the
    /// default, as it would have.
    fn stay(&self, ours: HandlerOfInfo) {
        let Ok(now) = Self::of(self.signal) else { return };
        if now.action.sa_sigaction == libc::SIG_DFL {
            self.is_spent.store(true, Ordering::Relaxed);
            // It was set before, so it may be; and if not, there is nobody to tell.
            let _ = self.replace(ours);
        }
    }

    /// Blocks what the handler wants blocked, and lets through what it wants let through. The kernel puts the mask back when the signal's handler
    /// returns.
    fn mask(&self) {
        // SAFETY: it reads the set, which is a part of an action that the kernel gave.
        unsafe {
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const self.action.sa_mask, ptr::null_mut())
        };
        // SAFETY: it reads the set.
        let is_masked =
            unsafe { libc::sigismember(&raw const self.action.sa_mask, self.signal) } == 1;
        if self.action.sa_flags & libc::SA_NODEFER != 0 && !is_masked {
            let mut this = MaybeUninit::uninit();
            // SAFETY: it writes an empty set to the local's place.
            unsafe { libc::sigemptyset(this.as_mut_ptr()) };
            // SAFETY: which it adds a signal to, that exists.
            unsafe { libc::sigaddset(this.as_mut_ptr(), self.signal) };
            // SAFETY: it reads the set, which was just written.
            unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, this.as_ptr(), ptr::null_mut()) };
        }
    }

    /// Has the default happen, when the handler returns: the instruction faults again, or the signal comes again.
    ///
    /// # Safety
    ///
    /// As for [`call`](Self::call).
    unsafe fn die(&self, info: *mut siginfo_t) {
        // SAFETY: all zeroes are an action: the default, with an empty mask.
        let default: libc::sigaction = unsafe { mem::zeroed() };
        // SAFETY: it reads the action, and the default of a signal may always be set.
        unsafe { libc::sigaction(self.signal, &raw const default, ptr::null_mut()) };
        // SAFETY: `info` is that of the signal, by the caller's promise.
        if !is_of_an_instruction(unsafe { &*info }) {
            // SAFETY: it has neither arguments nor failures.
            let (process, thread) = (unsafe { libc::getpid() }, unsafe { thread() });
            // SAFETY: it sends a signal to this thread, where it waits until this handler returns.
            unsafe { libc::syscall(libc::SYS_tgkill, process, thread, self.signal) };
        }
    }
}

/// This thread's number.
///
/// # Safety
///
/// None is asked of the caller.
unsafe fn thread() -> ffi::c_long {
    // SAFETY: it has neither arguments nor failures.
    unsafe { libc::syscall(libc::SYS_gettid) }
}

/// Whether the kernel sent the signal for the instruction that this thread was at, which comes again if nothing is done.
pub(super) fn is_of_an_instruction(info: &siginfo_t) -> bool {
    // Of those from processes it is 0 or negative (sigaction(2)).
    let is_of_the_kernel = info.si_code > 0;
    // Found by the hardware somewhere, not by an access; or by an earlier one, of a wrong tag.
    let elsewhere = [(libc::SIGBUS, libc::BUS_MCEERR_AO), (libc::SIGSEGV, SEGV_MTEAERR)];
    let is_elsewhere = elsewhere.contains(&(info.si_signo, info.si_code));
    is_of_the_kernel && !is_elsewhere
}
