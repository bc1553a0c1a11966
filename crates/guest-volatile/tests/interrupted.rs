//! A read that a signal interrupts.

#![expect(unsafe_code, reason = "sends signals")]

mod common;

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::thread::JoinHandleExt;
use std::thread;
use std::time::Duration;

use common::{Log, Ram};
use guest_volatile::ReadVolatile;

extern "C" fn nothing(_: libc::c_int) {}

/// Lets `SIGUSR1` interrupt what a thread waits for.
fn interruptible() {
    // SAFETY: a `sigaction` of zeros is one: no flags, so `SA_RESTART` is off, and an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as libc::sighandler_t;
    // SAFETY: the handler does nothing, which is safe in any place a signal may come.
    let done = unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()) };
    assert_eq!(done, 0);
}

// POSIX: EINTR says that a signal came before any data. It is an error that may be tried again, and marks nothing.
#[test]
fn an_interrupted_read_has_moved_and_marked_nothing() {
    interruptible();
    let (_peer, socket) = UnixStream::pair().expect("a pair of sockets");
    let mut socket = OwnedFd::from(socket);
    let reader = thread::spawn(move || {
        let (mut ram, log) = (Ram::<64>::counting(), Log::default());
        let memory = log.watch(ram.slice());
        let (mut low, high) = memory.split_at(20).expect("inside");
        let once = socket.read_volatile(&mut low).expect_err("nothing to read");
        let list = socket.read_vectored_volatile(&[low, high]).expect_err("nothing to read");
        assert!(once.is_interrupted() && list.is_interrupted());
        assert_eq!(log.take(), []);
    });
    // It may not wait yet when the first signal comes.
    while !reader.is_finished() {
        // SAFETY: the thread has not been joined, so its handle is good.
        unsafe { libc::pthread_kill(reader.as_pthread_t(), libc::SIGUSR1) };
        thread::sleep(Duration::from_millis(1));
    }
    reader.join().expect("both reads were interrupted");
}
