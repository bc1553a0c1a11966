//! Values as bytes and bytes as values.

mod common;

use common::Ram;
use guest_volatile::{Be16, Be32, Be64, BeSize, ByteValued, Le16, Le32, Le64, LeSize};
use rstest::rstest;

#[rstest]
#[case::aligned_and_of_the_size(0, 4, true)]
#[case::aligned_elsewhere(60, 4, true)]
#[case::too_short(0, 3, false)]
#[case::too_long(0, 5, false)]
#[case::nothing(0, 0, false)]
#[case::at_an_odd_address(1, 4, false)]
#[case::at_half_its_alignment(2, 4, false)]
fn bytes_are_a_value_if_size_and_alignment_fit(
    #[case] offset: usize,
    #[case] len: usize,
    #[case] fits: bool,
) {
    let mut ram = Ram::<64>::counting();
    let expected = fits.then(|| u32::read_exact_from(&ram.0[offset..]).expect("enough"));
    assert_eq!(u32::from_slice(&ram.0[offset..offset + len]).copied(), expected);
    let value = u32::from_mut_slice(&mut ram.0[offset..offset + len]);
    assert_eq!(value.as_deref().copied(), expected);
    if let Some(value) = value {
        *value = 0;
        assert_eq!(ram.0[offset..offset + 4], [0; 4]);
    }
}

// SEMANTICS 38.
#[test]
fn arrays_of_any_length_are_values() {
    fn is_a_value<T: ByteValued>(size: usize) {
        assert_eq!(size_of::<T>(), size);
        let mut value = T::zeroed();
        value.as_mut_slice().copy_from_slice(&Ram::<2048>::counting().0[..size]);
        let mut ram = Ram::<2048>::zeroed();
        let memory = ram.slice();
        memory.write_obj(value, 3).expect("inside");
        let read = memory.read_obj::<T>(3).expect("inside");
        assert_eq!(read.as_slice(), value.as_slice());
    }
    is_a_value::<[u8; 0]>(0);
    is_a_value::<[u8; 33]>(33);
    is_a_value::<[u8; 77]>(77);
    is_a_value::<[u64; 33]>(264);
    is_a_value::<[u8; 1999]>(1999);
    is_a_value::<[[u16; 3]; 5]>(30);
    is_a_value::<[Le32; 9]>(36);
    is_a_value::<[[u128; 2]; 0]>(0);
}

#[test]
fn a_value_is_read_from_and_written_to_files() {
    let mut file = Vec::new();
    [1_u8, 2, 3].write_all_to(&mut file).expect("a file without end");
    Le16::from(0x0504).write_all_to(&mut file).expect("a file without end");
    assert_eq!(file, [1, 2, 3, 4, 5]);
    assert_eq!(<[u8; 5]>::read_exact_from(&file[..]).expect("enough"), [1, 2, 3, 4, 5]);
    let error = u64::read_exact_from(&file[..]).expect_err("three bytes too few");
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
}

#[test]
fn a_value_is_volatile_memory_of_its_size() {
    let mut value = [0_u16; 3];
    let memory = value.as_bytes();
    assert_eq!(memory.len(), 6);
    memory.write_obj(0x0101_u16, 4).expect("inside");
    assert!(memory.write_obj(0x0101_u16, 5).is_err());
    // The last wrote its first byte, as far as there was room.
    assert_eq!(value, [0, 0, 0x0101]);
}

#[test]
fn integers_keep_their_byte_order_in_memory() {
    macro_rules! order {
        ($($endian:ident, $int:ty, $to_bytes:ident;)*) => {$(
            for value in [0, 1, 0x7b, <$int>::MAX, <$int>::MAX - 0x1f, 1 << (<$int>::BITS - 1)] {
                let endian = $endian::from(value);
                assert_eq!(endian.as_slice(), value.$to_bytes());
                assert_eq!(endian.to_native(), value);
                assert_eq!(<$int>::from(endian), value);
                assert!(endian == value && value == endian);
                assert!(endian != value ^ 1 && value ^ 1 != endian);
                let mut ram = Ram::<16>::zeroed();
                let memory = ram.slice();
                memory.write_obj(endian, 1).expect("inside");
                assert_eq!(memory.read_obj::<$endian>(1).expect("inside"), endian);
                assert_eq!(&ram.0[1..][..size_of::<$int>()], value.$to_bytes());
            }
            assert_eq!($endian::default(), 0);
        )*};
    }
    order! {
        Le16, u16, to_le_bytes;
        Le32, u32, to_le_bytes;
        Le64, u64, to_le_bytes;
        LeSize, usize, to_le_bytes;
        Be16, u16, to_be_bytes;
        Be32, u32, to_be_bytes;
        Be64, u64, to_be_bytes;
        BeSize, usize, to_be_bytes;
    }
}
