//! The extent says what it should of every offset and count, up to the largest numbers there are.

use super::Extent;

const HALF: usize = 1 << (usize::BITS - 1);
const NUMBERS: [usize; 13] =
    [0, 1, 2, 7, 8, 9, HALF - 9, HALF - 2, HALF - 1, HALF, HALF + 1, usize::MAX - 1, usize::MAX];

#[test]
fn an_extent_agrees_with_arithmetic_that_cannot_overflow() {
    for len in NUMBERS {
        let extent = Extent::new(len);
        // No range is longer than this.
        let len = len.min(HALF - 1);
        assert_eq!(extent.len(), len);
        assert_eq!(extent.read_only().len(), len);
        for offset in NUMBERS {
            for count in NUMBERS {
                let inside = offset as u128 + count as u128 <= len as u128;
                let case = (count, offset, len);
                assert_eq!(extent.holds(offset, count), inside, "{case:x?}");
                assert_eq!(extent.holds_writable(offset, count), inside, "{case:x?}");
                assert_eq!(extent.read_only().holds(offset, count), inside, "{case:x?}");
                assert!(!extent.read_only().holds_writable(offset, count), "{case:x?}");
                let part = extent.part(offset, count).map(Extent::len);
                assert_eq!(part, inside.then_some(count), "{case:x?}");
            }
        }
    }
}

#[test]
fn a_part_of_a_read_only_extent_is_read_only() {
    for count in [0, 1, 8] {
        let part = Extent::new(8).read_only().part(0, count).expect("inside");
        assert!(part.is_read_only(), "{count} bytes");
        assert_eq!(part.len(), count);
    }
    assert!(!Extent::new(8).part(0, 8).expect("inside").is_read_only());
}
