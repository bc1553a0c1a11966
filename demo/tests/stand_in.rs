//! A thread that plays the guest does what a guest does.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

mod common;

use core::time::Duration;

use common::{IMAGE, MAILBOX, PAGE_TABLES, PLUG, boot, image, ram, serve, write_image};
use demo::{Access, Command, Error, Guest, Program, State, Words};

#[test]
fn the_stand_in_does_what_it_is_told_until_told_to_stop() {
    let memory = ram();
    let sum = write_image(&memory);
    let boot = boot(Program::Poll);
    let mailbox = boot.prepare(memory.clone()).unwrap();
    assert_eq!(mailbox.state().unwrap(), State::Unstarted);
    let mut guest = Guest::stand_in(memory.clone(), &boot, mailbox).unwrap();

    serve(&mut guest, &memory, sum);
    assert_eq!(guest.mailbox().state().unwrap(), State::Running);
    guest.stop().unwrap();
    assert_eq!(Words::load(&memory, MAILBOX + 0x1010).unwrap(), 2);
}

#[test]
fn the_stand_in_sums_up_once() {
    let memory = ram();
    let sum = write_image(&memory);
    let boot = boot(Program::Checksum);
    let mut mailbox = boot.prepare(memory.clone()).unwrap();
    let ticket = mailbox.send(image()).unwrap();
    let mut guest = Guest::stand_in(memory, &boot, mailbox).unwrap();

    assert_eq!(guest.wait(ticket).unwrap(), sum);
    guest.finish().unwrap();
}

#[test]
fn a_touch_of_a_hole_ends_the_stand_in_with_the_address() {
    let memory = ram();
    let boot = boot(Program::Poll);
    let mailbox = boot.prepare(memory.clone()).unwrap();
    let mut guest = Guest::stand_in(memory, &boot, mailbox).unwrap();

    let command = Command::Fill { address: PLUG, stores: 1, stride: 8, first: 0 };
    let error = guest.ask(command).unwrap_err();
    assert!(
        matches!(error, Error::Memory { at: PLUG, access: Access::Write, .. }),
        "unexpected: {error:?}"
    );
}

#[test]
fn a_stand_in_with_endless_work_is_stopped() {
    let memory = ram();
    let boot = boot(Program::Poll);
    let mailbox = boot.prepare(memory.clone()).unwrap();
    let guest = Guest::stand_in(memory, &boot, mailbox).unwrap();

    let limit = Duration::from_millis(50);
    let mut guest = guest.with_limit(limit);
    // A stride of zero: the same word for ever.
    let command = Command::Fill { address: IMAGE, stores: u64::MAX, stride: 0, first: 0 };
    let error = guest.ask(command).unwrap_err();
    assert!(matches!(error, Error::Silent { ticket: 1, .. }), "unexpected: {error:?}");
    let error = guest.send(Command::Stop).unwrap_err();
    assert!(matches!(error, Error::Busy { ticket: 1 }), "unexpected: {error:?}");
    let error = guest.finish().unwrap_err();
    assert!(matches!(error, Error::Stuck { .. }), "unexpected: {error:?}");
}

#[test]
fn page_tables_that_cannot_be_are_refused() {
    let memory = ram();
    let too_far = demo::Boot { reach: u64::MAX, ..boot(Program::Poll) };
    let error = too_far.prepare(memory.clone()).unwrap_err();
    assert!(matches!(error, Error::Reach { at: PAGE_TABLES, .. }), "unexpected: {error:?}");
    let crooked = demo::Boot { page_tables: 0x1008, ..boot(Program::Poll) };
    let error = crooked.prepare(memory).unwrap_err();
    assert!(matches!(error, Error::Reach { at: 0x1008, .. }), "unexpected: {error:?}");
}
