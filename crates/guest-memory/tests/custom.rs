//! Regions, maps and memories of somebody else's making, honest ones and liars: none leads an access out of its memory, to
//! a panic, or round for ever.

mod common;

mod regions {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;
    use std::sync::atomic::Ordering::{Relaxed, SeqCst};

    use guest_memory::{
        Bytes, GuestAddress, GuestMemory, GuestMemoryError as E, GuestMemoryRegion,
        GuestMemoryRegionBytes, GuestMemoryResult, GuestRegionCollection,
        GuestRegionCollectionError, GuestUsize, IoMemory, MemoryRegionAddress, Permissions,
        VolatileSlice, WholeBytes,
    };
    use rstest::rstest;

    use super::common::pages;

    /// What a region says instead of the truth, which is 0x100 bytes at 0x1000.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Lie {
        /// It has none, but wants to be asked each time.
        AskMe,
        /// It is as long as this.
        Length(GuestUsize),
        /// It starts here, which passes the end of the address space.
        Start(u64),
        /// It starts somewhere else each time it is asked.
        Wanders,
        /// It is shorter each time it is asked.
        Shrinks,
        /// It is long when it is put into a map, and then has nothing.
        Vanishes,
        /// It has no memory.
        NoMemory,
        /// Its slices have at most so many bytes.
        ShortSlices(usize),
        /// Its slices have all the bytes from its start on, whatever was asked for.
        LongSlices,
        /// Its slice for a map is of so many bytes.
        DirectSlice(usize),
    }

    struct Custom {
        slice: VolatileSlice<'static>,
        lie: Lie,
        asked: AtomicU64,
    }

    fn custom(lie: Lie) -> Custom {
        // More than the region says that it has, so that an access too far would find something.
        let slice = VolatileSlice::from(pages(0x400)).subslice(0, 0x200).expect("it is shorter");
        Custom { slice, lie, asked: AtomicU64::new(0) }
    }

    fn map(lie: Lie) -> GuestRegionCollection<Custom> {
        GuestRegionCollection::from_regions(vec![custom(lie)]).expect("the lie is a good one")
    }

    impl GuestMemoryRegion for Custom {
        type B = ();

        fn len(&self) -> GuestUsize {
            match self.lie {
                Lie::Length(len) => len,
                Lie::Shrinks => {
                    let asked = self.asked.fetch_add(1, Relaxed);
                    0x100_u64.saturating_sub(asked * 0x40)
                }
                Lie::Vanishes if self.asked.fetch_add(1, Relaxed) == 0 => 1 << 60,
                Lie::Vanishes => 0,
                _ => 0x100,
            }
        }

        fn start_addr(&self) -> GuestAddress {
            match self.lie {
                Lie::Start(start) => GuestAddress(start),
                Lie::Wanders => {
                    let asked = self.asked.fetch_add(1, Relaxed) + 1;
                    GuestAddress((asked * 0x1000).rotate_right(asked as u32 - 1))
                }
                _ => GuestAddress(0x1000),
            }
        }

        fn bitmap(&self) {}

        fn get_slice(
            &self,
            offset: MemoryRegionAddress,
            count: usize,
        ) -> GuestMemoryResult<VolatileSlice<'_>> {
            let honest = |count| {
                let slice = self.slice.subslice(0, 0x100)?;
                Ok(slice.subslice(usize::try_from(offset.0).unwrap_or(usize::MAX), count)?)
            };
            match self.lie {
                Lie::AskMe => {
                    self.asked.fetch_add(1, Relaxed);
                    honest(count)
                }
                Lie::NoMemory => Err(E::HostAddressNotAvailable),
                Lie::ShortSlices(most) => honest(count.min(most)),
                Lie::LongSlices => Ok(self.slice),
                _ => honest(count),
            }
        }

        fn direct_slice(&self) -> Option<VolatileSlice<'_>> {
            match self.lie {
                Lie::DirectSlice(len) => self.slice.subslice(0, len).ok(),
                Lie::Wanders | Lie::Shrinks => self.slice.subslice(0, 0x100).ok(),
                _ => None,
            }
        }
    }

    impl GuestMemoryRegionBytes for Custom {}

    const START: GuestAddress = GuestAddress(0x1000);

    /// Every kind of access at each of some addresses, none of which may panic or go on for ever.
    fn try_everything<M: IoMemory>(memory: &M) {
        let addresses =
            [0, 0xfff, 0x1000, 0x1001, 0x10f8, 0x10ff, 0x1100, 0x11ff, 0x2000, u64::MAX];
        for addr in addresses.map(GuestAddress) {
            for count in [0, 1, 8, 0x100, 0x101, 0x300] {
                let mut buf = vec![1; count];
                assert!(memory.read(&mut buf, addr).is_ok_and(|done| done <= count) || count > 0);
                assert!(memory.write(&buf, addr).is_ok_and(|done| done <= count) || count > 0);
                let _ = memory.read_slice(&mut buf, addr);
                let _ = memory.write_slice(&buf, addr);
                let _ = memory.write_whole(&buf, addr);
                let source = &mut &buf[..];
                let _ = memory.read_volatile_from(addr, source, count);
                let _ = memory.read_exact_volatile_from(addr, &mut &buf[..], count);
                let mut sink = Vec::new();
                let _ = memory.write_volatile_to(addr, &mut sink, count);
                let _ = memory.write_all_volatile_to(addr, &mut sink, count);
                assert!(sink.len() <= 2 * count);
                let _ = memory.check_range(addr, count, Permissions::ReadWrite);
                if let Ok(slices) = memory.get_slices(addr, count, Permissions::Read) {
                    let pieces: Vec<_> = slices.take(count + 1).collect();
                    assert!(pieces.len() <= count);
                    let total: usize = pieces.iter().flatten().map(VolatileSlice::len).sum();
                    assert!(total <= count);
                }
            }
            let _ = memory.check_range(addr, usize::MAX, Permissions::ReadWrite);
            let _ = memory.read_obj::<[u8; 13]>(addr);
            let _ = memory.write_obj([2_u8; 13], addr);
            let _ = memory.load::<u32>(addr, Relaxed);
            let _ = memory.store(3_u32, addr, Relaxed);
            let _ = memory.compare_exchange(3_u32, 4, addr, SeqCst, SeqCst);
            let _ = memory.fetch_or(1_u64, addr, SeqCst);
        }
    }

    // SEMANTICS 37.
    #[rstest]
    #[case(Lie::AskMe)]
    #[case(Lie::Length(0x300))]
    #[case(Lie::Length(u64::MAX - 0x1000))]
    #[case(Lie::Length(1))]
    #[case(Lie::Start(u64::MAX - 0xff))]
    #[case(Lie::Wanders)]
    #[case(Lie::Shrinks)]
    #[case(Lie::Vanishes)]
    #[case(Lie::NoMemory)]
    #[case(Lie::ShortSlices(0))]
    #[case(Lie::ShortSlices(1))]
    #[case(Lie::ShortSlices(7))]
    #[case(Lie::LongSlices)]
    #[case(Lie::DirectSlice(0))]
    #[case(Lie::DirectSlice(1))]
    #[case(Lie::DirectSlice(0x100))]
    #[case(Lie::DirectSlice(0x200))]
    fn that_lie_lead_to_errors_and_wrong_answers_at_most(#[case] lie: Lie) {
        let memory = map(lie);
        try_everything(&memory);
        try_everything(&OnlyIter(vec![custom(lie)]));
        let _ = (memory.last_addr(), memory.iter().count(), memory.to_string(), memory.clone());
        for addr in [0, 0x1000, 0x10ff, u64::MAX].map(GuestAddress) {
            let _ = memory.find_region(addr);
            let _ = memory.to_region_addr(addr);
            let _ = memory.get_host_address(addr);
            let _ = memory.checked_offset(addr, 0x80);
            for count in [0, 1, 0x100, usize::MAX] {
                let slice = memory.get_slice(addr, count);
                assert!(slice.is_err() || slice.unwrap().len() == count);
            }
            #[expect(deprecated, reason = "it must not go round for ever either")]
            let _ = memory.try_access(0x300, addr, |_, count, _, _| Ok(count));
        }
        for region in memory.iter() {
            for addr in [0, 0xf8, 0x100, 0x200, u64::MAX].map(MemoryRegionAddress) {
                let _ = region.read(&mut [0; 16], addr);
                let _ = region.write_obj(1_u64, addr);
                let _ = region.load::<u64>(addr, Relaxed);
            }
        }
        // The bytes past those that the region says it has are not reached through a map.
        let own = custom(lie);
        let all = own.slice;
        try_everything(&GuestRegionCollection::from_regions(vec![own]).unwrap());
        assert_eq!(all.read_obj::<[u8; 0x100]>(0x100).unwrap(), [0; 0x100]);
    }

    // SEMANTICS 2, 3: whoever made the region.
    #[rstest]
    #[case::no_byte(Lie::Length(0))]
    #[case::past_the_end(Lie::Start(u64::MAX - 0xfe))]
    #[case::too_long(Lie::Length(u64::MAX))]
    fn without_a_byte_or_past_the_end_make_no_map(#[case] lie: Lie) {
        let (start, len) = (custom(lie).start_addr(), custom(lie).len());
        let expected = GuestRegionCollectionError::InvalidRegion { start, len };
        let refused = GuestRegionCollection::from_regions(vec![custom(lie)]).err();
        assert_eq!(refused, Some(expected));
        let refused = map(Lie::AskMe).insert_region(Arc::new(custom(lie))).err();
        assert_eq!(refused, Some(expected));
    }

    // A map is what it was when it was made.
    #[test]
    fn that_wander_stay_where_they_were_put() {
        let memory = map(Lie::Wanders);
        for _ in 0..3 {
            assert!(memory.find_region(START).is_some());
            assert!(GuestMemory::check_range(&memory, START, 0x100));
            assert!(!GuestMemory::check_range(&memory, START, 0x101));
            memory.write_obj(7_u32, START).unwrap();
        }
        let mut other = custom(Lie::AskMe);
        other.lie = Lie::Start(0x40);
        let larger = memory.insert_region(Arc::new(other)).unwrap();
        assert_eq!(larger.read_obj::<u32>(START).unwrap(), 7);
        assert_eq!(larger.num_regions(), 2);
        assert!(larger.find_region(GuestAddress(0x40)).is_some());
        let (smaller, _) = larger.remove_region(START, 0x100).unwrap();
        assert!(smaller.find_region(START).is_none());
    }

    // What is said to be there, and is not given.
    #[test]
    fn that_are_shorter_than_they_say_give_errors_where_they_end() {
        let memory = map(Lie::Length(0x200));
        assert_eq!(memory.read(&mut [0; 0x100], START).unwrap(), 0x100);
        memory.write_obj(7_u64, GuestAddress(0x10f8)).unwrap();
        assert!(matches!(memory.read_obj::<u64>(GuestAddress(0x1100)), Err(E::Volatile(_))));
        assert!(matches!(memory.read_obj::<u64>(GuestAddress(0x10fc)), Err(E::Volatile(_))));
    }

    #[test]
    fn that_give_less_than_asked_are_asked_again() {
        let memory = map(Lie::ShortSlices(3));
        memory.write_slice(&[1, 2, 3, 4, 5, 6, 7, 8], START).unwrap();
        assert_eq!(memory.read_obj::<[u8; 8]>(START).unwrap(), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(GuestMemory::get_slices(&memory, START, 8).count(), 3);
        assert!(matches!(memory.get_slice(START, 8), Err(E::InvalidBackendAddress)));
        assert!(matches!(memory.load::<u32>(START, Relaxed), Err(E::NotContiguous { .. })));
        assert_eq!(memory.load::<u16>(START, Relaxed).unwrap(), u16::from_ne_bytes([1, 2]));
    }

    #[test]
    fn that_give_nothing_are_not_asked_for_ever() {
        let memory = map(Lie::ShortSlices(0));
        assert!(matches!(memory.read(&mut [0; 8], START), Err(E::InvalidBackendAddress)));
        assert!(matches!(memory.read_obj::<u64>(START), Err(E::InvalidBackendAddress)));
        assert!(matches!(memory.write_whole(&[0; 8], START), Err(E::InvalidBackendAddress)));
        let slices: Vec<_> = GuestMemory::get_slices(&memory, START, 8).collect();
        assert!(matches!(&slices[..], [Err(E::InvalidBackendAddress)]));
    }

    #[test]
    fn that_vanish_are_no_memory_any_more() {
        let memory = map(Lie::Vanishes);
        assert!(!GuestMemory::check_range(&memory, START, 1 << 60));
        assert!(matches!(memory.read(&mut [0; 8], START), Err(E::InvalidBackendAddress)));
        assert!(matches!(memory.load::<u32>(START, Relaxed), Err(E::InvalidBackendAddress)));
        assert!(memory.get_slice(START, 8).is_err());
    }

    // A region that wants to see each access sees each, and all kinds of access work.
    #[test]
    fn without_a_direct_slice_are_asked_at_each_access() {
        let memory = map(Lie::AskMe);
        let asked = || {
            let region = memory.iter().next().unwrap();
            region.asked.swap(0, Relaxed)
        };
        assert_eq!(asked(), 0);
        memory.write_obj(0x0102_0304_u32, START).unwrap();
        assert!(asked() >= 1);
        assert_eq!(memory.read_obj::<u32>(START).unwrap(), 0x0102_0304);
        assert!(asked() >= 1);
        assert_eq!(memory.load::<u32>(START, SeqCst).unwrap(), 0x0102_0304);
        assert!(asked() >= 1);
        memory.store(5_u32, START, SeqCst).unwrap();
        assert!(asked() >= 1);
        assert_eq!(memory.fetch_add(1_u32, START, SeqCst).unwrap(), 5);
        assert_eq!(memory.compare_exchange(6_u32, 9, START, SeqCst, SeqCst).unwrap(), Ok(6));
        assert!(asked() >= 2);
        memory.write_whole(&[3; 0x100], START).unwrap();
        assert!(asked() >= 1);
        assert_eq!(memory.get_slice(START, 0x100).unwrap().len(), 0x100);
        assert!(asked() >= 1);
        let mut all = Vec::new();
        memory.write_all_volatile_to(START, &mut all, 0x100).unwrap();
        assert_eq!(all, [3; 0x100]);
        assert!(asked() >= 1);
        // And the three errors are three.
        let error = |addr| memory.load::<u32>(GuestAddress(addr), SeqCst).unwrap_err();
        assert!(matches!(error(0xfff), E::InvalidGuestAddress(_)));
        assert!(matches!(error(0x10fe), E::NotContiguous { .. }));
        assert!(matches!(error(0x1001), E::Misaligned { .. }));
    }

    #[test]
    fn without_memory_are_found_and_cannot_be_read() {
        let memory = map(Lie::NoMemory);
        assert_eq!(memory.find_region(START).unwrap().start_addr(), START);
        assert!(memory.find_region(GuestAddress(0x1100)).is_none());
        assert!(GuestMemory::check_range(&memory, START, 0x100));
        assert!(matches!(memory.read_obj::<u32>(START), Err(E::HostAddressNotAvailable)));
        assert!(matches!(memory.load::<u32>(START, Relaxed), Err(E::HostAddressNotAvailable)));
        assert!(matches!(memory.write(&[0], START), Err(E::HostAddressNotAvailable)));
        assert!(matches!(memory.write_whole(&[0], START), Err(E::HostAddressNotAvailable)));
        assert!(matches!(memory.get_slice(START, 1), Err(E::HostAddressNotAvailable)));
        assert!(matches!(memory.get_host_address(START), Err(E::HostAddressNotAvailable)));
    }

    /// A map with nothing but what a map must have.
    struct OnlyIter(Vec<Custom>);

    impl GuestMemory for OnlyIter {
        type R = Custom;

        fn iter(&self) -> impl Iterator<Item = &Custom> {
            self.0.iter()
        }
    }

    /// A map whose short way gives so many bytes, whatever was asked for.
    struct ShortWay(Vec<Custom>, usize);

    impl GuestMemory for ShortWay {
        type R = Custom;

        fn iter(&self) -> impl Iterator<Item = &Custom> {
            self.0.iter()
        }

        fn find_slice(&self, addr: GuestAddress, _: usize) -> Option<VolatileSlice<'_>> {
            let (region, inside) = self.to_region_addr(addr)?;
            region.get_slice(inside, self.1).ok()
        }
    }

    // SEMANTICS 37: another length than was asked for is no short way, and the long one is right.
    #[rstest]
    fn with_a_short_way_that_lies_are_accessed_by_the_long_one(
        #[values(0, 1, 3, 7, 9, 0x80)] len: usize,
    ) {
        let memory = ShortWay(vec![custom(Lie::AskMe)], len);
        assert_eq!(memory.write(&[1, 2, 3, 4, 5, 6, 7, 8], START).unwrap(), 8);
        assert_eq!(memory.read(&mut [0; 8], START).unwrap(), 8);
        assert_eq!(memory.read_obj::<[u8; 8]>(START).unwrap(), [1, 2, 3, 4, 5, 6, 7, 8]);
        memory.write_obj(9_u64, START).unwrap();
        assert_eq!(memory.load::<u64>(START, Relaxed).unwrap(), 9);
        assert_eq!(memory.get_slice(START, 8).unwrap().len(), 8);
        memory.write_slice(&[7; 0x100], START).unwrap();
        memory.write_whole(&[8; 0x100], START).unwrap();
        let mut all = [0; 0x100];
        memory.read_slice(&mut all, START).unwrap();
        assert_eq!(all, [8; 0x100]);
    }

    #[test]
    fn make_a_map_by_being_listed() {
        let mut upper = custom(Lie::AskMe);
        upper.lie = Lie::Start(0x1100);
        let memory = OnlyIter(vec![custom(Lie::AskMe), upper]);
        assert_eq!((memory.num_regions(), memory.last_addr()), (2, GuestAddress(0x11ff)));
        assert!(memory.find_region(GuestAddress(0xfff)).is_none());
        assert_eq!(memory.find_region(GuestAddress(0x10ff)).unwrap().start_addr(), START);
        assert!(memory.find_region(GuestAddress(0x1200)).is_none());
        memory.write_obj(0x0102_0304_0506_0708_u64, GuestAddress(0x10fc)).unwrap();
        assert_eq!(memory.read_obj::<u64>(GuestAddress(0x10fc)).unwrap(), 0x0102_0304_0506_0708);
        assert!(matches!(
            memory.write_slice(&[0; 8], GuestAddress(0x11fc)),
            Err(E::PartialBuffer { expected: 8, completed: 4 })
        ));
        assert_eq!(memory.get_slice(START, 0x100).unwrap().len(), 0x100);
        assert!(matches!(memory.get_slice(START, 0x101), Err(E::InvalidBackendAddress)));
        assert!(GuestMemory::check_range(&memory, START, 0x200));
        assert!(!GuestMemory::check_range(&memory, START, 0x201));
        assert_eq!(memory.fetch_add(1_u32, GuestAddress(0x1110), SeqCst).unwrap(), 0);
        assert_eq!(memory.checked_offset(START, 0x1ff), Some(GuestAddress(0x11ff)));
    }
}

