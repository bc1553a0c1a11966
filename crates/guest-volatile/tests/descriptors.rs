//! Files and sockets: one system call a transfer, straight to and from the memory.

mod common;

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};

use common::files::TempFile;
use common::{Log, Ram, bytes};
use guest_volatile::{Error, ReadVolatile, VolatileSlice, WriteVolatile};
use rstest::rstest;

/// A pair of sockets where one `read(2)` gives what one `write(2)` gave, and no more.
fn datagrams() -> (UnixDatagram, OwnedFd) {
    let (sender, receiver) = UnixDatagram::pair().expect("a pair of sockets");
    (sender, receiver.into())
}

// SEMANTICS 9, 10, 20: 10 bytes and then 22.
#[test]
fn a_socket_that_gives_10_and_then_22_bytes_is_read_without_a_hole() {
    let (mut ram, log) = (Ram::<64>::zeroed(), Log::default());
    let memory = log.watch(ram.slice());
    let data: Vec<u8> = (1..=32).collect();
    let (sender, mut receiver) = datagrams();

    sender.send(&data[..10]).expect("room in the socket");
    sender.send(&data[10..]).expect("room in the socket");
    memory.read_exact_volatile_from(8, &mut receiver, 32).expect("all 32 bytes");
    assert_eq!(bytes(&memory)[8..40], data);
    assert_eq!(
        (bytes(&memory)[..8].to_vec(), bytes(&memory)[40..].to_vec()),
        (vec![0; 8], vec![0; 24])
    );
    assert_eq!(log.take(), [(8, 10), (18, 22)]);

    sender.send(&data[..10]).expect("room in the socket");
    sender.send(&data[10..]).expect("room in the socket");
    assert_eq!(memory.read_volatile_from(8, &mut receiver, 32).expect("10 bytes"), 10);
    assert_eq!(memory.read_volatile_from(18, &mut receiver, 22).expect("22 bytes"), 22);
    assert_eq!(bytes(&memory)[8..40], data);
    assert_eq!(log.take(), [(8, 10), (18, 22)]);
}

// SEMANTICS 10.
#[test]
fn a_stream_that_ends_early_tells_how_far_it_came() {
    let (mut ram, log) = (Ram::<64>::zeroed(), Log::default());
    let memory = log.watch(ram.slice());
    let (mut sender, mut receiver) = UnixStream::pair().expect("a pair of sockets");
    sender.write_all(&[7; 10]).expect("room in the socket");
    drop(sender);
    let error = memory.read_exact_volatile_from(8, &mut receiver, 32).expect_err("10 of 32");
    assert!(matches!(error, Error::PartialBuffer { expected: 32, completed: 10 }));
    assert_eq!(bytes(&memory)[8..20], [7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 0, 0]);
    assert_eq!(log.take(), [(8, 10)]);
}

// SEMANTICS 13.
#[test]
fn a_mebibyte_is_one_call_each_way() {
    const SIZE: usize = 1 << 20;
    let data: Vec<u8> = (0..SIZE).map(|index| (index % 251) as u8).collect();
    let file = TempFile::new("mebibyte", &data);
    let mut ram = vec![0; SIZE];
    let memory = VolatileSlice::from(&mut ram[..]);
    assert_eq!(memory.read_volatile_from(0, &mut file.open(), SIZE).expect("a file"), SIZE);
    assert!(bytes(&memory) == data);

    let copy = TempFile::new("mebibyte-copy", &[]);
    let mut sink = File::create(&copy.0).expect("it was just made");
    assert_eq!(memory.write_volatile_to(0, &mut sink, SIZE).expect("a file"), SIZE);
    assert!(std::fs::read(&copy.0).expect("it was just written") == data);
}

/// Descriptors that cannot be read, and why.
#[derive(Clone, Copy)]
enum Unreadable {
    /// `EBADF`.
    WriteOnly,
    /// `EISDIR`.
    Directory,
}

impl Unreadable {
    fn open(self, file: &TempFile) -> OwnedFd {
        match self {
            Self::WriteOnly => File::options().write(true).open(&file.0).expect("made").into(),
            Self::Directory => File::open(env!("CARGO_TARGET_TMPDIR")).expect("a directory").into(),
        }
    }
}

// SEMANTICS 20: what a failed call wrote is not known, so all of its target is marked.
#[rstest]
#[case::write_only("write-only", Unreadable::WriteOnly)]
#[case::directory("directory", Unreadable::Directory)]
fn a_failed_read_marks_its_whole_target(#[case] name: &str, #[case] unreadable: Unreadable) {
    let (mut ram, log) = (Ram::<64>::counting(), Log::default());
    let before = ram.0;
    let memory = log.watch(ram.slice());
    let mut fd = unreadable.open(&TempFile::new(name, &[1; 64]));

    let error = memory.read_volatile_from(8, &mut fd, 32).expect_err("not to be read");
    assert!(matches!(error, Error::IOError(_)), "{error:?}");
    assert_eq!(log.take(), [(8, 32)]);
    let error = memory.read_exact_volatile_from(40, &mut fd, 20).expect_err("not to be read");
    assert!(matches!(error, Error::IOError(_)), "{error:?}");
    assert_eq!(log.take(), [(40, 20)]);
    // Over the end, as much as there is.
    memory.read_volatile_from(60, &mut fd, 32).expect_err("not to be read");
    assert_eq!(log.take(), [(60, 4)]);
    assert_eq!(bytes(&memory), before);
}

