//! Bytes, objects and atomics by guest address: what is moved, what is not, and what is said about it.

mod common;

use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release, SeqCst};

use common::{all_bytes, counting, map, region, three};
use guest_memory::{
    Bytes, GuestAddress, GuestMemory, GuestMemoryError as E, GuestMemoryRegion,
    GuestRegionCollection, MemoryRegionAddress, Permissions, SliceRegion, VolatileSlice,
    WholeBytes,
};
use guest_volatile::Error as VolatileError;
use rstest::rstest;

mod over_a_hole {
    use super::*;

    // SEMANTICS 8. The map is [0x1000, 0x3000) and [0x8000, 0x9000).
    #[rstest]
    #[case::all_in_one(0x1000, 0x10, 0x10)]
    #[case::all_in_two(0x1ff8, 0x10, 0x10)]
    #[case::all_in_two_to_the_end(0x1ff8, 0x1008, 0x1008)]
    #[case::one_too_many(0x1ff8, 0x1009, 0x1008)]
    #[case::over_the_hole(0x2ff0, 0x5020, 0x10)]
    #[case::last_byte(0x2fff, 2, 1)]
    #[case::past_the_end_of_the_map(0x8ffe, 9, 2)]
    fn what_lies_before_it_is_moved(#[case] addr: u64, #[case] count: usize, #[case] there: usize) {
        let (memory, addr, data) = (three(), GuestAddress(addr), counting(count));
        assert_eq!(memory.write(&data, addr).unwrap(), there);
        let written = all_bytes(&memory);

        let mut back = vec![0xaa; count];
        assert_eq!(memory.read(&mut back, addr).unwrap(), there);
        assert_eq!(back[..there], data[..there]);
        assert!(back[there..].iter().all(|&byte| byte == 0xaa));

        let memory = three();
        let mut back = vec![0xaa; count];
        let results = [memory.write_slice(&data, addr), memory.read_slice(&mut back, addr)];
        for result in results {
            match result {
                Ok(()) => assert_eq!(there, count),
                Err(E::PartialBuffer { expected, completed }) => {
                    assert_eq!((expected, completed), (count, there));
                    assert!(there < count);
                }
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(all_bytes(&memory), written);
        assert_eq!(back[..there], data[..there]);
        assert!(back[there..].iter().all(|&byte| byte == 0xaa));
        // Exactly the bytes that were said: there are no other ones in the map.
        assert_eq!(written.iter().filter(|&&byte| byte != 0).count(), nonzero(&data[..there]));
    }

    fn nonzero(data: &[u8]) -> usize {
        data.iter().filter(|&&byte| byte != 0).count()
    }

    // SEMANTICS 8.
    #[rstest]
    #[case::gap(0x3000)]
    #[case::before(0xfff)]
    #[case::last_byte_before_a_region(0x7fff)]
    #[case::past_the_end(0x9000)]
    #[case::start(0)]
    #[case::top(u64::MAX)]
    fn an_access_that_starts_in_it_moves_nothing(#[case] addr: u64) {
        let (memory, addr) = (three(), GuestAddress(addr));
        let is_invalid = |error: E| matches!(error, E::InvalidGuestAddress(at) if at == addr);
        let mut buf = [0xaa; 16];
        assert!(is_invalid(memory.read(&mut buf, addr).unwrap_err()));
        assert!(is_invalid(memory.read_slice(&mut buf, addr).unwrap_err()));
        assert!(is_invalid(memory.write(&[1; 16], addr).unwrap_err()));
        assert!(is_invalid(memory.write_slice(&[1; 16], addr).unwrap_err()));
        assert!(is_invalid(memory.write_whole(&[1; 16], addr).unwrap_err()));
        assert!(is_invalid(memory.read_obj::<u32>(addr).unwrap_err()));
        assert!(is_invalid(memory.write_obj(1_u32, addr).unwrap_err()));
        assert!(is_invalid(memory.load::<u8>(addr, Relaxed).unwrap_err()));
        assert!(is_invalid(memory.store(1_u8, addr, Relaxed).unwrap_err()));
        assert!(is_invalid(memory.fetch_add(1_u8, addr, Relaxed).unwrap_err()));
        assert!(is_invalid(memory.get_slice(addr, 1).unwrap_err()));
        assert!(is_invalid(memory.get_slice(addr, 0).unwrap_err()));
        assert!(is_invalid(memory.get_host_address(addr).unwrap_err()));
        let first = memory.get_slices(addr, 1).next().unwrap();
        assert!(is_invalid(first.unwrap_err()));
        assert!(is_invalid(memory.get_slices(addr, 1).stop_on_error().err().unwrap()));
        assert_eq!(buf, [0xaa; 16]);
        assert!(all_bytes(&memory).iter().all(|&byte| byte == 0));
    }

    // SEMANTICS 8.
    #[test]
    fn an_object_that_reaches_into_it_is_partial() {
        let memory = three();
        memory.write_slice(&[1, 2, 3], GuestAddress(0x2ffd)).unwrap();
        let read = memory.read_obj::<u64>(GuestAddress(0x2ffd));
        assert!(matches!(read, Err(E::PartialBuffer { expected: 8, completed: 3 })));
        let written = memory.write_obj(u64::MAX, GuestAddress(0x2ffd));
        assert!(matches!(written, Err(E::PartialBuffer { expected: 8, completed: 3 })));
        assert_eq!(memory.read_obj::<[u8; 3]>(GuestAddress(0x2ffd)).unwrap(), [0xff; 3]);
    }

    #[test]
    fn the_slices_end_with_an_error_there_and_stay_ended() {
        let memory = three();
        let mut slices = memory.get_slices(GuestAddress(0x1ff0), 0x7000);
        assert_eq!(slices.next().unwrap().unwrap().len(), 0x10);
        assert_eq!(slices.next().unwrap().unwrap().len(), 0x1000);
        let hole = slices.next().unwrap().unwrap_err();
        assert!(matches!(hole, E::InvalidGuestAddress(GuestAddress(0x3000))));
        assert!(slices.next().is_none());
        assert!(slices.next().is_none());
        let good = memory.get_slices(GuestAddress(0x1ff0), 0x7000).stop_on_error().unwrap();
        assert_eq!(good.map(|slice| slice.len()).sum::<usize>(), 0x1010);
    }
}

mod all_or_nothing {
    use super::*;

    // SEMANTICS 14.
    #[rstest]
    #[case::in_one(0x1000, 0x1000, true)]
    #[case::in_two(0x1800, 0x1800, true)]
    #[case::one_too_many(0x1800, 0x1801, false)]
    #[case::past_the_end_of_the_map(0x8fff, 2, false)]
    #[case::over_the_hole(0x2000, 0x7000, false)]
    #[case::in_the_hole(0x4000, 1, false)]
    #[case::over_the_top(u64::MAX, 2, false)]
    fn a_whole_write_writes_all_of_it_or_not_a_byte(
        #[case] addr: u64,
        #[case] count: usize,
        #[case] fits: bool,
    ) {
        let (memory, addr, data) = (three(), GuestAddress(addr), counting(count));
        let result = memory.write_whole(&data, addr);
        assert_eq!(result.is_ok(), fits);
        if fits {
            let mut back = vec![0; count];
            memory.read_slice(&mut back, addr).unwrap();
            assert_eq!(back, data);
        } else {
            assert!(all_bytes(&memory).iter().all(|&byte| byte == 0));
        }
    }

    // SEMANTICS 14.
    #[test]
    fn a_whole_write_into_a_read_only_part_writes_not_a_byte() {
        let memory = half_read_only();
        let result = memory.write_whole(&[1; 0x20], GuestAddress(0x1ff0));
        assert!(matches!(
            result,
            Err(E::AccessDenied { addr: GuestAddress(0x2000), access: Permissions::Write })
        ));
        assert!(all_bytes(&memory).iter().all(|&byte| byte == 0));
    }

    #[test]
    fn a_whole_write_into_a_region_is_the_same() {
        let region = region(0x1000, 0x10);
        assert!(region.write_whole(&[1; 9], MemoryRegionAddress(8)).is_err());
        assert_eq!(region.read_obj::<u64>(MemoryRegionAddress(8)).unwrap(), 0);
        region.write_whole(&[1; 8], MemoryRegionAddress(8)).unwrap();
        assert_eq!(region.read_obj::<[u8; 8]>(MemoryRegionAddress(8)).unwrap(), [1; 8]);
    }
}

/// [0x1000, 0x2000) may be written, [0x2000, 0x3000) may not.
fn half_read_only() -> GuestRegionCollection<SliceRegion<'static>> {
    let slice = VolatileSlice::from(common::pages(0x1000)).read_only();
    let read_only = SliceRegion::with_slice(GuestAddress(0x2000), slice).expect("not empty");
    GuestRegionCollection::from_regions(vec![region(0x1000, 0x1000), read_only]).expect("sorted")
}

mod read_only_memory {
    use super::*;

