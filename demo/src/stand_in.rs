//! The guest's program played by a thread of the host, for machines without KVM.

use core::time::Duration;
use std::thread;

use crate::boot::Boot;
use crate::checksum::Checksum;
use crate::error::Result;
use crate::mailbox::{reply, request};
use crate::program::Program;
use crate::signs::Signs;
use crate::words::Words;

/// Pause between two looks at the mailbox; unlike a guest, the stand-in does not burn a CPU.
const NAP: Duration = Duration::from_micros(20);
/// Looks without a new command that count as one heartbeat, as the guest's program shows them.
const LOOKS_PER_HEARTBEAT: u64 = 1000;

/// Plays `boot`'s program until it ends or is told to.
///
/// Where there is no memory it fails with the memory's own error, where a guest would exit.
pub(crate) fn play(words: &impl Words, boot: &Boot, signs: &Signs) -> Result<()> {
    let load = |offset: u32| words.load(boot.mailbox.wrapping_add(offset.into()));
    let store = |offset: u32, value| words.store(boot.mailbox.wrapping_add(offset.into()), value);

    store(reply::STATE, reply::RUNNING.into())?;
    let mut done = load(reply::TICKET)?;
    let mut looks = 0_u64;
    loop {
        let ticket = load(request::TICKET)?;
        if ticket == done && boot.program == Program::Poll {
            signs.go_on()?;
            thread::sleep(NAP);
            looks += 1;
            if looks.is_multiple_of(LOOKS_PER_HEARTBEAT) {
                signs.beat();
            }
            continue;
        }
        let address = load(request::ADDRESS)?;
        let count = load(request::COUNT)?;
        let code = match boot.program {
            Program::Checksum => request::CHECKSUM.into(),
            Program::Poll => load(request::CODE)?,
        };
        let result = match u32::try_from(code) {
            Ok(request::CHECKSUM) => Some(checksum(words, address, count, signs)?),
            Ok(request::FILL) => {
                let (stride, first) = (load(request::STRIDE)?, load(request::FIRST)?);
                Some(fill(words, address, count, stride, first, signs)?)
            }
            _ => None,
        };
        store(reply::RESULT, result.unwrap_or(0))?;
        store(reply::TICKET, ticket)?;
        done = ticket;
        if result.is_none() || boot.program == Program::Checksum {
            break;
        }
    }
    store(reply::STATE, reply::ENDED.into())
}

// The mailbox is guest memory, its counts are whatever someone wrote: the work must be stoppable.

fn checksum(words: &impl Words, address: u64, count: u64, signs: &Signs) -> Result<u64> {
    let mut sum = Checksum::new();
    for index in 0..count {
        signs.go_on()?;
        sum.word(words.load(address.wrapping_add(index.wrapping_mul(8)))?);
    }
    Ok(sum.value())
}

fn fill(
    words: &impl Words,
    address: u64,
    count: u64,
    stride: u64,
    first: u64,
    signs: &Signs,
) -> Result<u64> {
    for index in 0..count {
        signs.go_on()?;
        let at = address.wrapping_add(index.wrapping_mul(stride));
        words.store(at, first.wrapping_add(index))?;
    }
    Ok(first.wrapping_add(count))
}
