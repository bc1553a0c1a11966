// The map of this crate's examples: two regions that are neighbours, and one behind a hole.
{
    #[repr(align(4096))]
    struct Page([u8; 0x1000]);
    let region = |start| {
        let page: &'static mut Page = Box::leak(Box::new(Page([0; 0x1000])));
        SliceRegion::new(GuestAddress(start), &mut page.0).unwrap()
    };
    GuestRegionCollection::from_regions([0x1000, 0x2000, 0x8000].map(region).into()).unwrap()
}
