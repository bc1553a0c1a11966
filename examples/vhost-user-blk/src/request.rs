//! What a request says, read once out of guest memory.

use virtio_bindings::virtio_blk::{
    VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_T_GET_ID, VIRTIO_BLK_T_IN,
    VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_WRITE_ZEROES, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP,
};

/// Bytes of a header.
pub(crate) const HEADER: usize = 16;
/// Bytes of a segment.
pub(crate) const SEGMENT: usize = 16;

/// The header of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) kind: Kind,
    pub(crate) sector: u64,
}

/// What a request wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Write,
    Flush,
    Discard,
    WriteZeroes,
    GetId,
    Unknown(u32),
}

impl Request {
    pub(crate) fn parse(header: [u8; HEADER]) -> Self {
        let kind = match le32(&header, 0) {
            VIRTIO_BLK_T_IN => Kind::Read,
            VIRTIO_BLK_T_OUT => Kind::Write,
            VIRTIO_BLK_T_FLUSH => Kind::Flush,
            VIRTIO_BLK_T_DISCARD => Kind::Discard,
            VIRTIO_BLK_T_WRITE_ZEROES => Kind::WriteZeroes,
            VIRTIO_BLK_T_GET_ID => Kind::GetId,
            unknown => Kind::Unknown(unknown),
        };
        // Between the two are 4 bytes that once were a priority.
        Self { kind, sector: le64(&header, 8) }
    }
}

/// A piece of the disk that a request to discard or to write zeroes names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) sector: u64,
    pub(crate) sectors: u32,
    pub(crate) unmap: bool,
    /// Whether it has flags that nobody here knows.
    pub(crate) is_odd: bool,
}

impl Segment {
    pub(crate) fn parse(bytes: [u8; SEGMENT]) -> Self {
        let flags = le32(&bytes, 12);
        Self {
            sector: le64(&bytes, 0),
            sectors: le32(&bytes, 8),
            unmap: flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP != 0,
            is_odd: flags & !VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP != 0,
        }
    }
}

/// The little-endian number at a place of a structure of 16 bytes.
fn le32(bytes: &[u8; 16], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|index| bytes[at + index]))
}

fn le64(bytes: &[u8; 16], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|index| bytes[at + index]))
}

#[cfg(test)]
mod tests {
    use super::{Kind, Request, Segment};

    #[test]
    fn a_header_is_type_and_sector_in_little_endian() {
        let bytes = [1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 2, 1, 0, 0, 0, 0, 0, 0x80];
        let request = Request { kind: Kind::Write, sector: 0x8000_0000_0000_0102 };
        assert_eq!(Request::parse(bytes), request);
    }

    #[test]
    fn a_type_that_is_not_served_is_kept() {
        let mut bytes = [0; 16];
        bytes[3] = 0x80;
        assert_eq!(Request::parse(bytes).kind, Kind::Unknown(0x8000_0000));
    }

    #[test]
    fn a_segment_has_flags() {
        let mut bytes = [0; 16];
        (bytes[0], bytes[8], bytes[12]) = (9, 7, 1);
        let segment = Segment { sector: 9, sectors: 7, unmap: true, is_odd: false };
        assert_eq!(Segment::parse(bytes), segment);
        bytes[12] = 2;
        assert!(Segment::parse(bytes).is_odd);
    }
}
