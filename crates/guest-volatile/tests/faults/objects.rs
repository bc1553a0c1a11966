//! Objects of every size, wherever they cross into a page that is out of reach.

use guest_volatile::{Access, VolatileMemory};

use crate::common::Log;
use crate::memory::{BOTH, PAGE, Pages, fault_of};

/// Reads and writes an object of `N` bytes of which each number of bytes is in reach.
fn object<const N: usize>() {
    for why in BOTH {
        let (pages, log) = (Pages::new(why), Log::default());
        let memory = log.watch(pages.slice());
        let value: [u8; N] = std::array::from_fn(|index| (index % 251 + 1) as u8);
        for before in 0..=N {
            let start = PAGE - before;
            pages.slice().write_slice(&vec![0; before], start).expect("in reach");
            if before == N {
                memory.write_obj(value, start).expect("in reach");
                assert_eq!(memory.read_obj::<[u8; N]>(start).expect("in reach"), value);
                assert_eq!(log.take(), [(start, N)]);
                continue;
            }
            // Whatever was written, or had been before it was begun again.
            let marks = [(start, N)];
            let error = memory.write_obj(value, start);
            assert_eq!(fault_of(error), (PAGE, before, Access::Write), "{before} of {N}");
            assert_eq!(log.take(), marks);
            let mut now = vec![0; before];
            pages.slice().read_slice(&mut now, start).expect("in reach");
            assert_eq!(now, value[..before]);
            let error = memory.read_obj::<[u8; N]>(start);
            assert_eq!(fault_of(error), (PAGE, before, Access::Read), "{before} of {N}");

            let object = memory.get_ref::<[u8; N]>(start).expect("in reach");
            assert_eq!(fault_of(object.try_load()), (before, before, Access::Read));
            assert_eq!(object.load(), [0; N]);
            assert_eq!(fault_of(object.try_store(value)), (before, before, Access::Write));
            assert_eq!(log.take(), marks);
            object.store(value);
            assert_eq!(log.take(), marks);
        }
    }
}

macro_rules! objects {
    ($($size:literal)*) => { $(object::<$size>();)* };
}

#[test]
fn an_object_that_crosses_into_the_page_says_how_much_of_it_is_there() {
    objects!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 20 23 24 25 28 31 32 33 34 36 40 47 48 49 63 64 65);
    objects!(100 112 127 128 129 200 256 600);
}

#[test]
fn a_whole_word_faults_as_a_whole() {
    for why in BOTH {
        let pages = Pages::new(why);
        let memory = pages.slice();
        assert_eq!(fault_of(memory.read_obj::<u8>(PAGE)), (PAGE, 0, Access::Read));
        assert_eq!(fault_of(memory.read_obj::<u16>(PAGE)), (PAGE, 0, Access::Read));
        assert_eq!(fault_of(memory.read_obj::<u32>(PAGE + 4)), (PAGE + 4, 0, Access::Read));
        assert_eq!(fault_of(memory.read_obj::<u64>(PAGE + 8)), (PAGE + 8, 0, Access::Read));
        assert_eq!(fault_of(memory.write_obj(1_u8, PAGE)), (PAGE, 0, Access::Write));
        assert_eq!(fault_of(memory.write_obj(1_u16, PAGE)), (PAGE, 0, Access::Write));
        assert_eq!(fault_of(memory.write_obj(1_u32, PAGE)), (PAGE, 0, Access::Write));
        assert_eq!(fault_of(memory.write_obj(1_u64, PAGE)), (PAGE, 0, Access::Write));
        let row = memory.get_array_ref::<u64>(PAGE - 8, 2).unwrap();
        assert_eq!((row.load(0), row.load(1)), (0, 0));
        row.store(1, 7);
    }
}
