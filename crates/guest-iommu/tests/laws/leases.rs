//! Leases of the past are over when they are gone.

use proptest::prelude::*;

use crate::common::memory;

proptest! {
    #[test]
    fn leases_of_the_past_are_over_when_they_are_gone_and_not_before(
        deeds in prop::collection::vec((0_u8..5, any::<prop::sample::Index>()), 1..80)
    ) {
        let memory = memory(&[(0x1000, 0x1000)]);
        // Leases by number; what was asked for, with the leases that were there then.
        let (mut held, mut asked, mut next) = (Vec::new(), Vec::new(), 0_usize);
        for (deed, index) in deeds {
            match deed {
                0 => {
                    held.push((next, memory.lease()));
                    next += 1;
                }
                1 if !held.is_empty() => {
                    // A clone is as old as what it is of.
                    let (age, lease) = &held[index.index(held.len())];
                    let clone = (*age, lease.clone());
                    held.push(clone);
                }
                2 | 3 if !held.is_empty() => {
                    held.swap_remove(index.index(held.len()));
                }
                4 => asked.push((next, memory.past_leases())),
                _ => {}
            }
            for (at, past) in &asked {
                let old = held.iter().any(|(age, _)| age < at);
                prop_assert!(!(old && past.are_over()));
            }
        }
        drop(held);
        prop_assert!(asked.iter().all(|(_, past)| past.are_over()));
    }
}
