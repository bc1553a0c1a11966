//! Memory for tests does what its probe says, shows what was done, and finds what a device fetches twice.

#![expect(clippy::unwrap_used, reason = "what a test cannot make fails the test")]

use std::sync::atomic::Ordering::SeqCst;

use guest_memory::{
    Bytes, GuestAddress, GuestMemory, GuestMemoryError, GuestMemoryRegion, WholeBytes,
};
use guest_testing::{
    Access, DoubleFetchFinder, Effect, Probe, ScriptedSink, ScriptedSource, Step, TestMemory,
};
use guest_volatile::Bitmap;
use rstest::rstest;

const START: GuestAddress = GuestAddress(0x1000);
const NEXT: GuestAddress = GuestAddress(0x1100);

/// Two regions of 0x100 bytes that are neighbours.
fn memory() -> (Probe, TestMemory) {
    let probe = Probe::new();
    let memory = probe.memory(&[(START, 0x100), (NEXT, 0x100)]).unwrap();
    (probe, memory)
}

fn at(offset: u64) -> GuestAddress {
    GuestAddress(START.0 + offset)
}

fn places(trace: &[Access]) -> Vec<(u64, usize)> {
    trace.iter().map(|access| (access.addr.0, access.asked)).collect()
}

#[test]
fn each_access_is_in_the_trace_once_where_it_is() {
    let (probe, memory) = memory();
    memory.read_obj::<u32>(at(0x10)).unwrap();
    memory.load::<u16>(at(0x20), SeqCst).unwrap();
    memory.read(&mut [0; 3], at(0x31)).unwrap();
    memory.get_slice(at(0x40), 8).unwrap();
    memory.write_volatile_to(at(0x50), &mut Vec::new(), 5).unwrap();
    // In two regions, so two slices.
    memory.read_slice(&mut [0; 0x10], at(0xf8)).unwrap();
    let expected =
        [(0x1010, 4), (0x1020, 2), (0x1031, 3), (0x1040, 8), (0x1050, 5), (0x10f8, 8), (0x1100, 8)];
    let trace = probe.trace();
    assert_eq!(places(&trace), expected);
    assert!(trace.iter().all(|access| access.written.is_empty() && access.given.is_some()));
    // What has no memory is no access, nor is a question.
    assert!(memory.read_obj::<u8>(at(0x200)).is_err());
    assert!(memory.check_range(START, 0x200));
    assert_eq!(probe.trace(), trace);
}

#[test]
fn writes_are_in_the_trace_as_far_as_they_went() {
    let (probe, memory) = memory();
    memory.write_obj(1_u32, at(0x10)).unwrap();
    memory.fetch_add(1_u32, at(0x10), SeqCst).unwrap();
    memory.compare_exchange(7_u32, 8, at(0x10), SeqCst, SeqCst).unwrap().unwrap_err();
    let mut source = ScriptedSource::new([1; 3], [Step::Interrupt]);
    assert_eq!(memory.read_volatile_from(at(0x20), &mut source, 8).unwrap(), 3);
    memory.write_whole(&[1; 4], at(0xfe)).unwrap();
    let written: Vec<_> = probe.trace().into_iter().map(|access| access.written).collect();
    let one = |offset, len| vec![(at(offset), len)];
    assert_eq!(
        written,
        [one(0x10, 4), one(0x10, 4), vec![], one(0x20, 3), one(0xfe, 2), one(0x100, 2)]
    );
    // The bitmap of the region says the same.
    let bitmap = memory.find_region(START).unwrap().bitmap();
    let dirty: Vec<_> = (0..0x100).filter(|&offset| bitmap.dirty_at(offset)).collect();
    assert_eq!(dirty, [0x10, 0x11, 0x12, 0x13, 0x20, 0x21, 0x22, 0xfe, 0xff]);
    assert_eq!(bitmap.dirty_bytes(0, 0x200), Some(9));
}

#[test]
fn a_slice_of_before_a_restart_has_no_place_in_the_new_trace() {
    let (probe, memory) = memory();
    let slice = memory.get_slice(at(0), 8).unwrap();
    probe.restart();
    memory.get_slice(at(0x20), 8).unwrap();
    slice.write_obj(1_u8, 0).unwrap();
    let trace = probe.trace();
    assert_eq!((trace.len(), trace[0].written.len()), (1, 0));
}