    #[test]
    fn is_read_like_any_other() {
        let memory = half_read_only();
        let addr = GuestAddress(0x2010);
        assert_eq!(memory.read_obj::<u64>(addr).unwrap(), 0);
        assert_eq!(memory.read_obj::<u64>(GuestAddress(0x1ffc)).unwrap(), 0);
        assert_eq!(memory.load::<u64>(addr, Acquire).unwrap(), 0);
        assert_eq!(memory.read(&mut [0; 0x10], GuestAddress(0x1ff8)).unwrap(), 0x10);
        assert!(memory.get_slice(addr, 8).unwrap().is_read_only());
    }

    #[test]
    fn refuses_every_write_by_name() {
        let memory = half_read_only();
        let addr = GuestAddress(0x2010);
        let refused = |error: E| {
            matches!(
                error,
                E::AccessDenied { addr: GuestAddress(0x2010), access: Permissions::Write }
            )
        };
        assert!(refused(memory.write(&[1], addr).unwrap_err()));
        assert!(refused(memory.write_slice(&[1; 9], addr).unwrap_err()));
        assert!(refused(memory.write_whole(&[1; 9], addr).unwrap_err()));
        assert!(refused(memory.write_obj(1_u8, addr).unwrap_err()));
        assert!(refused(memory.write_obj([1_u8; 0x11], addr).unwrap_err()));
        assert!(refused(memory.store(1_u16, addr, Release).unwrap_err()));
        assert!(refused(memory.compare_exchange(0_u16, 1, addr, SeqCst, SeqCst).unwrap_err()));
        assert!(refused(memory.fetch_add(1_u32, addr, SeqCst).unwrap_err()));
        assert!(refused(memory.fetch_or(1_u32, addr, SeqCst).unwrap_err()));
        assert!(refused(memory.fetch_and(1_u32, addr, SeqCst).unwrap_err()));
        let mut source = &[1_u8; 8][..];
        assert!(refused(memory.read_volatile_from(addr, &mut source, 8).unwrap_err()));
        assert!(refused(memory.read_exact_volatile_from(addr, &mut source, 8).unwrap_err()));
        assert!(all_bytes(&memory).iter().all(|&byte| byte == 0));
    }

