//! A memory beside what it should be, and accesses to plain bytes of both.

use guest_memory::{
    ByteValued, Bytes, GuestAddress, GuestMemory, GuestMemoryRegion, GuestMemoryResult, IoMemory,
    MemoryRegionAddress, Permissions, WholeBytes,
};
use guest_volatile::Bitmap;

use crate::conformance::model::{End, Expected, Model, Range};
use crate::conformance::op::Op;
use crate::conformance::pieces::pieces;
use crate::conformance::settings::Settings;

/// A byte that nobody writes here by chance, for buffers.
const UNTOUCHED: u8 = 0xee;

/// A memory, and what it should be.
pub(super) struct Bench<'a, M> {
    pub(super) memory: &'a M,
    pub(super) model: &'a mut Model,
    pub(super) settings: &'a Settings,
}

/// A buffer that a read fills as far as it should, and no further.
pub(super) struct Target {
    bytes: Vec<u8>,
}

impl Target {
    pub(super) fn new(count: usize) -> Self {
        Self { bytes: vec![UNTOUCHED; count] }
    }

    pub(super) fn buf(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    pub(super) fn check(&self, what: &str, expected: &[u8]) -> Result<(), String> {
        let (filled, rest) = self.bytes.split_at(expected.len().min(self.bytes.len()));
        if filled != expected {
            return Err(format!("{what} read {filled:02x?}, not {expected:02x?}"));
        }
        if rest.iter().any(|&byte| byte != UNTOUCHED) {
            return Err(format!("{what} touched the buffer past what it read: {rest:02x?}"));
        }
        Ok(())
    }
}

impl<M: IoMemory> Bench<'_, M> {
    /// What an access that may be partial should say.
    pub(super) fn partial(&self, addr: u64, count: usize, access: Permissions) -> Expected {
        match self.model.reach(addr, count) {
            _ if count == 0 => Expected::Done(0),
            (0, end) => end.error(),
            _ if self.refuses(access) => Expected::Refused,
            (done, _) => Expected::Done(done),
        }
    }

    /// Whether memory that is there does not permit the access.
    pub(super) fn refuses(&self, access: Permissions) -> bool {
        self.settings.read_only && access.has_write()
    }

    pub(super) fn read(&mut self, op: &Op, all: bool) -> Result<(), String> {
        let (at, mut target) = (GuestAddress(op.at), Target::new(op.len));
        let expected = self.partial(op.at, op.len, Permissions::Read);
        let (what, found, expected) = if all {
            let found = self.memory.read_slice(target.buf(), at).map(|()| op.len);
            ("read_slice", found, expected.whole(op.len))
        } else {
            ("read", self.memory.read(target.buf(), at), expected)
        };
        expected.check(what, &found)?;
        target.check(what, &self.model.bytes(op.at, op.len)[..expected.moved()])
    }

    pub(super) fn write(&mut self, op: &Op, all: bool) -> Result<(), String> {
        let (at, data) = (GuestAddress(op.at), op.data(op.len));
        let expected = self.partial(op.at, op.len, Permissions::Write);
        let (what, found, expected) = if all {
            let found = self.memory.write_slice(&data, at).map(|()| op.len);
            ("write_slice", found, expected.whole(op.len))
        } else {
            ("write", self.memory.write(&data, at), expected)
        };
        expected.check(what, &found)?;
        self.model.put(op.at, &data[..expected.moved()]);
        Ok(())
    }

    pub(super) fn write_whole(&mut self, op: &Op) -> Result<(), String> {
        let data = op.data(op.len);
        let expected = match self.model.reach(op.at, op.len).1 {
            _ if op.len == 0 => Expected::Done(0),
            End::Complete if self.refuses(Permissions::Write) => Expected::Refused,
            End::Complete => Expected::Done(op.len),
            // A part of it may be read-only, too.
            _ if self.settings.read_only => Expected::Refused,
            end => end.error(),
        };
        let found = self.memory.write_whole(&data, GuestAddress(op.at)).map(|()| op.len);
        expected.check("write_whole", &found)?;
        self.model.put(op.at, &data[..expected.moved()]);
        Ok(())
    }

    pub(super) fn object(&mut self, op: &Op) -> Result<(), String> {
        match op.len {
            0 => self.object_of::<[u8; 0], 0>(op),
            1 => self.object_of::<u8, 1>(op),
            2 => self.object_of::<u16, 2>(op),
            4 => self.object_of::<u32, 4>(op),
            8 => self.object_of::<u64, 8>(op),
            13 => self.object_of::<[u8; 13], 13>(op),
            16 => self.object_of::<[u64; 2], 16>(op),
            _ => self.object_of::<[u8; 40], 40>(op),
        }
    }