#[test]
fn an_access_fails_at_its_number_and_no_other() {
    let (probe, memory) = memory();
    probe.fail_at(1);
    memory.write_obj(1_u8, at(0)).unwrap();
    let failed = memory.write_obj(2_u8, at(0));
    assert!(matches!(failed, Err(GuestMemoryError::HostAddressNotAvailable)));
    assert_eq!(memory.read_obj::<u8>(at(0)).unwrap(), 1);
    assert_eq!(probe.trace()[1].given, None);
    // In the second region: what lies in the first is moved, and counted.
    probe.restart();
    probe.fail_at(1);
    let failed = memory.write_slice(&[3; 8], at(0xfc));
    assert!(matches!(failed, Err(GuestMemoryError::PartialBuffer { expected: 8, completed: 4 })));
}

#[test]
fn short_slices_move_all_and_are_no_place_for_an_integer() {
    let (probe, memory) = memory();
    probe.short_slices(3);
    memory.write_slice(&[1, 2, 3, 4, 5, 6, 7, 8], at(0)).unwrap();
    assert_eq!(
        probe.trace().iter().map(|access| access.given).collect::<Vec<_>>(),
        [Some(3), Some(3), Some(2)]
    );
    assert_eq!(memory.read_obj::<[u8; 8]>(at(0)).unwrap(), [1, 2, 3, 4, 5, 6, 7, 8]);
    let load = memory.load::<u32>(at(0), SeqCst);
    assert!(matches!(load, Err(GuestMemoryError::NotContiguous { .. })));
    probe.short_slices(0);
    assert_eq!(memory.load::<u8>(at(0), SeqCst).unwrap(), 1);
}

#[test]
fn bytes_flip_before_the_access_that_was_named_and_stay() {
    let (probe, memory) = memory();
    memory.write_slice(&[0x10; 8], at(0)).unwrap();
    probe.restart();
    probe.flip(at(2), 2, 0x0f, 1);
    memory.read_obj::<u64>(at(8)).unwrap(); // elsewhere
    assert_eq!(memory.read_obj::<[u8; 3]>(at(0)).unwrap(), [0x10; 3]);
    memory.read_obj::<u16>(at(0)).unwrap(); // not it
    assert_eq!(memory.read_obj::<[u8; 4]>(at(1)).unwrap(), [0x10, 0x1f, 0x1f, 0x10]);
    assert_eq!(memory.read_obj::<[u8; 4]>(at(1)).unwrap(), [0x10, 0x1f, 0x1f, 0x10]);
    // The guest did it: nobody has marked it.
    assert!(memory.find_region(START).unwrap().bitmap().dirty_at(2)); // by the write
    let (probe, memory) = self::memory();
    probe.flip(at(2), 1, 0xff, 0);
    assert_eq!(memory.read_obj::<u8>(at(2)).unwrap(), 0xff);
    assert!(!memory.find_region(START).unwrap().bitmap().dirty_at(2));
}

#[test]
fn memory_that_was_given_back_is_zero_again() {
    for _ in 0..3 {
        let (_, memory) = memory();
        assert_eq!(memory.read_obj::<u64>(at(0)).unwrap(), 0);
        memory.write_obj(u64::MAX, at(0)).unwrap();
        let host = memory.get_host_address(at(0)).unwrap();
        assert!((host as usize).is_multiple_of(0x1000));
    }
}

