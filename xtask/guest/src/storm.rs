//! `storm`: several threads read and write a part of a disk at random, and know what every sector of it has to hold.

use std::io::{self, IoSlice, IoSliceMut};
use std::path::Path;
use std::thread;
use std::time::Instant;

use crate::buffer::Buffer;
use crate::disk::Disk;
use crate::pattern::{SECTOR, SECTOR_BYTES, Stamp};
use crate::random::Random;
use crate::words::Words;

/// The most sectors that one request moves.
const MOST: u64 = 256;
/// The most pieces of memory that one request is spread over.
const PIECES: u64 = 8;

/// What to do.
#[derive(Clone, Debug)]
pub struct Storm {
    disk: String,
    /// Where on the disk the part begins.
    start: u64,
    length: u64,
    /// How many bytes to move at least, all threads together.
    bytes: u64,
    threads: u64,
    /// The file that ends it; without one it ends as soon as the bytes are moved.
    until: Option<String>,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    requests: u64,
    read: u64,
    written: u64,
    digest: u64,
}

/// One thread's own sectors.
struct Stripe {
    disk: Disk,
    first: u64,
    /// How often each sector was written.
    generations: Vec<u64>,
    random: Random,
    buffer: Buffer,
    sum: Sum,
}

impl Storm {
    /// Reads `DISK START LENGTH BYTES THREADS [UNTIL]`.
    ///
    /// # Errors
    ///
    /// That a word is missing, or no number.
    pub fn parse<I: Iterator<Item = String>>(words: &mut Words<I>) -> io::Result<Self> {
        Ok(Self {
            disk: words.word("disk")?,
            start: words.number("start")?,
            length: words.number("length")?,
            bytes: words.number("number of bytes")?,
            threads: words.number("number of threads")?.max(1),
            until: words.word("file").ok(),
        })
    }

    /// Does it.
    ///
    /// # Errors
    ///
    /// What the kernel says, or the first sector that does not hold what it has to.
    pub fn run(&self) -> io::Result<()> {
        let start = Instant::now();
        let threads: Vec<_> = (0..self.threads)
            .map(|number| {
                let storm = self.clone();
                thread::spawn(move || storm.run_stripe(number))
            })
            .collect();
        let mut sum = Sum::default();
        for thread in threads {
            let part = thread.join().map_err(|_| io::Error::other("a thread panicked"))??;
            sum.requests += part.requests;
            sum.read += part.read;
            sum.written += part.written;
            sum.digest = sum.digest.wrapping_add(part.digest);
        }
        let Sum { requests, read, written, digest } = sum;
        let seconds = start.elapsed().as_secs_f64();
        println!(
            "storm: requests {requests} read {read} written {written} seconds {seconds:.3} digest {digest:#018x}"
        );
        Ok(())
    }

    fn run_stripe(&self, number: u64) -> io::Result<Sum> {
        let sectors = self.length / SECTOR_BYTES / self.threads;
        let disk = Disk::open(&self.disk)?;
        let mut stripe = Stripe::new(disk, self.start / SECTOR_BYTES + number * sectors, sectors);
        stripe.lay()?;
        println!("storm: part {number} written once");
        let share = self.bytes / self.threads;
        let going = || self.until.as_ref().is_some_and(|file| !Path::new(file).exists());
        while stripe.sum.read + stripe.sum.written < share || going() {
            stripe.step()?;
        }
        stripe.disk.flush()?;
        stripe.reread()?;
        Ok(stripe.sum)
    }
}

impl Stripe {
    fn new(disk: Disk, first: u64, sectors: u64) -> Self {
        let generations = (0..sectors).map(|_| 0).collect();
        // The requests of two threads shall differ, and those of two runs shall not.
        let random = Random::new(first);
        let buffer = Buffer::new((MOST + PIECES) as usize * SECTOR);
        Self { disk, first, generations, random, buffer, sum: Sum::default() }
    }

    fn sectors(&self) -> u64 {
        self.generations.len() as u64
    }

    /// Writes every sector once.
    fn lay(&mut self) -> io::Result<()> {
        for start in (0..self.sectors()).step_by(MOST as usize) {
            self.write(start, MOST.min(self.sectors() - start))?;
        }
        Ok(())
    }

