//! `cargo xtask vm --compare`: one guest with two disks, which the same daemon serves on the published `vm-memory` and on ours.
//!
//! Both are asked in turns, within one boot, so that whatever else the machine does meets both. What the guest sees is mostly the
//! time that the emulated processor takes for a request; the daemon's own processor time for each tells more of the memory below it.

use core::time::Duration;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::report::Outcome;
use crate::vm::bench::Bench;
use crate::vm::disk::{self, Disk};
use crate::vm::machine::{Machine, Order};
use crate::vm::place::Place;

/// The largest time that one command in the guest may take.
const LIMIT: Duration = Duration::from_secs(60);
/// The size of an image.
const SIZE: u64 = 64 << 20;
/// Bytes of a request.
const REQUEST: u64 = 4096;
/// How many requests are under way at a time.
const DEPTHS: [u64; 2] = [1, 32];
/// How often each disk is asked at each depth.
const ROUNDS: usize = 51;
/// For how long, in milliseconds.
const TIME: u64 = 200;

/// What one round showed.
#[derive(Clone, Copy, Debug)]
struct Round {
    /// Requests in a second.
    rate: f64,
    /// Microseconds of the daemon's processor time for one.
    cost: f64,
}

/// What all rounds of a disk at a depth showed.
#[derive(Debug, Default)]
struct Rounds {
    rounds: Vec<Round>,
    /// Microseconds of the daemon's processor time outside of the kernel for a request, over all rounds.
    user: f64,
}

/// Runs it.
pub(super) fn run(bench: &Bench<'_>) -> Result<Outcome> {
    let place = Place::new(&bench.home, "compare")?;
    place.run(|| guest(bench, &place))
}

fn guest(bench: &Bench<'_>, place: &Place) -> Result<Outcome> {
    let initramfs = bench.initramfs(&[])?;
    let (stock, ours) = (bench.stock_daemon()?, bench.daemon()?);
    let start = |name: &str, program: &Path| {
        let image = place.file(&format!("{name}.image"));
        disk::blank(&image, SIZE)?;
        let words = &["--queues", "2"];
        Disk::start(place, &disk::Order { name, program, image: &image, words })
    };
    let disks = [start("stock", &stock)?, start("ours", &ours)?];
    let order = Order {
        name: "machine",
        parts: &bench.parts,
        initramfs: &initramfs,
        // It keeps one processor of ours busy; the daemon that is asked has another.
        processors: "1",
        memory: "256M",
        size: "256M",
        kernel: "",
        words: &[],
    };
    let [first, second] = &disks;
    let mut machine = Machine::start(place, &order, &[first, second])?;
    machine.booted()?;
    // What lies in an image's holes is read another way than what was once written.
    for disk in ["vda", "vdb"] {
        let fill = format!("xtask-guest storm /dev/{disk} 0 {SIZE} 1 1");
        machine.run(&fill, LIMIT)?;
    }
    let mut lines = vec![Rounds::title()];
    let mut told = Vec::new();
    for depth in DEPTHS {
        let [stock, ours] = measure(&mut machine, &disks, depth)?;
        lines.extend([stock.show("stock", depth), ours.show("ours", depth)]);
        let rate = ours.beside(&stock, |round| round.rate);
        let cost = ours.beside(&stock, |round| round.cost);
        let user = ours.user / stock.user;
        lines.push(format!("{depth:5}  ours/stock  {rate:9.2}  {cost:14.2}  {user:8.2}"));
        told.push(format!(
            "depth {depth}: {rate:.2} of the requests at {cost:.2} of the time each"
        ));
    }
    machine.off()?;
    for disk in disks {
        let name = disk.name.clone();
        println!("the daemon on {name}: {}", disk.end()?.line());
    }
    println!(
        "\nreads of {REQUEST} bytes, {ROUNDS} rounds of {TIME} ms in turns, medians (least to most):"
    );
    println!("{}", lines.join("\n"));
    Ok(Outcome::ok(format!("ours beside stock, {}", told.join("; "))))
}

