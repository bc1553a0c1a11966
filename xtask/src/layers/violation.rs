//! One thing that a layer check found wrong.

use core::fmt;

/// A place and what is wrong there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Violation {
    place: String,
    says: String,
}

impl Violation {
    pub(super) fn new(place: impl fmt::Display, says: impl Into<String>) -> Self {
        Self { place: place.to_string(), says: says.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "violation: {}: {}", self.place, self.says)
    }
}
