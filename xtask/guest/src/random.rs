//! Random numbers that a seed tells: what was done can be done again.

use crate::pattern::mix;

/// A sequence of numbers (splitmix64).
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The sequence of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }

    /// The next number, made less than a limit; zero if the limit is.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.number().checked_rem(limit).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn a_seed_tells_the_numbers_and_they_are_below_the_limit() {
        let take = |seed| {
            let mut random = Random::new(seed);
            (0..100).map(move |_| random.below(10)).collect::<Vec<_>>()
        };
        assert_eq!(take(1), take(1));
        assert_ne!(take(1), take(2));
        assert!((0..10).all(|digit| take(1).contains(&digit)));
        assert!(take(1).iter().all(|digit| *digit < 10));
        assert_eq!(Random::new(1).below(0), 0);
    }
}
