//! What is not the crate's own goes on to whoever was there before: each scenario in a process of its own, which may die.

#![expect(
    unsafe_code,
    reason = "sets handlers, sends signals, and touches what must not be touched"
)]

use std::mem::{self, MaybeUninit};
use std::os::unix::process::ExitStatusExt;
use std::process::Output;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use guest_volatile::{Access, fault};
use libc::{SIGABRT, SIGBUS, SIGSEGV, SIGUSR1, c_int, c_void, siginfo_t};
use rstest::rstest;

use crate::common::{emulator, this_program};
use crate::memory::{PAGE, Pages, Why, fault_of};

const NAME: &str = "GUEST_VOLATILE_FAULT_SCENARIO";

const BLOCKED: &str = "a fault while it is blocked";

/// Runs a scenario of [`in_a_child`].
fn run(scenario: &str) -> Output {
    this_program()
        .args(["--exact", "company::in_a_child", "--nocapture", "--test-threads=1"])
        .env(NAME, scenario)
        .output()
        .expect("it runs")
}

/// A scenario that has nothing to show but that it ends by that signal.
#[rstest]
#[case("a null read, after the standard library's handler", SIGSEGV)]
#[case("a null read, after the default", SIGSEGV)]
#[case("a null read, after ignoring", SIGSEGV)]
#[case("a foreign access to the end of a file", SIGBUS)]
#[case("a kill, after the default", SIGBUS)]
#[case("a second kill, after the standard library's handler", SIGSEGV)]
#[case(BLOCKED, SIGBUS)]
#[case("a second signal for a handler that is called once", SIGSEGV)]
fn ends_by_the_signal(#[case] scenario: &str, #[case] signal: c_int) {
    if scenario == BLOCKED && emulator().is_some() {
        println!("skipped: an emulator does not kill, and tries for ever");
        return;
    }
    let output = run(scenario);
    assert_eq!(output.status.signal(), Some(signal), "{output:?}");
    let has_lived = String::from_utf8_lossy(&output.stdout).contains("still here");
    assert_eq!(has_lived, scenario.starts_with("a second kill"), "{output:?}");
}

/// A scenario that checks itself, and goes on.
#[rstest]
#[case("a handler with information gets it untouched")]
#[case("a handler with information gets a fault untouched")]
#[case("a plain handler gets the number")]
#[case("a kill, after ignoring")]
#[case("a handler has its mask")]
#[case("a handler that masks its own signal")]
#[case("installed twice is once")]
#[case("a thread without an alternate stack")]
fn goes_on(#[case] scenario: &str) {
    let output = run(scenario);
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
}

#[test]
fn a_stack_overflow_is_reported_by_the_standard_library() {
    let output = run("a stack overflow");
    assert_eq!(output.status.signal(), Some(SIGABRT), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("overflowed its stack"), "{output:?}");
}

static CALLS: AtomicUsize = AtomicUsize::new(0);
static CODE: AtomicI32 = AtomicI32::new(0);
static ADDR: AtomicUsize = AtomicUsize::new(0);
static VALUE: AtomicUsize = AtomicUsize::new(0);
static MASKED: AtomicUsize = AtomicUsize::new(0);

/// Writes down what it was told, and whether SIGSEGV and SIGUSR1 are blocked.
extern "C" fn with_information(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    assert!(!context.is_null());
    // SAFETY: it is that of the signal.
    let info = unsafe { &*info };
    assert_eq!(info.si_signo, signal);
    CODE.store(info.si_code, Ordering::Relaxed);
    let mut mask = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: it writes the mask to the local's place.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), mask.as_mut_ptr()) };
    for (bit, other) in [(1, SIGSEGV), (2, SIGUSR1)] {
        // SAFETY: it was just written.
        if unsafe { libc::sigismember(mask.as_ptr(), other) } == 1 {
            MASKED.fetch_or(bit, Ordering::Relaxed);
        }
    }
    if info.si_code > 0 {
        // SAFETY: a fault has an address.
        ADDR.store(unsafe { info.si_addr() } as usize, Ordering::Relaxed);
        // It is not to happen again; and what the test checks is checked here.
        assert_eq!(ADDR.load(Ordering::Relaxed), 0x18);
        println!("test result: 1 passed");
        // SAFETY: ends the process.
        unsafe { libc::_exit(0) };
    }
    // SAFETY: of a signal that was queued it is what was given along.
    VALUE.store(unsafe { info.si_value() }.sival_ptr as usize, Ordering::Relaxed);
    // Last, and with release: it may be another thread that waits for it.
    CALLS.fetch_add(1, Ordering::Release);
}