// POSIX: EAGAIN says that nothing was there to be read. Who polls a device must not dirty all of its buffer each time.
#[test]
fn a_read_that_has_nothing_yet_marks_nothing() {
    let (mut ram, log) = (Ram::<64>::counting(), Log::default());
    let memory = log.watch(ram.slice());
    let (mut sender, mut receiver) = UnixStream::pair().expect("a pair of sockets");
    receiver.set_nonblocking(true).expect("a socket");
    let error = memory.read_volatile_from(8, &mut receiver, 32).expect_err("nothing there");
    assert!(matches!(error, Error::IOError(error) if error.kind() == ErrorKind::WouldBlock));
    let (low, high) = memory.split_at(20).expect("20 of 64 bytes");
    let error = receiver.read_vectored_volatile(&[low, high]).expect_err("nothing there");
    assert!(matches!(error, Error::IOError(error) if error.kind() == ErrorKind::WouldBlock));
    assert_eq!(log.take(), []);

    sender.write_all(&[7; 10]).expect("room in the socket");
    match memory.read_exact_volatile_from(8, &mut receiver, 32) {
        Err(Error::IOErrorAfter { completed: 10, error }) => {
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(log.take(), [(8, 10)]);
}

// SEMANTICS 11, 20: what came before the failure is counted, and what failed is marked.
#[test]
fn a_read_that_fails_after_progress_keeps_the_count() {
    let (mut ram, log) = (Ram::<64>::zeroed(), Log::default());
    let memory = log.watch(ram.slice());
    let (mut sender, mut receiver) = UnixStream::pair().expect("a pair of sockets");
    sender.write_all(&[7; 10]).expect("room in the socket");
    // The sender goes without having read this: that is a reset, after what it has sent.
    receiver.write_all(&[0]).expect("room in the socket");
    drop(sender);
    match memory.read_exact_volatile_from(8, &mut receiver, 32) {
        Err(Error::IOErrorAfter { completed: 10, error }) => {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(log.take(), [(8, 10), (18, 22)]);
}

// SEMANTICS 20: a failed write has changed nothing in the memory.
#[test]
fn a_failed_write_marks_nothing() {
    let (mut ram, log) = (Ram::<64>::counting(), Log::default());
    let memory = log.watch(ram.slice());
    let file = TempFile::new("read-only", &[1; 64]);
    let error = memory.write_volatile_to(8, &mut file.open(), 32).expect_err("not to be written");
    assert!(matches!(error, Error::IOError(_)), "{error:?}");
    assert_eq!(log.take(), []);
}

#[test]
fn the_end_of_a_file_is_no_failure_of_one_read() {
    let (mut ram, log) = (Ram::<64>::zeroed(), Log::default());
    let memory = log.watch(ram.slice());
    let file = TempFile::new("short", &[7; 10]);
    let mut source = file.open();
    assert_eq!(memory.read_volatile_from(0, &mut source, 32).expect("a file"), 10);
    assert_eq!(memory.read_volatile_from(10, &mut source, 32).expect("a file"), 0);
    // SEMANTICS 20: length 0 marks nothing.
    assert_eq!(log.take(), [(0, 10)]);
}

#[test]
fn every_kind_of_descriptor_is_a_source_and_a_sink() {
    /// Sends the memory's bytes through `sink` and gets them back by `source`.
    fn there_and_back(mut sink: impl WriteVolatile, mut source: impl ReadVolatile) {
        let (mut from, mut to) = (Ram::<64>::counting(), Ram::<64>::zeroed());
        from.slice().write_all_volatile_to(0, &mut sink, 64).expect("a sink");
        to.slice().read_exact_volatile_from(0, &mut source, 64).expect("a source");
        assert_eq!(to.0, from.0);
    }

    let temp = TempFile::new("kinds", &[]);
    let mut file = File::options().read(true).write(true).open(&temp.0).expect("made");
    there_and_back(&file, temp.open());
    file.rewind().expect("a file");
    there_and_back(&mut file, &temp.open());
    file.rewind().expect("a file");
    there_and_back(file.as_fd(), &mut temp.open());
    file.rewind().expect("a file");
    there_and_back(&file.as_fd(), temp.open().as_fd());
    file.rewind().expect("a file");
    there_and_back(&mut file.as_fd(), &mut temp.open().as_fd());
    file.rewind().expect("a file");
    there_and_back(file, &temp.open().as_fd());

    let (mut left, mut right) = UnixStream::pair().expect("a pair of sockets");
    there_and_back(&left, &right);
    there_and_back(&mut left, &mut right);
    let (mut left, mut right) = (OwnedFd::from(left), OwnedFd::from(right));
    there_and_back(&left, &right);
    there_and_back(&mut left, &mut right);
    there_and_back(left, right);

    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut left = TcpStream::connect(listener.local_addr().expect("bound")).expect("listening");
    let (mut right, _) = listener.accept().expect("connected");
    there_and_back(&left, &right);
    there_and_back(&mut left, &mut right);
    there_and_back(left, right);

    // The standard output takes what it gets; here, nothing.
    let nothing = VolatileSlice::from(&mut [][..]);
    assert_eq!(std::io::stdout().write_volatile(&nothing).expect("an output"), 0);
    assert_eq!((&std::io::stdout()).write_volatile(&nothing).expect("an output"), 0);
}

// The bytes go to the descriptor when the call is made: no buffer between keeps them.
#[test]
fn a_write_is_there_when_it_returns() {
    let mut ram = Ram::<16>::counting();
    let (mut left, mut right) = UnixStream::pair().expect("a pair of sockets");
    assert_eq!(ram.slice().write_volatile_to(4, &mut left, 8).expect("a socket"), 8);
    let mut got = [0; 8];
    right.read_exact(&mut got).expect("it was sent");
    assert_eq!(got, ram.0[4..12]);
}
