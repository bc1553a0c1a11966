//! guest-address: arithmetic on guest addresses and ranges.

use std::hint::black_box;

use benches::{Layout, measure};
use criterion::Criterion;
use guest_address::{Address, GuestAddress, GuestRange};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    addresses(&mut criterion);
    ranges(&mut criterion);
    criterion.final_summary();
}

/// Addresses as a guest gives them.
fn table() -> Vec<GuestAddress> {
    Layout::pc().addresses(16).into_iter().map(GuestAddress).collect()
}

fn addresses(criterion: &mut Criterion) {
    let table = table();
    let (base, len, page) = black_box((GuestAddress(1 << 20), 0x1000, 0x1000));
    let mut group = criterion.benchmark_group("guest-address/checked_add");
    measure(&mut group, "u64", &table, |addr| addr.checked_add(len).map_or(0, |sum| sum.0));
    drop(group);
    let mut group = criterion.benchmark_group("guest-address/checked_offset_from");
    measure(&mut group, "u64", &table, |addr| addr.checked_offset_from(base).unwrap_or(0));
    drop(group);
    let mut group = criterion.benchmark_group("guest-address/checked_align_up");
    measure(&mut group, "u64", &table, |addr| addr.checked_align_up(page).map_or(0, |up| up.0));
}

fn ranges(criterion: &mut Criterion) {
    let table = table();
    let len = black_box(0x1000);
    let range = |addr| GuestRange::new(addr, len).expect("it does not wrap");
    let ranges: Vec<_> = table.iter().copied().map(range).collect();
    let ram = black_box(GuestRange::new(GuestAddress(4 << 30), 4 << 30).expect("it does not wrap"));
    let mut group = criterion.benchmark_group("guest-address/range_new");
    measure(&mut group, "u64", &table, |addr| {
        GuestRange::new(addr, len).map_or(0, |range| range.last().0)
    });
    drop(group);
    let mut group = criterion.benchmark_group("guest-address/range_contains");
    measure(&mut group, "u64", &table, |addr| ram.contains(addr).into());
    drop(group);
    let mut group = criterion.benchmark_group("guest-address/range_contains_range");
    measure(&mut group, "u64", &ranges, |range| ram.contains_range(&range).into());
    drop(group);
    let mut group = criterion.benchmark_group("guest-address/range_intersection");
    measure(&mut group, "u64", &ranges, |range| {
        ram.intersection(&range).map_or(0, |part| part.len())
    });
}