mod memories {
    use std::iter::FusedIterator;
    use std::sync::atomic::Ordering::SeqCst;

    use guest_memory::{
        Bytes, GuestAddress, GuestMemoryError as E, GuestMemoryResult, IoMemory,
        IoMemorySliceIterator, Permissions, VolatileSlice, WholeBytes,
    };
    use rstest::rstest;

    use super::common::{Map, map};

    /// What the slices of a memory are, whatever was asked for.
    #[derive(Clone, Debug)]
    enum Item {
        /// So many bytes from there on.
        Piece(u64, usize),
        /// As the one before, over and over.
        ForEver(u64, usize),
        Error,
    }

    /// A memory whose slices are what it is told, and of which only a part may be written.
    struct Odd {
        memory: Map,
        items: Vec<Item>,
        permits: Permissions,
    }

    struct Slices<'a> {
        memory: &'a Odd,
        next: usize,
    }

    impl<'a> Iterator for Slices<'a> {
        type Item = GuestMemoryResult<VolatileSlice<'a>>;

        fn next(&mut self) -> Option<Self::Item> {
            let item = self.memory.items.get(self.next)?;
            self.next += usize::from(!matches!(item, Item::ForEver(..)));
            Some(match *item {
                Item::Piece(addr, len) | Item::ForEver(addr, len) => {
                    guest_memory::GuestMemory::get_slice(
                        &self.memory.memory,
                        GuestAddress(addr),
                        len,
                    )
                }
                Item::Error => Err(E::GuestAddressOverflow),
            })
        }
    }

    impl FusedIterator for Slices<'_> {}
    impl<'a> IoMemorySliceIterator<'a, ()> for Slices<'a> {}

    impl IoMemory for Odd {
        type PhysicalMemory = Map;
        type Bitmap = ();

        fn check_range(&self, _: GuestAddress, _: usize, access: Permissions) -> bool {
            self.permits.allow(access)
        }

        fn get_slices<'a>(
            &'a self,
            addr: GuestAddress,
            _: usize,
            access: Permissions,
        ) -> GuestMemoryResult<impl IoMemorySliceIterator<'a, ()>> {
            if self.permits.allow(access) {
                Ok(Slices { memory: self, next: 0 })
            } else {
                Err(E::AccessDenied { addr, access })
            }
        }
    }

    fn odd(items: &[Item]) -> Odd {
        let memory = map(&[(0, 0x100)]);
        memory
            .write_slice(&super::common::counting(0x100), GuestAddress(0))
            .expect("there is room");
        Odd { memory, items: items.to_vec(), permits: Permissions::ReadWrite }
    }

    const ANYWHERE: GuestAddress = GuestAddress(0xffff_ffff_ffff_fff0);

    // 8 bytes are asked for.
    #[rstest]
    #[case::one(&[Item::Piece(0, 8)], Ok(8))]
    #[case::two(&[Item::Piece(0, 3), Item::Piece(0x20, 5)], Ok(8))]
    #[case::too_long(&[Item::Piece(0, 9)], Ok(8))]
    #[case::far_too_long(&[Item::Piece(0, 0x100)], Ok(8))]
    #[case::second_too_long(&[Item::Piece(0, 3), Item::Piece(0x20, 0x20)], Ok(8))]
    #[case::more_after_it(&[Item::Piece(0, 8), Item::Piece(0x20, 8), Item::Error], Ok(8))]
    #[case::byte_by_byte_for_ever(&[Item::ForEver(0, 1)], Ok(8))]
    #[case::short(&[Item::Piece(0, 3)], Ok(3))]
    #[case::error_after_a_part(&[Item::Piece(0, 3), Item::Error, Item::Piece(0, 8)], Ok(3))]
    #[case::nothing_after_a_part(&[Item::Piece(0, 3), Item::Piece(0, 0), Item::Piece(0, 5)], Ok(3))]
    #[case::nothing_after_a_part_for_ever(&[Item::Piece(0, 3), Item::ForEver(0, 0)], Ok(3))]
    #[case::end(&[], Err("the range does not lie in the memory that one region gives"))]
    #[case::nothing(&[Item::Piece(0, 0)], Err("the range does not lie in the memory that one region gives"))]
    #[case::nothing_for_ever(&[Item::ForEver(0, 0)], Err("the range does not lie in the memory that one region gives"))]
    #[case::error(&[Item::Error], Err("the range passes the end of the guest's address space"))]
    fn move_what_was_asked_for_at_most(
        #[case] items: &[Item],
        #[case] expected: Result<usize, &str>,
    ) {
        let memory = odd(items);
        let text = |error: E| error.to_string();
        let expected = expected.map_err(String::from);
        let mut buf = [0xff; 8];
        assert_eq!(memory.read(&mut buf, ANYWHERE).map_err(text), expected);
        assert_eq!(memory.write(&buf, ANYWHERE).map_err(text), expected);
        let mut sink = Vec::new();
        assert_eq!(memory.write_volatile_to(ANYWHERE, &mut sink, 8).map_err(text), expected);
        assert_eq!(sink.len(), expected.as_ref().map_or(0, |&done| done));
        let source = &mut &[7_u8; 0x100][..];
        assert_eq!(memory.read_volatile_from(ANYWHERE, source, 8).map_err(text), expected);
        assert_eq!(source.len(), 0x100 - expected.as_ref().map_or(0, |&done| done));

        let whole = match &expected {
            Ok(8) => Ok(()),
            Ok(part) => Err(format!("moved only {part:#x} of 0x8 bytes")),
            Err(error) => Err(error.clone()),
        };
        assert_eq!(memory.read_slice(&mut buf, ANYWHERE).map_err(text), whole);
        assert_eq!(memory.write_slice(&buf, ANYWHERE).map_err(text), whole);
        assert_eq!(memory.read_obj::<u64>(ANYWHERE).map(drop).map_err(text), whole);
        assert_eq!(memory.write_obj(5_u64, ANYWHERE).map_err(text), whole);
        let source = &mut &[7_u8; 0x100][..];
        assert_eq!(memory.read_exact_volatile_from(ANYWHERE, source, 8).map_err(text), whole);
        assert_eq!(memory.write_all_volatile_to(ANYWHERE, &mut sink, 8).map_err(text), whole);
        assert_eq!(memory.write_whole(&buf, ANYWHERE).is_ok(), whole.is_ok());
    }

    #[rstest]
    #[case::one(&[Item::Piece(0, 4)], Ok(()))]
    #[case::too_long(&[Item::Piece(0, 0x10)], Ok(()))]
    #[case::two(&[Item::Piece(0, 2), Item::Piece(2, 2)], Err("0x4 bytes at guest address 0xfffffffffffffff0 do not lie in one piece"))]
    #[case::short(&[Item::Piece(0, 2)], Err("0x4 bytes at guest address 0xfffffffffffffff0 do not lie in one piece"))]
    #[case::nothing(&[Item::ForEver(0, 0)], Err("the range does not lie in the memory that one region gives"))]
    #[case::error(&[Item::Error], Err("the range passes the end of the guest's address space"))]
    #[case::odd(&[Item::Piece(1, 4)], Err("guest address 0xfffffffffffffff0 is not aligned to 0x4 bytes on the host"))]
    fn are_asked_for_one_piece_by_atomics(
        #[case] items: &[Item],
        #[case] expected: Result<(), &str>,
    ) {
        let memory = odd(items);
        let text = |error: E| error.to_string();
        let expected = expected.map_err(String::from);
        assert_eq!(memory.load::<u32>(ANYWHERE, SeqCst).map(drop).map_err(text), expected);
        assert_eq!(memory.store(1_u32, ANYWHERE, SeqCst).map_err(text), expected);
        let added = memory.fetch_add(1_u32, ANYWHERE, SeqCst);
        assert_eq!(added.map(drop).map_err(text), expected);
    }

    #[test]
    fn say_what_they_do_not_permit() {
        let read_only = Odd { permits: Permissions::Read, ..odd(&[Item::Piece(0, 8)]) };
        read_only.read_obj::<u64>(ANYWHERE).unwrap();
        assert_eq!(
            read_only.load::<u64>(ANYWHERE, SeqCst).unwrap(),
            read_only.read_obj::<u64>(ANYWHERE).unwrap()
        );
        let denied = |error: E, wanted| matches!(error, E::AccessDenied { addr: ANYWHERE, access } if access == wanted);
        let write = Permissions::Write;
        assert!(denied(read_only.write(&[0; 8], ANYWHERE).unwrap_err(), write));
        assert!(denied(read_only.write_whole(&[0; 8], ANYWHERE).unwrap_err(), write));
        assert!(denied(read_only.write_obj(0_u64, ANYWHERE).unwrap_err(), write));
        assert!(denied(read_only.store(0_u64, ANYWHERE, SeqCst).unwrap_err(), write));
        let source = &mut &[0_u8; 8][..];
        assert!(denied(read_only.read_volatile_from(ANYWHERE, source, 8).unwrap_err(), write));
        let added = read_only.fetch_add(1_u64, ANYWHERE, SeqCst);
        assert!(denied(added.unwrap_err(), Permissions::ReadWrite));

        let write_only = Odd { permits: Permissions::Write, ..odd(&[Item::Piece(0, 8)]) };
        write_only.write_obj(0_u64, ANYWHERE).unwrap();
        write_only.store(0_u64, ANYWHERE, SeqCst).unwrap();
        assert!(denied(write_only.read_obj::<u64>(ANYWHERE).unwrap_err(), Permissions::Read));
        let added = write_only.fetch_add(1_u64, ANYWHERE, SeqCst);
        assert!(denied(added.unwrap_err(), Permissions::ReadWrite));
        assert!(write_only.physical_memory().is_none());
    }

    #[test]
    fn are_not_asked_for_nothing() {
        let memory = Odd { permits: Permissions::No, ..odd(&[Item::Error]) };
        assert_eq!(memory.read(&mut [], ANYWHERE).unwrap(), 0);
        memory.write_slice(&[], ANYWHERE).unwrap();
        memory.write_whole(&[], ANYWHERE).unwrap();
        memory.read_obj::<[u8; 0]>(ANYWHERE).unwrap();
        memory.read_exact_volatile_from(ANYWHERE, &mut &[][..], 0).unwrap();
    }

    // Every map is a memory that permits everything.
    #[test]
    fn are_maps_too() {
        let map = map(&[(0x1000, 0x100)]);
        let (start, all) = (GuestAddress(0x1000), Permissions::ReadWrite);
        assert!(IoMemory::check_range(&map, start, 0x100, all));
        assert!(!IoMemory::check_range(&map, start, 0x101, all));
        assert_eq!(IoMemory::get_slices(&map, start, 0x101, all).unwrap().count(), 2);
        let first = IoMemory::get_slices(&map, start, 0x101, all).unwrap().stop_on_error().unwrap();
        assert_eq!(first.count(), 1);
        assert!(
            IoMemory::get_slices(&map, GuestAddress(0), 1, all).unwrap().stop_on_error().is_err()
        );
        assert!(std::ptr::eq(map.physical_memory().unwrap(), &map));
    }
}
