//! The sum that host and guest compute over the same words.

/// A running 64-bit checksum over little-endian 64-bit words.
///
/// Each step mixes in one word, rotates and multiplies: in the manner of Fowler, Noll and Vo, with
/// whole words for bytes. Every step is a bijection of the state, so one changed word always
/// changes the sum; and it depends on the order, so that swapped pages show. It is no protection
/// against someone who wants to be mistaken.
///
/// ```
/// use demo::Checksum;
///
/// let mut sum = Checksum::new();
/// sum.word(1);
/// sum.word(2);
/// assert_eq!(sum.value(), Checksum::of_bytes(&[1, 0, 0, 0, 0, 0, 0, 0, 2]));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Checksum(u64);

impl Checksum {
    /// State before the first word; not zero, so that leading zero words count.
    pub(crate) const SEED: u64 = 0xcbf2_9ce4_8422_2325;
    /// What each step multiplies with: odd, so that nothing is lost.
    pub(crate) const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    /// Bits by which each step rotates, so that high bits reach low ones.
    pub(crate) const TURN: u8 = 23;

    /// The sum of no words.
    #[must_use]
    pub const fn new() -> Self {
        Self(Self::SEED)
    }

    /// Adds one word.
    pub const fn word(&mut self, word: u64) {
        self.0 = (self.0 ^ word).rotate_left(Self::TURN as u32).wrapping_mul(Self::FACTOR);
    }

    /// Adds `bytes` as words; what is missing to a whole last word counts as zeros.
    pub fn bytes(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
    }

    /// The sum so far.
    #[must_use]
    pub const fn value(self) -> u64 {
        self.0
    }

    /// The sum of `bytes` alone.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> u64 {
        let mut sum = Self::new();
        sum.bytes(bytes);
        sum.value()
    }
}

impl Default for Checksum {
    fn default() -> Self {
        Self::new()
    }
}
