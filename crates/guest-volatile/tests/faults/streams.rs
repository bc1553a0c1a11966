//! Sources and sinks in memory, and files, beside a page that is out of reach.

use std::io::{Cursor, Read, Seek, SeekFrom, Write};

use guest_volatile::{Access, Error, ReadVolatile, ReadVolatileAt, WriteVolatile, WriteVolatileAt};

use crate::common::{Log, emulator};
use crate::memory::{BOTH, PAGE, Pages, Why, fault_of, memory_file};

const START: usize = PAGE - 100;

#[test]
fn a_source_in_memory_gives_what_there_is_room_for_and_then_the_fault() {
    for why in BOTH {
        let (pages, log) = (Pages::new(why), Log::default());
        let memory = log.watch(pages.slice());
        let all = [3_u8; 300];
        let mut source = &all[..];
        assert_eq!(memory.read_volatile_from(START, &mut source, 300).unwrap(), 100);
        assert_eq!(source.len(), 200, "the rest is still to be had");
        assert_eq!(log.take(), [(START, 300)]);
        let at = (PAGE, 0, Access::Write);
        assert_eq!(fault_of(memory.read_volatile_from(PAGE, &mut source, 300)), at);
        assert_eq!(log.take(), [(PAGE, 200)]);
        assert_eq!(source.len(), 200);
        let mut source = &all[..];
        let result = memory.read_exact_volatile_from(START, &mut source, 300);
        assert_eq!(fault_of(result), (PAGE, 100, Access::Write));
        assert_eq!(source.len(), 200);
        // From one page to the next, the second of which takes none.
        assert_eq!(log.take(), [(START, 300), (PAGE, 200)]);
        let mut cursor = Cursor::new(all);
        let result = memory.read_exact_volatile_from(START, &mut cursor, 300);
        assert_eq!(fault_of(result), (PAGE, 100, Access::Write));
        assert_eq!(cursor.position(), 100);
        let slice = memory.offset(START).unwrap();
        assert_eq!(all[..].read_volatile_at(&slice, 0).unwrap(), 100);
        let result = all[..].read_exact_volatile_at(&slice, 0);
        assert_eq!(fault_of(result), (100, 100, Access::Write));
    }
}

#[test]
fn a_sink_in_memory_takes_what_is_there_and_then_the_fault() {
    for why in BOTH {
        let pages = Pages::new(why);
        let memory = pages.slice();
        memory.write_slice(&[4; 100], START).unwrap();
        let mut sink = Vec::new();
        assert_eq!(memory.write_volatile_to(START, &mut sink, 300).unwrap(), 100);
        assert_eq!(sink, [4; 100]);
        let result = memory.write_all_volatile_to(START, &mut sink, 300);
        assert_eq!(fault_of(result), (PAGE, 100, Access::Read));
        assert_eq!(sink, [4; 200]);
        let mut room = [0_u8; 300];
        let mut sink = &mut room[..];
        let result = memory.write_all_volatile_to(START, &mut sink, 300);
        assert_eq!(fault_of(result), (PAGE, 100, Access::Read));
        assert_eq!(sink.len(), 200);
        assert_eq!(room[..101], [&[4; 100][..], &[0]].concat());
        let other = Pages::new(why);
        let (slice, disk) = (memory.offset(START).unwrap(), other.slice());
        assert_eq!(disk.write_volatile_at(&slice, 7).unwrap(), 100);
        let result = disk.write_all_volatile_at(&slice, 7);
        assert_eq!(fault_of(result), (100, 100, Access::Read));
        // The disk is memory that faults.
        let result = disk.write_all_volatile_at(&slice, PAGE as u64 - 50);
        assert_eq!(fault_of(result), (50, 50, Access::Write));
    }
}

#[test]
fn a_list_of_slices_is_counted_as_one_run() {
    for why in BOTH {
        let pages = Pages::new(why);
        let memory = pages.slice();
        let list = || [memory.subslice(0, 20).unwrap(), memory.subslice(START, 300).unwrap()];
        let result = (&[1_u8; 400][..]).read_exact_vectored_volatile(&mut list());
        assert_eq!(fault_of(result), (120, 120, Access::Write));
        let mut sink = Vec::new();
        assert_eq!(sink.write_vectored_volatile(&list()).unwrap(), 120);
        let result = Vec::new().write_all_vectored_volatile(&mut list());
        assert_eq!(fault_of(result), (120, 120, Access::Read));
    }
}

/// Files tell it by `EFAULT`, and by a short count before that.
#[cfg(feature = "rawfd")]
#[test]
fn the_kernel_says_the_same_of_its_own_copies() {
    for why in BOTH {
        if matches!(why, Why::Protected) && emulator().is_some() {
            println!(
                "skipped: an emulator looks at the protection of all that it hands to the kernel"
            );
            continue;
        }
        let (pages, log) = (Pages::new(why), Log::default());
        let memory = log.watch(pages.slice());
        let mut file = memory_file();
        file.write_all(&[5; 300]).unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        let result = memory.read_exact_volatile_from(START, &mut file, 300);
        assert_eq!(fault_of(result), (PAGE, 100, Access::Write));
        let marks = log.take();
        assert!(marks.contains(&(START, 100)), "{marks:?}");
        let slice = memory.offset(START).unwrap();
        assert_eq!(fault_of(file.read_exact_volatile_at(&slice, 0)), (100, 100, Access::Write));
        let lists = || [memory.subslice(0, 20).unwrap(), memory.subslice(START, 200).unwrap()];
        let result = file.read_exact_vectored_volatile_at(&mut lists(), 0);
        assert_eq!(fault_of(result), (120, 120, Access::Write));

        let mut target = memory_file();
        let result = memory.write_all_volatile_to(START, &mut target, 300);
        assert_eq!(fault_of(result), (PAGE, 100, Access::Read));
        let result = target.write_all_vectored_volatile_at(&mut lists(), 0);
        assert_eq!(fault_of(result), (120, 120, Access::Read));
        target.seek(SeekFrom::Start(20)).unwrap();
        let mut written = Vec::new();
        target.read_to_end(&mut written).unwrap();
        assert_eq!(written, [5; 100]);
        assert!(matches!(
            file.read_volatile_at(&memory.offset(PAGE).unwrap(), 0),
            Err(Error::Faulted { addr: 0, completed: 0, access: Access::Write })
        ));
    }
}
