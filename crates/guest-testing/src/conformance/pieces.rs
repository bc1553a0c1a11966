//! The slices that a memory gives for a range: in order, without a gap, and ending where they may.

use guest_memory::{GuestAddress, IoMemory, Permissions, VolatileSlice};
use guest_volatile::{BS, BitmapSlice};

use crate::conformance::model::{End, Model};
use crate::conformance::settings::Settings;

/// The slices of one kind of bitmap that live for `'a`.
pub(super) type Slices<'a, M> = Vec<VolatileSlice<'a, BS<'a, <M as IoMemory>::Bitmap>>>;

/// The slices of a range, or what is wrong with them.
pub(super) fn pieces<'a, M: IoMemory>(
    memory: &'a M,
    model: &Model,
    settings: &Settings,
    addr: u64,
    count: usize,
    access: Permissions,
) -> Result<Slices<'a, M>, String> {
    let (reach, end) = model.reach(addr, count);
    let mut slices = match memory.get_slices(GuestAddress(addr), count, access) {
        Ok(slices) => slices,
        Err(error) => {
            let found = Err(error);
            return if end == End::Complete || reach > 0 {
                Err(format!("get_slices gave {found:?}, and there is memory"))
            } else {
                end.error().check("get_slices", &found).map(|()| Vec::new())
            };
        }
    };
    let (mut pieces, mut total, mut ended) = (Slices::<'a, M>::new(), 0, None);
    for item in slices.by_ref() {
        let slice = match item {
            Ok(slice) => slice,
            Err(error) => {
                ended = Some(error);
                break;
            }
        };
        total += slice.len();
        if slice.is_empty() || total > reach {
            let len = slice.len();
            return Err(format!(
                "get_slices gave a slice of {len:#x} bytes, {total:#x} in all, of {reach:#x}"
            ));
        }
        // Below the end of what is reached: no overflow.
        let next = addr.wrapping_add(total as u64);
        let may_end = total == count
            || model
                .ranges
                .iter()
                .any(|range| range.start == next || range.last().wrapping_add(1) == next)
            || settings.seams.is_some_and(|seam| next.is_multiple_of(seam.get()));
        if !may_end {
            return Err(format!("a slice ends at {next:#x}, inside of a range"));
        }
        pieces.push(slice);
    }
    if slices.next().is_some() {
        return Err("get_slices goes on after its end".into());
    }
    match (ended, end) {
        (None, End::Complete) if total == count => {}
        (Some(error), End::Complete) => return Err(format!("get_slices ended with {error:?}")),
        (Some(error), _) if total == reach => end.error().check("get_slices", &Err(error))?,
        _ => {
            return Err(format!(
                "get_slices gave {total:#x} bytes without an error, not {reach:#x}"
            ));
        }
    }
    let mut found = Vec::new();
    for slice in &pieces {
        found.extend(content(slice)?);
    }
    let expected = model.bytes(addr, count);
    if found != expected {
        return Err(format!("the slices hold {found:02x?}, not {expected:02x?}"));
    }
    Ok(pieces)
}

/// The one slice that is at hand for a range, or what is wrong with it.
pub(super) fn at_hand<'a, M: IoMemory>(
    memory: &'a M,
    model: &Model,
    addr: u64,
    count: usize,
    access: Permissions,
) -> Result<Option<VolatileSlice<'a, BS<'a, M::Bitmap>>>, String> {
    let Some(slice) = memory.find_io_slice(GuestAddress(addr), count, access) else {
        return Ok(None);
    };
    let (len, (reach, end)) = (slice.len(), model.reach(addr, count));
    if count == 0 || len != count || end != End::Complete {
        return Err(format!(
            "find_io_slice gave {len:#x} bytes, where {reach:#x} of {count:#x} are"
        ));
    }
    let (found, expected) = (content(&slice)?, model.bytes(addr, count));
    if found != expected {
        return Err(format!("find_io_slice holds {found:02x?}, not {expected:02x?}"));
    }
    Ok(Some(slice))
}

fn content<B: BitmapSlice>(slice: &VolatileSlice<'_, B>) -> Result<Vec<u8>, String> {
    let mut bytes = vec![0; slice.len()];
    slice
        .read_slice(&mut bytes, 0)
        .map_err(|error| format!("a slice cannot be read: {error:?}"))?;
    Ok(bytes)
}
