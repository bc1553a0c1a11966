//! The words of a command line.

use std::io;

/// The words that are left.
#[derive(Debug)]
pub struct Words<I> {
    words: I,
}

impl<I: Iterator<Item = String>> Words<I> {
    /// Begins at the first of some words.
    pub fn new(words: I) -> Self {
        Self { words }
    }

    /// The next word.
    ///
    /// # Errors
    ///
    /// That there is none, with the name of what should be there.
    pub fn word(&mut self, name: &str) -> io::Result<String> {
        self.words.next().ok_or_else(|| io::Error::other(format!("no {name} is given")))
    }

    /// The next word, which is a number, or one of sixteens after `0x`.
    ///
    /// # Errors
    ///
    /// That there is none, with the name of what should be there.
    pub fn number(&mut self, name: &str) -> io::Result<u64> {
        let word = self.word(name)?;
        let number = match word.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => word.parse(),
        };
        number.map_err(|problem| io::Error::other(format!("{name} `{word}`: {problem}")))
    }

    /// The next word, which is a size in memory.
    ///
    /// # Errors
    ///
    /// Those of [`number`](Self::number), or that there is no such size here.
    pub fn size(&mut self, name: &str) -> io::Result<usize> {
        usize::try_from(self.number(name)?).map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::Words;

    #[test]
    fn words_are_taken_in_order_and_a_missing_one_is_named() {
        let mut words = Words::new(["vda", "12", "0x10", "x"].map(str::to_owned).into_iter());
        assert_eq!(words.word("disk").unwrap(), "vda");
        assert_eq!((words.number("place").unwrap(), words.size("size").unwrap()), (12, 16));
        assert_eq!(
            words.number("depth").unwrap_err().to_string(),
            "depth `x`: invalid digit found in string"
        );
        assert_eq!(words.number("time").unwrap_err().to_string(), "no time is given");
    }
}
