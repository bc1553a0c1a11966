//! A request from its chain to its status.

use std::fmt;
use std::io;

use virtio_bindings::virtio_blk::{
    VIRTIO_BLK_ID_BYTES, VIRTIO_BLK_S_IOERR, VIRTIO_BLK_S_OK, VIRTIO_BLK_S_UNSUPP,
};
use virtio_queue::DescriptorChain;
use vm_memory::{Bytes as _, GuestAddress, GuestMemoryError};

use crate::chain::{Chain, Lost, Malformed};
use crate::config::{SEGMENT_SECTORS, SEGMENTS};
use crate::image::{Image, SECTOR};
use crate::memory::Memory;
use crate::request::{HEADER, Kind, Request, SEGMENT, Segment};
use crate::stats::Stats;
use crate::transfer::Transfer;

/// What a driver is told the disk is called.
const ID: &[u8; VIRTIO_BLK_ID_BYTES as usize] = b"guest-memory-example";

/// An image, served request by request.
#[derive(Debug)]
pub(crate) struct Disk {
    image: Image,
    chain: Chain,
    stats: Stats,
}

/// Why a request failed, for the log; the driver sees a byte.
#[derive(Debug)]
enum Failure {
    Malformed(Malformed),
    Header(Lost),
    Segments(Lost),
    /// Data for a request that has none, or no place for its data, or a part of a sector.
    DataLen(u64),
    PastTheEnd,
    ReadOnly,
    Unsupported,
    Image(io::Error),
    Transfer(GuestMemoryError),
}

/// Whether a segment may have the flag to unmap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unmap {
    Allowed,
    Refused,
}

impl Disk {
    pub(crate) fn new(image: Image) -> Self {
        Self { image, chain: Chain::default(), stats: Stats::default() }
    }

    pub(crate) fn stats(&mut self) -> &mut Stats {
        self.stats.image_calls = self.image.calls.get();
        &mut self.stats
    }

    /// Serves the request in a chain, and returns how many bytes of its writable buffers are written, from the first on.
    ///
    /// A chain that is no request is not served. If it has a place for a status, that tells; in any case it is used up, so that
    /// a driver that is only confused gets its buffers back.
    pub(crate) fn serve(
        &mut self,
        transfer: &mut Transfer<'_>,
        descriptors: DescriptorChain<&Memory>,
    ) -> u32 {
        let memory = transfer.memory();
        let taken = self.chain.take(descriptors);
        let status = match taken {
            Ok(()) | Err(Malformed::Order) => self.chain.writable.take_last_byte(),
            // Where its end would be is not known.
            Err(Malformed::Broken | Malformed::TooLong) => None,
        };
        let Some(status) = status else {
            self.stats.malformed += 1;
            log::warn!("a chain has no status byte{}", Because(taken.err()));
            return 0;
        };
        let room = self.chain.writable.len();
        let result = taken.map_err(Failure::Malformed).and_then(|()| self.perform(transfer));
        let (byte, written) = match &result {
            Ok(written) => (VIRTIO_BLK_S_OK, *written),
            Err(Failure::Unsupported) => (VIRTIO_BLK_S_UNSUPP, 0),
            Err(_) => (VIRTIO_BLK_S_IOERR, 0),
        };
        if let Err(failure) = result {
            self.stats.failed += 1;
            log::warn!("a request failed: {failure}");
        }
        if let Err(error) = put_status(memory, status, byte) {
            self.stats.malformed += 1;
            log::warn!("the status byte at {:#x} cannot be written: {error}", status.0);
            return u32::try_from(written).unwrap_or(u32::MAX);
        }
        // The status lies behind all other room, so it counts if there is no hole before it. A chain is shorter than 4 GiB.
        let len = if written == room { written + 1 } else { written };
        u32::try_from(len).unwrap_or(u32::MAX)
    }