    #[test]
    fn ends_a_write_that_reaches_it() {
        let memory = half_read_only();
        assert_eq!(memory.write(&[1; 0x10], GuestAddress(0x1ff8)).unwrap(), 8);
        let result = memory.write_slice(&[2; 0x10], GuestAddress(0x1ffc));
        assert!(matches!(result, Err(E::PartialBuffer { expected: 0x10, completed: 4 })));
        assert_eq!(
            memory.read_obj::<u64>(GuestAddress(0x1ff8)).unwrap().to_ne_bytes(),
            [1, 1, 1, 1, 2, 2, 2, 2]
        );
    }
}

mod objects {
    use super::*;
    use guest_memory::ByteValued;

    #[track_caller]
    fn comes_back<T: ByteValued + PartialEq + std::fmt::Debug>(addr: u64, value: T) {
        let (memory, addr) = (three(), GuestAddress(addr));
        memory.write_obj(value, addr).expect("there is room");
        assert_eq!(memory.read_obj::<T>(addr).expect("it was written"), value);
        let mut bytes = vec![0; size_of::<T>()];
        memory.read_slice(&mut bytes, addr).expect("it was written");
        assert_eq!(bytes, value.as_slice());
        assert_eq!(nonzero(&all_bytes(&memory)), nonzero(&bytes));
    }

