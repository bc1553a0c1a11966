//! The guest's programs, in machine code.
//!
//! A program is entered with the mailbox's address in RDI and uses no stack. It leaves the guest by
//! `out` to one of the [ports](port); ring 3 may do that because the machine starts with I/O
//! privilege level 3.

use alloc::vec::Vec;

use crate::assembler::If::{NotZero, Zero};
use crate::assembler::Reg::{R8, Rax, Rcx, Rdi, Rdx, Rsi};
use crate::assembler::{Assembler, Label};
use crate::checksum::Checksum;
use crate::error::Result;
use crate::mailbox::{reply, request};
use crate::words::Words;

/// What the guest tells the host by leaving.
pub(crate) mod port {
    /// The program has ended.
    pub(crate) const ENDED: u8 = 0x10;
    /// It is alive, and has nothing to do. The host may say stop by not coming back.
    pub(crate) const HEARTBEAT: u8 = 0x11;
}

/// Polls without a new command after which the guest shows the host a heartbeat: some 20 to 50
/// milliseconds, as long as the CPU's `pause` makes it.
const POLLS_PER_HEARTBEAT: u64 = 1 << 20;

/// What the guest is to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Computes the one checksum that was asked for before the start, then ends.
    Checksum,
    /// Does what it is told, until it is told to stop.
    Poll,
}

impl Program {
    /// The machine code. It runs at any address.
    #[must_use]
    pub fn code(self) -> Vec<u8> {
        match self {
            Program::Checksum => checksum_once(),
            Program::Poll => poll(),
        }
    }

    /// Writes the code to guest memory, where it may be entered at `at`.
    ///
    /// # Errors
    ///
    /// What guest memory says.
    pub fn load(self, words: &impl Words, at: u64) -> Result<()> {
        for (slot, chunk) in (at..).step_by(8).zip(self.code().chunks(8)) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            words.store(slot, u64::from_le_bytes(word))?;
        }
        Ok(())
    }
}

fn checksum_once() -> Vec<u8> {
    let mut a = Assembler::default();
    let done = a.label();

    announce(&mut a, reply::RUNNING);
    a.load(R8, Rdi, request::TICKET); // r8: the command in work
    a.load(Rsi, Rdi, request::ADDRESS); // rsi: where
    a.load(Rcx, Rdi, request::COUNT); // rcx: how many
    sum(&mut a, done);
    a.bind(done);
    answer(&mut a);
    end(&mut a);
    a.finish()
}

fn poll() -> Vec<u8> {
    let mut a = Assembler::default();
    let (serve, checksum, fill) = (a.label(), a.label(), a.label());
    let done = a.label();

    announce(&mut a, reply::RUNNING);
    a.load(R8, Rdi, reply::TICKET); // r8: the last command done

    let idle = a.here();
    a.set(Rcx, POLLS_PER_HEARTBEAT);
    let look = a.here();
    a.pause();
    a.load(Rax, Rdi, request::TICKET); // a plain load, racing with the host's store
    a.compare(Rax, R8);
    a.jump_if(NotZero, serve); // a new ticket
    a.decrement(Rcx);
    a.jump_if(NotZero, look);
    a.out(port::HEARTBEAT);
    a.jump(idle);

    a.bind(serve);
    a.copy(R8, Rax); // the ticket that was seen; it is not fetched twice
    a.load(Rax, Rdi, request::CODE);
    a.load(Rsi, Rdi, request::ADDRESS); // rsi: where
    a.load(Rcx, Rdi, request::COUNT); // rcx: how many
    a.compare_small(Rax, request::CHECKSUM as u8);
    a.jump_if(Zero, checksum);
    a.compare_small(Rax, request::FILL as u8);
    a.jump_if(Zero, fill);
    end_with_answer(&mut a);

    a.bind(checksum);
    sum(&mut a, done);
    a.jump(done);

    a.bind(fill);
    a.load(Rdx, Rdi, request::STRIDE); // rdx: bytes to the next store
    a.load(Rax, Rdi, request::FIRST); // rax: what to store
    a.test(Rcx);
    a.jump_if(Zero, done);
    let next = a.here();
    a.store(Rsi, 0, Rax);
    a.add_small(Rax, 1);
    a.add(Rsi, Rdx);
    a.decrement(Rcx);
    a.jump_if(NotZero, next);

    a.bind(done);
    answer(&mut a);
    a.jump(idle);
    a.finish()
}

/// Leaves in RAX the checksum of RCX words at RSI; goes to `done` at once when there are none.
fn sum(a: &mut Assembler, done: Label) {
    a.set(Rax, Checksum::SEED);
    a.set(Rdx, Checksum::FACTOR);
    a.test(Rcx);
    a.jump_if(Zero, done);
    let next = a.here();
    a.xor_load(Rax, Rsi, 0);
    a.rotate_left(Rax, Checksum::TURN);
    a.multiply(Rax, Rdx);
    a.add_small(Rsi, 8);
    a.decrement(Rcx);
    a.jump_if(NotZero, next);
}

/// Replies with the result in RAX to the ticket in R8. x86 keeps the order of the two stores.
fn answer(a: &mut Assembler) {
    a.store(Rdi, reply::RESULT, Rax);
    a.store(Rdi, reply::TICKET, R8);
}

/// Writes the state word. Uses RAX.
fn announce(a: &mut Assembler, state: u32) {
    a.set(Rax, state.into());
    a.store(Rdi, reply::STATE, Rax);
}

/// Replies, then ends: what the host sees of the reply it sees before the guest is gone.
fn end_with_answer(a: &mut Assembler) {
    a.set(Rax, 0);
    answer(a);
    end(a);
}

/// Ends the program, as often as the host comes back.
fn end(a: &mut Assembler) {
    announce(a, reply::ENDED);
    let again = a.here();
    a.out(port::ENDED);
    a.jump(again);
}
