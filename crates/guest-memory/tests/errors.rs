//! What an error says, and what it keeps to itself.

mod common;

use std::error::Error as _;
use std::io::{Error as IoError, ErrorKind};
use std::sync::atomic::Ordering::Relaxed;

use common::{Source, Step, map, three};
use guest_memory::{
    Bytes, GuestAddress, GuestMemory, GuestMemoryError as E, GuestMemoryResult,
    GuestRegionCollectionError, MemoryRegionAddress, Permissions,
};
use guest_volatile::Error as VolatileError;
use rstest::rstest;

fn io() -> IoError {
    IoError::other("the disk is gone")
}

// SEMANTICS 36: addresses and lengths in hex, lower case, no period at the end.
#[rstest]
#[case(E::InvalidGuestAddress(GuestAddress(0xfee0_0000)), "no memory at guest address 0xfee00000")]
#[case(E::IOError(io()), "the stream failed")]
#[case(E::IOErrorAfter { completed: 0x2a, error: io() }, "the stream failed after 0x2a bytes")]
#[case(E::PartialBuffer { expected: 0x20, completed: 10 }, "moved only 0xa of 0x20 bytes")]
#[case(E::ReadFaulted { addr: GuestAddress(0x2000), completed: 0x1f }, "reading guest address 0x2000 faulted after 0x1f bytes")]
#[case(E::WriteFaulted { addr: GuestAddress(0x2000), completed: 0 }, "writing guest address 0x2000 faulted after 0x0 bytes")]
#[case(E::InvalidBackendAddress, "the range does not lie in the memory that one region gives")]
#[case(E::HostAddressNotAvailable, "the region has no memory in this process")]
#[case(E::CallbackOutOfRange, "the callback moved more bytes than there were")]
#[case(E::GuestAddressOverflow, "the range passes the end of the guest's address space")]
#[case(
    E::NotContiguous { addr: GuestAddress(0x1ffe), len: 16 },
    "0x10 bytes at guest address 0x1ffe do not lie in one piece"
)]
#[case(
    E::Misaligned { addr: GuestAddress(0x1001), alignment: 8 },
    "guest address 0x1001 is not aligned to 0x8 bytes on the host"
)]
#[case(
    E::AccessDenied { addr: GuestAddress(0x1000), access: Permissions::ReadWrite },
    "the memory at guest address 0x1000 does not permit the access: read and write"
)]
#[case(E::Volatile(VolatileError::OutOfBounds { addr: 0x11 }), "offset 0x11 is out of bounds")]
fn an_error_says_what_happened_in_hex(#[case] error: E, #[case] expected: &str) {
    assert_eq!(error.to_string(), expected);
}

// SEMANTICS 36: the cause is the source, and not repeated.
#[rstest]
#[case(E::IOError(io()), true)]
#[case(E::IOErrorAfter { completed: 1, error: io() }, true)]
#[case(E::InvalidGuestAddress(GuestAddress(0)), false)]
#[case(E::Volatile(VolatileError::NotReadable), false)]
#[case(E::Volatile(VolatileError::IOError(io())), true)]
fn the_cause_is_the_source_and_not_in_the_text(#[case] error: E, #[case] has_source: bool) {
    let source = error.source().map(ToString::to_string);
    assert_eq!(source.is_some(), has_source);
    assert!(source.is_none_or(|source| source == "the disk is gone"));
    assert!(!error.to_string().contains("disk"));
}

#[rstest]
#[case(GuestRegionCollectionError::NoMemoryRegion, "no such memory region")]
#[case(GuestRegionCollectionError::MemoryRegionOverlap, "memory regions overlap")]
#[case(GuestRegionCollectionError::UnsortedMemoryRegions, "memory regions are not sorted")]
#[case(
    GuestRegionCollectionError::InvalidRegion { start: GuestAddress(0x1000), len: 0 },
    "the memory region at 0x1000 has no byte, or passes the end of the address space: 0x0 bytes"
)]
fn a_list_of_regions_is_refused_in_words(
    #[case] error: GuestRegionCollectionError,
    #[case] expected: &str,
) {
    assert_eq!(error.to_string(), expected);
    assert!(error.source().is_none());
}

// SEMANTICS 36.
#[test]
fn errors_can_go_anywhere() {
    fn is_good<T: std::error::Error + Send + Sync + 'static>() {}
    is_good::<E>();
    is_good::<GuestRegionCollectionError>();
    fn boxed() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(three().write_obj(1_u8, GuestAddress(0))?)
    }
    assert!(boxed().is_err());
}