/// Copies a request to where it says, if that is below 0x80: its length is at 0, its target at 4, its bytes are from 8 on.
fn device(memory: &TestMemory, twice: Twice) -> Result<u32, GuestMemoryError> {
    let header: [u32; 2] = memory.read_obj(at(0))?;
    let [mut len, mut target] = header;
    if len > 0x20 || target >= 0x80 {
        return Ok(0);
    }
    match twice {
        Twice::Nothing => {}
        Twice::Length => len = memory.read_obj(at(0))?,
        Twice::Target => target = memory.read_obj(at(4))?,
        Twice::Unused => drop(memory.read_obj::<u32>(at(4))?),
        Twice::Panics => {
            let again: u32 = memory.read_obj(at(0))?;
            assert!(again <= 0x20, "it was checked");
        }
    }
    let mut bytes = vec![0; len as usize % 0x80];
    memory.read_slice(&mut bytes, at(8))?;
    if twice == Twice::Target {
        memory.write_slice(&[0; 1], at(u64::from(target % 0x100)))?;
    } else {
        memory.write_slice(&bytes, at(u64::from(target) + 0x80))?;
    }
    Ok(len)
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Twice {
    Nothing,
    Length,
    Target,
    Unused,
    Panics,
}

fn request(memory: &TestMemory) {
    memory.write_obj([8_u32, 0x40], at(0)).unwrap();
    memory.write_slice(b"payload!", at(8)).unwrap();
}

#[rstest]
#[case(Twice::Length, 0)]
#[case(Twice::Target, 4)]
#[case(Twice::Unused, 4)]
#[case(Twice::Panics, 0)]
fn what_is_fetched_twice_is_found_with_its_effect(#[case] twice: Twice, #[case] place: u64) {
    let finder = DoubleFetchFinder::new(&[(START, 0x200)]).unwrap();
    let findings = finder.find(request, |memory| device(memory, twice).ok());
    println!("{findings}");
    let [found] = findings.all() else { panic!("there is one: {findings}") };
    assert_eq!((found.addr, found.len), (at(place), 4));
    assert_eq!((found.first.0, found.first.1.asked), (0, 8));
    assert_eq!((found.second.0, found.second.1.asked), (1, 4));
    match (twice, &found.effect) {
        (Twice::Length, Effect::Answer { unchanged, .. }) => assert_eq!(unchanged, "Some(8)"),
        (Twice::Target, Effect::Trace) | (Twice::Unused, Effect::Nothing) => {}
        (Twice::Panics, Effect::Panic(message)) => assert!(message.contains("it was checked")),
        (_, effect) => panic!("{effect:?}"),
    }
    // What may be fetched twice, may.
    finder.allow(at(place), 4).find(request, |memory| device(memory, twice).ok()).assert_none();
}

#[test]
fn a_device_that_fetches_once_is_clean() {
    let finder = DoubleFetchFinder::new(&[(START, 0x200)]).unwrap();
    let findings = finder.find(request, |memory| device(memory, Twice::Nothing).unwrap());
    findings.assert_none();
    assert_eq!(findings.to_string(), "nothing was fetched twice");
}

#[test]
fn bytes_that_were_written_otherwise_are_an_effect() {
    let finder = DoubleFetchFinder::new(&[(START, 0x200)]).unwrap();
    let findings = finder.find(request, |memory| {
        let first: u8 = memory.read_obj(at(8)).unwrap();
        let second: u8 = memory.read_obj(at(8)).unwrap();
        memory.write_obj(second, at(0x100)).unwrap();
        first
    });
    assert!(matches!(findings.all(), [found] if found.effect == Effect::Memory), "{findings}");
}

#[test]
fn a_read_of_what_the_device_wrote_is_no_second_fetch() {
    let finder = DoubleFetchFinder::new(&[(START, 0x200)]).unwrap();
    let device = |memory: &TestMemory| {
        memory.write_obj(1_u8, at(0)).unwrap();
        memory.read_obj::<u8>(at(0)).unwrap();
    };
    finder.find(|_| {}, device).assert_none();
}

#[test]
#[should_panic(expected = "were fetched twice: by access 0")]
fn findings_are_told_by_a_panic() {
    let finder = DoubleFetchFinder::new(&[(START, 0x200)]).unwrap();
    finder.find(request, |memory| device(memory, Twice::Length).ok()).assert_none();
}

#[test]
fn a_device_that_panics_undisturbed_does() {
    let finder = DoubleFetchFinder::new(&[(START, 0x200)]).unwrap();
    let result = std::panic::catch_unwind(|| finder.find(|_| {}, |_| panic!("by itself")));
    assert_eq!(result.unwrap_err().downcast_ref::<String>().unwrap(), "by itself");
}

#[test]
fn streams_follow_their_script_to_the_end_and_then_do_all() {
    let (_, memory) = memory();
    let script = [Step::Move(2), Step::End, Step::FailAfter(1, std::io::ErrorKind::TimedOut)];
    let mut source = ScriptedSource::new(*b"abcdef", script);
    assert_eq!(memory.read_volatile_from(at(0), &mut source, 6).unwrap(), 2);
    assert_eq!(memory.read_volatile_from(at(2), &mut source, 4).unwrap(), 0);
    assert_eq!(memory.read_volatile_from(at(2), &mut source, 4).unwrap(), 1);
    assert_eq!(memory.read_volatile_from(at(3), &mut source, 9).unwrap(), 3);
    assert_eq!(memory.read_volatile_from(at(6), &mut source, 9).unwrap(), 0);
    assert_eq!(source.calls(), [6, 4, 4, 9, 9]);
    let mut sink = ScriptedSink::new([Step::Fail(std::io::ErrorKind::BrokenPipe)]);
    let failed = memory.write_volatile_to(at(0), &mut sink, 6);
    assert!(matches!(failed, Err(GuestMemoryError::IOError(_))));
    memory.write_all_volatile_to(at(0), &mut sink, 6).unwrap();
    assert_eq!(sink.taken(), b"abcdef");
}
