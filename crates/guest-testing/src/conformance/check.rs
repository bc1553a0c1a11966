//! Plays sequences, and makes those that fail short.

use std::env;
use std::hash::{BuildHasher, RandomState};
use std::num::{NonZeroU64, NonZeroUsize};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use guest_memory::{GuestAddress, GuestAddressSpace, IoMemory};

use crate::conformance::bench::Bench;
use crate::conformance::difference::{Difference, SEED};
use crate::conformance::model::Model;
use crate::conformance::op::{Kind, Op, ranges};
use crate::conformance::random::Random;
use crate::conformance::settings::{Holes, Settings};
use crate::conformance::streams::Way;
use crate::panics::message;

/// Checks a memory with the defaults of [`Check`].
///
/// `make` makes the memory under test with the ranges that it is given, each a start and a length in bytes, in the order of
/// addresses. All bytes are 0 at first.
///
/// # Panics
///
/// If there is a difference: the message is the trace that leads to it.
///
/// ```
/// use guest_memory::{GuestAddress, GuestRegionCollection, SliceRegion};
/// use guest_testing::conformance;
///
/// conformance::check(|ranges: &[(GuestAddress, usize)]| {
///     let region = |&(start, len)| SliceRegion::new(start, vec![0; len].leak()).unwrap();
///     GuestRegionCollection::from_regions(ranges.iter().map(region).collect()).unwrap()
/// });
/// ```
#[track_caller]
pub fn check<M: IoMemory>(make: impl FnMut(&[(GuestAddress, usize)]) -> M) {
    Check::new().run(make);
}

/// A check of a memory against plain bytes, with what may differ from the defaults.
///
/// The defaults are those of a map of memory by guest address, as `GuestRegionCollection` is, with ranges of any length at any
/// address.
///
/// ```
/// use guest_memory::GuestAddress;
/// use guest_testing::{Probe, conformance::Check};
///
/// let memory = |ranges: &[(GuestAddress, usize)]| Probe::new().memory(ranges).unwrap();
/// Check::new().marks_by(1.try_into().unwrap()).sequences(8).run(memory);
///
/// // A memory in small pieces is found out.
/// let difference = Check::new().try_run(|ranges: &[(GuestAddress, usize)]| {
///     let probe = Probe::new();
///     probe.short_slices(3);
///     probe.memory(ranges).unwrap()
/// });
/// println!("{}", difference.unwrap_err());
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Check {
    settings: Settings,
}

impl Default for Check {
    fn default() -> Self {
        Self::new()
    }
}

impl Check {
    /// A check with the defaults.
    pub fn new() -> Self {
        Self { settings: Settings::DEFAULT }
    }

    /// Begins with this seed, whatever `GUEST_TESTING_SEED` says.
    pub fn seed(mut self, seed: u64) -> Self {
        self.settings.seed = Some(seed);
        self
    }

    /// Plays so many sequences, each with a memory of its own: 64 by default.
    pub fn sequences(mut self, count: usize) -> Self {
        self.settings.sequences = count;
        self
    }

    /// Plays sequences of so many operations: 32 by default.
    pub fn operations(mut self, count: usize) -> Self {
        self.settings.operations = count;
        self
    }

    /// Makes memories whose ranges start at multiples of `granule`, and have as many bytes: for memory by the page. 1 by
    /// default.
    pub fn granule(mut self, granule: NonZeroU64) -> Self {
        self.settings.granule = granule;
        self
    }

    /// Lets slices end at addresses that are multiples of `multiple`. By default they end where a range begins or ends, and
    /// nowhere else, so that an integer in a range is accessed whole.
    ///
    /// Two ranges that are neighbours may always be one slice.
    pub fn seams_at(mut self, multiple: NonZeroU64) -> Self {
        self.settings.seams = Some(multiple);
        self
    }

    /// What an access does that runs into a hole: [`Holes::Stop`] by default.
    pub fn holes(mut self, holes: Holes) -> Self {
        self.settings.holes = holes;
        self
    }

    /// Expects that nothing can be written.
    pub fn read_only(mut self) -> Self {
        self.settings.read_only = true;
        self
    }

    /// Compares what the dirty bitmap marks, too: the pages of `page` bytes from the start of each range that were written,
    /// each and no other. Not compared by default, since there may be no bitmap.
    pub fn marks_by(mut self, page: NonZeroUsize) -> Self {
        self.settings.page = Some(page.get());
        self
    }

    /// Checks the memories that `make` makes, as [`check`] does.
    ///
    /// # Panics
    ///
    /// If there is a difference: the message is the trace that leads to it.
    #[track_caller]
    pub fn run<M: IoMemory>(&self, make: impl FnMut(&[(GuestAddress, usize)]) -> M) {
        if let Err(difference) = self.try_run(make) {
            panic!("{difference}");
        }
    }

    /// As [`run`](Self::run), for whoever wants the difference.
    ///
    /// # Errors
    ///
    /// The difference.
    pub fn try_run<M: IoMemory>(
        &self,
        make: impl FnMut(&[(GuestAddress, usize)]) -> M,
    ) -> Result<(), Difference> {
        let mut make = make;
        self.sequences_of(&self.settings, |ranges| Rc::new(make(ranges)), |_, _| {})
    }