#[test]
fn an_error_is_three_words() {
    assert_eq!(size_of::<E>(), 24);
    assert_eq!(size_of::<GuestMemoryResult<()>>(), 24);
    assert_eq!(size_of::<GuestMemoryResult<u64>>(), 24);
}

// SEMANTICS 36: what 0.18 makes one is not.
#[test]
fn errors_of_slices_stay_what_they_are() {
    use VolatileError as V;
    assert!(matches!(
        E::from(V::PartialBuffer { expected: 2, completed: 1 }),
        E::PartialBuffer { expected: 2, completed: 1 }
    ));
    assert!(matches!(E::from(V::IOError(io())), E::IOError(_)));
    let after = E::from(V::IOErrorAfter { completed: 3, error: io() });
    assert!(matches!(after, E::IOErrorAfter { completed: 3, .. }));
    let misaligned = E::from(V::Misaligned { addr: 1, alignment: 2 });
    assert!(matches!(misaligned, E::Volatile(V::Misaligned { addr: 1, alignment: 2 })));
    let too_big = E::from(V::TooBig { nelements: 1, size: 2 });
    assert!(matches!(too_big, E::Volatile(V::TooBig { nelements: 1, size: 2 })));
    let out_of_bounds = E::from(V::OutOfBounds { addr: 1 });
    assert!(matches!(out_of_bounds, E::Volatile(V::OutOfBounds { addr: 1 })));
    let overflow = E::from(V::Overflow { base: 1, offset: 2 });
    assert!(matches!(overflow, E::Volatile(V::Overflow { base: 1, offset: 2 })));
    let ordering = E::from(V::InvalidOrdering(Relaxed));
    assert!(matches!(ordering, E::Volatile(V::InvalidOrdering(Relaxed))));
}

// SEMANTICS 36: never a host pointer, in no form, whatever goes wrong.
#[test]
fn no_error_tells_a_host_address() {
    let memory = three();
    let host = memory.get_host_address(GuestAddress(0x1000)).unwrap() as usize;
    let region = memory.find_region(GuestAddress(0x1000)).unwrap();
    let past = MemoryRegionAddress(0x2000);
    let failing = || Source::new([Step::Move(1), Step::Fail(ErrorKind::TimedOut)]);
    let errors = [
        memory.read_obj::<u32>(GuestAddress(0)).unwrap_err(),
        memory.read_obj::<u32>(GuestAddress(0x2ffe)).unwrap_err(),
        memory.load::<u32>(GuestAddress(0x1001), Relaxed).unwrap_err(),
        memory.load::<u32>(GuestAddress(0x1ffe), Relaxed).unwrap_err(),
        memory.get_slice(GuestAddress(0x1000), usize::MAX).unwrap_err(),
        memory.read_exact_volatile_from(GuestAddress(0x1000), &mut failing(), 9).unwrap_err(),
        region.read_obj::<u32>(past).unwrap_err(),
        region.load::<u32>(MemoryRegionAddress(1), Relaxed).unwrap_err(),
    ];
    for error in errors {
        for text in [error.to_string(), format!("{error:?}"), format!("{error:#?}")] {
            for page in [host, host >> 12, host + 1, host + 0x1000] {
                assert!(!text.contains(&format!("{page:x}")), "{text}");
                assert!(!text.contains(&page.to_string()), "{text}");
            }
        }
    }
}

// The address in an error is that of the first byte that did not work.
#[test]
fn an_error_names_the_address_that_was_asked_for() {
    let memory = map(&[(0x1000, 0x10), (0x1010, 0x10)]);
    let named = |error: E| match error {
        E::InvalidGuestAddress(addr)
        | E::NotContiguous { addr, .. }
        | E::Misaligned { addr, .. } => addr.0,
        other => panic!("{other}"),
    };
    assert_eq!(named(memory.read_obj::<u8>(GuestAddress(0x1020)).unwrap_err()), 0x1020);
    assert_eq!(named(memory.load::<u64>(GuestAddress(0x100c), Relaxed).unwrap_err()), 0x100c);
    assert_eq!(named(memory.load::<u64>(GuestAddress(0x1011), Relaxed).unwrap_err()), 0x1011);
    assert_eq!(named(memory.get_slice(GuestAddress(0x1020), 0x11).unwrap_err()), 0x1020);
    let second = memory.get_slices(GuestAddress(0x1018), 9).nth(1).unwrap();
    assert_eq!(named(second.unwrap_err()), 0x1020);
}
