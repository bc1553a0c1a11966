//! Memory that comes and goes while an access is begun again.

use std::thread;
use std::time::{Duration, Instant};

use crate::common::Log;
use crate::memory::{PAGE, Pages, Why};

const BYTES: usize = 48;
/// So many of them are in the first page; the second is out of reach for good.
const INSIDE: usize = 40;
const START: usize = PAGE - INSIDE;
const LONG: Duration = Duration::from_millis(300);

/// The first attempt may find the page, and the second one not: what was written before must be marked all the same.
#[test]
fn no_byte_is_unmarked_however_often_its_page_goes() {
    let (pages, log) = (Pages::new(Why::Protected), Log::default());
    let memory = log.watch(pages.slice());
    let start = Instant::now();
    let (mut written, mut rounds) = (0, 0);
    thread::scope(|scope| {
        scope.spawn(|| {
            while start.elapsed() < LONG {
                pages.protect_first(libc::PROT_NONE);
                pages.protect_first(libc::PROT_READ | libc::PROT_WRITE);
            }
        });
        while start.elapsed() < LONG {
            for way in 0..2 {
                pages.put_bytes(&[0; INSIDE], START);
                let result = match way {
                    0 => memory.write_obj([7_u8; BYTES], START),
                    _ => memory.write_slice(&[7; BYTES], START),
                };
                assert!(result.is_err(), "the end is out of reach");
                let count = pages.bytes::<INSIDE>(START).iter().filter(|&&byte| byte == 7).count();
                let marks = log.take();
                let is_marked =
                    marks.iter().any(|&(at, len)| at <= START && START + INSIDE <= at + len);
                assert!(count == 0 || is_marked, "{count} bytes, {marks:?}, way {way}");
                written += count;
                rounds += 1;
            }
        }
    });
    assert!(written > 0 && rounds > 0, "{written} bytes in {rounds} rounds");
}
