//! A line to a machine: a socket that the machine connects to, on which text comes and goes line by line.

use core::time::Duration;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

/// How often it is looked whether the machine has connected.
const PAUSE: Duration = Duration::from_millis(5);

/// The end that waits for the machine.
#[derive(Debug)]
pub(super) struct Socket {
    listener: UnixListener,
}

/// The line.
#[derive(Debug)]
pub(super) struct Line {
    writer: UnixStream,
    lines: Receiver<String>,
}

impl Socket {
    /// Waits at a path.
    pub(super) fn new(path: &Path) -> Result<Self> {
        let listener = UnixListener::bind(path);
        Ok(Self {
            listener: listener.with_context(|| format!("cannot listen at {}", path.display()))?,
        })
    }

    /// Takes the machine's end, and has all that comes written to a file.
    pub(super) fn accept(&self, limit: Duration, log: &Path) -> Result<Line> {
        let log = File::create(log).with_context(|| format!("cannot make {}", log.display()))?;
        self.listener.set_nonblocking(true).context("cannot poll a socket")?;
        let start = Instant::now();
        let stream = loop {
            match self.listener.accept() {
                Ok((stream, _)) => break stream,
                Err(problem) if problem.kind() != io::ErrorKind::WouldBlock => {
                    return Err(problem).context("cannot accept a connection");
                }
                Err(_) if start.elapsed() > limit => bail!("the machine did not connect"),
                Err(_) => thread::sleep(PAUSE),
            }
        };
        stream.set_nonblocking(false).context("cannot wait on a socket")?;
        let reader = stream.try_clone().context("cannot share a socket")?;
        let (sender, lines) = mpsc::channel();
        // It ends with the connection, which the machine's end closes.
        thread::spawn(move || read(reader, &sender, log));
        Ok(Line { writer: stream, lines })
    }
}

impl Line {
    /// Sends a line.
    pub(super) fn send(&mut self, text: &str) -> Result<()> {
        self.writer.write_all(format!("{text}\n").as_bytes()).context("the machine hung up")
    }

    /// Takes the next line that comes before the deadline.
    pub(super) fn next(&self, deadline: Instant) -> Result<String> {
        match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => Ok(line),
            Err(RecvTimeoutError::Timeout) => bail!("the machine said nothing more in time"),
            Err(RecvTimeoutError::Disconnected) => bail!("the machine hung up"),
        }
    }
}

/// Reads lines until the connection ends.
fn read(stream: UnixStream, lines: &Sender<String>, mut log: File) {
    let mut reader = BufReader::new(stream);
    let mut bytes = Vec::new();
    while reader.read_until(b'\n', &mut bytes).is_ok_and(|count| count > 0) {
        let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        bytes.clear();
        // Who reads the log misses a line if the disk is full; the line itself still comes.
        drop(writeln!(log, "{line}"));
        // Where no one listens any more the log goes on.
        drop(lines.send(line));
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;
    use std::time::Instant;
    use std::{env, fs, process};

    use super::Socket;

    #[test]
    fn lines_come_whole_and_go_whole_and_a_silent_end_is_told_from_a_closed_one() {
        let path = env::temp_dir().join(format!("xtask-line-{}", process::id()));
        let log = path.with_extension("log");
        let socket = Socket::new(&path).unwrap();
        let soon = || Instant::now() + Duration::from_millis(50);
        let silent = socket.accept(Duration::ZERO, &log).unwrap_err();
        assert_eq!(silent.to_string(), "the machine did not connect");
        let mut machine = UnixStream::connect(&path).unwrap();
        let mut line = socket.accept(Duration::from_secs(60), &log).unwrap();
        machine.write_all(b"one\r\ntw").unwrap();
        let late = Instant::now() + Duration::from_secs(60);
        assert_eq!(line.next(late).unwrap(), "one");
        let silent = line.next(soon()).unwrap_err().to_string();
        assert_eq!(silent, "the machine said nothing more in time");
        machine.write_all(b"o\n").unwrap();
        assert_eq!(line.next(late).unwrap(), "two");
        line.send("three").unwrap();
        let mut heard = [0; 6];
        machine.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"three\n");
        drop(machine);
        assert_eq!(line.next(late).unwrap_err().to_string(), "the machine hung up");
        assert_eq!(fs::read_to_string(&log).unwrap(), "one\ntwo\n");
        for path in [path, log] {
            fs::remove_file(path).unwrap();
        }
    }
}
