//! The table answers as a table of pages does.

use guest_iommu::{Error, GuestAddress, Iotlb};
use guest_memory::Permissions;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use crate::pages::{Pages, WINDOW, page, permissions};

/// A change of the table, or a question to it. Addresses and lengths are in bytes.
#[derive(Clone, Debug)]
enum Step {
    Set {
        iova: u64,
        gpa: u64,
        len: usize,
        perm: Permissions,
    },
    /// On from where the last mapping ended, on both sides; after the top comes 0.
    SetOn {
        len: usize,
        perm: Permissions,
    },
    Invalidate {
        iova: u64,
        len: usize,
    },
    InvalidateAll,
    Lookup {
        iova: u64,
        len: usize,
        access: Permissions,
    },
}

/// Steps over pages of `size` bytes. What is set and invalidated starts and ends with a page; a lookup does anywhere.
fn steps(size: u64) -> impl Strategy<Value = Vec<Step>> {
    let len = move || (0..=WINDOW).prop_map(move |pages| (pages * size) as usize);
    let anywhere = move || (page(size), 0..size).prop_map(|(page, offset)| page + offset);
    let step = prop_oneof![
        6 => (page(size), page(size), len(), permissions())
            .prop_map(|(iova, gpa, len, perm)| Step::Set { iova, gpa, len, perm }),
        3 => (len(), permissions()).prop_map(|(len, perm)| Step::SetOn { len, perm }),
        3 => (page(size), len()).prop_map(|(iova, len)| Step::Invalidate { iova, len }),
        1 => Just(Step::InvalidateAll),
        6 => (anywhere(), 0..=(WINDOW * size) as usize, permissions())
            .prop_map(|(iova, len, access)| Step::Lookup { iova, len, access }),
    ];
    prop::collection::vec(step, 1..40)
}

/// Takes the steps, and compares each answer with that of the model.
fn the_table_answers_as_the_pages_do(size: u64, steps: Vec<Step>) -> TestCaseResult {
    let (mut iotlb, mut model) = (Iotlb::new(), Pages::new(size));
    let mut next = (0, 0);
    for step in steps {
        let step = match step {
            Step::SetOn { len, perm } => Step::Set { iova: next.0, gpa: next.1, len, perm },
            step => step,
        };
        match step {
            Step::SetOn { .. } => unreachable!("it is a `Set` by now"),
            Step::Set { iova, gpa, len, perm } => {
                next = (iova.wrapping_add(len as u64), gpa.wrapping_add(len as u64));
                let result = iotlb.set_mapping(GuestAddress(iova), GuestAddress(gpa), len, perm);
                match (model.numbers(iova, len), model.numbers(gpa, len)) {
                    (Some(iovas), Some(gpas)) => {
                        prop_assert_eq!(result, Ok(()));
                        let mapped = iovas.zip(gpas.map(|gpa| (gpa, perm)));
                        model.pages.extend(mapped);
                    }
                    (iovas, _) => {
                        let base = GuestAddress(if iovas.is_none() { iova } else { gpa });
                        prop_assert_eq!(result, Err(Error::Overflow { base, length: len }));
                    }
                }
            }
            Step::Invalidate { iova, len } => {
                let result = iotlb.invalidate_mapping(GuestAddress(iova), len);
                let numbers = model.numbers(iova, len);
                prop_assert_eq!(result.is_ok(), numbers.is_some());
                let numbers = numbers.unwrap_or(u128::from(iova) / model.size..1 << 64);
                model.pages.retain(|number, _| !numbers.contains(number));
            }
            Step::InvalidateAll => {
                iotlb.invalidate_all();
                model.pages.clear();
            }
            Step::Lookup { iova, len, access } => {
                let found = Iotlb::lookup(&iotlb, GuestAddress(iova), len, access);
                let found = found.map(Iterator::collect::<Vec<_>>);
                prop_assert_eq!(found, model.lookup(iova, len, access));
            }
        }
        // Neighbours are one entry exactly if they go on in a straight line.
        let entries =
            model.pages.iter().fold((0, None), |(count, before), (&number, &(gpa, perm))| {
                let goes_on = before == Some((number, gpa, perm));
                (if goes_on { count } else { count + 1 }, Some((number + 1, gpa + 1, perm)))
            });
        prop_assert_eq!(iotlb.len(), entries.0);
        prop_assert_eq!(iotlb.is_empty(), model.pages.is_empty());
    }
    Ok(())
}

proptest! {
    #[test]
    fn the_table_answers_as_a_table_of_bytes_does(steps in steps(1)) {
        the_table_answers_as_the_pages_do(1, steps)?;
    }

    #[test]
    fn the_table_answers_as_a_table_of_pages_does(steps in steps(0x1000)) {
        the_table_answers_as_the_pages_do(0x1000, steps)?;
    }

    #[test]
    fn no_numbers_make_it_panic(
        iova in any::<u64>(), gpa in any::<u64>(), len in any::<usize>(), perm in permissions(),
        other_iova in any::<u64>(), other_len in any::<usize>(), access in permissions(),
    ) {
        let mut iotlb = Iotlb::new();
        let _ = iotlb.set_mapping(GuestAddress(iova), GuestAddress(gpa), len, perm);
        let _ = iotlb.invalidate_mapping(GuestAddress(other_iova), other_len / 2);
        let found = Iotlb::lookup(&iotlb, GuestAddress(other_iova), other_len, access);
        let total: u128 = match found {
            Ok(pieces) => pieces.map(|piece| piece.length as u128).sum(),
            Err(fails) => {
                let fails = fails.misses.iter().chain(&fails.access_fails);
                fails.map(|fail| fail.length as u128).sum()
            }
        };
        prop_assert!(total <= other_len as u128);
        let _ = format!("{iotlb:?}");
    }
}