    fn nonzero(bytes: &[u8]) -> usize {
        bytes.iter().filter(|&&byte| byte != 0).count()
    }

    // SEMANTICS 15, 18: aligned, at odd addresses, and split by the border of regions at 0x2000.
    #[rstest]
    fn are_the_same_wherever_they_lie(
        #[values(
            0x1000, 0x1001, 0x1002, 0x1004, 0x1ff8, 0x1ff9, 0x1ffb, 0x1ffc, 0x1ffd, 0x1ffe, 0x1fff,
            0x2ff0
        )]
        addr: u64,
    ) {
        comes_back(addr, 0xa1_u8);
        comes_back(addr, 0xa1b2_u16);
        comes_back(addr, 0xa1b2_c3d4_u32);
        comes_back(addr, 0xa1b2_c3d4_e5f6_0718_u64);
        comes_back(addr, -2_i128);
        comes_back(addr, [1_u16, 2, 3]);
        comes_back(addr, [0x0102_0304_u32; 3]);
        comes_back(addr, [7_u8; 13]);
    }

    #[test]
    fn of_many_bytes_may_lie_in_many_regions() {
        let regions: Vec<_> = (0..16).map(|number| (number * 7, 7)).collect();
        let memory = map(&regions);
        let value: [u8; 100] = counting(100).try_into().unwrap();
        memory.write_obj(value, GuestAddress(5)).unwrap();
        assert_eq!(memory.read_obj::<[u8; 100]>(GuestAddress(5)).unwrap(), value);
        assert_eq!(memory.get_slices(GuestAddress(5), 100).count(), 15);
        memory.write_whole(&[9; 100], GuestAddress(5)).unwrap();
        assert_eq!(memory.read_obj::<[u8; 100]>(GuestAddress(5)).unwrap(), [9; 100]);
        assert!(memory.check_range(GuestAddress(5), 107));
        assert!(!memory.check_range(GuestAddress(5), 108));
    }

    // Also of regions whose lengths and places on the host are odd.
    #[test]
    fn need_no_alignment_of_the_region() {
        let bytes = common::pages(0x101);
        let odd = SliceRegion::new(GuestAddress(0x1000), &mut bytes[1..]).unwrap();
        let memory = GuestRegionCollection::from_regions(vec![odd]).unwrap();
        memory.write_obj(0x1122_3344_u32, GuestAddress(0x1000)).unwrap();
        assert_eq!(memory.read_obj::<u32>(GuestAddress(0x1000)).unwrap(), 0x1122_3344);
    }
}

mod atomics {
    use super::*;