extern "C" fn plain(signal: c_int) {
    CALLS.fetch_add(1, Ordering::Relaxed);
    CODE.store(signal, Ordering::Relaxed);
}

/// Sets an action as somebody else would, before.
fn set(signal: c_int, handler: usize, flags: c_int, masked: Option<c_int>) {
    // SAFETY: all zeroes are an action.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = handler;
    action.sa_flags = flags;
    if let Some(masked) = masked {
        // SAFETY: the set is a part of the local.
        unsafe { libc::sigaddset(&raw mut action.sa_mask, masked) };
    }
    // SAFETY: it reads the action, whose handler is one of this file.
    assert_eq!(unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) }, 0);
}

fn kill(signal: c_int) {
    // SAFETY: sends a signal to this process.
    assert_eq!(unsafe { libc::raise(signal) }, 0);
}

fn read_null() {
    // Not null itself, which the compiler knows.
    let addr = std::hint::black_box(0x18) as *const u64;
    let value: u64;
    // SAFETY: there is nothing; that is what is tried.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::asm!("mov {}, [{}]", out(reg) value, in(reg) addr);
    };
    // SAFETY: as before.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        std::arch::asm!("ldr {}, [{}]", out(reg) value, in(reg) addr);
    };
    panic!("read {value}");
}

#[expect(unconditional_recursion, reason = "that is what is tried")]
fn overflow(depth: &mut [u8; 4096]) -> u8 {
    let mut deeper = std::hint::black_box(*depth);
    overflow(&mut deeper) + deeper[7]
}

