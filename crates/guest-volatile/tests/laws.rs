//! What holds for all numbers: any sequence of accesses does to the memory what it does to a `Vec<u8>`.

mod common;

use common::{Log, bytes};
use guest_volatile::{ByteValued, VolatileSlice};
use proptest::collection::vec;
use proptest::prelude::*;

const LEN: usize = 160;

/// An access to the memory.
#[derive(Clone, Debug)]
enum Access {
    Write(usize, Vec<u8>),
    WriteSlice(usize, Vec<u8>),
    WriteWhole(usize, Vec<u8>),
    WriteWord(usize, u32),
    WriteObject(usize, [u8; 21]),
    Read(usize, usize),
    ReadWord(usize),
    ReadObject(usize),
    CopyFrom(Vec<u16>),
    CopyWithin { from: usize, to: usize, count: usize },
    Stream(usize, Vec<u8>, usize),
}

/// Offsets around the memory, and the largest that there are.
fn offset() -> impl Strategy<Value = usize> {
    prop_oneof![
        20 => 0..LEN + 8,
        1 => (0..9_usize).prop_map(|less| usize::MAX - less),
        1 => (0..9_usize).prop_map(|more| isize::MAX as usize - 4 + more),
    ]
}

fn access() -> impl Strategy<Value = Access> {
    let data = || vec(any::<u8>(), 0..LEN + 8);
    prop_oneof![
        (offset(), data()).prop_map(|(at, data)| Access::Write(at, data)),
        (offset(), data()).prop_map(|(at, data)| Access::WriteSlice(at, data)),
        (offset(), data()).prop_map(|(at, data)| Access::WriteWhole(at, data)),
        (offset(), any::<u32>()).prop_map(|(at, word)| Access::WriteWord(at, word)),
        (offset(), any::<[u8; 21]>()).prop_map(|(at, object)| Access::WriteObject(at, object)),
        (offset(), 0..LEN + 8).prop_map(|(at, len)| Access::Read(at, len)),
        offset().prop_map(Access::ReadWord),
        offset().prop_map(Access::ReadObject),
        vec(any::<u16>(), 0..LEN).prop_map(Access::CopyFrom),
        (0..LEN, 0..LEN, 0..LEN).prop_map(|(from, to, count)| Access::CopyWithin {
            from,
            to,
            count
        }),
        (offset(), data(), offset()).prop_map(|(at, data, count)| Access::Stream(at, data, count)),
    ]
}

/// The bytes of the model that an access of `count` bytes at `at` is about.
fn part(model: &mut [u8], at: usize, count: usize) -> &mut [u8] {
    let start = at.min(model.len());
    let end = start + count.min(model.len() - start);
    &mut model[start..end]
}

/// Puts as much of `data` into the model as fits at `at`; its range.
fn put(model: &mut [u8], at: usize, data: &[u8]) -> (usize, usize) {
    let part = part(model, at, data.len());
    part.copy_from_slice(&data[..part.len()]);
    (at, part.len())
}

fn bytes_of<T: ByteValued>(value: &T) -> Vec<u8> {
    value.as_slice().to_vec()
}

