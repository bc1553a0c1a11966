//! The pattern: what a sector holds, told by its number and by how often it was written.

use std::io;

/// Bytes of a sector.
pub const SECTOR: usize = 512;
/// Bytes of a sector, as a distance on a disk.
pub const SECTOR_BYTES: u64 = 512;

/// What a sector says of itself: which one it is, and which writing of it this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Its number on the disk.
    pub sector: u64,
    /// Which writing of it.
    pub generation: u64,
}

impl Stamp {
    /// Fills one sector.
    pub fn write(self, sector: &mut [u8]) {
        let words = sector.chunks_exact_mut(8);
        for (word, value) in words.zip(self.words()) {
            word.copy_from_slice(&value.to_le_bytes());
        }
    }

    /// Reads what a sector says, if every byte of it agrees.
    #[must_use]
    pub fn read(sector: &[u8]) -> Option<Self> {
        let mut words = sector
            .chunks_exact(8)
            .map(|word| word.iter().rev().fold(0_u64, |value, byte| value << 8 | u64::from(*byte)));
        let stamp = Self { sector: words.next()?, generation: words.next()? };
        let rest = stamp.words().skip(2);
        (sector.len() == SECTOR && words.eq(rest)).then_some(stamp)
    }

    /// Looks whether a sector says this.
    ///
    /// # Errors
    ///
    /// What it says instead.
    pub fn verify(self, sector: &[u8]) -> io::Result<()> {
        match Self::read(sector) {
            Some(found) if found == self => Ok(()),
            found => Err(io::Error::other(format!("wrong data: {found:?} instead of {self:?}"))),
        }
    }

    /// What the sector adds to the digest of many: a sum, so that it does not matter in which order they are looked at.
    #[must_use]
    pub fn digest(self) -> u64 {
        mix(mix(self.sector) ^ self.generation)
    }

    fn words(self) -> impl Iterator<Item = u64> {
        let seed = self.digest();
        let rest = (2_u64..64).map(move |place| seed.wrapping_mul(place | 1) ^ place << 56);
        [self.sector, self.generation].into_iter().chain(rest)
    }
}

/// Fills all sectors of some memory that is for a place on the disk.
pub fn fill(bytes: &mut [u8], place: u64, generation: u64) {
    for (bytes, sector) in bytes.chunks_mut(SECTOR).zip(place / SECTOR_BYTES..) {
        Stamp { sector, generation }.write(bytes);
    }
}

/// Looks at all sectors of some memory that came from a place on the disk.
///
/// # Errors
///
/// The first sector that is not of this writing.
pub fn verify(bytes: &[u8], place: u64, generation: u64) -> io::Result<()> {
    for (bytes, sector) in bytes.chunks(SECTOR).zip(place / SECTOR_BYTES..) {
        Stamp { sector, generation }.verify(bytes)?;
    }
    Ok(())
}

/// The digest of all sectors of a piece of disk, the first of which has the number given.
///
/// # Errors
///
/// The number of a sector that is torn, or that another sector's bytes went to.
pub fn digest(first: u64, bytes: &[u8]) -> Result<u64, u64> {
    bytes.chunks(SECTOR).zip(first..).try_fold(0_u64, |sum, (bytes, sector)| {
        match Stamp::read(bytes) {
            Some(stamp) if stamp.sector == sector => Ok(sum.wrapping_add(stamp.digest())),
            _ => Err(sector),
        }
    })
}

/// Spreads every bit of a number over all bits (the finalizer of splitmix64).
pub(crate) fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

#[cfg(test)]
mod tests {
    use super::{SECTOR, Stamp, digest, fill, verify};

    fn sector(number: u64, generation: u64) -> Vec<u8> {
        let mut bytes = vec![0; SECTOR];
        Stamp { sector: number, generation }.write(&mut bytes);
        bytes
    }

    #[test]
    fn a_sector_says_what_was_written_and_one_wrong_bit_anywhere_shows() {
        let good = sector(77, 3);
        assert_eq!(Stamp::read(&good), Some(Stamp { sector: 77, generation: 3 }));
        for bit in 0..SECTOR * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Stamp::read(&bad), None, "bit {bit}");
        }
        assert_eq!(Stamp::read(&good[..SECTOR - 8]), None);
        assert_eq!(Stamp::read(&[0; SECTOR]), None, "a sector that was never written");
    }

    #[test]
    fn memory_is_verified_for_its_place_and_its_writing_sector_by_sector() {
        let mut bytes = vec![0; 3 * SECTOR];
        fill(&mut bytes, 1024, 5);
        assert_eq!(bytes, [sector(2, 5), sector(3, 5), sector(4, 5)].concat());
        verify(&bytes, 1024, 5).unwrap();
        assert!(verify(&bytes, 512, 5).is_err() && verify(&bytes, 1024, 4).is_err());
        bytes[2 * SECTOR + 9] ^= 1;
        let problem = verify(&bytes, 1024, 5).unwrap_err().to_string();
        assert!(problem.ends_with("Stamp { sector: 4, generation: 5 }"), "{problem}");
    }

    #[test]
    fn a_digest_names_the_sector_that_is_not_in_its_place() {
        let both = [sector(8, 1), sector(9, 2)].concat();
        let all = digest(8, &both).unwrap();
        assert_eq!(
            all,
            digest(8, &both[..SECTOR]).unwrap().wrapping_add(digest(9, &both[SECTOR..]).unwrap())
        );
        assert_ne!(all, digest(8, &[sector(8, 2), sector(9, 2)].concat()).unwrap());
        assert_eq!(digest(8, &[sector(8, 1), sector(8, 1)].concat()), Err(9));
        assert_eq!(digest(8, &both[..SECTOR + 8]), Err(9));
    }
}