    /// Checks maps that change: `swap` puts a map in force that has these ranges, which are some of those that `make` was given.
    /// A range that was away and comes back has the bytes and the marks that it had.
    ///
    /// # Panics
    ///
    /// If there is a difference: the message is the trace that leads to it.
    #[track_caller]
    pub fn run_swapping<S: GuestAddressSpace>(
        &self,
        make: impl FnMut(&[(GuestAddress, usize)]) -> S,
        swap: impl FnMut(&S, &[(GuestAddress, usize)]),
    ) {
        let settings = Settings { swaps: true, ..self.settings };
        if let Err(difference) = self.sequences_of(&settings, make, swap) {
            panic!("{difference}");
        }
    }

    fn sequences_of<S: GuestAddressSpace>(
        &self,
        settings: &Settings,
        mut make: impl FnMut(&[(GuestAddress, usize)]) -> S,
        mut swap: impl FnMut(&S, &[(GuestAddress, usize)]),
    ) -> Result<(), Difference> {
        let first = self.settings.seed.unwrap_or_else(seed);
        for number in 0..settings.sequences as u64 {
            let seed = first.wrapping_add(number);
            let mut random = Random::new(seed);
            let model = Model { ranges: ranges(&mut random, settings), holes: settings.holes };
            let mut ops: Vec<_> =
                (0..settings.operations).map(|_| Op::new(&mut random, &model, settings)).collect();
            let mut failure = |ops: &[Op]| play(&model, settings, ops, &mut make, &mut swap).err();
            let Some((mut last, mut what)) = failure(&ops) else { continue };
            ops.truncate(last);
            // Each without which it still fails goes.
            while let Some(one) = last.checked_sub(1) {
                last = one;
                let mut fewer = ops.clone();
                fewer.remove(one);
                if let Some((count, other)) = failure(&fewer) {
                    fewer.truncate(count);
                    last = last.min(count);
                    (ops, what) = (fewer, other);
                }
            }
            let mut model = model;
            for one in (0..model.ranges.len()).rev() {
                let mut smaller = model.clone();
                smaller.ranges.remove(one);
                if smaller.ranges.is_empty() {
                    continue;
                }
                let failure = play(&smaller, settings, &ops, &mut make, &mut swap);
                if let Err((count, other)) = failure {
                    ops.truncate(count);
                    (model, what) = (smaller, other);
                }
            }
            return Err(Difference { seed, ranges: model.layout(), ops, what });
        }
        Ok(())
    }
}

/// Where a check begins that was told nothing.
fn seed() -> u64 {
    let Ok(text) = env::var(SEED) else { return 0 };
    if text == "random" {
        return RandomState::new().hash_one(0);
    }
    let number = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    number.unwrap_or_else(|_| panic!("{SEED} is a number or `random`, and not {text:?}"))
}

/// Plays operations on a fresh memory. What is different is told with the number of operations that led to it.
fn play<S: GuestAddressSpace>(
    model: &Model,
    settings: &Settings,
    ops: &[Op],
    make: &mut impl FnMut(&[(GuestAddress, usize)]) -> S,
    swap: &mut impl FnMut(&S, &[(GuestAddress, usize)]),
) -> Result<(), (usize, String)> {
    let (mut model, mut played) = (model.clone(), 0);
    // What a panic leaves behind is dropped at once.
    let result = catch_unwind(AssertUnwindSafe(|| {
        let space = make(&model.layout());
        for op in ops {
            played += 1;
            if op.kind == Kind::Swap {
                choose(&mut model, op);
                swap(&space, &model.layout());
            }
            // Each operation asks for the map that is in force.
            let map = space.memory();
            let mut bench = Bench { memory: &*map, model: &mut model, settings };
            step(&mut bench, op)?;
            bench.settled(op)?;
        }
        let map = space.memory();
        Bench { memory: &*map, model: &mut model, settings }.compare_all()
    }));
    let result = result.unwrap_or_else(|panic| Err(format!("a panic: {}", message(&*panic))));
    result.map_err(|what| (played, what))
}

/// Takes ranges out of the map or puts them back, and leaves at least one.
fn choose(model: &mut Model, op: &Op) {
    let count = model.ranges.len();
    for (number, range) in model.ranges.iter_mut().enumerate() {
        range.present = number == op.len % count || op.stamp >> (number % 8) & 1 == 1;
    }
}

fn step<M: IoMemory>(bench: &mut Bench<'_, M>, op: &Op) -> Result<(), String> {
    match op.kind {
        Kind::Read => bench.read(op, false),
        Kind::ReadSlice => bench.read(op, true),
        Kind::Write => bench.write(op, false),
        Kind::WriteSlice => bench.write(op, true),
        Kind::WriteWhole => bench.write_whole(op),
        Kind::Object => bench.object(op),
        Kind::Load
        | Kind::Store
        | Kind::CompareExchange
        | Kind::FetchAdd
        | Kind::FetchAnd
        | Kind::FetchOr => bench.atomic(op),
        Kind::ReadFrom => bench.read_from(op, Way::Once),
        Kind::ReadExactFrom => bench.read_from(op, Way::Exact),
        Kind::WriteTo => bench.write_to(op, Way::Once),
        Kind::WriteAllTo => bench.write_to(op, Way::Exact),
        Kind::Slices => bench.slices(op, false),
        Kind::WriteSlices => bench.slices(op, true),
        Kind::Look | Kind::Swap => bench.look(op),
        Kind::RegionRead
        | Kind::RegionWrite
        | Kind::RegionObject
        | Kind::RegionAtomic
        | Kind::RegionReadFrom
        | Kind::RegionWriteTo => bench.region(op),
    }
}