/// Does the access to both, compares what they give, and returns the range that was written.
fn go(
    access: Access,
    memory: &VolatileSlice<'_, common::View<'_>>,
    model: &mut [u8],
) -> Result<(usize, usize), TestCaseError> {
    let none = (0, 0);
    Ok(match access {
        Access::Write(at, data) => {
            let (at, moved) = put(model, at, &data);
            prop_assert_eq!(memory.write(&data, at).unwrap_or(0), moved);
            (at, moved)
        }
        Access::WriteSlice(at, data) => {
            let (at, moved) = put(model, at, &data);
            prop_assert_eq!(memory.write_slice(&data, at).is_ok(), moved == data.len());
            (at, moved)
        }
        Access::WriteWhole(at, data) => {
            let fits = part(model, at, data.len()).len() == data.len();
            prop_assert_eq!(memory.write_whole(&data, at).is_ok(), fits);
            if fits { put(model, at, &data) } else { none }
        }
        Access::WriteWord(at, word) => {
            let (at, moved) = put(model, at, &word.to_ne_bytes());
            prop_assert_eq!(memory.write_obj(word, at).is_ok(), moved == 4);
            (at, moved)
        }
        Access::WriteObject(at, object) => {
            let (at, moved) = put(model, at, &object);
            prop_assert_eq!(memory.write_obj(object, at).is_ok(), moved == 21);
            (at, moved)
        }
        Access::Read(at, len) => {
            let mut buf = vec![0xee; len];
            let expected = part(model, at, len);
            prop_assert_eq!(memory.read(&mut buf, at).unwrap_or(0), expected.len());
            prop_assert_eq!(&buf[..expected.len()], &*expected);
            prop_assert!(buf[expected.len()..].iter().all(|byte| *byte == 0xee));
            none
        }
        Access::ReadWord(at) => {
            let expected = part(model, at, 4);
            let expected = (expected.len() == 4).then(|| expected.to_vec());
            prop_assert_eq!(memory.read_obj::<u32>(at).ok().map(|word| bytes_of(&word)), expected);
            none
        }
        Access::ReadObject(at) => {
            let expected = part(model, at, 21);
            let expected = (expected.len() == 21).then(|| expected.to_vec());
            let object = memory.read_obj::<[u8; 21]>(at).ok();
            prop_assert_eq!(object.map(|object| bytes_of(&object)), expected);
            none
        }
        Access::CopyFrom(elements) => {
            let whole = elements.len().min(model.len() / 2);
            let data: Vec<u8> = elements[..whole].iter().flat_map(bytes_of).collect();
            memory.copy_from(&elements);
            put(model, 0, &data)
        }
        Access::CopyWithin { from, to, count } => {
            let (from, to) = (from.min(model.len()), to.min(model.len()));
            let count = count.min(model.len() - from).min(model.len() - to);
            let cut = |at| memory.subslice(at, count).expect("inside");
            cut(from).copy_to_volatile_slice(cut(to));
            model.copy_within(from..from + count, to);
            (to, count)
        }
        Access::Stream(at, data, count) => {
            let wanted = &data[..count.min(data.len())];
            let (at, moved) = put(model, at, wanted);
            let mut source = &data[..];
            let result = memory.read_volatile_from(at, &mut source, count);
            prop_assert_eq!(result.unwrap_or(0), moved);
            prop_assert_eq!(source.len(), data.len() - moved);
            (at, moved)
        }
    })
}

proptest! {
    #[test]
    fn any_sequence_of_accesses_is_that_to_a_vector(
        start in 0..LEN,
        accesses in vec(access(), 1..40),
        content in vec(any::<u8>(), LEN),
    ) {
        let (mut ram, mut model, log) = (content.clone(), content.clone(), Log::default());
        let all = log.watch(VolatileSlice::from(&mut ram[..]));
        let memory = all.offset(start).expect("inside");
        for access in accesses {
            let (at, len) = go(access, &memory, &mut model[start..])?;
            prop_assert_eq!(&bytes(&all), &model);
            // What was written is marked, at once and exactly.
            let expected: Vec<_> = (len > 0).then(|| (start + at, len)).into_iter().collect();
            prop_assert_eq!(log.take(), expected);
        }
    }

    #[test]
    fn parts_of_parts_are_the_parts_of_the_sum(
        first in (offset(), offset()),
        second in (offset(), offset()),
    ) {
        let mut ram: Vec<u8> = (0..LEN as u8).collect();
        let expected = ram.clone();
        let memory = VolatileSlice::from(&mut ram[..]);
        let inside = |(at, count): (usize, usize), len: usize| {
            at.checked_add(count).is_some_and(|end| end <= len)
        };
        let outer = memory.subslice(first.0, first.1);
        prop_assert_eq!(outer.is_ok(), inside(first, LEN));
        if let Ok(outer) = outer {
            let inner = outer.subslice(second.0, second.1);
            prop_assert_eq!(inner.is_ok(), inside(second, first.1));
            if let Ok(inner) = inner {
                let at = first.0 + second.0;
                prop_assert_eq!(bytes(&inner), &expected[at..at + second.1]);
            }
        }
    }
}
