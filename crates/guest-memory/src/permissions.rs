//! What an access wants, and what a mapping permits.

use core::fmt;
use core::ops::{BitAnd, BitOr};

/// Reading, writing, both or neither: of an access what it wants, of a mapping what it permits.
///
/// ```
/// use guest_memory::Permissions;
/// assert!(Permissions::ReadWrite.allow(Permissions::Write));
/// assert!(!Permissions::Read.allow(Permissions::ReadWrite));
/// assert_eq!(Permissions::Read | Permissions::Write, Permissions::ReadWrite);
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Permissions {
    /// Neither.
    No = 0b00,
    /// Reading only.
    Read = 0b01,
    /// Writing only.
    Write = 0b10,
    /// Both.
    ReadWrite = 0b11,
}

impl Permissions {
    /// Whether an access that wants `access` is permitted.
    pub fn allow(&self, access: Self) -> bool {
        *self & access == access
    }

    /// Whether writing is among them.
    pub fn has_write(&self) -> bool {
        self.allow(Self::Write)
    }

    const fn from_bits(bits: u8) -> Self {
        match bits & 0b11 {
            0b00 => Self::No,
            0b01 => Self::Read,
            0b10 => Self::Write,
            _ => Self::ReadWrite,
        }
    }
}

impl BitOr for Permissions {
    type Output = Self;

    /// What either permits.
    fn bitor(self, other: Self) -> Self {
        Self::from_bits(self as u8 | other as u8)
    }
}

impl BitAnd for Permissions {
    type Output = Self;

    /// What both permit.
    fn bitand(self, other: Self) -> Self {
        Self::from_bits(self as u8 & other as u8)
    }
}

impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::No => "none",
            Self::Read => "read",
            Self::Write => "write",
            Self::ReadWrite => "read and write",
        })
    }
}
