//! A map as a person sees it.

mod common;

use common::{Log, Map, map, marked, pages};
use guest_memory::{
    Bytes, GuestAddress, GuestMemory, GuestRegionCollection, SliceRegion, VolatileSlice,
};

#[test]
fn a_map_shows_its_regions_and_holes() {
    let memory = map(&[
        (0, 0xa0000),
        (0x10_0000, 0x10_0000),
        (0x20_0000, 0x1000),
        (0x1_0000_0000, 0x1001),
        (u64::MAX - 0xf, 0x10),
    ]);
    let expected = "\
5 regions, 1712145 B
  0x0000000000000000-0x000000000009ffff    640 KiB  lent
  0x00000000000a0000-0x00000000000fffff    384 KiB  hole
  0x0000000000100000-0x00000000001fffff      1 MiB  lent
  0x0000000000200000-0x0000000000200fff      4 KiB  lent
  0x0000000000201000-0x00000000ffffffff 4192252 KiB  hole
  0x0000000100000000-0x0000000100001000     4097 B  lent
  0x0000000100001001-0xffffffffffffffef 18446744069414580207 B  hole
  0xfffffffffffffff0-0xffffffffffffffff       16 B  lent";
    assert_eq!(memory.to_string(), expected);
}

#[test]
fn a_map_counts_its_regions_in_words() {
    assert_eq!(Map::new().to_string(), "0 regions, 0 B");
    let one = "1 region, 4 KiB\n  0x0000000000001000-0x0000000000001fff      4 KiB  lent";
    assert_eq!(map(&[(0x1000, 0x1000)]).to_string(), one);
}

#[test]
fn a_map_says_what_may_not_be_written() {
    let slice = VolatileSlice::from(pages(0x1000)).read_only();
    let region = SliceRegion::with_slice(GuestAddress(0x1000), slice).unwrap();
    let memory = GuestRegionCollection::from_regions(vec![region]).unwrap();
    let expected =
        "1 region, 4 KiB\n  0x0000000000001000-0x0000000000001fff      4 KiB  lent, read-only";
    assert_eq!(memory.to_string(), expected);
}

#[test]
fn a_map_says_how_much_was_written_where_that_is_counted() {
    let (region, _) = marked(0x1000, 0x1000);
    let memory = GuestRegionCollection::from_regions(vec![region]).unwrap();
    let line = |dirty| {
        format!(
            "1 region, 4 KiB\n  0x0000000000001000-0x0000000000001fff      4 KiB  lent, {dirty} % dirty"
        )
    };
    assert_eq!(memory.to_string(), line("0.0"));
    // Rounded up, so that what is not 0 does not look like it.
    memory.write_obj(1_u8, GuestAddress(0x1000)).unwrap();
    assert_eq!(memory.to_string(), line("0.1"));
    memory.write_slice(&[1; 0x800], GuestAddress(0x1000)).unwrap();
    assert_eq!(memory.to_string(), line("50.0"));
    memory.write_slice(&[1; 0x1000], GuestAddress(0x1000)).unwrap();
    assert_eq!(memory.to_string(), line("100.0"));
}

#[test]
fn debug_shows_shapes_and_never_bytes() {
    let memory = map(&[(0x1000, 0x1000), (0x3000, 0x20)]);
    memory.write_slice(b"top secret", GuestAddress(0x1000)).unwrap();
    let host = memory.get_host_address(GuestAddress(0x1000)).unwrap() as usize;
    let slices = memory.get_slices(GuestAddress(0x1000), 0x10);
    let slice = memory.get_slice(GuestAddress(0x1000), 0x10).unwrap();
    for text in [
        format!("{memory:?}"),
        format!("{memory:#?}"),
        format!("{slices:?}"),
        format!("{slice:?}"),
        memory.to_string(),
    ] {
        assert!(text.len() < 2000, "{text}");
        for secret in
            ["secret", "116, 111, 112", "74, 6f, 70", &format!("{host:x}"), &host.to_string()]
        {
            assert!(!text.contains(secret), "{text}");
        }
    }
    let text = format!("{memory:?}");
    assert!(text.contains("0x1000") && text.contains("0x3000"), "{text}");
}

#[test]
fn debug_of_a_map_with_bitmaps_is_a_shape_too() {
    let (region, _): (SliceRegion<'static, Log>, Log) = marked(0x1000, 0x1000);
    let memory = GuestRegionCollection::from_regions(vec![region]).unwrap();
    assert!(format!("{memory:?}").starts_with("[SliceRegion"));
}
