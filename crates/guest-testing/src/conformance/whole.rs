//! Two threads at one integer: what one writes, the other sees whole.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::thread;

use guest_memory::Bytes;

use crate::conformance::atomics::Number;

/// Asserts that integers of 1, 2, 4 and 8 bytes at `addr` are read and written whole: one thread writes all bits as 0 and as 1,
/// in turn, and another must never see a mix, by any pair of methods.
///
/// The 8 bytes at `addr` must be there, and aligned to 8 on the host. `rounds` is how often each pair reads. A memory that tears
/// is found with luck, and the more of it the more rounds; one that does not is never accused.
///
/// # Panics
///
/// If an integer was torn, or an access failed.
///
/// ```
/// use guest_memory::GuestAddress;
/// use guest_testing::{Probe, conformance};
/// let memory = Probe::new().memory(&[(GuestAddress(0x1000), 0x1000)])?;
/// conformance::check_whole_accesses(&memory, GuestAddress(0x1008), 100);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[track_caller]
pub fn check_whole_accesses<A, B>(bytes: &B, addr: A, rounds: usize)
where
    A: Copy + Send + Sync,
    B: Bytes<A> + Sync + ?Sized,
{
    let torn = [
        torn::<u8, A, B>(bytes, addr, rounds),
        torn::<u16, A, B>(bytes, addr, rounds),
        torn::<u32, A, B>(bytes, addr, rounds),
        torn::<u64, A, B>(bytes, addr, rounds),
    ];
    if let Some(torn) = torn.into_iter().flatten().next() {
        panic!("{torn}");
    }
}

/// The ways to write and read.
const WAYS: [&str; 3] = ["an object", "a slice", "an atomic"];

/// What is wrong with integers of type `T`.
fn torn<T, A, B>(bytes: &B, addr: A, rounds: usize) -> Option<String>
where
    T: Number,
    A: Copy + Send + Sync,
    B: Bytes<A> + Sync + ?Sized,
{
    let size = size_of::<T>();
    let (zeros, ones) = (T::from_bytes(&vec![0; size]), T::from_bytes(&vec![0xff; size]));
    for (way, said) in WAYS.iter().enumerate() {
        for (other, read_said) in WAYS.iter().enumerate() {
            let write = |value: T| match way {
                0 => bytes.write_obj(value, addr).is_ok(),
                1 => bytes.write_slice(value.as_slice(), addr).is_ok(),
                _ => bytes.store(value, addr, Relaxed).is_ok(),
            };
            let read = || match other {
                0 => bytes.read_obj::<T>(addr).ok(),
                1 => {
                    let mut value = T::zeroed();
                    bytes.read_slice(value.as_mut_slice(), addr).ok().map(|()| value)
                }
                _ => bytes.load::<T>(addr, Relaxed).ok(),
            };
            if !write(zeros) {
                return Some(format!("{size} bytes cannot be written as {said}"));
            }
            let over = AtomicBool::new(false);
            let found = thread::scope(|scope| {
                scope.spawn(|| {
                    while !over.load(SeqCst) {
                        let _ = write(ones) && write(zeros);
                    }
                });
                let odd = (0..rounds)
                    .map(|_| read())
                    .find(|value| value.is_none_or(|value| value != zeros && value != ones));
                over.store(true, SeqCst);
                odd
            });
            match found {
                None => {}
                Some(None) => return Some(format!("{size} bytes cannot be read as {read_said}")),
                Some(Some(value)) => {
                    return Some(format!(
                        "{size} bytes written as {said} and read as {read_said} were torn: {value:x?}"
                    ));
                }
            }
        }
    }
    None
}
