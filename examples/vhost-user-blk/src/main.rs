//! A disk for virtual machines: a vhost-user-blk daemon, written to be copied by authors of devices.
//!
//! The guest's memory is mapped from files that the front-end sends, and changes while queues run; requests move data
//! between it and the image without a copy in between; what they write is logged while the guest migrates. README.md tells
//! how to run it and what to take. Rooms are declared from the bottom up.

#![forbid(unsafe_code)]

mod options;
mod lines;
mod stats;
mod marks;
mod memory;
mod vring;
mod image;
#[cfg(feature = "layers")]
mod vectored;
#[cfg(not(feature = "layers"))]
mod seeking;
mod chain;
mod request;
mod config;
mod disk;
mod queue;
mod device;
mod server;

// The two have the same names: the seam between our layers and the published crate.
#[cfg(not(feature = "layers"))]
use crate::seeking as transfer;
#[cfg(feature = "layers")]
use crate::vectored as transfer;

use std::process::ExitCode;

use crate::options::{MarksKept, Options, USAGE};

fn main() -> ExitCode {
    lines::start();
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("vhost-user-blk: error: {problem}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if options.marks == MarksKept::Lost {
        log::warn!("--lose-marks: MARKS ARE LOST, A MIGRATION CORRUPTS THE GUEST");
        marks::lose_all();
    }
    server::raise_file_limit();
    // A front-end that makes its files shorter under the mappings gets errors then, where it would end the daemon.
    #[cfg(feature = "layers")]
    if let Err(problem) = guest_volatile::fault::install() {
        log::warn!("files that a front-end makes shorter will end this process: {problem}");
    }
    match server::run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            log::error!("{problem}");
            ExitCode::FAILURE
        }
    }
}
