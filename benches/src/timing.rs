//! The time of one operation out of many.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::BenchmarkGroup;
use criterion::measurement::WallTime;

/// Does `operation` on each item of the table in turn, over and over, `count` times in all; returns how long that took.
///
/// What the operations return is summed up, so that none of them is done for nothing. An addition is cheaper than a store
/// for each, which `black_box` would be: a raw read takes a quarter of a nanosecond.
///
/// # Panics
///
/// If the table is empty.
#[inline]
pub fn each<A: Copy>(table: &[A], count: u64, mut operation: impl FnMut(A) -> u64) -> Duration {
    assert!(!table.is_empty(), "there is nothing to do");
    let table = black_box(table);
    let mut sum = 0_u64;
    let mut left = count;
    let start = Instant::now();
    while left > 0 {
        let now = left.min(table.len() as u64);
        for &item in &table[..now as usize] {
            sum = sum.wrapping_add(operation(item));
        }
        left -= now;
    }
    black_box(sum);
    start.elapsed()
}

/// Adds to the group a benchmark of `operation` on the items of a table.
pub fn measure<A: Copy>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    table: &[A],
    mut operation: impl FnMut(A) -> u64,
) {
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|count| each(table, count, &mut operation));
    });
}
