//! A device's thread: it takes one map after the other and checks what it reads.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use demo::PAGE_SIZE;
use guest_address::GuestAddress;
use guest_memory::{Bytes, GuestAddressSpace, GuestMemory, GuestMemoryError};

use super::image::Image;
use super::ram::{COUNTER, Memory, PLUG, PLUG_LEN, Space};

/// The value that the guest is to store at the start of the first plugged page in a round; the next pages
/// get the next numbers.
pub(crate) fn first_word(round: u64) -> u64 {
    TAG << 48 | (round & 0xffff) << 32
}

const TAG: u64 = 0xabcd;

/// Whether `word` may stand at the start of plugged page `page`: nothing yet, or what the guest is to store.
fn may_stand_at(page: u64, word: u64) -> bool {
    word == 0 || word >> 48 == TAG && word & 0xffff_ffff == page
}

/// What a reader has done so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Reads of guest memory.
    pub(crate) reads: AtomicU64,
    /// Guards on a map where memory was plugged.
    pub(crate) with: AtomicU64,
    /// Guards on a map where it was not.
    pub(crate) without: AtomicU64,
}

/// A thread that reads until it is stopped, or finds something wrong.
pub(crate) struct Reader {
    stop: Arc<AtomicBool>,
    tally: Arc<Tally>,
    thread: Option<JoinHandle<Result<(), String>>>,
}

impl Reader {
    /// How long a reader may take to see a new map.
    const LIMIT: Duration = Duration::from_secs(10);

    /// Starts the thread.
    pub(crate) fn start(space: &Space, image: &Image) -> io::Result<Self> {
        let (stop, tally) = (Arc::new(AtomicBool::new(false)), Arc::new(Tally::default()));
        let (stop_too, tally_too) = (Arc::clone(&stop), Arc::clone(&tally));
        let mut eyes = Eyes {
            image: Arc::clone(image.bytes()),
            image_start: image.start(),
            counted: 0,
            random: 1,
        };
        let space = space.clone();
        let thread = thread::Builder::new().name("reader".to_owned()).spawn(move || {
            while !stop_too.load(Ordering::Relaxed) {
                eyes.look(&space.memory(), &tally_too)?;
                thread::yield_now();
            }
            Ok(())
        })?;
        Ok(Self { stop, tally, thread: Some(thread) })
    }

    /// Waits until the thread has worked, from now on, on a map with plugged memory.
    pub(crate) fn sees_plugged(&mut self) -> Result<()> {
        let tally = Arc::clone(&self.tally);
        let with = || tally.with.load(Ordering::Relaxed);
        let (before, deadline) = (with(), Instant::now() + Self::LIMIT);
        while with() == before {
            if self.thread.as_ref().is_none_or(JoinHandle::is_finished) {
                self.end()?;
                bail!("the reader thread has ended");
            }
            if Instant::now() > deadline {
                bail!("the reader thread does not see the new map");
            }
            thread::sleep(Duration::from_micros(50));
        }
        Ok(())
    }

    /// Stops the thread; tells what it has done, or what it found wrong.
    pub(crate) fn stop(mut self) -> Result<Arc<Tally>> {
        self.end()?;
        Ok(Arc::clone(&self.tally))
    }

    fn end(&mut self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let Some(thread) = self.thread.take() else { return Ok(()) };
        match thread.join() {
            Ok(found) => {
                found.map_err(|wrong| anyhow!("the reader thread found what must not be: {wrong}"))
            }
            Err(_) => Err(anyhow!("the reader thread panicked")),
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // Somebody failed before us, and says so.
        let _ = self.end();
    }
}

/// What the thread knows of what it may see.
struct Eyes {
    image: Arc<[u8]>,
    image_start: GuestAddress,
    /// The last number seen of the guest's counter.
    counted: u64,
    random: u64,
}

impl Eyes {
    /// Reads here and there through one map.
    fn look(&mut self, memory: &Memory, tally: &Tally) -> Result<(), String> {
        self.image(memory)?;
        self.counter(memory)?;
        // A map stays the same map, so both must find the same: memory, or none.
        let plugged = memory.find_region(PLUG).is_some();
        self.plugged(memory, plugged)?;
        self.plugged(memory, plugged)?;
        tally.reads.fetch_add(4, Ordering::Relaxed);
        let guards = if plugged { &tally.with } else { &tally.without };
        guards.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// A piece of the image, which nobody writes, is the file's.
    fn image(&mut self, memory: &Memory) -> Result<(), String> {
        let start = self.below(self.image.len());
        let expected = &self.image[start..self.image.len().min(start + 256)];
        let mut found = [0; 256];
        let found = &mut found[..expected.len()];
        let at = GuestAddress(self.image_start.0 + start as u64);
        memory.read_slice(found, at).map_err(|error| format!("image at {at}: {error}"))?;
        if found != expected {
            return Err(format!("the image is not the file's at {at}"));
        }
        Ok(())
    }

    /// The guest's counter only ever grows.
    fn counter(&mut self, memory: &Memory) -> Result<(), String> {
        let found: u64 = memory
            .load(COUNTER, Ordering::Acquire)
            .map_err(|error| format!("the counter: {error}"))?;
        if found < self.counted {
            return Err(format!("the guest's counter went from {} back to {found}", self.counted));
        }
        self.counted = found;
        Ok(())
    }

    /// The start of a plugged page is whole; where no memory is plugged the error says so.
    fn plugged(&mut self, memory: &Memory, plugged: bool) -> Result<(), String> {
        let page = self.below((PLUG_LEN / PAGE_SIZE) as usize) as u64;
        let at = GuestAddress(PLUG.0 + page * PAGE_SIZE);
        match memory.read_obj(at) {
            Ok(word) if plugged && may_stand_at(page, word) => Ok(()),
            Ok(word) if plugged => Err(format!("half a word at {at}: {word:#x}")),
            Err(GuestMemoryError::InvalidGuestAddress(wrong)) if !plugged && wrong == at => Ok(()),
            other => Err(format!("at {at}, with memory plugged: {plugged}: {other:?}")),
        }
    }

    /// Some number below `limit`, which is not 0.
    fn below(&mut self, limit: usize) -> usize {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.random >> 33) as usize % limit
    }
}
