//! The device as vhost-user-backend wants it: features and configuration, memory that changes, queues that are kicked.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use vhost::vhost_user::message::{VhostUserProtocolFeatures, VhostUserVirtioFeatures};
use vhost_user_backend::VhostUserBackend;
use vm_memory::{GuestAddressSpace as _, GuestMemoryBackend as _};
use vmm_sys_util::epoll::EventSet;
use vmm_sys_util::event::{
    EventConsumer, EventFlag, EventNotifier, new_event_consumer_and_notifier,
};

use crate::config::{Config, QUEUE_SIZE};
use crate::disk::Disk;
use crate::image::Image;
use crate::marks::{self, Marks};
use crate::memory::{Current, Memory, forget_log, hand_on_log};
use crate::options::Options;
use crate::queue;
use crate::stats::Stats;
use crate::vring::Vring;

/// A disk for one front-end. Each of its queues has a thread, and a view of the image.
#[derive(Debug)]
pub(crate) struct Device {
    config: Config,
    /// Locked by the queue's own thread alone, so nobody ever waits.
    disks: Vec<Mutex<Disk>>,
    /// The map that queues work on. It is not that of the back-end crate: what is published here has its log already.
    memory: Current,
    memory_tables: AtomicU64,
    regions_most: AtomicU64,
    /// Whether the front-end has gone, or was dropped.
    is_over: AtomicBool,
}

impl Device {
    /// Opens the image, once for each queue.
    pub(crate) fn new(options: &Options) -> io::Result<Self> {
        let image = || Image::open(&options.image, options.access);
        let first = image()?;
        let config = Config {
            sectors: first.sectors(),
            queues: options.queues,
            is_writable: first.is_writable(),
        };
        let disk = |_| Ok(Mutex::new(Disk::new(image()?)));
        let disks = (0..options.queues).map(disk).collect::<io::Result<_>>()?;
        let memory = Current::new(Memory::new());
        let (memory_tables, regions_most) = Default::default();
        let is_over = AtomicBool::new(false);
        Ok(Self { config, disks, memory, memory_tables, regions_most, is_over })
    }

    /// Ends all work on queues: whoever has the guest's memory may add to a ring for ever, also without a connection.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// What all queues did.
    pub(crate) fn stats(&self) -> Stats {
        let mut sum = Stats {
            memory_tables: self.memory_tables.load(Ordering::Relaxed),
            regions_most: self.regions_most.load(Ordering::Relaxed),
            pages_marked: marks::take_count(),
            ..Stats::default()
        };
        // A queue whose thread was left behind holds its disk for ever.
        for mut disk in self.disks.iter().filter_map(|disk| disk.try_lock().ok()) {
            sum += *disk.stats();
        }
        sum
    }
}

/// A disk is in order between any two requests, so a panic in one does not spoil it.
fn lock(disk: &Mutex<Disk>) -> MutexGuard<'_, Disk> {
    disk.lock().unwrap_or_else(PoisonError::into_inner)
}

impl VhostUserBackend for Device {
    type Bitmap = Marks;
    type Vring = Vring;

    fn num_queues(&self) -> usize {
        self.disks.len()
    }

    fn max_queue_size(&self) -> usize {
        usize::from(QUEUE_SIZE)
    }

    fn features(&self) -> u64 {
        self.config.features()
    }

    /// Ends logging where the front-end does; it has set a log before it begins.
    fn acked_features(&self, features: u64) {
        if features & VhostUserVirtioFeatures::LOG_ALL.bits() == 0 {
            forget_log(&self.memory.memory());
        }
    }

    fn protocol_features(&self) -> VhostUserProtocolFeatures {
        Config::protocol_features()
    }

    /// Event indices are the queues' own business, and they are told.
    fn set_event_idx(&self, _enabled: bool) {}

    fn get_config(&self, offset: u32, size: u32) -> Vec<u8> {
        self.config.bytes(offset, size)
    }

    /// No field is for the driver to write.
    fn set_config(&self, _offset: u32, _buf: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    /// Puts a map in force. Requests that run go on with the one that they have, which stays mapped as long as they do.
    fn update_memory(&self, mem: Current) -> io::Result<()> {
        let next = mem.memory();
        hand_on_log(&self.memory.memory(), &next)?;
        self.memory_tables.fetch_add(1, Ordering::Relaxed);
        self.regions_most.fetch_max(next.num_regions() as u64, Ordering::Relaxed);
        let guard = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        guard.replace(Memory::clone(&next));
        Ok(())
    }

    /// One thread for each queue.
    fn queues_per_thread(&self) -> Vec<u64> {
        (0..self.disks.len()).map(|queue| 1 << queue).collect()
    }

    fn exit_event(&self, _thread_index: usize) -> Option<(EventConsumer, EventNotifier)> {
        match new_event_consumer_and_notifier(EventFlag::NONBLOCK | EventFlag::CLOEXEC) {
            Ok(pair) => Some(pair),
            Err(error) => {
                log::error!("a thread cannot be told to end: {error}");
                None
            }
        }
    }

    /// Works on the queue that was kicked. A queue that is broken is the guest's fault and no error here: an error would end the
    /// thread, and with it a queue that the guest may reset.
    fn handle_event(
        &self,
        device_event: u16,
        _evset: EventSet,
        vrings: &[Vring],
        thread_id: usize,
    ) -> io::Result<()> {
        let (Some(vring), Some(disk)) =
            (vrings.get(usize::from(device_event)), self.disks.get(thread_id))
        else {
            return Ok(());
        };
        let memory = self.memory.memory();
        if let Err(stuck) = queue::work(&mut lock(disk), &memory, vring, &self.is_over) {
            log::error!("queue {thread_id} is stuck: {stuck}");
        }
        Ok(())
    }
}