    // SEMANTICS 16.
    #[rstest]
    #[case::unmapped(0x3000, "no memory at guest address 0x3000")]
    #[case::straddling_two_regions(
        0x1ffe,
        "0x4 bytes at guest address 0x1ffe do not lie in one piece"
    )]
    #[case::straddling_the_end(0x8ffe, "0x4 bytes at guest address 0x8ffe do not lie in one piece")]
    #[case::misaligned(0x1002, "guest address 0x1002 is not aligned to 0x4 bytes on the host")]
    fn need_memory_in_one_piece_and_alignment(#[case] addr: u64, #[case] expected: &str) {
        let (memory, addr) = (three(), GuestAddress(addr));
        assert_eq!(memory.load::<u32>(addr, Relaxed).unwrap_err().to_string(), expected);
        assert_eq!(memory.store(1_u32, addr, Relaxed).unwrap_err().to_string(), expected);
        let exchanged = memory.compare_exchange(0_u32, 1, addr, Relaxed, Relaxed);
        assert_eq!(exchanged.unwrap_err().to_string(), expected);
        assert_eq!(memory.fetch_add(1_u32, addr, Relaxed).unwrap_err().to_string(), expected);
        assert_eq!(memory.fetch_and(1_u32, addr, Relaxed).unwrap_err().to_string(), expected);
        assert_eq!(memory.fetch_or(1_u32, addr, Relaxed).unwrap_err().to_string(), expected);
        assert!(all_bytes(&memory).iter().all(|&byte| byte == 0));
    }

    // SEMANTICS 16: three errors, not one.
    #[test]
    fn are_refused_by_three_different_errors() {
        let memory = three();
        let error = |addr| memory.load::<u32>(GuestAddress(addr), Relaxed).unwrap_err();
        assert!(matches!(error(0x3000), E::InvalidGuestAddress(GuestAddress(0x3000))));
        assert!(matches!(error(0x1ffe), E::NotContiguous { addr: GuestAddress(0x1ffe), len: 4 }));
        assert!(matches!(
            error(0x1001),
            E::Misaligned { addr: GuestAddress(0x1001), alignment: 4 }
        ));
    }

    // SEMANTICS 16: it is the host's alignment that counts.
    #[test]
    fn are_aligned_where_the_host_address_is() {
        let bytes = common::pages(0x102);
        let odd = SliceRegion::new(GuestAddress(0x1000), &mut bytes[2..]).unwrap();
        let memory = GuestRegionCollection::from_regions(vec![odd]).unwrap();
        let aligned = memory.load::<u32>(GuestAddress(0x1000), Relaxed);
        assert!(matches!(aligned, Err(E::Misaligned { addr: GuestAddress(0x1000), alignment: 4 })));
        assert_eq!(memory.load::<u32>(GuestAddress(0x1002), Relaxed).unwrap(), 0);
    }

    // SEMANTICS 16.
    #[rstest]
    fn know_which_ordering_is_one_for_them(
        #[values(Relaxed, Release, Acquire, AcqRel, SeqCst)] order: Ordering,
    ) {
        let (memory, addr) = (three(), GuestAddress(0x1008));
        let refused = |error: E| matches!(error, E::Volatile(VolatileError::InvalidOrdering(given)) if given == order);
        let for_loads = matches!(order, Relaxed | Acquire | SeqCst);
        match memory.load::<u64>(addr, order) {
            Ok(value) => assert!(for_loads && value == 0),
            Err(error) => assert!(!for_loads && refused(error)),
        }
        match memory.store(5_u64, addr, order) {
            Ok(()) => assert!(matches!(order, Relaxed | Release | SeqCst)),
            Err(error) => assert!(matches!(order, Acquire | AcqRel) && refused(error)),
        }
        match memory.compare_exchange(9_u64, 1, addr, SeqCst, order) {
            Ok(exchanged) => assert!(for_loads && exchanged.is_err()),
            Err(error) => assert!(!for_loads && refused(error)),
        }
        memory.compare_exchange(9_u64, 1, addr, order, Relaxed).unwrap().unwrap_err();
        memory.fetch_add(1_u64, addr, order).unwrap();
        memory.fetch_or(1_u64, addr, order).unwrap();
        memory.fetch_and(1_u64, addr, order).unwrap();
    }

    // SEMANTICS 17.
    #[test]
    fn do_what_their_names_say() {
        let (memory, addr) = (three(), GuestAddress(0x8ffe));
        memory.store(0x00f0_u16, addr, Release).unwrap();
        assert_eq!(memory.load::<u16>(addr, Acquire).unwrap(), 0x00f0);
        assert_eq!(memory.fetch_or(0x000f_u16, addr, SeqCst).unwrap(), 0x00f0);
        assert_eq!(memory.fetch_and(0x003c_u16, addr, SeqCst).unwrap(), 0x00ff);
        assert_eq!(memory.fetch_add(0xffff_u16, addr, SeqCst).unwrap(), 0x003c);
        assert_eq!(memory.compare_exchange(1_u16, 2, addr, SeqCst, SeqCst).unwrap(), Err(0x003b));
        assert_eq!(memory.compare_exchange(0x3b_u16, 2, addr, SeqCst, SeqCst).unwrap(), Ok(0x3b));
        assert_eq!(memory.read_obj::<u16>(addr).unwrap(), 2);
        memory.store(-1_i64, GuestAddress(0x1008), SeqCst).unwrap();
        assert_eq!(memory.load::<usize>(GuestAddress(0x1008), SeqCst).unwrap(), usize::MAX);
    }

    // SEMANTICS 17, in a region and in a slice.
    #[test]
    fn are_the_same_in_a_region_and_in_a_slice() {
        let region = region(0x1000, 0x10);
        let addr = MemoryRegionAddress(4);
        region.store(1_u32, addr, SeqCst).unwrap();
        assert_eq!(region.fetch_add(2_u32, addr, SeqCst).unwrap(), 1);
        assert_eq!(region.compare_exchange(3_u32, 9, addr, SeqCst, SeqCst).unwrap(), Ok(3));
        let slice = region.as_volatile_slice().unwrap();
        assert_eq!(WholeBytes::fetch_and(&slice, 8_u32, 4, SeqCst).unwrap(), 9);
        assert_eq!(WholeBytes::fetch_or(&slice, 3_u32, 4, SeqCst).unwrap(), 8);
        assert_eq!(Bytes::load::<u32>(&slice, 4, SeqCst).unwrap(), 11);
        assert!(matches!(
            region.load::<u32>(MemoryRegionAddress(1), SeqCst),
            Err(E::Volatile(VolatileError::Misaligned { addr: 1, alignment: 4 }))
        ));
        assert!(matches!(
            region.load::<u32>(MemoryRegionAddress(14), SeqCst),
            Err(E::Volatile(VolatileError::OutOfBounds { .. }))
        ));
    }

    // SEMANTICS 17: nothing that another thread adds is lost.
    #[test]
    fn add_up_over_threads() {
        let memory = three();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        memory.fetch_add(1_u32, GuestAddress(0x1000), Relaxed).unwrap();
                    }
                });
            }
        });
        assert_eq!(memory.read_obj::<u32>(GuestAddress(0x1000)).unwrap(), 4000);
    }
}

