//! `span`: requests whose buffers lie on both sides of the border of two memory modules.
//!
//! Memory is taken until the pages on both sides of the border are among it, and some of the memory below 4 GiB, as the page map
//! tells. Then two kinds of requests are made and verified: ones that end the page before the border and go on in the page behind
//! it, which are neighbours for the machine, so that the kernel hands them to the device as one piece; and ones whose pieces lie in
//! another memory with every page.

use std::io::{self, IoSlice, IoSliceMut};

use crate::buffer::{Buffer, PAGE, PAGE_BYTES};
use crate::disk::Disk;
use crate::memory::{PageMap, available};
use crate::pattern::{SECTOR, fill, verify};
use crate::words::Words;

/// How much memory is taken at a time.
const PIECE: usize = 4 << 20;
/// How much is left to the others.
const LEFT: u64 = 24 << 20;
/// Sectors of a page.
const SECTORS: usize = PAGE / SECTOR;
/// Where the modules begin; what every machine has from the start is below.
const MODULES: u64 = 4 << 30;
/// Pages from each memory that one mixed request has; the driver takes 126 pieces at most.
const MIXED: usize = 32;
/// How many mixed requests are made.
const ROUNDS: u64 = 64;

/// What to do.
#[derive(Clone, Debug)]
pub struct Span {
    disk: String,
    /// The part of the disk that is written.
    start: u64,
    /// The guest-physical address of the border.
    border: u64,
}

impl Span {
    /// Reads `DISK START BORDER`.
    ///
    /// # Errors
    ///
    /// That a word is missing, or no number.
    pub fn parse<I: Iterator<Item = String>>(words: &mut Words<I>) -> io::Result<Self> {
        Ok(Self {
            disk: words.word("disk")?,
            start: words.number("start")?,
            border: words.number("border")?,
        })
    }

    /// Does it.
    ///
    /// # Errors
    ///
    /// What the kernel says, that it gave no memory at the border, or the first sector that does not hold what it has to.
    pub fn run(&self) -> io::Result<()> {
        let mut disk = Disk::open(&self.disk)?;
        let map = PageMap::open()?;
        let mut buffers = self.take(&map)?;
        let mut pages = Vec::new();
        for buffer in &mut buffers {
            let places = map.places(buffer.bytes())?;
            pages.extend(buffer.bytes_mut().chunks_exact_mut(PAGE).zip(places));
        }
        let low = pages.iter().filter(|(_, place)| *place < MODULES).count();
        let behind = pages.iter().filter(|(_, place)| *place >= self.border).count();
        let before = pages.len() - low - behind;
        println!("span: pages low {low} before {before} behind {behind}");
        let across = self.cross(&mut disk, &mut pages)?;
        let mixed = self.mix(&mut disk, pages)?;
        println!("span: requests across {across} mixed {mixed}");
        Ok(())
    }

    /// Takes memory until both sides of the border are in it, and enough of the lowest.
    fn take(&self, map: &PageMap) -> io::Result<Vec<Buffer>> {
        let mut buffers = Vec::new();
        let (mut low, mut before, mut behind) = (0, false, false);
        while !(low >= MIXED && before && behind) {
            if available()? < LEFT + PIECE as u64 {
                let problem =
                    format!("all memory is taken: low {low} before {before} behind {behind}");
                return Err(io::Error::other(problem));
            }
            let mut buffer = Buffer::new(PIECE);
            // Memory is there once it was written.
            buffer.bytes_mut().fill(0xee);
            let places = map.places(buffer.bytes())?;
            low += places.iter().filter(|place| (1..MODULES).contains(*place)).count();
            before |= places.contains(&(self.border - PAGE_BYTES));
            behind |= places.contains(&self.border);
            buffers.push(buffer);
        }
        Ok(buffers)
    }

    /// Makes requests of every length on either side of the border, and tells how many.
    fn cross(&self, disk: &mut Disk, pages: &mut [(&mut [u8], u64)]) -> io::Result<u64> {
        let mut both = pages
            .iter_mut()
            .filter(|(_, place)| [self.border - PAGE_BYTES, self.border].contains(place));
        let (Some((one, place)), Some((other, _))) = (both.next(), both.next()) else {
            return Err(io::Error::other("a page at the border has moved"));
        };
        let (before, behind) = if *place < self.border { (one, other) } else { (other, one) };
        let mut requests = 0;
        for head in 1..=SECTORS {
            for tail in 1..=SECTORS {
                let from = PAGE - head * SECTOR;
                let generation = (head * SECTORS + tail) as u64;
                let mut check = Buffer::new((head + tail) * SECTOR);
                fill(&mut before[from..], self.start, generation);
                fill(&mut behind[..tail * SECTOR], self.start + (head * SECTOR) as u64, generation);
                let pieces =
                    [IoSlice::new(&before[from..]), IoSlice::new(&behind[..tail * SECTOR])];
                disk.scatter(&pieces, self.start)?;
                disk.read(check.bytes_mut(), self.start)?;
                verify(check.bytes(), self.start, generation)?;

                fill(check.bytes_mut(), self.start, generation + 100);
                disk.write(check.bytes(), self.start)?;
                before.fill(0xdd);
                behind.fill(0xdd);
                let mut pieces = [
                    IoSliceMut::new(&mut before[from..]),
                    IoSliceMut::new(&mut behind[..tail * SECTOR]),
                ];
                disk.gather(&mut pieces, self.start)?;
                verify(&before[from..], self.start, generation + 100)?;
                verify(
                    &behind[..tail * SECTOR],
                    self.start + (head * SECTOR) as u64,
                    generation + 100,
                )?;
                let around = before[..from].iter().chain(&behind[tail * SECTOR..]);
                if around.clone().any(|byte| *byte != 0xdd) {
                    return Err(io::Error::other("bytes around the buffer were written"));
                }
                requests += 2;
            }
        }
        Ok(requests)
    }

    /// Makes requests whose pieces are pages of each memory in turn, and tells how many.
    fn mix(&self, disk: &mut Disk, pages: Vec<(&mut [u8], u64)>) -> io::Result<u64> {
        let (low, high): (Vec<_>, Vec<_>) =
            pages.into_iter().partition(|(_, place)| *place < MODULES);
        let (before, behind): (Vec<_>, Vec<_>) =
            high.into_iter().partition(|(_, place)| *place < self.border);
        let mut sides = low.into_iter().zip(before).zip(behind);
        let mut requests = 0;
        for round in 0..ROUNDS {
            let sides = sides.by_ref().take(MIXED);
            let mut pages: Vec<_> =
                sides.flat_map(|((low, before), behind)| [low.0, before.0, behind.0]).collect();
            if pages.is_empty() {
                break;
            }
            let places = || (self.start..).step_by(PAGE);
            for (page, place) in pages.iter_mut().zip(places()) {
                fill(page, place, round);
            }
            let pieces: Vec<_> = pages.iter().map(|page| IoSlice::new(page)).collect();
            disk.scatter(&pieces, self.start)?;
            pages.iter_mut().for_each(|page| page.fill(0xdd));
            // The other way round, so that each page gets another's data, now in another memory.
            pages.reverse();
            let mut pieces: Vec<_> = pages.iter_mut().map(|page| IoSliceMut::new(page)).collect();
            disk.gather(&mut pieces, self.start)?;
            for (page, place) in pages.iter().zip(places()) {
                verify(page, place, round)?;
            }
            requests += 2;
        }
        Ok(requests)
    }
}
