//! `hold`: keeps memory that a disk fills while the machine moves to another host, and says what became of it.
//!
//! The trap is set so that a device that forgets to tell which pages it wrote is found out for certain. The memory is first
//! filled by the processor, so that it is sent with all the rest. Then, at the word `load`, the disk fills it, and no
//! instruction touches it until the word `check`, which comes when the machine has moved: what is there then came over
//! because the device had said so, or is the old filling.
//!
//! Meanwhile a thread writes other memory without a pause, and looks at what it wrote before it writes again.

use std::io::{self, Lines, StdinLock};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::buffer::{Buffer, PAGE, PAGE_BYTES};
use crate::disk::Disk;
use crate::pattern::{fill, verify};
use crate::words::Words;

/// How much one request moves.
const PIECE: usize = 64 * PAGE;
/// What the processor fills the memory with: a writing that no disk holds.
const STALE: u64 = u64::MAX;
/// What the disk holds.
const FRESH: u64 = 7;

/// What to do.
#[derive(Clone, Debug)]
pub struct Hold {
    disk: String,
    /// Where on the disk what will be read lies.
    start: u64,
    /// Bytes that the disk fills.
    held: usize,
    /// Bytes that the processor writes all the time.
    churned: usize,
}

/// How the pages were found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Found {
    right: u64,
    stale: u64,
    wrong: u64,
}

impl Hold {
    /// Reads `DISK START HELD CHURNED`.
    ///
    /// # Errors
    ///
    /// That a word is missing, or no number.
    pub fn parse<I: Iterator<Item = String>>(words: &mut Words<I>) -> io::Result<Self> {
        Ok(Self {
            disk: words.word("disk")?,
            start: words.number("start")?,
            held: words.size("size")?,
            churned: words.size("size to write")?,
        })
    }

    /// Does it, as standard input says: `load`, then `check`.
    ///
    /// # Errors
    ///
    /// What the kernel says, that a page does not hold what it has to, or that standard input says something else.
    pub fn run(&self) -> io::Result<()> {
        let mut orders = io::stdin().lines();
        let disk = Disk::open(&self.disk)?;
        let mut held = Buffer::new(self.held);
        self.prepare(&disk, held.bytes_mut())?;
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let churn = scope.spawn(|| churn(self.churned, &stop));
            let found = self.obey(&mut orders, &disk, &mut held);
            stop.store(true, Ordering::Relaxed);
            let passes = churn.join().map_err(|_| io::Error::other("the thread panicked"))?;
            let Found { right, stale, wrong } = found?;
            println!("hold: right {right} stale {stale} wrong {wrong}");
            println!("hold: memory written {} times", passes?);
            if stale + wrong > 0 {
                return Err(io::Error::other(format!("{} pages lost", stale + wrong)));
            }
            Ok(())
        })
    }

    /// Writes to the disk what it shall hold, and to memory what it shall not.
    fn prepare(&self, disk: &Disk, held: &mut [u8]) -> io::Result<()> {
        for (piece, place) in held.chunks_mut(PIECE).zip((self.start..).step_by(PIECE)) {
            fill(piece, place, FRESH);
            disk.write(piece, place)?;
            fill(piece, place, STALE);
        }
        disk.flush()
    }

    fn obey(
        &self,
        orders: &mut Lines<StdinLock<'static>>,
        disk: &Disk,
        held: &mut Buffer,
    ) -> io::Result<Found> {
        println!("hold: ready");
        expect(orders, "load")?;
        for (piece, place) in held.bytes_mut().chunks_mut(PIECE).zip((self.start..).step_by(PIECE))
        {
            disk.read(piece, place)?;
        }
        println!("hold: loaded");
        expect(orders, "check")?;
        Ok(look(held.bytes(), self.start))
    }
}

fn expect(orders: &mut Lines<StdinLock<'static>>, wanted: &str) -> io::Result<()> {
    let order = orders.next().transpose()?.unwrap_or_default();
    if order.trim() == wanted {
        return Ok(());
    }
    Err(io::Error::other(format!("`{order}` instead of `{wanted}`")))
}

/// Counts the pages by what they hold; the first of them is that of a place on the disk.
fn look(bytes: &[u8], start: u64) -> Found {
    let mut found = Found::default();
    for (page, place) in bytes.chunks(PAGE).zip((start..).step_by(PAGE)) {
        let all = |generation| verify(page, place, generation).is_ok();
        if all(FRESH) {
            found.right += 1;
        } else if all(STALE) {
            found.stale += 1;
        } else {
            found.wrong += 1;
        }
    }
    found
}

/// Writes pages again and again until told to stop, each only if it holds what was written last; tells how often.
fn churn(length: usize, stop: &AtomicBool) -> io::Result<u64> {
    let mut buffer = Buffer::new(length);
    let mut pass = 0;
    while !stop.load(Ordering::Relaxed) {
        for (page, number) in buffer.bytes_mut().chunks_exact_mut(PAGE).zip((0..).step_by(PAGE)) {
            let word =
                |pass: u64| if pass == 0 { 0 } else { number * PAGE_BYTES + pass }.to_le_bytes();
            if page.chunks_exact(8).any(|found| found != word(pass)) {
                let problem =
                    format!("memory at {number:#x} is not what was written in pass {pass}");
                return Err(io::Error::other(problem));
            }
            for place in page.chunks_exact_mut(8) {
                place.copy_from_slice(&word(pass + 1));
            }
        }
        pass += 1;
    }
    Ok(pass)
}

#[cfg(test)]
mod tests {
    use super::{FRESH, Found, PAGE, PAGE_BYTES, STALE, look};
    use crate::pattern::fill;

    #[test]
    fn pages_are_right_stale_or_wrong_and_each_is_counted_once() {
        let start = 16 * PAGE_BYTES;
        let mut bytes = vec![0; 4 * PAGE];
        fill(&mut bytes, start, FRESH);
        assert_eq!(look(&bytes, start), Found { right: 4, stale: 0, wrong: 0 });
        fill(&mut bytes[PAGE..2 * PAGE], start + PAGE_BYTES, STALE);
        bytes[3 * PAGE + 100] ^= 1;
        assert_eq!(look(&bytes, start), Found { right: 2, stale: 1, wrong: 1 });
        assert_eq!(
            look(&bytes, 0),
            Found { right: 0, stale: 0, wrong: 4 },
            "data of another place"
        );
    }
}