    /// Reads every sector once more.
    fn reread(&mut self) -> io::Result<()> {
        for start in (0..self.sectors()).step_by(MOST as usize) {
            self.read(start, MOST.min(self.sectors() - start))?;
        }
        let digest =
            |(sector, generation): (u64, &u64)| Stamp { sector, generation: *generation }.digest();
        let parts = (self.first..).zip(&self.generations).map(digest);
        self.sum.digest = parts.fold(0, u64::wrapping_add);
        Ok(())
    }

    /// Writes or reads a few sectors somewhere.
    fn step(&mut self) -> io::Result<()> {
        let length = 1 + self.random.below(MOST.min(self.sectors()));
        let start = self.random.below(self.sectors() - length + 1);
        if self.random.below(2) == 0 { self.write(start, length) } else { self.read(start, length) }
    }

    fn write(&mut self, start: u64, length: u64) -> io::Result<()> {
        let lead = self.random.below(PIECES) as usize * SECTOR;
        let bytes = &mut self.buffer.bytes_mut()[lead..lead + length as usize * SECTOR];
        let generations = &mut self.generations[start as usize..(start + length) as usize];
        for ((bytes, generation), sector) in
            bytes.chunks_mut(SECTOR).zip(generations).zip(self.first + start..)
        {
            *generation += 1;
            Stamp { sector, generation: *generation }.write(bytes);
        }
        let mut pieces = Vec::new();
        let mut rest = &*bytes;
        for length in lengths(length, &mut self.random) {
            let (piece, after) = rest.split_at(length);
            pieces.push(IoSlice::new(piece));
            rest = after;
        }
        self.disk.scatter(&pieces, (self.first + start) * SECTOR_BYTES)?;
        self.sum.requests += 1;
        self.sum.written += length * SECTOR_BYTES;
        Ok(())
    }

    fn read(&mut self, start: u64, length: u64) -> io::Result<()> {
        let lead = self.random.below(PIECES) as usize * SECTOR;
        let bytes = &mut self.buffer.bytes_mut()[lead..lead + length as usize * SECTOR];
        // What an earlier request left shall not pass for what this one reads.
        bytes.fill(0xee);
        let mut pieces = Vec::new();
        let mut rest = &mut *bytes;
        for length in lengths(length, &mut self.random) {
            let (piece, after) = rest.split_at_mut(length);
            pieces.push(IoSliceMut::new(piece));
            rest = after;
        }
        self.disk.gather(&mut pieces, (self.first + start) * SECTOR_BYTES)?;
        let generations = &self.generations[start as usize..(start + length) as usize];
        for ((bytes, generation), sector) in
            bytes.chunks(SECTOR).zip(generations).zip(self.first + start..)
        {
            Stamp { sector, generation: *generation }.verify(bytes)?;
        }
        self.sum.requests += 1;
        self.sum.read += length * SECTOR_BYTES;
        Ok(())
    }
}

/// Splits a number of sectors into the bytes of a few pieces.
fn lengths(sectors: u64, random: &mut Random) -> Vec<usize> {
    let mut left = sectors;
    let mut lengths = Vec::new();
    while left > 0 {
        let last = lengths.len() as u64 + 1 == PIECES || random.below(PIECES / 2) == 0;
        let length = if last { left } else { 1 + random.below(left) };
        lengths.push(length as usize * SECTOR);
        left -= length;
    }
    lengths
}

#[cfg(test)]
mod tests {
    use super::{PIECES, lengths};
    use crate::pattern::SECTOR;
    use crate::random::Random;

    #[test]
    fn pieces_are_whole_sectors_and_together_all_of_them() {
        let mut random = Random::new(1);
        let mut most = 0;
        for sectors in 0..1000 {
            let lengths = lengths(sectors, &mut random);
            assert_eq!(lengths.iter().sum::<usize>(), sectors as usize * SECTOR);
            assert!(lengths.iter().all(|length| *length > 0 && length % SECTOR == 0));
            most = most.max(lengths.len());
        }
        assert_eq!(most, PIECES as usize);
    }
}