    fn object_of<T: ByteValued, const N: usize>(&mut self, op: &Op) -> Result<(), String> {
        let at = GuestAddress(op.at);
        let expected = self.partial(op.at, N, Permissions::Read).whole(N);
        let read = self.memory.read_obj::<T>(at);
        if let Ok(value) = &read {
            let (found, expected) = (value.as_slice(), self.model.bytes(op.at, N));
            if found != expected {
                return Err(format!("read_obj read {found:02x?}, not {expected:02x?}"));
            }
        }
        expected.check("read_obj", &read.map(|_| N))?;
        let (mut value, data) = (T::zeroed(), op.data(N));
        value.as_mut_slice().copy_from_slice(&data);
        let expected = self.partial(op.at, N, Permissions::Write).whole(N);
        expected.check("write_obj", &self.memory.write_obj(value, at).map(|()| N))?;
        self.model.put(op.at, &data[..expected.moved()]);
        Ok(())
    }

    /// Reads through slices, and writes through them too if that is wanted.
    pub(super) fn slices(&mut self, op: &Op, writes: bool) -> Result<(), String> {
        let access = if writes { Permissions::Write } else { Permissions::Read };
        let slices = pieces(self.memory, self.model, self.settings, op.at, op.len, access)?;
        if !writes {
            return Ok(());
        }
        let (data, mut done) = (op.data(op.len), 0);
        for slice in slices {
            let part = &data[done..done + slice.len()];
            match slice.write_slice(part, 0) {
                Ok(()) if self.refuses(access) => {
                    return Err("a read-only slice was written".into());
                }
                Ok(()) => {
                    // Below the end of what is reached: no overflow.
                    self.model.put(op.at.wrapping_add(done as u64), part);
                }
                Err(_) if self.refuses(access) => {}
                Err(error) => return Err(format!("a slice cannot be written: {error:?}")),
            }
            done += part.len();
        }
        Ok(())
    }

    /// Compares what is near the bytes of an operation, or everything if there is little.
    pub(super) fn settled(&self, op: &Op) -> Result<(), String> {
        const NEAR: u64 = 0x20;
        let all: usize = self.model.ranges.iter().map(|range| range.bytes.len()).sum();
        let from = op.at.saturating_sub(NEAR);
        let to = op.at.saturating_add(op.len.min(0x400) as u64).saturating_add(NEAR);
        let (from, to) = if all <= 0x400 { (0, u64::MAX) } else { (from, to) };
        self.model.present().try_for_each(|range| self.compare(range, from, to))
    }

    /// Compares all bytes.
    pub(super) fn compare_all(&self) -> Result<(), String> {
        self.model.present().try_for_each(|range| self.compare(range, 0, u64::MAX))
    }

    /// Compares the part of a range that lies in `from..=to`, and its marks.
    fn compare(&self, range: &Range, from: u64, to: u64) -> Result<(), String> {
        let (first, last) = (from.max(range.start), to.min(range.last()));
        let (Some(start), Some(end)) = (range.place(first), range.place(last)) else {
            return Ok(());
        };
        if first > last {
            return Ok(());
        }
        let expected = &range.bytes[start..=end];
        let mut found = vec![0; expected.len()];
        let read: GuestMemoryResult<()> = self.memory.read_slice(&mut found, GuestAddress(first));
        read.map_err(|error| format!("what is at {first:#x} cannot be read back: {error:?}"))?;
        if let Some(at) = (0..found.len()).find(|&at| found[at] != expected[at]) {
            let (found, expected) = (found[at], expected[at]);
            let addr = first + at as u64;
            return Err(format!("the byte at {addr:#x} is {found:#04x}, not {expected:#04x}"));
        }
        let Some(page) = self.settings.page else { return Ok(()) };
        // The ends of each page tell of all of it.
        for place in (start..=end).filter(|place| place % page == 0 || (place + 1) % page == 0) {
            let addr = range.start + place as u64;
            self.compare_mark(addr, self.model.is_marked(addr, page))?;
        }
        Ok(())
    }

    fn compare_mark(&self, addr: u64, expected: bool) -> Result<(), String> {
        let say = |found: bool, who: &str| {
            let word = |is: bool| if is { "marked" } else { "not marked" };
            let (found, expected) = (word(found), word(expected));
            Err(format!(
                "the byte at {addr:#x} is {found} as {who} has it, and should be {expected}"
            ))
        };
        let slices = self.memory.get_slices(GuestAddress(addr), 1, Permissions::Read);
        let slice = slices.ok().and_then(|mut slices| slices.next()?.ok());
        let slice = slice.ok_or_else(|| format!("there is no slice of the byte at {addr:#x}"))?;
        let found = slice.bitmap().dirty_at(0);
        if found != expected {
            return say(found, "a slice's bitmap");
        }
        let map = self.memory.physical_memory();
        if let Some((region, MemoryRegionAddress(place))) =
            map.and_then(|map| map.to_region_addr(GuestAddress(addr)))
        {
            // The memory of a region that is longer than a `usize` cannot be reached.
            let found = region.bitmap().dirty_at(usize::try_from(place).unwrap_or(usize::MAX));
            if found != expected {
                return say(found, "the region's bitmap");
            }
        }
        Ok(())
    }
}
