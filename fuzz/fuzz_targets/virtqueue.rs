//! A device walks rings and chains of hostile bytes, by the published virtio-queue on our memory: it ends, and does not panic.

#![no_main]
#![forbid(unsafe_code)]

use std::io::{Read as _, Write as _};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use virtio_queue::{Queue, QueueOwnedT, QueueT};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

/// Two regions that touch, and one behind a hole.
const RAM: [(u64, usize); 3] = [(0, 0x800), (0x800, 0x800), (0x2000, 0x800)];

#[derive(Arbitrary, Debug)]
struct Input {
    size: u8,
    descriptors: u16,
    available: u16,
    used: u16,
    event_index: bool,
    /// The guest's memory at the start.
    image: Vec<u8>,
    /// What the guest writes while the device works: where, and which byte.
    meanwhile: Vec<(u16, u8)>,
    rounds: u8,
}

fn address(raw: u16) -> GuestAddress {
    GuestAddress(u64::from(raw % 0x3000) & !0xf)
}

fuzz_target!(|input: Input| {
    let ranges = RAM.map(|(start, len)| (GuestAddress(start), len));
    let memory: GuestMemoryMmap =
        GuestMemoryMmap::from_ranges(&ranges).expect("a few pages are to be had");
    for ((start, len), part) in RAM.iter().zip(input.image.chunks(0x800)) {
        let count = memory.write(part, GuestAddress(*start)).expect("it starts in memory");
        assert_eq!(count, part.len().min(*len));
    }
    let mut queue = Queue::new(256).expect("256 is a power of two");
    queue.set_size(1 << (input.size % 9));
    let low = |addr: GuestAddress| Some(addr.0 as u32);
    queue.set_desc_table_address(low(address(input.descriptors)), Some(0));
    queue.set_avail_ring_address(low(address(input.available)), Some(0));
    queue.set_used_ring_address(low(address(input.used)), Some(0));
    queue.set_event_idx(input.event_index);
    queue.set_ready(true);
    let _ = queue.is_valid(&memory);
    let mut meanwhile = input.meanwhile.into_iter();
    for _ in 0..input.rounds % 8 {
        let Ok(chains) = queue.iter(&memory) else { break };
        let chains: Vec<_> = chains.take(300).collect();
        for chain in chains {
            let head = chain.head_index();
            // As long as the queue at most, or it would be a loop.
            assert!(chain.clone().count() <= 0x10000);
            let mut buf = [0; 0x400];
            if let Ok(mut reader) = chain.clone().reader(&memory) {
                let _ = reader.read_obj::<u64>();
                let _ = reader.read(&mut buf);
                let _ = reader.split_at(3).map(|mut rest| rest.read(&mut buf));
            }
            if let Some((at, byte)) = meanwhile.next() {
                let _ = memory.write_obj(byte, GuestAddress(u64::from(at % 0x3000)));
            }
            let mut written = 0;
            if let Ok(mut writer) = chain.clone().writer(&memory) {
                let _ = writer.write_obj(0x5a_u32);
                let _ = writer.write(&buf);
                written = writer.bytes_written();
            }
            let _ = queue.add_used(&memory, head, written as u32);
        }
        let _ = queue.needs_notification(&memory);
        let _ = queue.enable_notification(&memory);
        let _ = queue.pop_descriptor_chain(&memory).map(Iterator::count);
    }
});
