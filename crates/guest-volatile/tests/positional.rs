//! Files and sockets read and written by lists and at places: one system call an operation, and exact marks.

mod common;

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};

use common::files::{TempFile, system_calls_of};
use common::{Log, Ram, bytes};
use guest_volatile::{
    BitmapSlice, Error, ReadVolatile, ReadVolatileAt, VolatileSlice, WriteVolatile, WriteVolatileAt,
};
use rstest::rstest;

/// Every second of `count` runs of `len` bytes, from the end of the memory to its start.
fn stripes<'a, B: BitmapSlice>(
    memory: &VolatileSlice<'a, B>,
    count: usize,
    len: usize,
) -> Vec<VolatileSlice<'a, B>> {
    (0..count)
        .map(|number| memory.subslice(2 * (count - 1 - number) * len, len).expect("inside"))
        .collect()
}

fn content<B: BitmapSlice>(list: &[VolatileSlice<'_, B>]) -> Vec<u8> {
    list.iter().flat_map(bytes).collect()
}

/// Bytes of which no two neighbours are alike.
fn pattern(len: usize) -> Vec<u8> {
    (1..=251_u8).cycle().take(len).collect()
}

/// Sees that `operation` makes as many system calls, if the system counts.
#[track_caller]
fn with_calls<T>(expected: (usize, usize), operation: impl FnOnce() -> T) -> T {
    let (result, calls) = system_calls_of(operation);
    match calls {
        Some(calls) => assert_eq!(calls, expected),
        None => println!("skipped: the system does not count its calls"),
    }
    result
}

// One call, of whatever is in one list: `IOV_MAX` is 1024.
#[rstest]
#[case::one(1)]
#[case::two(2)]
#[case::as_many_as_the_kernel_takes_fast(8)]
#[case::one_more(9)]
#[case::forty(40)]
#[case::as_many_as_a_call_takes(1024)]
fn a_list_is_one_system_call_each_way(#[case] count: usize) {
    let (mut from, mut to) = (pattern(2 * 7 * count), vec![0; 2 * 7 * count]);
    let (from, to) = (VolatileSlice::from(&mut from[..]), VolatileSlice::from(&mut to[..]));
    let (source, target) = (stripes(&from, count, 7), stripes(&to, count, 7));
    let temp = TempFile::new(&format!("stripes-{count}"), &[]);
    let file = temp.open_both();

    let moved = with_calls((0, 1), || file.write_vectored_volatile_at(&source, 3));
    assert_eq!(moved.expect("a file"), 7 * count);
    assert_eq!(temp.content()[..3], [0; 3]);
    assert!(temp.content()[3..] == content(&source));

    let moved = with_calls((1, 0), || file.read_vectored_volatile_at(&target, 3));
    assert_eq!(moved.expect("a file"), 7 * count);
    assert!(content(&target) == content(&source));
    // What lies between the stripes is as it was.
    let all = bytes(&to);
    assert!(all.chunks(7).skip(1).step_by(2).flatten().all(|&byte| byte == 0));

    // As streams.
    let mut stream = temp.open_both();
    let moved = with_calls((0, 1), || stream.write_vectored_volatile(&target));
    assert_eq!(moved.expect("a file"), 7 * count);
    stream.rewind().expect("a file");
    let moved = with_calls((1, 0), || stream.read_vectored_volatile(&source));
    assert_eq!(moved.expect("a file"), 7 * count);
    assert!(content(&target) == content(&source));
    assert_eq!(stream.stream_position().expect("a file"), 7 * count as u64);
}

// More than a call takes: the first 1024 once, all by going on.
#[test]
fn a_longer_list_is_a_short_transfer() {
    let (mut from, mut to) = (pattern(2 * 3 * 2500), vec![0; 2 * 3 * 2500]);
    let (from, to) = (VolatileSlice::from(&mut from[..]), VolatileSlice::from(&mut to[..]));
    let (mut source, mut target) = (stripes(&from, 2500, 3), stripes(&to, 2500, 3));
    let expected = content(&source);
    let temp = TempFile::new("2500", &[]);
    let file = temp.open_both();
    assert_eq!(file.write_vectored_volatile_at(&source, 0).expect("a file"), 3 * 1024);
    let all = with_calls((0, 3), || file.write_all_vectored_volatile_at(&mut source, 0));
    all.expect("a file");
    assert!(temp.content() == expected);
    let all = with_calls((3, 0), || file.read_exact_vectored_volatile_at(&mut target.clone(), 0));
    all.expect("a file");
    assert!(content(&target) == expected);
    // What may not be written is seen before anything is, also behind the 1024th.
    target[2000] = target[2000].read_only();
    to.write_slice(&vec![0; 2 * 3 * 2500], 0).expect("its length");
    let result = with_calls((0, 0), || file.read_vectored_volatile_at(&target, 0));
    assert!(matches!(result, Err(Error::NotWritable)));
}

#[test]
fn a_place_in_a_file_is_read_and_written_by_one_call() {
    let (mut ram, log) = (Ram::<64>::counting(), Log::default());
    let memory = log.watch(ram.slice());
    let part = memory.subslice(8, 32).expect("inside");
    let temp = TempFile::new("place", &pattern(100));
    let mut file = temp.open_both();
    assert_eq!(with_calls((1, 0), || file.read_volatile_at(&part, 50)).expect("a file"), 32);
    assert_eq!(bytes(&part), pattern(100)[50..82]);
    assert_eq!(log.take(), [(8, 32)]);
    let (low, _) = memory.split_at(8).expect("inside");
    assert_eq!(with_calls((0, 1), || file.write_volatile_at(&low, 96)).expect("a file"), 8);
    assert_eq!(temp.content()[..96], pattern(96));
    assert_eq!(temp.content()[96..], [1, 2, 3, 4, 5, 6, 7, 8]);
    // Nothing of this moves the file's position, or marks what was only read.
    assert_eq!(file.stream_position().expect("a file"), 0);
    assert_eq!(log.take(), []);
}

// SEMANTICS 10, 20: the end of the file falls into a slice, on a border, or before it all.
#[rstest]
#[case::in_the_second_slice(90, 10, &[(0, 6), (20, 4)])]
#[case::on_a_border(78, 22, &[(0, 6), (20, 16)])]
#[case::in_the_first(95, 5, &[(0, 5)])]
#[case::at_once(100, 0, &[])]
#[case::far_past_it(1 << 40, 0, &[])]
fn the_end_of_a_file_is_a_short_read(
    #[case] offset: u64,
    #[case] moved: usize,
    #[case] marks: &[(usize, usize)],
) {
    let (mut ram, log) = (Ram::<64>::counting(), Log::default());
    let before = ram.0;
    let memory = log.watch(ram.slice());
    let list =
        [(0, 6), (20, 16), (40, 4)].map(|(at, len)| memory.subslice(at, len).expect("inside"));
    let file = TempFile::new(&format!("end-{offset}"), &pattern(100)).open();
    assert_eq!(file.read_vectored_volatile_at(&list, offset).expect("a file"), moved);
    assert_eq!(log.take(), marks);
    assert_eq!(content(&list)[..moved], pattern(100)[100 - moved..]);
    let result = file.read_exact_vectored_volatile_at(&mut list.clone(), offset);
    assert!(
        matches!(result, Err(Error::PartialBuffer { expected: 26, completed }) if completed == moved)
    );
    assert_eq!(log.take(), marks);
    // What lies between the slices is as it was.
    assert_eq!(bytes(&memory)[6..20], before[6..20]);
    assert_eq!(bytes(&memory)[36..40], before[36..40]);
}

// A datagram is one read(2): a second call would take the next one, or wait for it.
#[test]
fn a_datagram_fills_a_list_by_one_call() {
    let (mut ram, log) = (Ram::<64>::zeroed(), Log::default());
    let memory = log.watch(ram.slice());
    let list =
        [(0, 8), (20, 8), (40, 8)].map(|(at, len)| memory.subslice(at, len).expect("inside"));
    let (sender, receiver) = UnixDatagram::pair().expect("a pair of sockets");
    receiver.set_nonblocking(true).expect("a socket");
    let mut receiver = OwnedFd::from(receiver);
    for count in [1, 8, 10, 16, 24] {
        sender.send(&pattern(count)).expect("room in the socket");
        sender.send(&[99; 24]).expect("room in the socket");
        assert_eq!(receiver.read_vectored_volatile(&list).expect("a datagram"), count);
        assert_eq!(content(&list)[..count], pattern(count));
        assert_eq!(log.take().iter().map(|(_, len)| len).sum::<usize>(), count);
        assert_eq!(receiver.read_vectored_volatile(&list).expect("the next"), 24);
        assert_eq!(content(&list), [99; 24]);
        log.take();
    }
    // And one writev(2) is one datagram.
    receiver.write_vectored_volatile(&list).expect("room in the socket");
    let mut got = [0; 64];
    assert_eq!(sender.recv(&mut got).expect("it was sent"), 24);
}

// SEMANTICS 9, 10: 10 bytes and then 22.
#[test]
fn a_socket_that_gives_10_and_then_22_bytes_fills_a_list_without_a_hole() {
    let (mut ram, log) = (Ram::<64>::zeroed(), Log::default());
    let memory = log.watch(ram.slice());
    let mut list =
        [(4, 8), (20, 12), (40, 12)].map(|(at, len)| memory.subslice(at, len).expect("inside"));
    let (sender, receiver) = UnixDatagram::pair().expect("a pair of sockets");
    let mut receiver = OwnedFd::from(receiver);
    sender.send(&pattern(32)[..10]).expect("room in the socket");
    sender.send(&pattern(32)[10..]).expect("room in the socket");
    let all = list;
    receiver.read_exact_vectored_volatile(&mut list).expect("32 bytes");
    assert_eq!(content(&all), pattern(32));
    assert_eq!(log.take(), [(4, 8), (20, 2), (22, 10), (40, 12)]);
}

/// What cannot be read, or not at a place.
enum Unreadable {
    /// `EISDIR`.
    Directory,
    /// `EBADF`.
    WriteOnly,
    /// `ESPIPE`.
    Socket,
}

// SEMANTICS 20: what a failed call wrote is not known, so all of its target is marked, and only that.
#[rstest]
#[case::directory(&Unreadable::Directory, libc::EISDIR)]
#[case::write_only(&Unreadable::WriteOnly, libc::EBADF)]
#[case::socket(&Unreadable::Socket, libc::ESPIPE)]
fn a_failed_read_at_a_place_marks_its_whole_target(#[case] what: &Unreadable, #[case] number: i32) {
    let temp = TempFile::new(&format!("unreadable-{number}"), &pattern(100));
    let fd: OwnedFd = match what {
        Unreadable::Directory => File::open(env!("CARGO_TARGET_TMPDIR")).expect("made").into(),
        Unreadable::WriteOnly => File::options().write(true).open(&temp.0).expect("made").into(),
        Unreadable::Socket => UnixStream::pair().expect("a pair of sockets").0.into(),
    };
    let (mut ram, log) = (Ram::<64>::counting(), Log::default());
    let before = ram.0;
    let memory = log.watch(ram.slice());
    let mut list =
        [(4, 8), (20, 0), (40, 12)].map(|(at, len)| memory.subslice(at, len).expect("inside"));
    let failed = |result: Result<usize, Error>| match result {
        Err(Error::IOError(error)) => assert_eq!(error.raw_os_error(), Some(number)),
        other => panic!("{other:?}"),
    };
    failed(fd.read_vectored_volatile_at(&list, 0));
    assert_eq!(log.take(), [(4, 8), (40, 12)]);
    failed(fd.read_volatile_at(&list[2], 0));
    assert_eq!(log.take(), [(40, 12)]);
    failed(fd.read_exact_vectored_volatile_at(&mut list, 0).map(|()| 20));
    assert_eq!(log.take(), [(4, 8), (40, 12)]);
    assert_eq!(bytes(&memory), before);
}

// SEMANTICS 20: a failed write has changed nothing in the memory.
#[test]
fn a_failed_write_at_a_place_marks_nothing() {
    let (mut ram, log) = (Ram::<64>::counting(), Log::default());
    let memory = log.watch(ram.slice());
    let (low, high) = memory.split_at(20).expect("inside");
    let file = TempFile::new("not-to-be-written", &[1; 64]).open();
    file.write_volatile_at(&low, 0).expect_err("read-only");
    file.write_vectored_volatile_at(&[low, high], 0).expect_err("read-only");
    let mut full = File::options().write(true).open("/dev/full").expect("a device");
    let result = full.write_all_vectored_volatile(&mut [low, high]);
    assert!(matches!(result, Err(Error::IOError(error)) if error.kind() == ErrorKind::StorageFull));
    assert_eq!(log.take(), []);
}

// Before anything happens: neither the memory nor the file has moved.
#[test]
fn a_list_with_read_only_memory_is_no_target() {
    let (mut ram, log) = (Ram::<64>::counting(), Log::default());
    let before = ram.0;
    let memory = log.watch(ram.slice());
    let (low, high) = memory.split_at(20).expect("inside");
    let temp = TempFile::new("for-read-only", &pattern(100));
    let mut file = temp.open();
    for list in [[low, high.read_only()], [low.read_only(), high]] {
        let refused = |result| matches!(result, Err(Error::NotWritable));
        assert!(refused(with_calls((0, 0), || file.read_vectored_volatile_at(&list, 0))));
        assert!(refused(with_calls((0, 0), || file.read_vectored_volatile(&list))));
        assert!(refused(file.read_volatile_at(&high.read_only(), 0)));
    }
    assert_eq!((bytes(&memory), log.take()), (before.to_vec(), vec![]));
    assert_eq!(file.stream_position().expect("a file"), 0);
    // It is a source, and without bytes it is no hindrance.
    let nothing = high.subslice(0, 0).expect("inside").read_only();
    assert_eq!(file.read_vectored_volatile_at(&[nothing, low, nothing], 1).expect("a file"), 20);
    let file = temp.open_both();
    assert_eq!(file.write_vectored_volatile_at(&[low.read_only(), high], 0).expect("a file"), 64);
}

#[rstest]
#[case(i64::MAX as u64 + 1)]
#[case(u64::MAX)]
fn a_place_past_every_file_is_an_error(#[case] offset: u64) {
    let (mut ram, log) = (Ram::<64>::counting(), Log::default());
    let memory = log.watch(ram.slice());
    let (low, high) = memory.split_at(20).expect("inside");
    let file = TempFile::new(&format!("too-far-{offset}"), &pattern(100)).open_both();
    let refused = |result| matches!(result, Err(Error::InvalidFileOffset));
    assert!(refused(file.read_volatile_at(&low, offset)));
    assert!(refused(file.write_volatile_at(&low, offset)));
    assert!(refused(file.read_vectored_volatile_at(&[low, high], offset)));
    assert!(refused(file.write_vectored_volatile_at(&[low, high], offset)));
    assert!(refused(file.read_exact_volatile_at(&low, offset).map(|()| 0)));
    assert_eq!(log.take(), []);
    // The last place there is, with bytes past it: the system says no, in its words.
    assert!(matches!(file.write_volatile_at(&low, i64::MAX as u64), Err(Error::IOError(_))));
}

// SEMANTICS 6: not even a descriptor that cannot be read is asked.
#[test]
fn nothing_is_moved_without_a_call() {
    let mut ram = Ram::<64>::counting();
    let nothing = ram.slice().subslice(8, 0).expect("inside");
    let mut directory = File::open(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    with_calls((0, 0), || {
        for offset in [0, u64::MAX] {
            assert_eq!(directory.read_volatile_at(&nothing, offset).expect("nothing"), 0);
            assert_eq!(directory.write_volatile_at(&nothing, offset).expect("nothing"), 0);
            for list in [&[nothing; 9][..], &[nothing; 2], &[]] {
                assert_eq!(directory.read_vectored_volatile_at(list, offset).expect("nothing"), 0);
                assert_eq!(directory.write_vectored_volatile_at(list, offset).expect("nothing"), 0);
            }
        }
        assert_eq!(directory.read_vectored_volatile(&[nothing; 2]).expect("nothing"), 0);
        assert_eq!(directory.write_vectored_volatile(&[nothing; 2]).expect("nothing"), 0);
    });
}

#[test]
fn every_kind_of_descriptor_moves_lists() {
    /// Sends the memory's bytes through `sink` and gets them back by `source`.
    fn there_and_back(mut sink: impl WriteVolatile, mut source: impl ReadVolatile) {
        assert!(sink.is_write_vectored() && source.is_read_vectored());
        let (mut from, mut to) = (Ram::<64>::counting(), Ram::<64>::zeroed());
        let (low, high) = from.slice().split_at(20).expect("inside");
        assert_eq!(sink.write_vectored_volatile(&[low, high]).expect("a sink"), 64);
        let (low, high) = to.slice().split_at(50).expect("inside");
        source.read_exact_vectored_volatile(&mut [low, high]).expect("a source");
        assert_eq!(to.0, from.0);
    }

    /// The same at a place.
    fn at_a_place(file: &(impl ReadVolatileAt + WriteVolatileAt)) {
        let (mut from, mut to) = (Ram::<64>::counting(), Ram::<64>::zeroed());
        let (low, high) = from.slice().split_at(20).expect("inside");
        file.write_all_vectored_volatile_at(&mut [low, high], 7).expect("a file");
        file.read_exact_volatile_at(&to.slice(), 7).expect("a file");
        assert_eq!(to.0, from.0);
    }

    let temp = TempFile::new("kinds-of-lists", &[]);
    let file = temp.open_both();
    there_and_back(&file, temp.open());
    at_a_place(&file);
    at_a_place(&&file);
    at_a_place(&file.as_fd());
    at_a_place(&OwnedFd::from(file));
    let (left, right) = UnixStream::pair().expect("a pair of sockets");
    there_and_back(&left, &right);
    there_and_back(left.as_fd(), OwnedFd::from(right));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let left = TcpStream::connect(listener.local_addr().expect("bound")).expect("listening");
    there_and_back(left, listener.accept().expect("connected").0);
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let mut ram = Ram::<64>::counting();
    let (low, high) = ram.slice().split_at(9).expect("inside");
    OwnedFd::from(writer).write_all_vectored_volatile(&mut [low, high]).expect("a pipe");
    let mut got = Vec::new();
    reader.read_to_end(&mut got).expect("a pipe");
    assert_eq!(got, ram.0);
}

// The bytes go to the descriptor when the call is made.
#[test]
fn a_written_list_is_there_when_the_call_returns() {
    let mut ram = Ram::<16>::counting();
    let (low, high) = ram.slice().split_at(5).expect("inside");
    let (mut left, mut right) = UnixStream::pair().expect("a pair of sockets");
    left.write_vectored_volatile(&[high, low]).expect("a socket");
    let mut got = [0; 16];
    right.read_exact(&mut got).expect("it was sent");
    assert_eq!(got, [6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 1, 2, 3, 4, 5]);
    right.write_all(&got).expect("room in the socket");
    left.read_exact_vectored_volatile(&mut [low, high]).expect("it was sent");
    assert_eq!(ram.0, got);
}