/// Not a test of its own: the child of the tests above.
#[test]
fn in_a_child() {
    let Ok(scenario) = std::env::var(NAME) else { return };
    let information = with_information as *const () as usize;
    match &scenario[..] {
        "a null read, after the standard library's handler" => {
            recovers();
            read_null();
        }
        "a null read, after the default" => {
            set(SIGSEGV, libc::SIG_DFL, 0, None);
            recovers();
            read_null();
        }
        "a null read, after ignoring" => {
            set(SIGSEGV, libc::SIG_IGN, 0, None);
            recovers();
            read_null();
        }
        "a foreign access to the end of a file" => {
            let pages = Pages::new(Why::Truncated);
            let addr = pages.slice().host_ptr().as_ptr().wrapping_add(PAGE);
            // SAFETY: it is not; that is what is tried.
            let byte = unsafe { addr.read_volatile() };
            panic!("read {byte}");
        }
        "a kill, after the default" => {
            set(SIGBUS, libc::SIG_DFL, 0, None);
            recovers();
            kill(SIGBUS);
        }
        "a second kill, after the standard library's handler" => {
            recovers();
            // Which is for faults, and expects it to come again when it has put the default in its place.
            kill(SIGSEGV);
            recovers();
            kill(SIGBUS);
            recovers();
            println!("still here");
            kill(SIGSEGV);
        }
        "a kill, after ignoring" => {
            set(SIGBUS, libc::SIG_IGN, 0, None);
            recovers();
            kill(SIGBUS);
            recovers();
        }
        BLOCKED => {
            let pages = Pages::new(Why::Truncated);
            let mut set = MaybeUninit::uninit();
            // SAFETY: it writes the set to the local's place.
            unsafe { libc::sigfillset(set.as_mut_ptr()) };
            // SAFETY: it reads the set.
            unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), ptr::null_mut()) };
            let _ = pages.slice().read_obj::<u8>(PAGE);
        }
        "a second signal for a handler that is called once" => {
            set(SIGSEGV, information, libc::SA_SIGINFO | libc::SA_RESETHAND, None);
            recovers();
            kill(SIGSEGV);
            assert_eq!(CALLS.load(Ordering::Relaxed), 1);
            recovers();
            kill(SIGSEGV);
        }
        "a handler with information gets it untouched" => {
            set(SIGSEGV, information, libc::SA_SIGINFO, None);
            recovers();
            assert_eq!(CALLS.load(Ordering::Relaxed), 0, "the crate's own faults are its own");
            kill(SIGSEGV);
            assert_eq!(CODE.load(Ordering::Relaxed), libc::SI_TKILL);
            let value = libc::sigval { sival_ptr: 0x1234 as *mut c_void };
            let process = std::process::id().cast_signed();
            // SAFETY: it queues a signal for this process, whose handler returns.
            assert_eq!(unsafe { libc::sigqueue(process, SIGSEGV, value) }, 0);
            while CALLS.load(Ordering::Acquire) < 2 {
                std::thread::yield_now();
            }
            assert_eq!(CODE.load(Ordering::Relaxed), libc::SI_QUEUE);
            assert_eq!(VALUE.load(Ordering::Relaxed), 0x1234);
            recovers();
        }
        "a handler with information gets a fault untouched" => {
            set(SIGSEGV, information, libc::SA_SIGINFO, None);
            recovers();
            read_null();
        }
        "a plain handler gets the number" => {
            set(SIGBUS, plain as *const () as usize, 0, None);
            recovers();
            kill(SIGBUS);
            assert_eq!(CODE.load(Ordering::Relaxed), SIGBUS);
            assert_eq!(CALLS.load(Ordering::Relaxed), 1);
            recovers();
        }
        "a handler has its mask" => {
            set(SIGSEGV, information, libc::SA_SIGINFO | libc::SA_NODEFER, Some(SIGUSR1));
            recovers();
            kill(SIGSEGV);
            assert_eq!(MASKED.swap(0, Ordering::Relaxed), 2, "SIGUSR1 alone");
            kill(SIGSEGV);
            assert_eq!(CALLS.load(Ordering::Relaxed), 2, "the mask is put back");
        }
        "a handler that masks its own signal" => {
            set(SIGSEGV, information, libc::SA_SIGINFO | libc::SA_NODEFER, Some(SIGSEGV));
            recovers();
            kill(SIGSEGV);
            assert_eq!(MASKED.load(Ordering::Relaxed), 1, "as the kernel does");
        }
        "installed twice is once" => {
            set(SIGSEGV, information, libc::SA_SIGINFO, None);
            assert!(!fault::is_installed());
            recovers();
            fault::install().unwrap();
            assert!(fault::is_installed());
            kill(SIGSEGV);
            assert_eq!(CALLS.load(Ordering::Relaxed), 1);
            recovers();
        }
        "a thread without an alternate stack" => {
            recovers();
            std::thread::spawn(|| {
                // SAFETY: all zeroes are such a description; this one takes the stack away.
                let mut none: libc::stack_t = unsafe { mem::zeroed() };
                none.ss_flags = libc::SS_DISABLE;
                // SAFETY: it reads the description.
                assert_eq!(unsafe { libc::sigaltstack(&raw const none, ptr::null_mut()) }, 0);
                recovers();
            })
            .join()
            .unwrap();
        }
        "a stack overflow" => {
            recovers();
            println!("{}", overflow(&mut [1; 4096]));
        }
        other => panic!("no scenario {other}"),
    }
}

/// Faults are taken, by both signals.
fn recovers() {
    for why in crate::memory::BOTH {
        let pages = Pages::new(why);
        let result = pages.slice().read_obj::<u32>(PAGE - 1);
        assert_eq!(fault_of(result), (PAGE - 1 + 1, 1, Access::Read));
    }
}
