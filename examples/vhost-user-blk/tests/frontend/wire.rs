//! Messages of the vhost-user protocol, and the socket that they go over.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use vmm_sys_util::sock_ctrl_msg::ScmSocket as _;

use crate::daemon::PATIENCE;

pub(crate) const GET_FEATURES: u32 = 1;
pub(crate) const SET_FEATURES: u32 = 2;
pub(crate) const SET_OWNER: u32 = 3;
pub(crate) const SET_MEM_TABLE: u32 = 5;
pub(crate) const SET_LOG_BASE: u32 = 6;
pub(crate) const SET_VRING_NUM: u32 = 8;
pub(crate) const SET_VRING_ADDR: u32 = 9;
pub(crate) const SET_VRING_BASE: u32 = 10;
pub(crate) const GET_VRING_BASE: u32 = 11;
pub(crate) const SET_VRING_KICK: u32 = 12;
pub(crate) const SET_VRING_CALL: u32 = 13;
pub(crate) const GET_PROTOCOL_FEATURES: u32 = 15;
pub(crate) const SET_PROTOCOL_FEATURES: u32 = 16;
pub(crate) const GET_QUEUE_NUM: u32 = 17;
pub(crate) const SET_VRING_ENABLE: u32 = 18;
pub(crate) const GET_CONFIG: u32 = 24;
pub(crate) const SET_CONFIG: u32 = 25;
pub(crate) const GET_INFLIGHT_FD: u32 = 31;
pub(crate) const ADD_MEM_REG: u32 = 37;
pub(crate) const REM_MEM_REG: u32 = 38;

const VERSION: u32 = 1;
const NEED_REPLY: u32 = 8;

/// A connection to the daemon.
pub(crate) struct Link {
    socket: UnixStream,
}

impl Link {
    pub(crate) fn new(path: &Path) -> Self {
        let socket = UnixStream::connect(path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket }
    }

    /// Sends a message as it is. An error means that the daemon has closed its end.
    pub(crate) fn send(
        &self,
        code: u32,
        flags: u32,
        body: &[u8],
        fds: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let header = words(&[code, VERSION | flags, u32::try_from(body.len()).unwrap()]);
        self.send_bytes(&[header, body.to_vec()].concat(), fds)
    }

    /// Sends whatever bytes.
    pub(crate) fn send_bytes(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let fds: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
        let sent = self.socket.send_with_fds(&[bytes], &fds);
        let sent = sent.map_err(|error| io::Error::from_raw_os_error(error.errno()))?;
        (&self.socket).write_all(&bytes[sent..])
    }

    /// The body of an answer. An error means that the daemon has closed its end.
    pub(crate) fn answer(&self, code: u32) -> io::Result<Vec<u8>> {
        let mut header = [0; 12];
        (&self.socket).read_exact(&mut header)?;
        let word = |at| u32::from_le_bytes(std::array::from_fn(|index| header[at + index]));
        assert_eq!((word(0), word(4)), (code, VERSION | 4), "an answer to something else");
        let mut body = vec![0; word(8) as usize];
        (&self.socket).read_exact(&mut body)?;
        Ok(body)
    }

    /// Asks for something.
    pub(crate) fn ask(&self, code: u32, body: &[u8]) -> io::Result<Vec<u8>> {
        self.send(code, 0, body, &[])?;
        self.answer(code)
    }

    /// Asks for a number.
    pub(crate) fn number(&self, code: u32) -> u64 {
        u64::from_le_bytes(self.ask(code, &[]).unwrap().try_into().unwrap())
    }

    /// Orders something, and tells whether it was done. The daemon closes its end after an order that it refuses.
    pub(crate) fn order(&self, code: u32, body: &[u8], fds: &[BorrowedFd<'_>]) -> bool {
        if self.send(code, NEED_REPLY, body, fds).is_err() {
            return false;
        }
        self.answer(code).is_ok_and(|answer| answer == [0; 8])
    }

    /// Whether the daemon has closed its end, or does in time.
    pub(crate) fn is_closed(&self) -> bool {
        let mut rest = Vec::new();
        match (&self.socket).read_to_end(&mut rest) {
            Ok(_) => true,
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }
}

/// Little-endian numbers, one after the other.
pub(crate) fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

pub(crate) fn longs(longs: &[u64]) -> Vec<u8> {
    longs.iter().flat_map(|long| long.to_le_bytes()).collect()
}
