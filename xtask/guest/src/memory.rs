//! Where in the machine's memory a page of ours lies, as the kernel tells a privileged program.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;

use crate::buffer::{PAGE, PAGE_BYTES};

/// `/proc/self/pagemap`: one word for each page of our addresses.
#[derive(Debug)]
pub struct PageMap {
    file: File,
}

impl PageMap {
    /// Opens it.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn open() -> io::Result<Self> {
        Ok(Self { file: File::open("/proc/self/pagemap")? })
    }

    /// The guest-physical address of each page of some memory that starts at a page; zero for a page that has none.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn places(&self, memory: &[u8]) -> io::Result<Vec<u64>> {
        let first = memory.as_ptr().addr() as u64 / PAGE_BYTES;
        let mut words = vec![0; memory.len() / PAGE * 8];
        self.file.read_exact_at(&mut words, first * 8)?;
        Ok(words.chunks_exact(8).map(place).collect())
    }
}

/// Reads a word of the page map: a flag that the page is there, and the page's number in the lowest 55 bits.
fn place(word: &[u8]) -> u64 {
    let word = word.iter().rev().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    let there = word >> 63 == 1;
    if there { (word & ((1 << 55) - 1)) * PAGE_BYTES } else { 0 }
}

/// The bytes that the kernel could still give.
///
/// # Errors
///
/// What the kernel says, or that it does not say this.
pub fn available() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok());
    kilobytes.map(|count: u64| count * 1024).ok_or_else(|| io::Error::other("no MemAvailable"))
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::{available, place};

    #[test]
    fn a_word_of_the_page_map_tells_the_page_if_it_is_there() {
        assert_eq!(place(&((1_u64 << 63) | 0x14_0000).to_le_bytes()), 0x1_4000_0000);
        assert_eq!(
            place(&((1_u64 << 63) | (1 << 61) | 5).to_le_bytes()),
            0x5000,
            "flags are no address"
        );
        assert_eq!(place(&0x14_0000_u64.to_le_bytes()), 0);
    }

    #[test]
    fn this_machine_has_some_memory_left() {
        assert!(available().unwrap() > 0);
    }
}