mod whole_objects {
    use super::*;
    use guest_memory::ByteValued;
    use std::time::{Duration, Instant};

    // SEMANTICS 15, through a map, in a short form: the long one is a stress test of guest-volatile.
    #[rstest]
    #[case::u8(0_u8, !0_u8)]
    #[case::u16(0_u16, !0_u16)]
    #[case::u32(0_u32, !0_u32)]
    #[case::u64(0_u64, !0_u64)]
    fn are_never_seen_in_part<T>(#[case] no: T, #[case] yes: T)
    where
        T: ByteValued + PartialEq + std::fmt::Debug,
    {
        let (memory, addr) = (three(), GuestAddress(0x1ff8));
        let end = Instant::now() + Duration::from_millis(50);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while Instant::now() < end {
                    for _ in 0..1000 {
                        memory.write_obj(yes, addr).unwrap();
                        memory.write_slice(no.as_slice(), addr).unwrap();
                    }
                }
            });
            while Instant::now() < end {
                for _ in 0..1000 {
                    let seen = memory.read_obj::<T>(addr).unwrap();
                    assert!(seen == no || seen == yes, "{seen:?}");
                    let mut seen = no;
                    memory.read_slice(seen.as_mut_slice(), addr).unwrap();
                    assert!(seen == no || seen == yes, "{seen:?}");
                }
            }
        });
    }

    // SEMANTICS 15: the aligned head of an object that the border of two regions splits.
    #[test]
    fn have_a_whole_head_where_a_border_splits_them() {
        let (memory, addr) = (three(), GuestAddress(0x1ffc));
        let end = Instant::now() + Duration::from_millis(50);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while Instant::now() < end {
                    for _ in 0..1000 {
                        memory.write_obj(!0_u64, addr).unwrap();
                        memory.write_obj(0_u64, addr).unwrap();
                    }
                }
            });
            while Instant::now() < end {
                for _ in 0..1000 {
                    let seen = memory.read_obj::<[u32; 2]>(addr).unwrap();
                    assert!(seen.iter().all(|&half| half == 0 || half == !0), "{seen:x?}");
                }
            }
        });
    }
}

