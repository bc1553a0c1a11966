//! The handler of both signals, and what it knows.

#![expect(unsafe_code, reason = "sets and runs a handler of signals")]

use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};
use std::io;
use std::sync::{Mutex, PoisonError};

use libc::{SIGBUS, SIGSEGV, c_int, c_void, siginfo_t};

use super::context;
use super::previous::{Previous, is_of_an_instruction};
use super::table::Table;

/// What the handler needs. It is made before the handler can run, and never freed nor changed.
struct State {
    table: &'static Table,
    bus: &'static Previous,
    segv: &'static Previous,
}

/// Null, or a state that was leaked.
static STATE: AtomicPtr<State> = AtomicPtr::new(ptr::null_mut());

/// Held while the handler is installed, by one thread; true once it is.
static INSTALLED: Mutex<bool> = Mutex::new(false);

fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

/// Makes the handler see `state`.
fn publish(state: State) {
    // Release: what the state holds is written before the pointer to it.
    STATE.store(ptr::from_ref(leak(state)).cast_mut(), Ordering::Release);
}

pub(crate) fn install() -> io::Result<()> {
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if *installed {
        return Ok(());
    }
    let table = leak(Table::of_this_binary());
    let (mut bus, mut segv) = (leak(Previous::of(SIGBUS)?), leak(Previous::of(SIGSEGV)?));
    publish(State { table, bus, segv });
    // What another thread set in between is what it goes on to.
    if let Some(other) = bus.replace(on_signal)? {
        bus = leak(other);
        publish(State { table, bus, segv });
    }
    match segv.replace(on_signal) {
        Ok(None) => {}
        Ok(Some(other)) => {
            segv = leak(other);
            publish(State { table, bus, segv });
        }
        Err(error) => {
            // So that whoever tries again does not find our own.
            bus.put_back();
            return Err(error);
        }
    }
    *installed = true;
    Ok(())
}

pub(crate) fn is_installed() -> bool {
    *INSTALLED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes a fault of guest memory, or has done what would have been done without.
extern "C" fn on_signal(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // Acquire: of the store that published it, what it holds.
    let state = STATE.load(Ordering::Acquire);
    // SAFETY: it is set before the handler, and what it points to was leaked and is never changed.
    let state = unsafe { &*state };
    let context_of_thread = context.cast::<libc::ucontext_t>();
    // SAFETY: the kernel gives a handler with `SA_SIGINFO` the context of the thread that it interrupted, which is the handler's to change.
    let context_of_thread = unsafe { &mut *context_of_thread };
    // SAFETY: and what is known of the signal.
    if is_of_an_instruction(unsafe { &*info })
        && let Some(fixup) = state.table.fixup(context::instruction(context_of_thread))
    {
        context::go_on_at(context_of_thread, fixup);
        return;
    }
    let previous = if signal == SIGBUS { state.bus } else { state.segv };
    // SAFETY: both are of this handler, which runs for that signal.
    unsafe { previous.call(info, context, on_signal) };
}
