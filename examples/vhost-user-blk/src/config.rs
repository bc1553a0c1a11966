//! What the disk says of itself: features, and the configuration space that a driver reads.

use vhost::vhost_user::message::{VhostUserProtocolFeatures, VhostUserVirtioFeatures};
use virtio_bindings::virtio_blk::{
    VIRTIO_BLK_F_BLK_SIZE, VIRTIO_BLK_F_DISCARD, VIRTIO_BLK_F_FLUSH, VIRTIO_BLK_F_MQ,
    VIRTIO_BLK_F_RO, VIRTIO_BLK_F_SEG_MAX, VIRTIO_BLK_F_WRITE_ZEROES,
};
use virtio_bindings::virtio_config::VIRTIO_F_VERSION_1;
use virtio_bindings::virtio_ring::{VIRTIO_RING_F_EVENT_IDX, VIRTIO_RING_F_INDIRECT_DESC};

/// Descriptors of a queue at most.
pub(crate) const QUEUE_SIZE: u16 = 1024;
/// Data buffers of a request at most. A queue of QEMU's has 128 descriptors where nobody says otherwise, of which the header and the status take two.
const SEG_MAX: u32 = 126;
/// Segments of a request to discard or write zeroes at most.
pub(crate) const SEGMENTS: u32 = 32;
/// Sectors of such a segment at most: 1 GiB.
pub(crate) const SEGMENT_SECTORS: u32 = 1 << 21;

/// A disk as a driver sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    pub(crate) sectors: u64,
    pub(crate) queues: u16,
    pub(crate) is_writable: bool,
}

impl Config {
    /// The features that are offered.
    pub(crate) fn features(&self) -> u64 {
        let mut bits = vec![
            VIRTIO_F_VERSION_1,
            VIRTIO_RING_F_INDIRECT_DESC,
            VIRTIO_RING_F_EVENT_IDX,
            VIRTIO_BLK_F_SEG_MAX,
            VIRTIO_BLK_F_BLK_SIZE,
            VIRTIO_BLK_F_FLUSH,
        ];
        if self.queues > 1 {
            bits.push(VIRTIO_BLK_F_MQ);
        }
        if self.is_writable {
            bits.extend([VIRTIO_BLK_F_DISCARD, VIRTIO_BLK_F_WRITE_ZEROES]);
        } else {
            bits.push(VIRTIO_BLK_F_RO);
        }
        let of_virtio = bits.iter().fold(0, |sum, bit| sum | 1 << bit);
        let of_vhost =
            VhostUserVirtioFeatures::LOG_ALL | VhostUserVirtioFeatures::PROTOCOL_FEATURES;
        of_virtio | of_vhost.bits()
    }

    /// What of the protocol is offered.
    ///
    /// Not `INFLIGHT_SHMFD`: vhost-user-backend 0.24 refuses its messages. Nor is it missed by a device that ends the requests
    /// of a queue one by one, in their order: those in flight are those from the used index on, and a front-end that connects
    /// again after a crash starts the queue there.
    pub(crate) fn protocol_features() -> VhostUserProtocolFeatures {
        VhostUserProtocolFeatures::MQ
            | VhostUserProtocolFeatures::CONFIG
            | VhostUserProtocolFeatures::REPLY_ACK
            | VhostUserProtocolFeatures::LOG_SHMFD
            | VhostUserProtocolFeatures::CONFIGURE_MEM_SLOTS
    }

    /// `size` bytes of the configuration space from `offset` on; what it has no field for is 0.
    pub(crate) fn bytes(&self, offset: u32, size: u32) -> Vec<u8> {
        let mut space = Vec::with_capacity(size as usize);
        // In the order of `struct virtio_blk_config`, field by field.
        space.extend(self.sectors.to_le_bytes());
        space.extend(0_u32.to_le_bytes()); // size_max
        space.extend(SEG_MAX.to_le_bytes());
        space.extend([0; 4]); // geometry
        space.extend(512_u32.to_le_bytes()); // blk_size
        space.extend([0; 8]); // topology
        space.extend([0; 2]); // writeback, unused
        space.extend(self.queues.to_le_bytes());
        if self.is_writable {
            space.extend(SEGMENT_SECTORS.to_le_bytes()); // max_discard_sectors
            space.extend(SEGMENTS.to_le_bytes()); // max_discard_seg
            space.extend(1_u32.to_le_bytes()); // discard_sector_alignment
            space.extend(SEGMENT_SECTORS.to_le_bytes()); // max_write_zeroes_sectors
            space.extend(SEGMENTS.to_le_bytes()); // max_write_zeroes_seg
            space.extend([1, 0, 0, 0]); // write_zeroes_may_unmap
        }
        let rest = space.into_iter().skip(offset as usize);
        rest.chain(std::iter::repeat(0)).take(size as usize).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use virtio_bindings::virtio_blk::virtio_blk_config;

    use super::{Config, SEGMENTS};

    const DISK: Config = Config { sectors: 0x1234_5678_9abc, queues: 3, is_writable: true };

    #[test]
    fn fields_are_where_the_kernel_has_them() {
        let space = DISK.bytes(0, 64);
        assert_eq!(space[..8], 0x1234_5678_9abc_u64.to_le_bytes());
        let at = offset_of!(virtio_blk_config, num_queues);
        assert_eq!(space[at..at + 2], [3, 0]);
        let at = offset_of!(virtio_blk_config, max_write_zeroes_seg);
        assert_eq!(space[at..at + 4], SEGMENTS.to_le_bytes());
        assert_eq!(space[offset_of!(virtio_blk_config, write_zeroes_may_unmap)], 1);
    }

    #[test]
    fn any_window_of_the_space_is_as_long_as_was_asked() {
        assert_eq!(DISK.bytes(2, 2), [0x78, 0x56]);
        assert_eq!(DISK.bytes(1000, 3), [0; 3]);
        assert_eq!(DISK.bytes(u32::MAX, 1), [0]);
    }

    #[test]
    fn a_disk_for_reading_offers_no_way_to_write() {
        let disk = Config { is_writable: false, ..DISK };
        assert_eq!(disk.features() & (1 << 13 | 1 << 14), 0);
        assert_ne!(disk.features() & (1 << 5), 0);
        assert_eq!(DISK.features() & (1 << 5), 0);
    }
}
