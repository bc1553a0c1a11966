//! The daemon, told what to do by a front-end that is a good one in most tests and a hostile one in the rest.
//!
//! The front-end writes every message by hand, since nothing that speaks the protocol well would say what a hostile one says.
//! Guest memory is a memfd that it reads and writes as a file, so it shares no code with what it tests.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "what a test cannot do fails the test")]

mod daemon;
mod wire;
mod ram;
mod ring;
mod session;

mod requests;
mod shapes;
mod notifications;
mod queues;
mod tables;
mod chains;
mod rings;
mod events;
mod log;
mod noise;