/// Asks both disks in turns, each first as often as the other.
fn measure(machine: &mut Machine, disks: &[Disk; 2], depth: u64) -> Result<[Rounds; 2]> {
    println!("{ROUNDS} rounds with {depth} at a time");
    let mut rounds = [Rounds::default(), Rounds::default()];
    let mut requests = [0.0; 2];
    let [stock, ours] = disks;
    let before = [stock.times()?, ours.times()?];
    for round in 0..ROUNDS {
        for turn in 0..2 {
            let number = (round + turn) % 2;
            let device = ["vda", "vdb"][number];
            let (count, round) = ask(machine, &disks[number], device, depth)?;
            rounds[number].rounds.push(round);
            requests[number] += count;
        }
    }
    // A daemon that is not asked does nothing, so all that it used it used for its requests.
    let after = [stock.times()?, ours.times()?];
    for number in 0..2 {
        let user = after[number].1.saturating_sub(before[number].1);
        rounds[number].user = user.as_secs_f64() * 1e6 / requests[number];
    }
    Ok(rounds)
}

/// Asks a disk for one round; tells how often, and what that showed.
fn ask(machine: &mut Machine, disk: &Disk, device: &str, depth: u64) -> Result<(f64, Round)> {
    let (before, _) = disk.times()?;
    let command = format!("xtask-guest rate /dev/{device} {SIZE} {REQUEST} {depth} {TIME}");
    let lines = machine.ask(&command, LIMIT)?;
    let used = disk.times()?.0.saturating_sub(before);
    let line = lines.last().context("the guest told no rate")?;
    let (requests, seconds) = rate(line).with_context(|| format!("no rate in `{line}`"))?;
    let cost = used.as_secs_f64() * 1e6 / requests;
    Ok((requests, Round { rate: requests / seconds, cost }))
}

/// Reads how many requests were made in how many seconds.
fn rate(line: &str) -> Option<(f64, f64)> {
    let (requests, seconds) = line.strip_prefix("rate: requests ")?.split_once(" seconds ")?;
    let (requests, seconds) = (requests.parse::<f64>().ok()?, seconds.parse::<f64>().ok()?);
    (requests > 0.0 && seconds > 0.0).then_some((requests, seconds))
}

impl Rounds {
    /// The median of what each round shows beside the other's of the same turn, which met the same weather.
    fn beside(&self, other: &Self, of: fn(&Round) -> f64) -> f64 {
        let ratio = |(ours, theirs)| of(ours) / of(theirs);
        let [_, median, _] = spread(self.rounds.iter().zip(&other.rounds).map(ratio));
        median
    }

    fn title() -> String {
        "depth  memory      requests/s  daemon µs each  user µs".to_owned()
    }

    fn show(&self, name: &str, depth: u64) -> String {
        let [slowest, rate, fastest] = spread(self.rounds.iter().map(|round| round.rate));
        let [least, cost, most] = spread(self.rounds.iter().map(|round| round.cost));
        let user = self.user;
        let range = format!("{slowest:.0} to {fastest:.0}; {least:.1} to {most:.1}");
        format!("{depth:5}  {name:10}  {rate:9.0}  {cost:14.1}  {user:8.1}  ({range})")
    }
}

/// The least, the median and the most.
fn spread(values: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    [0, values.len() / 2, values.len().saturating_sub(1)]
        .map(|place| values.get(place).copied().unwrap_or(f64::NAN))
}

#[cfg(test)]
mod tests {
    use super::{Round, Rounds, rate, spread};

    #[test]
    fn a_rate_is_read_from_the_guests_line_and_nothing_from_no_requests() {
        assert_eq!(rate("rate: requests 1200 seconds 1.5"), Some((1200.0, 1.5)));
        assert_eq!(rate("rate: requests 0 seconds 1.5"), None);
        assert_eq!(rate("failed: no disk"), None);
    }

    #[test]
    fn the_median_is_the_middle_of_all_in_order() {
        let found = spread([5.0, 1.0, 3.0].into_iter());
        assert_eq!(found.map(f64::to_bits), [1.0, 3.0, 5.0].map(f64::to_bits));
        assert!(spread([].into_iter()).iter().all(|value| value.is_nan()));
    }

    #[test]
    fn rounds_are_held_against_those_of_the_same_turn() {
        let rounds = |rates: [f64; 3]| {
            let rounds = rates.map(|rate| Round { rate, cost: 1.0 }).to_vec();
            Rounds { rounds, user: 0.0 }
        };
        // The weather is worse in each turn, and ours is twice as fast in all but one.
        let (ours, stock) = (rounds([200.0, 100.0, 30.0]), rounds([100.0, 50.0, 10.0]));
        assert_eq!(ours.beside(&stock, |round| round.rate).to_bits(), 2.0_f64.to_bits());
    }
}