    /// Does what the request wants, and returns how many bytes of data were written to guest memory.
    fn perform(&mut self, transfer: &mut Transfer<'_>) -> Result<u64, Failure> {
        let memory = transfer.memory();
        let header = match self.chain.readable.read_front::<HEADER>(memory) {
            Ok(header) => header,
            Err(lost) => {
                self.stats.malformed += 1;
                return Err(Failure::Header(lost));
            }
        };
        let Request { kind, sector } = Request::parse(header);
        let (given, room) = (self.chain.readable.len(), self.chain.writable.len());
        match kind {
            Kind::Read => {
                self.stats.reads += 1;
                let offset = self.place(sector, room, given)?;
                transfer.fill(&self.image, self.chain.writable.ranges(), offset)?;
                self.stats.bytes_read += room;
                Ok(room)
            }
            Kind::Write => {
                self.stats.writes += 1;
                self.check_writable()?;
                let offset = self.place(sector, given, room)?;
                transfer.empty(&self.image, self.chain.readable.ranges(), offset)?;
                self.stats.bytes_written += given;
                Ok(0)
            }
            Kind::Flush => {
                self.stats.flushes += 1;
                self.image.flush()?;
                Ok(0)
            }
            Kind::Discard => {
                self.stats.discards += 1;
                // What is discarded is unmapped anyway, so the flag has no meaning here.
                self.each_segment(memory, Unmap::Refused, |image, _, offset, len| {
                    image.discard(offset, len)
                })
            }
            Kind::WriteZeroes => {
                self.stats.write_zeroes += 1;
                self.each_segment(memory, Unmap::Allowed, |image, segment, offset, len| {
                    image.write_zeroes(offset, len, segment.unmap)
                })
            }
            Kind::GetId => {
                self.stats.get_ids += 1;
                self.chain.writable.truncate(ID.len() as u64);
                let mut rest = &ID[..];
                for (addr, len) in self.chain.writable.ranges() {
                    let (part, after) = rest.split_at(*len);
                    memory.write_slice(part, *addr)?;
                    rest = after;
                }
                Ok(self.chain.writable.len())
            }
            Kind::Unknown(number) => {
                self.stats.unknown += 1;
                log::info!("a request of type {number} is not served");
                Err(Failure::Unsupported)
            }
        }
    }

    /// The place of data in the image, if all of it is there and no data goes the other way.
    fn place(&self, sector: u64, len: u64, other_way: u64) -> Result<u64, Failure> {
        if other_way != 0 || !len.is_multiple_of(SECTOR) {
            return Err(Failure::DataLen(len));
        }
        self.image.place(sector, len).ok_or(Failure::PastTheEnd)
    }

    fn check_writable(&self) -> Result<(), Failure> {
        if self.image.is_writable() { Ok(()) } else { Err(Failure::ReadOnly) }
    }

    /// Reads and checks all segments that the request names, then hands each to `act` with its place in bytes.
    fn each_segment(
        &mut self,
        memory: &Memory,
        unmap: Unmap,
        act: impl Fn(&Image, Segment, u64, u64) -> io::Result<()>,
    ) -> Result<u64, Failure> {
        self.check_writable()?;
        let data = &mut self.chain.readable;
        let count = data.len() / SEGMENT as u64;
        let is_odd = !data.len().is_multiple_of(SEGMENT as u64) || count > u64::from(SEGMENTS);
        if is_odd || self.chain.writable.len() != 0 {
            return Err(Failure::DataLen(data.len()));
        }
        let mut segments = Vec::with_capacity(SEGMENTS as usize);
        for _ in 0..count {
            let bytes = data.read_front::<SEGMENT>(memory).map_err(Failure::Segments)?;
            let segment = Segment::parse(bytes);
            if segment.is_odd || (segment.unmap && unmap == Unmap::Refused) {
                return Err(Failure::Unsupported);
            }
            if segment.sectors > SEGMENT_SECTORS {
                return Err(Failure::DataLen(u64::from(segment.sectors)));
            }
            let len = u64::from(segment.sectors) * SECTOR;
            let offset = self.image.place(segment.sector, len).ok_or(Failure::PastTheEnd)?;
            segments.push((segment, offset, len));
        }
        for (segment, offset, len) in segments {
            act(&self.image, segment, offset, len)?;
        }
        Ok(0)
    }
}

fn put_status(memory: &Memory, addr: GuestAddress, status: u32) -> Result<(), GuestMemoryError> {
    // The three of them are 0, 1 and 2.
    memory.write_obj(status as u8, addr)
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // The file system has no such call.
            io::ErrorKind::Unsupported => Self::Unsupported,
            _ => Self::Image(error),
        }
    }
}

impl From<GuestMemoryError> for Failure {
    fn from(error: GuestMemoryError) -> Self {
        Self::Transfer(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => write!(f, "its chain is malformed: {malformed}"),
            Self::Header(lost) => write!(f, "its header cannot be read: {lost}"),
            Self::Segments(lost) => write!(f, "its segments cannot be read: {lost}"),
            Self::DataLen(len) => write!(f, "data of {len:#x} does not fit it"),
            Self::PastTheEnd => f.write_str("it goes past the end of the disk"),
            Self::ReadOnly => f.write_str("the disk is read-only"),
            Self::Unsupported => f.write_str("it is not supported"),
            Self::Image(error) => write!(f, "the image: {error}"),
            Self::Transfer(error) => {
                write!(f, "its data cannot be moved: {error}")?;
                let mut cause = std::error::Error::source(error);
                while let Some(error) = cause {
                    write!(f, ": {error}")?;
                    cause = error.source();
                }
                Ok(())
            }
        }
    }
}

/// A reason, if there is one, behind what it is a reason for.
struct Because<T>(Option<T>);

impl<T: fmt::Display> fmt::Display for Because<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |reason| write!(f, ": {reason}"))
    }
}