mod regions_by_themselves {
    use super::*;

    // SEMANTICS 8, 36: what does not fit is said in offsets of the region.
    #[test]
    fn end_where_their_bytes_end() {
        let region = region(0x1000, 0x100);
        let addr = MemoryRegionAddress(0xf8);
        assert_eq!(region.write(&[1; 16], addr).unwrap(), 8);
        assert_eq!(region.read(&mut [0; 16], addr).unwrap(), 8);
        let partial = region.read_slice(&mut [0; 16], addr);
        assert!(matches!(partial, Err(E::PartialBuffer { expected: 16, completed: 8 })));
        let outside = region.read(&mut [0], MemoryRegionAddress(0x100));
        assert!(matches!(outside, Err(E::Volatile(VolatileError::OutOfBounds { addr: 0x100 }))));
        let far = region.write_obj(1_u8, MemoryRegionAddress(u64::MAX));
        assert!(matches!(far, Err(E::Volatile(_))));
    }
}

// The published walker, which is deprecated in favour of `get_slices`.
#[expect(deprecated, reason = "it is what is tested")]
mod a_tried_access {
    use super::*;

    #[test]
    fn goes_from_region_to_region() {
        let memory = three();
        let mut calls = Vec::new();
        let done =
            memory.try_access(0x3000, GuestAddress(0x1800), |done, count, inside, region| {
                calls.push((done, count, inside.0, region.start_addr().0));
                Ok(count)
            });
        assert_eq!(done.unwrap(), 0x1800);
        assert_eq!(calls, [(0, 0x800, 0x800, 0x1000), (0x800, 0x1000, 0, 0x2000)]);
    }

    #[test]
    fn goes_on_after_a_part() {
        let mut calls = Vec::new();
        let done = three().try_access(0x10, GuestAddress(0x1ff8), |done, count, inside, _| {
            calls.push((done, count, inside.0));
            Ok(count.min(5))
        });
        assert_eq!(done.unwrap(), 0x10);
        assert_eq!(calls, [(0, 8, 0xff8), (5, 3, 0xffd), (8, 8, 0), (13, 3, 5)]);
    }

    #[rstest]
    #[case::over(|_, _, _, _: &_| Ok(0), Ok(0))]
    #[case::more_than_there_is(|_, count, _, _: &_| Ok(count + 1), Err("the callback moved more bytes than there were"))]
    #[case::far_more_than_there_is(|_, _, _, _: &_| Ok(usize::MAX), Err("the callback moved more bytes than there were"))]
    #[case::failed(|_, _, _, _: &_| Err(E::HostAddressNotAvailable), Err("the region has no memory in this process"))]
    fn ends_as_the_callback_says(
        #[case] callback: fn(
            usize,
            usize,
            MemoryRegionAddress,
            &common::Region,
        ) -> Result<usize, E>,
        #[case] expected: Result<usize, &str>,
    ) {
        let done = three().try_access(0x10, GuestAddress(0x1000), callback);
        assert_eq!(done.map_err(|error| error.to_string()), expected.map_err(String::from));
    }

    #[test]
    fn needs_memory_only_for_bytes() {
        let nowhere = GuestAddress(0x3000);
        let never =
            |_, _, _, _: &common::Region| -> Result<usize, E> { panic!("there is no memory") };
        assert_eq!(three().try_access(0, nowhere, never).unwrap(), 0);
        let missing = three().try_access(1, nowhere, never);
        assert!(matches!(missing, Err(E::InvalidGuestAddress(GuestAddress(0x3000)))));
    }

    #[test]
    fn ends_at_the_top_of_the_address_space() {
        let memory = map(&[(0, 8), (u64::MAX - 7, 8)]);
        let done = memory.try_access(0x10, GuestAddress(u64::MAX - 3), |_, count, _, _| Ok(count));
        assert_eq!(done.unwrap(), 4);
    }
}
