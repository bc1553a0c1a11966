//! `rate`: how many requests of one size a disk answers in a time, with so many at once under way.

use std::io;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use crate::buffer::Buffer;
use crate::disk::Disk;
use crate::random::Random;
use crate::words::Words;

/// What to do.
#[derive(Clone, Debug)]
pub struct Rate {
    disk: String,
    /// The part of the disk, from its beginning, that is asked for.
    length: u64,
    /// Bytes of a request.
    size: usize,
    /// How many requests are under way at a time: each has a thread, which waits for it.
    depth: u64,
    time: Duration,
}

impl Rate {
    /// Reads `DISK LENGTH SIZE DEPTH MILLISECONDS`.
    ///
    /// # Errors
    ///
    /// That a word is missing, or no number.
    pub fn parse<I: Iterator<Item = String>>(words: &mut Words<I>) -> io::Result<Self> {
        Ok(Self {
            disk: words.word("disk")?,
            length: words.number("length")?,
            size: words.size("size")?,
            depth: words.number("depth")?,
            time: Duration::from_millis(words.number("time")?),
        })
    }

    /// Does it.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn run(&self) -> io::Result<()> {
        let threads = usize::try_from(self.depth).map_err(io::Error::other)?;
        let ready = Barrier::new(threads + 1);
        let (requests, took) = thread::scope(|scope| -> io::Result<(u64, Duration)> {
            let ready = &ready;
            let threads: Vec<_> =
                (0..self.depth).map(|seed| scope.spawn(move || self.count(seed, ready))).collect();
            ready.wait();
            let start = Instant::now();
            let mut sum = 0;
            for thread in threads {
                sum += thread.join().map_err(|_| io::Error::other("a thread panicked"))??;
            }
            Ok((sum, start.elapsed()))
        })?;
        println!("rate: requests {requests} seconds {:.4}", took.as_secs_f64());
        Ok(())
    }

    fn count(&self, seed: u64, ready: &Barrier) -> io::Result<u64> {
        let disk = Disk::open(&self.disk);
        let mut buffer = Buffer::new(self.size);
        let mut random = Random::new(seed);
        let size = self.size as u64;
        ready.wait();
        let disk = disk?;
        let start = Instant::now();
        let mut requests = 0;
        while start.elapsed() < self.time {
            disk.read(buffer.bytes_mut(), random.below(self.length / size) * size)?;
            requests += 1;
        }
        Ok(requests)
    }
}
