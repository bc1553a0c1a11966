//! A device without `unsafe`: its structures are proven to be plain bytes when it is compiled.

#![forbid(unsafe_code)]

use guest_volatile::{Le16, Le32, Le64, VolatileMemory, VolatileSlice, byte_valued};
use zerocopy::{FromBytes, Immutable, IntoBytes};

#[derive(Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Descriptor {
    addr: u64,
    len: u32,
    flags: u16,
    next: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Header {
    flags: u8,
    kind: u8,
    lengths: [u16; 5],
}

byte_valued!(Descriptor, Header);

// SEMANTICS 38.
#[test]
fn structures_are_read_and_written_without_unsafe() {
    let mut ram = [0; 64];
    let memory = VolatileSlice::from(&mut ram[..]);
    let descriptor = Descriptor { addr: 0x1000, len: 3, flags: 1, next: 2 };
    memory.write_obj(descriptor, 16).expect("inside");
    assert_eq!(memory.read_obj::<Descriptor>(16).expect("inside"), descriptor);
    assert_eq!(memory.get_ref::<Descriptor>(16).expect("inside").load(), descriptor);

    let header = Header { flags: 1, kind: 2, lengths: [3, 4, 5, 6, 7] };
    memory.write_obj(header, 33).expect("inside");
    assert_eq!(memory.read_obj::<Header>(33).expect("inside"), header);
    let rows = memory.get_array_ref::<Header>(33, 2).expect("inside");
    rows.store(1, header);
    assert_eq!((rows.load(0), rows.load(1)), (header, header));
}

#[test]
fn a_structures_fields_are_where_its_layout_says() {
    let mut ram = [0; 16];
    let memory = VolatileSlice::from(&mut ram[..]);
    memory.write_obj(Le64::from(0x1000), 0).expect("inside");
    memory.write_obj(Le32::from(3), 8).expect("inside");
    memory.write_obj(Le16::from(1), 12).expect("inside");
    let descriptor = memory.read_obj::<Descriptor>(0).expect("inside");
    assert_eq!(u64::from_le(descriptor.addr), 0x1000);
    assert_eq!((u32::from_le(descriptor.len), u16::from_le(descriptor.flags)), (3, 1));
}
