//! Memory that starts at a page, for direct I/O.

/// Bytes of a page.
pub const PAGE: usize = 4096;
/// Bytes of a page, as a distance in memory.
pub const PAGE_BYTES: u64 = 4096;

/// Zeroed bytes, the first of which starts a page.
#[derive(Debug)]
pub struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    length: usize,
}

impl Buffer {
    /// Takes memory, and a page more than was asked for.
    #[must_use]
    pub fn new(length: usize) -> Self {
        let bytes = vec![0; length + PAGE];
        // The vector never grows, so it stays where it is.
        let start = bytes.as_ptr().align_offset(PAGE).min(PAGE);
        Self { bytes, start, length }
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.length]
    }

    /// The bytes, to write them.
    #[must_use]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::{Buffer, PAGE};

    #[test]
    fn a_buffer_starts_at_a_page_and_is_as_long_as_asked() {
        for length in [0, 1, PAGE, 3 * PAGE + 5] {
            let mut buffer = Buffer::new(length);
            assert_eq!(buffer.bytes().as_ptr().align_offset(PAGE), 0);
            assert_eq!((buffer.bytes().len(), buffer.bytes_mut().len()), (length, length));
        }
    }
}
