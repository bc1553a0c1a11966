//! The memory and the layout that the tests share.

use demo::{Boot, Checksum, Command, Guest, Program, Words};
use guest_address::GuestAddress;
use guest_dirty::AtomicBitmap;
use guest_memory::Bytes;
use guest_mmap::GuestMemoryMmap;

pub(crate) type Memory = GuestMemoryMmap<AtomicBitmap>;

/// Guest RAM: starts at zero.
pub(crate) const RAM_LEN: u64 = 8 << 20;
pub(crate) const PAGE_TABLES: u64 = 0x1000;
pub(crate) const CODE: u64 = 0x1_0000;
pub(crate) const MAILBOX: u64 = 0x2_0000;
/// What the guest sums up.
pub(crate) const IMAGE: u64 = 1 << 20;
pub(crate) const IMAGE_LEN: u64 = 2 << 20;
/// What it may write to.
pub(crate) const SCRATCH: u64 = 4 << 20;
/// Where more memory is plugged, behind a hole.
pub(crate) const PLUG: u64 = 1 << 30;

pub(crate) fn boot(program: Program) -> Boot {
    Boot { program, code: CODE, page_tables: PAGE_TABLES, mailbox: MAILBOX, reach: 2 << 30 }
}

pub(crate) fn ram() -> Memory {
    Memory::from_ranges(&[(GuestAddress(0), RAM_LEN as usize)]).unwrap()
}

/// Writes an image without any pattern into guest RAM; gives its checksum.
pub(crate) fn write_image(memory: &Memory) -> u64 {
    let mut state = 1_u64;
    let image: Vec<u8> = core::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    })
    .take(IMAGE_LEN as usize)
    .collect();
    memory.write_slice(&image, GuestAddress(IMAGE)).unwrap();
    Checksum::of_bytes(&image)
}

pub(crate) fn image() -> Command {
    Command::Checksum { address: IMAGE, words: IMAGE_LEN / 8 }
}

/// What any guest, real or not, must be able to do on command.
pub(crate) fn serve(guest: &mut Guest<Memory>, memory: &Memory, image_sum: u64) {
    assert_eq!(guest.ask(image()).unwrap(), image_sum);

    let fill = Command::Fill { address: SCRATCH, stores: 100, stride: 24, first: 7 };
    assert_eq!(guest.ask(fill).unwrap(), 107);
    for index in 0..100 {
        assert_eq!(Words::load(memory, SCRATCH + 24 * index).unwrap(), 7 + index);
        assert_eq!(Words::load(memory, SCRATCH + 24 * index + 8).unwrap(), 0);
    }

    let empty = Command::Checksum { address: SCRATCH, words: 0 };
    assert_eq!(guest.ask(empty).unwrap(), Checksum::new().value());
    let nothing = Command::Fill { address: SCRATCH, stores: 0, stride: 8, first: 5 };
    assert_eq!(guest.ask(nothing).unwrap(), 5);
    assert_eq!(Words::load(memory, SCRATCH).unwrap(), 7);
}
