//! Accesses to a region by its own addresses, compared with the model.

use std::sync::atomic::Ordering::{Acquire, Release, SeqCst};

use guest_memory::{
    GuestAddress, GuestMemory, GuestMemoryRegion, IoMemory, MemoryRegionAddress, Permissions,
};

use crate::conformance::atomics::Number;
use crate::conformance::bench::{Bench, Target};
use crate::conformance::model::{End, Expected};
use crate::conformance::op::{Kind, Op};
use crate::conformance::streams::{Way, followed, streamed};
use crate::stream::{ScriptedSink, ScriptedSource};

/// Bytes that a region holds, beside where they lie in it.
#[derive(Clone, Copy)]
struct Inside {
    at: MemoryRegionAddress,
    /// How many of those that are asked for are there.
    reach: usize,
}

impl<M: IoMemory> Bench<'_, M> {
    /// Does it to the region that the address is in, if there is one and no translation is before it.
    pub(super) fn region(&mut self, op: &Op) -> Result<(), String> {
        let memory = self.memory;
        let Some(map) = memory.physical_memory() else { return Ok(()) };
        let Some((region, at)) = map.to_region_addr(GuestAddress(op.at)) else { return Ok(()) };
        let rest = self.model.find(op.at).map_or(0, |(range, place)| range.bytes.len() - place);
        let inside = Inside { at, reach: rest.min(op.len) };
        match (op.kind, op.len) {
            (Kind::RegionRead, _) => self.region_read(region, op, inside),
            (Kind::RegionWrite, _) => self.region_write(region, op, inside),
            (Kind::RegionReadFrom, _) => self.region_read_from(region, op, inside),
            (Kind::RegionWriteTo, _) => self.region_write_to(region, op, inside),
            (_, 1) => self.region_number::<u8, _>(region, op, inside),
            (_, 2) => self.region_number::<u16, _>(region, op, inside),
            (_, 4) => self.region_number::<u32, _>(region, op, inside),
            (_, 8) => self.region_number::<u64, _>(region, op, inside),
            // Other objects are slices of bytes to a region.
            _ => self.region_read(region, op, inside),
        }
    }

    fn region_read<R: GuestMemoryRegion>(
        &self,
        region: &R,
        op: &Op,
        Inside { at, reach }: Inside,
    ) -> Result<(), String> {
        let expected = &self.model.bytes(op.at, op.len)[..reach];
        let mut target = Target::new(op.len);
        let found = region.read(target.buf(), at);
        Expected::Done(reach).check("read of a region", &found)?;
        target.check("read of a region", expected)?;
        let mut target = Target::new(op.len);
        let found = region.read_slice(target.buf(), at).map(|()| op.len);
        Expected::Done(reach).whole(op.len).check("read_slice of a region", &found)?;
        target.check("read_slice of a region", expected)?;
        // Past the end there is nothing.
        let past = MemoryRegionAddress(region.len());
        Expected::Refused.check("read past the end of a region", &region.read(&mut [0], past))
    }

    fn region_write<R: GuestMemoryRegion>(
        &mut self,
        region: &R,
        op: &Op,
        Inside { at, reach }: Inside,
    ) -> Result<(), String> {
        let data = op.data(op.len);
        let done = match reach {
            1.. if self.refuses(Permissions::Write) => Expected::Refused,
            _ => Expected::Done(reach),
        };
        if op.stamp.is_multiple_of(2) {
            done.check("write of a region", &region.write(&data, at))?;
        } else {
            let found = region.write_slice(&data, at).map(|()| op.len);
            done.whole(op.len).check("write_slice of a region", &found)?;
        }
        self.model.put(op.at, &data[..done.moved()]);
        let past = MemoryRegionAddress(region.len());
        Expected::Refused.check("write past the end of a region", &region.write(&[1], past))
    }

    /// An object of an integer's size, or the integer as an atomic.
    fn region_number<T: Number, R: GuestMemoryRegion>(
        &mut self,
        region: &R,
        op: &Op,
        Inside { at, reach }: Inside,
    ) -> Result<(), String> {
        let size = size_of::<T>();
        let (whole, given) = (reach == size, T::from_bytes(&op.data(size)));
        let atomic = op.kind == Kind::RegionAtomic;
        let aligned = region.get_slice(at, reach).is_ok_and(|slice| {
            // The address is looked at, and never used.
            (slice.ptr_guard().as_ptr() as usize).is_multiple_of(size)
        });
        let was =
            (whole && (aligned || !atomic)).then(|| T::from_bytes(&self.model.bytes(op.at, size)));
        let read = if atomic { region.load::<T>(at, SeqCst) } else { region.read_obj::<T>(at) };
        if read.as_ref().ok() != was.as_ref() {
            return Err(format!("a region reads {read:x?}, where {was:x?} is"));
        }
        if atomic && region.load::<T>(at, Release).is_ok() {
            return Err("a load of a region was releasing".into());
        }
        if atomic && region.store(given, at, Acquire).is_ok() {
            return Err("a store of a region was acquiring".into());
        }
        let written =
            if atomic { region.store(given, at, SeqCst) } else { region.write_obj(given, at) };
        let expected = was.is_some() && !self.refuses(Permissions::Write);
        if written.is_ok() != expected {
            return Err(format!("a region was written, and said {written:?}"));
        }
        if expected {
            self.model.put(op.at, given.as_slice());
        } else if !atomic && !self.refuses(Permissions::Write) {
            // An object that does not fit is written as far as it does, as a slice is.
            self.model.put(op.at, &given.as_slice()[..reach]);
        }
        Ok(())
    }

    fn region_read_from<R: GuestMemoryRegion>(
        &mut self,
        region: &R,
        op: &Op,
        Inside { at, reach }: Inside,
    ) -> Result<(), String> {
        let data = op.data(reach + 8);
        let mut source = ScriptedSource::new(data.clone(), op.steps.iter().copied());
        let (found, way) = if op.stamp.is_multiple_of(2) {
            (region.read_volatile_from(at, &mut source, op.len), Way::Once)
        } else {
            (region.read_exact_volatile_from(at, &mut source, reach).map(|()| reach), Way::Exact)
        };
        if self.refuses(Permissions::Write) {
            let moved = found.is_ok_and(|done| done > 0);
            return if moved {
                Err("a stream moved bytes into read-only memory".into())
            } else {
                Ok(())
            };
        }
        let expected = region_streamed(op, reach, way);
        let Some(expected) = expected.iter().find(|expected| expected.is(&found)) else {
            return Err(format!(
                "the stream into a region gave {found:?}, not one of {expected:?}"
            ));
        };
        self.model.put(op.at, &data[..expected.moved()]);
        Ok(())
    }

    fn region_write_to<R: GuestMemoryRegion>(
        &self,
        region: &R,
        op: &Op,
        Inside { at, reach }: Inside,
    ) -> Result<(), String> {
        let mut sink = ScriptedSink::new(op.steps.iter().copied());
        let (found, way) = if op.stamp.is_multiple_of(2) {
            (region.write_volatile_to(at, &mut sink, op.len), Way::Once)
        } else {
            (region.write_all_volatile_to(at, &mut sink, reach).map(|()| reach), Way::Exact)
        };
        let expected = region_streamed(op, reach, way);
        let Some(expected) = expected.iter().find(|expected| expected.is(&found)) else {
            return Err(format!(
                "the stream out of a region gave {found:?}, not one of {expected:?}"
            ));
        };
        let bytes = self.model.bytes(op.at, expected.moved());
        if sink.taken() != bytes {
            return Err(format!("the sink has {:02x?}, not {bytes:02x?}", sink.taken()));
        }
        Ok(())
    }
}

/// What a stream into or out of one region says: as a memory does, or with the error of the stream and how far it came, since
/// nobody is between the region and the caller.
fn region_streamed(op: &Op, reach: usize, way: Way) -> [Expected; 2] {
    let expected = streamed(&[reach], End::Complete, reach, &op.steps, way);
    match followed(&[reach], End::Complete, &op.steps, way) {
        (_, told @ Expected::Stream { .. }) => [expected, told],
        _ => [expected; 2],
    }
}
